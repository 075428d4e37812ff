//! BSON files as `mongodump` writes them.

use std::path::Path;

use bson::Document;

/// Writes documents one after the other.
///
/// # Panics
/// A document is too large, or the file cannot be written.
pub fn write(path: &Path, documents: &[Document]) {
    std::fs::write(path, bytes(documents)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The bytes of a dump.
///
/// # Panics
/// A document is too large.
pub fn bytes(documents: &[Document]) -> Vec<u8> {
    documents
        .iter()
        .flat_map(|document| document.to_vec().unwrap_or_else(|error| panic!("{document}: {error}")))
        .collect()
}
