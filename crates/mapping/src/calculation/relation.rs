//! `engine = "relation"`: results that already stand in a source.

use dualrun_core::{input::InputRef, shape::Shape};
use serde_json::json;

use super::Scope;
use crate::{
    document::Document,
    hash,
    plan::{Calculation, Engine, Relation},
    text::did_you_mean,
    tree::Path,
};

/// Reads a relation. `None` where it has a mistake.
pub(super) fn read(
    document: &mut Document<'_>,
    place: InputRef,
    shape: &Shape,
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let told = document.diagnostics.len();
    let given: Vec<&str> =
        [("path", &place.path), ("collection", &place.collection), ("table", &place.table)]
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|_| key))
            .collect();
    let message = match given.as_slice() {
        [_] => None,
        [] => Some("the relation has neither `path` nor `collection` nor `table`".to_owned()),
        [first, second, ..] => Some(format!("the relation has both `{first}` and `{second}`")),
    };
    if let Some(message) = message {
        let hint =
            "a file source has a `path`, a document source a `collection`, a PostgreSQL server a `table`";
        document.error("relation-without-place", at, message, "here", Some(hint.to_owned()));
    }
    for name in placeholders(place.place()) {
        if !scope.parameters.contains(name.as_str()) {
            let message = format!("the parameter `{{{name}}}` is not declared");
            let hint = did_you_mean(&name, scope.parameters.iter().copied().chain(["day", "month"]));
            let key = given.first().copied().unwrap_or("path");
            document.error("unknown-parameter", &at.join(key), message, "used here", hint);
        }
    }
    if document.diagnostics.iter().skip(told).any(crate::Diagnostic::is_error) {
        return None;
    }
    let hash = hash::of_json(json!({ "engine": "relation", "place": place, "shape": shape }));
    let relation = Relation { place, shape: shape.clone() };
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
