//! `dualrun plan` beside real servers: the load that a night would be, before it is one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::doc;
use dualrun_e2e::{
    meters::{self, project},
    servers::{Mongo, Postgres},
};
use dualrun_testkit::{Project, Ran, command, filters};
use serde_json::Value;

const METERS: u64 = 30_000;

fn plan(project: &Project, more: &[&str]) -> Ran {
    project.dualrun(&[&["plan", "--period", "2025-03-01"], more].concat()).exits(0)
}

fn loads(project: &Project, more: &[&str]) -> (Value, Value) {
    let report = plan(project, &[&["--format", "json"], more].concat()).json();
    assert_eq!(report["schema"], "dualrun.plan/1");
    let read =
        report["runs"][0]["reads"].as_array().unwrap().iter().find(|r| r["input"] == "meters").unwrap();
    assert_eq!(read["side"], "legacy");
    (read["load"].clone(), report["servers"][0].clone())
}

/// What differs from machine to machine.
fn steady() -> Vec<(&'static str, &'static str)> {
    let mut all = filters();
    all.extend([
        (r"127\.0\.0\.1:\d+", "[server]"),
        (r"e2e_\w+", "[schema]"),
        (r"PostgreSQL \d+\.\d+", "PostgreSQL [version]"),
        (r"\d+(\.\d)? [KM]iB", "[size]"),
        (r"about (29|30) \d{3} rows", "about 30 000 rows"),
    ]);
    all
}

fn postgres(server: &Postgres, more: &str) -> Project {
    let source = format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\n{more}\n", server.url(None));
    project(&source, &format!("table = \"{}.meters\"", server.schema), 10)
}

