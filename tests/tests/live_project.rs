//! Projects whose legacy side stands on a real server: the same inputs, and the same verdict, as from a dump.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use bson::{DateTime, Decimal128, Document, doc};
use dualrun_e2e::{
    documents,
    servers::{Mongo, Postgres},
};
use dualrun_testkit::{Project, Ran, dualrun};
use serde_json::Value;

const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];

const LEGACY_SOURCE: &str = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";

/// The meters of the template, mixed in type as they are there, and some of days that nobody asked for.
fn meters(project: &Project) -> Vec<Document> {
    let text = project.read("data/dump/meters.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all: Vec<Document> = lines.map(|line| document(&line)).collect();
    assert!(all.len() == 3, "{}", all.len());
    let midnight = DateTime::parse_rfc3339_str("2025-05-01T00:00:00Z").unwrap();
    all.push(doc! {"id": "later", "customer": "acme-fr", "day": "2025-05-01", "country": "FR", "kwh": 1.0});
    all.push(doc! {"id": "instant", "customer": "acme-fr", "day": midnight, "country": "FR", "kwh": 2.0});
    all.push(doc! {"id": "never", "customer": "acme-fr", "country": "FR", "kwh": 3.0});
    all
}

/// A document of relaxed Extended JSON with the types that the template has.
fn document(line: &Value) -> Document {
    let mut document = Document::new();
    for (name, value) in line.as_object().unwrap() {
        if let Some(date) = value.get("$date").and_then(Value::as_str) {
            document.insert(name, DateTime::parse_rfc3339_str(date).unwrap());
        } else if let Some(number) = value.get("$numberDecimal").and_then(Value::as_str) {
            document.insert(name, number.parse::<Decimal128>().unwrap());
        } else {
            document.insert(name, bson::serialize_to_bson(value).unwrap());
        }
    }
    document
}

/// The template with another legacy source, the time of its meters declared.
fn project(source: &str, place: &str) -> Project {
    let project = Project::template();
    project.replace("dualrun.toml", LEGACY_SOURCE, source);
    let from = "legacy = { source = \"legacy\", path = \"meters.jsonl\" }";
    project.replace(
        "energy/mapping.toml",
        from,
        &format!("legacy = {{ source = \"legacy\", {place} }}\ntime = \"day\""),
    );
    project
}

fn from_dump() -> Project {
    let source = "[source.legacy]\nkind = \"bson_dump\"\nurl = \"dump\"\ndatabase = \"core\"\n";
    let project = project(source, "collection = \"meters\"");
    project.write("dump/core/meters.bson", documents::bytes(&meters(&project)));
    project
}

fn run(project: &Project) -> (Ran, Value) {
    let ran = project.dualrun(&[&RUN[..], &["--format", "json"]].concat());
    let report = ran.json();
    (ran, report)
}

/// What a report says of the inputs, but for the state in which they were read, and of the figures that came out of them.
fn facts(report: &Value) -> [Value; 4] {
    let mut inputs = report["inputs"].clone();
    for input in inputs.as_array_mut().unwrap() {
        input.as_object_mut().unwrap().remove("consistency");
    }
    [report["outcome"].clone(), inputs, report["rows"].clone(), report["columns"].clone()]
}

#[test]
fn a_collection_gives_the_same_fence_as_its_dump() {
    let Some(server) = Mongo::open("project") else { return };
    let dump = from_dump();
    server.insert("meters", &meters(&dump));
    let source = format!(
        "[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\nmax_connections = 2\nmax_rows_per_second = 5000\nquery_time = \
         \"20s\"\nread_preference = \"secondary_preferred\"\n",
        server.url(None)
    );
    let live = project(&source, "collection = \"meters\"");
    live.dualrun(&["validate"]).exits(0).says("1 pipeline");
    let (dumped, of_dump) = run(&dump);
    let (read, of_live) = run(&live);
    assert_eq!(read.code, dumped.code, "{}{}", read.stdout, read.stderr);
    assert_eq!(facts(&of_live), facts(&of_dump));
    assert_eq!(of_live["inputs"][0]["comparable"], true);
    assert_eq!(of_live["inputs"][0]["legacy"], of_live["inputs"][0]["new"], "the fingerprints of both sides");
    says(&of_live, "legacy meters was read from a server: ");
    quiet_about(&live, &read, server.login().1);
}

#[test]
fn a_table_gives_the_same_fence_as_a_dump() {
    let Some(server) = Postgres::open("project") else { return };
    let dump = from_dump();
    server.run(
        "CREATE TABLE $.meters (id text PRIMARY KEY, customer text, day date, country text, kwh numeric)",
    );
    for line in dump.read("data/dump/meters.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str, key: &str| -> String {
            let value = &line[name];
            let value = value.get(key).unwrap_or(value);
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        };
        let country = line["country"].as_str().map_or("NULL".to_owned(), |country| format!("'{country}'"));
        server.run(&format!(
            "INSERT INTO $.meters VALUES ('{}', '{}', '{}', {country}, {})",
            text("id", ""),
            text("customer", ""),
            &text("day", "$date")[..10],
            text("kwh", "$numberDecimal")
        ));
    }
    server.run("INSERT INTO $.meters VALUES ('later', 'acme-fr', '2025-05-01', 'FR', 'NaN')");
    let source = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\ntls = \"disable\"\nquery_time = \"20s\"\n",
        server.url(None)
    );
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let (dumped, of_dump) = run(&dump);
    let (read, of_live) = run(&live);
    assert_eq!(read.code, dumped.code, "{}{}", read.stdout, read.stderr);
    assert_eq!(facts(&of_live), facts(&of_dump));
    assert_eq!(of_live["inputs"][0]["comparable"], true);
    says(&of_live, "legacy meters was read from a server: one snapshot, taken at 20");
    quiet_about(&live, &read, server.login().1);
}

