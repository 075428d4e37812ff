//! `dualrun demo`

mod screen;

use std::{fmt::Write, path::Path, sync::Arc, time::Instant};

use dualrun_core::{ExitCode, Outcome};
use dualrun_demo::{
    DemoError,
    layout::{LayoutOptions, lay_out},
    play::{Played, PlayedNight, play},
    scenario::{FIRST_NIGHT, LAST_NIGHT},
};
use dualrun_engine::stages;
use dualrun_report::{Style, html, markdown, text};
use jiff::ToSpan;
use serde_json::json;

use crate::{
    args::DemoArgs,
    commands::init::empty_or_new,
    error::CliError,
    output::{Output, write_whole},
    progress::bar,
    project,
};

/// Two months of inputs: over a month end and a change of clocks, with margins.
const INPUT_DAYS_BEFORE: i32 = 12;

pub(crate) async fn run(args: &DemoArgs, output: &Output) -> Result<ExitCode, CliError> {
    let all = u32::try_from((LAST_NIGHT - FIRST_NIGHT).get_days()).unwrap_or(0) + 1;
    let nights = args.nights.unwrap_or(all).min(all);
    if nights == 0 && !args.inputs_only {
        return Err(DemoError::NoNights.into());
    }
    let dir = args.out.as_path();
    prepare(dir)?;
    let started = Instant::now();
    inputs(dir, args.seed, output)?;
    if args.inputs_only {
        output.note(&format!("laid out in {}, {:.0} s", dir.display(), started.elapsed().as_secs_f64()));
        return Ok(ExitCode::Agree);
    }
    let played = nights_of(dir, nights, output).await?;
    let status = stages::status(&played.context, None).await?;
    let readiness = stages::readiness(&played.context, None).await?;
    let pages = [
        ("status.html", html::status(&status)?),
        ("readiness.html", html::readiness(&readiness)?),
        ("readiness.md", markdown::readiness(&readiness)),
    ];
    for (name, page) in &pages {
        write_whole(&dir.join(name), page.as_bytes())?;
    }
    let answer = json!({
        "schema": "dualrun.demo/1",
        "folder": dir,
        "nights": played.nights.iter().map(|n| &n.report).collect::<Vec<_>>(),
        "runs": played.runs,
        "seconds": started.elapsed().as_secs_f64(),
        "status": status,
    });
    output.text_or_json(&answer, |style| {
        screen::last(dir, &played, &status, started.elapsed().as_secs_f64(), style)
    })?;
    Ok(ExitCode::Agree)
}

/// A folder of an earlier demo is made anew; any other folder with something in it is left alone.
fn prepare(dir: &Path) -> Result<(), CliError> {
    let marker = dir.join(".dualrun-demo");
    let failed = |source| CliError::File { path: dir.to_owned(), source };
    if marker.is_file() {
        std::fs::remove_dir_all(dir).map_err(failed)?;
    } else {
        empty_or_new(dir)?;
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::write(&marker, "made by dualrun demo; the next demo replaces this folder\n").map_err(failed)
}

fn inputs(dir: &Path, seed: u64, output: &Output) -> Result<(), CliError> {
    output.note("1/2 inventing the documents of 40 customers, and loading the same facts into the lake");
    let options = LayoutOptions {
        seed,
        first_day: FIRST_NIGHT.checked_sub(INPUT_DAYS_BEFORE.days()).unwrap_or(FIRST_NIGHT),
        last_day: LAST_NIGHT,
    };
    let bar = bar(0, output.quiet());
    lay_out(dir, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(())
}

async fn nights_of(dir: &Path, nights: u32, output: &Output) -> Result<Played, CliError> {
    output.note(&format!("2/2 {nights} nights: both calculations, their replays, the comparison"));
    let bar = bar(u64::from(nights), output.quiet());
    let open = |dir: &Path, clock: Arc<dyn dualrun_engine::Clock>| {
        project::open_at(dir, "default", clock).map_err(|error| match error {
            CliError::Engine(error) => DemoError::Engine(error),
            CliError::Project { text, .. } => DemoError::Project(text),
            other => DemoError::Project(other.chain()),
        })
    };
    let style = output.style;
    let played = play(dir, nights, &open, &mut |night| {
        bar.inc(1);
        let line = night_line(night, style);
        if bar.is_hidden() { output.note(&line) } else { bar.suspend(|| output.note(&line)) }
    })
    .await?;
    bar.finish_and_clear();
    Ok(played)
}

/// One night in one line: what was changed before it, and what it found.
fn night_line(night: &PlayedNight, style: Style) -> String {
    let mut counts = std::collections::BTreeMap::<Outcome, u32>::new();
    for run in &night.report.runs {
        if let Some(outcome) = run.outcome {
            *counts.entry(outcome).or_default() += 1;
        }
    }
    let found: Vec<String> =
        counts.iter().map(|(o, n)| format!("{n} {}", text::outcome(*o, style))).collect();
    let mut line =
        format!("  {}  exit {}  {}", night.date, u8::from(night.report.exit_code), found.join(", "));
    if !night.approved.is_empty() {
        let _ = write!(line, "; approved {}", night.approved.join(", "));
    }
    if night.deployed {
        line.push_str("; new SQL deployed");
    }
    for change in &night.report.stages {
        let _ = write!(line, "; {} to {}", change.pipeline, change.to.as_str().replace('_', " "));
    }
    line
}
