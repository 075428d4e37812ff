//! `dualrun run`

use dualrun_core::{ExitCode, Outcome, input::Side, load::LoadReport};
use dualrun_engine::{RunRequest, run_and_tell, run_side};
use dualrun_report::text;

use crate::{
    args::{Global, RunArgs, SideArg},
    commands::{not_ahead, today},
    error::CliError,
    output::{Output, result_file},
    progress::progress,
    project,
};

pub(crate) async fn run(global: &Global, args: &RunArgs, output: &Output) -> Result<ExitCode, CliError> {
    let mut loaded = None;
    let answer = attempt(global, args, output, &mut loaded).await;
    if let Err(error) = &answer {
        // The result file is written where it fails too: the scheduler reads it.
        let mut report = dualrun_engine::assess::blank_report(Outcome::Failed);
        report.pipeline = Some(args.pipeline.to_string());
        report.period = Some(args.period.to_string());
        report.failure = Some(error.failure());
        report.load = loaded;
        result_file(args.result_file.as_ref(), &report)?;
    }
    answer
}

async fn attempt(
    global: &Global,
    args: &RunArgs,
    output: &Output,
    loaded: &mut Option<LoadReport>,
) -> Result<ExitCode, CliError> {
    let as_of = args.as_of.unwrap_or_else(today);
    not_ahead(as_of)?;
    let context = project::open(global)?;
    let request = RunRequest {
        pipeline: args.pipeline.clone(),
        period: args.period,
        as_of,
        split: args.split,
        load: args.load,
    };
    let side = match args.side {
        SideArg::Legacy => Some(Side::Legacy),
        SideArg::New => Some(Side::New),
        SideArg::Both => None,
    };
    if let (Some(_), true) = (side, args.load) {
        return Err(CliError::Argument {
            message: "one side alone is calculated from what is there: --load goes with both".to_owned(),
            hint: Some("load first with `dualrun load`, or leave out --side".to_owned()),
        });
    }
    if let Some(side) = side {
        let report = run_side(&context, &request, side).await?;
        result_file(args.result_file.as_ref(), &report)?;
        output.text_or_json(&report, |_| {
            let mut lines =
                vec![format!("{} {} side {}: {} rows", report.pipeline, report.period, side, report.rows)];
            lines.extend(report.totals.iter().map(|(measure, total)| format!("  {measure}  {total}")));
            lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
            lines.join("\n")
        })?;
        let checked = report.checks.iter().all(|c| c.passed);
        return Ok(if checked { ExitCode::Agree } else { ExitCode::Differs });
    }
    let progress = progress(output.quiet());
    progress.begin(1);
    let answer = run_and_tell(&context, &request, progress.as_ref(), loaded).await?;
    match &answer.report {
        Some(report) => {
            progress.done(&request.pipeline, &request.period.to_string(), report.outcome.as_str());
            result_file(args.result_file.as_ref(), report)?;
            output.text_or_json(report, |style| text::run(report, style))?;
            if answer.repeated {
                output.note("this run was recorded before; nothing was calculated");
            }
        }
        None => {
            progress.done(&request.pipeline, &request.period.to_string(), "nothing to do");
            let mut report = dualrun_engine::assess::blank_report(Outcome::NotComparable);
            report.pipeline = Some(args.pipeline.to_string());
            report.period = Some(args.period.to_string());
            report.notes.clone_from(&answer.notes);
            report.load.clone_from(loaded);
            result_file(args.result_file.as_ref(), &report)?;
            output.note(&format!("nothing to do: {}", answer.notes.join("; ")));
        }
    }
    Ok(answer.code)
}
