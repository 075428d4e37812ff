//! `dualrun load` from real servers into a real bucket: load, run, agree; change, load, agree again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use bson::{DateTime, doc};
use dualrun_e2e::{
    bucket::Bucket,
    disturbance::{Act, Rule, Way},
    lake,
    proxy::Proxy,
    servers::{Mongo, Postgres},
    tables,
};
use dualrun_testkit::{Project, command};
use serde_json::{Value, json};

/// The lake in a bucket, reached by a host.
fn lake(bucket: &Bucket, host: &str) -> String {
    format!("[source.lake]\nkind = \"parquet\"\nurl = \"{}\"\n{}\n", bucket.url("lake"), bucket.options(host))
}

#[track_caller]
fn load(project: &Project, args: &[&str], code: i32) -> Value {
    project.dualrun(&[&["load", "--format", "json"], args].concat()).exits(code).json()
}

#[track_caller]
fn run(project: &Project, day: u32, code: i32) {
    let day = format!("2025-03-{day:02}");
    project.dualrun(&["run", "-p", "energy", "--period", &day, "--as-of", "2025-04-01"]).exits(code);
}

fn table<'a>(report: &'a Value, name: &str) -> &'a Value {
    let inputs = report["inputs"].as_array().unwrap();
    inputs.iter().find(|input| input["table"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn periods(report: &Value, model: &str) -> Value {
    let models = report["models"].as_array().unwrap();
    models.iter().find(|m| m["model"] == model).unwrap()["periods"].clone()
}

/// So many meters of one day.
fn meters(server: &Postgres, rows: u32) {
    server.run(&format!(
        "CREATE TABLE $.meters AS SELECT 'm' || i AS id, 'acme-fr' AS customer, date '2025-03-01' AS day, \
         'FR' AS country, 1.5::float8 AS kwh, timestamptz '2025-03-06 01:00:00Z' AS updated \
         FROM generate_series(1, {rows}) i"
    ));
}

/// A server at this address as a source of a project, and the table of its meters.
fn named(server: &Postgres, url: &str) -> (String, String) {
    let source = format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\ntls = \"disable\"\n");
    (source, format!("table = \"{}.meters\"", server.schema))
}

#[test]
fn a_table_and_a_collection_are_copied_and_both_sides_agree_before_and_after_changes() {
    let (Some(postgres), Some(mongo), Some(bucket)) =
        (Postgres::open("load"), Mongo::open("load"), Bucket::find("load"))
    else {
        return;
    };
    postgres.run(
        "CREATE TABLE $.meters (id text PRIMARY KEY, customer text, day date, country text, kwh numeric, \
         updated timestamptz);
         INSERT INTO $.meters SELECT 'm' || i, CASE WHEN i % 2 = 0 THEN 'acme-fr' ELSE 'rivage-fr' END, \
         date '2025-03-01' + i % 5, 'FR', i * 0.25, timestamptz '2025-03-06 01:00:00Z' + i * interval '1 second' \
         FROM generate_series(1, 5000) i;",
    );
    mongo.insert(
        "grid",
        &[
            doc! {"country": "FR", "edition": "2023", "g_per_kwh": 58.0},
            doc! {"country": "DE", "edition": "2023", "g_per_kwh": 380.0},
        ],
    );
    let legacy = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\ntls = \"disable\"\n\n[source.legacy_mongo]\nkind = \
         \"mongodb\"\nurl = \"{}\"\n",
        postgres.url(None),
        mongo.url(None)
    );
    let place = format!("table = \"{}.meters\"", postgres.schema);
    let project = lake::project(&legacy, &place, &lake(&bucket, &bucket.host));
    project.replace(
        "energy/mapping.toml",
        "legacy = { source = \"factors\", path = \"grid.csv\" }\nnew = { source = \"factors\", path = \"grid.csv\" }",
        "legacy = { source = \"legacy_mongo\", collection = \"grid\" }\nnew = { source = \"lake\", path = \
         \"bronze/grid/\" }\nload = {}",
    );
    project.dualrun(&["validate"]).exits(0);

    let report = load(&project, &[], 0);
    let meters = table(&report, "lake:bronze/meters");
    assert_eq!(meters["rows"]["added"], 5000);
    assert_eq!(meters["partitions"].as_array().unwrap().len(), 5);
    let said = meters["consistency"].as_str().unwrap();
    assert!(said.starts_with("one snapshot, taken at "), "{said}");
    let grid = table(&report, "lake:bronze/grid");
    assert_eq!([&grid["rows"]["added"], &grid["partitions"]], [&json!(2), &json!([""])]);
    assert!(grid["consistency"].as_str().unwrap().contains("documents before"), "{grid}");
    (1..=5).for_each(|day| run(&project, day, 0));
    let gold = bucket.list("lake/gold/energy/day=2025-03-02");
    let rows = bucket.rows(&gold[0]);
    let mut customers = tables::texts(&rows, "customer_id");
    customers.sort();
    assert_eq!(customers, ["acme-fr", "rivage-fr"]);

    load(&project, &[], 99);
    let before: BTreeSet<String> = bucket.list("lake").into_iter().collect();
    // One row changes, one comes late, one moves, one goes unseen.
    postgres.run(
        "UPDATE $.meters SET kwh = 1000, updated = now() WHERE id = 'm1';
         INSERT INTO $.meters VALUES ('late', 'acme-fr', '2025-03-02', 'FR', 3, '2025-03-06 02:22:50Z');
         UPDATE $.meters SET day = '2025-03-03', updated = now() WHERE id = 'm5';
         DELETE FROM $.meters WHERE id = 'm4';",
    );
    let report = load(&project, &[], 0);
    let meters = table(&report, "lake:bronze/meters");
    assert_eq!(meters["mode"], "incremental");
    assert_eq!(meters["partitions"], json!(["day=2025-03-01", "day=2025-03-02", "day=2025-03-03"]));
    let rows = &meters["rows"];
    assert_eq!([&rows["added"], &rows["changed"], &rows["moved"], &rows["removed"]], [2, 1, 1, 0]);
    assert!(rows["read"].as_u64().unwrap() < 100, "only what changed is read, and the overlap: {rows}");
    assert_eq!(table(&report, "lake:bronze/grid")["outcome"], "nothing_new");
    let reached = json!(["2025-03-01", "2025-03-02", "2025-03-03"]);
    assert_eq!([periods(&report, "silver"), periods(&report, "gold")], [reached.clone(), reached]);
    let after: BTreeSet<String> = bucket.list("lake").into_iter().collect();
    let of = |names: &BTreeSet<String>, day: &str| -> Vec<String> {
        names.iter().filter(|name| name.contains(day) && name.ends_with(".parquet")).cloned().collect()
    };
    for day in ["day=2025-03-04", "day=2025-03-05"] {
        assert_eq!(of(&before, day), of(&after, day), "{day} was not reached");
        assert_eq!(of(&before, day).len(), 3);
    }
    for day in ["day=2025-03-01", "day=2025-03-02", "day=2025-03-03"] {
        assert!(of(&before, day).iter().all(|name| !after.contains(name)), "what was replaced is gone");
    }
    [1, 2, 3, 4].into_iter().for_each(|day| run(&project, day, 0));
    // The row that is gone is seen by the fence, and taken out by a full load.
    run(&project, 5, 4);
    let report = load(&project, &["--full"], 0);
    assert_eq!(table(&report, "lake:bronze/meters")["rows"]["removed"], 1);
    assert_eq!(table(&report, "lake:bronze/meters")["partitions"], json!(["day=2025-03-05"]));
    assert_eq!(periods(&report, "gold"), json!(["2025-03-05"]));
    run(&project, 5, 0);
    load(&project, &[], 99);
}

