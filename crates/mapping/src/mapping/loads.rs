//! Checks of `load` of an input.

use dualrun_core::{
    input::{InputDecl, Side},
    load::{Layout, LoadDecl, Overlap},
    shape::FieldType,
};

use crate::{
    calculation::placeholders,
    document::Document,
    settings_file::SettingsRead,
    tree::{Path, at},
};

pub(super) fn check(document: &mut Document<'_>, i: usize, input: &InputDecl, settings: &SettingsRead) {
    let Some(load) = &input.load else { return };
    let at = at!["input", i, "load"];
    let name = &input.name;
    for side in Side::BOTH.into_iter().filter(|side| input.on(*side).is_none()) {
        let message = format!("the input `{name}` is loaded and has no `{side}`");
        let hint = Some("a load copies the rows of `legacy` to `new`: name both".to_owned());
        document.error("load-without-side", &at, message, "here", hint);
    }
    if load.watermark.is_some() && input.key.is_empty() {
        let message = format!("the input `{name}` is loaded by a watermark and has no `key`");
        let hint = Some(
            "add the columns that make a row unique: a changed row replaces that of its key; or take the watermark out, \
             and every load reads everything"
                .to_owned(),
        );
        document.error("load-without-key", &at.join("watermark"), message, "here", hint);
    }
    if load.overlap.is_some() && load.watermark.is_none() {
        let message = "an overlap is that of a watermark";
        let hint = Some("name the `watermark`, or take the overlap out".to_owned());
        document.error("load-without-watermark", &at.join("overlap"), message, "here", hint);
    }
    check_types(document, &at, input, load);
    let Some(place) = &input.new else { return };
    let at = at!["input", i, "new"];
    if !is_parquet(document, &place.source, &at, settings) {
        return;
    }
    let Some(path) = &place.path else { return };
    let at = at.join("path");
    if let Some(parameter) = placeholders(path).first() {
        let message = format!("the place of a copy cannot depend on `{{{parameter}}}`");
        let hint = Some("`{day}` and `{month}` are replaced; a factor edition is a column".to_owned());
        document.error("unfit-copy", &at, message, "here", hint);
        return;
    }
    let Some(layout) = Layout::of(path) else {
        document.error(
            "unfit-copy",
            &at,
            format!("`{path}` is not the folder of a copy"),
            "here",
            Some(format!("write a folder such as `bronze/{name}/` or `bronze/{name}/day={{day}}/`")),
        );
        return;
    };
    if layout.unit.is_some() && input.time.is_none() {
        let message = format!("nothing says to which day a row of `{name}` belongs");
        let hint = Some("name the column of its time: `time = \"…\"`".to_owned());
        document.error("load-without-time", &at, message, "one folder a day or month", hint);
    }
}

/// The type that the shape declares for the watermark grows, and the overlap is one of it. An undeclared one is known
/// when rows come.
fn check_types(document: &mut Document<'_>, at: &Path, input: &InputDecl, load: &LoadDecl) {
    let Some(column) = &load.watermark else { return };
    let Some(declared) = input.shape.0.get(column) else { return };
    let (is_time, other) = match declared.rules().field {
        FieldType::Timestamp => (true, "a timestamp"),
        FieldType::Date => (true, "a date"),
        FieldType::Integer => (false, "an integer"),
        other => {
            let declared = format!("{other:?}").to_lowercase();
            let message = format!("the watermark `{column}` is declared as {declared}");
            let hint = "declare it as timestamp, date or integer in the shape, or name another column";
            document.error("unfit-watermark", &at.join("watermark"), message, "here", Some(hint.to_owned()));
            return;
        }
    };
    let wrong = match (is_time, load.overlap) {
        (true, Some(Overlap::Number(_))) => "a number",
        (false, Some(Overlap::Time(_))) => "a time",
        _ => return,
    };
    let message = format!("the overlap is {wrong}, and the watermark `{column}` is {other}");
    let hint = match is_time {
        true => "a timestamp or date has an overlap such as `\"1h\"`",
        false => "an integer has an overlap such as `\"1000\"`",
    };
    document.error("unfit-overlap", &at.join("overlap"), message, "here", Some(hint.to_owned()));
}

/// Whether rows can be written there; tells it where not. An unknown source is told elsewhere.
pub(crate) fn is_parquet(
    document: &mut Document<'_>,
    source: &str,
    at: &Path,
    settings: &SettingsRead,
) -> bool {
    let Some(kind) = settings.kinds.get(source).filter(|kind| kind.as_str() != "parquet") else {
        return true;
    };
    let message = format!("`{source}` is of kind `{kind}`: rows are written as Parquet only");
    let hint = Some("name a source with `kind = \"parquet\"`, a folder or `s3://bucket/prefix`".to_owned());
    document.error("unfit-copy", &at.join("source"), message, "not Parquet", hint);
    false
}
