//! `dualrun plan` tells what loads would read before the runs, and writes nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{DateTime, doc};
use dualrun_e2e::{
    bucket::Bucket,
    lake,
    servers::{Mongo, Postgres},
};
use dualrun_testkit::Project;
use serde_json::{Value, json};

fn plan(project: &Project, more: &[&str]) -> Value {
    let first = ["plan", "--period", "2025-03-01", "--format", "json"];
    project.dualrun(&[&first[..], more].concat()).exits(0).json()
}

fn load_of(project: &Project, more: &[&str]) -> Value {
    let report = plan(project, more);
    let loads = report["loads"].as_array().unwrap_or_else(|| panic!("no loads in {report:#}"));
    assert_eq!(loads.len(), 1);
    loads[0].clone()
}

fn words(project: &Project, more: &[&str]) -> String {
    let said = project.dualrun(&[&["plan", "--period", "2025-03-01"], more].concat()).exits(0).stdout;
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_changed_in_a_table_is_estimated_with_its_watermark() {
    let (Some(server), Some(bucket)) = (Postgres::open("plan_loads"), Bucket::find("plan-loads")) else {
        return;
    };
    server.run(
        "CREATE TABLE $.meters AS SELECT 'm' || i AS id, 'c' || i % 40 AS customer, date '2025-03-01' + i % 5 AS day, \
         'FR' AS country, 1.0::float8 AS kwh, timestamptz '2025-03-06 01:00:00Z' + i * interval '1 s' AS updated \
         FROM generate_series(1, 20000) i; CREATE INDEX meters_updated ON $.meters (updated); ANALYZE $.meters",
    );
    let legacy = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\nmax_rows_per_second = 1000\n",
        server.url(None)
    );
    let lake = format!(
        "[source.lake]\nkind = \"parquet\"\nurl = \"{}\"\n{}\n",
        bucket.url("lake"),
        bucket.options(&bucket.host)
    );
    let live = lake::project(&legacy, &format!("table = \"{}.meters\"", server.schema), &lake);
    let first = load_of(&live, &[]);
    assert_eq!(
        [&first["mode"], &first["last"], &first["rows_now"]],
        [&json!("full"), &Value::Null, &json!(0)]
    );
    let rows = first["load"]["rows"].as_u64().unwrap();
    assert!((18_000..22_000).contains(&rows), "{first}");
    assert!(
        (18..=22).contains(&first["load"]["seconds"].as_u64().unwrap()),
        "at the configured pace: {first}"
    );
    assert!(bucket.list("lake").is_empty(), "nothing is written");
    assert!(!live.path().join(".dualrun").exists(), "nothing is written");
    assert!(words(&live, &[]).contains("everything; never loaded"));

    live.replace("dualrun.toml", "max_rows_per_second = 1000\n", "");
    live.dualrun(&["load"]).exits(0);
    let before = bucket.list("lake");
    let next = load_of(&live, &[]);
    assert_eq!(
        [&next["mode"], &next["rows_now"], &next["partitions_now"]],
        [&json!("incremental"), &json!(20000), &json!(5)]
    );
    let watermark = &next["watermark"];
    assert_eq!(watermark["to"], json!({"instant": "2025-03-06T06:33:20Z"}));
    assert_eq!(watermark["from"], json!({"instant": "2025-03-06T06:32:20Z"}), "the overlap is read again");
    assert_eq!(next["partitions"], Value::Null, "the rows that come tell them");
    let rows = next["load"]["rows"].as_u64().unwrap();
    assert!(rows < 2000, "only what changed: {next}");
    let report = plan(&live, &[]);
    assert_eq!(report["servers"][0]["readings"], 1, "loads are told apart: {}", report["servers"]);
    let said = words(&live, &[]);
    for part in [
        "loads, before the runs with --load or by dualrun load lake:bronze/meters from postgres://",
        "what changed, updated from 2025-03-06T06:32:20Z on; 2025-03-06T06:33:20Z was seen; last loaded as of",
        "20 000 rows in 5 partitions",
        "load on the servers, without the loads",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains(server.login().1), "{said}");
    assert_eq!(bucket.list("lake"), before, "nothing is written");

    let offline = load_of(&live, &["--offline"]);
    assert_eq!([&offline["mode"], &offline["load"]], [&Value::Null, &Value::Null]);
    assert!(words(&live, &["--offline"]).contains("the copy is not asked (--offline)"));
    let secret = format!("aws_secret_access_key = \"{}\"", bucket.secret);
    live.replace("dualrun.toml", &secret, "aws_secret_access_key = \"wrong\"");
    let refused = load_of(&live, &[]);
    assert!(refused["notes"][0].as_str().unwrap().starts_with("the copy could not be asked: "), "{refused}");
}

#[test]
fn what_changed_in_a_collection_is_estimated() {
    let Some(mongo) = Mongo::open("plan_loads") else { return };
    let at = |text: &str| DateTime::parse_rfc3339_str(text).unwrap();
    let meter = |n: i32| {
        doc! {
            "id": format!("m{n}"), "customer": "acme-fr", "day": at("2025-03-01T00:00:00Z"), "country": "FR", "kwh": 1.0,
            "updated": at("2025-03-02T01:00:00Z"),
        }
    };
    mongo.insert("meters", &(0..300).map(meter).collect::<Vec<_>>());
    let legacy = format!("[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\n", mongo.url(None));
    let live = lake::project(&legacy, "collection = \"meters\"", lake::LOCAL);
    live.dualrun(&["load"]).exits(0);
    let next = load_of(&live, &[]);
    assert_eq!(next["mode"], "incremental");
    assert_eq!(next["watermark"]["to"], json!({"instant": "2025-03-02T01:00:00Z"}));
    assert!(next["load"]["way"].is_string(), "{next}");
    mongo.run(doc! {"drop": "meters"});
    let next = load_of(&live, &[]);
    assert!(next["load"]["note"].as_str().unwrap().contains("there is no such collection"), "{next}");
}

#[test]
fn files_by_day_are_those_of_the_period() {
    let source = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump/{day}\"\n";
    let project = lake::project(source, "path = \"meters.jsonl\"", lake::LOCAL);
    let load = load_of(&project, &[]);
    assert_eq!([&load["mode"], &load["partitions"]], [&json!("period"), &json!(["day=2025-03-01"])]);
    assert_eq!(load["place"], "data/dump/2025-03-01/meters.jsonl");
    assert!(words(&project, &[]).contains("some days, whole; never loaded files, which are read whole"));
    assert_eq!(plan(&Project::template(), &[])["loads"], Value::Null, "nothing declares `load`");
}
