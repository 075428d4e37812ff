//! A local file, read at positions.

use std::{
    fs::{File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;

use crate::SourceError;

/// An open file. One that is replaced is still read as it was; one that is written to in place is noticed.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: File,
    name: Arc<str>,
    version: Version,
}

/// A local file that may have to be opened again.
#[derive(Debug)]
pub(super) struct LocalPath {
    path: PathBuf,
    name: Arc<str>,
    version: Version,
    open: Option<Arc<LocalFile>>,
}

/// What changes with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl LocalFile {
    pub(super) fn new(file: File, name: Arc<str>) -> Result<Self, SourceError> {
        let metadata = file.metadata().map_err(|e| failed(&name, e))?;
        Ok(Self { file, name, version: Version::of(&metadata) })
    }

    pub(super) fn size(&self) -> u64 {
        self.version.size
    }

    pub(super) fn read(&self, start: u64, length: usize) -> Result<Bytes, SourceError> {
        let mut buffer = vec![0; length];
        match self.file.read_exact_at(&mut buffer, start) {
            Ok(()) => Ok(buffer.into()),
            // The range lies in the file as it was opened.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(SourceError::Changed { file: self.name.to_string() })
            }
            Err(error) => Err(failed(&self.name, error)),
        }
    }

    /// An error where the file is not as it was opened.
    pub(super) fn changed(&self) -> Option<SourceError> {
        match self.file.metadata() {
            Ok(metadata) if Version::of(&metadata) == self.version => None,
            Ok(_) => Some(SourceError::Changed { file: self.name.to_string() }),
            Err(error) => Some(failed(&self.name, error)),
        }
    }
}

impl LocalPath {
    pub(super) fn new(path: PathBuf, file: Arc<LocalFile>, keep: bool) -> Self {
        Self { path, name: Arc::clone(&file.name), version: file.version, open: keep.then_some(file) }
    }

    /// The file as it was opened first; an error where another one stands there.
    pub(super) fn open(&self) -> Result<Arc<LocalFile>, SourceError> {
        if let Some(file) = &self.open {
            return Ok(Arc::clone(file));
        }
        let file = File::open(&self.path).map_err(|e| failed(&self.name, e))?;
        let file = LocalFile::new(file, Arc::clone(&self.name))?;
        match file.version == self.version {
            true => Ok(Arc::new(file)),
            false => Err(SourceError::Changed { file: self.name.to_string() }),
        }
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), size: metadata.len(), modified: metadata.modified().ok() }
    }
}

fn failed(name: &str, error: io::Error) -> SourceError {
    let path = Path::new(name).display().to_string();
    match error.kind() {
        ErrorKind::NotFound => SourceError::NotFound { path },
        ErrorKind::PermissionDenied => SourceError::access(
            path.clone(),
            object_store::Error::PermissionDenied { path, source: Box::new(error) },
        ),
        _ => SourceError::access(
            path,
            object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) },
        ),
    }
}
