//! What goes wrong while a result is read, and what is left on the server afterwards.

use std::time::{Duration, Instant};

use dualrun_core::ExitCode;
use dualrun_sources::postgres::{Fault, PostgresSource, ReadOptions, TableName, TableRead};
use futures::StreamExt;

use super::support::{fault, in_schema, rows};

#[tokio::test]
async fn a_right_that_was_taken_away_is_told() {
    in_schema("rights", async |place| {
        let role = format!("reader_{}", std::process::id());
        place
            .sql(&format!(
                "CREATE TABLE secret_plans (a int); CREATE ROLE {role} LOGIN PASSWORD 'r3ader'; \
                 GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON secret_plans TO {role}",
                place.schema
            ))
            .await;
        let options = place.options_as(Some(&role), Some("r3ader"));
        let source = PostgresSource::connect(options).await.unwrap();
        assert!(rows(&source, "SELECT a FROM secret_plans", &[]).await.is_ok());
        place.sql(&format!("REVOKE SELECT ON secret_plans FROM {role}")).await;
        let error = rows(&source, "SELECT a FROM secret_plans", &[]).await.unwrap_err();
        let (kind, text) = fault(&error);
        place.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
        assert_eq!(kind, Fault::Forbidden);
        assert!(
            text.contains("permission denied for table secret_plans") && !text.contains("r3ader"),
            "{text}"
        );
        assert_eq!((error.exit_code(), error.retryable()), (ExitCode::Infrastructure, false));
    })
    .await;
}

/// A policy leaves rows out without a word; here the server refuses instead.
#[tokio::test]
async fn rows_that_a_policy_would_hide_are_refused() {
    in_schema("policies", async |place| {
        let role = format!("policed_{}", std::process::id());
        place
            .sql(&format!(
                "CREATE TABLE usage AS SELECT g AS id FROM generate_series(1, 9) g; \
                 CREATE ROLE {role} LOGIN PASSWORD 'r3ader'; \
                 GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON usage TO {role}",
                place.schema
            ))
            .await;
        let source = PostgresSource::connect(place.options_as(Some(&role), Some("r3ader"))).await.unwrap();
        let table = TableName::parse("usage").unwrap();
        let before = source.probe_table(&table, None).await.unwrap();
        place
            .sql("ALTER TABLE usage ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON usage USING (id < 3)")
            .await;
        let after = source.probe_table(&table, None).await.unwrap();
        let read = rows(&source, "SELECT id FROM usage", &[]).await;
        place.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
        assert_eq!((before.hides_rows, after.hides_rows), (false, true));
        let error = read.unwrap_err();
        let (kind, text) = fault(&error);
        assert_eq!(kind, Fault::Forbidden);
        assert!(text.contains("row-level security"), "{text}");
        assert!(error.hint().is_some_and(|hint| hint.contains("BYPASSRLS")));
    })
    .await;
}

#[tokio::test]
async fn a_dropped_table_and_a_dropped_column_are_told_by_name() {
    in_schema("dropped", async |place| {
        place.sql("CREATE TABLE t (a int, b int)").await;
        let source = place.source().await;
        assert!(rows(&source, "SELECT a, b FROM t", &[]).await.is_ok());
        place.sql("ALTER TABLE t DROP COLUMN b").await;
        let (kind, text) = fault(&rows(&source, "SELECT a, b FROM t", &[]).await.unwrap_err());
        assert_eq!(kind, Fault::Unknown);
        assert!(text.contains("column \"b\" does not exist (at character 11)"), "{text}");
        place.sql("DROP TABLE t").await;
        let error = rows(&source, "SELECT a FROM t", &[]).await.unwrap_err();
        let (kind, text) = fault(&error);
        assert_eq!((kind, error.exit_code()), (Fault::Unknown, ExitCode::Infrastructure));
        assert!(
            text.contains("relation \"t\" does not exist") && text.contains("dropped or renamed"),
            "{text}"
        );
        let read = TableRead::all(TableName::parse("t").unwrap());
        let error = source.read_table(None, &read, &ReadOptions::default()).await.err().unwrap();
        assert_eq!(fault(&error).0, Fault::Unknown);
    })
    .await;
}