#[test]
fn a_collection_is_copied_by_what_changed() {
    let (Some(mongo), Some(bucket)) = (Mongo::open("load_by_time"), Bucket::find("load-mongo")) else {
        return;
    };
    let at = |text: &str| DateTime::parse_rfc3339_str(text).unwrap();
    let meter = |n: i32, updated: &str| {
        doc! {
            "id": format!("m{n}"), "customer": "acme-fr", "day": at(&format!("2025-03-0{}T00:00:00Z", n % 3 + 1)),
            "country": "FR", "kwh": f64::from(n), "updated": at(updated), "tags": ["a", "b"], "site": {"floor": n},
        }
    };
    let meters: Vec<_> = (0..300).map(|n| meter(n, "2025-03-06T01:00:00Z")).collect();
    mongo.insert("meters", &meters);
    // Documents without a time of change are read each time, and one that is stamped ahead hides none.
    mongo.insert(
        "meters",
        &[doc! {"id": "x", "customer": "acme-fr", "day": at("2025-03-01T00:00:00Z"), "kwh": 1}],
    );
    mongo.insert("meters", &[meter(1000, "2099-01-01T00:00:00Z")]);
    let legacy = format!("[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\n", mongo.url(None));
    let project = lake::project(&legacy, "collection = \"meters\"", &lake(&bucket, &bucket.host));
    let report = load(&project, &[], 0);
    let meters = table(&report, "lake:bronze/meters");
    assert_eq!(meters["rows"]["added"], 302);
    let to = meters["watermark"]["to"]["instant"].as_str().unwrap();
    assert!(to < "2099", "{to}");
    (1..=3).for_each(|day| run(&project, day, 0));
    load(&project, &[], 99);
    mongo.run(doc! {"update": "meters", "updates": [
        {"q": {"id": "m3"}, "u": {"$set": {"kwh": 77.5, "updated": DateTime::now(), "site": {"floor": 1, "room": "k"}}}},
    ]});
    let report = load(&project, &[], 0);
    let meters = table(&report, "lake:bronze/meters");
    assert_eq!(meters["partitions"], json!(["day=2025-03-01"]));
    let rows = &meters["rows"];
    assert_eq!([&rows["changed"], &rows["added"], &rows["unchanged"]], [1, 0, 2]);
    assert_eq!(rows["read"], 3, "the changed one, that without a time, and that of the future");
    assert_eq!(periods(&report, "gold"), json!(["2025-03-01"]));
    (1..=3).for_each(|day| run(&project, day, 0));
}

