//! Values of undeclared columns are never rounded, and columns without a value have no type.

use arrow::{
    array::{Int64Array, NullArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use bson::{Bson, Decimal128, Document, doc};
use dualrun_core::ExitCode;

use super::*;
use crate::{bson_dump, exact_beside, read_relation};

async fn relation(folder: &Path, text: &str, hint: Option<&Schema>) -> Result<InputTable, SourceError> {
    read_relation(text, folder, &BTreeMap::new(), hint, &[]).await
}

async fn csv(content: &str, hint: Option<DataType>) -> (DataType, Vec<String>) {
    let folder = folder();
    put(folder.path(), "x.csv", content);
    let hint = hint.map(|t| Schema::new(vec![Field::new("v", t, true)]));
    column(&relation(folder.path(), "x.csv", hint.as_ref()).await.unwrap())
}

async fn json(content: &str) -> (DataType, Vec<String>) {
    let folder = folder();
    put(folder.path(), "x.jsonl", content);
    column(&relation(folder.path(), "x.jsonl", None).await.unwrap())
}

async fn bson(values: Vec<Bson>) -> (DataType, Vec<String>) {
    let folder = folder();
    let documents: Vec<Document> = values.into_iter().map(|v| doc! { "v": v }).collect();
    put(folder.path(), "x.bson", bson_dump::write(documents.iter(), false).unwrap());
    let table = relation(folder.path(), "x.bson", None).await.unwrap();
    assert!(table.report.misfits.is_empty());
    column(&table)
}

fn column(table: &InputTable) -> (DataType, Vec<String>) {
    (table.schema.field_with_name("v").unwrap().data_type().clone(), texts(&table.batches, "v"))
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

#[tokio::test]
async fn whole_numbers_of_json_beyond_64_bits_stay_exact() {
    let (max, below) = ("18446744073709551615", "18446744073709551614");
    let (data_type, values) = json(&format!("{{\"v\":{max}}}\n{{\"v\":{below}}}")).await;
    assert!(matches!(data_type, DataType::Decimal128(38, _)));
    assert!(values[0].starts_with(max) && values[1].starts_with(below), "{values:?}");
    let (data_type, values) = json(&format!("{{\"v\":{max}}}\n{{\"v\":0.5}}")).await;
    assert!(matches!(data_type, DataType::Decimal128(38, _)));
    assert!(values[0].starts_with(max) && values[1].starts_with("0.5"), "{values:?}");
    let long = "12345678901234567890123456789012345678";
    assert_eq!(json(&format!("{{\"v\":{long}}}")).await, (DataType::Utf8, strings(&[long])));
}

#[tokio::test]
async fn numbers_of_documents_are_floats_only_where_exact() {
    let odd = (1_i64 << 53) + 1;
    let exact = bson(vec![Bson::Int64(1 << 53), Bson::Double(1.5), Bson::Int64(7)]).await;
    assert_eq!(exact, (DataType::Float64, strings(&["9007199254740992.0", "1.5", "7.0"])));
    let (data_type, values) = bson(vec![Bson::Int64(odd), Bson::Double(1.5)]).await;
    assert_eq!(data_type, DataType::Decimal128(38, 10));
    assert_eq!(values, ["9007199254740993.0000000000", "1.5000000000"]);
    let (data_type, values) = bson(vec![decimal("0.1"), Bson::Double(0.1), Bson::Double(0.1 + 0.2)]).await;
    assert_eq!(data_type, DataType::Decimal128(38, 17));
    assert_eq!(values, ["0.10000000000000000", "0.10000000000000000", "0.30000000000000004"]);
    let (data_type, values) = bson(vec![Bson::Int64(odd), Bson::Double(1e-30)]).await;
    assert_eq!(data_type, DataType::Utf8);
    assert_eq!(values, ["9007199254740993", "0.000000000000000000000000000001"]);
    let list = |v: Bson| Bson::Array(vec![v]);
    let (data_type, _) = bson(vec![list(Bson::Int64(odd)), list(Bson::Double(1.5))]).await;
    assert_eq!(data_type.to_string(), "List(Decimal128(38, 10))");
}

#[tokio::test]
async fn decimals_that_are_not_finite_are_kept() {
    let nan = bson(vec![decimal("NaN"), decimal("0.1"), Bson::Null, decimal("-Infinity")]).await;
    assert_eq!(nan, (DataType::Float64, strings(&["NaN", "0.1", "-", "-inf"])));
    let long = "0.1000000000000000000001";
    let text = bson(vec![decimal("NaN"), decimal(long)]).await;
    assert_eq!(text, (DataType::Utf8, strings(&["NaN", long])));
}

#[tokio::test]
async fn whole_numbers_of_csv_stay_exact_beside_floats() {
    let (data_type, values) = csv("v\n9007199254740993\n1e2\n", None).await;
    assert_eq!((data_type, values), (DataType::Decimal128(38, 0), strings(&["9007199254740993", "100"])));
    let (data_type, values) = csv("v\n9007199254740993\n1\n", Some(DataType::Float64)).await;
    assert_eq!((data_type, values), (DataType::Int64, strings(&["9007199254740993", "1"])));
    let folder = folder();
    put(folder.path(), "x.csv", "v\n9007199254740993\n0.5\n");
    let table = read_files(folder.path(), Format::Csv, &["x"], &Shape::default(), true).await.unwrap();
    assert!(matches!(column(&table).0, DataType::Decimal128(38, _)), "{:?}", table.schema);
}

#[tokio::test]
async fn a_hint_that_would_lose_something_is_not_taken() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let times = "v\n2025-03-01 10:00:00.123\n";
    assert_eq!(csv(times, Some(DataType::Date32)).await.0, micros);
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    assert_eq!(csv(times, Some(seconds.clone())).await.0, micros);
    assert_eq!(csv("v\n2025-03-01 10:00:00\n", Some(seconds.clone())).await.0, seconds);
    let nanos = csv("v\n2025-03-01 10:00:00.123456789\n", None).await;
    assert_eq!(nanos.0, DataType::Timestamp(TimeUnit::Nanosecond, None));
    assert_eq!(nanos.1, ["2025-03-01T10:00:00.123456789"]);
    assert_eq!(csv("v\n0.1\n", Some(DataType::Float32)).await.0, DataType::Float32);
    assert_eq!(csv("v\n16777217\n", Some(DataType::Float32)).await.0, DataType::Int64);
}

#[tokio::test]
async fn columns_without_a_value_have_no_type() {
    let none = (DataType::Null, Vec::new());
    assert_eq!(csv("v,w\n", None).await, none);
    assert_eq!(csv("v,w\n,1\n", None).await, (DataType::Null, strings(&["-"])));
    let naive = DataType::Timestamp(TimeUnit::Millisecond, None);
    for hint in [DataType::Float32, DataType::Date32, naive, DataType::Boolean] {
        assert_eq!(csv("v,w\n,1\n", Some(hint.clone())).await, (hint, strings(&["-"])));
    }
    assert_eq!(json("{\"v\":null}").await, (DataType::Null, strings(&["-"])));
    assert_eq!(bson(vec![Bson::Null]).await, (DataType::Null, strings(&["-"])));
    let folder = folder();
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Null, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(NullArray::new(2))]).unwrap();
    put(folder.path(), "x.parquet", parquet(&schema, &[batch]));
    let table = relation(folder.path(), "x.parquet", None).await.unwrap();
    assert_eq!(column(&table), (DataType::Null, strings(&["-", "-"])));
    // The types of an input must not depend on the rows of a night.
    put(folder.path(), "x.jsonl", "{\"v\":null}");
    put(folder.path(), "x.csv", "v,w\n,1\n");
    for format in [Format::JsonLines, Format::Csv, Format::Parquet] {
        let table = read_files(folder.path(), format, &["x"], &Shape::default(), true).await.unwrap();
        assert_eq!(column(&table).0, DataType::Utf8, "{format:?}");
    }
}

