//! Files, footers, bounds and versions.

use arrow::array::{AsArray, FixedSizeBinaryArray};

use super::*;
use crate::{TableKind, read_relation};

#[tokio::test]
async fn row_groups_of_all_files_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t/a.parquet", write(&simple(0..1000), small_pages().build()));
    put(folder.path(), "t/b.parquet", write(&simple(1000..1000), small_pages().build()));
    put(folder.path(), "t/c.parquet", write(&simple(1000..1500), small_pages().build()));
    put(folder.path(), "t/_SUCCESS", "");
    let scan = open(folder.path(), "t").await.unwrap();
    let groups: Vec<_> = scan.groups().iter().map(|g| (g.first_row, g.rows, g.file, g.index)).collect();
    assert_eq!(groups, [(0, 700, 0, 0), (700, 300, 0, 1), (1000, 500, 2, 0)]);
    assert!(scan.groups().iter().all(|g| g.compressed_bytes > 0));
    let files = scan.files();
    let paths: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.rows)).collect();
    assert_eq!(paths, [("a.parquet", 1000), ("b.parquet", 0), ("c.parquet", 500)]);
    assert!(files.iter().all(|f| f.bytes > 0 && f.e_tag.is_some()));
    let id = ["id".to_owned()];
    let read = |rows: Range<u64>| ints(&read(&scan, rows, &id, 100).unwrap(), 0);
    assert_eq!(read(0..1500), (0..1500).map(Some).collect::<Vec<_>>());
    assert_eq!(read(990..1010), (990..1010).map(Some).collect::<Vec<_>>());
    scan.verify().await.unwrap();
}

#[tokio::test]
async fn what_read_relation_refuses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    put(path, "a.csv", "id\n1\n");
    assert!(open_scan("a.csv", path, &BTreeMap::new()).await.unwrap().is_none());
    put(path, "delta/_delta_log/0.json", "{}");
    put(path, "delta/p.parquet", "");
    put(path, "stray/p.parquet", write(&simple(0..1), Default::default()));
    put(path, "stray/notes.txt", "x");
    std::fs::create_dir(path.join("none")).unwrap();
    let error = async |text: &str| open(path, text).await.unwrap_err();
    assert!(matches!(error("delta").await, SourceError::TableFormat { kind: TableKind::Delta, .. }));
    assert!(matches!(error("stray").await, SourceError::StrayFiles { .. }));
    assert!(matches!(error("none").await, SourceError::EmptyFolder { .. }));
    assert!(matches!(error("gone.parquet").await, SourceError::NotFound { .. }));
    let nothing = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
    put(path, "columns.parquet", write(&nothing, Default::default()));
    assert!(matches!(error("columns.parquet").await, SourceError::NoColumns { .. }));
}

#[tokio::test]
async fn drift_names_both_files_and_types_before_a_row_is_read() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t/1.parquet", write(&simple(0..9), Default::default()));
    let id: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    put(
        folder.path(),
        "t/2.parquet",
        write(&RecordBatch::try_from_iter([("id", id)]).unwrap(), Default::default()),
    );
    let error = open(folder.path(), "t").await.unwrap_err().to_string();
    assert!(
        error.starts_with("column \"id\" is Int64 in ") && error.contains("1.parquet but Utf8 in "),
        "{error}"
    );
}

/// Rows with null where a file has no such column would hide that its writer lost it.
#[tokio::test]
async fn a_column_that_a_file_lacks_is_told_before_a_row_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let id = RecordBatch::try_from_iter([("id", id)]).unwrap();
    put(folder.path(), "t/1.parquet", write(&simple(0..9), Default::default()));
    put(folder.path(), "t/2.parquet", write(&id, Default::default()));
    let error = open(folder.path(), "t").await.unwrap_err();
    assert!(
        matches!(&error, SourceError::ColumnLacks { lacks, .. } if lacks.ends_with("2.parquet")),
        "{error}"
    );
    assert_eq!(u8::from(error.exit_code()), 2);
    let read = read_relation("t", folder.path(), &BTreeMap::new(), None, &[]).await.unwrap_err();
    assert!(matches!(read, SourceError::ColumnLacks { .. }), "{read}");
    // A file without rows hides nothing.
    put(folder.path(), "t/2.parquet", write(&id.slice(0, 0), Default::default()));
    assert_eq!(open(folder.path(), "t").await.unwrap().rows(), 9);
    put(folder.path(), "c/1.csv", "id,v\n1,2\n");
    put(folder.path(), "c/2.csv", "id\n2\n");
    let read = read_relation("c", folder.path(), &BTreeMap::new(), None, &[]).await.unwrap_err();
    assert_eq!(read.to_string(), "column \"v\" is in 1.csv but not in 2.csv");
}

#[tokio::test]
async fn rows_and_columns_that_do_not_exist_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.parquet", write(&simple(0..9), Default::default()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let error = |rows: Range<u64>, column: &str| {
        scan.read(rows, &[column.to_owned()], 10).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(error(0..10, "id"), "rows 0 to 10 do not exist, there are 9");
    assert_eq!(error(0..9, "idd"), "\"idd\" is not a column of the Parquet files");
    assert_eq!(error(0..9, "id"), "");
}

