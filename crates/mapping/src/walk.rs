//! Walks a tree against the JSON Schema of the type that will read it, so that every structural mistake is found
//! at once and at its place. serde alone would stop at the first and not know where it stands.

use std::{collections::BTreeMap, ops::Range, path::Path as FilePath};

use serde_json::{Map, Value as Json};

use crate::{
    diagnostic::{Diagnostic, Severity},
    settings::bytes,
    text::{did_you_mean, one_of},
    tree::{Entry, Node, Path, Value},
};

/// What a walk yields.
pub(crate) struct Walked {
    /// The content without unknown keys; absent where it does not fit the schema.
    pub(crate) json: Option<Json>,
    /// Tables that hold an unknown key.
    pub(crate) broken: Vec<Path>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A walk over one file.
pub(crate) struct Walk<'a> {
    schema: &'a Json,
    file: &'a FilePath,
    source: &'a str,
    skip: &'a [Path],
    broken: Vec<Path>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(schema: &'a Json, file: &'a FilePath, source: &'a str, skip: &'a [Path]) -> Self {
        Self { schema, file, source, skip, broken: Vec::new(), diagnostics: Vec::new() }
    }

    pub(crate) fn run(mut self, tree: &Node) -> Walked {
        let json = self.value(tree, self.schema, &Path::default());
        Walked { json, broken: self.broken, diagnostics: self.diagnostics }
    }

