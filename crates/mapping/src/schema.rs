//! JSON Schemas of the three formats, made from the types that read them.

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value as Json, json};

use crate::{
    raw::{RawChange, RawMapping},
    settings::Settings,
};

/// The schemas by file name, as pretty JSON with a line break at the end.
pub fn schemas() -> Vec<(&'static str, String)> {
    vec![
        ("mapping.schema.json", pretty(&mapping())),
        ("methodology.schema.json", pretty(&methodology())),
        ("dualrun.schema.json", pretty(&settings_file())),
    ]
}

/// The schema of `mapping.toml`.
pub(crate) fn mapping() -> Json {
    of::<RawMapping>()
}

/// The schema of `methodology/*.toml`.
pub(crate) fn methodology() -> Json {
    of::<RawChange>()
}

/// The schema of the settings after layering.
pub(crate) fn settings() -> Json {
    of::<Settings>()
}

/// The schema of `dualrun.toml`: the settings, and under `env` any part of them for each environment.
pub(crate) fn settings_file() -> Json {
    let mut base = settings();
    let mut layer = base.clone();
    let definitions = layer.as_object_mut().and_then(|l| l.remove("$defs"));
    relax(&mut layer);
    if let Some(layer) = layer.as_object_mut() {
        layer.remove("$schema");
        layer.remove("title");
        layer.insert("description".to_owned(), json!("What differs in one environment."));
    }
    let mut added = Map::new();
    for (name, mut definition) in
        definitions.iter().filter_map(Json::as_object).flatten().map(|(n, d)| (n, d.clone()))
    {
        // Elements of a list are not layered, a list replaces a list; so only tables lose what they require.
        let is_element = ["PhaseSettings", "AssetDecl"].contains(&name.as_str());
        if !is_element {
            relax(&mut definition);
            added.insert(format!("Layer{name}"), definition);
        }
    }
    added.insert("Layer".to_owned(), layer);
    if let Some(all) = base.get_mut("$defs").and_then(Json::as_object_mut) {
        all.extend(added);
    }
    if let Some(properties) = base.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert(
            "env".to_owned(),
            json!({
                "description": "Environments by name; each overrides what stands above, table by table.",
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/Layer" },
            }),
        );
    }
    base["title"] = json!("dualrun settings");
    base["description"] = json!("`dualrun.toml`: the settings of a project, layered by environment.");
    base
}

/// Nothing is required or has a default in a layer.
fn relax(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            map.remove("required");
            map.remove("default");
            for (key, value) in map.iter_mut() {
                match value {
                    Json::String(target) if key == "$ref" => {
                        let kept = ["PhaseSettings", "AssetDecl"].iter().any(|n| target.ends_with(n));
                        if !kept {
                            *target = target.replace("#/$defs/", "#/$defs/Layer");
                        }
                    }
                    other => relax(other),
                }
            }
        }
        Json::Array(list) => list.iter_mut().for_each(relax),
        _ => {}
    }
}

fn of<T: JsonSchema>() -> Json {
    schema_for!(T).to_value()
}

fn pretty(schema: &Json) -> String {
    let mut text = format!("{schema:#}");
    text.push('\n');
    text
}
