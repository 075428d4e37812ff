//! Inputs of every format in temporary folders.

mod exact;
mod files;
mod relations;
mod same_facts;
mod values;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
    util::display::array_value_to_string,
};
use dualrun_core::shape::Shape;
use parquet::arrow::ArrowWriter;

use crate::{FileSelection, Format, InputTable, Location, Request, SourceError, open_location, read};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn location(folder: &Path) -> Location {
    open_location(folder.to_str().unwrap(), Path::new("/"), &BTreeMap::new()).unwrap()
}

fn shape(json: serde_json::Value) -> Shape {
    serde_json::from_value(json).unwrap()
}

async fn read_files(
    folder: &Path,
    format: Format,
    names: &[&str],
    shape: &Shape,
    required: bool,
) -> Result<InputTable, SourceError> {
    let files = FileSelection::Exact(names.iter().map(|n| (*n).to_owned()).collect());
    read(&Request { format, location: &location(folder), files, shape, required }).await
}

fn parquet(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), None).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.into_inner().unwrap()
}

/// The values of a column as text; a dash for null.
fn texts(batches: &[RecordBatch], column: &str) -> Vec<String> {
    let text =
        |array: &ArrayRef, row: usize| match array.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
            true => "-".to_owned(),
            false => array_value_to_string(array, row).unwrap(),
        };
    let column = |b: &RecordBatch| b.column_by_name(column).unwrap_or_else(|| panic!("no {column}")).clone();
    batches.iter().flat_map(|b| (0..b.num_rows()).map(move |row| text(&column(b), row))).collect()
}

fn misfits(table: &InputTable) -> Vec<(String, &'static str, u64)> {
    table.report.misfits.iter().map(|m| (m.field.clone(), m.found, m.count)).collect()
}
