//! `run --load` and `nightly --load`: the copy, the fence and both calculations see one state of the servers, also while
//! others write there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{DateTime, doc};
use dualrun_e2e::{
    bucket::Bucket,
    disturbance::{Act, Rule, Way},
    lake,
    meters::{ended, start},
    proxy::Proxy,
    servers::{Mongo, Postgres},
    state,
};
use dualrun_testkit::{Project, Ran, command};
use serde_json::{Value, json};

const RUN: [&str; 9] =
    ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02", "--format", "json"];

/// Until it is released, the copy of the meters waits for its commit: what it holds is read, and nothing else yet.
const COMMIT: Rule =
    Rule { method: "PUT", holds: "bronze/meters/_dualrun/commits", times: Some(1), act: Act::Hold };

fn bucket_lake(bucket: &Bucket, host: &str) -> String {
    format!("[source.lake]\nkind = \"parquet\"\nurl = \"{}\"\n{}\n", bucket.url("lake"), bucket.options(host))
}

/// Meters of two days, one kWh each, and factors on the same server.
fn meters(server: &Postgres, rows: u32) {
    server.run(&format!(
        "CREATE TABLE $.meters AS SELECT 'm' || i AS id, 'c' || i % 40 AS customer, date '2025-03-01' + i % 2 AS day, \
         'FR' AS country, 1.0::float8 AS kwh, timestamptz '2025-03-02 01:00:00Z' + i * interval '1 ms' AS updated \
         FROM generate_series(1, {rows}) i; \
         CREATE TABLE $.grid (country text, edition text, g_per_kwh float8); INSERT INTO $.grid VALUES ('FR', '2023', 58.0)"
    ));
}

/// A project whose meters and factors stand on the server, the new side of the meters in a lake.
fn project(server: &Postgres, lake: &str) -> Project {
    let legacy = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\nmax_rows_per_second = 20000\n",
        server.url(None)
    );
    let project = lake::project(&legacy, &format!("table = \"{}.meters\"", server.schema), lake);
    let grid = format!("{{ source = \"legacy\", table = \"{}.grid\" }}", server.schema);
    project.replace(
        "energy/mapping.toml",
        "legacy = { source = \"factors\", path = \"grid.csv\" }\nnew = { source = \"factors\", path = \"grid.csv\" }",
        &format!("legacy = {grid}\nnew = {grid}"),
    );
    project
}

/// What somebody does while a run reads: rows of each kind change after the copy was read.
fn write(server: &Postgres, n: u32) {
    server.run(&format!(
        "INSERT INTO $.meters VALUES ('late{n}', 'c1', '2025-03-01', 'FR', 1.0, now()); \
         UPDATE $.meters SET kwh = kwh + 1, updated = now() WHERE id = 'm2'"
    ));
}

fn run(project: &Project, more: &[&str]) -> Ran {
    project.dualrun(&[&RUN[..], more].concat())
}

/// What the load of a report says of the meters.
#[track_caller]
fn copy(report: &Value) -> &Value {
    let inputs = report["load"]["inputs"].as_array().unwrap_or_else(|| panic!("no load in {report:#}"));
    inputs.iter().find(|input| input["input"] == "meters").unwrap()
}

fn kwh(report: &Value) -> [&Value; 2] {
    let column = report["columns"].as_array().unwrap().iter().find(|c| c["name"] == "kwh").unwrap();
    [&column["legacy_total"], &column["new_total"]]
}

#[test]
fn a_run_reads_the_state_of_its_copy_while_others_write() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_run"), Bucket::find("load-run")) else { return };
    meters(&server, 4000);
    let way = Way::to(&bucket.host);
    let live = project(&server, &bucket_lake(&bucket, &way.host));
    // A load alone, whose models read the server that it has just copied from.
    live.dualrun(&["load"]).exits(0);
    write(&server, 0);
    // Two commands see two states.
    run(&live, &[]).exits(4);
    way.disturb(&[COMMIT]);
    let child = start(&live, &["--load"]);
    way.wait();
    write(&server, 1);
    way.release();
    let ran = ended(child);
    let report = ran.exits(0).json();
    let meters = copy(&report);
    assert_eq!((&meters["outcome"], &meters["mode"]), (&json!("loaded"), &json!("incremental")));
    assert_eq!([&meters["rows"]["added"], &meters["rows"]["changed"]], [1, 1], "those of before the run");
    assert_eq!((&meters["same_state"], &meters["state"]["cut"]), (&json!("snapshot"), &json!("snapshot")));
    let said = meters["notes"].to_string();
    assert!(said.contains("read by both calculations in one state: one snapshot, taken at"), "{said}");
    let read = &report["inputs"][0]["consistency"][0];
    assert_eq!(read["detail"], meters["state"]["detail"], "the very snapshot");
    assert_eq!(kwh(&report), ["2002", "2002"], "2000 meters, the first late one, and one more");
    let gold = report["load"]["models"].as_array().unwrap().iter().find(|m| m["model"] == "gold").unwrap();
    // Factors on a server cannot tell whether they changed.
    assert_eq!(gold["periods"], json!(["2025-03-01", "2025-03-02"]));
    // The evidence and the state database have it too.
    let recorded = state::runs(live.path()).into_iter().find(|run| run.outcome == "agrees").unwrap();
    assert_eq!(recorded.report["load"], report["load"]);
    // What was written meanwhile is loaded by the next one.
    let text = live.dualrun(&[&RUN[..7], &["--load"]].concat()).exits(0);
    text.says("loaded before, in the state that was compared").says("in one state: one snapshot");
    let again = run(&live, &["--load"]).exits(0).complains("recorded before").json();
    assert_eq!(copy(&again)["outcome"], "nothing_new");
}

