//! The same scan over an object store that answers with ranges.

use object_store::{ObjectStoreExt, memory::InMemory, path::Path as ObjectPath};

use super::*;

async fn remote(bytes: Vec<u8>) -> (Arc<InMemory>, ObjectPath, ParquetScan) {
    let store = Arc::new(InMemory::new());
    let path = ObjectPath::from("evidence/legacy.parquet");
    store.put(&path, bytes.into()).await.unwrap();
    let scan = open_scan_file(Arc::clone(&store) as Arc<dyn ObjectStore>, &path).await.unwrap();
    (store, path, scan)
}

/// Reads on a thread of its own, as callers do.
async fn all_rows(scan: &ParquetScan) -> Result<RecordBatch, SourceError> {
    let scan = scan.clone();
    tokio::task::spawn_blocking(move || all(&scan, 333)).await.unwrap()
}

#[tokio::test]
async fn a_remote_file_reads_as_a_local_one() {
    let folder = tempfile::tempdir().unwrap();
    for disabled in [false, true] {
        let bytes = write(&every_type(), small_pages().set_offset_index_disabled(disabled).build());
        put(folder.path(), "t.parquet", &bytes);
        let local = open(folder.path(), "t.parquet").await.unwrap();
        let (_, _, scan) = remote(bytes).await;
        assert_eq!(scan.groups(), local.groups());
        assert_eq!(all_rows(&scan).await.unwrap(), all(&local, 500).unwrap());
        scan.verify().await.unwrap();
    }
}

/// A table of a few MiB that does not compress.
fn large() -> Vec<u8> {
    let numbers = |seed: u64| -> ArrayRef {
        let mix = move |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) as i64;
        Arc::new(Int64Array::from_iter_values((0..1_200_000).map(mix)))
    };
    let batch =
        RecordBatch::try_from_iter([("a", numbers(1)), ("b", numbers(2)), ("c", numbers(3))]).unwrap();
    write(&batch, WriterProperties::builder().set_dictionary_enabled(false).build())
}

#[tokio::test]
async fn blocks_are_fetched_once_and_single_rows_page_by_page() {
    let bytes = large();
    let size = bytes.len() as u64;
    let (_, _, scan) = remote(bytes).await;
    let opened = scan.fetched();
    assert!(opened.requests == 1 && opened.bytes < 300 << 10, "{opened:?}");

    let columns = ["a".to_owned(), "c".to_owned()];
    let reader = scan.read(0..scan.rows(), &columns, 8192).unwrap();
    let rows = tokio::task::spawn_blocking(move || reader.map(|b| b.unwrap().num_rows()).sum::<usize>());
    assert_eq!(rows.await.unwrap(), 1_200_000);
    let all = scan.fetched();
    let read = all.bytes - opened.bytes;
    // Two columns of three; a block that two columns share comes with a part of the third.
    assert!(read > size / 2 && read < size, "{read} of {size} bytes");
    assert!(all.requests < 20, "{all:?}");

    let reader = scan.read(700_000..700_001, &columns, 1).unwrap();
    let one = tokio::task::spawn_blocking(move || reader.map(|b| b.unwrap().num_rows()).sum::<usize>());
    assert_eq!(one.await.unwrap(), 1);
    let read = scan.fetched().bytes - all.bytes;
    assert!(read < 1 << 20, "one row took {read} bytes");
}

#[tokio::test]
async fn an_object_that_is_replaced_or_removed_is_told() {
    let (store, path, scan) = remote(large()).await;
    store.put(&path, large().into()).await.unwrap();
    let error = all_rows(&scan).await.unwrap_err();
    assert_eq!(error.to_string(), "evidence/legacy.parquet: changed while it was read");
    assert!(matches!(scan.verify().await, Err(SourceError::Changed { .. })));
    store.delete(&path).await.unwrap();
    assert!(matches!(all_rows(&scan).await, Err(SourceError::NotFound { .. })));
    assert!(matches!(scan.verify().await, Err(SourceError::Changed { .. })));
    let again = open_scan_file(store, &path).await.unwrap_err();
    assert!(matches!(again, SourceError::NotFound { .. }));
}

#[test]
fn a_runtime_that_has_ended_is_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_, _, scan) = runtime.block_on(remote(large()));
    drop(runtime);
    let error = all(&scan, 100).unwrap_err();
    assert!(matches!(error, SourceError::Access { .. }) && error.retryable(), "{error}");
}
