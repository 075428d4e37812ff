//! Calculations that run on real servers give the rows of their embedded forms.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use bson::doc;
use dualrun_e2e::servers::{Mongo, Postgres};
use dualrun_testkit::{Project, command, dualrun};
use serde_json::Value;

const MAPPING: &str = "energy/mapping.toml";
const LEGACY: &str = "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]";
const NEW: &str = "[new]\nengine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]";
const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];

/// The template with a server as a source `core`, whose URL comes from a variable.
fn project(kind: &str, further: &str) -> Project {
    let project = Project::template();
    let source =
        format!("[source.core]\nkind = \"{kind}\"\nurl = \"${{CORE_URL}}\"\n{further}\n[source.factors]");
    project.replace("dualrun.toml", "[source.factors]", &source);
    project
}

/// A run with the URL of the server, or without.
fn run(project: &Project, url: Option<&str>) -> (i32, String, String) {
    let path = project.path().display().to_string();
    let args = RUN.iter().copied().chain(["--project", &path, "--format", "json"]);
    let mut command = command(args);
    command.env_remove("CORE_URL").envs(url.map(|url| ("CORE_URL", url)));
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A report, and the file of a side's result.
fn report(project: &Project, url: Option<&str>, side: &str) -> (Value, PathBuf) {
    let (code, stdout, stderr) = run(project, url);
    assert_eq!(code, 5, "{stdout}\n{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let customers = report["customers_path"].as_str().unwrap().to_owned();
    let evidence = Path::new(&project.at(".dualrun/evidence")).join(customers);
    (report, evidence.with_file_name(format!("{side}.parquet")))
}

/// Runs live and embedded, and compares what both find and the rows of the side that the server calculates.
fn same_rows(project: &Project, url: &str, side: &str, engine: &str) -> Value {
    let (live, live_rows) = report(project, Some(url), side);
    let (embedded, embedded_rows) = report(project, None, side);
    assert_ne!(live["run_id"], embedded["run_id"]);
    let note = format!("the {side} results were calculated on a server ({engine}): ");
    let (seen, notes) = (&live["calculations"][0], live["notes"].as_array().unwrap());
    assert_eq!([&seen["side"], &seen["engine"]], [side, engine], "{seen}");
    assert_eq!(notes, &[format!("{note}{}", seen["detail"].as_str().unwrap())]);
    assert_eq!(embedded["calculations"], Value::Null);
    match engine {
        "postgres" => assert_eq!([&seen["cut"], &seen["strength"]], ["snapshot"; 2], "{seen}"),
        // Without snapshots nothing bounds the collection that the pipeline joins.
        _ if seen["cut"] != "snapshot" => {
            assert_eq!(seen["strength"], "none", "{seen}");
            assert!(
                seen["detail"].as_str().unwrap().contains("that it joins were read as they were"),
                "{seen}"
            );
        }
        _ => assert_eq!(seen["strength"], "snapshot", "{seen}"),
    }
    let note = format!(
        "the {side} side was calculated in its embedded form, not by its {engine}: the variable `CORE_URL` is not set"
    );
    assert!(embedded["notes"].as_array().unwrap().iter().any(|n| *n == note), "{}", embedded["notes"]);
    for part in ["outcome", "rows", "bridge", "checks"] {
        assert_eq!(live[part], embedded[part], "{part}");
    }
    let (live_rows, embedded_rows) = (live_rows.display().to_string(), embedded_rows.display().to_string());
    let key = "customer_id,day,country";
    dualrun(["diff", &live_rows, &embedded_rows, "--key", key, "--abs", "1e-12", "--rel", "1e-12"])
        .exits(0)
        .says("all 2 rows agree");
    live
}

fn meters_of(postgres: &Postgres) {
    postgres.run(
        "CREATE TABLE $.meters (id text, customer text, day date, country text, kwh float8);
         INSERT INTO $.meters VALUES ('m1', 'acme-fr', '2025-03-01', 'FR', 120.5), ('m2', 'acme-fr', '2025-03-01', 'FR', 88),
           ('m3', 'rivage-fr', '2025-03-01', 'FR', 310.25), ('m4', 'acme-fr', '2025-03-02', 'FR', 999);
         CREATE TABLE $.grid (country text, edition text, g_per_kwh float8);
         INSERT INTO $.grid VALUES ('FR', '2023', 58.0), ('FR', '2025', 46.1);",
    );
}

fn query(postgres: &Postgres, edition: &str) -> String {
    format!(
        "-- $not_a_parameter
select m.customer as customer_id, m.day, m.country, sum(m.kwh) as kwh, sum(m.kwh * g.g_per_kwh / 1000) as co2e_kg
from {0}.meters m join {0}.grid g on g.country = m.country and g.edition = {edition}
where m.day::timestamp at time zone 'UTC' >= $period_start and m.day::timestamp at time zone 'UTC' < $period_end
  and ($customer::text is null or m.customer = $customer)
group by m.customer, m.day, m.country;
",
        postgres.schema
    )
}

#[test]
fn sql_on_postgresql_gives_the_rows_of_its_embedded_form() {
    let Some(postgres) = Postgres::open("engine_sql") else { return };
    meters_of(&postgres);
    let url = postgres.url(None);
    let project = project("postgres", "");
    let engine = "engine = \"postgres\"\nsource = \"core\"\nquery = \"legacy.pg.sql\"";
    let embedded = "embedded = { engine = \"sql\", models = [\"legacy.sql\"] }";
    project.replace(MAPPING, LEGACY, &format!("[legacy]\n{engine}\n{embedded}"));
    project.write("energy/legacy.pg.sql", query(&postgres, "'2023'"));
    same_rows(&project, &url, "legacy", "postgres");

    // A server makes its rows from what it holds now: the next night asks it again.
    postgres.run("UPDATE $.meters SET kwh = kwh * 2 WHERE id = 'm3'");
    let path = project.path().display().to_string();
    let args = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-03", "--project", &path];
    let status = command(args).env("CORE_URL", &url).status().unwrap();
    assert_eq!(status.code(), Some(1));

    // A query that the server refuses says so, without the password.
    project.replace("energy/legacy.pg.sql", "m.kwh * g", "m.kilowatts * g");
    let (code, _, stderr) = run(&project, Some(&url));
    assert_eq!(code, 3, "somebody may have dropped the column: {stderr}");
    assert!(stderr.contains("the postgres of the legacy side") && stderr.contains("kilowatts"), "{stderr}");
    let (_, password) = postgres.login();
    assert!(!stderr.contains(&format!(":{password}@")), "{stderr}");
}

#[test]
fn sql_on_postgresql_is_replayed_through_its_parameters() {
    let Some(postgres) = Postgres::open("engine_replay") else { return };
    meters_of(&postgres);
    let project = project("postgres", "");
    let engine = "engine = \"postgres\"\nsource = \"core\"\nquery = \"new/gold.pg.sql\"";
    let embedded = NEW.replace("[new]\n", "").replace('\n', ", ");
    project.replace(MAPPING, NEW, &format!("[new]\n{engine}\nembedded = {{ {embedded} }}"));
    project.write("energy/new/gold.pg.sql", query(&postgres, "$grid_edition"));
    let live = same_rows(&project, &postgres.url(None), "new", "postgres");
    assert_eq!(live["bridge"][0]["change"], "MC-1", "{}", live["bridge"]);
}

#[test]
fn a_pipeline_on_mongodb_gives_the_rows_of_its_embedded_form() {
    let Some(mongo) = Mongo::open("engine_pipeline") else { return };
    let at = |day: &str| bson::DateTime::parse_rfc3339_str(format!("{day}T00:00:00Z")).unwrap();
    let meter = |id: &str, customer: &str, day: &str, kwh: f64| doc! { "_id": id, "customer": customer, "day": at(day), "country": "FR", "kwh": kwh };
    mongo.insert(
        "meters",
        &[
            meter("m1", "acme-fr", "2025-03-01", 120.5),
            meter("m2", "acme-fr", "2025-03-01", 88.0),
            meter("m3", "rivage-fr", "2025-03-01", 310.25),
            meter("m4", "acme-fr", "2025-03-02", 999.0),
        ],
    );
    let grid = |edition: &str, grams: f64| doc! { "country": "FR", "edition": edition, "g_per_kwh": grams };
    mongo.insert("grid", &[grid("2023", 58.0), grid("2025", 46.1)]);
    let project = project("mongodb", "");
    let engine = "engine = \"mongodb\"\nsource = \"core\"\ncollection = \"meters\"\npipeline = \"new/gold.pipeline.json\"\n\
                  shape = { day = \"date\" }";
    let embedded = NEW.replace("[new]\n", "").replace('\n', ", ");
    project.replace(MAPPING, NEW, &format!("[new]\n{engine}\nembedded = {{ {embedded} }}"));
    project.write(
        "energy/new/gold.pipeline.json",
        r#"[
  {"$match": {"day": {"$gte": {"$param": "period_start"}, "$lt": {"$param": "period_end"}}}},
  {"$lookup": {"from": "grid", "localField": "country", "foreignField": "country", "as": "grid"}},
  {"$unwind": "$grid"},
  {"$match": {"grid.edition": {"$param": "grid_edition"}}},
  {"$group": {
    "_id": {"customer_id": "$customer", "day": "$day", "country": "$country"},
    "kwh": {"$sum": "$kwh"},
    "co2e_kg": {"$sum": {"$divide": [{"$multiply": ["$kwh", "$grid.g_per_kwh"]}, 1000]}}
  }},
  {"$project": {
    "_id": 0, "customer_id": "$_id.customer_id", "day": "$_id.day", "country": "$_id.country", "kwh": 1, "co2e_kg": 1
  }}
]
"#,
    );
    let url = mongo.url(None);
    let live = same_rows(&project, &url, "new", "mongodb");
    assert_eq!(live["bridge"][0]["change"], "MC-1", "{}", live["bridge"]);

    project.replace("energy/new/gold.pipeline.json", "\"$unwind\"", "\"$out\"");
    let (code, _, stderr) = run(&project, Some(&url));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("$out writes"), "{stderr}");
}

