//! `dualrun doctor`: with files only, and with real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::doc;
use dualrun_e2e::servers::{Mongo, Postgres, variable};
use dualrun_testkit::{Project, Ran, dualrun, filters};
use serde_json::Value;

const LEGACY_SOURCE: &str = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";

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

fn doctor(project: &Project) -> (Ran, Value) {
    let ran = project.dualrun(&["doctor", "--format", "json"]);
    let report = ran.json();
    assert_eq!(report["schema"], "dualrun.doctor/1");
    (ran, report)
}

/// Health, finding and advice of a check of the legacy source.
#[track_caller]
fn check<'a>(report: &'a Value, name: &str) -> [&'a str; 3] {
    let examined = report["examined"].as_array().unwrap();
    let legacy = examined.iter().find(|e| e["name"] == "source legacy").unwrap();
    let found =
        legacy["checks"].as_array().unwrap().iter().find(|c| c["name"].as_str().unwrap().starts_with(name));
    let found = found.unwrap_or_else(|| panic!("no check {name} in {legacy:#}"));
    ["health", "found", "advice"].map(|key| found[key].as_str().unwrap_or_default())
}

fn room() -> Vec<(&'static str, &'static str)> {
    let mut all = filters();
    all.push((r"\d+ (MiB|GiB) free", "[n] free"));
    all.push((r"answers in \d+ ms", "answers in [n] ms"));
    all
}

#[test]
fn a_project_of_files_is_looked_at() {
    let project = Project::template();
    let ran = project.dualrun(&["doctor"]).exits(0);
    insta::with_settings!({filters => room()}, { insta::assert_snapshot!("files", ran.stdout) });
    assert!(!project.path().join(".dualrun").exists(), "it only looks");

    project.dualrun(&["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"]).exits(5);
    let (_, report) = doctor(&project);
    let state = report["examined"].as_array().unwrap().iter().find(|e| e["name"] == "state").unwrap();
    assert_eq!(state["checks"][0]["found"], "and has the form of this version");

    project.write(
        ".dualrun/state.db",
        "this is no database, whatever it is called, and it is long enough to tell",
    );
    let ran = project.dualrun(&["doctor"]);
    assert_ne!(ran.code, Some(0));
    ran.says("error");
}

#[test]
fn what_is_missing_is_an_error_with_its_code() {
    let project = Project::template();
    project.replace("dualrun.toml", "data/dump", "data/nowhere");
    project
        .dualrun(&["doctor"])
        .exits(3)
        .says("there is no such folder")
        .says("was the dump or export written?");
    project.replace("dualrun.toml", "json_lines", "jsonlines");
    project.dualrun(&["doctor"]).exits(2).complains("unknown-word");
    dualrun(["doctor", "--project", &project.at("nowhere")]).exits(2).complains("no dualrun.toml");
}

#[test]
fn a_server_that_is_away_is_exit_3_and_the_rest_is_still_looked_at() {
    for (kind, url, place) in [
        ("postgres", "postgres://reader:topsecret@127.0.0.1:1/core", "table = \"meters\""),
        (
            "mongodb",
            "mongodb://reader:topsecret@127.0.0.1:1/core?serverSelectionTimeoutMS=800",
            "collection = \"meters\"",
        ),
    ] {
        let source = format!("[source.legacy]\nkind = \"{kind}\"\nurl = \"{url}\"\n");
        let project = project(&source, place);
        let ran =
            project.dualrun(&["doctor"]).exits(3).says("error").says("a retry may help").says("free space");
        let (json, report) = doctor(&project);
        assert_eq!(json.code, Some(3));
        assert_eq!(check(&report, "reachable")[0], "error");
        for text in [&ran.stdout, &ran.stderr, &json.stdout, &json.stderr] {
            assert!(!text.contains("topsecret"), "{text}");
        }
    }
}