#[test]
fn of_two_loads_at_once_one_wins_and_the_other_overwrites_nothing() {
    let (Some(postgres), Some(bucket)) = (Postgres::open("load_race"), Bucket::find("race")) else { return };
    meters(&postgres, 100);
    let (legacy, place) = named(&postgres, &postgres.url(None));
    let way = Way::to(&bucket.host);
    // Two machines: each has a state of its own, and only the bucket is shared.
    let slow = lake::project(&legacy, &place, &lake(&bucket, &way.host));
    let quick = lake::project(&legacy, &place, &lake(&bucket, &bucket.host));
    let commit =
        Rule { method: "PUT", holds: "bronze/meters/_dualrun/commits", times: Some(1), act: Act::Hold };
    way.disturb(&[commit]);
    let held = command(["load", "--format", "json", "--project", &slow.at("")]).spawn().unwrap();
    way.wait();
    let won = load(&quick, &[], 0);
    way.release();
    let lost = held.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&lost.stdout).unwrap();
    assert_eq!(report["inputs"][0]["outcome"], "held", "{report}");
    assert_eq!(report["inputs"][0]["exit_code"], 99);
    let note = report["inputs"][0]["notes"][0].as_str().unwrap();
    assert!(note.contains("another process committed 1 first"), "{note}");
    let name = "lake/bronze/meters/_dualrun/commits/00000001.json";
    let commit: Value = serde_json::from_slice(&bucket.get(name)).unwrap();
    let file = commit["partitions"]["day=2025-03-01"]["files"][0]["path"].as_str().unwrap();
    let whole = [name.to_owned(), format!("lake/bronze/meters/{file}")];
    assert_eq!(bucket.list("lake/bronze"), whole, "nothing of the other one is left");
    assert_eq!(won["inputs"][0]["commit"], 1);
    run(&quick, 1, 0);
    // The one that lost goes on from what the other one left.
    assert_eq!(load(&slow, &[], 99)["inputs"][0]["outcome"], "nothing_new");
    // On one machine the second does not even begin.
    way.disturb(&[Rule { method: "GET", holds: "bronze", times: Some(1), act: Act::Hold }]);
    let first = command(["load", "--project", &slow.at("")]).spawn().unwrap();
    way.wait();
    let second = load(&slow, &[], 99);
    assert_eq!(second["inputs"][0]["notes"][0], "another process loads this table");
    way.release();
    first.wait_with_output().unwrap();
}

