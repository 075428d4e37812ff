//! The reference project with the files of a case over it.

use std::path::{Path, PathBuf};

use dualrun_mapping::{DEFAULT_ENVIRONMENT, ProjectFiles, load, plan::Project};

use crate::case::Case;

/// The folder of the reference project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings")
}

/// The checked plan of a case. `methodology/` of its folder goes over the project's, everything else over the folder
/// of its pipeline.
pub(crate) fn of_case(folder: &Path, case: &Case) -> Result<Project, String> {
    let mut files = ProjectFiles::default();
    for path in below(&root())?.into_iter().filter(|path| is_text(path)) {
        files.files.insert(path.clone(), text(&root().join(path))?);
    }
    for path in below(folder)? {
        if path == Path::new("case.toml") || case.documents.iter().any(|d| d.file == path) {
            continue;
        }
        if !is_text(&path) {
            return Err(format!("{} is not used by the case", path.display()));
        }
        let target = if path.starts_with("methodology") {
            path.clone()
        } else {
            Path::new(case.pipeline.as_str()).join(&path)
        };
        files.files.insert(target, text(&folder.join(path))?);
    }
    let loaded = load(&files, DEFAULT_ENVIRONMENT, &|_| None);
    loaded.project.ok_or_else(|| {
        let told: Vec<String> = loaded
            .diagnostics
            .iter()
            .filter(|d| d.is_error())
            .map(|d| d.render_plain(files.text(&d.file).unwrap_or_default()))
            .collect();
        told.join("\n")
    })
}

/// All files below a folder, relative to it and in order, without what a run leaves there.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (PathBuf::from(entry.file_name()), entry.path());
        if name.to_string_lossy().starts_with('.') || name == Path::new("data") {
            continue;
        }
        if path.is_dir() {
            files.extend(below(&path)?.into_iter().map(|file| name.join(file)));
        } else {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["toml", "sql", "json", "py"].iter().any(|known| e == *known))
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}