#[test]
fn rights_indexes_and_tables_of_postgresql() {
    let Some(server) = Postgres::open("doctor") else { return };
    let role = format!("e2e_reader_{}", std::process::id());
    server.run(&format!(
        "CREATE TABLE $.meters (id text, customer text, day date, country text, kwh numeric); \
         INSERT INTO $.meters SELECT i::text, 'acme-fr', '2025-03-01', 'FR', i FROM generate_series(1, 20000) i; \
         ANALYZE $.meters; \
         CREATE ROLE {role} LOGIN PASSWORD 'reader-secret'; GRANT USAGE ON SCHEMA $ TO {role}"
    ));
    let source = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\n",
        server.url(Some((&role, "reader-secret")))
    );
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let (ran, report) = doctor(&live);
    let forget = || server.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let looked = std::panic::catch_unwind(|| {
        assert_eq!(ran.code, Some(3), "no right to read");
        let [health, _, advice] = check(&report, "table");
        assert_eq!(health, "error");
        assert!(advice.starts_with("GRANT SELECT ON"), "{advice}");

        server.run(&format!("GRANT SELECT, INSERT ON $.meters TO {role}"));
        let (ran, report) = doctor(&live);
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        let [health, found, advice] = check(&report, "table");
        assert_eq!((health, found), ("warning", "can be read, and more: INSERT"));
        assert!(advice.starts_with("REVOKE INSERT ON"), "{advice}");
        let [health, _, advice] = check(&report, "index on");
        assert_eq!(health, "warning");
        assert!(
            advice.starts_with("CREATE INDEX CONCURRENTLY ON") && advice.ends_with("(\"day\")"),
            "{advice}"
        );
        for name in ["reachable", "version", "clock", "rights", "TLS", "replica", "limits"] {
            assert_eq!(check(&report, name)[0], "ok", "{name}");
        }
        let [health, found, _] = check(&report, "free space");
        assert!(health == "unknown" && found.starts_with("the database takes "), "{found}");
        assert!(
            check(&report, "limits")[1].contains("4 connections, 10min a query, of which 2s are aimed at")
        );

        server.run(&format!("REVOKE INSERT ON $.meters FROM {role}; CREATE INDEX ON $.meters (day)"));
        let (ran, report) = doctor(&live);
        assert_eq!(check(&report, "table")[0], "ok");
        assert_eq!(check(&report, "index on")[1], "there is one on day");
        let text = live.dualrun(&["doctor"]).exits(0);
        for text in [&ran.stdout, &ran.stderr, &text.stdout, &text.stderr] {
            assert!(!text.contains("reader-secret"), "{text}");
        }

        live.replace("energy/mapping.toml", "time = \"day\"", "time = \"when\"");
        let (ran, report) = doctor(&live);
        assert_eq!((ran.code, check(&report, "index on")[1]), (Some(2), "there is no column when"));
        live.replace("energy/mapping.toml", ".meters\"", ".metres\"");
        let (ran, report) = doctor(&live);
        assert_eq!((ran.code, check(&report, "table")[0]), (Some(2), "error"));
    });
    forget();
    if let Err(panic) = looked {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn more_rights_than_reading_on_a_whole_postgresql_server_are_told() {
    let Some(server) = Postgres::open("powers") else { return };
    let role = format!("e2e_powers_{}", std::process::id());
    server.run(&format!(
        "CREATE TABLE $.meters (id text, day date); \
         CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'reader-secret'; GRANT USAGE ON SCHEMA $ TO {role}; \
         GRANT SELECT ON $.meters TO {role}"
    ));
    let source = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\n",
        server.url(Some((&role, "reader-secret")))
    );
    let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
    let (ran, report) = doctor(&live);
    let wrong = project(
        &source.replace("reader-secret", "wr0ng-secret"),
        &format!("table = \"{}.meters\"", server.schema),
    );
    let (refused, of_refused) = doctor(&wrong);
    server.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(ran.code, Some(0), "a warning is no error");
    let [health, found, _] = check(&report, "rights");
    assert_eq!((health, found), ("warning", format!("{role} has more than it needs: createdb").as_str()));
    assert_eq!(refused.code, Some(3));
    assert!(check(&of_refused, "reachable")[1].contains("password authentication failed"));
    assert!(!refused.stdout.contains("wr0ng-secret") && !refused.stderr.contains("wr0ng-secret"));
}

#[test]
fn rights_and_indexes_of_mongodb() {
    let Some(server) = Mongo::open("doctor") else { return };
    server.insert("meters", &[doc! {"_id": 1, "day": "2025-03-01"}]);
    let source = format!("[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\n", server.url(None));
    let live = project(&source, "collection = \"meters\"");
    let (ran, report) = doctor(&live);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(check(&report, "reachable")[0], "ok");
    assert_eq!(check(&report, "collection")[0], "ok");
    let [health, _, advice] = check(&report, "index on");
    assert_eq!((health, advice), ("warning", "db.getCollection(\"meters\").createIndex({\"day\": 1})"));
    let [health, found, _] = check(&report, "free space");
    assert!(
        health == "ok" || found == "the server does not tell what its disk has left",
        "{health}: {found}"
    );
    assert!(check(&report, "limits")[1].ends_with("reads from: secondary preferred"), "{report:#}");
    // The user of the tests may write; a server that does not tell is not taken for one that forbids.
    let [health, found, advice] = check(&report, "rights");
    assert!(["warning", "unknown"].contains(&health), "{found}");
    assert!(health == "unknown" || advice.starts_with("db.revokeRolesFromUser("), "{advice}");
    server.run(doc! {"createIndexes": "meters", "indexes": [{"key": {"day": 1}, "name": "day_1"}]});
    let (_, report) = doctor(&live);
    assert_eq!(check(&report, "index on")[1], "there is one on day");
    live.replace("energy/mapping.toml", "collection = \"meters\"", "collection = \"metres\"");
    let (ran, report) = doctor(&live);
    assert_eq!((ran.code, check(&report, "collection")[0]), (Some(2), "error"));
    let text = live.dualrun(&["doctor"]);
    for text in [&ran.stdout, &ran.stderr, &text.stdout, &text.stderr] {
        assert!(!text.contains(server.login().1), "{text}");
    }
}

