//! The calculation of a side. Its SQL models are found, read for tables and parameters, and put in order.

mod command;
mod relation;
mod server;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path as FilePath, PathBuf},
};

use dualrun_core::{
    PeriodUnit,
    input::{InputRef, Side},
};

use crate::{
    BUILT_IN_PARAMETERS, ProjectFiles,
    diagnostic::{Diagnostic, Severity},
    document::Document,
    hash,
    plan::{Calculation, Model},
    raw::{RawCalculation, RawEmbedded},
    settings_file::SettingsRead,
    sql::{self, Mentions},
    text::{did_you_mean, nearest},
    tree::{Path, at},
};

pub(crate) use command::{attachments, duration};
pub(crate) use relation::placeholders;

/// What the models of a side may mention.
pub(crate) struct Scope<'a> {
    pub(crate) side: Side,
    /// Inputs of this side.
    pub(crate) inputs: BTreeSet<&'a str>,
    /// Inputs of the other side only.
    pub(crate) other_inputs: BTreeSet<&'a str>,
    /// Declared parameters.
    pub(crate) parameters: BTreeSet<&'a str>,
    /// The length of the periods of the result.
    pub(crate) unit: PeriodUnit,
}

/// Reads the calculation of a side. `None` where it has a mistake that keeps it from being known.
pub(crate) fn read(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    settings: &SettingsRead,
    raw: &RawCalculation,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let at = at![scope.side.as_str()];
    let (live, embedded) = match raw {
        RawCalculation::Sql { models: listed, store } => {
            if let Some(store) = store {
                store::check(document, settings, store, &at.join("store"), scope);
            }
            let store = store.clone();
            return models(document, files, listed, &at, scope).map(|c| Calculation { store, ..c });
        }
        RawCalculation::Command { command, result, shape, timeout, env, files: further, embedded } => {
            let raw = command::Raw { line: command, result, shape, timeout, env, further };
            (command::read(document, files, &raw, &at, scope), embedded)
        }
        RawCalculation::Postgres { source, query, embedded } => {
            known_source(document, settings, source, &at);
            (server::postgres(document, files, (source, query), &at, scope), embedded)
        }
        RawCalculation::Mongodb { source, collection, pipeline, shape, embedded } => {
            known_source(document, settings, source, &at);
            let raw = server::RawPipeline { source, collection, pipeline, shape };
            (server::mongodb(document, files, &raw, &at, scope), embedded)
        }
        RawCalculation::Relation { source, path, collection, table, shape, embedded } => {
            known_source(document, settings, source, &at);
            let place = InputRef {
                source: source.clone(),
                collection: collection.clone(),
                path: path.clone(),
                table: table.clone(),
            };
            (relation::read(document, place, shape, &at, scope), embedded)
        }
    };
    let embedded = match embedded {
        Some(RawEmbedded::Sql { models: listed }) => {
            Some(Box::new(models(document, files, listed, &at.join("embedded"), scope)?))
        }
        None => None,
    };
    Some(Calculation { embedded, ..live? })
}

fn known_source(document: &mut Document<'_>, settings: &SettingsRead, source: &str, at: &Path) {
    let Some(sources) = settings.sources.as_ref().filter(|sources| !sources.contains(source)) else { return };
    let message = format!("dualrun.toml declares no source `{source}`");
    let hint = did_you_mean(source, sources.iter().map(String::as_str))
        .or_else(|| Some(format!("add `[source.{source}]` to it")));
    document.error("unknown-source", &at.join("source"), message, "not declared", hint);
}

