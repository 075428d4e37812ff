//! Tables: whole, in chunks, in parallel, at one instant; with bounded memory.

use std::time::{Duration, Instant};

use arrow::{
    array::AsArray,
    datatypes::{Int32Type, Int64Type},
};
use dualrun_sources::{
    PaceOptions,
    postgres::{
        Condition, Fault, Param, PostgresSource, ReadOptions, RelationKind, TableName, TableRead, Test,
    },
};
use futures::StreamExt;

use super::support::{batches, fault, in_schema, rows};

const ROWS: i32 = 300_000;

async fn filled(place: &super::support::Place) {
    place
        .sql(&format!(
            "CREATE TABLE usage (id int PRIMARY KEY, customer text NOT NULL, at timestamptz, hours numeric(12,3)); \
             INSERT INTO usage SELECT i, 'c' || i % 97, '2025-01-01Z'::timestamptz + i * interval '1 s', i / 7.0 \
             FROM generate_series(1, {ROWS}) i; ANALYZE usage"
        ))
        .await;
}

fn usage() -> TableRead {
    TableRead::all(TableName::parse("usage").unwrap())
}

fn small_chunks() -> PaceOptions {
    PaceOptions { first: 5_000, largest: 20_000, ..PaceOptions::default() }
}

/// The sorted ids of all rows.
async fn ids(source: &PostgresSource, read: &TableRead) -> Vec<i32> {
    let stream = source.read_table(None, read, &ReadOptions::default()).await.unwrap();
    let mut ids: Vec<i32> = batches(stream)
        .await
        .unwrap()
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_on_several_connections_give_every_row_once() {
    in_schema("chunks", async |place| {
        filled(&place).await;
        let source = place.source().await;
        let expected: Vec<i32> = (1..=ROWS).collect();
        for parallel in [1, 3, 9] {
            let read = TableRead { parallel, pace: small_chunks(), ..usage() };
            let mut stream = source.read_table(None, &read, &ReadOptions::default()).await.unwrap();
            let mut ids = Vec::new();
            while let Some(batch) = stream.next().await {
                ids.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int32Type>().values());
            }
            ids.sort_unstable();
            assert_eq!(ids, expected, "{parallel}");
            assert!(stream.queries() >= 15, "{} queries", stream.queries());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_chunks_see_one_instant() {
    in_schema("instant", async |place| {
        filled(&place).await;
        let source = place.source().await;
        let snapshot = source.snapshot().await.unwrap();
        // Rows are added, removed and moved to other pages after the instant.
        place
            .sql("DELETE FROM usage WHERE id % 3 = 0; UPDATE usage SET id = -id; INSERT INTO usage VALUES (999999999, 'x')")
            .await;
        let read = TableRead { parallel: 3, pace: small_chunks(), ..usage() };
        let stream = source.read_table(Some(&snapshot), &read, &ReadOptions::default()).await.unwrap();
        let mut seen: Vec<i32> = Vec::new();
        for batch in batches(stream).await.unwrap() {
            seen.extend_from_slice(batch.column(0).as_primitive::<Int32Type>().values());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=ROWS).collect::<Vec<_>>());
        let options = ReadOptions::default();
        let stream = source.query(Some(&snapshot), "SELECT max(id) AS m FROM usage", &[], &options).await.unwrap();
        let batch = batches(stream).await.unwrap().remove(0);
        assert_eq!(batch.column(0).as_primitive::<Int32Type>().value(0), ROWS);
        assert!(snapshot.is_held());
        drop(snapshot);
        let now = rows(&source, "SELECT count(*) AS n FROM usage", &[]).await.unwrap();
        assert_eq!(now.column(0).as_primitive::<Int64Type>().value(0), 200_001);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_whose_holder_was_killed_is_told() {
    in_schema("holder", async |place| {
        let source = place.source().await;
        let snapshot = source.snapshot().await.unwrap();
        // Its name begins with the virtual transaction that holds it; other tests have holders too.
        let number = |part: &str| u64::from_str_radix(part, 16).unwrap();
        let parts: Vec<u64> = snapshot.id().split('-').take(2).map(number).collect();
        place
            .sql(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'virtualxid' AND virtualxid = '{}/{}'",
                parts[0], parts[1]
            ))
            .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let error =
            source.query(Some(&snapshot), "SELECT 1 AS a", &[], &ReadOptions::default()).await.err().unwrap();
        let (kind, text) = fault(&error);
        assert_eq!(kind, Fault::Cut, "{text}");
        assert!(text.contains("the snapshot is gone") && error.retryable(), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_cut_again_and_again_still_gives_every_row_once() {
    in_schema("cut", async |place| {
        filled(&place).await;
        place.sql("ALTER TABLE usage RENAME TO usage_cut").await;
        let source = place.source().await;
        let chunks = PaceOptions { first: 60_000, largest: 60_000, ..PaceOptions::default() };
        let read =
            TableRead { parallel: 2, pace: chunks, ..TableRead::all(TableName::parse("usage_cut").unwrap()) };
        let options = ReadOptions { batch_rows: 500, ..ReadOptions::default() };
        let mut stream = source.read_table(None, &read, &options).await.unwrap();
        let (mut ids, mut batches, mut killed) = (Vec::new(), 0, 0i64);
        let admin = place.admin().await;
        while let Some(batch) = stream.next().await {
            ids.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int32Type>().values());
            batches += 1;
            if batches % 150 == 20 {
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                           WHERE application_name = 'dualrun' AND query LIKE 'COPY%ONLY%usage_cut%ctid%'";
                killed += admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
            }
        }
        ids.sort_unstable();
        assert_eq!(ids.len(), usize::try_from(ROWS).unwrap(), "after {killed} cuts");
        assert_eq!(ids, (1..=ROWS).collect::<Vec<_>>());
        assert!(killed > 0, "nobody was cut");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ceiling_on_rows_per_second_is_kept() {
    in_schema("ceiling", async |place| {
        filled(&place).await;
        let source = place.source().await;
        let pace = PaceOptions {
            max_rows_per_second: Some(150_000),
            target: Duration::from_millis(200),
            ..PaceOptions::default()
        };
        let started = Instant::now();
        assert_eq!(ids(&source, &TableRead { parallel: 2, pace, ..usage() }).await.len(), 300_000);
        let elapsed = started.elapsed();
        assert!(elapsed > Duration::from_millis(1600) && elapsed < Duration::from_secs(8), "{elapsed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_chunk_that_takes_too_long_is_read_in_smaller_ones() {
    in_schema("too_long", async |place| {
        filled(&place).await;
        let mut options = place.options();
        options.statement_timeout = Duration::from_millis(150);
        let source = PostgresSource::connect(options).await.unwrap();
        // All of it in one query takes longer than that.
        place
            .sql("CREATE TABLE wide AS SELECT id, repeat(md5(id::text), 30) AS pad FROM usage LIMIT 200000")
            .await;
        let whole = source.query(None, "SELECT * FROM wide", &[], &ReadOptions::default()).await;
        let whole = match whole {
            Ok(stream) => batches(stream).await.err(),
            Err(error) => Some(error),
        };
        assert_eq!(fault(&whole.unwrap()).0, Fault::TimeLimit);
        let read = TableRead {
            table: TableName::parse("wide").unwrap(),
            pace: PaceOptions { first: 1_000_000, ..PaceOptions::default() },
            ..usage()
        };
        let ids = ids(&source, &read).await;
        assert_eq!(ids.len(), 200_000);
    })
    .await;
}

#[tokio::test]
async fn conditions_columns_and_limits_are_the_servers_work() {
    in_schema("conditions", async |place| {
        filled(&place).await;
        let source = place.source().await;
        let condition = |column: &str, test| Condition { column: column.to_owned(), test };
        let read = TableRead {
            columns: Some(vec!["id".to_owned()]),
            conditions: vec![
                condition(
                    "at",
                    Test::GreaterOrEqual(Param::Timestamp("2025-01-01T00:01:00Z".parse().unwrap())),
                ),
                condition("at", Test::Less(Param::Timestamp("2025-01-01T00:10:00Z".parse().unwrap()))),
                condition(
                    "customer",
                    Test::OneOf(vec![Param::Text("c3".to_owned()), Param::Text("c4".to_owned())]),
                ),
                condition("hours", Test::NotNull),
            ],
            ..usage()
        };
        let expected: Vec<i32> = (60..600).filter(|i| matches!(i % 97, 3 | 4)).collect();
        assert_eq!(ids(&source, &read).await, expected);
        assert_eq!(ids(&source, &TableRead { limit: Some(7), ..usage() }).await.len(), 7);
        let nothing = TableRead { conditions: vec![condition("id", Test::OneOf(Vec::new()))], ..usage() };
        assert!(ids(&source, &nothing).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_catalogue_tells_kind_key_and_size() {
    in_schema("catalogue", async |place| {
        filled(&place).await;
        place
            .sql(
                "CREATE VIEW v AS SELECT id FROM usage; \
                 CREATE TABLE p (a int, b int, PRIMARY KEY (b, a)) PARTITION BY RANGE (a); \
                 CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); INSERT INTO p VALUES (1, 2), (3, 4)",
            )
            .await;
        let source = place.source().await;
        let info = async |name: &str| {
            source.table(&TableName::parse(name).unwrap(), &ReadOptions::default()).await.unwrap()
        };
        let usage = info("usage").await;
        assert_eq!((usage.kind, usage.primary_key), (RelationKind::Table, vec!["id".to_owned()]));
        assert_eq!(usage.estimated_rows, Some(300_000));
        assert!(usage.bytes > 10 << 20);
        assert_eq!(usage.schema.fields().len(), 4);
        assert_eq!(info("v").await.kind, RelationKind::View);
        let parts = info(&format!("{}.p", place.schema)).await;
        assert_eq!((parts.kind, parts.primary_key), (RelationKind::Partitioned, vec!["b".to_owned(), "a".to_owned()]));
        for (name, rows) in [("v", 300_000), ("p", 2)] {
            let read = TableRead::all(TableName::parse(name).unwrap());
            assert_eq!(ids(&source, &read).await.len(), rows, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_table_that_others_inherit_from_is_read_with_their_rows() {
    in_schema("inherited", async |place| {
        filled(&place).await;
        place
            .sql("CREATE TABLE more () INHERITS (usage); INSERT INTO more SELECT -id, customer FROM usage")
            .await;
        let source = place.source().await;
        assert_eq!(ids(&source, &usage()).await.len(), 600_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_far_larger_than_memory_allows_comes_in_small_batches() {
    in_schema("large", async |place| {
        let source = place.source().await;
        let options = ReadOptions { batch_bytes: 1 << 20, ..ReadOptions::default() };
        // 1 GB of text in all.
        let sql =
            "SELECT i, repeat(md5(i::text), 32) AS pad FROM (SELECT generate_series(1, 1000000) AS i) t";
        let mut stream = source.query(None, sql, &[], &options).await.unwrap();
        let (before, mut rows, mut largest) = (resident(), 0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            assert!(batch.num_rows() <= 8192 && batch.get_array_memory_size() < 3 << 20);
            largest = largest.max(resident());
        }
        assert_eq!(rows, 1_000_000);
        assert!(largest.saturating_sub(before) < 200 << 20, "{} MB more", (largest - before) >> 20);
    })
    .await;
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