#[test]
fn a_calculation_on_the_server_sees_the_state_of_the_copy() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_engine"), Bucket::find("load-engine")) else {
        return;
    };
    meters(&server, 2000);
    let way = Way::to(&bucket.host);
    let live = project(&server, &bucket_lake(&bucket, &way.host));
    live.replace(
        "energy/mapping.toml",
        "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]",
        "[legacy]\nengine = \"postgres\"\nsource = \"legacy\"\nquery = \"legacy.pg.sql\"",
    );
    live.write(
        "energy/legacy.pg.sql",
        format!(
            "select m.customer as customer_id, m.day, m.country, sum(m.kwh) as kwh, sum(m.kwh * g.g_per_kwh / 1000) as \
             co2e_kg from {0}.meters m join {0}.grid g on g.country = m.country where m.day::timestamp at time zone \
             'UTC' >= $period_start and m.day::timestamp at time zone 'UTC' < $period_end group by 1, 2, 3",
            server.schema
        ),
    );
    way.disturb(&[COMMIT]);
    let child = start(&live, &["--load"]);
    way.wait();
    write(&server, 1);
    way.release();
    let report = ended(child).exits(0).json();
    assert_eq!(kwh(&report), ["1000", "1000"], "as the copy was read");
    assert_eq!(copy(&report)["same_state"], "snapshot");
    let calculated = &report["calculations"];
    assert_eq!(calculated.as_array().unwrap().len(), 1, "{calculated}");
    let legacy = &calculated[0];
    assert_eq!(
        [&legacy["side"], &legacy["engine"], &legacy["strength"]],
        [&json!("legacy"), &json!("postgres"), &json!("snapshot")]
    );
    assert_eq!(legacy["detail"], copy(&report)["state"]["detail"], "the very snapshot");
}

#[test]
fn documents_that_come_during_a_run_are_in_neither_side() {
    let (Some(mongo), Some(bucket)) = (Mongo::open("load_run"), Bucket::find("load-run-mongo")) else {
        return;
    };
    let meter = |n: u32, updated: DateTime| {
        let day = DateTime::parse_rfc3339_str("2025-03-01T00:00:00Z").unwrap();
        doc! {"id": format!("m{n}"), "customer": "acme-fr", "day": day, "country": "FR", "kwh": 1.0, "updated": updated}
    };
    let at = DateTime::parse_rfc3339_str("2025-03-02T01:00:00Z").unwrap();
    mongo.insert("meters", &(0..500).map(|n| meter(n, at)).collect::<Vec<_>>());
    let way = Way::to(&bucket.host);
    let legacy = format!("[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\n", mongo.url(None));
    let live = lake::project(&legacy, "collection = \"meters\"", &bucket_lake(&bucket, &way.host));
    for (n, expected) in [(1000, "500"), (1001, "501")] {
        way.disturb(&[COMMIT]);
        let child = start(&live, &["--load"]);
        way.wait();
        mongo.insert("meters", &[meter(n, DateTime::now())]);
        way.release();
        let report = ended(child).exits(0).json();
        assert_eq!(kwh(&report), [expected, expected], "what came during the run is for the next one");
        let strength = copy(&report)["same_state"].as_str().unwrap();
        // The stand-in has no snapshots: the newest _id of the start bounds all readings.
        assert!(["snapshot", "watermark"].contains(&strength), "{}", copy(&report));
        assert_eq!(copy(&report)["same_state"], report["inputs"][0]["consistency"][0]["strength"]);
    }
}

