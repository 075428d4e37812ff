//! All that a run reads of a server is of one state, also while others write there; what is read is not held in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bson::{DateTime, Document, doc};
use dualrun_e2e::servers::{Mongo, Postgres};
use dualrun_testkit::{Project, Ran};
use serde_json::Value;

const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];
const MAPPING: &str = "energy/mapping.toml";
const LEGACY_PLACE: &str = "legacy = { source = \"legacy\", path = \"meters.jsonl\" }";
const NEW_PLACE: &str = "new = { source = \"lake\", path = \"meters.csv\" }";

/// The template with a server as a source `core`, on which the meters of both sides stand.
fn project(source: &str, place: &str) -> Project {
    let project = Project::template();
    project.replace(
        "dualrun.toml",
        "[source.factors]",
        &format!("[source.core]\n{source}\n\n[source.factors]"),
    );
    project.replace(MAPPING, LEGACY_PLACE, &format!("legacy = {{ source = \"core\", {place} }}"));
    project.replace(MAPPING, NEW_PLACE, &format!("new = {{ source = \"core\", {place} }}"));
    project
}

fn postgres(server: &Postgres, further: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"{}\"\n{further}", server.url(None))
}

/// Meters of March 1st, one kWh each.
fn meters(server: &Postgres, rows: u32) {
    server.run(&format!(
        "CREATE TABLE $.meters AS SELECT 'm' || i AS id, 'c' || i % 40 AS customer, date '2025-03-01' AS day, \
         'FR' AS country, 1.0::float8 AS kwh FROM generate_series(1, {rows}) i"
    ));
}

/// Runs while `write` is called again and again; both must have happened.
fn run_while(project: &Project, write: impl Fn(u64) + Sync) -> (Ran, Value) {
    let (ended, writes) = (AtomicBool::new(false), AtomicU64::new(0));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                write(writes.fetch_add(1, Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let ran = project.dualrun(&[&RUN[..], &["--format", "json"]].concat());
        ended.store(true, Ordering::Relaxed);
        ran
    });
    assert!(writes.load(Ordering::Relaxed) > 5, "nobody wrote");
    let report = ran.json();
    (ran, report)
}

