//! `mapping.toml`: one pipeline, checked.

mod align;
mod inputs;
mod loads;
mod result;

use std::{collections::BTreeSet, path::Path as FilePath};

use dualrun_core::{align::AlignRule, input::Side, result::ResultDecl};

pub(crate) use loads::is_parquet;

use crate::{
    ProjectFiles,
    calculation::{self, Scope, is_built_in},
    diagnostic::Diagnostic,
    document::Document,
    hash,
    plan::{Calculation, Check, Engine, Pipeline},
    raw::{RawCalculation, RawCheck, RawMapping},
    replay::parameters_of_place,
    schema,
    settings_file::SettingsRead,
    sql,
    text::nearest,
    tree::{Node, at},
};

/// A mapping file that was read.
pub(crate) struct MappingRead<'a> {
    pub(crate) document: Document<'a>,
    /// The id, also where the file has mistakes.
    pub(crate) id: Option<String>,
    pub(crate) pipeline: Option<Pipeline>,
}

/// Reads a mapping.
///
/// # Errors
/// The mistakes of a file that is not TOML.
pub(crate) fn read<'a>(
    file: &'a FilePath,
    source: &'a str,
    files: &ProjectFiles,
    settings: &SettingsRead,
) -> Result<MappingRead<'a>, Vec<Diagnostic>> {
    let mut document = Document::parse(file, source)?;
    let id = document.tree.get("pipeline").and_then(|p| p.get("id")).and_then(Node::text).map(str::to_owned);
    let raw: Option<RawMapping> = document.read(&schema::mapping(), &[]);
    let pipeline = raw.and_then(|raw| check(&mut document, raw, files, settings));
    Ok(MappingRead { document, id, pipeline })
}

/// What a comparison of two relations needs of a mapping: the result and its normalisations.
///
/// # Errors
/// The mistakes of the file.
pub fn read_comparison(
    file: &FilePath,
    source: &str,
) -> Result<(ResultDecl, Vec<AlignRule>), Vec<Diagnostic>> {
    let mut document = Document::parse(file, source)?;
    let raw: Option<RawMapping> = document.read(&schema::mapping(), &[]);
    match raw {
        Some(raw) if !document.diagnostics.iter().any(Diagnostic::is_error) => Ok((raw.result, raw.align)),
        _ => Err(document.diagnostics),
    }
}

fn check(
    document: &mut Document<'_>,
    raw: RawMapping,
    files: &ProjectFiles,
    settings: &SettingsRead,
) -> Option<Pipeline> {
    check_header(document, &raw, settings);
    inputs::check(document, &raw.input, settings);
    result::check(document, &raw.result);
    align::check(document, &raw.align, &raw.result);
    let checks = checks(document, raw.check);
    for name in raw.parameters.keys().filter(|n| is_built_in(n)) {
        let message = format!("the parameter `{name}` is built in");
        document.key_error(
            "built-in-parameter",
            &at!["parameters", name],
            message,
            "declared again",
            Some("take this out; every calculation is given it".to_owned()),
        );
    }
    let mut calculate = |side: Side, calculation: &RawCalculation| {
        let on = |side| move |i: &&dualrun_core::input::InputDecl| i.on(side).is_some();
        let inputs: BTreeSet<&str> = raw.input.iter().filter(on(side)).map(|i| i.name.as_str()).collect();
        let other_inputs =
            raw.input.iter().map(|i| i.name.as_str()).filter(|name| !inputs.contains(name)).collect();
        let parameters = raw.parameters.keys().map(String::as_str).collect();
        let unit = raw.result.period.unit;
        let scope = Scope { side, inputs, other_inputs, parameters, unit };
        calculation::read(document, files, settings, calculation, &scope)
    };
    let legacy = calculate(Side::Legacy, &raw.legacy);
    let new = calculate(Side::New, &raw.new);
    let pipeline = Pipeline {
        id: raw.pipeline.id,
        title: raw.pipeline.title,
        owner: raw.pipeline.owner,
        phase: raw.pipeline.phase,
        stage: raw.pipeline.stage,
        criticality: raw.pipeline.criticality,
        scope: raw.pipeline.scope,
        legacy_assets: raw.pipeline.legacy_assets,
        enforce: raw.pipeline.enforce,
        mapping_hash: hash::of_mapping(&raw.input, &raw.result, &raw.parameters, &raw.align, &checks),
        inputs: raw.input,
        result: raw.result,
        parameters: raw.parameters,
        legacy: legacy?,
        new: new?,
        align: raw.align,
        checks,
        file: document.file.to_owned(),
    };
    check_use(document, &pipeline);
    Some(pipeline)
}

