//! The reference project that is embedded in the binary.

use std::path::Path;

use dualrun_mapping::{ProjectFiles, plan::Project};
use include_dir::{Dir, DirEntry, include_dir};

use crate::{error::DemoError, files::write_atomically};

/// `mappings/` of the repository: `dualrun.toml`, the pipelines, the methodology changes and the factor files.
static MAPPINGS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../mappings");

/// Writes the files of the reference project below a folder. Files that stand there are replaced.
///
/// # Errors
/// The folder cannot be written.
pub fn write_project(dir: &Path) -> Result<(), DemoError> {
    for (path, contents) in embedded() {
        write_atomically(&dir.join(path), contents)?;
    }
    Ok(())
}

/// The checked plan of the reference project.
///
/// # Errors
/// The embedded files have mistakes.
pub fn load_project() -> Result<Project, DemoError> {
    let files = texts();
    // Its settings hold no variables: the same project on every machine.
    let loaded = dualrun_mapping::load(&files, dualrun_mapping::DEFAULT_ENVIRONMENT, &|_| None);
    loaded.project.ok_or_else(|| {
        let mistakes = loaded.diagnostics.iter().filter(|d| d.is_error());
        DemoError::Project(
            mistakes.map(|d| d.render_plain(files.text(&d.file).unwrap_or_default())).collect(),
        )
    })
}

/// The text of a file of the reference project.
pub(crate) fn text(path: &Path) -> Option<&'static str> {
    MAPPINGS.get_file(path).and_then(|file| file.contents_utf8())
}

/// The texts that make up the plan: all `.toml`, `.sql`, `.json` and `.py` files.
fn texts() -> ProjectFiles {
    let files = embedded()
        .filter(|(path, _)| {
            path.extension().is_some_and(|e| ["toml", "sql", "json", "py"].iter().any(|known| e == *known))
        })
        .filter_map(|(path, contents)| {
            Some((path.to_owned(), std::str::from_utf8(contents).ok()?.to_owned()))
        })
        .collect();
    ProjectFiles { files }
}

/// Path and contents of every embedded file. What a run leaves in the folder (`data`, `.dualrun`) is no part of it.
fn embedded() -> impl Iterator<Item = (&'static Path, &'static [u8])> {
    let mut open: Vec<&'static DirEntry<'static>> = MAPPINGS.entries().iter().collect();
    std::iter::from_fn(move || {
        loop {
            match open.pop()? {
                DirEntry::File(file) if !is_hidden(file.path()) => {
                    return Some((file.path(), file.contents()));
                }
                DirEntry::Dir(dir) if !is_hidden(dir.path()) && dir.path() != Path::new("data") => {
                    open.extend(dir.entries());
                }
                _ => {}
            }
        }
    })
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_project_has_no_mistakes() {
        let project = load_project().unwrap_or_else(|e| panic!("{e}"));
        assert!(project.pipelines.len() >= 8);
        assert!(project.changes.len() >= 6);
    }

    #[test]
    fn the_project_is_written_with_its_factors() {
        let dir = tempfile::tempdir().unwrap();
        write_project(dir.path()).unwrap();
        for file in ["dualrun.toml", "device-use/new/20_gold.sql", "factors/factors_v_old.csv"] {
            assert!(dir.path().join(file).is_file(), "{file}");
        }
        assert!(!dir.path().join("data").exists());
    }
}