#[test]
fn results_in_a_table_are_compared_and_noticed_when_they_change() {
    let Some(postgres) = Postgres::open("engine_relation") else { return };
    meters_of(&postgres);
    for (edition, grams) in [("2023", "58.0"), ("2025", "46.1")] {
        postgres.run(&format!(
            "CREATE TABLE $.gold_{edition} AS SELECT customer AS customer_id, day, country, sum(kwh) AS kwh,
               sum(kwh * {grams} / 1000) AS co2e_kg FROM $.meters GROUP BY 1, 2, 3"
        ));
    }
    let project = project("postgres", "");
    let table = format!("{}.gold_{{grid_edition}}", postgres.schema);
    let embedded = NEW.replace("[new]\n", "").replace('\n', ", ");
    let engine =
        format!("engine = \"relation\"\nsource = \"core\"\ntable = \"{table}\"\nembedded = {{ {embedded} }}");
    project.replace(MAPPING, NEW, &format!("[new]\n{engine}"));
    let url = postgres.url(None);
    let (live, _) = report(&project, Some(&url), "new");
    let seen = live["calculations"][0]["detail"].as_str().unwrap();
    assert!(seen.starts_with("one snapshot, taken at "), "{seen}");
    let notes = [
        "1 new rows lie outside of the period and were left out".to_owned(),
        format!("the new results were read from a server: {seen}"),
    ];
    assert_eq!(live["notes"], serde_json::json!(notes));
    let (embedded, _) = report(&project, None, "new");
    for part in ["outcome", "rows", "bridge"] {
        assert_eq!(live[part], embedded[part], "{part}");
    }
    let (again, _) = report(&project, Some(&url), "new");
    assert_eq!(again["run_id"], live["run_id"], "nothing changed");
    postgres.run("UPDATE $.gold_2023 SET kwh = kwh + 1");
    assert_eq!(run(&project, Some(&url)).0, 1);
    postgres.run("DROP TABLE $.gold_2023");
    let (code, _, stderr) = run(&project, Some(&url));
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("the relation of the new side") && stderr.contains("gold_2023"), "{stderr}");
}
