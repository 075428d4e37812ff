//! `dualrun diff`

use std::path::Path;

use dualrun_core::{ExitCode, Outcome, Tolerance};
use dualrun_engine::{DiffRequest, EngineError, diff, diff::Declared, evidence::encode_parquet};
use dualrun_mapping::read_comparison;
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
        declared: args.mapping.as_deref().map(declared).transpose()?,
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

/// Result and normalisations of a mapping file.
fn declared(path: &Path) -> Result<Declared, CliError> {
    let source =
        std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
    let (result, align) = read_comparison(path, &source).map_err(|diagnostics| CliError::Project {
        count: diagnostics.iter().filter(|d| d.is_error()).count(),
        text: diagnostics.iter().map(|d| d.render_plain(&source)).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(Declared { result, align })
}

fn write_parquet(
    path: &Path,
    schema: &arrow::datatypes::SchemaRef,
    batches: &[arrow::record_batch::RecordBatch],
) -> Result<(), CliError> {
    let bytes = encode_parquet(schema, batches).map_err(|error| {
        CliError::from(EngineError::EvidenceBroken {
            path: path.display().to_string(),
            what: format!("cannot be encoded: {error}"),
        })
    })?;
    write_whole(path, &bytes)
}
