//! One run, or one `diff`, for a terminal.

use std::fmt::Write;

use dualrun_core::{
    Outcome,
    run::{ColumnKind, ColumnReport, CustomerReport, CustomerVerdict, RunReport, hints::columns_alike},
};

use super::{
    largest, load,
    numbers::{count, counted, figure, percent, signed},
    parts,
    table::{Align, Table},
    wrap::paragraph,
};
use crate::style::Style;

/// How many customers a terminal shows.
const CUSTOMERS: usize = 10;

/// The summary of a run: outcome, rows, columns, customers, findings, what was noticed.
pub fn run(report: &RunReport, style: Style) -> String {
    let mut text = parts::heading(report, style);
    if let Some(failure) = &report.failure {
        parts::failure(&mut text, failure);
        if let Some(load) = &report.load {
            load::of_run(&mut text, load, style);
        }
        return text;
    }
    rows(&mut text, report);
    columns(&mut text, report, style);
    parts::inputs(&mut text, report, style);
    parts::checks(&mut text, report, style);
    parts::findings(&mut text, report, style);
    parts::bridge(&mut text, report, style);
    customers(&mut text, report, style);
    largest::largest(&mut text, report, style);
    largest::truncated(&mut text, report, style);
    if let Some(load) = &report.load {
        load::of_run(&mut text, load, style);
    }
    parts::notes(&mut text, report);
    text
}

/// The word for an outcome, coloured.
pub fn outcome(outcome: Outcome, style: Style) -> String {
    let word = outcome.as_str().replace('_', " ");
    match outcome {
        Outcome::Agrees => style.good(&word),
        Outcome::ReviewPending | Outcome::NotComparable => style.warn(&word),
        Outcome::Differs | Outcome::Failed => style.bad(&word),
    }
}

/// What the outcome means for this run, in one sentence.
pub fn sentence(report: &RunReport) -> String {
    let rows = &report.rows;
    let mut parts = Vec::new();
    match report.outcome {
        Outcome::Failed => parts.push("the run could not be carried out, so nothing is known".to_owned()),
        Outcome::Agrees => parts.push(agreement(report)),
        Outcome::ReviewPending => {
            let pending = rows.verdicts.pending + rows.one_sided.pending;
            let verb = if pending == 1 { "differs" } else { "differ" };
            parts.push(format!("{} {verb} by changes that wait for review", counted(pending, "row")));
        }
        Outcome::NotComparable => parts.extend(excluded(report)),
        Outcome::Differs => {
            let unexplained = rows.verdicts.unexplained + rows.one_sided.unexplained;
            if unexplained > 0 {
                parts.push(format!("{} unexplained", counted(unexplained, "row")));
            }
            let ambiguous = rows.ambiguous_key.legacy + rows.ambiguous_key.new;
            if ambiguous > 0 {
                parts.push(format!("{} with a key that occurs more than once", counted(ambiguous, "row")));
            }
            let one_sided = report.columns.iter().filter(|column| one_sided(column)).count() as u64;
            if one_sided > 0 {
                parts.push(format!("{} on one side only", counted(one_sided, "column")));
            }
            parts.extend(excluded(report).filter(|_| report.inputs.iter().any(|input| !input.comparable)));
        }
    }
    let failed = report.checks.iter().filter(|check| !check.passed).count() as u64;
    if failed > 0 && report.outcome != Outcome::Failed {
        parts.push(format!("{} failed", counted(failed, "data check")));
    }
    if parts.is_empty() { "the sides are not the same".to_owned() } else { parts.join(", ") }
}

fn agreement(report: &RunReport) -> String {
    let rows = &report.rows;
    let total = rows.paired + rows.only_legacy + rows.only_new;
    let explained = rows.verdicts.explained + rows.one_sided.explained;
    let within = rows.verdicts.within_tolerance;
    let text = match total {
        0 => return "both sides are empty".to_owned(),
        1 if explained == 0 => "the one row agrees".to_owned(),
        _ if explained == 0 => format!("all {} agree", counted(total, "row")),
        _ => {
            let verb = if explained == 1 { "differs" } else { "differ" };
            format!("{} of {} {verb}, by approved changes only", count(explained), counted(total, "row"))
        }
    };
    match (within, explained) {
        (0, _) => text,
        (within, 0) => format!("{text}, {} of them within tolerance", count(within)),
        (within, _) => format!("{text}, {} more within tolerance", count(within)),
    }
}

