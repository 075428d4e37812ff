//! A night for a terminal.

use std::fmt::Write;

use dualrun_core::{
    ExitCode,
    night::{NightReport, NightRun},
};

use super::{
    load,
    numbers::counted,
    parts,
    run::outcome,
    table::{Align, Table},
    wrap::{cut, paragraph, plain},
};
use crate::style::Style;

/// How much of a message or a detail a night shows.
const LONGEST: usize = 160;

/// The runs of a night, what they found and how the job ends.
pub fn night(report: &NightReport, style: Style) -> String {
    let mut text = String::new();
    let title = format!("night of {}, results of {}", report.as_of, report.period);
    let again = if report.repeated { "  (recorded earlier, nothing was run now)" } else { "" };
    let _ = writeln!(text, "{}{again}", style.bold(&title));
    if let Some(failure) = &report.failure {
        parts::failure(&mut text, failure);
    }
    let mut table = Table::new(&[
        ("pipeline", Align::Left),
        ("period", Align::Left),
        ("outcome", Align::Left),
        ("", Align::Left),
    ]);
    for run in &report.runs {
        let word = run.outcome.map_or_else(|| style.dim("nothing to do"), |o| outcome(o, style));
        table.row([run.pipeline.to_string(), run.period.to_string(), word, remark(run)]);
    }
    if table.is_empty() {
        if report.failure.is_none() {
            text.push_str("\nno pipeline was due\n");
        }
    } else {
        let _ = write!(text, "\n{}", table.render());
    }
    if report.unchanged > 0 {
        let runs = counted(report.runs.len() as u64, "run");
        let (unchanged, nothing) = (report.unchanged, "nothing changed since an earlier night");
        let _ = writeln!(text, "\n{nothing} in {unchanged} of {runs}: its verdicts stand");
    }
    let loads = report.runs.iter().filter_map(|run| Some((run, load::line(run.load.as_ref()?)?)));
    for (n, (run, line)) in loads.enumerate() {
        let space = if n == 0 { "\n" } else { "" };
        let line = format!("loaded for {} {}: {line}", run.pipeline, run.period);
        let _ = write!(text, "{space}{}", paragraph(&line, 0, 2));
    }
    for (n, change) in report.stages.iter().enumerate() {
        let line = format!(
            "stage: {} moves from {} to {}: {}",
            change.pipeline,
            parts::words(change.from.as_str()),
            parts::words(change.to.as_str()),
            plain(&change.reason)
        );
        let space = if n == 0 { "\n" } else { "" };
        let _ = write!(text, "{space}{}", paragraph(&line, 0, 2));
    }
    let _ = writeln!(text, "\nexit code {}: {}", u8::from(report.exit_code), meaning(report.exit_code));
    text
}

fn remark(run: &NightRun) -> String {
    let mut said = Vec::new();
    if let Some(failure) = &run.failure {
        said.push(format!("failed at {}: {}", failure.stage, cut(&plain(&failure.message), LONGEST)));
    }
    if run.customers_not_comparable > 0 {
        said.push(format!(
            "inputs of {} are not the same",
            counted(run.customers_not_comparable, "customer")
        ));
    }
    if let Some((finding, rest)) = run.findings.split_first() {
        let more = if rest.is_empty() {
            String::new()
        } else {
            format!(", and {}", counted(rest.len() as u64, "more finding"))
        };
        let detail = cut(&plain(&finding.detail), LONGEST);
        said.push(format!("{} in {}: {detail}{more}", parts::words(&finding.signature), finding.column));
    }
    if !run.failed_checks.is_empty() {
        let noun = if run.failed_checks.len() == 1 { "data check" } else { "data checks" };
        said.push(format!("{noun} failed: {}", run.failed_checks.join(", ")));
    }
    if run.outcome.is_none() {
        said.extend(run.notes.iter().map(|note| plain(note)));
    }
    if !run.enforced {
        said.push("does not count for the exit code".to_owned());
    }
    said.join("; ")
}

/// What an exit code means, for people.
pub fn meaning(code: ExitCode) -> &'static str {
    match code {
        ExitCode::Agree => "the sides agree",
        ExitCode::Differs => "unexplained differences, or a failed data check",
        ExitCode::Usage => "wrong usage or configuration",
        ExitCode::Infrastructure => "infrastructure; a retry may help",
        ExitCode::NotComparable => "inputs not comparable",
        ExitCode::ReviewPending => "a methodology change waits for review",
        ExitCode::Nothing => "nothing to do, or another process holds the run",
    }
}
