//! `dualrun load`

use dualrun_core::{ExitCode, load::LoadReport};
use dualrun_engine::{LoadRequest, load};
use dualrun_report::text;

use crate::{
    args::{Global, LoadArgs},
    commands::yesterday,
    error::CliError,
    output::{Output, result_file},
    progress::progress,
    project,
};

pub(crate) async fn run(global: &Global, args: &LoadArgs, output: &Output) -> Result<ExitCode, CliError> {
    match attempt(global, args, output).await {
        Ok(report) => {
            result_file(args.result_file.as_ref(), &report)?;
            output.text_or_json(&report, |style| text::load(&report, style))?;
            Ok(report.exit_code)
        }
        Err(error) => {
            // The result file is written where it fails too: the scheduler reads it.
            let mut report = LoadReport::empty(&global.env, error.exit_code());
            report.failure = Some(error.failure());
            result_file(args.result_file.as_ref(), &report)?;
            Err(error)
        }
    }
}

async fn attempt(global: &Global, args: &LoadArgs, output: &Output) -> Result<LoadReport, CliError> {
    let context = project::open(global)?;
    let request = LoadRequest {
        pipelines: args.pipeline.clone(),
        period: args.period,
        full: args.full,
        yesterday: yesterday(),
    };
    let progress = progress(output.quiet());
    Ok(load(&context, &request, progress.as_ref()).await?)
}
