//! The status of a project for a terminal.

use std::fmt::Write;

use dualrun_core::{Outcome, PeriodUnit};
use dualrun_tracker::model::{GateAnswer, NightAnswer, NightMark, PipelineStatus, Status};

use super::{
    numbers::counted,
    parts,
    review::review,
    run::outcome,
    table::{Align, Table},
    wrap::{cut, paragraph, plain},
};
use crate::style::Style;

/// How much of a detail a terminal shows.
const LONGEST: usize = 160;

/// How much of a title a terminal shows.
const TITLE: usize = 44;

/// How many nights the strip of a terminal shows.
const STRIP: usize = 20;

/// Phases, pipelines, streaks and what blocks.
pub fn status(status: &Status, style: Style) -> String {
    let mut text = String::new();
    let title = format!("{}, as of {}", plain(&status.project), status.as_of);
    let _ = writeln!(text, "{}  environment {}", style.bold(&title), status.environment);
    let t = &status.totals;
    let mut said = format!(
        "{}: {} at parity or beyond, {} of them migrated; latest night: {} clean, {} broken",
        counted(u64::from(t.pipelines), "pipeline"),
        t.at_parity,
        t.migrated,
        t.clean,
        t.broken
    );
    if t.unanswered > 0 {
        let _ = write!(said, ", {} without an answer", t.unanswered);
    }
    text.push_str(&paragraph(&said, 0, 2));
    phases(&mut text, status);
    pipelines(&mut text, status, style);
    changes(&mut text, status, style);
    findings(&mut text, status, style);
    if !status.blockers.is_empty() {
        let _ = writeln!(text, "\n{}", style.bold("what blocks, the most harmful first"));
        for (n, blocker) in status.blockers.iter().enumerate() {
            let line = format!("{}. {}", n + 1, plain(blocker));
            text.push_str(&paragraph(&line, if n < 9 { 3 } else { 2 }, 6));
        }
    }
    text
}

fn phases(text: &mut String, status: &Status) {
    let mut table = Table::new(&[
        ("phase", Align::Left),
        ("planned", Align::Left),
        ("", Align::Left),
        ("pipelines", Align::Right),
        ("at parity", Align::Right),
        ("migrated", Align::Right),
    ]);
    for phase in &status.phases {
        let planned = match (phase.start, phase.end) {
            (Some(start), Some(end)) => format!("{start} to {end}"),
            _ => "no dates".to_owned(),
        };
        table.row([
            phase.number.to_string(),
            planned,
            phase.timing.as_str().replace('_', " "),
            phase.pipelines.to_string(),
            phase.at_parity.to_string(),
            phase.migrated.to_string(),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(text, "\n{}", table.render());
    }
}

fn pipelines(text: &mut String, status: &Status, style: Style) {
    let mut table = Table::new(&[
        ("pipeline", Align::Left),
        ("phase", Align::Right),
        ("stage", Align::Left),
        ("latest", Align::Left),
        ("streak", Align::Right),
        ("gates", Align::Right),
        ("last nights", Align::Left),
    ]);
    for pipeline in &status.pipelines {
        let latest =
            pipeline.last_outcome.map_or_else(|| style.dim("never ran"), |o: Outcome| outcome(o, style));
        let passed = pipeline.gates.iter().filter(|gate| gate.answer == GateAnswer::Pass).count();
        table.row([
            pipeline.id.to_string(),
            pipeline.phase.to_string(),
            pipeline.stage.to_string().replace('_', " "),
            latest,
            streak(pipeline),
            format!("{passed}/{}", pipeline.gates.len()),
            strip(&pipeline.history),
        ]);
    }
    if table.is_empty() {
        text.push_str("\nno pipeline is declared\n");
        return;
    }
    let _ = write!(text, "\n{}", table.render());
    let legend = "streak: clean nights in a row, of those required; months (m) where monthly; ? not known";
    let _ = writeln!(text, "  {}", style.dim(legend));
    let _ = writeln!(
        text,
        "  {}",
        style.dim("last nights, newest right: . clean  X broken  o no answer  _ missing")
    );
}

fn streak(pipeline: &PipelineStatus) -> String {
    let unit = match pipeline.streak.unit {
        PeriodUnit::Day => "",
        PeriodUnit::Month => " m",
    };
    let unknown = if pipeline.streak.unknown.is_some() { " ?" } else { "" };
    format!("{} of {}{unit}{unknown}", pipeline.streak.nights, pipeline.streak.required)
}

/// One character a night, oldest first.
fn strip(history: &[NightMark]) -> String {
    history[history.len().saturating_sub(STRIP)..]
        .iter()
        .map(|mark| match mark.answer {
            NightAnswer::Clean => '.',
            NightAnswer::Broken => 'X',
            NightAnswer::Neutral => 'o',
            NightAnswer::Missing => '_',
        })
        .collect()
}

fn findings(text: &mut String, status: &Status, style: Style) {
    let all: Vec<_> = status.pipelines.iter().flat_map(|p| p.findings.iter().map(move |f| (p, f))).collect();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold("open findings"));
    for (pipeline, finding) in all {
        let line = format!(
            "{}: {} in {}: {} ({}), {}, since {}",
            pipeline.id,
            style.bad(&parts::words(&finding.signature)),
            finding.column,
            cut(&plain(&finding.detail), LONGEST),
            parts::place(&finding.segment),
            parts::touched(finding.rows, finding.customers),
            finding.first_seen
        );
        text.push_str(&paragraph(&line, 2, 4));
    }
}

fn changes(text: &mut String, status: &Status, style: Style) {
    let mut table = Table::new(&[
        ("change", Align::Left),
        ("review", Align::Left),
        ("title", Align::Left),
        ("pipelines", Align::Left),
    ]);
    for change in &status.changes {
        let pipelines: Vec<String> = change.pipelines.iter().map(ToString::to_string).collect();
        table.row([
            change.id.to_string(),
            review(change.review.status, style),
            cut(&plain(&change.title), TITLE),
            pipelines.join(", "),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(text, "\n{}", table.render());
    }
}