/// Reads SQL models. `None` where a model is missing or their order cannot be found.
fn models(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    listed: &[String],
    place: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let side = scope.side.as_str();
    let place = place.join("models");
    if listed.is_empty() {
        let hint = Some("name at least one SQL file; the last one is the result".to_owned());
        document.error("missing-model", &place, "a calculation needs a model", "empty", hint);
        return None;
    }
    let folder = document.file.parent().unwrap_or(FilePath::new("")).to_owned();
    let mut models: Vec<(Model, Mentions)> = Vec::new();
    let mut complete = true;
    for (i, listed_file) in listed.iter().enumerate() {
        let at = place.join(i);
        let file = normal(&folder.join(listed_file));
        let Some(text) = files.text(&file) else {
            let known = siblings(files, &folder);
            let hint = nearest(listed_file, known.iter().map(String::as_str))
                .map(|n| format!("did you mean `{n}`?"))
                .unwrap_or_else(|| "paths are relative to the mapping file".to_owned());
            let message = format!("there is no file `{}`", file.display());
            document.error("missing-file", &at, message, "not found", Some(hint));
            complete = false;
            continue;
        };
        let name = table_name(listed_file);
        if models.iter().any(|(m, _)| m.name == name) || scope.inputs.contains(name.as_str()) {
            let message = format!("two tables of the {side} side are called `{name}`");
            let hint =
                Some("a model is a table named after its file, without number and extension".to_owned());
            document.error("duplicate-table", &at, message, "this model", hint);
            complete = false;
            continue;
        }
        let model = Model { name, file, sql: text.to_owned(), reads: Vec::new(), parameters: Vec::new() };
        models.push((model, sql::mentions(text)));
    }
    let names: BTreeSet<String> = models.iter().map(|(m, _)| m.name.clone()).collect();
    for (model, mentions) in &mut models {
        mention(document, model, mentions, &names, complete, scope);
    }
    if !complete {
        return None;
    }
    let models = order(document, models.into_iter().map(|(m, _)| m).collect(), &place, scope)?;
    let hash = hash::of_models(&models);
    Some(Calculation::sql(models, hash))
}

fn mention(
    document: &mut Document<'_>,
    model: &mut Model,
    mentions: &Mentions,
    names: &BTreeSet<String>,
    complete: bool,
    scope: &Scope<'_>,
) {
    let side = scope.side.as_str();
    let mut report = |code, span, message: String, label: &str, hint: Option<String>| {
        let found = Diagnostic::new(Severity::Error, code, &model.file, message).at(&model.sql, span);
        document.diagnostics.push(found.label(label).maybe_hint(hint));
    };
    if let Some((span, what)) = &mentions.broken {
        report(
            "sql-syntax",
            span.clone(),
            format!("the query {what}"),
            "here",
            Some(crate::sql::HINT.to_owned()),
        );
    }
    for table in &mentions.tables {
        let name = table.text.as_str();
        if scope.inputs.contains(name) || names.contains(name) {
            if !model.reads.contains(&table.text) {
                model.reads.push(table.text.clone());
            }
        } else if scope.other_inputs.contains(name) {
            let message = format!("the input `{name}` is not declared for the {side} side");
            let hint = Some(format!("add `{side} = {{ … }}` to the input"));
            report("unknown-table", table.span.clone(), message, "read here", hint);
        } else if complete {
            let known = scope.inputs.iter().copied().chain(names.iter().map(String::as_str));
            let message = format!("`{name}` is neither an input of the {side} side nor one of its models");
            report("unknown-table", table.span.clone(), message, "read here", did_you_mean(name, known));
        }
    }
    for parameter in &mentions.parameters {
        let name = parameter.text.as_str();
        if scope.parameters.contains(name) || is_built_in(name) {
            if !model.parameters.contains(&parameter.text) {
                model.parameters.push(parameter.text.clone());
            }
        } else {
            let known = scope.parameters.iter().copied().chain(BUILT_IN_PARAMETERS.iter().map(|(n, _)| *n));
            let hint = nearest(name, known)
                .map(|n| format!("did you mean `${n}`?"))
                .unwrap_or_else(|| format!("declare `{name}` under `[parameters]` of the mapping"));
            let message = format!("the parameter `${name}` is not declared");
            report("unknown-parameter", parameter.span.clone(), message, "used here", Some(hint));
        }
    }
}

/// Whether every calculation is given this parameter.
pub(crate) fn is_built_in(name: &str) -> bool {
    BUILT_IN_PARAMETERS.iter().any(|(n, _)| *n == name)
}