#[tokio::test]
async fn a_column_that_occurs_twice_is_refused() {
    let folder = folder();
    let field = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![field("k"), field("v"), field("v")]));
    let array = |n: i64| Arc::new(Int64Array::from(vec![n])) as ArrayRef;
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array(1), array(2), array(3)]).unwrap();
    put(folder.path(), "x.parquet", parquet(&schema, &[batch]));
    let related = relation(folder.path(), "x.parquet", None).await.unwrap_err();
    let declared =
        read_files(folder.path(), Format::Parquet, &["x"], &Shape::default(), true).await.unwrap_err();
    for error in [related, declared] {
        assert!(error.to_string().ends_with("x.parquet: the column \"v\" occurs twice"), "{error}");
        assert_eq!(error.exit_code(), ExitCode::Usage);
    }
}

#[tokio::test]
async fn floats_become_decimals_beside_whole_numbers_that_they_would_round() {
    let folder = folder();
    put(folder.path(), "a.jsonl", "{\"v\":9007199254740993}\n{\"v\":1.5}");
    put(folder.path(), "b.jsonl", "{\"v\":9007199254740992}\n{\"v\":0.30000000000000004}");
    put(folder.path(), "c.jsonl", "{\"v\":1e-60}\n{\"v\":1e30}");
    put(folder.path(), "d.csv", "v\n9007199254740993\n1e2\n");
    let exact = relation(folder.path(), "a.jsonl", None).await.unwrap().report.exact_numbers;
    assert_eq!(exact, ["v"]);
    assert_eq!(relation(folder.path(), "d.csv", None).await.unwrap().report.exact_numbers, ["v"]);
    let mut table = relation(folder.path(), "b.jsonl", None).await.unwrap();
    assert!(table.report.exact_numbers.is_empty());
    exact_beside(&mut table, &exact).unwrap();
    assert_eq!(
        column(&table),
        (
            DataType::Decimal128(38, 17),
            strings(&["9007199254740992.00000000000000000", "0.30000000000000004"])
        )
    );
    let mut wide = relation(folder.path(), "c.jsonl", None).await.unwrap();
    exact_beside(&mut wide, &exact).unwrap();
    assert_eq!(column(&wide).0, DataType::Float64);
}

#[tokio::test]
async fn emptiness_is_told_as_such() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("none")).unwrap();
    for name in ["x.csv", "x.bson", "x.jsonl", "some/1.csv"] {
        put(folder.path(), name, "");
    }
    for name in ["x.csv", "x.bson", "x.jsonl", "some"] {
        let error = relation(folder.path(), name, None).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("{name}: is empty, it has no columns")), "{error}");
        assert_eq!(error.exit_code(), ExitCode::Usage);
    }
    let error = relation(folder.path(), "none", None).await.unwrap_err();
    assert!(error.to_string().ends_with("none: is empty, there is no file to read"), "{error}");
    // An empty part beside others is nothing special.
    put(folder.path(), "some/2.csv", "v\n1\n");
    assert_eq!(relation(folder.path(), "some", None).await.unwrap().report.rows, 1);
}