#[test]
fn the_load_on_postgresql_is_that_of_the_very_query() {
    let Some(server) = Postgres::open("plan") else { return };
    server.run(&meters::table("$.meters", METERS, 300));
    let ceiling = "max_rows_per_second = 5000\nquery_time = \"20s\"\nchunk_time = \"1s\"";
    let live = postgres(&server, ceiling);
    insta::with_settings!({filters => steady()}, { insta::assert_snapshot!("by pages", plan(&live, &[]).stdout) });
    let (load, on) = loads(&live, &[]);
    let rows = load["rows"].as_u64().unwrap();
    assert!((25_000..35_000).contains(&rows), "{load}");
    assert_eq!(
        (&load["way"], &load["full_scan"], &load["connections"]),
        (&"pages".into(), &true.into(), &3.into())
    );
    assert!((5..=7).contains(&load["seconds"].as_u64().unwrap()), "{load}");
    // 2,500 rows a second and reader, in queries of a second.
    assert!((10..=16).contains(&load["queries"].as_u64().unwrap()), "{load}");
    let bytes = load["bytes"].as_u64().unwrap() / rows;
    assert!((300..400).contains(&bytes), "{bytes} bytes a row");
    assert_eq!((&on["source"], &on["reached"], &on["readings"]), (&"legacy".into(), &true.into(), &1.into()));
    assert_eq!(on["limits"]["max_rows_per_second"], 5000);

    server.run("CREATE INDEX meters_day ON $.meters (day); ANALYZE $.meters");
    let (load, _) = loads(&live, &[]);
    assert_eq!(
        (&load["way"], &load["full_scan"]),
        (&"cursor".into(), &true.into()),
        "all days are wanted: {load}"
    );
    server.run("UPDATE $.meters SET day = day - abs(hashtext(id)) % 300; ANALYZE $.meters");
    let (load, _) = loads(&live, &[]);
    assert_eq!(
        (&load["full_scan"], &load["access"]),
        (&false.into(), &serde_json::json!(["index meters_day"])),
        "{load}"
    );
    assert!(load["rows"].as_u64().unwrap() < 3000, "few days are wanted: {load}");

    let nobody = postgres(&server, "");
    nobody.replace("energy/mapping.toml", ".meters\"", ".metres\"");
    let (load, on) = loads(&nobody, &[]);
    assert!(load["note"].as_str().unwrap().contains("there is no table"), "{load}");
    assert_eq!((&on["reached"], &on["unknown"]), (&true.into(), &1.into()));
    // Nothing was read.
    assert_eq!(server.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND state <> 'idle' AND query LIKE '%$%'"), "0");
}

#[test]
fn the_load_on_mongodb_is_that_of_the_very_query() {
    let Some(server) = Mongo::open("plan") else { return };
    server.insert_many("meters", &meters::documents(METERS, 50));
    let source = format!(
        "[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\nmax_rows_per_second = 5000\nread_preference = \"secondary\"\n",
        server.url(None)
    );
    let live =
        project(&source.replace("read_preference = \"secondary\"\n", ""), "collection = \"meters\"", 10);
    let (load, on) = loads(&live, &[]);
    assert_eq!((&load["way"], &load["connections"]), (&"by_id".into(), &1.into()));
    // The store below the stand-in counts now and then, so that its statistics are behind.
    let rows = load["rows"].as_u64().unwrap();
    assert!((1..=METERS).contains(&rows), "{load}");
    assert_eq!(load["seconds"], rows.div_ceil(5000), "{load}");
    assert!(load["bytes"].as_u64().unwrap() / rows > 100, "{load}");
    assert!(load["queries"].as_u64().unwrap() >= 1, "{load}");
    assert_eq!(on["limits"]["read_from"], "secondary_preferred");
    // Where lines end depends on the numbers.
    let words = plan(&live, &[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in
        ["rows, ", "; full scan of meters; ", " by _id; 1 connection; ", "reads from: secondary preferred"]
    {
        assert!(words.contains(said), "no {said:?} in {words}");
    }

    assert_eq!((&load["rows_are"], &load["full_scan"]), (&"at_most".into(), &true.into()), "{load}");

    let day = doc! {"key": {"day": 1}, "name": "day_1"};
    server.run(doc! {"createIndexes": "meters", "indexes": [day]});
    server.run(doc! {"update": "meters", "updates": [
        {"q": {"_id": {"$gte": 500}}, "u": {"$set": {"day": "2024-01-01"}}, "multi": true}
    ]});
    let (load, _) = loads(&live, &[]);
    assert_eq!(
        (&load["access"], &load["full_scan"]),
        (&serde_json::json!(["index day_1"]), &false.into()),
        "{load}"
    );
    assert_eq!((&load["rows"], &load["rows_are"]), (&500.into(), &"counted".into()), "{load}");

    // Without a time all of it is read.
    live.replace("energy/mapping.toml", "\ntime = \"day\"", "");
    let (load, _) = loads(&live, &[]);
    assert_eq!((&load["full_scan"], &load["rows_are"]), (&true.into(), &"estimated".into()), "{load}");
    server.run(doc! {"drop": "meters"});
    let (load, _) = loads(&live, &[]);
    assert!(load["note"].as_str().unwrap().contains("there is no such collection"), "{load}");
}

#[test]
fn a_calculation_on_a_server_is_planned_with_its_parameters_and_its_replays() {
    let Some(server) = Postgres::open("plan_engine") else { return };
    server.run(&meters::table("$.meters", METERS, 1));
    let live = Project::template();
    let source = "[source.core]\nkind = \"postgres\"\nurl = \"${CORE_URL}\"\n\n[source.factors]";
    live.replace("dualrun.toml", "[source.factors]", source);
    live.replace(
        "energy/mapping.toml",
        "[new]\nengine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]",
        "[new]\nengine = \"postgres\"\nsource = \"core\"\nquery = \"new/gold.pg.sql\"\nembedded = { engine = \"sql\", models = [\"new/10_silver.sql\", \"new/20_gold.sql\"] }",
    );
    live.write(
        "energy/new/gold.pg.sql",
        format!(
            "select customer as customer_id, day, country, sum(kwh) as kwh, sum(kwh * length($grid_edition)) as co2e_kg \
             from {}.meters where day >= ($period_start at time zone 'UTC')::date and day < ($period_end at time zone \
             'UTC')::date group by 1, 2, 3",
            server.schema
        ),
    );
    let run = |url: Option<&str>, args: &[&str]| {
        let path = live.path().display().to_string();
        let first = ["plan", "--period", "2025-03-01", "--project", path.as_str()];
        let args = first.iter().chain(args);
        let mut command = command(args);
        command.env_remove("CORE_URL").envs(url.map(|url| ("CORE_URL", url)));
        Ran::from(command.output().unwrap()).exits(0)
    };
    let url = server.url(None);
    let report = run(Some(&url), &["--format", "json"]).json();
    let ask = &report["runs"][0]["asks"][0];
    assert_eq!(
        (&ask["engine"], &ask["side"], &ask["times"]),
        (&"postgres".into(), &"new".into(), &2.into()),
        "{ask}"
    );
    assert_eq!(ask["load"]["full_scan"], true, "{ask}");
    assert_eq!(report["servers"][0]["readings"], 2, "one calculation and its replay");
    let text = run(Some(&url), &[]);
    assert!(text.stdout.contains("energy/new/gold.pg.sql on core, 2 times"), "{}", text.stdout);
    assert!(!text.stdout.contains(server.login().1), "{}", text.stdout);

    // Not configured: the embedded form, which asks no server.
    let report = run(None, &["--format", "json"]).json();
    assert_eq!(report["servers"], serde_json::json!([]));
    let notes = report["runs"][0]["notes"].to_string();
    assert!(notes.contains("embedded form") && notes.contains("CORE_URL"), "{notes}");
    assert!(run(None, &[]).stdout.contains("note: the new side was calculated in its embedded form"));

    // Neither reached nor asked.
    let away = "postgres://reader:topsecret@127.0.0.1:1/core";
    let text = run(Some(away), &[]).stdout;
    assert!(
        text.contains("not reached, its load is not known") && text.contains("nobody listens there"),
        "{text}"
    );
    let text = run(Some(away), &["--offline"]).stdout;
    assert!(
        text.contains("not asked (--offline): its load is not known") && !text.contains("topsecret"),
        "{text}"
    );
}