/// Asserts that both sides read the same facts of one state, and gives what is said of it.
#[track_caller]
fn one_state(ran: &Ran, report: &Value, cut: &str) -> u64 {
    let meters = &report["inputs"][0];
    assert_eq!(meters["comparable"], true, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(meters["legacy"], meters["new"], "the fingerprints of both sides");
    assert_eq!(meters["rows"]["legacy"], meters["rows"]["new"]);
    let said = meters["consistency"].as_array().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    for (side, said) in ["legacy", "new"].iter().zip(said) {
        assert_eq!((&said["side"], &said["cut"]), (&Value::from(*side), &Value::from(cut)), "{said}");
        assert_eq!(said["strength"], cut, "{said}");
    }
    assert_eq!(said[0]["detail"], said[1]["detail"], "it is the same one");
    meters["rows"]["legacy"].as_u64().unwrap()
}

#[test]
fn rows_that_are_inserted_during_a_run_are_seen_by_neither_side() {
    let Some(server) = Postgres::open("state") else { return };
    meters(&server, 30_000);
    let source = postgres(&server, "max_rows_per_second = 10000");
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let insert = |n| {
        server.run(&format!("INSERT INTO $.meters VALUES ('late{n}', 'c1', '2025-03-01', 'FR', 1.0)"));
    };
    let (ran, report) = run_while(&live, insert);
    let rows = one_state(&ran, &report, "snapshot");
    assert!((30_000..30_100).contains(&rows), "{rows}");
}

#[test]
fn a_calculation_on_the_server_sees_the_state_of_the_inputs() {
    let Some(server) = Postgres::open("state_engine") else { return };
    meters(&server, 30_000);
    server
        .run("CREATE TABLE $.grid (country text, g_per_kwh float8); INSERT INTO $.grid VALUES ('FR', 58.0)");
    let source = postgres(&server, "max_rows_per_second = 10000");
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    live.replace(
        MAPPING,
        "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]",
        "[legacy]\nengine = \"postgres\"\nsource = \"core\"\nquery = \"legacy.pg.sql\"",
    );
    live.write(
        "energy/legacy.pg.sql",
        format!(
            "select m.customer as customer_id, m.day, m.country, sum(m.kwh) as kwh, sum(m.kwh * 58.0 / 1000) as co2e_kg \
             from {0}.meters m where m.day::timestamp at time zone 'UTC' >= $period_start group by 1, 2, 3",
            server.schema
        ),
    );
    let insert = |n| {
        let customer = n % 40;
        server
            .run(&format!("INSERT INTO $.meters VALUES ('late{n}', 'c{customer}', '2025-03-01', 'FR', 1.0)"));
    };
    let (ran, report) = run_while(&live, insert);
    let rows = one_state(&ran, &report, "snapshot");
    let kwh = &report["columns"].as_array().unwrap().iter().find(|column| column["name"] == "kwh").unwrap();
    assert_eq!((&kwh["unexplained"], &kwh["net_difference"]), (&Value::from(0), &Value::from("0")), "{kwh}");
    assert_eq!(kwh["legacy_total"], rows.to_string(), "one kWh a meter that the fence saw");
}

fn document(n: u64) -> Document {
    let day = DateTime::parse_rfc3339_str("2025-03-01T00:00:00Z").unwrap();
    doc! {"id": format!("m{n}"), "customer": format!("c{}", n % 40), "day": day, "country": "FR", "kwh": 1.0}
}

#[test]
fn documents_that_are_inserted_during_a_run_are_seen_by_neither_side() {
    let Some(server) = Mongo::open("state") else { return };
    server.insert("meters", &(0..3000).map(document).collect::<Vec<_>>());
    let source = format!("kind = \"mongodb\"\nurl = \"{}\"\nmax_rows_per_second = 3000\n", server.url(None));
    let live = project(&source, "collection = \"meters\"");
    let (ran, report) = run_while(&live, |n| server.insert("meters", &[document(10_000 + n)]));
    let cut = report["inputs"][0]["consistency"][0]["cut"].as_str().unwrap().to_owned();
    assert!(cut == "snapshot" || cut == "watermark", "{cut}");
    let rows = one_state(&ran, &report, &cut);
    assert!((3000..3100).contains(&rows), "{rows}");
}

#[test]
fn documents_that_are_deleted_during_a_run_are_reported() {
    let Some(server) = Mongo::open("state_deleted") else { return };
    server.insert("meters", &(0..3000).map(document).collect::<Vec<_>>());
    let source = format!("kind = \"mongodb\"\nurl = \"{}\"\nmax_rows_per_second = 3000\n", server.url(None));
    let live = project(&source, "collection = \"meters\"");
    let (_, report) = run_while(&live, |n| {
        server.run(doc! {"delete": "meters", "deletes": [{"q": {"id": format!("m{n}")}, "limit": 1}]});
    });
    let said = report["inputs"][0]["consistency"].as_array().unwrap();
    if said[0]["cut"] != "snapshot" {
        assert!(said.iter().any(|said| said["strength"] == "none"), "{said:?}");
    }
}

/// Whether rows stand in a file of the spill folder, where each process has a folder of its own.
fn put_aside(folder: &Path) -> bool {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = entries(folder).flat_map(|process| entries(&process.path()));
    files.any(|file| file.file_name().to_string_lossy().starts_with("rows-"))
}

#[test]
fn rows_beyond_the_memory_of_an_input_are_put_aside_and_give_the_same() {
    let Some(server) = Postgres::open("state_large") else { return };
    meters(&server, 20_000);
    let source = postgres(&server, "max_rows_per_second = 20000");
    let place = format!("table = \"{}.meters\"", server.schema);
    let (large, small) = (project(&source, &place), project(&source, &place));
    small.append("dualrun.toml", "\n[limits]\nmemory = \"16MiB\"\n");
    let spill = small.path().join(".dualrun/spill");
    let seen = AtomicBool::new(false);
    let (_, of_small) = run_while(&small, |_| {
        seen.fetch_or(put_aside(&spill), Ordering::Relaxed);
    });
    let of_large = large.dualrun(&[&RUN[..], &["--format", "json"]].concat()).json();
    for part in ["outcome", "rows", "columns", "bridge"] {
        assert_eq!(of_small[part], of_large[part], "{part}");
    }
    assert_eq!(of_small["inputs"][0]["legacy"], of_large["inputs"][0]["legacy"], "the same fingerprint");
    assert!(seen.load(Ordering::Relaxed), "no file was written");
    assert_eq!(std::fs::read_dir(&spill).unwrap().count(), 0, "something was left behind");
}

#[test]
fn one_side_alone_asks_the_server_for_the_columns_that_its_models_read() {
    let Some(server) = Postgres::open("state_side") else { return };
    meters(&server, 100);
    let user = format!("{}_reader", server.schema);
    server.run(&format!(
        "ALTER TABLE $.meters ADD COLUMN secret text; CREATE ROLE {user} LOGIN PASSWORD 'reader'; \
         GRANT USAGE ON SCHEMA $ TO {user}; GRANT SELECT (customer, day, country, kwh) ON $.meters TO {user}"
    ));
    let source = format!("kind = \"postgres\"\nurl = \"{}\"\n", server.url(Some((&user, "reader"))));
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let side = live.dualrun(&[&RUN[..], &["--side", "legacy", "--format", "json"]].concat());
    server.run("INSERT INTO $.meters VALUES ('m101', 'c1', '2025-03-01', 'FR', 1.0, 's')");
    let whole = live.dualrun(&RUN);
    server.run(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
    let side = side.exits(0).json();
    assert_eq!((&side["rows"], &side["totals"]["kwh"]), (&Value::from(40), &Value::from("100.0")), "{side}");
    // The fence compares whole rows.
    whole.exits(3).complains("permission denied");
}

#[test]
fn one_side_alone_reads_a_collection() {
    let Some(server) = Mongo::open("state_side") else { return };
    server.insert("meters", &(0..200).map(document).collect::<Vec<_>>());
    let source = format!("kind = \"mongodb\"\nurl = \"{}\"\n", server.url(None));
    let live = project(&source, "collection = \"meters\"");
    let side = live.dualrun(&[&RUN[..], &["--side", "new", "--format", "json"]].concat()).exits(0).json();
    assert_eq!((&side["rows"], &side["totals"]["kwh"]), (&Value::from(40), &Value::from("200.0")), "{side}");
}