    fn value(&mut self, node: &Node, schema: &'a Json, path: &Path) -> Option<Json> {
        if self.skip.contains(path) {
            return None;
        }
        let schema = self.resolve(schema);
        if let Some(variants) = schema.get("anyOf").and_then(Json::as_array) {
            return self.any_of(node, variants, path);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Json::as_array) {
            let words: Option<Vec<&str>> =
                variants.iter().map(|v| v.get("const").and_then(Json::as_str)).collect();
            return match words {
                Some(words) => self.word(node, &words, path),
                None => self.tagged(node, schema, variants, path),
            };
        }
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            return self.word(node, &words, path);
        }
        if !accepts(schema, node) {
            self.wrong_type(node, &expected(schema), path);
            return None;
        }
        match &node.value {
            Value::Table(table) => self.table(node, table, schema, None, path),
            Value::List(list) => self.list(list, schema, path),
            _ => self.scalar(node, schema, path),
        }
    }

    fn resolve(&self, mut schema: &'a Json) -> &'a Json {
        // A chain of references is short; the bound keeps a cycle from hanging.
        for _ in 0..16 {
            let target = schema
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|r| r.strip_prefix('#'))
                .and_then(|pointer| self.schema.pointer(pointer));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn any_of(&mut self, node: &Node, variants: &'a [Json], path: &Path) -> Option<Json> {
        let variants: Vec<&Json> = variants
            .iter()
            .map(|v| self.resolve(v))
            .filter(|v| v.get("type").and_then(Json::as_str) != Some("null"))
            .collect();
        if let [only] = variants.as_slice() {
            return self.value(node, only, path);
        }
        match variants.iter().find(|v| accepts(v, node)) {
            Some(fits) => self.value(node, fits, path),
            None => {
                let kinds: Vec<String> = variants.iter().map(|v| expected(v)).collect();
                self.wrong_type(node, &kinds.join(" or "), path);
                None
            }
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], path: &Path) -> Option<Json> {
        let Value::Text { text, written } = &node.value else {
            self.wrong_type(node, &format!("one of {}", one_of(words)), path);
            return None;
        };
        if words.contains(&text.as_str()) {
            return Some(Json::String(text.clone()));
        }
        let shown = written.as_ref().unwrap_or(text);
        let found = format!("`{shown}` is not a value of `{}`", name(path));
        let hint = crate::text::nearest(text, words.iter().copied())
            .map_or_else(|| format!("allowed: {}", one_of(words)), |near| format!("did you mean `{near}`?"));
        self.error("unknown-word", node.span.clone(), found, "not known here", Some(hint));
        None
    }

    /// A table whose keys depend on the word of one of them, and further keys beside that.
    fn tagged(&mut self, node: &Node, schema: &'a Json, variants: &'a [Json], path: &Path) -> Option<Json> {
        let Value::Table(table) = &node.value else {
            self.wrong_type(node, "a table", path);
            return None;
        };
        let tag_of = |variant: &'a Json| {
            let properties = variant.get("properties")?.as_object()?;
            properties.iter().find_map(|(key, s)| Some((key.as_str(), s.get("const")?.as_str()?)))
        };
        let tags: Vec<(&str, &str)> = variants.iter().filter_map(tag_of).collect();
        let Some((tag, _)) = tags.first().copied() else { return Some(plain(node)) };
        let Some(entry) = table.get(tag) else {
            self.missing(node, tag, path);
            // Which other keys there are depends on the one that is missing; only a slip in it can be told.
            let slip = table.iter().find(|(key, _)| crate::text::nearest(key, [tag]).is_some());
            if let Some((key, entry)) = slip {
                let message = format!("unknown key `{key}`{}", inside(path));
                let hint = Some(format!("did you mean `{tag}`?"));
                self.error("unknown-key", entry.key.clone(), message, "not known here", hint);
            }
            return None;
        };
        let words: Vec<&str> = tags.iter().map(|(_, word)| *word).collect();
        self.word(&entry.node, &words, &path.join(tag))?;
        let variant =
            variants.iter().find(|v| tag_of(v).is_some_and(|(_, word)| Some(word) == entry.node.text()))?;
        self.table(node, table, schema, Some(variant), path)
    }

    fn table(
        &mut self,
        node: &Node,
        table: &BTreeMap<String, Entry>,
        schema: &'a Json,
        variant: Option<&'a Json>,
        path: &Path,
    ) -> Option<Json> {
        let mut properties: BTreeMap<&str, &'a Json> = BTreeMap::new();
        let mut required: Vec<&str> = Vec::new();
        for part in [Some(schema), variant].into_iter().flatten() {
            let own = part.get("properties").and_then(Json::as_object).into_iter().flatten();
            properties.extend(own.map(|(key, s)| (key.as_str(), s)));
            let list = part.get("required").and_then(Json::as_array).into_iter().flatten();
            required.extend(list.filter_map(Json::as_str));
        }
        let further = schema
            .get("additionalProperties")
            .or_else(|| schema.get("unevaluatedProperties"))
            .or_else(|| variant.and_then(|v| v.get("additionalProperties")));

        let mut json = Map::new();
        let mut complete = true;
        for (key, entry) in table {
            let below = path.join(key);
            let read = match (properties.get(key.as_str()), further) {
                (Some(property), _) => self.value(&entry.node, property, &below),
                (None, Some(Json::Bool(false))) => {
                    let known = properties.keys().copied().filter(|k| !table.contains_key(*k));
                    let message = format!("unknown key `{key}`{}", inside(path));
                    let hint = did_you_mean(key, known).or_else(|| Some("take it out".to_owned()));
                    self.error("unknown-key", entry.key.clone(), message, "not known here", hint);
                    self.broken.push(path.clone());
                    continue;
                }
                (None, Some(Json::Object(_))) => {
                    further.and_then(|each| self.value(&entry.node, each, &below))
                }
                (None, _) => Some(plain(&entry.node)),
            };
            match read {
                Some(read) => {
                    json.insert(key.clone(), read);
                }
                None => complete = false,
            }
        }
        for key in required {
            if !table.contains_key(key) {
                self.missing(node, key, path);
                complete = false;
            }
        }
        complete.then_some(Json::Object(json))
    }

    fn list(&mut self, list: &[Node], schema: &'a Json, path: &Path) -> Option<Json> {
        let Some(items) = schema.get("items") else {
            return Some(Json::Array(list.iter().map(plain).collect()));
        };
        let read: Vec<Option<Json>> =
            list.iter().enumerate().map(|(i, node)| self.value(node, items, &path.join(i))).collect();
        read.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
    }

    fn scalar(&mut self, node: &Node, schema: &'a Json, path: &Path) -> Option<Json> {
        let problem = match &node.value {
            Value::OutOfRange(number) => Some((
                "out-of-range",
                format!("{number} is too large"),
                Some("numbers have at most 64 bits".to_owned()),
            )),
            Value::Integer(number) => range(schema, *number as f64, path),
            Value::Float(number) if !number.is_finite() => Some((
                "not-finite",
                format!(
                    "`{}` must be a finite number, found {}",
                    name(path),
                    number.to_string().to_lowercase()
                ),
                Some("neither `nan` nor `inf` is allowed".to_owned()),
            )),
            Value::Float(number) => range(schema, *number, path),
            Value::Text { text, written } => form(schema, text, written.as_ref().unwrap_or(text), path),
            Value::Datetime(text) => form(schema, text, text, path),
            Value::Boolean(_) | Value::List(_) | Value::Table(_) => None,
        };
        match problem {
            None => Some(plain(node)),
            Some((code, message, hint)) => {
                self.error(code, node.span.clone(), message, "here", hint);
                stand_in(node, schema)
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, expected: &str, path: &Path) {
        let message = format!("`{}` must be {expected}, found {}", name(path), node.kind());
        let hint = match expected {
            "a text" => Some("write it in quotes".to_owned()),
            "a list" => Some("write it in brackets: `[…]`".to_owned()),
            "a table" => Some("write it in braces: `{ key = value }`".to_owned()),
            "a date" => Some("write a day such as 2025-03-01".to_owned()),
            other => Some(format!("write {other}")),
        };
        self.error("wrong-type", node.span.clone(), message, "wrong type", hint);
    }

    fn missing(&mut self, node: &Node, key: &str, path: &Path) {
        let message = format!("missing key `{key}`{}", inside(path));
        let hint = Some(format!("add `{key} = …`"));
        self.error("missing-key", node.span.clone(), message, &format!("has no `{key}`"), hint);
    }

    fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: String,
        label: &str,
        hint: Option<String>,
    ) {
        self.diagnostics.push(
            Diagnostic::new(Severity::Error, code, self.file, message)
                .at(self.source, span)
                .label(label)
                .maybe_hint(hint),
        );
    }
}

/// An allowed number in the place of one that was refused, so that the rest of the file is checked all the same: one
/// mistake must not hide the others. The error keeps the file from being used.
fn stand_in(node: &Node, schema: &Json) -> Option<Json> {
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    let nearest = |number: f64| {
        let number = if number.is_finite() { number } else { 0.0 };
        let number = bound("minimum").map_or(number, |min| number.max(min));
        bound("maximum").map_or(number, |max| number.min(max))
    };
    match &node.value {
        Value::Integer(number) => Some(Json::from(nearest(*number as f64) as i64)),
        Value::Float(number) => Some(Json::from(nearest(*number))),
        _ => None,
    }
}

type Problem = (&'static str, String, Option<String>);

/// Bounds of a number.
fn range(schema: &Json, number: f64, path: &Path) -> Option<Problem> {
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    // schemars gives no maximum for 32 bits and more.
    let max = bound("maximum").or(match schema.get("format").and_then(Json::as_str) {
        Some("uint32") => Some(f64::from(u32::MAX)),
        _ => None,
    });
    let name = name(path);
    let allowed = || match (bound("minimum"), max) {
        (Some(min), Some(max)) => Some(format!("allowed: {min} to {max}")),
        _ => None,
    };
    match (bound("minimum"), max) {
        (Some(min), _) if number < min && min == 0.0 => Some((
            "out-of-range",
            format!("`{name}` must not be negative, found {number}"),
            Some("write 0 or more".to_owned()),
        )),
        (Some(min), _) if number < min => {
            Some(("out-of-range", format!("`{name}` must be at least {min}, found {number}"), allowed()))
        }
        (_, Some(max)) if number > max => {
            Some(("out-of-range", format!("`{name}` must be at most {max}, found {number}"), allowed()))
        }
        _ => None,
    }
}

/// The form of a text: dates, and the patterns that the schemas of this crate use.
fn form(schema: &Json, text: &str, shown: &str, path: &Path) -> Option<Problem> {
    let name = name(path);
    if schema.get("format").and_then(Json::as_str) == Some("date")
        && text.parse::<jiff::civil::Date>().is_err()
    {
        return Some((
            "invalid-date",
            format!("`{name}` is not a calendar day: {shown}"),
            Some("write a day such as 2025-03-01".to_owned()),
        ));
    }
    let (fits, what) = match schema.get("pattern").and_then(Json::as_str) {
        Some("^[0-9]+d$") => (
            dualrun_core::input::Margin::try_from(text.to_owned()).is_ok(),
            "a number of days such as \"1d\"",
        ),
        Some(dualrun_core::load::OVERLAP) => (
            dualrun_core::load::Overlap::try_from(text.to_owned()).is_ok(),
            "a time such as \"1h\", or a number such as \"1000\"",
        ),
        Some(crate::raw::DURATION) => {
            (crate::calculation::duration(text).is_some(), "a time such as \"90s\", \"10m\" or \"2h\"")
        }
        Some("^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$") => (bytes(text).is_some(), "a size such as \"2GiB\""),
        Some(crate::server::SPAN) => {
            (crate::server::Span::try_from(text.to_owned()).is_ok(), "a time such as \"30s\" or \"5min\"")
        }
        Some(crate::raw::ID) => {
            (text.parse::<dualrun_core::PipelineId>().is_ok(), "an id of letters, digits, `-`, `_` and `.`")
        }
        _ => (true, ""),
    };
    if !fits {
        return Some((
            "invalid-text",
            format!("`{name}` cannot be `{shown}`"),
            Some(format!("write {what}")),
        ));
    }
    let length = text.chars().count() as u64;
    let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
    if bound("minLength").is_some_and(|min| length < min)
        || bound("maxLength").is_some_and(|max| length > max)
    {
        let hint = match (bound("minLength"), bound("maxLength")) {
            (Some(1), Some(1)) => "write one character",
            (Some(1), None) => "write something",
            _ => "its length is not allowed",
        };
        return Some(("invalid-text", format!("`{name}` cannot be `{shown}`"), Some(hint.to_owned())));
    }
    None
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).filter(|t| *t != "null").collect(),
        // Words without a type are texts.
        _ if schema.get("oneOf").or_else(|| schema.get("enum")).is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn accepts(schema: &Json, node: &Node) -> bool {
    let types = types(schema);
    let has = |t: &str| types.contains(&t);
    types.is_empty()
        || match &node.value {
            Value::Text { .. } => has("string"),
            // Where several types are allowed, a day may be written without quotes.
            Value::Datetime(_) => {
                has("string")
                    && (types.len() > 1 && has("boolean")
                        || schema.get("format").and_then(Json::as_str) == Some("date"))
            }
            Value::Integer(_) | Value::OutOfRange(_) => has("integer") || has("number"),
            Value::Float(_) => has("number"),
            Value::Boolean(_) => has("boolean"),
            Value::List(_) => has("array"),
            Value::Table(_) => has("object"),
        }
}

fn expected(schema: &Json) -> String {
    let words: Vec<&str> = types(schema)
        .into_iter()
        .map(|t| match t {
            "string" if schema.get("format").and_then(Json::as_str) == Some("date") => "a date",
            "string" => "a text",
            "integer" => "an integer",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a table",
            other => other,
        })
        .collect();
    words.join(" or ")
}

fn name(path: &Path) -> String {
    match path.0.last() {
        None => "the file".to_owned(),
        Some(_) => path.to_string(),
    }
}

fn inside(path: &Path) -> String {
    if path.0.is_empty() { String::new() } else { format!(" in `{path}`") }
}

fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Text { text, .. } => Json::String(text.clone()),
        Value::Integer(number) => Json::from(*number),
        Value::OutOfRange(text) | Value::Datetime(text) => Json::String(text.clone()),
        Value::Float(number) => Json::from(*number),
        Value::Boolean(value) => Json::Bool(*value),
        Value::List(list) => Json::Array(list.iter().map(plain).collect()),
        Value::Table(table) => Json::Object(table.iter().map(|(k, e)| (k.clone(), plain(&e.node))).collect()),
    }
}
