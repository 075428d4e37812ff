//! Which files are read, and what is said of those that are not there or are damaged.

use bson::doc;
use dualrun_core::ExitCode;
use serde_json::json;

use super::*;
use crate::bson_dump;

fn dump(value: i32) -> Vec<u8> {
    bson_dump::write([doc! { "v": value }].iter(), false).unwrap()
}

#[tokio::test]
async fn names_are_resolved_the_way_dumps_are_laid_out() {
    let folder = folder();
    put(folder.path(), "core/usage.bson", dump(1));
    put(folder.path(), "core/usage.metadata.json", "{}");
    put(folder.path(), "core/other.bson", dump(2));
    put(folder.path(), "days/2025-03-01.bson", dump(3));
    put(folder.path(), "days/2025-03-02.bson.gz", bson_dump::write([doc! { "v": 4 }].iter(), true).unwrap());
    let none = Shape::default();
    let get = async |names: &[&str]| {
        let table = read_files(folder.path(), Format::BsonDump, names, &none, true).await?;
        Ok::<_, SourceError>(texts(&table.batches, "v"))
    };
    for name in ["usage", "core.usage", "core/usage", "core/usage.bson"] {
        assert_eq!(get(&[name]).await.unwrap(), ["1"], "{name}");
    }
    assert_eq!(get(&["days/"]).await.unwrap(), ["3", "4"]);
    assert_eq!(get(&["days", "days/2025-03-01"]).await.unwrap(), ["3", "4"]);
    put(folder.path(), "backup/usage.bson", dump(9));
    let error = get(&["usage"]).await.unwrap_err();
    assert_eq!(error.to_string(), "\"usage\" may be backup/usage.bson or core/usage.bson; name one of them");
}

#[tokio::test]
async fn all_files_of_the_format_are_read_with_their_sizes() {
    let folder = folder();
    put(folder.path(), "a/1.csv", "v\n1\n");
    put(folder.path(), "a/_SUCCESS", "");
    put(folder.path(), "b/2.csv", "v,w\n2,x\n");
    let location = location(folder.path());
    let request = Request {
        format: Format::Csv,
        location: &location,
        files: FileSelection::All,
        shape: &Shape::default(),
        required: true,
    };
    let table = read(&request).await.unwrap();
    assert_eq!(texts(&table.batches, "v"), ["1", "2"]);
    assert_eq!(texts(&table.batches, "w"), ["-", "x"]);
    let files: Vec<_> = table.report.files.iter().map(|f| (f.path.as_str(), f.bytes, f.rows)).collect();
    assert_eq!(files, [("a/1.csv", 4, 1), ("b/2.csv", 8, 1)]);
    assert!(table.report.files.iter().all(|f| f.e_tag.is_some() && f.last_modified.is_some()));
    assert_eq!(table.report.rows, 2);
}

#[tokio::test]
async fn a_missing_file_is_an_error_or_listed() {
    let folder = folder();
    put(folder.path(), "1.bson", dump(1));
    let rules = shape(json!({ "v": "integer", "w": "date" }));
    let names = ["1.bson", "2.bson", "gone/"];
    let error = read_files(folder.path(), Format::BsonDump, &names, &rules, true).await.unwrap_err();
    assert!(matches!(&error, SourceError::NotFound { path } if path.ends_with("/2.bson")));
    assert_eq!((error.exit_code(), error.retryable()), (ExitCode::Infrastructure, false));
    let table = read_files(folder.path(), Format::BsonDump, &names, &rules, false).await.unwrap();
    assert_eq!(
        (table.report.rows, table.report.missing_files),
        (1, vec!["2.bson".to_owned(), "gone/".to_owned()])
    );
    for format in Format::ALL {
        let table = read_files(folder.path(), format, &["none/"], &rules, false).await.unwrap();
        let names: Vec<_> = table.schema.fields().iter().map(|f| f.to_string()).collect();
        assert_eq!((table.report.rows, table.batches.len(), names.len()), (0, 0, 2), "{names:?}");
        #[cfg(feature = "datafusion")]
        assert!(table.provider().is_ok());
    }
}