#[test]
fn the_encryption_of_a_server_is_looked_at() {
    let (Some(url), Some(certificates)) =
        (variable("DUALRUN_TEST_MONGODB_TLS_URL"), variable("DUALRUN_TEST_TLS"))
    else {
        return;
    };
    let Some(server) = Mongo::open("doctor_tls") else { return };
    server.insert("meters", &[doc! {"_id": 1, "day": "2025-03-01"}]);
    let looked = |more: &str| {
        let source = format!(
            "[source.legacy]\nkind = \"mongodb\"\nurl = \"{url}\"\ndatabase = \"{}\"\n{more}\n",
            server.database
        );
        let live = project(&source, "collection = \"meters\"");
        let (ran, report) = doctor(&live);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!all.contains(server.login().1), "{all}");
        (live, ran.code, report)
    };
    let (_, code, report) = looked(&format!("ca_file = \"{certificates}/ca.pem\""));
    assert_eq!((code, check(&report, "TLS")), (Some(0), ["ok", "encrypted", ""]));
    let (live, code, report) = looked("tls = \"require\"");
    let [health, found, advice] = check(&report, "TLS");
    assert_eq!((code, health), (Some(0), "warning"), "{found}");
    assert!(found.contains("not verified") && advice.contains("verify_full"), "{found}: {advice}");
    // A run says it loudly.
    live.dualrun(&["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02", "--quiet"])
        .complains("warning: the certificate of the MongoDB server is not verified");
    let (_, code, report) = looked(&format!("ca_file = \"{certificates}/other-ca.pem\""));
    assert_eq!(code, Some(3));
    assert!(check(&report, "reachable")[1].contains("certificate"), "{report:#}");
}

#[test]
fn the_certificate_of_postgresql_is_verified_unless_told_otherwise() {
    let Some(certificates) = variable("DUALRUN_TEST_TLS") else { return };
    let Some(server) = Postgres::open("doctor_tls") else { return };
    server.run("CREATE TABLE $.meters (id text, day date)");
    let url = server.url(None).replace("?sslmode=disable", "");
    let looked = |more: &str| {
        let source = format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\n{more}\n");
        let live = project(&source, &format!("table = \"{}.meters\"", server.schema));
        let (ran, report) = doctor(&live);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!all.contains(server.login().1), "{all}");
        (ran.code, report)
    };
    let (code, report) = looked(&format!("ca_file = \"{certificates}/ca.pem\""));
    assert_eq!((code, check(&report, "TLS")), (Some(0), ["ok", "encrypted", ""]), "{report:#}");
    let (code, report) = looked("");
    assert_eq!((code, check(&report, "reachable")[0]), (Some(3), "error"));
    assert!(check(&report, "reachable")[1].contains("unknown authority"), "{report:#}");
    let (code, report) = looked("tls = \"disable\"");
    assert_eq!((code, check(&report, "TLS")[1]), (Some(0), "not encrypted, and on this machine"));
}

#[test]
fn an_object_store_is_written_to_and_left_as_it_was() {
    let Some(url) = variable("DUALRUN_TEST_S3_URL") else { return };
    let rest = url.split_once("://").unwrap().1;
    let (login, place) = rest.rsplit_once('@').unwrap();
    let ((key, secret), (host, bucket)) = (login.split_once(':').unwrap(), place.split_once('/').unwrap());
    let project = Project::template();
    let store = |secret: &str, prefix: &str| {
        format!(
            "\n[store]\nurl = \"s3://{bucket}/{prefix}\"\n[store.options]\naws_endpoint = \"http://{host}\"\n\
             aws_access_key_id = \"{key}\"\naws_secret_access_key = \"{secret}\"\naws_allow_http = \"true\"\n\
             aws_region = \"us-east-1\"\n"
        )
    };
    let prefix = format!("doctor-{}", std::process::id());
    let plain = project.read("dualrun.toml");
    project.write("dualrun.toml", format!("{plain}{}", store(secret, &prefix)));
    let (ran, report) = doctor(&project);
    let evidence = report["examined"].as_array().unwrap().iter().find(|e| e["name"] == "evidence").unwrap();
    let healths: Vec<(&str, &str)> = evidence["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["name"].as_str().unwrap(), check["health"].as_str().unwrap()))
        .collect();
    let fine = [("reachable", "ok"), ("writable", "ok"), ("conditional writes", "ok"), ("clock", "ok")];
    assert_eq!(healths, fine, "{evidence:#}");
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));

    project.write("dualrun.toml", format!("{plain}{}", store("wr0ng-secret", &prefix)));
    let (ran, _) = doctor(&project);
    assert_eq!(ran.code, Some(3), "{}", ran.stdout);
    assert!(!ran.stdout.contains("wr0ng-secret") && !ran.stderr.contains("wr0ng-secret"));
}

