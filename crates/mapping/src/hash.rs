//! Hashes that tell whether anything that can change a verdict was changed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::plan::{Check, Model};
use dualrun_core::{align::AlignRule, input::InputDecl, parameter::ParameterType, result::ResultDecl};

/// SHA-256 of a text as hexadecimal digits.
pub(crate) fn of_text(text: &str) -> String {
    hex(Sha256::new().chain_update(text))
}

/// SHA-256 over names and texts of models; each is preceded by its length, so that nothing can move from one to
/// the next unseen.
pub(crate) fn of_models(models: &[Model]) -> String {
    let mut hasher = Sha256::new();
    for part in models.iter().flat_map(|m| [&m.name, &m.sql]) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex(hasher)
}

/// SHA-256 over a value in canonical JSON: the order of keys does not matter.
pub(crate) fn of_json(value: Json) -> String {
    of_text(&canonical(value).to_string())
}

/// SHA-256 over the part of a mapping that can change a verdict, in canonical JSON. Titles, owners, phases and
/// stages are not in it, and neither are comments or the order of keys.
pub(crate) fn of_mapping(
    inputs: &[InputDecl],
    result: &ResultDecl,
    parameters: &BTreeMap<String, ParameterType>,
    align: &[AlignRule],
    checks: &[Check],
) -> String {
    let checks: Vec<Json> =
        checks.iter().map(|c| json!({"side": c.side, "name": c.name, "sql": c.sql})).collect();
    // How the rows of an input come to its place changes none of them.
    let inputs: Vec<InputDecl> = inputs.iter().map(|i| InputDecl { load: None, ..i.clone() }).collect();
    let content = json!({
        "inputs": inputs, "result": result, "parameters": parameters, "align": align, "checks": checks,
    });
    of_json(content)
}

fn canonical(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let sorted: BTreeMap<String, Json> = map.into_iter().map(|(k, v)| (k, canonical(v))).collect();
            Json::Object(sorted.into_iter().collect())
        }
        Json::Array(list) => Json::Array(list.into_iter().map(canonical).collect()),
        other => other,
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let one: Json = serde_json::from_str(r#"{"b": {"y": 1, "x": [{"d": 1, "c": 2}]}, "a": 0}"#).unwrap();
        assert_eq!(canonical(one).to_string(), r#"{"a":0,"b":{"x":[{"c":2,"d":1}],"y":1}}"#);
        assert_eq!(of_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