#[tokio::test]
async fn damage_is_told_with_file_and_place() {
    let folder = folder();
    let mut bytes = [dump(1), dump(2)].concat();
    put(folder.path(), "cut.bson", &bytes[..20]);
    bytes[16] = 0x7F;
    bytes[17] = 0xFF;
    put(folder.path(), "bad.bson", &bytes);
    let zipped = bson_dump::write([doc! { "v": 1 }].iter(), true).unwrap();
    put(folder.path(), "cut.bson.gz", &zipped[..zipped.len() - 9]);
    put(folder.path(), "bad.jsonl", "{\"v\": 1}\n{\"v\": \n");
    put(folder.path(), "bad.parquet", "PAR1 this is not Parquet PAR1");
    let told = async |format, name: &str| {
        let error = read_files(folder.path(), format, &[name], &Shape::default(), true).await.unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        error.to_string().replace(folder.path().to_str().unwrap(), "")
    };
    let cut = told(Format::BsonDump, "cut.bson").await;
    assert_eq!(cut, "/cut.bson: byte 12: a document of 12 bytes is cut off after 8");
    let bad = told(Format::BsonDump, "bad.bson").await;
    assert!(bad.starts_with("/bad.bson: byte 12: damaged document"), "{bad}");
    let gzip = told(Format::BsonDump, "cut.bson.gz").await;
    assert!(gzip.starts_with("/cut.bson.gz: byte ") && gzip.contains("gzip"), "{gzip}");
    let line = told(Format::JsonLines, "bad.jsonl").await;
    assert!(line.starts_with("/bad.jsonl: line 3: not JSON"), "{line}");
    let parquet = told(Format::Parquet, "bad.parquet").await;
    assert!(parquet.starts_with("/bad.parquet: not a readable Parquet file"), "{parquet}");
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let folder = folder();
    let mut bytes = bson_dump::write([doc! { "v": "abc" }].iter(), false).unwrap();
    let at = bytes.iter().position(|b| *b == b'b').unwrap();
    bytes[at] = 0xFF;
    put(folder.path(), "x.bson", bytes);
    let error =
        read_files(folder.path(), Format::BsonDump, &["x"], &Shape::default(), true).await.unwrap_err();
    assert!(matches!(&error, SourceError::Corrupt { offset: Some(0), .. }), "{error}");
}

#[tokio::test]
async fn files_of_one_table_widen_or_drift() {
    let folder = folder();
    let write = |name: &str, document: bson::Document| {
        let (schema, batches, _) = crate::documents::to_batches(&[document], &Shape::default()).unwrap();
        put(folder.path(), name, parquet(&schema, &batches));
    };
    write("t/1.parquet", doc! { "a": 1, "s": { "x": 1 } });
    write("t/2.parquet", doc! { "a": 0.5, "b": "x", "s": { "y": "t" } });
    let none = Shape::default();
    let table = read_files(folder.path(), Format::Parquet, &["t/"], &none, true).await.unwrap();
    assert_eq!(
        (texts(&table.batches, "a"), texts(&table.batches, "b")),
        (vec!["1.0".to_owned(), "0.5".to_owned()], vec!["-".to_owned(), "x".to_owned()])
    );
    assert_eq!(texts(&table.batches, "s"), ["{x: 1, y: }", "{x: , y: t}"]);
    write("t/3.parquet", doc! { "a": "x" });
    let error = read_files(folder.path(), Format::Parquet, &["t/"], &none, true).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("2.parquet") || text.contains("1.parquet"), "{text}");
    assert!(text.contains("3.parquet") && matches!(error, SourceError::SchemaDrift { .. }));
    let rules = shape(json!({ "a": "text" }));
    let table = read_files(folder.path(), Format::Parquet, &["t/"], &rules, true).await.unwrap();
    assert_eq!(texts(&table.batches, "a"), ["1", "0.5", "x"]);
}
