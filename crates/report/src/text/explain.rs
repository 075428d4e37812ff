//! Why the sides of a run differ, for a terminal.

use std::fmt::Write;

use dualrun_core::{
    Outcome,
    run::{ColumnKind, ColumnReport, RunReport, figures::Figure},
};

use super::{
    largest,
    numbers::{aligned, counted, figure, plus, signed_percent},
    parts,
    table::{Align, Table},
    wrap::paragraph,
};
use crate::style::Style;

/// Bridge, findings and inputs of a run: why its sides differ.
pub fn explain(report: &RunReport, style: Style) -> String {
    let mut text = parts::heading(report, style);
    if let Some(failure) = &report.failure {
        parts::failure(&mut text, failure);
        return text;
    }
    for column in report.columns.iter().filter(|column| column.kind == ColumnKind::Measure) {
        waterfall(&mut text, column, report, style);
    }
    parts::bridge(&mut text, report, style);
    parts::findings(&mut text, report, style);
    parts::inputs(&mut text, report, style);
    parts::checks(&mut text, report, style);
    if report.outcome == Outcome::Agrees && report.bridge.is_empty() {
        let rest = match report.rows.verdicts.within_tolerance {
            0 => "nothing differs",
            _ => "what differs is within tolerance",
        };
        let _ = writeln!(text, "\nnothing to explain: no declared change moved a figure, and {rest}");
    }
    parts::notes(&mut text, report);
    largest::truncated(&mut text, report, style);
    if let Some(path) = &report.differences.path {
        let all = if report.differences.truncated { "" } else { "all " };
        let rows = counted(report.differences.rows, "row");
        text.push('\n');
        text.push_str(&paragraph(&format!("{all}{rows} with a difference: {path}"), 0, 2));
    }
    text
}

/// legacy + Σ effects + what no declared change accounts for = new, for a measure whose sides differ.
fn waterfall(text: &mut String, column: &ColumnReport, report: &RunReport, style: Style) {
    let (Some(legacy), Some(new)) = (&column.legacy_total, &column.new_total) else { return };
    let nothing = |figure: &Option<Figure>| figure.as_ref().is_none_or(|figure| figure.to_f64() == 0.0);
    let effects: Vec<_> = report.bridge.iter().filter(|entry| entry.column == column.name).collect();
    if nothing(&column.net_difference) && nothing(&column.gross_difference) && effects.is_empty() {
        return;
    }
    let (legacy, new) = (legacy.to_f64(), new.to_f64());
    let moved: f64 = effects.iter().map(|entry| entry.effect.to_f64()).sum();
    let net = column.net_difference.as_ref().map_or(new - legacy, Figure::to_f64);
    // Sums of floats are good to a few units in the last of their 16 digits; beyond that a rest is real.
    let noise = 1e-14 * [legacy, new, moved].into_iter().map(f64::abs).fold(0.0, f64::max);
    let rest = if (net - moved).abs() <= noise { 0.0 } else { net - moved };
    let share = |value: f64| (value != 0.0 && legacy != 0.0).then(|| value / legacy.abs());
    let mut steps = vec![("legacy".to_owned(), legacy, None)];
    for entry in &effects {
        let effect = entry.effect.to_f64();
        steps.push((format!("  {}", entry.change), effect, entry.relative.or_else(|| share(effect))));
    }
    steps.push(("  not by a declared change".to_owned(), rest, share(rest)));
    steps.push(("new".to_owned(), new, None));

    let values: Vec<f64> = steps.iter().map(|(_, value, _)| *value).collect();
    let shown = aligned(&values)
        .unwrap_or_else(|| values.iter().map(|value| figure(&Figure::from_f64(*value))).collect());
    let mut table = Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Right)]);
    for ((label, value, share), shown) in steps.into_iter().zip(shown) {
        let shown = if value == 0.0 { "0".to_owned() } else { shown };
        let shown = if label.starts_with(' ') { plus(value, shown) } else { shown };
        table.row([label, shown, share.map(signed_percent).unwrap_or_default()]);
    }
    let unit = column.unit.as_deref().map(|unit| format!(" [{unit}]")).unwrap_or_default();
    let _ = write!(
        text,
        "\n{}\n{}",
        style.bold(&format!("{}{unit}, from legacy to new", column.name)),
        table.render()
    );
    let gross = column.gross_unexplained.as_ref().filter(|gross| gross.to_f64() > rest.abs() + noise);
    if let Some(gross) = gross {
        let line = format!(
            "unexplained differences add up to {} in size: errors in both directions offset each other",
            figure(gross)
        );
        text.push_str(&paragraph(&line, 4, 4));
    }
}
