//! `dualrun nightly`

use dualrun_core::{ExitCode, night::NightReport};
use dualrun_engine::{NightRequest, nightly};
use dualrun_report::text;

use crate::{
    args::{Global, NightlyArgs},
    commands::{not_ahead, today, yesterday},
    error::CliError,
    output::{Output, result_file},
    progress::progress,
    project,
};

pub(crate) async fn run(global: &Global, args: &NightlyArgs, output: &Output) -> Result<ExitCode, CliError> {
    let request = NightRequest {
        day: args.period.unwrap_or_else(yesterday),
        as_of: args.as_of.unwrap_or_else(today),
        pipelines: args.pipeline.clone(),
        load: args.load,
    };
    match attempt(global, &request, output).await {
        Ok(report) => {
            result_file(args.result_file.as_ref(), &report)?;
            output.text_or_json(&report, |style| text::night(&report, style))?;
            Ok(report.exit_code)
        }
        Err(error) => {
            // The result file is written where it fails too: the scheduler reads it.
            let mut report = NightReport::empty(request.day, request.as_of, &global.env, error.exit_code());
            report.failure = Some(error.failure());
            result_file(args.result_file.as_ref(), &report)?;
            Err(error)
        }
    }
}

async fn attempt(global: &Global, request: &NightRequest, output: &Output) -> Result<NightReport, CliError> {
    not_ahead(request.as_of)?;
    let context = project::open(global)?;
    Ok(nightly(&context, request, progress(output.quiet())).await?)
}
