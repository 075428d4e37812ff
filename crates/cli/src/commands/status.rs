//! `dualrun status`

use dualrun_core::ExitCode;
use dualrun_engine::stages;
use dualrun_report::{html, text};

use crate::{
    args::{Format, Global, StatusArgs},
    error::CliError,
    output::{Output, write_whole},
    project,
};

pub(crate) async fn run(global: &Global, args: &StatusArgs, output: &Output) -> Result<ExitCode, CliError> {
    let context = project::open(global)?;
    let status = stages::status(&context, args.as_of).await?;
    let rendered = match output.format {
        Format::Text => {
            text::status(&status, if args.output.is_some() { Default::default() } else { output.style })
        }
        Format::Json => serde_json::to_string_pretty(&status)?,
        Format::Html => html::status(&status)?,
        Format::Md => return Err(output.unsupported()),
    };
    deliver(args.output.as_deref(), &rendered, output)?;
    Ok(ExitCode::Agree)
}

/// To the file, or to standard output.
pub(crate) fn deliver(path: Option<&std::path::Path>, text: &str, output: &Output) -> Result<(), CliError> {
    match path {
        Some(path) => {
            write_whole(path, text.as_bytes())?;
            output.note(&format!("written: {}", path.display()));
            Ok(())
        }
        None => output.data(text),
    }
}
