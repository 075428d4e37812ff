//! Relations that stand on real servers: the same facts in PostgreSQL, MongoDB and Parquet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Output, sync::Arc};

use arrow::array::{ArrayRef, Decimal128Array, TimestampMicrosecondArray};
use bson::{DateTime, Decimal128, Document, doc};
use dualrun_e2e::{
    servers::{Mongo, Postgres},
    tables::{self, floats, integers, text},
};
use dualrun_testkit::{Ran, command, dualrun, temporary};
use serde_json::Value;

const ROWS: i64 = 500;

/// 2025-03-01T00:00:00Z in milliseconds.
const START: i64 = 1_740_787_200_000;

fn customer(i: i64) -> &'static str {
    ["acme-fr", "rivage-fr", "Zoë & Söhne", "tilia-be"][(i % 4) as usize]
}

fn kwh(i: i64) -> f64 {
    0.1 * i as f64 + 1.25
}

/// Ten-thousandths.
fn cost(i: i64) -> i64 {
    i * 12_345 - 70_000
}

fn at(i: i64) -> i64 {
    START + i * 3_600_123
}

fn note(i: i64) -> Option<&'static str> {
    (i % 7 != 0).then_some("metered")
}

fn in_postgres(server: &Postgres) {
    server.run(
        "CREATE TABLE $.usage (_id bigint PRIMARY KEY, customer text, kwh double precision, cost numeric(12,4), \
         at timestamptz, note text)",
    );
    let rows: Vec<String> = (0..ROWS)
        .map(|i| {
            format!(
                "({i}, '{}', {:?}, {}::numeric / 10000, to_timestamp({}::numeric / 1000), {})",
                customer(i),
                kwh(i),
                cost(i),
                at(i),
                note(i).map_or("NULL".to_owned(), |note| format!("'{note}'"))
            )
        })
        .collect();
    server.run(&format!("INSERT INTO $.usage VALUES {}", rows.join(", ")));
}

fn document(i: i64) -> Document {
    let cost: Decimal128 = format!("{}E-4", cost(i)).parse().unwrap();
    doc! {
        "_id": i, "customer": customer(i), "kwh": kwh(i), "cost": cost, "at": DateTime::from_millis(at(i)),
        "note": note(i),
    }
}

fn in_mongodb(server: &Mongo) {
    server.insert("usage", &(0..ROWS).map(document).collect::<Vec<_>>());
}

fn in_parquet(path: &Path, planted: Option<i64>) {
    let rows = || 0..ROWS;
    let ids: Vec<Option<i64>> = rows().map(Some).collect();
    let customers: Vec<Option<&str>> = rows().map(|i| Some(customer(i))).collect();
    let energy: Vec<Option<f64>> =
        rows().map(|i| Some(if planted == Some(i) { 999.0 } else { kwh(i) })).collect();
    let notes: Vec<Option<&str>> = rows().map(note).collect();
    let costs = Decimal128Array::from_iter_values(rows().map(|i| i128::from(cost(i))));
    let costs: ArrayRef = Arc::new(costs.with_precision_and_scale(12, 4).unwrap());
    let instants =
        TimestampMicrosecondArray::from_iter_values(rows().map(|i| at(i) * 1000)).with_timezone("UTC");
    tables::write(
        path,
        &[
            ("_id", integers(&ids)),
            ("customer", text(&customers)),
            ("kwh", floats(&energy)),
            ("cost", costs),
            ("at", Arc::new(instants)),
            ("note", text(&notes)),
        ],
    );
}

fn diff(legacy: &str, new: &str) -> Ran {
    dualrun(["diff", legacy, new, "--key", "_id", "--customer", "customer", "--format", "json"])
}

