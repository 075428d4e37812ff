//! The folder of one process for what it puts aside, in the spill folder of the project.
//!
//! A process that is killed leaves its folder. The lock on a file beside it ends with the process, however that ended, so
//! that the next process knows whose folders nobody uses any more.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

const PREFIX: &str = "process-";
const LOCK: &str = ".lock";

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    lock: PathBuf,
    /// Held as long as the folder is used.
    _locked: File,
}

impl Scratch {
    /// A new folder in this one, which is made where it is not there. Folders that killed processes left are removed.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn new(spill: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(spill)?;
        sweep(spill);
        loop {
            let lock = spill.join(format!("{PREFIX}{}{LOCK}", Uuid::now_v7()));
            let file = File::create_new(&lock)?;
            // A file system without locks: nobody can tell then, so that nobody sweeps either.
            let _ = file.lock();
            // Between the two somebody else may have taken the file for one that was left.
            if lock.exists() {
                let folder = lock.with_extension("");
                make(&folder)?;
                return Ok(Self { folder, lock, _locked: file });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.folder, &self.lock);
    }
}

/// Nobody else is to read the rows in it.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn sweep(spill: &Path) {
    for entry in std::fs::read_dir(spill).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || !name.ends_with(LOCK) {
            continue;
        }
        let lock = entry.path();
        let Ok(file) = File::open(&lock) else { continue };
        match file.try_lock() {
            Ok(()) => remove(&lock.with_extension(""), &lock),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

/// The lock last: as long as it is there, somebody can try again.
fn remove(folder: &Path, lock: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {}
        _ => _ = std::fs::remove_file(lock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_gone_with_its_process_or_at_the_next() {
        let spill = tempfile::tempdir().unwrap();
        let project = spill.path().join("not/there");
        let first = Scratch::new(&project).unwrap();
        std::fs::write(first.path().join("rows.parquet"), "rows").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(first.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        // As of a process that was killed: nobody holds the lock.
        let left = project.join("process-left");
        std::fs::write(project.join("process-left.lock"), "").unwrap();
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("rows.parquet"), "rows").unwrap();
        std::fs::write(project.join("other.lock"), "").unwrap();
        let third = Scratch::new(&project).unwrap();
        assert!(!left.exists() && first.path().join("rows.parquet").exists());
        drop((first, third));
        assert_eq!(names(&project), ["other.lock"]);
    }
}
