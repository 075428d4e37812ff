//! What a run's summary and its explanation both say.

use std::fmt::Write;

use dualrun_core::run::{Failure, Finding, Promise, RunReport};

use super::{
    numbers::{count, counted, figure, percent, signed, signed_percent},
    run::{outcome, sentence},
    table::{Align, Table},
    wrap::{cut, paragraph, plain},
};
use crate::style::Style;

/// How much of a detail or a condition a terminal shows.
const LONGEST: usize = 240;

/// Pipeline, period and run, then the outcome in one sentence.
pub(super) fn heading(report: &RunReport, style: Style) -> String {
    let mut text = String::new();
    if let Some(pipeline) = &report.pipeline {
        let period = report.period.as_deref().unwrap_or("period not known");
        let night = report.as_of.as_deref().map(|day| format!(", night of {day}")).unwrap_or_default();
        let _ = writeln!(text, "{}  {period}{night}", style.bold(pipeline));
        let _ = writeln!(text, "{}", style.dim(&format!("run {}", report.run_id)));
    }
    text.push_str(&paragraph(&format!("{}: {}", outcome(report.outcome, style), sentence(report)), 0, 2));
    text
}

/// Where it failed, why, and the way out.
pub(super) fn failure(text: &mut String, failure: &Failure) {
    text.push('\n');
    text.push_str(&paragraph(&format!("failed at {}: {}", failure.stage, plain(&failure.message)), 0, 2));
    if let Some(hint) = &failure.hint {
        text.push_str(&paragraph(&format!("hint: {}", plain(hint)), 2, 8));
    }
    if failure.retryable {
        text.push_str("  the same command may succeed later without any change\n");
    }
}

/// Inputs that differ between the sides, and values that did not fit their types.
pub(super) fn inputs(text: &mut String, report: &RunReport, style: Style) {
    for input in report.inputs.iter().filter(|input| !input.comparable) {
        let customers = match input.customers_not_comparable {
            0 => String::new(),
            n => format!(" for {}", counted(n, "customer")),
        };
        let line = format!(
            "{} {} is not the same on both sides{customers} (compared by {})",
            style.warn("input"),
            input.name,
            input.fence
        );
        let _ = write!(text, "\n{}", paragraph(&line, 0, 2));
        let mut table = Table::new(&[
            ("customer", Align::Left),
            ("legacy rows", Align::Right),
            ("new rows", Align::Right),
            ("", Align::Right),
        ]);
        for difference in &input.not_comparable {
            let missing = i128::from(difference.new_rows) - i128::from(difference.legacy_rows);
            let missing =
                if missing == 0 { "same number, other content".to_owned() } else { format!("{missing:+}") };
            table.row([
                difference.customer.as_deref().map_or_else(|| "(all)".to_owned(), name),
                count(difference.legacy_rows),
                count(difference.new_rows),
                missing,
            ]);
        }
        if !table.is_empty() {
            text.push_str(&table.render());
        }
        match input.customers_not_comparable.saturating_sub(input.not_comparable.len() as u64) {
            0 => {}
            rest => {
                let _ = writeln!(text, "  and {} more", count(rest));
            }
        }
    }
    for input in &report.inputs {
        let sides = [("legacy", input.misfits.legacy), ("new", input.misfits.new)];
        let sides: Vec<String> = sides
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(side, n)| format!("{} on the {side} side", counted(n, "document")))
            .collect();
        if !sides.is_empty() {
            let line = format!(
                "input {}: a value does not fit its declared type in {}",
                input.name,
                sides.join(" and ")
            );
            let _ = write!(text, "\n{}", paragraph(&line, 0, 2));
        }
    }
}

/// Data checks that did not pass.
pub(super) fn checks(text: &mut String, report: &RunReport, style: Style) {
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.passed).collect();
    if failed.is_empty() {
        return;
    }
    text.push('\n');
    for check in failed {
        let label = style.bad("data check failed:");
        let line =
            format!("{label} {} on the {} side counts {}, must be 0", check.name, check.side, check.count);
        text.push_str(&paragraph(&line, 0, 2));
    }
}

