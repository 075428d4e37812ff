//! The last screen of the demo: what a newcomer should see and try.

use std::{fmt::Write, path::Path};

use dualrun_core::{Outcome, PeriodUnit, run::Finding};
use dualrun_demo::{
    play::{Played, standings},
    scenario::{Bug, LAST_NIGHT},
};
use dualrun_report::{
    Style,
    text::{outcome, paragraph},
};
use dualrun_tracker::model::{PipelineStatus, Status};

use crate::output::pasteable;

/// Columns of the first word of a line.
const WORD: usize = 16;
/// Columns of the name of a pipeline.
const NAME: usize = 22;

pub(super) fn last(dir: &Path, played: &Played, status: &Status, seconds: f64, style: Style) -> String {
    let mut text = String::new();
    let title =
        format!("{} nights of a migration, {} runs, {seconds:.0} s", played.nights.len(), played.runs);
    let _ = writeln!(text, "{}", style.bold(&title));
    standing(&mut text, status, style);
    bugs(&mut text, played, style);
    stages(&mut text, played, style);
    next(&mut text, dir, status, style);
    text
}

fn standing(text: &mut String, status: &Status, style: Style) {
    let _ = writeln!(text, "\n{}", style.bold("Where the pipelines stand after the last night"));
    let mut pipelines: Vec<&PipelineStatus> = status.pipelines.iter().collect();
    pipelines.sort_by_key(|p| p.last_outcome);
    for pipeline in pipelines {
        let word = pipeline.last_outcome.map_or_else(|| "never ran".to_owned(), |o| outcome(o, style));
        let plain = pipeline.last_outcome.map_or(9, |o| o.as_str().len());
        let gap = " ".repeat(WORD.saturating_sub(plain));
        let head = format!("  {word}{gap}{:<NAME$}", pipeline.id);
        hanging(text, &head, 2 + WORD + NAME, &remark(pipeline, status));
    }
}

fn remark(pipeline: &PipelineStatus, status: &Status) -> String {
    let of = |approved: bool| -> Vec<String> {
        let changes = status.changes.iter().filter(|c| pipeline.changes.contains(&c.id));
        changes.filter(|c| c.review.is_approved() == approved).map(|c| c.id.to_string()).collect()
    };
    match pipeline.last_outcome {
        Some(Outcome::Agrees) => {
            let unit = match pipeline.period_unit {
                PeriodUnit::Day => "clean nights",
                PeriodUnit::Month => "closed months",
            };
            let by = match of(true) {
                changes if changes.is_empty() => "the same on both sides".to_owned(),
                changes => format!("different by approved changes only ({})", changes.join(", ")),
            };
            format!("{by}; {} {unit} in a row", pipeline.streak.nights)
        }
        Some(Outcome::ReviewPending) => format!("{} waits for a review", of(false).join(", ")),
        Some(Outcome::NotComparable) => "its inputs differ between the sides".to_owned(),
        Some(Outcome::Failed) => "could not be run".to_owned(),
        Some(Outcome::Differs) => {
            let first = pipeline.findings.first().map(|f| {
                format!(
                    "{} in {}, {} rows, since {}",
                    f.signature.replace('_', " "),
                    f.column,
                    f.rows,
                    f.first_seen
                )
            });
            first.unwrap_or_else(|| "not explained".to_owned())
        }
        None => String::new(),
    }
}

/// What the scenario planted, when it was fixed, and what the comparison called it.
fn bugs(text: &mut String, played: &Played, style: Style) {
    let _ = writeln!(text, "\n{}", style.bold("Bugs on the way, and what the comparison made of them"));
    for bug in &played.scenario.bugs {
        let end = match bug.fixed {
            Some(day) => format!("fixed for the night of {day}"),
            None => "still there".to_owned(),
        };
        let found = found(bug, played).map_or_else(
            || "not met in these nights".to_owned(),
            |f| format!("{} in {}: {}", f.signature.replace('_', " "), f.column, f.detail),
        );
        hanging(
            text,
            &format!("  {:<NAME$}", bug.pipeline),
            2 + NAME,
            &format!("{} {}, {end}", bug.id, bug.title),
        );
        text.push_str(&style.dim(&paragraph(&found, 2 + NAME, 2 + NAME)));
    }
}

/// A head that takes `indent` columns, and text behind it whose further lines stand below the first.
fn hanging(text: &mut String, head: &str, indent: usize, body: &str) {
    let body = paragraph(body, indent, indent);
    text.push_str(head);
    text.push_str(body.get(indent..).unwrap_or("\n"));
}

/// The largest finding of the last night that had the bug.
fn found(bug: &Bug, played: &Played) -> Option<Finding> {
    let nights = played.nights.iter().rev().filter(|night| bug.is_present(night.date));
    nights
        .flat_map(|night| &night.report.runs)
        .filter(|run| run.pipeline == bug.pipeline)
        .find_map(|run| run.findings.first().cloned())
}

fn stages(text: &mut String, played: &Played, style: Style) {
    let _ = writeln!(text, "\n{}", style.bold("Stages"));
    for standing in standings(&played.nights) {
        for (date, change) in &standing.stages {
            let (from, to) = (change.from.as_str().replace('_', " "), change.to.as_str().replace('_', " "));
            let _ = writeln!(text, "  {:<NAME$}{date}: from {from} to {to}", standing.pipeline);
        }
    }
}

fn next(text: &mut String, dir: &Path, status: &Status, style: Style) {
    let at = |name: &str| dir.join(name).display().to_string();
    let _ = writeln!(text, "\n{}", style.bold("Look at"));
    let _ = writeln!(text, "  {}     the status page for the CTO", at("status.html"));
    let _ = writeln!(text, "  {}  can the old databases be switched off?", at("readiness.html"));
    let _ = writeln!(text, "\n{}", style.bold("Try next"));
    let project = pasteable(dir);
    let binary = std::env::args().next().unwrap_or_else(|| "dualrun".to_owned());
    let binary = pasteable(Path::new(&binary));
    let differs = status.pipelines.iter().find(|p| p.last_outcome == Some(Outcome::Differs));
    let worst = differs.or(status.pipelines.first()).map(|p| p.id.to_string()).unwrap_or_default();
    let after = LAST_NIGHT.tomorrow().unwrap_or(LAST_NIGHT);
    for command in [
        format!("explain {worst}"),
        "review list".to_owned(),
        "status".to_owned(),
        format!("nightly --period {LAST_NIGHT} --as-of {after}"),
    ] {
        let _ = writeln!(text, "  {binary} {command} --project {project}");
    }
}