fn all(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

fn notes(report: &Value) -> String {
    report["notes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_same_facts_on_two_servers_and_in_a_file_agree() {
    let (Some(postgres), Some(mongodb)) = (Postgres::open("same"), Mongo::open("same")) else { return };
    let folder = temporary();
    let file = folder.path().join("usage.parquet");
    in_postgres(&postgres);
    in_mongodb(&mongodb);
    in_parquet(&file, None);
    let (tables, file) =
        ([postgres.relation("usage"), mongodb.relation("usage")], file.display().to_string());
    for (legacy, new) in [(&tables[0], &tables[1]), (&tables[1], &file), (&file, &tables[0])] {
        let ran = diff(legacy, new).exits(0);
        let report = ran.json();
        assert_eq!(report["outcome"], "agrees");
        assert_eq!(report["rows"]["equal"], ROWS, "{report}");
        assert!(!all(&ran).contains(postgres.login().1), "{}", all(&ran));
    }
    let report = diff(&tables[0], &tables[1]).exits(0).json();
    let notes = notes(&report);
    assert!(notes.contains("the legacy side was read from a server: one snapshot, taken at 20"), "{notes}");
    assert!(
        notes.contains("the new side was read from a server: ") && notes.contains("one state"),
        "{notes}"
    );
}

#[test]
fn a_planted_difference_is_found_on_either_server() {
    let (Some(postgres), Some(mongodb)) = (Postgres::open("planted"), Mongo::open("planted")) else { return };
    let folder = temporary();
    let file = folder.path().join("usage.parquet");
    in_postgres(&postgres);
    in_mongodb(&mongodb);
    in_parquet(&file, Some(123));
    let file = file.display().to_string();
    for table in [postgres.relation("usage"), mongodb.relation("usage")] {
        let report = diff(&table, &file).exits(1).json();
        assert_eq!(
            (&report["rows"]["unexplained"], &report["rows"]["equal"]),
            (&1.into(), &(ROWS - 1).into())
        );
        let column = report["columns"].as_array().unwrap().iter().find(|c| c["name"] == "kwh").unwrap();
        assert_eq!(column["unexplained"], 1, "{column}");
        // CSV takes its types from the server.
        let csv = folder.path().join("usage.csv");
        let header = "_id,customer,kwh,cost,at,note\n";
        let lines: String = (0..ROWS)
            .map(|i| {
                let instant = DateTime::from_millis(at(i)).try_to_rfc3339_string().unwrap();
                let cost = format!("{:.4}", cost(i) as f64 / 10_000.0);
                format!("{i},{},{:?},{cost},{instant},{}\n", customer(i), kwh(i), note(i).unwrap_or_default())
            })
            .collect();
        std::fs::write(&csv, format!("{header}{lines}")).unwrap();
        let report = diff(&csv.display().to_string(), &table).exits(0).json();
        assert_eq!(report["rows"]["equal"], ROWS, "{report}");
    }
}

/// Asserts the code, a sentence, and that no password is printed or recorded.
#[track_caller]
fn refused(relation: &str, code: i32, sentence: &str, password: &str) {
    let folder = temporary();
    let result = folder.path().join("result.json").display().to_string();
    let ran = dualrun(["diff", relation, relation, "--key", "_id", "--result-file", &result])
        .exits(code)
        .complains(sentence);
    assert_eq!(ran.stdout, "", "nothing that looks like an answer");
    let recorded = std::fs::read_to_string(&result).unwrap();
    let report: Value = serde_json::from_str(&recorded).unwrap();
    assert_eq!(report["outcome"], "failed");
    assert!(report["failure"]["message"].as_str().unwrap().contains(sentence), "{recorded}");
    for text in [&ran.stderr, &recorded] {
        assert!(!text.contains(password), "a password is told: {text}");
    }
}

#[test]
fn postgresql_that_cannot_be_read_is_said_in_a_sentence() {
    let Some(server) = Postgres::open("refused") else { return };
    in_postgres(&server);
    let (user, password) = server.login();
    refused(&server.relation("nothing"), 2, "there is no table", password);
    refused(&server.url(None), 2, "the table is missing", password);
    refused(&server.relation("usage").replace("/dualrun?", "/nowhere?"), 2, "does not exist", password);
    let wrong = format!("{}#{}.usage", server.url(Some((user, "wr0ng-secret"))), server.schema);
    refused(&wrong, 3, "password authentication failed", "wr0ng-secret");
    let away = format!("postgres://{user}:{password}@127.0.0.1:1/core?sslmode=disable#usage");
    refused(&away, 3, "nobody listens there", password);
}

#[test]
fn mongodb_that_cannot_be_read_is_said_in_a_sentence() {
    let Some(server) = Mongo::open("refused") else { return };
    in_mongodb(&server);
    let (user, password) = server.login();
    refused(&server.relation("nothing"), 2, "there is no such collection", password);
    refused(&server.url(None), 2, "the collection is missing", password);
    let wrong = format!("{}#usage", server.url(Some((user, "wr0ng-secret"))));
    refused(&wrong, 3, "user name or password is wrong", "wr0ng-secret");
    let away = format!("mongodb://{user}:{password}@127.0.0.1:1/core?serverSelectionTimeoutMS=1000#usage");
    refused(&away, 3, "the server cannot be reached", password);
}

#[test]
fn a_password_can_come_from_the_environment() {
    let Some(server) = Postgres::open("variable") else { return };
    in_postgres(&server);
    let (user, password) = server.login();
    let relation = format!("{}#{}.usage", server.url(Some((user, "${LIVE_PASSWORD}"))), server.schema);
    let run = |variable: Option<&str>| -> Ran {
        let mut command = command(["diff", &relation, &relation, "--key", "_id"]);
        variable.into_iter().for_each(|value| {
            command.env("LIVE_PASSWORD", value);
        });
        let output: Output = command.output().unwrap();
        output.into()
    };
    let ran = run(Some(password)).exits(0).says("agrees");
    assert!(!all(&ran).contains(password));
    run(None).exits(2).complains("the variable LIVE_PASSWORD is not set");
    let ran = run(Some("wr0ng-secret")).exits(3);
    assert!(!all(&ran).contains("wr0ng-secret"), "{}", all(&ran));
}
