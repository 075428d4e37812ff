//! `dualrun diff`

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

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
    if let Some(file) = &args.result_file {
        spare_inputs("--result-file", file, args)?;
    }
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
    for input in [&args.legacy, &args.new] {
        // Reading a pipe could wait for ever, and it can be read only once.
        if std::fs::metadata(input).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            return Err(CliError::Argument {
                message: format!("{input} is neither a file nor a folder"),
                hint: Some("write the rows to a file first".into()),
            });
        }
    }
    let outputs = args.differences.as_ref().map(|path| OutputFiles {
        differences: path.clone(),
        customers: (args.customer.is_some() || args.mapping.is_some())
            .then(|| path.with_extension("customers.parquet")),
    });
    if let Some(outputs) = &outputs {
        for place in [Some(&outputs.differences), outputs.customers.as_ref()].into_iter().flatten() {
            spare_inputs("--differences", place, args)?;
            if args.result_file.as_deref().and_then(located).is_some_and(|file| Some(file) == located(place))
            {
                return Err(CliError::Argument {
                    message: format!("{} would hold two results", place.display()),
                    hint: Some("name another file for --result-file".into()),
                });
            }
        }
    }
    let request = DiffRequest {
        legacy: with_variables(&args.legacy)?,
        new: with_variables(&args.new)?,
        key: args.key.clone(),
        customer: args.customer.clone(),
        tolerance,
        declared: args.mapping.as_deref().map(declared).transpose()?,
        outputs,
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

/// A result must not replace what it is made of, nor become a part of it.
fn spare_inputs(option: &str, place: &Path, args: &DiffArgs) -> Result<(), CliError> {
    let mapping = args.mapping.as_deref();
    let inputs = [Some(Path::new(&args.legacy)), Some(Path::new(&args.new)), mapping];
    let replaced = |input: &&Path| {
        std::fs::canonicalize(input).is_ok_and(|input| located(place).is_some_and(|p| p.starts_with(input)))
    };
    match inputs.into_iter().flatten().find(replaced) {
        None => Ok(()),
        Some(input) => Err(CliError::Argument {
            message: format!(
                "{} would be written over what is read from {}",
                place.display(),
                input.display()
            ),
            hint: Some(format!("name another file for {option}")),
        }),
    }
}

/// Where a file stands, or will stand; none where its folder is not there.
fn located(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok().or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    })
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
