//! Parquet files to record batches.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError};

use crate::{SourceError, documents::BATCH_ROWS};

/// All rows of a file.
pub(crate) fn parse(file: &str, bytes: Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), SourceError> {
    let damaged = |what: String| SourceError::Corrupt { file: file.to_owned(), offset: None, what };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .map_err(|e| damaged(format!("not a readable Parquet file: {}", parquet_error(e))))?;
    let schema = builder.schema().clone();
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| damaged(format!("not a readable Parquet file: {}", parquet_error(e))))?;
    let batches: Result<Vec<_>, _> = reader.collect();
    Ok((schema, batches.map_err(|e| damaged(format!("damaged Parquet data: {e}")))?))
}

fn parquet_error(error: ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) => text,
        other => other.to_string(),
    }
}