fn excluded(report: &RunReport) -> Option<String> {
    let customers = report.inputs.iter().map(|input| input.customers_not_comparable).max().unwrap_or(0);
    Some(match customers {
        0 => "the inputs are not the same on both sides".to_owned(),
        n => format!("the inputs of {} are not the same on both sides", counted(n, "customer")),
    })
}

fn one_sided(column: &ColumnReport) -> bool {
    matches!(column.kind, ColumnKind::LegacyOnly | ColumnKind::NewOnly)
}

fn rows(text: &mut String, report: &RunReport) {
    let r = &report.rows;
    let mut table = Table::new(&[("rows", Align::Left), ("", Align::Right)]);
    let mut line = |name: &str, n: u64, always: bool| {
        if n > 0 || always {
            table.row([name.to_owned(), count(n)]);
        }
    };
    line("legacy", r.legacy, true);
    line("new", r.new, true);
    line("paired", r.paired, true);
    line("  equal", r.verdicts.equal, false);
    line("  within tolerance", r.verdicts.within_tolerance, false);
    line("  explained by approved changes", r.verdicts.explained, false);
    line("  waiting for a review", r.verdicts.pending, false);
    line("  unexplained", r.verdicts.unexplained, false);
    line("only legacy", r.only_legacy, false);
    line("only new", r.only_new, false);
    if r.only_legacy + r.only_new > 0 {
        line("  explained by approved changes", r.one_sided.explained, false);
        line("  waiting for a review", r.one_sided.pending, false);
        line("  unexplained", r.one_sided.unexplained, false);
    }
    line("key not unique, legacy", r.ambiguous_key.legacy, false);
    line("key not unique, new", r.ambiguous_key.new, false);
    line("null in the key, both sides", r.null_keys, false);
    let _ = write!(text, "\n{}", table.render());
}