/// Models so that each stands behind those that it reads; among equals, as listed. The last listed stays last.
fn order(
    document: &mut Document<'_>,
    models: Vec<Model>,
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Vec<Model>> {
    let side = scope.side.as_str();
    if let Some(cycle) = cycle(&models) {
        let message = format!("models of the {side} side read each other in a circle: {}", cycle.join(" → "));
        let hint = Some("take one of these reads out".to_owned());
        document.error("cyclic-models", at, message, "these models", hint);
        return None;
    }
    let result = models.last()?.name.clone();
    if let Some(reader) = models.iter().find(|m| m.reads.contains(&result)) {
        let message = format!("`{result}` is the result and must not be read by `{}`", reader.name);
        let hint = Some("list the model that gives the result last".to_owned());
        document.error("model-order", at, message, "the last one is the result", hint);
        return None;
    }
    warn_unused(document, &models, &result, at, scope);
    let names: BTreeSet<String> = models.iter().map(|m| m.name.clone()).collect();
    let mut ordered: Vec<Model> = Vec::new();
    let mut waiting = models;
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|m| {
            m.reads.iter().all(|r| !names.contains(r) || ordered.iter().any(|o| &o.name == r))
        })?;
        ordered.push(waiting.remove(ready));
    }
    Some(ordered)
}

fn warn_unused(document: &mut Document<'_>, models: &[Model], result: &str, at: &Path, scope: &Scope<'_>) {
    let side = scope.side.as_str();
    for (i, model) in models.iter().enumerate() {
        if model.name != result && !models.iter().any(|m| m.reads.contains(&model.name)) {
            let message = format!("no model of the {side} side reads `{}`", model.name);
            let hint = Some("take the file out of `models`".to_owned());
            document.warning("unused-model", &at.join(i), message, "not read", hint);
        }
    }
}

/// A circle of models that read each other, with the first repeated at the end.
fn cycle(models: &[Model]) -> Option<Vec<String>> {
    let reads: BTreeMap<&str, &[String]> =
        models.iter().map(|m| (m.name.as_str(), m.reads.as_slice())).collect();
    // Models that lead into no circle are taken out until none is left.
    let mut open: BTreeSet<&str> = reads.keys().copied().collect();
    loop {
        let before = open.len();
        let leaf = |name: &str| reads.get(name).is_none_or(|r| !r.iter().any(|x| open.contains(x.as_str())));
        let leaves: Vec<&str> = open.iter().copied().filter(|n| leaf(n)).collect();
        for name in leaves {
            open.remove(name);
        }
        if open.len() == before {
            break;
        }
    }
    // Each of the rest reads another of the rest: walking on must come back.
    let mut walk: Vec<&str> = vec![open.first()?];
    loop {
        let last = walk.last()?;
        let next = reads.get(last)?.iter().map(String::as_str).find(|r| open.contains(r))?;
        if let Some(start) = walk.iter().position(|w| *w == next) {
            let mut circle: Vec<String> = walk.get(start..)?.iter().map(|s| (*s).to_owned()).collect();
            circle.push(next.to_owned());
            return Some(circle);
        }
        walk.push(next);
    }
}

/// `new/10_silver.sql` is the table `silver`.
fn table_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match stem.split_once('_') {
        Some((number, rest))
            if !rest.is_empty() && number.chars().all(|c| c.is_ascii_digit()) && !number.is_empty() =>
        {
            rest.to_owned()
        }
        _ => stem.to_owned(),
    }
}

/// A path without `.` and `..`, as the files of the project are named.
pub(crate) fn normal(path: &FilePath) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            other => out.push(other),
        }
    }
    out
}

fn siblings(files: &ProjectFiles, folder: &FilePath) -> Vec<String> {
    files
        .files
        .keys()
        .filter(|f| f.extension().is_some_and(|e| e == "sql"))
        .filter_map(|f| f.strip_prefix(folder).ok().map(|f| f.display().to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_after_its_file() {
        assert_eq!(table_name("new/10_silver.sql"), "silver");
        assert_eq!(table_name("legacy.sql"), "legacy");
        assert_eq!(table_name("20_.sql"), "20_");
        assert_eq!(table_name("a_b.sql"), "a_b");
        assert_eq!(normal(FilePath::new("./a/../b/./c.sql")), PathBuf::from("b/c.sql"));
    }
}
