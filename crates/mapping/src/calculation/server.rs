//! `engine = "postgres"` and `engine = "mongodb"`: calculations that run on a server.

use std::{collections::BTreeSet, ops::Range, path::Path as FilePath};

use dualrun_core::shape::Shape;
use serde_json::{Value as Json, json};

use super::{Scope, is_built_in, normal};
use crate::{
    BUILT_IN_PARAMETERS, ProjectFiles,
    diagnostic::{Diagnostic, Severity},
    document::Document,
    hash,
    plan::{Calculation, Engine, ServerPipeline, ServerQuery},
    sql,
    text::nearest,
    tree::Path,
};

/// Reads SQL that runs on a server of PostgreSQL. `None` where it has a mistake.
pub(super) fn postgres(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    (source, query): (&str, &str),
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let told = document.diagnostics.len();
    let (file, text) = text_of(document, files, query, &at.join("query"))?;
    let mentions = sql::mentions(&text);
    if let Some((span, what)) = &mentions.broken {
        let found = Diagnostic::new(Severity::Error, "sql-syntax", &file, format!("the query {what}"));
        let found = found.at(&text, span.clone()).label("here").hint(sql::HINT);
        document.diagnostics.push(found);
    }
    let used = mentions.parameters.iter().map(|p| (p.text.as_str(), p.span.clone()));
    declared(document, &file, &text, used, "$", scope);
    if document.diagnostics.iter().skip(told).any(Diagnostic::is_error) {
        return None;
    }
    // Each name once, whatever number of times it stands there.
    let mut parameters: Vec<String> = Vec::new();
    let mut numbered = String::new();
    let mut end = 0;
    for name in &mentions.parameters {
        let known = parameters.iter().position(|p| p == &name.text);
        let number = known.unwrap_or_else(|| {
            parameters.push(name.text.clone());
            parameters.len() - 1
        });
        numbered.push_str(text.get(end..name.span.start)?);
        numbered.push_str(&format!("${}", number + 1));
        end = name.span.end;
    }
    numbered.push_str(text.get(end..)?);
    let hash = hash::of_json(json!({ "engine": "postgres", "source": source, "query": text }));
    let query = ServerQuery { source: source.to_owned(), file, sql: numbered, parameters };
    Some(Calculation::new(Engine::Postgres(query), hash))
}

/// A pipeline as it is written.
pub(super) struct RawPipeline<'a> {
    pub(super) source: &'a str,
    pub(super) collection: &'a str,
    pub(super) pipeline: &'a str,
    pub(super) shape: &'a Shape,
}

/// Reads an aggregation pipeline that runs on a server of MongoDB. `None` where it has a mistake.
pub(super) fn mongodb(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    raw: &RawPipeline<'_>,
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let told = document.diagnostics.len();
    let (file, text) = text_of(document, files, raw.pipeline, &at.join("pipeline"))?;
    let hint = "write a list of stages in square brackets, in Extended JSON";
    let stages: Json = match serde_json::from_str(&text) {
        Ok(stages) => stages,
        Err(error) => {
            let found = Diagnostic::new(Severity::Error, "json-syntax", &file, error.to_string());
            let place = place(&text, error.line(), error.column());
            document.diagnostics.push(found.at(&text, place).label("here").hint(hint));
            return None;
        }
    };
    if !stages.is_array() {
        let found =
            Diagnostic::new(Severity::Error, "json-syntax", &file, "the pipeline is no list of stages");
        document.diagnostics.push(found.at(&text, 0..1.min(text.len())).label("here").hint(hint));
    }
    let mut names = BTreeSet::new();
    parameters(&stages, &mut names);
    let used = names.iter().map(|name| {
        let quoted = format!("\"{name}\"");
        let start = text.find(&quoted).unwrap_or(0);
        (name.as_str(), start..start + quoted.len())
    });
    declared(document, &file, &text, used, "", scope);
    if document.diagnostics.iter().skip(told).any(Diagnostic::is_error) {
        return None;
    }
    let hash = hash::of_json(json!({
        "engine": "mongodb", "source": raw.source, "collection": raw.collection, "pipeline": text, "shape": raw.shape,
    }));
    let pipeline = ServerPipeline {
        source: raw.source.to_owned(),
        collection: raw.collection.to_owned(),
        file,
        pipeline: text,
        parameters: names.into_iter().collect(),
        shape: raw.shape.clone(),
    };
    Some(Calculation::new(Engine::Mongodb(pipeline), hash))
}

/// A file beside the mapping, with its name in the project.
fn text_of(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    name: &str,
    at: &Path,
) -> Option<(std::path::PathBuf, String)> {
    let folder = document.file.parent().unwrap_or(FilePath::new("")).to_owned();
    let file = normal(&folder.join(name));
    match files.text(&file) {
        Some(text) => Some((file, text.to_owned())),
        None => {
            super::command::missing(document, files, &folder, at, name);
            None
        }
    }
}

/// Reports parameters that the mapping does not declare.
fn declared<'a>(
    document: &mut Document<'_>,
    file: &FilePath,
    text: &str,
    used: impl Iterator<Item = (&'a str, Range<usize>)>,
    sign: &str,
    scope: &Scope<'_>,
) {
    for (name, span) in used.filter(|(name, _)| !scope.parameters.contains(name) && !is_built_in(name)) {
        let known = scope.parameters.iter().copied().chain(BUILT_IN_PARAMETERS.iter().map(|(n, _)| *n));
        let hint = nearest(name, known)
            .map(|near| format!("did you mean `{sign}{near}`?"))
            .unwrap_or_else(|| format!("declare `{name}` under `[parameters]` of the mapping"));
        let message = format!("the parameter `{sign}{name}` is not declared");
        let found = Diagnostic::new(Severity::Error, "unknown-parameter", file, message);
        document.diagnostics.push(found.at(text, span).label("used here").hint(hint));
    }
}

/// The names in `{"$param": "name"}`.
fn parameters(value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(map) => {
            found.extend(map.get("$param").and_then(Json::as_str).map(str::to_owned));
            map.values().for_each(|value| parameters(value, found));
        }
        Json::Array(list) => list.iter().for_each(|value| parameters(value, found)),
        _ => {}
    }
}

/// The byte at a line and a column, both from 1.
fn place(text: &str, line: usize, column: usize) -> Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = (before + column.saturating_sub(1)).min(text.len().saturating_sub(1));
    at..(at + 1).min(text.len())
}
