//! A replica set that is behind. The server of the tests is none: a proxy before it answers as one would, after the
//! documentation of `hello` and `replSetGetStatus`.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bson::{DateTime, Document, doc};
use dualrun_sources::{
    Say,
    mongo::{Fields, FindRequest, MongoFault, MongoSource, ReadOptions},
};

use super::{
    proxy::{Bend, Proxy},
    support::{Live, rows, shape, small_queries, with_database},
};

/// A proxy that makes a replica set of two members of its server: a primary, and a secondary that is so many seconds
/// behind. Negative: the user may not ask.
async fn set_of_two(live: &Live, behind: &Arc<AtomicI64>) -> Proxy {
    let behind = Arc::clone(behind);
    let bend = move |port: u16| -> Option<Bend> {
        Some(Box::new(move |command, mut answer: Document| {
            let behind = behind.load(SeqCst);
            // The first greeting has the name of old.
            if answer.contains_key("maxWireVersion") {
                let me = format!("127.0.0.1:{port}");
                answer.extend(doc! {
                    "setName": "rs0", "setVersion": 1, "hosts": [&me], "me": &me, "primary": &me, "secondary": false,
                    "isWritablePrimary": true, "ismaster": true,
                });
            } else if command == "replSetGetStatus" && behind >= 0 {
                let member = |state: i32, seconds: i64| {
                    doc! {"state": state, "health": 1.0, "optimeDate": DateTime::from_millis(seconds * 1000)}
                };
                answer = doc! {"ok": 1.0, "members": [member(1, 1_000_000), member(2, 1_000_000 - behind)]};
            }
            answer
        }))
    };
    Proxy::bending(&live.address(), bend).await
}

async fn filled(live: &Live) {
    let documents: Vec<Document> = (0..2000).map(|i| doc! {"_id": i, "n": i % 7}).collect();
    live.insert("usage", &documents).await;
}

fn told() -> (Say, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    (Say::to(move |text| listener.lock().unwrap().push(text.to_owned())), told)
}

fn request() -> FindRequest {
    FindRequest { fields: Fields::Declared, ..FindRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_pauses_while_a_secondary_is_behind() {
    with_database("lag", async |live| {
        filled(live).await;
        let behind = Arc::new(AtomicI64::new(40));
        let proxy = set_of_two(live, &behind).await;
        let source = MongoSource::connect(live.options_at(proxy.port)).await.unwrap();
        assert_eq!(source.server().replica_set.as_deref(), Some("rs0"));
        assert_eq!(source.probe().await.unwrap().lag, Some(Duration::from_secs(40)));
        let (say, told) = told();
        let read = ReadOptions { max_lag: Some(Duration::from_secs(30)), say, ..small_queries(500) };
        let shape = shape(serde_json::json!({"n": "integer"}));
        let (started, late) = (Instant::now(), Arc::clone(&behind));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            late.store(3, SeqCst);
        });
        let (table, report) = source.read_table("usage", request(), &shape, &read).await.unwrap();
        assert_eq!(rows(&table).num_rows(), 2000);
        assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(report.load.lag, Some(Duration::from_secs(40)));
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("the replica is 40 s behind its primary, 30 s are allowed: reading pauses"),
            "{told:?}"
        );
        assert!(told[1].contains("has caught up"), "{told:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_that_stays_behind_ends_the_reading_and_one_that_does_not_tell_is_not_waited_for() {
    with_database("lagging", async |live| {
        filled(live).await;
        let behind = Arc::new(AtomicI64::new(40));
        let proxy = set_of_two(live, &behind).await;
        let source = MongoSource::connect(live.options_at(proxy.port)).await.unwrap();
        let read = ReadOptions {
            max_lag: Some(Duration::from_secs(30)),
            lag_patience: Duration::from_millis(200),
            ..small_queries(500)
        };
        let shape = shape(serde_json::json!({"n": "integer"}));
        let error = source.read_table("usage", request(), &shape, &read).await.unwrap_err();
        assert!(error.retryable() && error.hint().is_some(), "{error}");
        let dualrun_sources::SourceError::Mongo { fault, .. } = error else { panic!("{error}") };
        assert_eq!(
            fault,
            MongoFault::Lagging { lag: Duration::from_secs(40), allowed: Duration::from_secs(30) }
        );
        behind.store(-1, SeqCst);
        assert_eq!(source.read_table("usage", request(), &shape, &read).await.unwrap().0.report.rows, 2000);
    })
    .await;
}
