//! Relations that nobody declared.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bson::doc;

use super::*;
use crate::{TableKind, documents::to_batches, read_relation, relation_format};

async fn relation(
    folder: &Path,
    text: &str,
    hint: Option<&Schema>,
    text_columns: &[&str],
) -> Result<InputTable, SourceError> {
    let text_columns: Vec<String> = text_columns.iter().map(|c| (*c).to_owned()).collect();
    read_relation(text, folder, &BTreeMap::new(), hint, &text_columns).await
}

fn types(table: &InputTable) -> Vec<String> {
    table.schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect()
}

const CSV: &str = "id,code,kwh,day,at\n1,007,0.12,2025-03-01,2025-03-01 10:00:00\n2,010,25,2025-03-02,\n";

#[tokio::test]
async fn csv_without_a_hint_has_the_types_of_its_values() {
    let folder = folder();
    put(folder.path(), "a.csv", CSV);
    let table = relation(folder.path(), "a.csv", None, &["id"]).await.unwrap();
    let expected = ["id: Utf8", "code: Utf8", "kwh: Decimal128(38, 2)", "day: Date32", "at: Timestamp(µs)"];
    assert_eq!(types(&table), expected);
    assert_eq!(texts(&table.batches, "kwh"), ["0.12", "25.00"]);
    assert_eq!(texts(&table.batches, "at"), ["2025-03-01T10:00:00", "-"]);
    assert_eq!(table.report.files[0].path, "a.csv");
}

#[tokio::test]
async fn csv_takes_the_types_of_the_other_side_where_they_fit() {
    let folder = folder();
    put(folder.path(), "a.csv", CSV);
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let hint = Schema::new(vec![
        Field::new("id", DataType::Int32, false),
        Field::new("code", DataType::Int64, true),
        Field::new("kwh", DataType::Float64, true),
        Field::new("day", DataType::Boolean, true),
        Field::new("at", utc, true),
    ]);
    let table = relation(folder.path(), "a.csv", Some(&hint), &["id"]).await.unwrap();
    let zoned = "at: Timestamp(ms, \"UTC\")";
    // Nobody says of which zone a local time is.
    let expected = ["id: Int32", "code: Int64", "kwh: Float64", "day: Date32", "at: Timestamp(µs)"];
    assert_eq!(types(&table), expected);
    assert_eq!(texts(&table.batches, "code"), ["7", "10"]);
    put(folder.path(), "z.csv", CSV.replace("10:00:00", "10:00:00Z"));
    let table = relation(folder.path(), "z.csv", Some(&hint), &["id"]).await.unwrap();
    assert_eq!(types(&table)[4], zoned);
}

#[tokio::test]
async fn a_folder_of_one_format_is_one_relation() {
    let folder = folder();
    let (schema, batches, _) = to_batches(&[doc! { "b": 1, "a": "x" }], &Shape::default()).unwrap();
    put(folder.path(), "t/day=2025-03-01/0.parquet", parquet(&schema, &batches));
    put(folder.path(), "t/day=2025-03-02/0.parquet", parquet(&schema, &batches));
    put(folder.path(), "t/_SUCCESS", "");
    let table = relation(folder.path(), "t", None, &[]).await.unwrap();
    assert_eq!((types(&table), table.report.rows), (vec!["a: Utf8".to_owned(), "b: Int64".to_owned()], 2));
    let format = relation_format("t/", folder.path(), &BTreeMap::new()).await.unwrap();
    assert_eq!(format, Format::Parquet);
    put(folder.path(), "t/notes.txt", "x");
    put(folder.path(), "t/more.csv", "a\n");
    let error = relation(folder.path(), "t", None, &[]).await.unwrap_err();
    assert!(error.to_string().ends_with("holds files that do not belong to the table: more.csv, notes.txt"));
}

#[tokio::test]
async fn dumps_and_json_lines_are_relations_too() {
    let folder = folder();
    let dump = crate::bson_dump::write([doc! { "v": 1 }].iter(), false).unwrap();
    put(folder.path(), "d/usage.bson", dump);
    put(folder.path(), "d/usage.metadata.json.gz", "");
    put(folder.path(), "d/prelude.json", "{}");
    put(folder.path(), "x.ndjson", "{\"v\": 2}");
    let dumped = relation(folder.path(), "d", None, &[]).await.unwrap();
    assert_eq!(texts(&dumped.batches, "v"), ["1"]);
    let url = format!("file://{}/x.ndjson", folder.path().display());
    assert_eq!(texts(&relation(Path::new("/"), &url, None, &[]).await.unwrap().batches, "v"), ["2"]);
}

#[tokio::test]
async fn tables_of_other_formats_are_refused_by_name() {
    let folder = folder();
    put(folder.path(), "delta/_delta_log/00000000000000000000.json", "{}");
    put(folder.path(), "delta/part-0.parquet", "");
    put(folder.path(), "ice/metadata/v1.metadata.json", "{}");
    put(folder.path(), "ice/data/0.parquet", "");
    put(folder.path(), "x.xlsx", "");
    let error = async |text: &str| relation(folder.path(), text, None, &[]).await.unwrap_err();
    assert!(matches!(error("delta").await, SourceError::TableFormat { kind: TableKind::Delta, .. }));
    assert!(matches!(error("ice").await, SourceError::TableFormat { kind: TableKind::Iceberg, .. }));
    assert!(matches!(error("x.xlsx").await, SourceError::UnknownFormat { .. }));
    assert!(matches!(error("gone").await, SourceError::NotFound { .. }));
    assert!(matches!(error("postgres://x/y#t").await, SourceError::Config(_)));
    let none = Shape::default();
    let declared = read_files(folder.path(), Format::Parquet, &["delta/"], &none, true).await.unwrap_err();
    assert!(matches!(declared, SourceError::TableFormat { .. }) && declared.hint().is_some());
}

#[tokio::test]
async fn empty_relations_have_their_columns() {
    let folder = folder();
    put(folder.path(), "a.csv", "id,v\n");
    let csv = relation(folder.path(), "a.csv", None, &["id"]).await.unwrap();
    assert_eq!((types(&csv), csv.report.rows), (vec!["id: Utf8".to_owned(), "v: Null".to_owned()], 0));
}
