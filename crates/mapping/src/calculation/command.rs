//! `engine = "command"`: checked, and hashed with the files that it consists of.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use dualrun_core::shape::Shape;
use serde_json::json;

use super::{Scope, normal};
use crate::{
    ProjectFiles,
    document::Document,
    hash,
    plan::{Calculation, Command, Engine},
    raw::RawResultFile,
    text::nearest,
    tree::{Node, Path},
};

/// Endings of programs that an interpreter reads: an argument with one of them is a file and must be there.
const SCRIPTS: [&str; 6] = ["py", "sh", "r", "R", "jl", "js"];

/// A command as it is written.
pub(super) struct Raw<'a> {
    pub(super) line: &'a [String],
    pub(super) result: &'a RawResultFile,
    pub(super) shape: &'a Shape,
    pub(super) timeout: &'a str,
    pub(super) env: &'a [String],
    pub(super) further: &'a [String],
}

/// Reads a command. `None` where it has a mistake.
pub(super) fn read(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    raw: &Raw<'_>,
    at: &Path,
    scope: &Scope<'_>,
) -> Option<Calculation> {
    let told = document.diagnostics.len();
    let folder = document.file.parent().unwrap_or(FilePath::new("")).to_owned();
    if raw.line.first().is_none_or(String::is_empty) {
        let hint = Some("name the program first: `command = [\"python3\", \"new/calculate.py\"]`".to_owned());
        document.error("missing-command", &at.join("command"), "there is no program to run", "empty", hint);
    }
    check_variables(document, raw.env, at, scope);
    let mut consists_of = BTreeMap::new();
    for (i, argument) in raw.line.iter().enumerate() {
        let Some(file) = argument_file(&folder, argument) else { continue };
        let found = contents(files, &file);
        let is_script = file.extension().is_some_and(|e| SCRIPTS.iter().any(|s| e == *s));
        if found.is_empty() && i > 0 && is_script {
            missing(document, files, &folder, &at.join("command").join(i), argument);
        }
        consists_of.extend(found);
    }
    for (i, name) in raw.further.iter().enumerate() {
        let found = contents(files, &normal(&folder.join(name)));
        if found.is_empty() {
            missing(document, files, &folder, &at.join("files").join(i), name);
        }
        consists_of.extend(found);
    }
    let timeout = duration(raw.timeout)?;
    if document.diagnostics.iter().skip(told).any(crate::Diagnostic::is_error) {
        return None;
    }
    let hash = hash::of_json(json!({
        "engine": "command", "command": raw.line, "format": raw.result.format, "path": raw.result.path,
        "shape": raw.shape, "env": raw.env, "files": consists_of,
    }));
    let command = Command {
        line: raw.line.to_vec(),
        folder,
        format: raw.result.format,
        path: raw.result.path.clone(),
        shape: raw.shape.clone(),
        timeout,
        env: raw.env.to_vec(),
    };
    Some(Calculation::new(Engine::Command(command), hash))
}

/// The files and folders of the project that its commands name, beside those that are part of the plan anyway. The
/// caller adds the text of those that exist to the files of the project, of folders everything in them.
pub(crate) fn attachments(files: &ProjectFiles) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (file, text) in &files.files {
        let Some(folder) = file.parent().filter(|_| file.file_name().is_some_and(|n| n == "mapping.toml"))
        else {
            continue;
        };
        let Ok(tree) = Node::parse(text) else { continue };
        for side in ["legacy", "new"] {
            let texts = |key: &str| -> Vec<String> {
                let list = tree.get(side).and_then(|c| c.get(key)).map(Node::list).unwrap_or_default();
                list.iter().filter_map(Node::text).map(str::to_owned).collect()
            };
            let pipeline = tree.get(side).and_then(|c| c.get("pipeline")).and_then(Node::text);
            found.extend(pipeline.and_then(|name| argument_file(folder, name)));
            found.extend(texts("command").iter().filter_map(|argument| argument_file(folder, argument)));
            let further = texts("files").into_iter().map(|name| normal(&folder.join(name)));
            found.extend(further.filter(|path| !path.starts_with("..") && path.is_relative()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A time such as `90s`, `10m` or `2h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    // A sign would be read as part of the number.
    let number = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<u64>().ok())??;
    number.checked_mul(seconds).filter(|total| *total > 0).map(Duration::from_secs)
}

/// The place in the pipeline's folder that an argument may name: `new/calculate.py`, `--script=new/calculate.py`.
fn argument_file(folder: &FilePath, argument: &str) -> Option<PathBuf> {
    let name = match argument.strip_prefix('-') {
        Some(option) => option.split_once('=')?.1,
        None => argument,
    };
    let path = normal(&folder.join(name));
    (!name.is_empty() && path != folder && path.starts_with(folder)).then_some(path)
}

/// Name and hash of the file, or of all files of the folder.
fn contents(files: &ProjectFiles, path: &FilePath) -> BTreeMap<String, String> {
    let within = files.files.iter().filter(|(name, _)| name.starts_with(path));
    within.map(|(name, text)| (name.display().to_string(), hash::of_text(text))).collect()
}

pub(super) fn missing(
    document: &mut Document<'_>,
    files: &ProjectFiles,
    folder: &FilePath,
    at: &Path,
    name: &str,
) {
    let known: Vec<String> = files
        .files
        .keys()
        .filter_map(|file| file.strip_prefix(folder).ok().map(|f| f.display().to_string()))
        .collect();
    let hint = nearest(name, known.iter().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"))
        .unwrap_or_else(|| "paths are relative to the mapping file".to_owned());
    let message = format!("there is no file `{}`", normal(&folder.join(name)).display());
    document.error("missing-file", at, message, "not found", Some(hint));
}

/// Variables that dualrun sets itself cannot be taken from its environment, and no parameter may stand in their place.
fn check_variables(document: &mut Document<'_>, env: &[String], at: &Path, scope: &Scope<'_>) {
    for (i, name) in env.iter().enumerate() {
        let place = at.join("env").join(i);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let hint = Some("write the name only, without `$` and value".to_owned());
            let message = format!("`{name}` is not the name of a variable");
            document.error("invalid-text", &place, message, "here", hint);
        } else if name.starts_with("DUALRUN_") {
            let hint = Some("take it out; `DUALRUN_…` is what the command is given anyway".to_owned());
            let message = format!("the variable `{name}` is set by dualrun");
            document.error("reserved-variable", &place, message, "here", hint);
        }
    }
    let taken =
        |name: &str| name.eq_ignore_ascii_case("result") || name.to_ascii_lowercase().starts_with("input_");
    for name in scope.parameters.iter().filter(|name| taken(name)) {
        let message = format!("`DUALRUN_{}` means something else to a command", name.to_ascii_uppercase());
        let hint = Some("give the parameter another name".to_owned());
        let place = Path::default().join("parameters").join(*name);
        document.key_error("reserved-variable", &place, message, "declared here", hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7200)));
        for bad in ["", "s", "0s", "10", "+1m", "1.5h", "10 m", "10ä", "99999999999999999999h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_argument_names_a_file_of_the_folder_or_none() {
        let file = |argument| argument_file(FilePath::new("p"), argument);
        assert_eq!(file("new/calculate.py"), Some("p/new/calculate.py".into()));
        assert_eq!(file("--script=new/calculate.py"), Some("p/new/calculate.py".into()));
        for none in ["-m", "--verbose", ".", "..", "../q/x.py", "/bin/sh", "", "--x="] {
            assert_eq!(file(none), None, "{none}");
        }
    }
}
