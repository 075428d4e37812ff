//! `dualrun diff`

use std::path::{Path, PathBuf};

use dualrun_core::{ExitCode, Outcome, Tolerance};
use dualrun_engine::{DiffRequest, EngineError, diff, evidence::encode_parquet};
use dualrun_report::text;

use crate::{
    args::DiffArgs,
    error::CliError,
    output::{Output, result_file, write_whole},
};

pub(crate) async fn run(args: &DiffArgs, output: &Output) -> Result<ExitCode, CliError> {
    let answer = attempt(args, output).await;
    if let Err(error) = &answer {
        let mut report = dualrun_engine::assess::blank_report(Outcome::Failed);
        report.failure = Some(error.failure());
        result_file(args.result_file.as_ref(), &report)?;
    }
    answer
}

async fn attempt(args: &DiffArgs, output: &Output) -> Result<ExitCode, CliError> {
    let tolerance = Tolerance::new(args.abs, args.rel).map_err(|error| CliError::Argument {
        message: error.to_string(),
        hint: Some("see --abs and --rel".into()),
    })?;
    let request = DiffRequest {
        legacy: args.legacy.clone(),
        new: args.new.clone(),
        key: args.key.clone(),
        customer: args.customer.clone(),
        tolerance,
    };
    let mut answer = diff(&request, Path::new(".")).await?;
    if let Some(path) = &args.differences {
        write_parquet(path, &answer.schema, &answer.differences)?;
        answer.report.differences.path = Some(path.display().to_string());
        if let Some(customers) = &answer.customers {
            let beside = path.with_extension("customers.parquet");
            write_parquet(&beside, &customers.schema(), std::slice::from_ref(customers))?;
            answer.report.customers_path = Some(beside.display().to_string());
        }
    }
    result_file(args.result_file.as_ref(), &answer.report)?;
    output.text_or_json(&answer.report, |style| text::run(&answer.report, style))?;
    Ok(ExitCode::of_outcome(answer.report.outcome))
}

fn write_parquet(
    path: &PathBuf,
    schema: &arrow::datatypes::SchemaRef,
    batches: &[arrow::record_batch::RecordBatch],
) -> Result<(), CliError> {
    let bytes = encode_parquet(schema, batches).map_err(|error| {
        CliError::Engine(EngineError::EvidenceBroken {
            path: path.display().to_string(),
            what: format!("cannot be encoded: {error}"),
        })
    })?;
    write_whole(path, &bytes)
}
