//! `dualrun diff`

use std::{path::Path, sync::Arc};

use dualrun_core::{ExitCode, Outcome, Tolerance};
use dualrun_engine::{
    DiffRequest, diff,
    diff::{Declared, Limits, OutputFiles},
};
use dualrun_mapping::read_comparison;
use dualrun_report::text;
use dualrun_sources::is_live;

use crate::{
    args::DiffArgs,
    error::CliError,
    output::{Output, result_file},
    progress::RowBar,
    secrets,
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
        legacy: with_variables(&args.legacy)?,
        new: with_variables(&args.new)?,
        key: args.key.clone(),
        customer: args.customer.clone(),
        tolerance,
        declared: args.mapping.as_deref().map(declared).transpose()?,
        outputs: args.differences.as_ref().map(|path| OutputFiles {
            differences: path.clone(),
            customers: (args.customer.is_some() || args.mapping.is_some())
                .then(|| path.with_extension("customers.parquet")),
        }),
        max_differences: args.max_differences,
        limits: Limits {
            threads: args.threads.map_or_else(cores, usize::from),
            memory: args.memory,
            spill: args.spill.clone().unwrap_or_else(std::env::temp_dir),
        },
    };
    let watch = Arc::new(RowBar::new(output.quiet()));
    let report = diff(&request, Path::new("."), watch).await?;
    result_file(args.result_file.as_ref(), &report)?;
    output.text_or_json(&report, |style| text::run(&report, style))?;
    Ok(ExitCode::of_outcome(report.outcome))
}

/// The URL of a server with the values of `${NAME}`; other relations as they are.
fn with_variables(relation: &str) -> Result<String, CliError> {
    if !is_live(relation) && !relation.starts_with("${") {
        return Ok(relation.to_owned());
    }
    let mut out = String::new();
    let mut rest = relation;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else { break };
        let value = std::env::var(name).map_err(|_| CliError::Argument {
            message: format!("the variable {name} is not set"),
            hint: Some("a relation names it as ${…}".into()),
        })?;
        secrets::keep(&value);
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
