//! From a folder to a checked project.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use dualrun_engine::{Clock, Context, SystemClock};
use dualrun_mapping::{Diagnostic, Loaded, ProjectFiles, attachments, load};

use crate::{adapters, args::Global, error::CliError, secrets};

/// Opens the project of the command line.
pub(crate) fn open(global: &Global) -> Result<Arc<Context>, CliError> {
    open_at(&global.project, &global.env, Arc::new(SystemClock))
}

/// Opens a project in a folder.
pub(crate) fn open_at(
    root: &Path,
    environment: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Context>, CliError> {
    let (files, loaded) = check(root, environment)?;
    match loaded.project {
        Some(project) => Ok(adapters::open(project, root, environment, clock)?),
        None => Err(mistakes(&files, &loaded.diagnostics)),
    }
}

/// Opens the project of the command line to look at it: where it has no state database yet, none is made.
pub(crate) fn look(global: &Global) -> Result<Arc<Context>, CliError> {
    let (files, loaded) = check(&global.project, &global.env)?;
    match loaded.project {
        Some(project) if adapters::has_state(&project, &global.project) => {
            Ok(adapters::open(project, &global.project, &global.env, Arc::new(SystemClock))?)
        }
        Some(project) => Ok(adapters::open_dry(project, &global.project, &global.env)?),
        None => Err(mistakes(&files, &loaded.diagnostics)),
    }
}

/// Reads and checks the files of a project.
pub(crate) fn check(root: &Path, environment: &str) -> Result<(ProjectFiles, Loaded), CliError> {
    let files = read(root)?;
    let loaded = load(&files, environment, &|name| {
        let value = std::env::var(name).ok();
        if let Some(value) = &value {
            secrets::keep(value);
        }
        value
    });
    for source in loaded.project.iter().flat_map(|project| project.settings.source.values()) {
        secrets::only_of_source(&source.url, &source.options);
    }
    Ok((files, loaded))
}

/// All mistakes as text, the errors counted.
pub(crate) fn mistakes(files: &ProjectFiles, diagnostics: &[Diagnostic]) -> CliError {
    CliError::Project { count: errors(diagnostics), text: render(files, diagnostics) }
}

/// How many diagnostics are errors.
pub(crate) fn errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|d| d.is_error()).count()
}

/// Every diagnostic with its source line and caret.
pub(crate) fn render(files: &ProjectFiles, diagnostics: &[Diagnostic]) -> String {
    let rendered: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| {
            let source = files.files.get(&diagnostic.file).map(String::as_str).unwrap_or_default();
            diagnostic.render_plain(source)
        })
        .collect();
    rendered.join("\n")
}

/// All text files of a project: settings, mappings, methodology, SQL, and what commands consist of. Data and hidden folders are passed over.
fn read(root: &Path) -> Result<ProjectFiles, CliError> {
    if !root.join("dualrun.toml").is_file() {
        return Err(CliError::NoProject(root.to_owned()));
    }
    let mut files = BTreeMap::new();
    walk(root, Path::new(""), 0, &mut files)?;
    let mut project = ProjectFiles { files };
    for path in attachments(&project) {
        attach(root, &path, 0, &mut project.files)?;
    }
    Ok(project)
}

/// Adds what a command consists of: a file, or all files of a folder. What is not there, is not added.
fn attach(
    root: &Path,
    path: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, String>,
) -> Result<(), CliError> {
    let at = root.join(path);
    let failed = |source| CliError::File { path: at.clone(), source };
    if at.is_dir() {
        for entry in std::fs::read_dir(&at).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Python writes what it compiled beside its sources.
            let passed_over = name.to_string_lossy().starts_with('.') || name == "__pycache__";
            if !passed_over && depth < DEPTH {
                attach(root, &path.join(name), depth + 1, files)?;
            }
        }
    } else if at.is_file() && !files.contains_key(path) {
        let bytes = std::fs::read(&at).map_err(failed)?;
        // Only whether it changed matters, so a program may be anything.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|binary| binary.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect());
        files.insert(path.to_owned(), text);
    }
    Ok(())
}

/// A mapping lies two folders deep, its models one more.
const DEPTH: usize = 6;

fn walk(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, String>,
) -> Result<(), CliError> {
    let at = root.join(folder);
    let failed = |source| CliError::File { path: at.clone(), source };
    for entry in std::fs::read_dir(&at).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = folder.join(&name);
        let hidden = name.to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            if !hidden && depth < DEPTH && !(depth == 0 && name == "data") {
                walk(root, &path, depth + 1, files)?;
            }
            continue;
        }
        let wanted = path.extension().is_some_and(|e| e == "toml" || e == "sql");
        if hidden || !wanted {
            continue;
        }
        let file = root.join(&path);
        let text = std::fs::read_to_string(&file).map_err(|source| CliError::File { path: file, source })?;
        files.insert(path, text);
    }
    Ok(())
}
