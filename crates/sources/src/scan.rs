//! Parquet files of any size as a stream of record batches, with bounded memory.
//!
//! `dualrun diff` opens both sides with [`open_scan`]: only the footers are read. Any range of rows is then read by a
//! [`ScanReader`] of its own, so that several threads share one scan. The schema is that of
//! [`read_relation`](crate::read_relation); the rows are the same, except that text comes as string views.

mod bounds;
mod chunks;
mod coded;
mod columns;
mod file;
mod guard;
mod local;
mod reader;
mod remote;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc};

use arrow::{array::ArrayRef, datatypes::SchemaRef};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

pub use reader::ScanReader;
use reader::Texts;

use crate::{
    FileReport, Format, SourceError,
    relation::{self, Located},
    same_columns::same_columns,
};
use columns::Columns;
use file::ScanFile;

/// Files that are opened, or looked at again, at the same time.
const AT_ONCE: usize = 8;

/// Local files that stay open; of a relation with more, each is opened again when it is read.
const KEPT_OPEN: usize = 256;

/// Parquet files of one relation, opened for streaming: footers are read, rows are not.
///
/// Cheap to clone, and shared by threads. Opened inside of a tokio runtime, which must live on while rows of a remote
/// store are read.
#[derive(Debug, Clone)]
pub struct ParquetScan {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Vec<ScanFile>,
    groups: Vec<Group>,
    columns: Columns,
    rows: u64,
}

/// A row group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Its first row, counted over all files.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// The file, as an index into [`ParquetScan::files`].
    pub file: usize,
    /// The row group in the file, from 0.
    pub index: usize,
    /// Bytes of all its columns as stored.
    pub compressed_bytes: u64,
}

/// What was asked of remote stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Requests for a range of a file.
    pub requests: u64,
    /// Bytes of these ranges.
    pub bytes: u64,
}

