//! Rows that are put aside: in memory while they are few, in a temporary Parquet file otherwise.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, SchemaRef},
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    errors::ParquetError,
    file::properties::WriterProperties,
};
use tempfile::TempPath;

use crate::SourceError;

/// Rows of a group: what the writer holds in memory, and what a filter can leave out.
const GROUP: usize = 64 << 10;

/// How the names of files begin.
const PREFIX: &str = "rows-";

/// Takes rows until they are put aside.
pub struct KeptWriter {
    schema: SchemaRef,
    folder: PathBuf,
    memory: usize,
    held: Vec<RecordBatch>,
    bytes: usize,
    rows: u64,
    file: Option<(ArrowWriter<BufWriter<File>>, TempPath)>,
    storable: bool,
}

impl KeptWriter {
    /// Rows of this schema; beyond `memory` bytes they go to a file in `folder`. Columns of a type that Parquet does not
    /// have stay in memory.
    pub fn new(schema: SchemaRef, folder: &Path, memory: usize) -> Self {
        let storable = schema.fields().iter().all(|field| storable(field.data_type()));
        Self {
            schema,
            folder: folder.to_owned(),
            memory,
            held: Vec::new(),
            bytes: 0,
            rows: 0,
            file: None,
            storable,
        }
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// [`SourceError::Disk`].
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), SourceError> {
        self.rows += batch.num_rows() as u64;
        if let Some((writer, _)) = &mut self.file {
            let written = writer.write(&batch);
            return written.map_err(|error| self.failed(error));
        }
        self.bytes += batch.get_array_memory_size();
        self.held.push(batch);
        if self.storable && self.bytes > self.memory {
            self.open()?;
        }
        Ok(())
    }

    /// The rows, to be read as often as wanted.
    ///
    /// # Errors
    /// [`SourceError::Disk`].
    pub fn finish(mut self) -> Result<KeptRows, SourceError> {
        let place = match self.file.take() {
            None => Place::Memory(std::mem::take(&mut self.held)),
            Some((writer, path)) => {
                let mut out = writer.into_inner().map_err(|error| self.failed(error))?;
                out.flush().map_err(|error| self.disk(error.kind()))?;
                Place::File(path)
            }
        };
        Ok(KeptRows { schema: self.schema, rows: self.rows, place })
    }

    fn open(&mut self) -> Result<(), SourceError> {
        let disk = |error: std::io::Error| self.disk(error.kind());
        let folder = std::path::absolute(&self.folder).map_err(disk)?;
        let named = tempfile::Builder::new().prefix(PREFIX).suffix(".parquet").tempfile_in(folder);
        let (file, path) = named.map_err(disk)?.into_parts();
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let out = BufWriter::with_capacity(1 << 20, file);
        let mut writer = ArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties))
            .map_err(|error| self.failed(error))?;
        for batch in std::mem::take(&mut self.held) {
            writer.write(&batch).map_err(|error| self.failed(error))?;
        }
        self.file = Some((writer, path));
        Ok(())
    }

    fn failed(&self, error: ParquetError) -> SourceError {
        match error {
            ParquetError::External(cause) => match cause.downcast_ref::<std::io::Error>() {
                Some(error) => self.disk(error.kind()),
                None => SourceError::Config(format!("rows that no file can hold: {cause}")),
            },
            error => SourceError::Config(format!("rows that no file can hold: {error}")),
        }
    }

    fn disk(&self, kind: std::io::ErrorKind) -> SourceError {
        SourceError::Disk { folder: self.folder.display().to_string(), kind }
    }
}

/// Whether Parquet has the type.
fn storable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) | DataType::Union(..) | DataType::RunEndEncoded(..) => false,
        DataType::List(field) | DataType::LargeList(field) => storable(field.data_type()),
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|field| storable(field.data_type()))
        }
        _ => true,
    }
}

/// Rows that were put aside. A file is gone when they are dropped.
#[derive(Debug)]
pub struct KeptRows {
    schema: SchemaRef,
    rows: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<RecordBatch>),
    File(TempPath),
}

impl KeptRows {
    /// Rows in memory.
    pub fn held(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Self { schema, rows, place: Place::Memory(batches) }
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows, where they are in memory.
    pub fn in_memory(&self) -> Option<&[RecordBatch]> {
        match &self.place {
            Place::Memory(batches) => Some(batches),
            Place::File(_) => None,
        }
    }

    /// The Parquet file with the rows, where they are in one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Memory(_) => None,
            Place::File(path) => Some(path.as_ref()),
        }
    }

    /// The rows, batch by batch.
    ///
    /// # Errors
    /// [`SourceError::Disk`], also of a batch.
    pub fn batches(
        &self,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, SourceError>> + Send + '_>, SourceError> {
        let path = match &self.place {
            Place::Memory(batches) => return Ok(Box::new(batches.iter().cloned().map(Ok))),
            Place::File(path) => path,
        };
        let disk = |kind| SourceError::Disk { folder: path.display().to_string(), kind };
        let file = File::open(path).map_err(|error| disk(error.kind()))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
        let reader = reader.map_err(|_| disk(std::io::ErrorKind::InvalidData))?;
        Ok(Box::new(reader.map(move |batch| batch.map_err(|_| disk(std::io::ErrorKind::InvalidData)))))
    }

    /// The rows as a table of the query engine, which reads the columns and groups of rows that it needs.
    ///
    /// # Errors
    /// [`SourceError::Config`] for a place that cannot be named.
    #[cfg(feature = "datafusion")]
    pub fn provider(self: &Arc<Self>) -> Result<Arc<dyn datafusion::catalog::TableProvider>, SourceError> {
        crate::provider::kept(self)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};

    use super::*;

    fn batch(from: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 100));
        RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
    }

    fn kept(folder: &Path, memory: usize) -> KeptRows {
        let mut writer = KeptWriter::new(batch(0).schema(), folder, memory);
        (0..50).for_each(|n| writer.push(batch(n * 100)).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn rows_come_back_in_their_order_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for (memory, in_file) in [(1 << 20, false), (10_000, true), (0, true)] {
            let rows = kept(folder.path(), memory);
            assert_eq!((rows.rows(), rows.file().is_some()), (5000, in_file));
            let read: Vec<i64> = rows
                .batches()
                .unwrap()
                .flat_map(|b| {
                    b.unwrap().column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
                })
                .collect();
            assert_eq!(read, (0..5000).collect::<Vec<_>>());
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(in_file));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the files are gone with the rows");
    }

    #[test]
    fn a_type_that_parquet_lacks_stays_in_memory_and_a_folder_that_is_away_is_told() {
        let column: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![None; 100]));
        let batch = RecordBatch::try_from_iter_with_nullable([("span", column, true)]).unwrap();
        let mut writer = KeptWriter::new(batch.schema(), Path::new("/nowhere/at/all"), 0);
        writer.push(batch).unwrap();
        assert!(writer.finish().unwrap().in_memory().is_some());
        let mut writer = KeptWriter::new(self::batch(0).schema(), Path::new("/nowhere/at/all"), 0);
        let error = writer.push(self::batch(0)).unwrap_err();
        assert!(matches!(error, SourceError::Disk { kind: std::io::ErrorKind::NotFound, .. }), "{error}");
        assert_eq!(error.exit_code(), dualrun_core::ExitCode::Infrastructure);
    }
}
