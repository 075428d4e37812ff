//! The template with many meters: the same ones on a server as its legacy side and in a file as its new side.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use bson::{Document, doc};
use dualrun_testkit::{Project, Ran, command};
use serde_json::Value;

/// A run of the template.
pub const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];

const LEGACY_SOURCE: &str = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";

/// The energy of a meter: its product with the factor of the legacy side has no fraction that a sum could round.
fn kwh(i: u64) -> f64 {
    (i % 1000) as f64 * 125.0
}

fn customer(i: u64) -> &'static str {
    ["acme-fr", "rivage-fr", "tilia-fr"][(i % 3) as usize]
}

/// The project with `count` meters of one day on its new side, and a server as `legacy`.
pub fn project(source: &str, place: &str, count: u64) -> Project {
    let project = Project::template();
    project.replace("dualrun.toml", LEGACY_SOURCE, source);
    let from = "legacy = { source = \"legacy\", path = \"meters.jsonl\" }";
    let to = format!("legacy = {{ source = \"legacy\", {place} }}\ntime = \"day\"");
    project.replace("energy/mapping.toml", from, &to);
    let rows: String =
        (0..count).map(|i| format!("m{i},{},2025-03-01,FR,{:?}\n", customer(i), kwh(i))).collect();
    project.write("data/lake/meters.csv", format!("id,customer,day,country,kwh\n{rows}"));
    project
}

/// The statements that make the same meters as a table, each row with a filling of so many bytes.
pub fn table(name: &str, count: u64, filling: u32) -> String {
    format!(
        "CREATE TABLE {name} AS SELECT 'm' || i AS id, (ARRAY['acme-fr', 'rivage-fr', 'tilia-fr'])[i % 3 + 1] AS customer, \
         date '2025-03-01' AS day, 'FR'::text AS country, ((i % 1000) * 125)::float8 AS kwh, repeat('x', {filling}) AS pad \
         FROM generate_series(0, {}) i; ANALYZE {name}",
        count - 1
    )
}

/// The same meters as documents.
pub fn documents(count: u64, filling: usize) -> Vec<Document> {
    let pad = "x".repeat(filling);
    let number = |i: u64| i64::try_from(i).unwrap_or(i64::MAX);
    (0..count)
        .map(|i| {
            doc! {
                "_id": number(i), "id": format!("m{i}"), "customer": customer(i), "day": "2025-03-01", "country": "FR",
                "kwh": kwh(i), "pad": &pad,
            }
        })
        .collect()
}

/// Starts a run in the background.
///
/// # Panics
/// The binary cannot be started.
pub fn start(project: &Project, more: &[&str]) -> Child {
    prepared(project, more).spawn().unwrap_or_else(|error| panic!("dualrun: {error}"))
}

/// A run that is not started yet.
pub fn prepared(project: &Project, more: &[&str]) -> Command {
    let path = project.path().display().to_string();
    let form = ["--format", "json", "--project", path.as_str()];
    command(RUN.iter().chain(&form).chain(more).copied())
}

/// Waits for the end of a run.
///
/// # Panics
/// It does not end within a minute and a half.
pub fn ended(mut child: Child) -> Ran {
    let started = Instant::now();
    // What it prints is small enough for the pipes to hold.
    while child.try_wait().unwrap_or_else(|error| panic!("dualrun: {error}")).is_none() {
        if started.elapsed() > Duration::from_secs(90) {
            let _ = child.kill();
            panic!("the run does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap_or_else(|error| panic!("dualrun: {error}")).into()
}

/// What a report says of the inputs, and of the figures that came out of them.
pub fn facts(report: &Value) -> [Value; 4] {
    let mut report = report.clone();
    // When a state was taken differs from run to run.
    for input in report["inputs"].as_array_mut().into_iter().flatten() {
        if let Some(input) = input.as_object_mut() {
            input.remove("consistency");
        }
    }
    ["outcome", "inputs", "rows", "columns"].map(|part| report[part].clone())
}

/// Waits until something holds.
///
/// # Panics
/// It does not hold within so many seconds.
#[track_caller]
pub fn wait_until(what: &str, seconds: u64, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        thread::sleep(Duration::from_millis(25));
    }
}
