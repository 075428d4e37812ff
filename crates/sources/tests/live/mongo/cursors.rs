//! What a reading leaves on the server when it ends early: nothing.

use std::time::Duration;

use bson::{Bson, Document, doc};
use dualrun_sources::mongo::{Fields, FindRequest, ReadOptions};
use futures::StreamExt;

use super::{
    proxy::Proxy,
    support::{Live, shape, with_database},
};

/// Larger than what waits between the server and a reader that has stopped.
async fn fill(live: &Live) {
    let text = "x".repeat(1000);
    let documents: Vec<Document> = (0..60_000).map(|i| doc! {"_id": i, "n": i, "text": &text}).collect();
    live.insert("big", &documents).await;
}

/// The open cursors that the server was told to forget.
fn killed(proxy: &Proxy) -> Vec<i64> {
    let answers = proxy.answers("cursorsKilled");
    let ids = answers.iter().flat_map(|a| a.get_array("cursorsKilled").unwrap());
    ids.filter_map(Bson::as_i64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_leaves_no_cursor() {
    with_database("cursors", async |live| {
        fill(live).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let shape = shape(serde_json::json!({"n": "integer", "text": "text"}));
        let request = || FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let sorted = FindRequest { sort: Some(doc! {"n": 1}), ..request() };
        for request in [request(), sorted] {
            let open = proxy.commands("find").len();
            let mut stream = source.find("big", request, &shape, &ReadOptions::default()).await.unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap().num_columns(), 2);
            assert!(proxy.commands("find").len() > open);
            drop(stream);
        }
        let pipeline = vec![doc! {"$match": {"n": {"$gte": 0}}}];
        let read = ReadOptions::default();
        let mut stream = source.aggregate("big", pipeline, Fields::Declared, &shape, &read).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        drop(stream);
        source.close().await;
        let killed = killed(&proxy);
        assert!(killed.len() >= 2, "{killed:?}");
        for id in killed {
            let more = live.database.run_command(doc! {"getMore": id, "collection": "big"}).await;
            assert!(more.unwrap_err().to_string().contains("not found"), "cursor {id} is still open");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_is_cancelled_while_documents_are_put_aside_ends_on_the_server() {
    with_database("cancel", async |live| {
        fill(live).await;
        let proxy = Proxy::to(&live.address()).await;
        let source = live.source_at(proxy.port).await;
        let shape = shape(serde_json::json!({}));
        let request = FindRequest { sort: Some(doc! {"n": 1}), ..FindRequest::default() };
        let read = ReadOptions { max_rows_per_second: Some(20_000), count: false, ..ReadOptions::default() };
        let reading = source.find("big", request, &shape, &read);
        let second_answer = async {
            while proxy.commands("getMore").is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            read = reading => panic!("it ended before it was cancelled: {read:?}"),
            () = second_answer => {}
        }
        source.close().await;
        assert_eq!(killed(&proxy).len(), 1);
        let asked = proxy.commands("getMore").len();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(proxy.commands("getMore").len(), asked, "nobody asks for more");
    })
    .await;
}
