//! `dualrun validate`

use dualrun_core::{ExitCode, Period};
use dualrun_engine::validate::validate;
use serde_json::json;

use crate::{adapters, args::Global, commands::yesterday, error::CliError, output::Output, project};

pub(crate) async fn run(global: &Global, output: &Output) -> Result<ExitCode, CliError> {
    let (files, loaded) = project::check(&global.project, &global.env)?;
    let mut diagnostics = loaded.diagnostics;
    if let Some(project) = &loaded.project {
        let context = adapters::open_dry(project.clone(), &global.project, &global.env)?;
        // Any day serves: without files the declared shapes say which columns there are.
        let day = yesterday();
        let mistakes =
            validate(&context, |pipeline| Some(Period::containing(day, pipeline.result.period.unit))).await;
        diagnostics.extend(mistakes.into_iter().map(|mistake| {
            let source = files.files.get(&mistake.file).map(String::as_str).unwrap_or_default();
            dualrun_mapping::Diagnostic::found_later(
                "does-not-fit",
                format!("{}: {}", mistake.pipeline, mistake.error.chain()),
                mistake.file,
                source,
                mistake.column.as_deref(),
                mistake.error.hint(),
            )
        }));
    }
    let errors = project::errors(&diagnostics);
    let warnings = diagnostics.len() - errors;
    let listed: Vec<_> = diagnostics
        .iter()
        .map(|d| {
            json!({
                "severity": if d.is_error() { "error" } else { "warning" },
                "code": d.code, "message": d.message, "file": d.file,
                "line": d.line, "column": d.column, "hint": d.hint,
            })
        })
        .collect();
    let answer = json!({ "schema": "dualrun.validate/1", "errors": errors, "warnings": warnings, "diagnostics": listed });
    let summary = match &loaded.project {
        Some(project) if errors == 0 => format!(
            "{} pipeline{} and {} methodology change{}: no mistakes{}",
            project.pipelines.len(),
            plural(project.pipelines.len()),
            project.changes.len(),
            plural(project.changes.len()),
            if warnings > 0 { format!(", {warnings} warning{}", plural(warnings)) } else { String::new() }
        ),
        _ => format!("{errors} mistake{}, {warnings} warning{}", plural(errors), plural(warnings)),
    };
    output.text_or_json(&answer, |_| {
        let mut text = project::render(&files, &diagnostics);
        if !text.is_empty() {
            text.push('\n');
        }
        text + &summary
    })?;
    Ok(if errors == 0 { ExitCode::Agree } else { ExitCode::Usage })
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