/// A calculation on a server needs its rights, tables and collections too.
#[test]
fn calculations_on_servers_are_planned() {
    let (Some(postgres), Some(mongo)) = (Postgres::open("doctor_sql"), Mongo::open("doctor_sql")) else {
        return;
    };
    let role = format!("e2e_sql_{}", std::process::id());
    postgres.run(&format!(
        "CREATE TABLE $.meters (customer text, day date, country text, kwh float8); \
         CREATE ROLE {role} LOGIN PASSWORD 'reader-secret'; GRANT USAGE ON SCHEMA $ TO {role}"
    ));
    mongo.insert("meters", &[doc! {"_id": 1, "customer": "acme-fr"}]);
    let live = Project::template();
    let sources = format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{}\"\n\n[source.other]\nkind = \"mongodb\"\nurl = \"{}\"\n\n{LEGACY_SOURCE}",
        postgres.url(Some((&role, "reader-secret"))),
        mongo.url(None)
    );
    let sources = sources.replace(LEGACY_SOURCE, &LEGACY_SOURCE.replace("source.legacy", "source.dump"));
    live.replace("dualrun.toml", LEGACY_SOURCE, &sources);
    live.replace("energy/mapping.toml", "{ source = \"legacy\"", "{ source = \"dump\"");
    live.replace(
        "energy/mapping.toml",
        "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]",
        "[legacy]\nengine = \"postgres\"\nsource = \"legacy\"\nquery = \"legacy.pg.sql\"",
    );
    let query = "select customer as customer_id, day, country, sum(kwh) as kwh, 0.0 as co2e_kg from $.meters \
                 where day >= $period_start group by 1, 2, 3";
    live.write("energy/legacy.pg.sql", query.replace("$.", &format!("{}.", postgres.schema)));
    let (refused, report) = doctor(&live);
    let [health, found, _] = check(&report, "query energy/legacy.pg.sql");
    assert_eq!((refused.code, health), (Some(3), "error"), "{found}");
    assert!(found.contains("permission denied for table meters"), "{found}");
    postgres.run(&format!("GRANT SELECT ON $.meters TO {role}"));
    let (ran, report) = doctor(&live);
    let found = check(&report, "query energy/legacy.pg.sql").map(str::to_owned);
    live.replace("energy/legacy.pg.sql", "sum(kwh)", "sum(kilowatts)");
    let (absent, of_absent) = doctor(&live);
    postgres.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(
        (ran.code, found),
        (Some(0), ["ok", "can be run; looks at: full scan of meters", ""].map(str::to_owned))
    );
    let used = report["examined"].as_array().unwrap().iter().find(|e| e["name"] == "source other").unwrap();
    assert!(used.to_string().contains("no input and no calculation reads it"), "{used}");
    let [health, found, _] = check(&of_absent, "query energy/legacy.pg.sql");
    assert_eq!((absent.code, health), (Some(2), "error"), "{found}");

    live.replace(
        "energy/mapping.toml",
        "engine = \"postgres\"\nsource = \"legacy\"\nquery = \"legacy.pg.sql\"",
        "engine = \"mongodb\"\nsource = \"legacy\"\ncollection = \"meters\"\npipeline = \"legacy.pipeline.json\"",
    );
    live.replace("dualrun.toml", "[source.legacy]", "[source.unused]");
    live.replace("dualrun.toml", "[source.other]", "[source.legacy]");
    live.write(
        "energy/legacy.pipeline.json",
        r#"[{"$match": {"day": {"$gte": {"$param": "period_start"}}}}]"#,
    );
    let (_, report) = doctor(&live);
    let [health, found, _] = check(&report, "pipeline energy/legacy.pipeline.json");
    assert!(["ok", "unknown"].contains(&health), "{health}: {found}");
    live.replace("energy/mapping.toml", "collection = \"meters\"", "collection = \"metres\"");
    let (_, report) = doctor(&live);
    assert_eq!(check(&report, "pipeline energy/legacy.pipeline.json")[0], "error");
}
