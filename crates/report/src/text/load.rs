//! A load for a terminal.

use std::fmt::Write;

use dualrun_core::{
    ExitCode, Period,
    load::{InputLoad, LoadMode, LoadOutcome, LoadReport, StoreOutcome, StoredModel},
};

use super::{
    numbers::{count, counted},
    parts,
    table::{Align, Table},
    wrap::{paragraph, plain},
};
use crate::style::Style;

/// Folders and periods that are listed.
const LISTED: usize = 6;

/// What was copied, what was calculated again, and how the load ends.
pub fn load(report: &LoadReport, style: Style) -> String {
    let mut text = String::new();
    if let Some(failure) = &report.failure {
        parts::failure(&mut text, failure);
    }
    if report.inputs.is_empty() && report.models.is_empty() && report.failure.is_none() {
        text.push_str("nothing to load: no input declares `load`, and no calculation `store`\n");
    }
    copies(&mut text, &report.inputs, style);
    models(&mut text, &report.models, style);
    let words = match report.exit_code {
        ExitCode::Agree => "loaded",
        ExitCode::Nothing if held(report) => "another process holds a table, and nothing was loaded",
        ExitCode::Nothing => "nothing to do",
        ExitCode::Usage => "wrong usage or configuration",
        _ => "infrastructure; a retry may help",
    };
    let _ = writeln!(text, "\nexit code {}: {words}", u8::from(report.exit_code));
    text
}

/// Whether another process kept something from being loaded.
fn held(report: &LoadReport) -> bool {
    report.inputs.iter().any(|input| input.outcome == LoadOutcome::Held)
        || report.models.iter().any(|model| model.outcome == StoreOutcome::Held)
}

/// The load that a run began with.
pub(super) fn of_run(text: &mut String, report: &LoadReport, style: Style) {
    if report.inputs.is_empty() && report.models.is_empty() {
        text.push_str("\nnothing to load: no input declares `load`, and no calculation `store`\n");
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold("loaded before, in the state that was compared"));
    copies(text, &report.inputs, style);
    models(text, &report.models, style);
}

/// What became of a load, in a line; none where nothing did.
pub(super) fn line(report: &LoadReport) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for input in &report.inputs {
        let rows = &input.rows;
        parts.push(match input.outcome {
            LoadOutcome::Loaded => format!(
                "{} new and {} changed rows in {}",
                count(rows.added.saturating_sub(rows.moved)),
                count(rows.changed + rows.moved),
                plain(&input.table)
            ),
            LoadOutcome::NothingNew => continue,
            LoadOutcome::Held => format!("{} is held by another process", plain(&input.table)),
            LoadOutcome::Failed => format!("{} could not be loaded", plain(&input.table)),
        });
    }
    for model in &report.models {
        parts.push(match model.outcome {
            StoreOutcome::Stored => {
                format!(
                    "{} of {} kept anew",
                    counted(model.periods.len() as u64, "period"),
                    plain(&model.model)
                )
            }
            StoreOutcome::NothingNew => continue,
            StoreOutcome::Held => format!("{} is held by another process", plain(&model.table)),
            StoreOutcome::Failed => format!("{} could not be kept", plain(&model.model)),
        });
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn copies(text: &mut String, inputs: &[InputLoad], style: Style) {
    let mut table = Table::new(&[
        ("table", Align::Left),
        ("outcome", Align::Left),
        ("read", Align::Right),
        ("new", Align::Right),
        ("changed", Align::Right),
        ("gone", Align::Right),
        ("rows now", Align::Right),
        ("written anew", Align::Left),
    ]);
    for input in inputs {
        let word = match input.outcome {
            LoadOutcome::Loaded => style.good("loaded"),
            LoadOutcome::NothingNew => style.dim("nothing new"),
            LoadOutcome::Held => style.warn("held by another"),
            LoadOutcome::Failed => style.bad("failed"),
        };
        let is_told = matches!(input.outcome, LoadOutcome::Loaded | LoadOutcome::NothingNew);
        let number = |n: u64| if is_told { count(n) } else { String::new() };
        let rows = &input.rows;
        table.row([
            input.table.clone(),
            word,
            number(rows.read),
            number(rows.added.saturating_sub(rows.moved)),
            number(rows.changed + rows.moved),
            if input.deletions_looked_for { number(rows.removed) } else { String::new() },
            number(rows.total),
            list(input.partitions.iter().map(|folder| if folder.is_empty() { "all" } else { folder })),
        ]);
    }
    text.push_str(&table.render());
    for input in inputs {
        let mut lines: Vec<String> = Vec::new();
        let told = matches!(input.outcome, LoadOutcome::Loaded | LoadOutcome::NothingNew);
        if let (Some(watermark), true) = (&input.watermark, told) {
            let from = watermark.from.map_or_else(|| "the start".to_owned(), |mark| mark.to_string());
            let to = watermark.to.map_or_else(|| "none".to_owned(), |mark| mark.to_string());
            lines.push(format!("{} from {from}, all is loaded up to {to}", watermark.column));
        }
        if told && input.mode == LoadMode::Incremental {
            lines.push("rows that are gone at the source were not looked for: `--full` does".to_owned());
        }
        lines.extend(input.consistency.iter().filter(|_| told).map(|said| format!("read: {said}")));
        lines.extend(input.notes.iter().map(|note| plain(note)));
        if lines.is_empty() && input.failure.is_none() {
            continue;
        }
        let _ = write!(text, "\n{}", paragraph(&style.bold(&input.table), 0, 2));
        for line in lines {
            text.push_str(&paragraph(&line, 2, 4));
        }
        if let Some(failure) = &input.failure {
            parts::failure(text, failure);
        }
    }
}

fn models(text: &mut String, models: &[StoredModel], style: Style) {
    if models.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("table", Align::Left),
        ("outcome", Align::Left),
        ("rows", Align::Right),
        ("unchanged", Align::Right),
        ("calculated anew", Align::Left),
    ]);
    for model in models {
        let word = match model.outcome {
            StoreOutcome::Stored => style.good("stored"),
            StoreOutcome::NothingNew => style.dim("nothing new"),
            StoreOutcome::Held => style.warn("held by another"),
            StoreOutcome::Failed => style.bad("failed"),
        };
        table.row([
            format!("{} {}", model.pipeline, model.model),
            model.table.clone(),
            word,
            count(model.rows),
            counted(model.unchanged, "period"),
            list(model.periods.iter().map(Period::to_string)),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    let mut told: Vec<&dualrun_core::run::Failure> = Vec::new();
    for failure in models.iter().filter_map(|model| model.failure.as_ref()) {
        if !told.contains(&failure) {
            parts::failure(text, failure);
            told.push(failure);
        }
    }
}

/// The first of some names, and how many there are more.
fn list<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<T> = names.collect();
    let mut text = names.iter().take(LISTED).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        let _ = write!(text, " and {} more", names.len() - LISTED);
    }
    text
}
