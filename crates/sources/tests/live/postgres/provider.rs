//! Tables of the server as tables of the query engine.

use std::{sync::Arc, time::Duration};

use datafusion::{catalog::TableProvider, execution::context::SessionContext};
use dualrun_core::shape::Shape;
use dualrun_sources::{LiveRequest, Server, ServerSession, provider::ServerTable};
use futures::StreamExt;

use super::support::{Place, in_schema};
use crate::queries::{Both, conditions};

fn request(place: &Place, table: &str, shape: Option<Shape>) -> LiveRequest {
    LiveRequest {
        name: format!("{}.{table}", place.schema),
        shape,
        days: None,
        since: None,
        untyped_nulls: false,
        gentle: dualrun_sources::Gentle::default(),
        spool: std::env::temp_dir(),
    }
}

async fn session(place: &Place) -> Arc<ServerSession> {
    Arc::new(ServerSession::open(Server::Postgres(place.options())).await.unwrap())
}

/// What no rule reads comes as the server writes it, and a column that went away is not one of nulls.
#[tokio::test(flavor = "multi_thread")]
async fn declared_columns_are_there_and_come_as_their_texts() {
    in_schema("declared", async |place| {
        place
            .sql(
                "CREATE TABLE usage (id int, span interval, at time, kwh float8); \
                 INSERT INTO usage VALUES (1, '1 mon 2 days 03:04:05.5', '24:00', 0.5), (2, NULL, NULL, NULL)",
            )
            .await;
        let session = session(&place).await;
        let shape: Shape =
            serde_json::from_value(serde_json::json!({"span": "text", "at": "text", "kwh": "float"})).unwrap();
        let asked = request(&place, "usage", Some(shape));
        let read = async || session.stream(&asked).await?.into_table().await;
        let table = read().await.unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string();
        assert!(text.contains("| 24:00:00 | 1  | 0.5 | 1 mon 2 days 03:04:05.5 |"), "{text}");
        assert!(table.report.misfits.is_empty(), "{:?}", table.report.misfits);
        place.sql("ALTER TABLE usage RENAME kwh TO kwh_total").await;
        let error = read().await.unwrap_err();
        assert!(error.to_string().ends_with("usage has no column \"kwh\""), "{error}");
        assert_eq!(u8::from(error.exit_code()), 2);
    })
    .await;
}

/// Values of every kind that is compared, the awkward ones among them.
async fn awkward(place: &Place) {
    place
        .sql(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN lines AS int CHECK (value > -100); \
             CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TABLE odd (id int PRIMARY KEY, n2 int2, n8 int8, n lines, x4 float4, x8 float8, exact numeric(12,3), \
               loose numeric, day date, at timestamp, atz timestamptz, name text, code varchar(20), fold text COLLATE folded, \
               key uuid, mood mood, paid bool, pad char(6), doc jsonb, tags text[]); \
             INSERT INTO odd SELECT i, \
               (ARRAY[-5, 0, 3, 7, NULL])[1 + i % 5], (ARRAY[9007199254740993, 0, 3, NULL, -3])[1 + i % 5], (ARRAY[3, 4, NULL])[1 + i % 3], \
               (ARRAY['NaN', '-0', '0', '1.5', '0.1', '-inf', NULL]::float4[])[1 + i % 7], \
               (ARRAY['NaN', '-0', '0', '1.5', '0.1', 'inf', NULL, '-2.25']::float8[])[1 + i % 8], \
               (ARRAY[0, 0.1, 2.25, -2.25, NULL])[1 + i % 5], \
               (ARRAY['NaN', 0.1, 0.1000000000000000055, 0.09999999999999999, 0, NULL, 1.5, 1e-400]::numeric[])[1 + i % 8], \
               (ARRAY['2025-03-01', 'infinity', '-infinity', '1999-12-31', NULL, '0044-03-15 BC']::date[])[1 + i % 6], \
               (ARRAY['2025-03-01 10:00', 'infinity', '-infinity', '1999-12-31 23:59:59.999999', NULL, '294260-01-01']::timestamp[])[1 + i % 6], \
               (ARRAY['2025-03-01 10:00Z', 'infinity', '-infinity', '1999-12-31 23:59:59.999999Z', NULL, '294260-01-01Z']::timestamptz[])[1 + i % 6], \
               (ARRAY['acme', 'Acme', 'ACME ', 'Zürich', 'a''b\\c', '', NULL, 'épée', 'Z', '😀', 'ﬀ'])[1 + i % 11], \
               (ARRAY['acme', 'b_c', 'b%c', 'bxc', NULL])[1 + i % 5], (ARRAY['acme', 'ACME', 'b', NULL])[1 + i % 4], \
               (ARRAY['0e37df36-f698-11e6-8dd4-cb9ced3df976', '00000000-0000-0000-0000-000000000001', NULL]::uuid[])[1 + i % 3], \
               (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + i % 4], (ARRAY[true, false, NULL])[1 + i % 3], \
               (ARRAY['ab', 'ab    ', NULL])[1 + i % 3], (ARRAY['{\"a\": 1}', '2', NULL]::jsonb[])[1 + i % 3], \
               (CASE i % 3 WHEN 0 THEN ARRAY['x'] WHEN 1 THEN ARRAY[]::text[] END) \
             FROM generate_series(1, 400) i",
        )
        .await;
}

