//! Parquet scans of local and remote files.

mod checksums;
mod damage;
mod files;
mod remote;
mod same;
mod speed;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int64Array, ListArray, MapArray, MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder,
        StringViewArray, StructArray, TimestampMicrosecondArray, new_null_array,
    },
    compute,
    datatypes::{DataType, Field, Int32Type, Int64Type},
};
use parquet::{
    arrow::ArrowWriter,
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
};

use super::*;

/// Rows of the table with every type.
const ROWS: usize = 2_000;

/// Small row groups and pages, so that little data has many of both.
fn small_pages() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(700))
        .set_data_page_row_count_limit(90)
        .set_write_batch_size(30)
}

fn write(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn open(folder: &Path, text: &str) -> Result<ParquetScan, SourceError> {
    open_scan(text, folder, &BTreeMap::new()).await.map(|scan| scan.expect("a Parquet relation"))
}

fn names(scan: &ParquetScan) -> Vec<String> {
    scan.schema().fields().iter().map(|f| f.name().clone()).collect()
}

fn read(
    scan: &ParquetScan,
    rows: Range<u64>,
    columns: &[String],
    batch_rows: usize,
) -> Result<Vec<RecordBatch>, SourceError> {
    scan.read(rows, columns, batch_rows)?.collect()
}

/// All rows as one batch, views as plain text.
fn all(scan: &ParquetScan, batch_rows: usize) -> Result<RecordBatch, SourceError> {
    let batches = read(scan, 0..scan.rows(), &names(scan), batch_rows)?;
    let schema = Arc::new(scan.schema().as_ref().clone().with_metadata(Default::default()));
    let plain = |batch: &RecordBatch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(c, f)| compute::cast(c, f.data_type()).unwrap()).collect();
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    Ok(compute::concat_batches(&schema, &batches.iter().map(plain).collect::<Vec<_>>()).unwrap())
}

fn ints(batches: &[RecordBatch], column: usize) -> Vec<Option<i64>> {
    use arrow::array::AsArray;
    batches
        .iter()
        .flat_map(|b| b.column(column).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
        .collect()
}

/// A key in order and a text.
fn simple(rows: Range<i64>) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(rows.map(|i| format!("customer {i:06}"))));
    RecordBatch::try_from_iter([("id", id), ("text", text)]).unwrap()
}

/// A table with every type that Parquet brings.
fn every_type() -> RecordBatch {
    let n = ROWS;
    let ids = Int64Array::from_iter((0..n as i64).map(|i| (i % 7 != 3).then_some(i * 3 - 1000)));
    let casts = |to: DataType| compute::cast(&(Arc::new(small(n)) as ArrayRef), &to).unwrap();
    let texts: StringArray =
        (0..n).map(|i| (i % 11 != 0).then(|| format!("naïve value number {i}"))).collect();
    let cast_text = |to: DataType| compute::cast(&texts, &to).unwrap();
    let mut columns: Vec<(String, ArrayRef)> = vec![("id".into(), Arc::new(ids))];
    for to in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Decimal32(7, 2),
        DataType::Decimal64(15, 4),
        DataType::Decimal128(38, 18),
        DataType::Decimal256(60, 5),
        DataType::Time32(arrow::datatypes::TimeUnit::Millisecond),
        DataType::Time64(arrow::datatypes::TimeUnit::Nanosecond),
        DataType::Date64,
        DataType::Duration(arrow::datatypes::TimeUnit::Microsecond),
    ] {
        let from = match to {
            // These have no cast from short integers.
            DataType::Time32(_) => casts(DataType::Int32),
            DataType::Time64(_) | DataType::Date64 | DataType::Duration(_) => casts(DataType::Int64),
            _ => casts(DataType::Int16),
        };
        columns.push((to.to_string(), compute::cast(&from, &to).unwrap()));
    }
    for to in [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::LargeUtf8)),
    ] {
        columns.push((format!("text {to}"), cast_text(to)));
    }
    let floats: Float64Array = (0..n)
        .map(|i| match i % 9 {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(-0.0),
            _ => Some(i as f64 / 3.0),
        })
        .collect();
    let keys: DictionaryArray<Int32Type> = (0..n).map(|i| ["a", "b", "c"][i % 3]).collect();
    let list =
        ListArray::from_iter_primitive::<Int64Type, _, _>((0..n).map(|i| {
            (i % 5 != 0).then(|| (0..i % 4).map(|j| (j != 2).then_some(j as i64)).collect::<Vec<_>>())
        }));
    let members: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("region", DataType::Utf8, true)), Arc::new(texts.clone())),
        (Arc::new(Field::new("kind", keys.data_type().clone(), true)), Arc::new(keys)),
        (Arc::new(Field::new("hours", DataType::Float64, true)), Arc::new(floats.clone())),
    ];
    let more: [(&str, ArrayRef); 8] = [
        ("flag", Arc::new((0..n).map(|i| (i % 4 != 1).then_some(i % 2 == 0)).collect::<BooleanArray>())),
        ("float", Arc::new(floats)),
        ("day", Arc::new(Date32Array::from_iter((0..n).map(|i| (i % 6 != 2).then_some(i as i32))))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(0..n as i64).with_timezone("Europe/Paris")),
        ),
        ("null", Arc::new(NullArray::new(n))),
        ("list", Arc::new(list)),
        ("map", Arc::new(map(n))),
        ("document", Arc::new(StructArray::from(members))),
    ];
    columns.extend(more.into_iter().map(|(name, array)| (name.to_owned(), array)));
    columns.push(("only null".to_owned(), new_null_array(&DataType::Utf8, n)));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn small(n: usize) -> Int64Array {
    (0..n as i64).map(|i| (i % 13 != 5).then_some(i % 100)).collect()
}

fn map(n: usize) -> MapArray {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), arrow::array::Int64Builder::new());
    for i in 0..n {
        for j in 0..i % 3 {
            builder.keys().append_value(format!("k{j}"));
            builder.values().append_value((i * j) as i64);
        }
        builder.append(i % 8 != 7).unwrap();
    }
    builder.finish()
}