/// Asserts that one of the notes begins so.
#[track_caller]
fn says(report: &Value, start: &str) {
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note.as_str().unwrap().starts_with(start)), "{notes:?}");
}

/// No password in what was printed or kept.
#[track_caller]
fn quiet_about(project: &Project, ran: &Ran, password: &str) {
    let plan = project.dualrun(&["plan", "--period", "2025-03-01"]);
    for text in [&ran.stdout, &ran.stderr, &plan.stdout, &plan.stderr] {
        assert!(!text.contains(password), "{text}");
    }
    let mut open = vec![project.path().join(".dualrun")];
    let mut files = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap();
                let found = bytes.windows(password.len()).any(|part| part == password.as_bytes());
                assert!(!found, "{} holds the password", entry.path().display());
                files += 1;
            }
        }
    }
    assert!(files > 0);
}

#[test]
fn a_ceiling_on_rows_per_second_is_kept() {
    let Some(server) = Postgres::open("ceiling") else { return };
    server.run(
        "CREATE TABLE $.meters AS SELECT 'x' || i AS id, 'acme-fr' AS customer, date '2025-03-01' AS day, \
         'FR' AS country, 1.5::float8 AS kwh FROM generate_series(1, 3000) i",
    );
    let source = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\nmax_rows_per_second = 1500\n",
        server.url(None)
    );
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let started = Instant::now();
    let (_, report) = run(&live);
    assert_eq!(report["inputs"][0]["rows"]["legacy"], 3000);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_server_that_is_away_is_exit_3_and_said() {
    let source =
        "[source.legacy]\nkind = \"postgres\"\nurl = \"postgres://reader:topsecret@127.0.0.1:1/core\"\n";
    let live = project(source, "table = \"meters\"");
    let ran =
        live.dualrun(&RUN).exits(3).complains("nobody listens there").complains("hint: is the server up");
    assert!(!ran.stderr.contains("topsecret"), "{}", ran.stderr);
    // Looking at a project asks no server.
    live.dualrun(&["validate"]).exits(0);
    let plan = live
        .dualrun(&["plan", "--period", "2025-03-01"])
        .exits(0)
        .says("postgres://***@127.0.0.1:1/core#meters");
    assert!(!plan.stdout.contains("topsecret"));
}

#[test]
fn a_secret_may_stand_in_a_file_or_in_the_environment() {
    let Some(server) = Postgres::open("secret") else { return };
    server.run("CREATE TABLE $.meters (id text, customer text, day date, country text, kwh numeric)");
    let (user, password) = server.login();
    let url = server.url(Some((user, "x"))).replace(":x@", "@");
    let source =
        format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\npassword_file = \"secrets/pg\"\n");
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    live.dualrun(&RUN).exits(2).complains("secrets/pg: cannot be read");
    live.write("secrets/pg", "wr0ng-secret\n");
    let ran = live.dualrun(&RUN).exits(3).complains("password authentication failed");
    assert!(!ran.stderr.contains("wr0ng-secret"));
    live.write("secrets/pg", format!("{password}\n"));
    // The table has no rows: no meter of the new side is there.
    let (ran, report) = run(&live);
    assert_eq!(report["inputs"][0]["rows"]["legacy"], 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains(password) && !ran.stderr.contains(password));
}

#[test]
fn what_does_not_belong_to_a_server_is_a_mistake_with_its_line() {
    let check = |source: &str, place: &str, said: &str| {
        let live = project(source, place);
        let ran = dualrun(["validate", "--project", &live.at("")]).exits(2);
        assert!(ran.stdout.contains(said), "no {said:?} in {}", ran.stdout);
        assert!(!ran.stdout.contains("topsecret"), "{}", ran.stdout);
    };
    let server = "[source.legacy]\nkind = \"postgres\"\nurl = \"postgres://u:topsecret@h/d\"\n";
    check(server, "collection = \"meters\"", "has a `table`, not a `collection`");
    check(server, "table = \"meters_{day}\"", "is one for all days");
    check(
        &server.replace("postgres://", "mongodb://"),
        "table = \"meters\"",
        "the URL is not one of the kind of its source",
    );
    check(&format!("{server}query_time = \"30 years\"\n"), "table = \"meters\"", "query_time");
    check(&format!("{server}read_preference = \"primary\"\n"), "table = \"meters\"", "of MongoDB only");
    check(
        &format!("{LEGACY_SOURCE}max_connections = 3\n"),
        "path = \"meters.jsonl\"",
        "of sources that are servers",
    );
    check(LEGACY_SOURCE, "table = \"meters\"", "has no tables");
}