/// A number that no decimal holds ends a reading.
async fn only_decimals(place: &Place) {
    place.sql("UPDATE odd SET loose = NULL WHERE loose = 'NaN' OR scale(loose) > 38").await;
}

fn micros(text: &str, zone: &str) -> String {
    format!("arrow_cast('{text}', 'Timestamp(Microsecond, {zone})')")
}

fn texts() -> Vec<String> {
    let mut all = Vec::new();
    for column in ["name", "code", "fold", "pad"] {
        all.extend(conditions(column, &["'acme'", "'ACME'", "'a''b\\c'", "'Zürich'", "''", "'b'", "'ab'"]));
        for pattern in ["ac%", "%e", "%é%", "b_c", "b\\%c", "%", "A%e", ""] {
            all.push(format!("{column} LIKE '{pattern}'"));
        }
        all.push(format!("{column} ILIKE 'ac%'"));
    }
    all.extend(conditions("mood", &["'ok'", "'happy'", "'unheard of'"]));
    all.extend(conditions("key", &["'0e37df36-f698-11e6-8dd4-cb9ced3df976'", "'0E37'", "'1'"]));
    all.extend(conditions("doc", &["'2'"]));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_give_the_rows_of_the_table_in_memory() {
    in_schema("provider_plain", async |place| {
        awkward(&place).await;
        only_decimals(&place).await;
        let session = session(&place).await;
        let both = Both::open(&session, &request(&place, "odd", None)).await;
        let mut atoms = texts();
        for column in ["n2", "n8", "n"] {
            atoms.extend(conditions(column, &["-5", "3", "9007199254740993"]));
        }
        for column in ["x4", "x8"] {
            let values = ["0.0", "arrow_cast(-0.0, 'Float64')", "1.5", "0.1", "-2.25"];
            atoms.extend(conditions(column, &values));
            let floats = values.map(|value| format!("arrow_cast({value}, 'Float32')"));
            atoms.extend(conditions(column, &floats.each_ref().map(String::as_str)));
        }
        let decimals =
            ["0", "2.25", "-2.251"].map(|value| format!("arrow_cast({value}, 'Decimal128(12, 3)')"));
        atoms.extend(conditions("exact", &decimals.each_ref().map(String::as_str)));
        atoms.extend(conditions("loose", &["0.1", "1"]));
        atoms.extend(conditions("day", &["DATE '2025-03-01'", "DATE '0001-01-01'"]));
        for (column, zone) in [("at", "None"), ("atz", "Some(\"UTC\")")] {
            let values = ["2025-03-01T10:00:00", "1999-12-31T23:59:59.999999"].map(|at| micros(at, zone));
            atoms.extend(conditions(column, &values.each_ref().map(String::as_str)));
        }
        atoms.extend(["paid", "NOT paid", "paid IS NULL", "paid = false"].map(str::to_owned));
        both.same_for_filters("id", atoms, 400).await;

        both.same("SELECT count(*) FROM $").await;
        both.same("SELECT count(*), sum(n8) FROM $ WHERE n2 > 0").await;
        both.same("SELECT name, id FROM $ ORDER BY id LIMIT 7").await;
        both.same("SELECT count(*) FROM (SELECT id FROM $ WHERE n2 = 3 LIMIT 5)").await;
        both.same("SELECT count(*) FROM (SELECT id FROM $ WHERE x8 > 0.05 LIMIT 5)").await;
        both.same("SELECT a.id, b.name FROM $ a JOIN $ b ON a.id = b.id + 1 WHERE b.n2 = 7 ORDER BY a.id")
            .await;
        both.same("SELECT id FROM $ WHERE n2 = 3 UNION ALL SELECT id + 1000 FROM $ WHERE n2 = 7 ORDER BY 1")
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_give_the_rows_of_the_table_under_the_rules_of_a_shape() {
    in_schema("provider_shape", async |place| {
        awkward(&place).await;
        let shape: Shape = serde_json::from_value(serde_json::json!({
            "loose": "float", "exact": {"type": "decimal", "precision": 9, "scale": 2}, "n8": "integer", "x4": "float",
            "day": "date", "at": {"type": "timestamp", "time_zone": "Europe/Paris"}, "atz": "timestamp", "name": "text",
            "mood": "text", "key": "text", "paid": {"type": "boolean", "missing": true}, "code": "integer", "absent": {"type": "text", "missing": true},
            "doc": "json"
        }))
        .unwrap();
        let session = session(&place).await;
        let both = Both::open(&session, &request(&place, "odd", Some(shape))).await;
        let mut atoms = texts();
        atoms.retain(|atom| !atom.contains("code"));
        atoms.extend(conditions("loose", &["0.1", "0.0", "1.5", "0.09999999999999999"]));
        atoms.extend(conditions("x4", &["0.1", "0.0", "1.5"]));
        atoms.extend(conditions("n8", &["3", "9007199254740993"]));
        let decimals = ["0", "2.25", "0.1"].map(|value| format!("arrow_cast({value}, 'Decimal128(9, 2)')"));
        atoms.extend(conditions("exact", &decimals.each_ref().map(String::as_str)));
        atoms.extend(conditions("day", &["DATE '2025-03-01'", "DATE '2000-01-01'"]));
        for column in ["at", "atz"] {
            let values = ["2025-03-01T10:00:00", "1999-12-31T23:59:59.999999"].map(|at| micros(at, "Some(\"UTC\")"));
            atoms.extend(conditions(column, &values.each_ref().map(String::as_str)));
        }
        atoms.extend(conditions("absent", &["'x'"]));
        atoms.extend(["paid", "NOT paid", "paid_missing", "paid IS NULL AND NOT paid_missing"].map(str::to_owned));
        both.same_for_filters("id", atoms, 300).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_for_what_is_needed() {
    in_schema("provider_sent", async |place| {
        awkward(&place).await;
        only_decimals(&place).await;
        let session = session(&place).await;
        let both = Both::open(&session, &request(&place, "odd", Some(Shape::default()))).await;
        let sent = async |sql: &str| {
            let plan = both.explain(sql).await;
            let line = plan.lines().find(|line| line.contains("ServerScan: ")).unwrap_or_default().to_owned();
            let from = line.find("columns=").unwrap_or_default();
            (line[from..].trim_end_matches(['|', ' ']).to_owned(), plan.contains("FilterExec"))
        };
        let (asked, again) = sent("SELECT id FROM $ WHERE n8 > 3 AND name = 'acme' LIMIT 5").await;
        assert_eq!(asked, "columns=[id], where=\"n8\" > '3'::int8 AND \"name\" = 'acme'::text, limit=5");
        assert!(!again, "an exact filter is the server's");
        let (asked, again) = sent("SELECT id FROM $ WHERE x8 > 1.5 LIMIT 5").await;
        assert_eq!(asked, "columns=[id, x8], where=\"x8\" > '1.5'::float8");
        assert!(again, "NaN may have another order");
        let (asked, again) = sent("SELECT id FROM $ WHERE tags IS NOT NULL AND length(name) > 3").await;
        assert_eq!(asked, "columns=[id, name, tags], where=\"tags\" IS NOT NULL");
        assert!(again);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_sent_as_they_are_taken_and_a_dropped_query_ends_on_the_server() {
    in_schema("provider_drop", async |place| {
        let mark = format!("mark_{}", place.schema);
        place
            .sql(&format!(
                "CREATE TABLE {mark} AS SELECT i AS n, repeat('x', 200) AS filler FROM generate_series(1, 90000) i; \
                 ANALYZE {mark}"
            ))
            .await;
        let session = session(&place).await;
        let table = ServerTable::open(Arc::clone(&session), request(&place, &mark, None)).await.unwrap();
        assert_eq!(table.schema().fields().len(), 2);
        let engine = SessionContext::new();
        engine.register_table("t", Arc::new(table)).unwrap();
        let frame = engine.sql("SELECT n, filler FROM t WHERE n > 0 AND filler <> 'y'").await.unwrap();
        let mut rows = frame.execute_stream().await.unwrap();
        rows.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let asked = place.admin().await;
        let sql = format!(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'dualrun' AND state = 'active' \
             AND query LIKE 'COPY%{mark}%'"
        );
        let query: String = asked.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(query.contains("(\"n\" > '0'::int8) AND (\"filler\" <> 'y'::text)"), "{query}");
        assert_eq!(query.matches("\"n\"").count(), 2, "the columns that are needed: {query}");
        drop(rows);
        place.wait_for_no(&mark, "'active'").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_over_two_tables_of_one_server_does_not_wait_for_itself() {
    in_schema("provider_two", async |place| {
        place
            .sql(
                "CREATE TABLE big AS SELECT i AS n, repeat('x', 100) AS filler FROM generate_series(1, 100000) i; \
                 CREATE TABLE small AS SELECT i AS n FROM generate_series(1, 1000) i",
            )
            .await;
        let session = session(&place).await;
        let engine = SessionContext::new();
        for name in ["big", "small"] {
            let table = ServerTable::open(Arc::clone(&session), request(&place, name, None)).await.unwrap();
            engine.register_table(name, Arc::new(table)).unwrap();
        }
        // The rows of one are held while those of the other are asked for.
        let mut big = engine.sql("SELECT n FROM big").await.unwrap().execute_stream().await.unwrap();
        let mut rows = big.next().await.unwrap().unwrap().num_rows();
        let small = engine.sql("SELECT n FROM small").await.unwrap().collect();
        let small = tokio::time::timeout(Duration::from_secs(30), small).await.expect("it waits for itself").unwrap();
        assert_eq!(small.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1000);
        while let Some(batch) = big.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert_eq!(rows, 100_000);
    })
    .await;
}