fn columns(text: &mut String, report: &RunReport, style: Style) {
    let compared: Vec<&ColumnReport> = report.columns.iter().filter(|column| !one_sided(column)).collect();
    let any = |of: fn(&ColumnReport) -> u64| compared.iter().any(|column| of(column) > 0);
    let (explained, pending) = (any(|c| c.verdicts.explained), any(|c| c.verdicts.pending));
    let optional = |shown: bool, n: u64| if shown { count(n) } else { String::new() };
    let mut table = Table::new(&[
        ("column", Align::Left),
        ("agree", Align::Right),
        ("explained", Align::Right),
        ("pending", Align::Right),
        ("unexplained", Align::Right),
        ("legacy sum", Align::Right),
        ("new sum", Align::Right),
        ("net", Align::Right),
        ("largest", Align::Right),
    ]);
    for column in &compared {
        let v = &column.verdicts;
        let total = |f: &Option<_>| f.as_ref().map(figure).unwrap_or_default();
        let unit = column.unit.as_deref().map(|unit| format!(" [{unit}]")).unwrap_or_default();
        let unexplained = count(v.unexplained);
        table.row([
            format!("{}{unit}", column.name),
            count(v.equal + v.within_tolerance),
            optional(explained, v.explained),
            optional(pending, v.pending),
            if v.unexplained > 0 { style.bad(&unexplained) } else { unexplained },
            total(&column.legacy_total),
            total(&column.new_total),
            column.net_difference.as_ref().map(signed).unwrap_or_default(),
            column.max_relative.as_ref().map(|f| percent(f.to_f64())).unwrap_or_default(),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(text, "\n{}", table.render());
    }
    for (kind, side) in [(ColumnKind::LegacyOnly, "legacy"), (ColumnKind::NewOnly, "new")] {
        let names: Vec<&str> = report
            .columns
            .iter()
            .filter(|column| column.kind == kind)
            .map(|column| column.name.as_str())
            .collect();
        if !names.is_empty() {
            let line = format!("on the {side} side only, not compared: {}", names.join(", "));
            text.push_str(&paragraph(&style.warn(&line), 2, 4));
        }
    }
    for line in columns_alike(&report.columns) {
        text.push_str(&paragraph(&line, 2, 4));
    }
    for column in &compared {
        if column.offsetting {
            let gross = column.gross_difference.as_ref().map(figure).unwrap_or_default();
            let line = format!(
                "{}: errors offset each other, the differences add up to {gross} in size",
                column.name
            );
            text.push_str(&paragraph(&line, 2, 4));
        }
        if column.not_finite > 0 {
            let (values, verb) =
                (counted(column.not_finite, "value"), if column.not_finite == 1 { "is" } else { "are" });
            let line = format!("{}: {values} {verb} not finite and left out of the totals", column.name);
            text.push_str(&paragraph(&line, 2, 4));
        }
    }
}

fn customers(text: &mut String, report: &RunReport, style: Style) {
    let wrong: Vec<_> = differing(report).collect();
    if wrong.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("customer", Align::Left),
        ("verdict", Align::Left),
        ("rows", Align::Right),
        ("column", Align::Left),
        ("largest", Align::Right),
        ("net", Align::Right),
    ]);
    for customer in wrong.iter().take(CUSTOMERS) {
        let worst = worst(customer);
        table.row([
            customer.customer.as_deref().map_or_else(|| "(null)".to_owned(), parts::name),
            verdict(customer.verdict, style),
            count(customer.rows.legacy.max(customer.rows.new)),
            worst.map(|column| column.name.clone()).unwrap_or_default(),
            worst
                .and_then(|column| column.max_relative.as_ref())
                .map(|f| percent(f.to_f64()))
                .unwrap_or_default(),
            worst.and_then(|column| column.net_difference.as_ref()).map(signed).unwrap_or_default(),
        ]);
    }
    let _ = write!(text, "\n{}\n{}", style.bold("worst customers"), table.render());
    if report.customers_total > wrong.len().min(CUSTOMERS) as u64 {
        let listed = wrong.len().saturating_sub(CUSTOMERS);
        let more = if listed > 0 {
            // The report has the worst ones only: where all of these differ, others may.
            let all_differ = wrong.len() == report.customers.len()
                && report.customers_total > report.customers.len() as u64;
            let least = if all_differ { "at least " } else { "" };
            format!("and {least}{} more that differ; ", count(listed as u64))
        } else {
            String::new()
        };
        let _ = writeln!(text, "  {more}{} in all", counted(report.customers_total, "customer"));
    }
}

/// The customers with a difference beyond tolerance, worst first.
pub(super) fn differing(report: &RunReport) -> impl Iterator<Item = &CustomerReport> {
    report.customers.iter().filter(|customer| customer.verdict > CustomerVerdict::WithinTolerance)
}

/// The column with the largest relative difference, one with unexplained cells before the others; an attribute where
/// no measure differs.
pub(super) fn worst(customer: &CustomerReport) -> Option<&ColumnReport> {
    // The cells of a customer that is not comparable were not compared.
    let columns = customer.columns.iter().filter(|column| relative(column) > 0.0 || column.largest.is_some());
    columns.filter(|_| customer.verdict != CustomerVerdict::NotComparable).max_by(|a, b| {
        (a.verdicts.unexplained > 0, relative(a))
            .partial_cmp(&(b.verdicts.unexplained > 0, relative(b)))
            .unwrap_or(std::cmp::Ordering::Equal)
    })
}

fn verdict(verdict: CustomerVerdict, style: Style) -> String {
    let word = parts::words(verdict.as_str());
    match verdict {
        CustomerVerdict::Unexplained => style.bad(&word),
        CustomerVerdict::Pending | CustomerVerdict::NotComparable => style.warn(&word),
        _ => word,
    }
}

fn relative(column: &ColumnReport) -> f64 {
    column.max_relative.as_ref().map_or(0.0, |f| f.to_f64())
}
