//! Named locks: a locked file beside the database, which the operating system frees when the process dies.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::{audit::hex, error::StateError, store::Lock};

/// Where the locks of a database are kept.
#[derive(Debug)]
pub(super) enum Locks {
    /// In files of the folder `<database>.locks`.
    Files(PathBuf),
    /// In this process: nobody else can see a database in memory.
    InProcess(Arc<Mutex<HashSet<String>>>),
}

impl Locks {
    pub(super) fn beside(database: &Path) -> Self {
        Self::Files(database.to_owned())
    }

    pub(super) fn in_process() -> Self {
        Self::InProcess(Arc::default())
    }

    /// The lock of this name, or none where it is held, also by this process.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StateError> {
        match self {
            Self::Files(database) => try_file(database, name),
            Self::InProcess(held) => {
                let free = held.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                Ok(free.then(|| -> Box<dyn Lock> {
                    Box::new(NameLock { held: held.clone(), name: name.into() })
                }))
            }
        }
    }
}

/// The file of a lock. It stays when the lock is free: removing it could take it away from the next holder.
pub(super) fn lock_file(database: &Path, name: &str) -> io::Result<File> {
    let mut folder = database.as_os_str().to_owned();
    folder.push(".locks");
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(file_name(name)))
}

fn try_file(database: &Path, name: &str) -> Result<Option<Box<dyn Lock>>, StateError> {
    let not_writable = |source: io::Error| StateError::NotWritable {
        place: database.display().to_string(),
        source: source.into(),
    };
    let file = lock_file(database, name).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Box::new(FileLock { _file: file }))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(not_writable(error)),
    }
}

/// A name may hold anything: the start of it for people, its hash to tell it from others.
fn file_name(name: &str) -> String {
    let readable: String =
        name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let hash = hex(&Sha256::digest(name.as_bytes()));
    format!("{readable}.{}.lock", hash.get(..16).unwrap_or(&hash))
}

/// Closing the file frees the lock.
struct FileLock {
    _file: File,
}

impl Lock for FileLock {}

struct NameLock {
    held: Arc<Mutex<HashSet<String>>>,
    name: String,
}

impl Drop for NameLock {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Lock for NameLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_files_of_their_own() {
        assert_ne!(file_name("a/b"), file_name("a_b"));
        assert!(file_name("../../etc").starts_with("______etc."));
        assert!(file_name(&"x".repeat(5000)).len() < 80);
    }
}