#[test]
fn a_state_that_is_lost_is_copied_anew() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_lost"), Bucket::find("load-lost")) else {
        return;
    };
    meters(&server, 2000);
    let way = Way::to(&bucket.host);
    let live = project(&server, &bucket_lake(&bucket, &way.host));
    let proxy = Proxy::to(&server.address());
    live.replace("dualrun.toml", &server.url(None), &server.url_at(proxy.port));
    way.disturb(&[COMMIT]);
    let child = start(&live, &["--load"]);
    way.wait();
    write(&server, 1);
    proxy.cut(false);
    way.release();
    let ran = ended(child).exits(0);
    let report = ran.json();
    assert!(report["notes"].to_string().contains("servers were read anew"), "{}", report["notes"]);
    assert_eq!(copy(&report)["same_state"], "snapshot");
    assert_eq!(
        [&copy(&report)["rows"]["added"], &copy(&report)["rows"]["changed"]],
        [1, 1],
        "the second copy"
    );
    assert_eq!(kwh(&report), ["1002", "1002"], "the second state");
}

#[test]
fn a_load_that_fails_is_the_failure_of_the_run() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_fails"), Bucket::find("load-fails")) else {
        return;
    };
    meters(&server, 1000);
    let way = Way::to(&bucket.host);
    let live = project(&server, &bucket_lake(&bucket, &way.host));
    let refuse =
        Rule { method: "PUT", holds: "bronze/meters", times: None, act: Act::Answer(403, "AccessDenied") };
    way.disturb(&[refuse]);
    let file = live.at("result.json");
    let ran = run(&live, &["--load", "--result-file", &file]).exits(3);
    ran.complains("the load of lake:bronze/meters").complains("right");
    let result: Value = serde_json::from_str(&live.read("result.json")).unwrap();
    assert_eq!(
        (&result["outcome"], &result["failure"]["stage"]),
        (&json!("failed"), &json!("load")),
        "{result}"
    );
    assert_eq!(copy(&result)["outcome"], "failed");
    let recorded = state::runs(live.path());
    assert_eq!((recorded.len(), recorded[0].outcome.as_str()), (1, "failed"));
    assert_eq!(recorded[0].report["load"]["inputs"][0]["outcome"], "failed");
    let night = ["nightly", "--period", "2025-03-01", "--as-of", "2025-03-02", "--load"];
    let night_json = [&night[..], &["--format", "json"]].concat();
    let report = live.dualrun(&night_json).exits(3).json();
    let entry = &report["runs"][0];
    assert_eq!((&entry["failure"]["stage"], &entry["exit_code"]), (&json!("load"), &json!(3)), "{entry}");
    assert_eq!(copy(entry)["outcome"], "failed");
    live.dualrun(&night).exits(3).says("lake:bronze/meters could not be loaded");

    way.disturb(&[]);
    let report = live.dualrun(&night_json).exits(0).json();
    assert_eq!(copy(&report["runs"][0])["rows"]["added"], 1000);
    let again = live.dualrun(&night_json).exits(0).json();
    assert_eq!(again["repeated"], true, "a finished night is not loaded twice");

    // An empty source is a mistake, not a night without rows.
    live.replace("energy/mapping.toml", "load = { watermark = \"updated\", overlap = \"1m\" }", "load = {}");
    server.run("TRUNCATE $.meters");
    run(&live, &["--load"]).exits(2).complains("the legacy place of lake:bronze/meters is empty");
    // One side alone is not loaded.
    run(&live, &["--load", "--side", "new"]).exits(2).complains("--load goes with both");
}

#[test]
fn who_finds_another_process_loading_waits_and_compares_nothing_of_another_state() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_held"), Bucket::find("load-held")) else {
        return;
    };
    meters(&server, 1000);
    let way = Way::to(&bucket.host);
    let live = project(&server, &bucket_lake(&bucket, &way.host));
    // Held for longer than a request may take: it is asked again, and held again.
    live.replace("dualrun.toml", "retry_timeout = \"2s\"", "retry_timeout = \"2m\"");
    way.disturb(&[Rule { times: None, ..COMMIT }]);
    let first = command(["load", "--project", &live.at("")]).spawn().unwrap();
    way.wait();
    let ran = run(&live, &["--load"]).exits(99);
    ran.complains("another process loads lake:bronze/meters: the run begins anew in 8 s")
        .complains("in another state than this run reads: nothing was compared");
    assert!(state::runs(live.path()).is_empty(), "nothing is recorded");
    live.dualrun(&["load"])
        .exits(99)
        .says("exit code 99: another process holds a table, and nothing was loaded");
    let night = ["nightly", "--period", "2025-03-01", "--as-of", "2025-03-02", "--load", "--format", "json"];
    let waiting = command(night.iter().copied().chain(["--project", &live.at("")])).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    way.release();
    first.wait_with_output().unwrap();
    let report = ended(waiting).exits(0).json();
    assert_eq!(copy(&report["runs"][0])["same_state"], "snapshot");
}

