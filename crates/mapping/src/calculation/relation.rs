//! `engine = "relation"`: results that already stand in a source.

use dualrun_core::{input::InputRef, shape::Shape};
use serde_json::json;

use super::Scope;
use crate::{
    document::Document,
    hash,
    plan::{Calculation, Engine, Relation},
    settings_file::SettingsRead,
    text::did_you_mean,
    tree::Path,
};

/// A relation as it is written.
pub(super) struct Raw<'a> {
    pub(super) source: &'a str,
    pub(super) path: Option<&'a String>,
    pub(super) collection: Option<&'a String>,
    pub(super) shape: &'a Shape,
}

/// Reads a relation. `None` where it has a mistake.
pub(super) fn read(
    document: &mut Document<'_>,
    settings: &SettingsRead,
    raw: &Raw<'_>,
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let told = document.diagnostics.len();
    if let Some(sources) = &settings.sources
        && !sources.contains(raw.source)
    {
        let message = format!("dualrun.toml declares no source `{}`", raw.source);
        let hint = did_you_mean(raw.source, sources.iter().map(String::as_str))
            .or_else(|| Some(format!("add `[source.{}]` to it", raw.source)));
        document.error("unknown-source", &at.join("source"), message, "not declared", hint);
    }
    if raw.path.is_some() == raw.collection.is_some() {
        let message = match raw.path {
            Some(_) => "the relation has both `path` and `collection`",
            None => "the relation has neither `path` nor `collection`",
        };
        let hint = Some("a document source has a `collection`, a file source a `path`".to_owned());
        document.error("relation-without-place", at, message, "here", hint);
    }
    let place = InputRef {
        source: raw.source.to_owned(),
        collection: raw.collection.cloned(),
        path: raw.path.cloned(),
    };
    for name in placeholders(place.place()) {
        if !scope.parameters.contains(name.as_str()) {
            let key = if raw.collection.is_some() { "collection" } else { "path" };
            let message = format!("the parameter `{{{name}}}` is not declared");
            let hint = did_you_mean(&name, scope.parameters.iter().copied().chain(["day", "month"]));
            document.error("unknown-parameter", &at.join(key), message, "used here", hint);
        }
    }
    if document.diagnostics.iter().skip(told).any(crate::Diagnostic::is_error) {
        return None;
    }
    let hash = hash::of_json(json!({ "engine": "relation", "place": place, "shape": raw.shape }));
    let relation = Relation { place, shape: raw.shape.clone() };
    Some(Calculation::new(Engine::Relation(relation), hash))
}

/// The names in braces of a path or a collection, without the days and months of the period.
pub(crate) fn placeholders(place: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = place;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        if !["day", "month"].contains(&name) {
            names.push(name.to_owned());
        }
        rest = tail;
    }
    names
}