#[tokio::test]
async fn a_type_that_changes_between_two_reads_changes_the_column() {
    in_schema("retyped", async |place| {
        place.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
        let source = place.source().await;
        let before = rows(&source, "SELECT a FROM t", &[]).await.unwrap();
        place.sql("ALTER TABLE t ALTER COLUMN a TYPE text").await;
        let after = rows(&source, "SELECT a FROM t", &[]).await.unwrap();
        assert_eq!(before.column(0).data_type(), &arrow::datatypes::DataType::Int32);
        assert_eq!(super::support::texts(&after, 0), [Some("1".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_result_shows_no_value() {
    in_schema("middle", async |place| {
        let source = place.source().await;
        let sql = "SELECT (CASE WHEN i = 50000 THEN 's3cret' ELSE '1' END)::int AS n FROM generate_series(1, 60000) i";
        let mut stream = source.query(None, sql, &[], &ReadOptions::default()).await.unwrap();
        let mut good = 0;
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(batch) => good += batch.num_rows(),
                Err(error) => break error,
            }
        };
        assert!(good > 0 && good < 50_000, "{good}");
        assert!(stream.next().await.is_none());
        let (kind, text) = fault(&error);
        assert_eq!(kind, Fault::Value);
        assert!(text.contains("22P02 (data exception)") && !text.contains("s3cret"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_query_beyond_its_time_limit_is_given_up_and_leaves_nothing() {
    in_schema("time_limit", async |place| {
        let mut options = place.options();
        options.statement_timeout = Duration::from_millis(200);
        let source = PostgresSource::connect(options).await.unwrap();
        let error = rows(&source, "SELECT pg_sleep(30)::text AS mark_time_limit", &[]).await.unwrap_err();
        let (kind, text) = fault(&error);
        assert_eq!(kind, Fault::TimeLimit, "{text}");
        assert!(error.retryable() && text.contains("statement timeout"), "{text}");
        place.wait_for_no("mark_time_limit", "'active', 'idle in transaction'").await;
    })
    .await;
}

#[tokio::test]
async fn a_locked_table_is_not_waited_for_too_long() {
    in_schema("locked", async |place| {
        place.sql("CREATE TABLE t (a int)").await;
        let holder = place.admin().await;
        holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let mut options = place.options();
        options.lock_timeout = Duration::from_millis(100);
        let source = PostgresSource::connect(options).await.unwrap();
        let (kind, text) = fault(&rows(&source, "SELECT a FROM t", &[]).await.unwrap_err());
        assert_eq!(kind, Fault::TimeLimit);
        assert!(text.contains("holds a lock"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_query_and_closes_its_transaction() {
    in_schema("cancelled", async |place| {
        let source = place.source().await;
        let snapshot = source.snapshot().await.unwrap();
        let running =
            "'active', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call'";
        // Rows that keep coming.
        let sql = "SELECT generate_series(1, 2000000000) AS mark_cancelled";
        let mut stream = source.query(Some(&snapshot), sql, &[], &ReadOptions::default()).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        assert_eq!(place.sessions("mark_cancelled", running).await, 1);
        let dropped = Instant::now();
        drop(stream);
        place.wait_for_no("mark_cancelled", running).await;
        assert!(dropped.elapsed() < Duration::from_secs(4), "{:?}", dropped.elapsed());

        // A query that computes without giving any row: nobody waits for it any more.
        let sql = "SELECT count(*) AS mark_cancelled FROM (SELECT generate_series(1, 2000000000)) t";
        let options = ReadOptions::default();
        let waited = source.query(Some(&snapshot), sql, &[], &options);
        assert!(tokio::time::timeout(Duration::from_millis(500), waited).await.is_err());
        let dropped = Instant::now();
        place.wait_for_no("mark_cancelled", running).await;
        assert!(dropped.elapsed() < Duration::from_secs(4), "{:?}", dropped.elapsed());
        assert!(snapshot.is_held());
        drop(snapshot);
        place.wait_for_no("pg_export_snapshot", running).await;
        // The places of the closed connections are free again.
        for _ in 0..10 {
            assert_eq!(rows(&source, "SELECT 1 AS a", &[]).await.unwrap().num_rows(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_process_is_a_cut_that_may_be_tried_again() {
    in_schema("killed", async |place| {
        let source = place.source().await;
        let sql = "SELECT generate_series(1, 50000000) AS mark_killed, repeat('x', 500) AS pad";
        let mut stream = source.query(None, sql, &[], &ReadOptions::default()).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        place
            .sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'dualrun' AND query LIKE '%mark_killed%' AND pid <> pg_backend_pid()",
            )
            .await;
        let error = loop {
            match stream.next().await.expect("an error, not an end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let (kind, text) = fault(&error);
        assert!(matches!(kind, Fault::Restart | Fault::Cut), "{text}");
        assert!(error.retryable());
        assert_eq!(error.exit_code(), ExitCode::Infrastructure);
        assert!(rows(&source, "SELECT 1 AS a", &[]).await.is_ok(), "the next read takes a new connection");
    })
    .await;
}