#[test]
fn a_copy_that_another_machine_replaces_meanwhile_is_not_compared() {
    let (Some(server), Some(bucket)) = (Postgres::open("load_overtaken"), Bucket::find("load-overtaken"))
    else {
        return;
    };
    meters(&server, 1000);
    let way = Way::to(&bucket.host);
    // Each has a state of its own, and only the bucket is shared.
    let slow = project(&server, &bucket_lake(&bucket, &way.host));
    let other = project(&server, &bucket_lake(&bucket, &bucket.host));
    way.disturb(&[Rule { method: "GET", holds: "bronze/meters/day", times: Some(1), act: Act::Hold }]);
    let child = start(&slow, &["--load"]);
    // The copy stands, and is about to be read.
    way.wait();
    write(&server, 1);
    other.dualrun(&["load"]).exits(0);
    way.release();
    let ran = ended(child)
        .exits(0)
        .complains("another process loads lake:bronze/meters: the run begins anew in 1 s");
    let report = ran.json();
    assert_eq!(copy(&report)["same_state"], "snapshot");
    assert_eq!(kwh(&report), ["502", "502"], "the state in which both are read");
}

/// The template with files on both sides.
fn files() -> Project {
    let source = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";
    let project = lake::project(source, "path = \"meters.jsonl\"", lake::LOCAL);
    project.write("data/dump/meters.jsonl", line("a1", 1, 5.0, "2025-03-02T01:00:00Z"));
    lake::age(&project, "data/dump/meters.jsonl");
    project
}

fn line(id: &str, day: u32, kwh: f64, updated: &str) -> String {
    let day = format!("2025-03-{day:02}");
    let row = json!({"id": id, "customer": "acme-fr", "day": day, "country": "FR", "kwh": kwh, "updated": {"$date": updated}});
    format!("{row}\n")
}

fn night(project: &Project, as_of: &str, more: &[&str]) -> Value {
    let first = ["nightly", "--period", "2025-03-01", "--format", "json", "--as-of", as_of];
    project.dualrun(&[&first[..], more].concat()).exits(0).json()
}

#[test]
fn a_night_on_which_nothing_changed_is_loaded_all_the_same() {
    let project = files();
    let first = night(&project, "2025-03-02", &["--load"]);
    let meters = copy(&first["runs"][0]);
    assert_eq!((&meters["outcome"], &meters["same_state"]), (&json!("loaded"), &json!("none")));
    assert!(meters["notes"].to_string().contains("which nobody holds fast"), "{meters}");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    // The files of the lake are older than two seconds when they are listed now.
    let second = night(&project, "2025-03-03", &["--load"]);
    assert_eq!(copy(&second["runs"][0])["outcome"], "nothing_new");
    let third = night(&project, "2025-03-04", &["--load"]);
    assert_eq!(
        (&third["unchanged"], &copy(&third["runs"][0])["outcome"]),
        (&json!(1), &json!("nothing_new"))
    );
    let fourth = night(&project, "2025-03-05", &[]);
    assert_eq!((&fourth["unchanged"], &fourth["runs"][0]["load"]), (&json!(1), &Value::Null));

    let more = line("a1", 1, 5.0, "2025-03-02T01:00:00Z") + &line("a2", 1, 1.0, "2025-03-05T01:00:00Z");
    project.write("data/dump/meters.jsonl", more);
    lake::age(&project, "data/dump/meters.jsonl");
    let fifth = night(&project, "2025-03-06", &["--load"]);
    assert_eq!((&fifth["unchanged"], &copy(&fifth["runs"][0])["rows"]["added"]), (&json!(0), &json!(1)));
    let args = ["nightly", "--period", "2025-03-01", "--as-of", "2025-03-07", "--load"];
    project.write("data/dump/meters.jsonl", line("a3", 1, 2.0, "2025-03-06T01:00:00Z"));
    let text = project.dualrun(&args);
    text.says("loaded for energy 2025-03-01: 1 new and 0 changed rows in lake:bronze/meters");
}

#[test]
fn runs_of_one_night_that_fill_one_table_wait_for_each_other() {
    let project = files();
    project.replace(
        "energy/mapping.toml",
        "period = { column = \"day\", unit = \"day\" }",
        "period = { column = \"day\", unit = \"day\", recompute = 3 }",
    );
    project.append("dualrun.toml", "\n[limits]\npipelines_at_once = 4\n");
    let report = night(&project, "2025-03-02", &["--load"]);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    let outcomes: Vec<&str> = runs.iter().map(|run| copy(run)["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "loaded").count(), 1, "{outcomes:?}");
    assert!(!outcomes.contains(&"held"), "{outcomes:?}");
}
