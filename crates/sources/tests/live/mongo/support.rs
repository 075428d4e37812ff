//! A database for each test.

use std::{panic::AssertUnwindSafe, time::Duration};

use arrow::{array::RecordBatch, compute::concat_batches};
use bson::Document;
use dualrun_core::shape::Shape;
use dualrun_sources::{
    InputTable,
    mongo::{MongoOptions, MongoSource, ReadOptions},
};
use futures::FutureExt;
use mongodb::{Client, Database};

/// Documents that the stand-in takes in one insert.
const INSERT: usize = 5000;

/// A database of one test, and how to reach it.
pub(super) struct Live {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) database: Database,
}

/// The URL of the server. Without one the test is skipped loudly, and fails in CI.
pub(super) fn url(variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(url) if !url.is_empty() => Some(url),
        _ if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{variable} is not set"),
        _ => {
            eprintln!("SKIPPED: {variable} is not set; `scripts/services env` tells it");
            None
        }
    }
}

/// Runs a test with a database of its own, which is dropped at the end, also when the test fails.
pub(super) async fn with_database(name: &str, test: impl AsyncFnOnce(&Live)) {
    let Some(url) = url("DUALRUN_TEST_MONGODB_URL") else { return };
    let name = format!("dualrun_test_{name}_{}", std::process::id());
    let client = Client::with_uri_str(&url).await.unwrap();
    let live = Live { url, database: client.database(&name), name };
    let done = AssertUnwindSafe(test(&live)).catch_unwind().await;
    live.database.drop().await.unwrap();
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

impl Live {
    pub(super) async fn insert(&self, collection: &str, documents: &[Document]) {
        let collection = self.database.collection::<Document>(collection);
        for some in documents.chunks(INSERT) {
            collection.insert_many(some).await.unwrap();
        }
    }

    pub(super) fn options(&self) -> MongoOptions {
        MongoOptions { database: Some(self.name.clone()), ..MongoOptions::new(&self.url) }
    }

    pub(super) async fn source(&self) -> MongoSource {
        MongoSource::connect(self.options()).await.unwrap()
    }

    /// The same through another address of this machine.
    pub(super) async fn source_at(&self, port: u16) -> MongoSource {
        MongoSource::connect(self.options_at(port)).await.unwrap()
    }

    pub(super) fn options_at(&self, port: u16) -> MongoOptions {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let (user, address) = rest.rsplit_once('@').unwrap_or(("", rest));
        let path = address.find(['/', '?']).map_or("/", |at| &address[at..]);
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let url = format!("{scheme}://{user}127.0.0.1:{port}{path}");
        MongoOptions {
            database: Some(self.name.clone()),
            connect_timeout: Duration::from_secs(3),
            server_selection_timeout: Duration::from_secs(3),
            ..MongoOptions::new(url)
        }
    }

    /// Host and port of the server itself.
    pub(super) fn address(&self) -> String {
        let rest = self.url.split_once("://").unwrap().1;
        let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        address[..address.find(['/', '?']).unwrap_or(address.len())].to_owned()
    }
}

/// Queries of `rows` documents each, and no pause that a test would notice.
pub(super) fn small_queries(rows: u64) -> ReadOptions {
    ReadOptions {
        target: Duration::from_millis(1),
        max_rows_per_second: Some(rows * 1000),
        ..ReadOptions::default()
    }
}

pub(super) fn shape(json: serde_json::Value) -> Shape {
    serde_json::from_value(json).unwrap()
}

/// All rows in one batch.
pub(super) fn rows(table: &InputTable) -> RecordBatch {
    concat_batches(&table.schema, &table.batches).unwrap()
}