/// Findings, one paragraph each.
pub(super) fn findings(text: &mut String, report: &RunReport, style: Style) {
    if report.findings.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold("unexplained, by what it looks like"));
    for finding in &report.findings {
        // Without a pipeline nobody counted the rows of the results: where they agree is not known.
        let everywhere = report.pipeline.is_some();
        text.push_str(&paragraph(&what(finding, everywhere, style), 2, 4));
        let unit = report.columns.iter().find(|c| c.name == finding.column).and_then(|c| c.unit.as_deref());
        let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        let size =
            finding.gross.as_ref().map(|gross| format!("{}{unit}, ", figure(gross))).unwrap_or_default();
        let of = if finding.column == "presence" {
            "of the rows on one side only that nothing explains".to_owned()
        } else {
            format!("of what is unexplained in {}", finding.column)
        };
        let sample = finding
            .sample
            .map(|sample| format!(" in {} of {} cells", count(sample.cells), count(sample.of)))
            .unwrap_or_default();
        let line = format!(
            "{}{sample}: {size}{} {of}",
            touched(finding.rows, finding.customers),
            percent(finding.share_of_unexplained)
        );
        text.push_str(&paragraph(&line, 4, 4));
    }
}

/// What a finding looks like and where it lies; `everywhere` is said where it is known.
fn what(finding: &Finding, everywhere: bool, style: Style) -> String {
    let place = match place(&finding.segment) {
        _ if finding.segment == "true" && !everywhere => String::new(),
        place => format!(" ({place})"),
    };
    format!(
        "{} in {}: {}{place}",
        style.bad(&words(&finding.signature)),
        finding.column,
        cut(&plain(&finding.detail), LONGEST),
    )
}

/// Rows of a finding, and its customers where they are known.
pub(super) fn touched(rows: u64, customers: u64) -> String {
    let rows = counted(rows, "row");
    if customers == 0 { rows } else { format!("{rows} of {}", counted(customers, "customer")) }
}

/// Where a finding lies.
pub(super) fn place(segment: &str) -> String {
    if segment == "true" {
        // Everywhere, or no column tells where.
        "in no particular segment".to_owned()
    } else {
        format!("where {}", cut(&plain(segment), LONGEST))
    }
}

/// What each declared change moved.
pub(super) fn bridge(text: &mut String, report: &RunReport, style: Style) {
    if report.bridge.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("change", Align::Left),
        ("column", Align::Left),
        ("effect", Align::Right),
        ("of legacy", Align::Right),
        ("cells", Align::Right),
        ("rows ±", Align::Right),
        ("review", Align::Left),
        ("promise", Align::Left),
    ]);
    for entry in &report.bridge {
        let error = entry.standard_error.as_ref().map(|e| format!(" ± {}", figure(e))).unwrap_or_default();
        table.row([
            entry.change.clone(),
            entry.column.clone(),
            format!("{}{error}", signed(&entry.effect)),
            entry.relative.map(signed_percent).unwrap_or_default(),
            count(entry.cells),
            if entry.rows > 0 { count(entry.rows) } else { String::new() },
            if entry.approved { style.good("approved") } else { style.warn("not approved") },
            promise(entry.promise, style),
        ]);
    }
    let _ = write!(text, "\n{}\n{}", style.bold("what declared changes moved"), table.render());
    for entry in &report.bridge {
        for sentence in &entry.broken {
            let label = style.bad("broken promise:");
            text.push_str(&paragraph(
                &format!("{label} {} in {}: {sentence}", entry.change, entry.column),
                2,
                4,
            ));
        }
    }
}

/// A promise in a word.
pub(super) fn promise(promise: Promise, style: Style) -> String {
    match promise {
        Promise::Kept => style.good("kept"),
        Promise::Broken => style.bad("broken"),
        Promise::NotYetKnown => "not yet known".to_owned(),
        Promise::None => "none given".to_owned(),
    }
}

/// What was noticed beside the comparison.
pub(super) fn notes(text: &mut String, report: &RunReport) {
    if report.notes.is_empty() {
        return;
    }
    text.push('\n');
    for note in &report.notes {
        text.push_str(&paragraph(&format!("note: {}", plain(note)), 0, 6));
    }
}

/// A customer as a terminal shows it.
pub(super) fn name(customer: &str) -> String {
    cut(&plain(customer), 32)
}

/// A name of JSON as words.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}