/// Opens a relation as [`read_relation`](crate::read_relation) does, without reading its rows; none where its files
/// are not Parquet.
///
/// Errors: a folder of mixed formats, an open table format, nothing to read, damaged footers, and columns of two files
/// without a type that holds both.
pub async fn open_scan(
    text: &str,
    base: &Path,
    options: &BTreeMap<String, String>,
) -> Result<Option<ParquetScan>, SourceError> {
    let Located { location, files: objects, format, evolves } = relation::locate(text, base, options).await?;
    if format != Format::Parquet {
        return Ok(None);
    }
    let keep = objects.len() <= KEPT_OPEN;
    let files: Vec<ScanFile> = futures::stream::iter(objects)
        .map(|meta| {
            let name = location.name(&meta.location);
            let relative = location.relative(&meta.location);
            let label = match relative.is_empty() {
                true => meta.location.filename().unwrap_or_default().to_owned(),
                false => relative,
            };
            ScanFile::open(Arc::clone(&location.store), meta, name, label, keep)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let scan = ParquetScan::of(files)?;
    if !evolves {
        let filled = scan.inner.files.iter().filter(|file| file.groups().any(|(rows, _)| rows > 0));
        same_columns(filled.map(|file| (file.name(), file.columns())))?;
    }
    if scan.schema().fields().is_empty() && scan.rows() == 0 {
        return Err(SourceError::NoColumns { path: location.display });
    }
    Ok(Some(scan))
}

/// Opens one Parquet file of a store.
pub async fn open_scan_file(
    store: Arc<dyn ObjectStore>,
    path: &object_store::path::Path,
) -> Result<ParquetScan, SourceError> {
    let meta = store.head(path).await.map_err(|e| SourceError::access(path.to_string(), e))?;
    let label = path.filename().unwrap_or_default().to_owned();
    ParquetScan::of(vec![ScanFile::open(store, meta, path.to_string(), label, true).await?])
}

impl ParquetScan {
    fn of(files: Vec<ScanFile>) -> Result<Self, SourceError> {
        let columns = Columns::of(&files)?;
        let mut groups = Vec::new();
        let mut rows: u64 = 0;
        for (file, index, own) in files
            .iter()
            .enumerate()
            .flat_map(|(i, f)| f.groups().enumerate().map(move |(g, own)| (i, g, own)))
        {
            let (own_rows, compressed_bytes) = own;
            groups.push(Group { first_row: rows, rows: own_rows, file, index, compressed_bytes });
            rows = rows.checked_add(own_rows).ok_or_else(|| {
                let file = files.get(file).map(ScanFile::name).unwrap_or_default();
                file::damaged(file, "damaged Parquet footer: an impossible number of rows")
            })?;
        }
        Ok(Self { inner: Arc::new(Inner { files, groups, columns, rows }) })
    }

    /// The columns over all files: names and plain types as [`read_relation`](crate::read_relation) gives them, every
    /// one nullable; with the key-value metadata on which the files that have it agree.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.columns.schema
    }

    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.inner.rows
    }

    /// The row groups of all files, in the order of their rows.
    pub fn groups(&self) -> &[Group] {
        &self.inner.groups
    }

    /// The least and the greatest value of a column in a row group, nulls aside, as arrays of one row with the type
    /// that the column has in [`Self::schema`].
    ///
    /// None where the statistics do not hold the exact values, and for floats, whose statistics pass over NaN.
    pub fn bounds(&self, group: usize, column: &str) -> Option<(ArrayRef, ArrayRef)> {
        let group = self.inner.groups.get(group)?;
        let field = self.schema().field_with_name(column).ok()?;
        bounds::bounds(self.inner.files.get(group.file)?, group.index, column, field.data_type())
    }

    /// How many values of a column are null in a row group; none where the statistics do not say.
    pub fn nulls(&self, group: usize, column: &str) -> Option<u64> {
        let group = self.inner.groups.get(group)?;
        self.schema().field_with_name(column).ok()?;
        bounds::nulls(self.inner.files.get(group.file)?, group, column)
    }

    /// The files, in the order of their rows.
    pub fn files(&self) -> Vec<FileReport> {
        self.inner.files.iter().map(ScanFile::report).collect()
    }

    /// What was asked of remote stores so far, by all readers, footers included. Local files count nothing.
    pub fn fetched(&self) -> Fetched {
        self.inner.files.iter().map(ScanFile::fetched).fold(Fetched::default(), |sum, (requests, bytes)| {
            Fetched { requests: sum.requests + requests, bytes: sum.bytes + bytes }
        })
    }

    /// A reader of some rows (counted over all files) and columns.
    ///
    /// Errors: rows or columns that do not exist.
    pub fn read(
        &self,
        rows: Range<u64>,
        columns: &[String],
        batch_rows: usize,
    ) -> Result<ScanReader, SourceError> {
        ScanReader::new(self.clone(), rows, columns, batch_rows, Texts::Views)
    }

    /// As [`Self::read`], but a row group that holds a text column as codes of a dictionary gives it so: as
    /// `Dictionary(Int32, Utf8)`. The schema differs from batch to batch then, and [`ScanReader::schema`] names views.
    /// All batches of a row group share the buffers of one dictionary.
    ///
    /// Errors: as [`Self::read`].
    pub fn read_coded(
        &self,
        rows: Range<u64>,
        columns: &[String],
        batch_rows: usize,
    ) -> Result<ScanReader, SourceError> {
        ScanReader::new(self.clone(), rows, columns, batch_rows, Texts::Coded)
    }

    /// Asks the store, after reading, whether every file is still the one that was opened, by size, time of the last
    /// change and version. A file that was replaced, changed in place or removed is [`SourceError::Changed`].
    pub async fn verify(&self) -> Result<(), SourceError> {
        futures::stream::iter(&self.inner.files)
            .map(ScanFile::verify)
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }
}
