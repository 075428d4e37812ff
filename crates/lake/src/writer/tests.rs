use std::sync::Arc;

use dualrun_sources::commits::DataFile;
use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory};

use super::*;

fn tables() -> (Vec<Location>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let stores = [local, Arc::new(InMemory::new())];
    let table = |store| Location { store, prefix: Path::from("t"), display: "here/t".to_owned() };
    (stores.into_iter().map(table).collect(), folder)
}

async fn writer(table: &Location) -> Writer {
    let stamp = Stamp { loaded_at: Timestamp::UNIX_EPOCH, batch: Uuid::now_v7().to_string() };
    Writer::open(table.clone(), stamp).await.unwrap()
}

/// Writes one file into a folder.
async fn put(writer: &mut Writer, folder: &str) -> String {
    let path = writer.new_file(folder);
    let object = writer.table().object(&path);
    writer.table().store.put(&object, PutPayload::from_static(b"rows")).await.unwrap();
    let file = DataFile { path: path.clone(), rows: 1, bytes: 4 };
    writer.replace(folder.to_owned(), Some(Partition { files: vec![file], ..Partition::default() }));
    path
}

async fn objects(table: &Location) -> Vec<String> {
    let listed = table.list(&table.prefix).await.unwrap();
    listed.iter().map(|object| table.relative(&object.location)).collect()
}

#[tokio::test]
async fn of_two_writers_one_wins_and_the_other_leaves_nothing() {
    for table in tables().0 {
        let (mut a, mut b) = (writer(&table).await, writer(&table).await);
        let won = put(&mut a, "day=1").await;
        put(&mut b, "day=1").await;
        let (commit, left) = a.commit(None).await.unwrap();
        assert_eq!((commit.number, left), (1, 0));
        let error = b.commit(None).await.unwrap_err();
        assert!(matches!(error, LakeError::Lost { number: 1, .. }), "{error}");
        assert_eq!(error.exit_code(), dualrun_core::ExitCode::Nothing);
        assert_eq!(objects(&table).await, [commit_name(1), won]);
        assert_eq!(newest_commit(&table).await.unwrap(), Some(commit));
    }
}

#[tokio::test]
async fn what_is_replaced_goes_and_what_others_put_there_stays() {
    for table in tables().0 {
        let theirs = table.object("day=1/theirs.parquet");
        table.store.put(&theirs, PutPayload::from_static(b"rows")).await.unwrap();
        let mut first = writer(&table).await;
        let (old, kept) = (put(&mut first, "day=1").await, put(&mut first, "day=2").await);
        first.commit(None).await.unwrap();
        let mut died = writer(&table).await;
        put(&mut died, "day=3").await;
        drop(died);
        let mut second = writer(&table).await;
        let new = put(&mut second, "day=1").await;
        let (commit, _) = second.commit(None).await.unwrap();
        assert_eq!(commit.number, 2);
        let mut expected = vec![commit_name(1), commit_name(2), new, "day=1/theirs.parquet".to_owned(), kept];
        expected.sort();
        let mut found = objects(&table).await;
        found.sort();
        assert_eq!(found, expected);
        assert!(!found.contains(&old));
        assert_eq!(writer(&table).await.of_others().await.unwrap(), ["day=1/theirs.parquet"]);
    }
}

#[tokio::test]
async fn a_writer_that_gives_up_leaves_the_table_as_it_was() {
    for table in tables().0 {
        let mut first = writer(&table).await;
        put(&mut first, "").await;
        let (commit, _) = first.commit(None).await.unwrap();
        let before = objects(&table).await;
        let mut second = writer(&table).await;
        put(&mut second, "").await;
        second.abandon().await;
        assert_eq!(objects(&table).await, before);
        assert_eq!(newest_commit(&table).await.unwrap(), Some(commit));
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts() {
    let table = tables().0.remove(1);
    let mut lost = writer(&table).await;
    put(&mut lost, "day=1").await;
    let commit = Commit {
        schema: COMMIT_SCHEMA.to_owned(),
        number: 1,
        batch: lost.stamp().batch.clone(),
        at: Timestamp::UNIX_EPOCH,
        partitions: lost.partitions().clone(),
        load: None,
    };
    assert!(lost.create(&commit).await.unwrap());
    assert!(lost.create(&commit).await.unwrap(), "its own commit is not another writer's");
}

#[test]
fn only_own_names_are_swept() {
    assert!(is_own("0199f5a4-6d3c-7000-8000-000000000000-12.parquet"));
    for other in
        ["part-0.parquet", "0199f5a4-6d3c-7000-8000-000000000000.parquet", "usage.parquet", "x-1.csv"]
    {
        assert!(!is_own(other), "{other}");
    }
}
