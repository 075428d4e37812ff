//! A schema of its own for each test, dropped at its end.

use std::{future::Future, path::PathBuf, time::Duration};

use arrow::array::{Array, AsArray, RecordBatch};
use dualrun_sources::{
    SourceError,
    postgres::{Fault, Param, PostgresOptions, PostgresSource, ReadOptions},
};
use futures::{Stream, TryStreamExt};
use tokio_postgres::{Client, NoTls};

/// A test's part of the server.
#[derive(Clone)]
pub(super) struct Place {
    /// With user and password, without parameters.
    url: String,
    pub(super) schema: String,
}

/// Runs a test in a schema of its own. Without a server it says so and passes; where `CI` is set it fails.
pub(super) async fn in_schema<F: Future<Output = ()> + Send + 'static>(
    name: &str,
    test: impl FnOnce(Place) -> F,
) {
    let Ok(url) = std::env::var("DUALRUN_TEST_POSTGRES_URL") else {
        assert!(std::env::var("CI").is_err(), "DUALRUN_TEST_POSTGRES_URL is not set");
        println!("SKIPPED {name}: DUALRUN_TEST_POSTGRES_URL is not set");
        return;
    };
    let url = url.split('?').next().unwrap_or_default().to_owned();
    let place = Place { url, schema: format!("t_{name}_{}", std::process::id()) };
    place.sql(&format!("CREATE SCHEMA {}", place.schema)).await;
    let ended = tokio::spawn(test(place.clone())).await;
    let drop = format!("DROP SCHEMA {} CASCADE", place.schema);
    place.admin().await.batch_execute(&drop).await.unwrap();
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

impl Place {
    /// The address with parameters.
    pub(super) fn url(&self, parameters: &str) -> String {
        format!("{}?{parameters}", self.url)
    }

    pub(super) fn options(&self) -> PostgresOptions {
        let path = format!("options=-c%20search_path%3D{},public", self.schema);
        PostgresOptions::new(self.url(&format!("sslmode=disable&{path}")))
    }

    pub(super) async fn source(&self) -> PostgresSource {
        PostgresSource::connect(self.options()).await.unwrap()
    }

    /// A connection that may write.
    pub(super) async fn admin(&self) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url("sslmode=disable"), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path = {}, public", self.schema)).await.unwrap();
        client
    }

    /// Runs statements as the owner.
    pub(super) async fn sql(&self, sql: &str) {
        let client = self.admin().await;
        if let Err(error) = client.batch_execute(sql).await {
            panic!("{sql}: {:?}", error.as_db_error());
        }
    }

    /// The password in the address.
    pub(super) fn password(&self) -> String {
        self.login().1.to_owned()
    }

    /// The options with another login; without a password where none is given.
    pub(super) fn options_as(&self, user: Option<&str>, password: Option<&str>) -> PostgresOptions {
        let (own, rest) = (self.login().0, self.options().url.split_once('@').unwrap().1.to_owned());
        let user = user.unwrap_or(own);
        let login = password.map_or_else(|| user.to_owned(), |password| format!("{user}:{password}"));
        PostgresOptions::new(format!("postgres://{login}@{rest}"))
    }

    fn login(&self) -> (&str, &str) {
        let (_, rest) = self.url.split_once("://").unwrap();
        let (login, _) = rest.split_once('@').expect("DUALRUN_TEST_POSTGRES_URL holds user and password");
        login.split_once(':').expect("DUALRUN_TEST_POSTGRES_URL holds user and password")
    }

    /// Sessions of dualrun whose last query holds `mark`, in any of the states.
    pub(super) async fn sessions(&self, mark: &str, states: &str) -> i64 {
        let admin = self.admin().await;
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' \
             AND query LIKE '%{mark}%' AND state IN ({states})"
        );
        admin.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Waits until there are no such sessions any more.
    pub(super) async fn wait_for_no(&self, mark: &str, states: &str) {
        for _ in 0..100 {
            if self.sessions(mark, states).await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("sessions with {mark} are still {states}");
    }
}

/// A folder with `ca.pem`, `other-ca.pem`, `server.pem`, where the services were started for the tests.
pub(super) fn certificates(name: &str) -> Option<PathBuf> {
    match std::env::var("DUALRUN_TEST_TLS") {
        Ok(folder) => Some(PathBuf::from(folder)),
        Err(_) => {
            assert!(std::env::var("CI").is_err(), "DUALRUN_TEST_TLS is not set");
            println!("SKIPPED {name}: DUALRUN_TEST_TLS is not set");
            None
        }
    }
}

pub(super) async fn batches(
    stream: impl Stream<Item = Result<RecordBatch, SourceError>>,
) -> Result<Vec<RecordBatch>, SourceError> {
    stream.try_collect().await
}

/// All rows of a query in one batch.
pub(super) async fn rows(
    source: &PostgresSource,
    sql: &str,
    params: &[Param],
) -> Result<RecordBatch, SourceError> {
    rows_with(source, sql, params, &ReadOptions::default()).await
}

pub(super) async fn rows_with(
    source: &PostgresSource,
    sql: &str,
    params: &[Param],
    options: &ReadOptions,
) -> Result<RecordBatch, SourceError> {
    let stream = source.query(None, sql, params, options).await?;
    let schema = stream.schema();
    let batches = batches(stream).await?;
    Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
}

pub(super) fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    let column = batch.column(column);
    assert_eq!(*column.data_type(), arrow::datatypes::DataType::Utf8);
    column.as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect()
}

/// The fault of an error, and all that a person would read of it.
pub(super) fn fault(error: &SourceError) -> (Fault, String) {
    let SourceError::Postgres(inner) = error else { panic!("not an error of the server: {error}") };
    (inner.fault, format!("{error} / {} / {error:?}", error.hint().unwrap_or_default()))
}
