//! One watermark for all that a run reads, where the server has no snapshots.

use std::sync::Arc;

use bson::doc;
use dualrun_core::run::{Consistency, CutKind, CutStrength};
use dualrun_sources::{CutOff, LiveRequest, Server, Servers, Wanted};

use super::support::{Live, with_database};

fn request() -> LiveRequest {
    LiveRequest {
        name: "usage".to_owned(),
        shape: None,
        days: None,
        since: None,
        untyped_nulls: false,
        gentle: dualrun_sources::Gentle::default(),
        spool: std::env::temp_dir(),
    }
}

async fn cut_off(live: &Live) -> CutOff {
    let server = Server::Mongo(live.options());
    let names = vec!["usage".to_owned(), "nowhere".to_owned()];
    Servers::default().cut_off(vec![Wanted { server, names }]).await.unwrap()
}

/// The rows of a reading, and what is said of its state.
async fn read(live: &Live, cut: &CutOff) -> (u64, Consistency) {
    let session = cut.session(&Server::Mongo(live.options())).unwrap();
    let table = session.stream(&request()).await.unwrap().into_table().await.unwrap();
    (table.report.rows, table.report.consistency.unwrap())
}

async fn insert(live: &Live, count: i32) {
    let documents: Vec<_> = (0..count).map(|n| doc! {"_id": bson::oid::ObjectId::new(), "n": n}).collect();
    live.insert("usage", &documents).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_come_between_two_readings_are_seen_by_neither() {
    with_database("cut_insert", async |live| {
        insert(live, 300).await;
        live.insert("usage", &[doc! {"_id": "a text", "n": 1}, doc! {"_id": 7, "n": 1}]).await;
        let cut = cut_off(live).await;
        insert(live, 50).await;
        let (first, said) = read(live, &cut).await;
        insert(live, 50).await;
        let (second, again) = read(live, &cut).await;
        assert_eq!((first, second), (302, 302));
        // A server that has snapshots needs no watermark.
        if said.cut != CutKind::Snapshot {
            assert_eq!(
                (said.cut, said.strength),
                (CutKind::Watermark, CutStrength::Watermark),
                "{}",
                said.detail
            );
            assert!(
                said.detail.contains("up to a watermark of _id, 302 documents before, 302 after"),
                "{}",
                said.detail
            );
        }
        assert_eq!(said, again);
        cut.release().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_go_between_two_readings_are_reported() {
    with_database("cut_delete", async |live| {
        insert(live, 100).await;
        let cut = cut_off(live).await;
        let (first, said) = read(live, &cut).await;
        live.database.collection::<bson::Document>("usage").delete_many(doc! {"n": {"$lt": 10}}).await.unwrap();
        let (second, again) = read(live, &cut).await;
        if said.cut == CutKind::Snapshot {
            assert_eq!((first, second), (100, 100));
        } else {
            assert_eq!((first, second, again.strength), (100, 90, CutStrength::None));
            let told = "an earlier reading of this run found 100 documents, this one 90: it was written to in between";
            assert!(again.detail.contains(told), "{}", again.detail);
        }
        // A pipeline that the server runs reads up to the same watermark.
        insert(live, 5).await;
        let session = Arc::clone(&cut.session(&Server::Mongo(live.options())).unwrap());
        let stages = vec![doc! {"$group": {"_id": 1, "count": {"$sum": 1}}}];
        let shape = dualrun_core::shape::Shape::default();
        let read = dualrun_sources::mongo::ReadOptions::default();
        let table = session.aggregate("usage", stages, &shape, read).await.unwrap();
        let rows = super::support::rows(&table);
        let count = arrow::compute::cast(rows.column_by_name("count").unwrap(), &arrow::datatypes::DataType::Int64).unwrap();
        use arrow::array::AsArray;
        let count = count.as_primitive::<arrow::datatypes::Int64Type>().value(0);
        assert_eq!(count as u64, second);
        drop(session);
        cut.release().await;
    })
    .await;
}
