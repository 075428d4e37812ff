//! Checks of `[[input]]`.

use std::collections::BTreeSet;

use dualrun_core::{
    input::{FenceStrength, InputDecl, InputRef, Role, Side},
    period::time_zone,
    shape::FieldShape,
};

use crate::{
    calculation::is_built_in,
    document::Document,
    mapping::loads,
    replay::parameters_of_place,
    settings_file::SettingsRead,
    text::did_you_mean,
    tree::{Node, Path, at},
};

pub(crate) fn check(document: &mut Document<'_>, inputs: &[InputDecl], settings: &SettingsRead) {
    let mut seen = BTreeSet::new();
    for (i, input) in inputs.iter().enumerate() {
        if !seen.insert(input.name.as_str()) {
            let message = format!("two inputs are called `{}`", input.name);
            let hint = Some("models read an input as a table of its name; rename one".to_owned());
            document.error("duplicate-input", &at!["input", i, "name"], message, "again here", hint);
        }
        for side in Side::BOTH {
            check_place(document, i, input, side, settings);
        }
        match input.role {
            Role::Activity => check_activity(document, i, input),
            Role::Factor if input.legacy.is_none() && input.new.is_none() => {
                let message = format!("the input `{}` is read by neither side", input.name);
                let hint = Some("add `legacy = { … }` or `new = { … }`".to_owned());
                document.error("input-without-side", &at!["input", i], message, "here", hint);
            }
            Role::Factor => {}
        }
        loads::check(document, i, input, settings);
        check_shape(document, i, input);
    }
}

fn check_place(
    document: &mut Document<'_>,
    i: usize,
    input: &InputDecl,
    side: Side,
    settings: &SettingsRead,
) {
    let Some(place) = input.on(side) else { return };
    let at = at!["input", i, side.as_str()];
    if let Some(sources) = &settings.sources
        && !sources.contains(&place.source)
    {
        let message = format!("dualrun.toml declares no source `{}`", place.source);
        let hint = did_you_mean(&place.source, sources.iter().map(String::as_str))
            .or_else(|| Some(format!("add `[source.{}]` to it", place.source)));
        document.error("unknown-source", &at.join("source"), message, "not declared", hint);
    }
    let hint = "a document source has a `collection`, a file source a `path`, a PostgreSQL server a `table`";
    let given: Vec<&str> = [
        ("collection", place.collection.is_some()),
        ("path", place.path.is_some()),
        ("table", place.table.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    let message = match given.as_slice() {
        [] => Some(format!("the input `{}` has neither `collection` nor `path`", input.name)),
        [_] => None,
        [first, second, ..] => Some(format!("the input `{}` has both `{first}` and `{second}`", input.name)),
    };
    if let Some(message) = message {
        document.error("input-without-place", &at, message, "here", Some(hint.to_owned()));
    }
    check_server_place(document, &at, &given, place, settings);
    let declared: BTreeSet<String> = document
        .tree
        .get("parameters")
        .and_then(Node::table)
        .into_iter()
        .flat_map(|t| t.keys().cloned())
        .collect();
    for name in parameters_of_place(input, side) {
        if !declared.contains(&name) && !is_built_in(&name) {
            let key = given.first().copied().unwrap_or("path");
            let message = format!("the parameter `{{{name}}}` is not declared");
            let hint = did_you_mean(&name, declared.iter().map(String::as_str).chain(["day", "month"]));
            document.error("unknown-parameter", &at.join(key), message, "used here", hint);
        }
    }
}

/// A server has tables or collections, one of them for all days.
fn check_server_place(
    document: &mut Document<'_>,
    at: &Path,
    given: &[&str],
    place: &InputRef,
    settings: &SettingsRead,
) {
    let kind = settings.kinds.get(&place.source).map(String::as_str);
    let wanted = match kind {
        Some("postgres") => "table",
        Some("mongodb") => "collection",
        _ => {
            if let (Some(kind), true) = (kind, place.table.is_some()) {
                let message = format!("a source of kind `{kind}` has no tables");
                let hint = Some("name a `collection` or a `path`".to_owned());
                document.error("unfit-place", &at.join("table"), message, "here", hint);
            }
            return;
        }
    };
    if let [key] = given
        && *key != wanted
    {
        let message = format!("a server of this kind has a `{wanted}`, not a `{key}`");
        let hint = Some(format!("write `{wanted} = …`"));
        document.error("unfit-place", &at.join(*key), message, "here", hint);
    }
    if let [key] = given
        && place.place().contains(['{', '}'])
    {
        let message = "a table or collection of a server is one for all days";
        let hint =
            Some("name the column of its time as `time` of the input: only the period is read".to_owned());
        document.error("unfit-place", &at.join(*key), message, "here", hint);
    }
}

fn check_activity(document: &mut Document<'_>, i: usize, input: &InputDecl) {
    for side in Side::BOTH.into_iter().filter(|side| input.on(*side).is_none()) {
        let message = format!("the activity input `{}` has no `{side}`", input.name);
        let hint = Some("activity inputs are compared, so both sides must name theirs".to_owned());
        document.error("input-without-side", &at!["input", i], message, "here", hint);
    }
    if input.key.is_empty() {
        let message = format!("the activity input `{}` has no `key`", input.name);
        let hint = Some("add the columns that make a fact unique: `key = [\"…\"]`".to_owned());
        document.error("input-without-key", &at!["input", i], message, "here", hint);
    }
    if input.fence == FenceStrength::Content && input.columns.is_empty() {
        let message = format!("the input `{}` is fenced by content and has no `columns`", input.name);
        let hint = Some("add `columns = [\"…\"]`, or choose `fence = \"keys\"`".to_owned());
        document.error("fence-without-columns", &at!["input", i], message, "here", hint);
    }
}

fn check_shape(document: &mut Document<'_>, i: usize, input: &InputDecl) {
    for (field, shape) in &input.shape.0 {
        let FieldShape::Rules(rules) = shape else { continue };
        let at = at!["input", i, "shape", field];
        if let Some(zone) = rules.time_zone.as_ref().filter(|z| time_zone(z).is_err()) {
            let message = format!("there is no time zone `{zone}`");
            let hint = Some("write an IANA name such as `Europe/Paris`".to_owned());
            document.error("unknown-time-zone", &at.join("time_zone"), message, "here", hint);
        }
        if rules.decimal_mark.is_some_and(|mark| mark != '.' && mark != ',') {
            document.error(
                "invalid-text",
                &at.join("decimal_mark"),
                "this is not a decimal mark",
                "here",
                Some("write `\".\"` or `\",\"`".to_owned()),
            );
        }
        let (precision, scale) = (rules.precision.unwrap_or(38), rules.scale.unwrap_or(10));
        if precision == 0 || precision > 38 || scale > precision {
            let message = format!("a decimal cannot have {precision} digits with {scale} behind the point");
            let hint = Some("at most 38 digits, and not more behind the point than in all".to_owned());
            document.error("invalid-decimal", &at, message, "here", hint);
        }
    }
}