fn check_header(document: &mut Document<'_>, raw: &RawMapping, settings: &SettingsRead) {
    let id = raw.pipeline.id.as_str();
    let folder =
        document.file.parent().and_then(FilePath::file_name).map(|f| f.to_string_lossy().into_owned());
    if let Some(folder) = folder.filter(|f| f != id) {
        let message = format!("the pipeline `{id}` stands in the folder `{folder}`");
        let hint = Some("give folder and pipeline the same name".to_owned());
        document.warning("id-and-folder", &at!["pipeline", "id"], message, "not the folder's name", hint);
    }
    let Some(assets) = &settings.assets else { return };
    for (i, asset) in raw.pipeline.legacy_assets.iter().enumerate() {
        if !assets.contains(asset) {
            let message = format!("no `[[asset]]` of dualrun.toml declares `{asset}`");
            let hint = match nearest(asset, assets.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add an `[[asset]]` with `id = \"{asset}\"`"),
            };
            let at = at!["pipeline", "legacy_assets", i];
            document.warning("undeclared-asset", &at, message, "not declared", Some(hint));
        }
    }
}

fn checks(document: &mut Document<'_>, raw: Vec<RawCheck>) -> Vec<Check> {
    for (i, check) in raw.iter().enumerate() {
        let at = at!["check", i, "sql"];
        let mentions = sql::mentions(&check.sql);
        if let Some((_, what)) = mentions.broken {
            document.error(
                "sql-syntax",
                &at,
                format!("the query {what}"),
                "here",
                Some(sql::HINT.to_owned()),
            );
        }
        if let Some(table) = mentions.tables.iter().find(|t| t.text != "result") {
            let message = format!("a check reads the table `result`, not `{}`", table.text);
            let hint = Some("write `from result`".to_owned());
            document.error("unknown-table", &at, message, "here", hint);
        }
        if let Some(parameter) = mentions.parameters.first() {
            let message = format!("a check has no parameters, found `${}`", parameter.text);
            let hint = Some("compute it in a model and check the result".to_owned());
            document.error("unknown-parameter", &at, message, "here", hint);
        }
    }
    raw.into_iter().map(|c| Check { side: c.side, name: c.name, sql: c.sql }).collect()
}

/// Warns of inputs and parameters that nothing uses.
fn check_use(document: &mut Document<'_>, pipeline: &Pipeline) {
    for (i, input) in pipeline.inputs.iter().enumerate() {
        for side in Side::BOTH {
            // Only models say what they read; results that stand somewhere were computed from inputs all the same.
            let models = pipeline.calculation(side).models();
            let read = models.iter().any(|m| m.reads.contains(&input.name));
            if input.on(side).is_some() && !models.is_empty() && !read {
                let message = format!("no model of the {side} side reads the input `{}`", input.name);
                let hint = Some(format!("take `{side}` out of the input, or read it"));
                document.key_warning(
                    "unused-input",
                    &at!["input", i, side.as_str()],
                    message,
                    "not read",
                    hint,
                );
            }
        }
    }
    for name in pipeline.parameters.keys() {
        if !Side::BOTH.iter().any(|side| uses(pipeline, *side, name)) {
            let message = format!("no calculation uses the parameter `{name}`");
            let hint = Some(format!("use `${name}` in a model, or take it out"));
            document.key_warning("unused-parameter", &at!["parameters", name], message, "not used", hint);
        }
    }
}

/// Whether a parameter can change the result of a side: through its calculation in any form, or through the places of
/// its inputs.
pub(crate) fn uses(pipeline: &Pipeline, side: Side, parameter: &str) -> bool {
    let is_given_all = matches!(pipeline.calculation(side).engine, Engine::Command(_));
    is_given_all || needs(pipeline, side, parameter)
}

/// Whether a side cannot be calculated without a value of a parameter.
pub(crate) fn needs(pipeline: &Pipeline, side: Side, parameter: &str) -> bool {
    let calculation = pipeline.calculation(side);
    mentions(calculation, parameter)
        || calculation.embedded.as_deref().is_some_and(|embedded| mentions(embedded, parameter))
        || in_a_place(pipeline, side, parameter)
}

/// Whether the text of a calculation holds a parameter.
fn mentions(calculation: &Calculation, parameter: &str) -> bool {
    match &calculation.engine {
        Engine::Sql(models) => models.iter().any(|m| m.parameters.iter().any(|p| p == parameter)),
        Engine::Command(_) => false,
        Engine::Relation(_) | Engine::Postgres(_) | Engine::Mongodb(_) => calculation.depends_on(parameter),
    }
}

fn in_a_place(pipeline: &Pipeline, side: Side, parameter: &str) -> bool {
    pipeline.inputs.iter().any(|i| parameters_of_place(i, side).iter().any(|p| p == parameter))
}
