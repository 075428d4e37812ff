//! `dualrun readiness`

use dualrun_core::ExitCode;
use dualrun_engine::stages;
use dualrun_report::{html, markdown};

use crate::{
    args::{Format, Global, ReadinessArgs},
    commands::status::deliver,
    error::CliError,
    output::Output,
    project,
};

pub(crate) async fn run(
    global: &Global,
    args: &ReadinessArgs,
    output: &Output,
) -> Result<ExitCode, CliError> {
    let context = project::open(global)?;
    let readiness = stages::readiness(&context, args.as_of).await?;
    let rendered = match output.format {
        Format::Text | Format::Md => markdown::readiness(&readiness),
        Format::Json => serde_json::to_string_pretty(&readiness)?,
        Format::Html => html::readiness(&readiness)?,
    };
    deliver(args.output.as_deref(), &rendered, output)?;
    Ok(ExitCode::Agree)
}
