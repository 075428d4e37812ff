//! Filters, orders, limits, pipelines with parameters, and what is said of the state that was read.

use std::{collections::BTreeMap, time::Duration};

use arrow::{array::AsArray, datatypes::Int64Type};
use bson::{Bson, DateTime, Document, doc};
use dualrun_sources::{
    InputTable,
    mongo::{Consistency, Cut, Fields, FindRequest, MongoSource, ReadOptions, Strength, bind},
};

use super::{
    proxy::Proxy,
    support::{rows, shape, small_queries, with_database},
};

fn usage() -> Vec<Document> {
    let day = |i: i32| DateTime::from_millis(1_700_000_000_000 + i64::from(i % 10) * 86_400_000);
    (0..1000)
        .map(|i| doc! {"_id": i, "day": day(i), "customer": format!("c{}", i % 7), "kwh": i % 11})
        .collect()
}

fn integers(table: &InputTable, column: &str) -> Vec<i64> {
    rows(table).column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

async fn ids(source: &MongoSource, request: FindRequest, read: &ReadOptions) -> Vec<i64> {
    let shape = shape(serde_json::json!({"_id": "integer"}));
    let request = FindRequest { fields: Fields::Declared, ..request };
    integers(&source.read_table("usage", request, &shape, read).await.unwrap().0, "_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_order_and_limit_are_kept_over_many_queries() {
    with_database("requests", async |live| {
        live.insert("usage", &usage()).await;
        let source = live.source().await;
        let read = small_queries(13);
        let filter = doc! {"kwh": 3, "_id": {"$gte": 100}};
        let expected: Vec<i64> = (100..1000).filter(|i| i % 11 == 3).collect();
        let request = FindRequest { filter: filter.clone(), ..FindRequest::default() };
        assert_eq!(ids(&source, request, &read).await, expected);
        let request = FindRequest { filter: filter.clone(), limit: Some(30), ..FindRequest::default() };
        assert_eq!(ids(&source, request, &read).await, expected[..30]);
        let sort = Some(doc! {"_id": -1});
        let request = FindRequest { filter, sort, limit: Some(2), ..FindRequest::default() };
        assert_eq!(ids(&source, request, &read).await, [993, 982]);
        let request = FindRequest { sort: Some(doc! {}), ..FindRequest::default() };
        let mut natural = ids(&source, request, &read).await;
        natural.sort_unstable();
        assert_eq!(natural, (0..1000).collect::<Vec<_>>());
        let request = FindRequest { limit: Some(0), ..FindRequest::default() };
        assert!(ids(&source, request, &read).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_with_parameters_runs_on_the_server() {
    with_database("pipeline", async |live| {
        live.insert("usage", &usage()).await;
        live.insert("names", &[doc! {"_id": "c1", "name": "$kwh"}]).await;
        let source = live.source().await;
        let text = r#"[
            {"$match": {"day": {"$lt": {"$param": "until"}}, "customer": {"$in": {"$param": "customers"}}}},
            {"$lookup": {"from": "names", "localField": "customer", "foreignField": "_id", "as": "n"}},
            {"$group": {"_id": {"$ifNull": [{"$first": "$n.name"}, {"$param": "other"}]}, "kwh": {"$sum": "$kwh"}}},
            {"$sort": {"_id": 1}}
        ]"#;
        let params = BTreeMap::from([
            ("until".to_owned(), DateTime::from_millis(1_700_000_000_000 + 2 * 86_400_000).into()),
            ("customers".to_owned(), Bson::from(vec!["c1", "c2"])),
            ("other".to_owned(), Bson::from("$customer")),
        ]);
        let pipeline = bind(text, &params).unwrap();
        let shape = shape(serde_json::json!({"_id": "text", "kwh": "integer"}));
        let read = ReadOptions::default();
        for fields in [Fields::All, Fields::Declared] {
            let stream = source.aggregate("usage", pipeline.clone(), fields, &shape, &read).await.unwrap();
            let (table, report) = stream.into_table().await.unwrap();
            let sum = |customer: i64| -> i64 {
                (0..1000).filter(|i| i % 10 < 2 && i % 7 == customer).map(|i| i % 11).sum()
            };
            assert_eq!(integers(&table, "kwh"), [sum(2), sum(1)], "$customer is text here, and so is $kwh");
            assert_eq!(report.consistency.strength(None), Strength::Count);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_writes_does_not_reach_the_server() {
    with_database("writes", async |live| {
        live.insert("usage", &usage()).await;
        let source = live.source().await;
        let pipeline = vec![doc! {"$out": "stolen"}];
        let read = ReadOptions::default();
        let refused =
            source.aggregate("usage", pipeline, Fields::All, &shape(serde_json::json!({})), &read).await;
        let error = refused.unwrap_err();
        assert_eq!(
            error.to_string(),
            "aggregation pipeline: stage 1: $out writes; the legacy side is only read"
        );
        assert_eq!(live.database.list_collection_names().await.unwrap(), ["usage"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_snapshots_a_watermark_or_counts_say_what_was_read() {
    with_database("cut", async |live| {
        live.insert("usage", &usage()).await;
        let source = live.source().await;
        let until = DateTime::from_millis(1_700_000_000_000 + 4 * 86_400_000);
        let cut = source.cut(Some(("day".to_owned(), until.into()))).await.unwrap();
        if let Cut::Snapshot { cluster_time } = cut {
            // A replica set of MongoDB's own server: nothing that comes later is seen.
            live.insert("usage", &[doc! {"_id": 1000}]).await;
            let read = ReadOptions { cut, ..small_queries(100) };
            let (table, report) = whole(&source, &read).await;
            assert_eq!(table.report.rows, 1000);
            assert_eq!(report, Consistency::Snapshot { cluster_time });
            return;
        }
        let read = ReadOptions { cut, ..small_queries(100) };
        live.insert("usage", &[doc! {"_id": 1000, "no_day": true}]).await;
        let (table, consistency) = whole(&source, &read).await;
        assert_eq!(table.report.rows, 501, "days up to the watermark, and the document without one");
        assert_eq!(consistency.strength(Some(501)), Strength::Watermark);
        assert_eq!(consistency.to_string(), "up to a watermark of day, 501 documents before, 501 after");
        let none = source.cut(None).await.unwrap();
        assert_eq!(none, Cut::None);
        let (_, consistency) = whole(&source, &ReadOptions { cut: none, ..ReadOptions::default() }).await;
        assert_eq!(consistency, Consistency::CountOnly { before: Some(1001), after: Some(1001) });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_come_while_it_reads_are_noticed() {
    with_database("torn", async |live| {
        live.insert("usage", &usage()).await;
        let source = live.source().await;
        let read = ReadOptions { max_rows_per_second: Some(2000), ..small_queries(100) };
        let reading = async { whole(&source, &read).await.1 };
        let writing = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            live.insert("usage", &[doc! {"_id": -1}]).await;
        };
        let (consistency, ()) = tokio::join!(reading, writing);
        assert_eq!(consistency, Consistency::CountOnly { before: Some(1000), after: Some(1001) });
        assert_eq!(consistency.strength(Some(1000)), Strength::None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_on_rows_is_kept() {
    with_database("ceiling", async |live| {
        live.insert("usage", &usage()).await;
        let source = live.source().await;
        let started = std::time::Instant::now();
        let read = ReadOptions {
            max_rows_per_second: Some(1000),
            target: Duration::from_millis(100),
            ..ReadOptions::default()
        };
        let shape = shape(serde_json::json!({}));
        let (_, report) = source.read_table("usage", FindRequest::default(), &shape, &read).await.unwrap();
        let took = started.elapsed().as_secs_f64();
        assert!((0.85..5.0).contains(&took), "1000 rows in {took} s");
        assert!(
            report.load.queries >= 10 && report.load.paused > Duration::from_millis(500),
            "{:?}",
            report.load
        );
    })
    .await;
}

async fn whole(source: &MongoSource, read: &ReadOptions) -> (InputTable, Consistency) {
    let shape = shape(serde_json::json!({}));
    let (table, report) = source.read_table("usage", FindRequest::default(), &shape, read).await.unwrap();
    (table, report.consistency)
}

/// To cut documents down to the fields that are wanted is work for the server that it need not do where they have no others.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_asked_to_leave_fields_out_once_there_are_some() {
    with_database("fields", async |live| {
        let document = |i: i32| match i {
            0..400 => doc! {"_id": i, "kwh": i % 11},
            _ => doc! {"_id": i, "kwh": i % 11, "note": "nobody asked for it"},
        };
        live.insert("usage", &(0..1000).map(document).collect::<Vec<_>>()).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let shape = shape(serde_json::json!({"_id": "integer", "kwh": "integer"}));
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let (table, report) =
            source.read_table("usage", request.clone(), &shape, &small_queries(50)).await.unwrap();
        assert_eq!(integers(&table, "kwh"), (0..1000).map(|i| i % 11).collect::<Vec<_>>());
        let asked = || proxy.commands("find").iter().map(|find| find.contains_key("projection")).collect();
        let finds: Vec<bool> = asked();
        assert_eq!(finds.len() as u64, report.load.queries);
        assert!(finds.is_sorted() && finds[1..].contains(&false) && finds.contains(&true), "{finds:?}");
        // Those of which all documents have more are cut down from the second query on.
        let request = FindRequest { filter: doc! {"_id": {"$gte": 400}}, ..request };
        source.read_table("usage", request, &shape, &small_queries(50)).await.unwrap();
        let later: Vec<bool> = asked();
        assert!(
            !later[finds.len()] && later[finds.len() + 1..].iter().all(|projected| *projected),
            "{later:?}"
        );
    })
    .await;
}
