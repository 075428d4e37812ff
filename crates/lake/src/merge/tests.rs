use arrow::{
    array::{ArrayRef, AsArray, Int64Array, StringArray},
    datatypes::{DataType, Field, Int64Type},
};
use jiff::Timestamp;
use object_store::{memory::InMemory, path::Path};

use super::*;
use crate::{BATCH_COLUMN, Spool};

fn table() -> Location {
    Location { store: Arc::new(InMemory::new()), prefix: Path::from("t"), display: "memory/t".to_owned() }
}

fn stamp(batch: &str) -> Stamp {
    Stamp { loaded_at: Timestamp::UNIX_EPOCH, batch: batch.to_owned() }
}

fn rows(rows: &[(i64, &str)]) -> RecordBatch {
    let ids: Int64Array = rows.iter().map(|(id, _)| Some(*id)).collect();
    let texts: StringArray = rows.iter().map(|(_, text)| Some(*text)).collect();
    let columns: [(&str, ArrayRef, bool); 2] = [("id", Arc::new(ids), true), ("v", Arc::new(texts), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn spool(batches: &[RecordBatch]) -> Spool {
    let mut spool = Spool::new(std::path::Path::new("."), batches[0].schema());
    batches.iter().for_each(|batch| spool.push(None, batch.clone()).unwrap());
    spool
}

async fn into(
    table: &Location,
    there: &[DataFile],
    new: &[RecordBatch],
    rules: &Rules<'_>,
    batch: &str,
) -> Result<Merged, LakeError> {
    let spool = spool(new);
    let path = format!("{batch}.parquet");
    merge(table, there, spool.partition(None), spool.schema(), rules, &stamp(batch), &path).await
}

/// Id, value and batch of all rows, in the order of the ids.
async fn in_order(table: &Location, files: &[DataFile]) -> Vec<(i64, String, String)> {
    let mut found = Vec::new();
    for file in files {
        let reader = FileReader::open(table, file).await.unwrap();
        let batches: Vec<RecordBatch> = reader.rows(None).unwrap().try_collect().await.unwrap();
        for batch in batches {
            let text = |name: &str, row| {
                batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned()
            };
            for row in 0..batch.num_rows() {
                let id = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().value(row);
                found.push((id, text("v", row), text(BATCH_COLUMN, row)));
            }
        }
    }
    found.sort();
    found
}

fn list(found: &[(i64, String, String)]) -> String {
    found.iter().map(|(id, v, batch)| format!("{id}{v}@{batch} ")).collect::<String>().trim_end().to_owned()
}

#[tokio::test]
async fn a_changed_row_replaces_that_of_its_key_and_keeps_the_others() {
    let (table, key, none) = (table(), ["id".to_owned()], HashSet::new());
    let rules = Rules { key: Some(&key), replace: false, evict: &none };
    let first =
        into(&table, &[], &[rows(&[(1, "a"), (2, "b")]), rows(&[(3, "c")])], &rules, "x").await.unwrap();
    assert!(first.touched);
    assert_eq!(first.rows, LoadedRows { added: 3, ..LoadedRows::default() });

    let again = into(&table, &first.files, &[rows(&[(2, "b")])], &rules, "y").await.unwrap();
    assert!(!again.touched, "what is there already changes nothing");
    assert_eq!((again.files, again.rows.unchanged), (first.files.clone(), 1));

    let second =
        into(&table, &first.files, &[rows(&[(2, "B"), (3, "c"), (4, "d")])], &rules, "z").await.unwrap();
    let expected = LoadedRows { added: 1, changed: 1, unchanged: 1, ..LoadedRows::default() };
    assert_eq!(second.rows, expected);
    assert_eq!(list(&in_order(&table, &second.files).await), "1a@x 2B@z 3c@x 4d@z");
    assert_eq!(second.files[0].rows, 4);
}

#[tokio::test]
async fn what_the_source_lost_goes_where_all_of_it_was_read() {
    let (table, key, none) = (table(), ["id".to_owned()], HashSet::new());
    let rules = Rules { key: Some(&key), replace: true, evict: &none };
    let first = into(&table, &[], &[rows(&[(1, "a"), (2, "b"), (3, "c")])], &rules, "x").await.unwrap();
    let second = into(&table, &first.files, &[rows(&[(1, "a"), (3, "C")])], &rules, "y").await.unwrap();
    let expected = LoadedRows { changed: 1, unchanged: 1, removed: 1, ..LoadedRows::default() };
    assert_eq!(second.rows, expected);
    assert_eq!(list(&in_order(&table, &second.files).await), "1a@x 3C@y");
    let schema = rows(&[]).schema();
    let gone = merge(&table, &second.files, None, &schema, &rules, &stamp("z"), "z.parquet").await.unwrap();
    assert_eq!((gone.files.len(), gone.rows.removed, gone.touched), (0, 2, true));
}

#[tokio::test]
async fn without_a_key_rows_are_counted() {
    let (table, none) = (table(), HashSet::new());
    let rules = Rules { key: None, replace: true, evict: &none };
    let first = into(&table, &[], &[rows(&[(1, "a"), (1, "a"), (2, "b")])], &rules, "x").await.unwrap();
    let same =
        into(&table, &first.files, &[rows(&[(2, "b"), (1, "a"), (1, "a")])], &rules, "y").await.unwrap();
    assert!(!same.touched);
    let new = [rows(&[(1, "a"), (2, "b"), (2, "b"), (2, "b")])];
    let second = into(&table, &first.files, &new, &rules, "z").await.unwrap();
    let expected = LoadedRows { added: 2, unchanged: 2, removed: 1, ..LoadedRows::default() };
    assert_eq!(second.rows, expected);
    assert_eq!(list(&in_order(&table, &second.files).await), "1a@x 2b@x 2b@z 2b@z");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_nothing_is_written() {
    let (table, key, none) = (table(), ["id".to_owned()], HashSet::new());
    let rules = Rules { key: Some(&key), replace: false, evict: &none };
    let error = into(&table, &[], &[rows(&[(1, "a"), (1, "b"), (1, "c")])], &rules, "x").await.unwrap_err();
    assert!(matches!(error, LakeError::KeyTwice { rows: 2 }), "{error}");
    assert!(table.list(&table.prefix).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_moved_leaves_its_old_partition_and_columns_may_come_and_go() {
    let (table, key, none) = (table(), ["id".to_owned()], HashSet::new());
    let rules = Rules { key: Some(&key), replace: false, evict: &none };
    let first = into(&table, &[], &[rows(&[(1, "a"), (2, "b")])], &rules, "x").await.unwrap();
    let moved: HashSet<u128> = Hasher::of_key(&rows(&[]).schema(), &key)
        .unwrap()
        .hash(&rows(&[(2, "?")]))
        .unwrap()
        .into_iter()
        .collect();
    let evicting = Rules { evict: &moved, ..rules };
    let schema = rows(&[]).schema();
    let left = merge(&table, &first.files, None, &schema, &evicting, &stamp("y"), "y.parquet").await.unwrap();
    assert_eq!((left.rows.moved, left.rows.removed), (1, 0));
    assert_eq!(list(&in_order(&table, &left.files).await), "1a@x");

    let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new("w", DataType::Int64, true));
    let wider = fit(&rows(&[(3, "c")]), &Arc::new(Schema::new(fields))).unwrap();
    let rules = Rules { key: Some(&key), replace: false, evict: &none };
    let grown = into(&table, &left.files, &[wider], &rules, "z").await.unwrap();
    assert_eq!(list(&in_order(&table, &grown.files).await), "1a@x 3c@z");
    let reader = FileReader::open(&table, &grown.files[0]).await.unwrap();
    let names: Vec<&str> = reader.schema().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["id", "v", "w", "dualrun_loaded_at", "dualrun_batch"]);
}

/// The same rows with numbers in the place of texts.
fn numbers(rows: &[(i64, i64)]) -> RecordBatch {
    let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let ids = column(rows.iter().map(|(id, _)| *id).collect());
    let values = column(rows.iter().map(|(_, v)| *v).collect());
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("v", values, true)]).unwrap()
}

#[tokio::test]
async fn another_type_is_written_where_all_rows_are_read_and_refused_elsewhere() {
    let (table, key, none) = (table(), ["id".to_owned()], HashSet::new());
    let some = Rules { key: Some(&key), replace: false, evict: &none };
    let first = into(&table, &[], &[rows(&[(1, "7"), (2, "b"), (3, "c")])], &some, "x").await.unwrap();
    let error = into(&table, &first.files, &[numbers(&[(1, 7)])], &some, "y").await.unwrap_err();
    assert!(matches!(&error, LakeError::Retyped { column, .. } if column == "v"), "{error}");
    assert_eq!(
        error.to_string(),
        "column \"v\" is Utf8 in memory/t/x.parquet but Int64 in what came from the source"
    );

    let all = Rules { replace: true, ..some };
    let second = into(&table, &first.files, &[numbers(&[(1, 7), (2, 8)])], &all, "y").await.unwrap();
    let expected = LoadedRows { changed: 1, unchanged: 1, removed: 1, ..LoadedRows::default() };
    assert_eq!(second.rows, expected);
    let back = into(&table, &second.files, &[rows(&[(1, "7"), (2, "8")])], &all, "z").await.unwrap();
    assert!(back.touched, "no row differs, and the type does");
    assert_eq!(list(&in_order(&table, &back.files).await), "17@x 28@y");

    // Rows that only leave do not mind the types of what came elsewhere.
    let gone: HashSet<u128> = Hasher::of_key(&rows(&[]).schema(), &key)
        .unwrap()
        .hash(&rows(&[(2, "?")]))
        .unwrap()
        .into_iter()
        .collect();
    let evicting = Rules { key: Some(&key), replace: false, evict: &gone };
    let schema = numbers(&[]).schema();
    let left = merge(&table, &back.files, None, &schema, &evicting, &stamp("w"), "w.parquet").await.unwrap();
    assert_eq!(list(&in_order(&table, &left.files).await), "17@x");
}
