//! Files written in one step: under another name first, then renamed.

use std::{fs, path::Path};

use crate::error::DemoError;

/// Writes a file and the folders above it. A reader sees the old file or the new one, never a part.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), DemoError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| DemoError::write(folder, e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The process in the name: two demos in one folder do not take each other's unfinished files.
    let unfinished = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    fs::write(&unfinished, contents).map_err(|e| DemoError::write(&unfinished, e))?;
    fs::rename(&unfinished, path).map_err(|e| DemoError::write(path, e))
}

/// Writes a file only where it has other contents, and says whether it did.
pub(crate) fn write_if_changed(path: &Path, contents: &[u8]) -> Result<bool, DemoError> {
    if fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(false);
    }
    write_atomically(path, contents)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        assert!(write_if_changed(&path, b"one").unwrap());
        assert!(!write_if_changed(&path, b"one").unwrap());
        assert!(write_if_changed(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_a_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), b"").unwrap();
        assert!(matches!(write_atomically(&dir.path().join("a/b"), b""), Err(DemoError::Write { .. })));
    }
}
