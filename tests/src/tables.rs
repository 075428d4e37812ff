//! Parquet files: written for tests, and read back.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray},
    compute::filter_record_batch,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

/// A column of text.
pub fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// A column of integers.
pub fn integers(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// A column of floats.
pub fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Writes a Parquet file.
///
/// # Panics
/// The columns do not fit together, or the file cannot be written.
pub fn write(path: &Path, columns: &[(&str, ArrayRef)]) {
    let columns = columns.iter().map(|(name, values)| (*name, Arc::clone(values), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    write_batches(path, &[batch]);
}

fn write_batches(path: &Path, batches: &[RecordBatch]) {
    let failed = |error: &dyn std::error::Error| -> ! { panic!("{}: {error}", path.display()) };
    let Some(first) = batches.first() else { panic!("{}: no batch", path.display()) };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).unwrap_or_else(|error| failed(&error));
    }
    let _ = std::fs::remove_file(path);
    let file = File::create(path).unwrap_or_else(|error| failed(&error));
    let mut writer = ArrowWriter::try_new(file, first.schema(), None).unwrap_or_else(|error| failed(&error));
    for batch in batches {
        writer.write(batch).unwrap_or_else(|error| failed(&error));
    }
    writer.close().unwrap_or_else(|error| failed(&error));
}

/// All batches of a Parquet file.
///
/// # Panics
/// It is none.
pub fn read(path: &Path) -> Vec<RecordBatch> {
    let failed = |error: &dyn std::error::Error| -> ! { panic!("{}: {error}", path.display()) };
    let file = File::open(path).unwrap_or_else(|error| failed(&error));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .unwrap_or_else(|error| failed(&error));
    reader.collect::<Result<_, _>>().unwrap_or_else(|error| failed(&error))
}

/// The values of a text column, nulls as the empty text.
///
/// # Panics
/// There is no such column of text.
pub fn texts(batches: &[RecordBatch], column: &str) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches {
        let Some(array) = batch.column_by_name(column) else {
            panic!("no column {column} in {:?}", batch.schema())
        };
        let array = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8)
            .unwrap_or_else(|error| panic!("{column}: {error}"));
        let array = array.as_any().downcast_ref::<StringArray>().cloned();
        values.extend(array.iter().flatten().map(|value| value.unwrap_or_default().to_owned()));
    }
    values
}

/// Writes a Parquet file again without the rows whose text column has a value; says how many rows went.
///
/// # Panics
/// The file is none, or has no such column of text.
pub fn drop_rows(path: &Path, column: &str, value: &str) -> usize {
    let mut dropped = 0;
    let kept: Vec<RecordBatch> = read(path)
        .iter()
        .map(|batch| {
            let keep: BooleanArray =
                texts(std::slice::from_ref(batch), column).iter().map(|found| Some(found != value)).collect();
            dropped += batch.num_rows() - keep.true_count();
            filter_record_batch(batch, &keep).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    write_batches(path, &kept);
    dropped
}
