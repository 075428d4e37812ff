//! Every fault ends in the same rows, or in a sentence that a person on call understands.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use dualrun_sources::{
    SourceError,
    mongo::{Fields, FindRequest, MongoFault, MongoOptions, MongoSource, ReadOptions},
};
use futures::StreamExt;

use super::{
    proxy::Proxy,
    support::{Live, rows, shape, small_queries, with_database},
};

async fn fill(live: &Live) {
    let text = "x".repeat(200);
    let documents: Vec<Document> = (0..10_000).map(|i| doc! {"_id": i, "n": i % 97, "text": &text}).collect();
    live.insert("usage", &documents).await;
}

fn fault(error: SourceError) -> MongoFault {
    let text = error.to_string();
    assert!(!text.contains("secret") && !format!("{error:?}").contains("secret"), "{text}");
    assert_eq!(u8::from(error.exit_code()), 3, "{text}");
    match error {
        SourceError::Mongo { fault, place } => {
            assert!(place.starts_with("mongodb://") && !place.contains('@'), "{place}");
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_at_once_and_not_repeated() {
    with_database("password", async |live| {
        let mut options = live.options();
        options.password = Some("wrong-secret".to_owned());
        let text = format!("{options:?}");
        assert!(!text.contains("secret"), "{text}");
        let started = Instant::now();
        let error = MongoSource::connect(options).await.unwrap_err();
        assert!(!error.retryable() && error.hint().unwrap().contains("authSource"));
        assert!(error.to_string().ends_with("user name or password is wrong"), "{error}");
        assert_eq!(fault(error), MongoFault::Login);
        assert!(started.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told() {
    with_database("nobody", async |live| {
        let error = MongoSource::connect(live.options_at(1)).await.unwrap_err();
        assert!(error.retryable());
        assert_eq!(fault(error), MongoFault::Unreachable("connection refused"));
        let options = MongoOptions {
            url: "mongodb://u:secret@nowhere.invalid/x?tls=false".to_owned(),
            ..live.options_at(1)
        };
        let error = MongoSource::connect(options).await.unwrap_err();
        assert_eq!(fault(error), MongoFault::Unreachable("the name of the host is not known"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_collection_is_no_empty_one() {
    with_database("unknown", async |live| {
        fill(live).await;
        let source = live.source().await;
        let (shape, read) = (shape(serde_json::json!({})), ReadOptions::default());
        let error = source.find("Usage", FindRequest::default(), &shape, &read).await.unwrap_err();
        assert!(error.to_string().ends_with("#Usage: there is no such collection"), "{error}");
        assert_eq!(fault(error), MongoFault::UnknownCollection);
        live.database.create_collection("empty").await.unwrap();
        let (table, _) = source.read_table("empty", FindRequest::default(), &shape, &read).await.unwrap();
        assert_eq!(table.report.rows, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_dropped_in_flight_is_never_a_short_result() {
    with_database("dropped", async |live| {
        for written_anew in [false, true] {
            fill(live).await;
            let source = live.source().await;
            let shape = shape(serde_json::json!({"n": "integer"}));
            let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
            let mut stream = source.find("usage", request, &shape, &small_queries(500)).await.unwrap();
            let mut rows = stream.next().await.unwrap().unwrap().num_rows();
            live.database.collection::<Document>("usage").drop().await.unwrap();
            if written_anew {
                live.insert("usage", &[doc! {"_id": 1}]).await;
            }
            let mut failed = None;
            while let Some(batch) = stream.next().await {
                match batch {
                    Ok(batch) => rows += batch.num_rows(),
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => {
                    assert!(error.retryable() && stream.report().is_none(), "{error}");
                    assert_eq!(fault(error), MongoFault::Dropped);
                }
                // A busy server may answer the last query before it drops the collection.
                None => assert_eq!(rows, 10_000),
            }
            live.database.collection::<Document>("usage").drop().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_over_its_time_is_ended_by_the_server() {
    with_database("slow", async |live| {
        fill(live).await;
        let source = live.source().await;
        let read =
            ReadOptions { max_time: Duration::from_millis(30), count: false, ..ReadOptions::default() };
        let pipeline = vec![
            doc! {"$lookup": {"from": "usage", "localField": "n", "foreignField": "n", "as": "same"}},
            doc! {"$group": {"_id": null, "n": {"$sum": {"$size": "$same"}}}},
        ];
        let started = Instant::now();
        let shape = shape(serde_json::json!({}));
        let error = source.aggregate("usage", pipeline, Fields::All, &shape, &read).await.unwrap_err();
        assert!(error.to_string().ends_with("a query ran into its time limit of 0.03 s"), "{error}");
        assert!(error.retryable());
        assert_eq!(fault(error), MongoFault::TimeLimit(Duration::from_millis(30)));
        assert!(started.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_does_not_hold_the_run() {
    with_database("silent", async |live| {
        fill(live).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let (max_time, grace) = (Duration::from_millis(500), Duration::from_millis(300));
        let read = ReadOptions { max_time, grace, retries: 1, ..small_queries(200) };
        let shape = shape(serde_json::json!({"n": "integer"}));
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let mut stream = source.find("usage", request, &shape, &read).await.unwrap();
        let silence = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            proxy.silent(true);
        };
        let reading = async {
            let mut last = None;
            while let Some(batch) = stream.next().await {
                last = Some(batch);
            }
            last.unwrap()
        };
        let started = Instant::now();
        let (last, ()) = tokio::join!(reading, silence);
        let error = last.unwrap_err();
        assert!(error.retryable(), "{error}");
        assert!(matches!(fault(error), MongoFault::NoAnswer(_) | MongoFault::Unreachable(_)));
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        proxy.silent(false);
    })
    .await;
}

/// Found by its `_id`, put aside and sorted by the server, and streamed: all survive a cut in the middle of an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_taken_up_to_the_same_rows() {
    with_database("cut_net", async |live| {
        fill(live).await;
        let shape = shape(serde_json::json!({"_id": "integer", "n": "integer", "text": "text"}));
        let whole = |fields| FindRequest { fields, ..FindRequest::default() };
        let sorted = FindRequest { sort: Some(doc! {"_id": 1}), ..FindRequest::default() };
        let direct = live.source().await;
        let read = ReadOptions::default();
        let (expected, _) = direct.read_table("usage", whole(Fields::All), &shape, &read).await.unwrap();
        for (request, read) in [
            (whole(Fields::All), small_queries(500)),
            (whole(Fields::Declared), small_queries(500)),
            (sorted, ReadOptions::default()),
        ] {
            let proxy = Proxy::to(&live.address()).await;
            let source = live.source_at(proxy.port).await;
            proxy.cut_after(1_500_000);
            let (table, report) = source.read_table("usage", request, &shape, &read).await.unwrap();
            assert_eq!(proxy.cuts(), 1, "the way was cut");
            // The driver itself asks again when the first answer of a query is cut, so the small ones may not tell.
            assert!(report.load.resumed >= 1 || report.load.queries > 10, "{:?}", report.load);
            assert_eq!(rows(&table), rows(&expected));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_came_are_not_repeated_where_nothing_can_be_gone_on_from() {
    with_database("cut_sorted", async |live| {
        fill(live).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let shape = shape(serde_json::json!({"n": "integer", "text": "text"}));
        let sort = Some(doc! {"n": 1});
        let request = FindRequest { sort, fields: Fields::Declared, ..FindRequest::default() };
        // Answers of about 1 MB: the cut comes in the second one.
        proxy.cut_after(1_500_000);
        let read = ReadOptions::default();
        let error = source.read_table("usage", request, &shape, &read).await.unwrap_err();
        assert!(error.retryable());
        assert_eq!(fault(error), MongoFault::NetworkCut);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_for_good_ends_the_run() {
    with_database("gone", async |live| {
        fill(live).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let shape = shape(serde_json::json!({"n": "integer"}));
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let read = ReadOptions { retries: 1, ..small_queries(500) };
        let mut stream = source.find("usage", request, &shape, &read).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        proxy.cut(true);
        let mut last = None;
        while let Some(batch) = stream.next().await {
            last = Some(batch);
        }
        let error = last.unwrap().unwrap_err();
        assert!(error.retryable() && error.hint().is_some(), "{error}");
        assert!(matches!(fault(error), MongoFault::Unreachable(_) | MongoFault::NetworkCut));
    })
    .await;
}

/// A user who may only read is enough; one who is taken away ends the run when it has to log in again.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_ends_the_run() {
    with_database("right", async |live| {
        fill(live).await;
        let admin = live.database.client().database("admin");
        let (user, password) = (format!("reader_{}", std::process::id()), "reader-secret");
        let roles = vec![doc! {"role": "readAnyDatabase", "db": "admin"}];
        admin.run_command(doc! {"createUser": &user, "pwd": password, "roles": roles}).await.unwrap();
        let proxy = Proxy::to(&live.address()).await;
        let mut options = live.options_at(proxy.port);
        options.url = format!("mongodb://{user}:{password}@127.0.0.1:{}/", proxy.port);
        let source = MongoSource::connect(options).await.unwrap();
        let shape = shape(serde_json::json!({"n": "integer"}));
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let mut stream = source.find("usage", request, &shape, &small_queries(500)).await.unwrap();
        let first = stream.next().await.unwrap();
        admin.run_command(doc! {"dropUser": &user}).await.unwrap();
        assert!(first.is_ok());
        proxy.cut(false);
        let mut last = None;
        while let Some(batch) = stream.next().await {
            last = Some(batch);
        }
        let error = last.unwrap().unwrap_err();
        assert!(!error.retryable(), "{error}");
        assert_eq!(fault(error), MongoFault::Login);
    })
    .await;
}