#[tokio::test]
async fn bounds_are_exact_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.parquet", write(&simple(0..1000), small_pages().build()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let (least, greatest) = scan.bounds(1, "id").unwrap();
    assert_eq!(
        (least.as_primitive::<Int64Type>().value(0), greatest.as_primitive::<Int64Type>().value(0)),
        (700, 999)
    );
    let (least, greatest) = scan.bounds(0, "text").unwrap();
    assert_eq!(least.data_type(), &DataType::Utf8);
    let texts = (least.as_string::<i32>().value(0), greatest.as_string::<i32>().value(0));
    assert_eq!(texts, ("customer 000000", "customer 000699"));
    assert!(scan.bounds(2, "id").is_none() && scan.bounds(0, "gone").is_none());

    let cut = small_pages().set_statistics_truncate_length(Some(4)).build();
    put(folder.path(), "cut.parquet", write(&simple(0..10), cut));
    assert!(open(folder.path(), "cut.parquet").await.unwrap().bounds(0, "text").is_none());

    put(folder.path(), "every.parquet", write(&every_type(), Default::default()));
    let scan = open(folder.path(), "every.parquet").await.unwrap();
    for name in ["float", "Float16", "Float32", "only null", "null", "list", "map", "document"] {
        assert!(scan.bounds(0, name).is_none(), "{name}");
    }
    let table = all(&scan, 8192).unwrap();
    for field in scan.schema().fields() {
        let Some((least, greatest)) = scan.bounds(0, field.name()) else { continue };
        assert_eq!((least.data_type(), greatest.data_type()), (field.data_type(), field.data_type()));
        // Bounds are the first and the last of the sorted values.
        let options = arrow::compute::SortOptions { descending: false, nulls_first: true };
        let column = table.column_by_name(field.name()).unwrap();
        let sorted = compute::sort(column, Some(options)).unwrap();
        assert_eq!(&sorted.slice(column.null_count(), 1), &least, "{}", field.name());
        assert_eq!(&sorted.slice(column.len() - 1, 1), &greatest, "{}", field.name());
    }
    let bytes: ArrayRef =
        Arc::new(FixedSizeBinaryArray::try_from_iter([[9_u8, 1], [200, 0]].iter()).unwrap());
    let batch = RecordBatch::try_from_iter([("b", bytes)]).unwrap();
    put(folder.path(), "b.parquet", write(&batch, Default::default()));
    let scan = open(folder.path(), "b.parquet").await.unwrap();
    let (least, greatest) = scan.bounds(0, "b").unwrap();
    assert_eq!(
        (least.as_fixed_size_binary().value(0), greatest.as_fixed_size_binary().value(0)),
        (&[9, 1][..], &[200, 0][..])
    );
}

#[tokio::test]
async fn key_value_metadata_is_kept_where_the_files_agree() {
    let folder = tempfile::tempdir().unwrap();
    for (name, run) in [("t/1.parquet", "a"), ("t/2.parquet", "b")] {
        let batch = simple(0..3);
        let pairs = [("format", "1"), ("run", run)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let schema = Arc::new(batch.schema().as_ref().clone().with_metadata(pairs.into()));
        put(folder.path(), name, write(&batch.with_schema(schema).unwrap(), Default::default()));
    }
    let scan = open(folder.path(), "t").await.unwrap();
    assert_eq!(scan.schema().metadata().len(), 1);
    assert_eq!(scan.schema().metadata()["format"], "1");
    let one = open(folder.path(), "t/2.parquet").await.unwrap();
    assert_eq!(one.schema().metadata()["run"], "b");
}

#[tokio::test]
async fn a_replaced_file_is_read_as_it_was_and_told_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.parquet", write(&simple(0..2000), small_pages().build()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let before = all(&scan, 100).unwrap();
    put(folder.path(), "new.parquet", write(&simple(5..2005), small_pages().build()));
    std::fs::rename(folder.path().join("new.parquet"), folder.path().join("t.parquet")).unwrap();
    assert_eq!(all(&scan, 100).unwrap(), before);
    let error = scan.verify().await.unwrap_err();
    assert!(error.to_string().ends_with("t.parquet: changed while it was read"), "{error}");
    assert!(error.retryable() && error.hint().is_some());
    std::fs::remove_file(folder.path().join("t.parquet")).unwrap();
    assert!(matches!(scan.verify().await, Err(SourceError::Changed { .. })));
}

#[tokio::test]
async fn a_file_changed_in_place_is_told_instead_of_its_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    put(folder.path(), "t.parquet", write(&simple(0..2000), small_pages().build()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(100).unwrap();
    assert!(matches!(all(&scan, 100), Err(SourceError::Changed { .. })));
    assert!(matches!(scan.verify().await, Err(SourceError::Changed { .. })));
}

#[tokio::test]
async fn many_files_are_not_all_open_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(&simple(0..3), Default::default());
    (0..=KEPT_OPEN).for_each(|i| put(folder.path(), &format!("t/{i:04}.parquet"), &one));
    let scan = open(folder.path(), "t").await.unwrap();
    assert_eq!(scan.rows(), 3 * (KEPT_OPEN as u64 + 1));
    assert_eq!(all(&scan, 10).unwrap().num_rows() as u64, scan.rows());
    put(folder.path(), "t/0100.parquet", write(&simple(1..4), Default::default()));
    let other = std::fs::File::options().write(true).open(folder.path().join("t/0100.parquet")).unwrap();
    other.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let last = read(&scan, 300..303, &["id".to_owned()], 10).unwrap_err();
    assert!(matches!(last, SourceError::Changed { .. }));
}
