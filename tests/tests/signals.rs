//! What a run leaves on the servers when it is cancelled, killed or loses its network: nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use dualrun_e2e::{
    meters::{self, ended, project, wait_until},
    proxy::Proxy,
    servers::{Mongo, Postgres},
};
use dualrun_testkit::Project;

const METERS: u64 = 60_000;

/// A project that reads slowly: a minute and a half without what happens to it.
fn slow(kind: &str, url: &str, place: &str) -> Project {
    let source = format!(
        "[source.legacy]\nkind = \"{kind}\"\nurl = \"{url}\"\nmax_rows_per_second = 700\nchunk_time = \"500ms\"\n\
         query_time = \"30s\"\n"
    );
    project(&source, place, 10)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success(), "kill -{name}");
}

/// Sessions of dualrun at a table, and those of the snapshot that it holds.
fn sessions(server: &Postgres) -> String {
    server.ask(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND state <> 'idle' AND pid IN \
         (SELECT pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname = '{}')",
        server.schema
    ))
}

#[test]
fn postgresql_is_rid_of_a_run_that_is_cancelled_or_killed() {
    let Some(server) = Postgres::open("signals") else { return };
    // By pages, and by a cursor.
    for (name, filling, index) in
        [("by_pages", 250, ""), ("by_cursor", 1, "CREATE INDEX ON $.by_cursor (day)")]
    {
        server.run(&format!("{}; {index}", meters::table(&format!("$.{name}"), METERS, filling)));
        for (signal_name, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
            let live = slow("postgres", &server.url(None), &format!("table = \"{}.{name}\"", server.schema));
            let run = meters::start(&live, &["--quiet"]);
            wait_until("it reads", 30, || sessions(&server) != "0");
            signal(&run, signal_name);
            let sent = Instant::now();
            let ran = ended(run);
            assert_eq!(ran.code, code, "{signal_name}: {}", ran.stderr);
            assert!(sent.elapsed() < Duration::from_secs(8), "{signal_name}: {:?}", sent.elapsed());
            // A killed process says nothing: its connections end with it.
            wait_until("its sessions are gone", 10, || sessions(&server) == "0");
        }
    }
}

/// A query that computes without giving a row notices by itself that nobody waits for it any more.
#[test]
fn a_query_that_computes_ends_soon_after_its_reader_was_killed() {
    let Some(server) = Postgres::open("computing") else { return };
    let project = Project::template();
    let source =
        format!("[source.core]\nkind = \"postgres\"\nurl = \"{}\"\n\n[source.factors]", server.url(None));
    project.replace("dualrun.toml", "[source.factors]", &source);
    project.replace(
        "energy/mapping.toml",
        "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]",
        "[legacy]\nengine = \"postgres\"\nsource = \"core\"\nquery = \"legacy.pg.sql\"",
    );
    let mark = format!("mark_{}", server.schema);
    project.write(
        "energy/legacy.pg.sql",
        format!(
            "select 'acme-fr' as customer_id, date '2025-03-01' as day, 'FR' as country, count(*)::float8 as kwh, \
             0.0::float8 as co2e_kg from generate_series(1, 4000000000) as {mark}"
        ),
    );
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND state = 'active' AND query LIKE '%{mark}%'"
    );
    for signal_name in ["TERM", "KILL"] {
        let run = meters::start(&project, &["--quiet"]);
        wait_until("it computes", 30, || server.ask(&running) != "0");
        signal(&run, signal_name);
        ended(run);
        // At once after a request to cancel, else when the server looks: every five seconds.
        wait_until("nobody computes", 12, || server.ask(&running) == "0");
    }
}

#[test]
fn nobody_asks_mongodb_for_more_after_a_run_was_cancelled_or_killed() {
    let Some(server) = Mongo::open("signals") else { return };
    server.insert_many("meters", &meters::documents(METERS, 300));
    for (signal_name, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let proxy = Proxy::to(&server.address());
        let live = slow("mongodb", &server.url_at(proxy.port), "collection = \"meters\"");
        let run = meters::start(&live, &["--quiet"]);
        wait_until("it reads", 30, || proxy.answered() > 200_000);
        signal(&run, signal_name);
        let sent = Instant::now();
        assert_eq!(ended(run).code, code, "{signal_name}");
        assert!(sent.elapsed() < Duration::from_secs(8), "{signal_name}: {:?}", sent.elapsed());
        let asked = proxy.asked("find");
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(proxy.asked("find"), asked, "{signal_name}: nobody asks for more");
        // Queries by _id are answered at once here: no cursor is open between them.
        assert_eq!(proxy.asked("getMore"), 0, "{signal_name}");
    }
}

/// A pipeline has one cursor, which is open as long as its results come.
#[test]
fn mongodb_is_told_to_forget_the_cursor_of_a_run_that_is_cancelled() {
    let Some(server) = Mongo::open("cursors") else { return };
    server.insert_many("meters", &meters::documents(METERS, 300));
    let pipeline = r#"[{"$project": {"_id": 0, "customer_id": "$customer", "day": "$day", "country": "$id", "kwh": "$kwh",
        "co2e_kg": "$kwh"}}]"#;
    for signal_name in ["INT", "TERM"] {
        let proxy = Proxy::to(&server.address());
        let project = Project::template();
        let source = format!(
            "[source.core]\nkind = \"mongodb\"\nurl = \"{}\"\nmax_rows_per_second = 2000\n\n[source.factors]",
            server.url_at(proxy.port)
        );
        project.replace("dualrun.toml", "[source.factors]", &source);
        let engine = "[legacy]\nengine = \"mongodb\"\nsource = \"core\"\ncollection = \"meters\"\n\
                      pipeline = \"legacy.pipeline.json\"\nshape = { day = \"date\" }";
        project.replace(
            "energy/mapping.toml",
            "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]",
            engine,
        );
        project.write("energy/legacy.pipeline.json", pipeline);
        let run = meters::start(&project, &["--quiet"]);
        wait_until("its cursor is open", 30, || proxy.asked("getMore") > 0);
        assert_eq!(proxy.asked("killCursors"), 0);
        signal(&run, signal_name);
        ended(run);
        assert_eq!(proxy.asked("killCursors"), 1, "{signal_name}");
    }
}

#[test]
fn a_network_that_is_lost_for_good_leaves_nothing_and_is_exit_3() {
    let Some(server) = Postgres::open("lost") else { return };
    server.run(&meters::table("$.meters", METERS, 250));
    let proxy = Proxy::to(&server.address());
    let live = slow("postgres", &server.url_at(proxy.port), &format!("table = \"{}.meters\"", server.schema));
    let run = meters::start(&live, &["--quiet"]);
    wait_until("it reads", 30, || sessions(&server) != "0");
    proxy.cut(true);
    wait_until("its sessions are gone", 15, || sessions(&server) == "0");
    ended(run).exits(3).complains("hint:").complains("a retry may help");
}
