//! Parquet files, written as their rows come and read as they are asked for.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dualrun_sources::{Location, SourceError, commits::DataFile};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::path::Path;
use parquet::{
    arrow::{
        ArrowWriter, ParquetRecordBatchStreamBuilder, ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use crate::{LakeError, Upload, object::Object};

/// What a row group holds in memory at most, about, before it is encoded.
const GROUP_BYTES: usize = 32 << 20;

/// Rows of a row group at most.
const GROUP_ROWS: usize = 256 << 10;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 8192;

/// A Parquet file of a table that is being written.
pub struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    upload: Upload,
    name: String,
    path: String,
    rows: u64,
}

impl FileWriter {
    /// A file at a path below a table.
    ///
    /// # Errors
    /// A column that Parquet cannot hold.
    pub fn new(table: &Location, path: &str, schema: &SchemaRef) -> Result<Self, LakeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("dualrun ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
        let object = table.object(path);
        let name = table.name(&object);
        let upload = Upload::new(Arc::clone(&table.store), object);
        Ok(Self { writer, upload, name, path: path.to_owned(), rows: 0 })
    }

    /// Takes rows under the schema of the file.
    ///
    /// # Errors
    /// The store refuses or is away; nothing of the file is left there then.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.writer.write(batch)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
        }
        self.drain().await
    }

    /// Makes the file visible in the store, though not yet in the table.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn finish(mut self) -> Result<DataFile, LakeError> {
        self.writer.finish()?;
        self.drain().await?;
        let bytes =
            self.upload.finish().await.map_err(|source| LakeError::Write { path: self.name, source })?;
        Ok(DataFile { path: self.path, rows: self.rows, bytes })
    }

    async fn drain(&mut self) -> Result<(), LakeError> {
        let bytes = std::mem::take(self.writer.inner_mut());
        let written = self.upload.write(&bytes).await;
        written.map_err(|source| LakeError::Write { path: self.name.clone(), source })
    }
}

/// A file of a table that is read, as often as is asked for.
pub(crate) struct FileReader {
    object: Object,
    metadata: ArrowReaderMetadata,
    name: String,
}

impl FileReader {
    pub(crate) async fn open(table: &Location, file: &DataFile) -> Result<Self, SourceError> {
        let path: Path = table.object(&file.path);
        let name = table.name(&path);
        let mut object = Object { store: Arc::clone(&table.store), path, size: file.bytes };
        let metadata = ArrowReaderMetadata::load_async(&mut object, ArrowReaderOptions::default()).await;
        let metadata = metadata.map_err(|error| match failed(&name, error) {
            SourceError::NotFound { path } => {
                SourceError::FileGone { table: table.display.clone(), file: path, copy: true }
            }
            error => error,
        })?;
        Ok(Self { object, metadata, name })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The rows, with these columns only where some are given.
    pub(crate) fn rows(
        &self,
        columns: Option<&[String]>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, SourceError>>, SourceError> {
        let (object, metadata) = (self.object.clone(), self.metadata.clone());
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(object, metadata);
        if let Some(columns) = columns {
            let chosen = columns.iter().map(String::as_str);
            let mask = ProjectionMask::columns(builder.parquet_schema(), chosen);
            builder = builder.with_projection(mask);
        }
        let name = self.name.clone();
        let stream = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| failed(&name, error))?;
        Ok(stream.map_err(move |error| failed(&name, error)).boxed())
    }
}

/// An error of the reader, which may hold one of the store.
fn failed(name: &str, error: ParquetError) -> SourceError {
    let path = name.to_owned();
    match error {
        ParquetError::External(source) => match source.downcast::<object_store::Error>() {
            Ok(source) => match *source {
                object_store::Error::NotFound { .. } => SourceError::NotFound { path },
                _ => SourceError::Access { path, source },
            },
            Err(source) => SourceError::Corrupt { file: path, offset: None, what: source.to_string() },
        },
        other => SourceError::Corrupt { file: path, offset: None, what: other.to_string() },
    }
}
