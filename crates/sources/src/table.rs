//! What was read: batches, and what is said of them.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dualrun_core::run::Consistency;

use crate::Misfit;

/// An input in memory.
#[derive(Debug, Clone)]
pub struct InputTable {
    /// Columns; every one may be null.
    pub schema: SchemaRef,
    /// Rows, in the order of the files and of the rows in them.
    pub batches: Vec<RecordBatch>,
    /// Where they come from and what did not fit.
    pub report: ReadReport,
}

impl InputTable {
    /// The rows as a table of DataFusion.
    #[cfg(feature = "datafusion")]
    pub fn provider(
        &self,
    ) -> Result<std::sync::Arc<dyn datafusion::catalog::TableProvider>, crate::SourceError> {
        let schema = std::sync::Arc::clone(&self.schema);
        let table = datafusion::datasource::MemTable::try_new(schema, vec![self.batches.clone()])
            .map_err(|e| crate::SourceError::Config(format!("the rows are not a table: {e}")))?;
        Ok(std::sync::Arc::new(table))
    }

    /// Bytes that the rows occupy.
    pub fn memory_size(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// What was read, and what of it did not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The files in the order in which they were read.
    pub files: Vec<FileReport>,
    /// Rows of all files.
    pub rows: u64,
    /// Values that became null because they do not fit the type of their field.
    pub misfits: Vec<Misfit>,
    /// Rows with at least one such value.
    pub misfit_documents: u64,
    /// Columns of a relation that are decimals because a float would round a whole number in them.
    pub exact_numbers: Vec<String>,
    /// Declared files and folders that do not exist.
    pub missing_files: Vec<String>,
    /// Of a server: which state of the data was read, and how sure that is.
    pub consistency: Option<Consistency>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Relative to the location.
    pub path: String,
    /// Size as stored.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// The version that the store knows it by.
    pub e_tag: Option<String>,
    /// When the store last saw it change, RFC 3339.
    pub last_modified: Option<String>,
}