#[test]
fn who_loses_says_nothing_of_the_files_of_the_winner() {
    let (Some(postgres), Some(bucket)) = (Postgres::open("load_loser"), Bucket::find("loser")) else {
        return;
    };
    meters(&postgres, 100);
    let (legacy, place) = named(&postgres, &postgres.url(None));
    let way = Way::to(&bucket.host);
    let slow = lake::project(&legacy, &place, &lake(&bucket, &way.host));
    let quick = lake::project(&legacy, &place, &lake(&bucket, &bucket.host));
    // The slow one has seen a table without a commit, and what it still does there it does after the other's.
    way.disturb(&[Rule { method: "PUT", holds: "bronze/meters/day", times: Some(1), act: Act::Hold }]);
    let held = command(["load", "--format", "json", "--project", &slow.at("")]).spawn().unwrap();
    way.wait();
    load(&quick, &[], 0);
    way.release();
    let lost: Value = serde_json::from_slice(&held.wait_with_output().unwrap().stdout).unwrap();
    let notes = lost["inputs"][0]["notes"].to_string();
    assert!(notes.contains("another process committed 1 first") && !notes.contains("stood there"), "{notes}");
    run(&quick, 1, 0);
}

#[test]
fn a_load_whose_snapshot_is_lost_begins_anew() {
    let Some(postgres) = Postgres::open("load_cut") else { return };
    meters(&postgres, 60_000);
    postgres.run("ALTER TABLE $.meters ADD PRIMARY KEY (id)");
    let proxy = Proxy::to(&postgres.address());
    let (legacy, place) = named(&postgres, &postgres.url_at(proxy.port));
    let project = lake::project(&legacy, &place, lake::LOCAL);
    proxy.cut_after(1_000_000);
    let ran = project.dualrun(&["load", "--format", "json"]).exits(0).complains("is read anew in 1 s");
    let meters = &ran.json()["inputs"][0];
    assert_eq!(proxy.cuts(), 1);
    assert_eq!([&meters["rows"]["read"], &meters["rows"]["added"]], [60000, 60000]);
    let notes = meters["notes"].to_string();
    assert!(notes.contains("servers were read anew after the reading broke off once"), "{notes}");
    assert!(meters["consistency"].as_str().unwrap().starts_with("one snapshot, taken at "), "{meters}");
    load(&project, &[], 99);
    // One that was never reached is not waited for.
    proxy.cut(true);
    let ran = project.dualrun(&["load"]).exits(3).says("failed at load");
    assert!(!ran.stderr.contains("anew"), "{}", ran.stderr);
}

#[test]
fn a_shape_that_names_some_columns_is_valid_and_enough() {
    let Some(postgres) = Postgres::open("load_partly") else { return };
    meters(&postgres, 100);
    let (legacy, place) = named(&postgres, &postgres.url(None));
    let project = lake::project(&legacy, &place, lake::LOCAL);
    project.replace(
        "energy/mapping.toml",
        "customer = \"text\"\nday = \"date\"\ncountry = \"text\"\nkwh = \"float\"\nupdated = \"timestamp\"\n",
        "",
    );
    project.dualrun(&["validate"]).exits(0).says("no mistakes");
    let before = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-04-01"];
    project
        .dualrun(&before)
        .exits(2)
        .complains("nothing was loaded into lake:bronze/meters yet")
        .complains("`dualrun load` fills it");
    load(&project, &[], 0);
    run(&project, 1, 0);
    project.dualrun(&["validate"]).exits(0);
    // Other mistakes of a model that reads such an input are told.
    project.replace("energy/new/10_silver.sql", "from meters", "frm meters");
    project.dualrun(&["validate"]).exits(2).says("10_silver.sql");
}
