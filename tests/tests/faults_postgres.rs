//! What goes wrong at a PostgreSQL server, or on the way to it: the run ends with the same result, or with exit 3 and a
//! sentence. Nothing stays open on the server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use dualrun_e2e::{
    cluster::Cluster,
    meters::{self, ended, facts, project, wait_until},
    proxy::Proxy,
    servers::{Postgres, variable},
};
use dualrun_testkit::{Project, Ran};
use serde_json::Value;

const METERS: u64 = 30_000;

/// A source that is read for about six seconds.
fn source(url: &str, more: &str) -> String {
    format!(
        "[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\nmax_rows_per_second = 5000\nchunk_time = \"200ms\"\n{more}\n"
    )
}

/// The project, and what a run says that nobody disturbs.
fn undisturbed(source: &str, place: &str) -> (Project, [Value; 4]) {
    let quick = source.replace("max_rows_per_second = 5000\n", "");
    let ran = ended(meters::start(&project(&quick, place, METERS), &[]));
    let report = ran.json();
    assert_eq!(report["inputs"][0]["comparable"], true, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(report["inputs"][0]["rows"]["legacy"], METERS);
    (project(source, place, METERS), facts(&report))
}

/// By pages, and by a cursor.
const WAYS: [(&str, u32, &str); 2] = [("pages", 300, ""), ("steps", 1, "; CREATE INDEX ON $.steps (day)")];

/// Sessions of dualrun that hold something of the schema, or a snapshot of it.
fn open(server: &Postgres) -> String {
    server.ask(
        "SELECT count(*) FROM pg_stat_activity a WHERE a.application_name = 'dualrun' AND a.state <> 'idle' AND EXISTS \
         (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE l.pid = a.pid AND n.nspname = '$')",
    )
}

#[track_caller]
fn nothing_left(server: &Postgres) {
    wait_until("nothing is open", 10, || open(server) == "0");
}

/// Asserts the code and the sentence, and that there is a way out.
#[track_caller]
fn refused(ran: Ran, code: i32, sentence: &str) {
    ran.exits(code).complains(sentence).complains("hint: ");
}

#[test]
fn a_connection_that_is_cut_and_restored_gives_the_same_result() {
    let Some(server) = Postgres::open("cut") else { return };
    for (name, filling, index) in WAYS {
        server.run(&format!("{}{index}", meters::table(&format!("$.{name}"), METERS, filling)));
        let place = format!("table = \"{}.{name}\"", server.schema);
        let (_, expected) = undisturbed(&source(&server.url(None), ""), &place);
        let proxy = Proxy::to(&server.address());
        let live = project(&source(&server.url_at(proxy.port), ""), &place, METERS);
        let run = meters::start(&live, &[]);
        wait_until("it reads", 30, || proxy.answered() > 200_000);
        proxy.cut(false);
        let ran = ended(run);
        assert_eq!(facts(&ran.json()), expected, "{name}: {}", ran.stderr);
        assert_eq!(proxy.cuts(), 1);
        nothing_left(&server);
    }
}

#[test]
fn a_server_process_that_is_killed_gives_the_same_result() {
    let Some(server) = Postgres::open("backend") else { return };
    server.run(&meters::table("$.meters", METERS, 300));
    let place = format!("table = \"{}.meters\"", server.schema);
    let (live, expected) = undisturbed(&source(&server.url(None), ""), &place);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || open(&server) != "0");
    server.run(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.application_name = 'dualrun' AND EXISTS \
         (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE l.pid = a.pid AND n.nspname = '$')",
    );
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    nothing_left(&server);
}

#[test]
fn a_server_that_is_killed_and_started_again_gives_the_same_result_and_one_that_stays_away_is_exit_3() {
    let Some(server) = Cluster::start("") else { return };
    server.sql(&format!("{}; CREATE INDEX ON meters (day)", meters::table("meters", METERS, 1)));
    // Servers of tests do not wait for the disk: what is committed shall outlive the kill.
    server.sql("CHECKPOINT");
    let (live, expected) = undisturbed(&source(&server.url(None), ""), "table = \"meters\"");
    let reading =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND query LIKE 'FETCH%'";
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || server.ask(reading).is_some_and(|n| n != "0"));
    server.kill();
    std::thread::sleep(Duration::from_secs(2));
    server.up();
    let ran = ended(run).complains("meters is read anew in 1 s");
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun'";
    wait_until("nothing is open", 10, || server.ask(idle).as_deref() == Some("0"));

    let live = project(&source(&server.url(None), ""), "table = \"meters\"", METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || server.ask(reading).is_some_and(|n| n != "0"));
    server.kill();
    refused(ended(run), 3, "nobody listens there");
}

#[test]
fn a_server_that_is_slower_than_its_time_limit_is_exit_3() {
    let Some(server) = Postgres::open("slow") else { return };
    server.run(
        "CREATE VIEW $.meters AS SELECT 'm' || i AS id, 'acme-fr'::text AS customer, date '2025-03-01' AS day, 'FR'::text AS \
         country, 1.0::float8 AS kwh, pg_sleep(0.01)::text AS pad FROM generate_series(1, 100000) i",
    );
    let place = format!("table = \"{}.meters\"", server.schema);
    let slow = source(&server.url(None), "query_time = \"400ms\"").replace("chunk_time = \"200ms\"\n", "");
    let ran = ended(meters::start(&project(&slow, &place, 10), &[]));
    refused(ran, 3, "canceling statement due to statement timeout");
    nothing_left(&server);
}

#[test]
fn a_server_that_falls_silent_does_not_hold_the_run_for_ever() {
    let Some(server) = Postgres::open("silent") else { return };
    let proxy = Proxy::to(&server.address());
    proxy.silent(true);
    let live = project(&source(&server.url_at(proxy.port), ""), "table = \"meters\"", 10);
    refused(ended(meters::start(&live, &[])), 3, "no answer within the time to connect");

    // In the middle.
    proxy.silent(false);
    server.run(&meters::table("$.meters", METERS, 1));
    let place = format!("table = \"{}.meters\"", server.schema);
    let limits = "query_time = \"2s\"\nlag_wait = \"1s\"";
    let live = project(&source(&server.url_at(proxy.port), limits), &place, METERS);
    let before = proxy.answered();
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > before + 200_000);
    proxy.silent(true);
    refused(ended(run), 3, "no answer within 13 s");
    proxy.silent(false);
    nothing_left(&server);
}

#[test]
fn a_wrong_password_is_exit_3_and_is_not_tried_again() {
    let Some(server) = Postgres::open("password") else { return };
    let url = server.url(Some((server.login().0, "wr0ng-secret")));
    let ran = ended(meters::start(&project(&source(&url, ""), "table = \"meters\"", 10), &[]));
    assert!(!ran.stderr.contains("wr0ng-secret"), "{}", ran.stderr);
    refused(ran, 3, "password authentication failed");
}

#[test]
fn a_right_that_is_revoked_before_or_in_the_middle_is_exit_3() {
    let Some(server) = Postgres::open("right") else { return };
    let role = format!("e2e_right_{}", std::process::id());
    server.run(&format!(
        "{}; CREATE ROLE {role} LOGIN PASSWORD 'reader-secret'; GRANT USAGE ON SCHEMA $ TO {role}; \
         GRANT SELECT ON $.meters TO {role}",
        meters::table("$.meters", METERS, 300)
    ));
    let url = server.url(Some((&role, "reader-secret")));
    let place = format!("table = \"{}.meters\"", server.schema);
    let live = project(&source(&url, ""), &place, METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || open(&server) != "0");
    server.run(&format!("REVOKE SELECT ON $.meters FROM {role}"));
    let in_the_middle = ended(run);
    let before = ended(meters::start(&project(&source(&url, ""), &place, METERS), &[]));
    nothing_left(&server);
    server.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    for ran in [in_the_middle, before] {
        refused(ran, 3, "permission denied for table meters");
    }
}

/// A table that is read is held: who changes it waits until it has been read.
#[test]
fn a_table_that_is_dropped_or_changed_while_it_is_read_gives_the_same_result() {
    let Some(server) = Postgres::open("changed") else { return };
    for (name, filling, index) in WAYS {
        for change in ["ALTER TABLE $.t ALTER COLUMN kwh TYPE text", "DROP TABLE $.t"] {
            let change = change.replace("$.t", &format!("$.{name}"));
            server.run(&format!("DROP TABLE IF EXISTS $.{name}"));
            server.run(&format!("{}{index}", meters::table(&format!("$.{name}"), METERS, filling)));
            let place = format!("table = \"{}.{name}\"", server.schema);
            let (live, expected) = undisturbed(&source(&server.url(None), ""), &place);
            let run = meters::start(&live, &[]);
            wait_until("it reads", 30, || open(&server) != "0");
            std::thread::sleep(Duration::from_millis(500));
            server.run(&change);
            let ran = ended(run);
            assert_eq!(facts(&ran.json()), expected, "{change}: {}", ran.stderr);
            nothing_left(&server);
        }
    }
    // Gone before it is read.
    let place = format!("table = \"{}.pages\"", server.schema);
    refused(
        ended(meters::start(&project(&source(&server.url(None), ""), &place, 10), &[])),
        3,
        "there is no table",
    );
}

#[test]
fn a_type_that_changed_since_the_last_night_is_read_by_the_rules_of_its_field() {
    let Some(server) = Postgres::open("retyped") else { return };
    server.run(&meters::table("$.meters", METERS, 1));
    let place = format!("table = \"{}.meters\"", server.schema);
    let (live, expected) = undisturbed(&source(&server.url(None), ""), &place);
    server.run("ALTER TABLE $.meters ALTER COLUMN kwh TYPE text");
    let ran = ended(meters::start(&live, &[]));
    assert_eq!(facts(&ran.json()), expected, "text that holds numbers: {}", ran.stderr);
    server.run("UPDATE $.meters SET kwh = 'unknown' WHERE id = 'm7'");
    let again = project(&source(&server.url(None), ""), &place, METERS);
    let report = ended(meters::start(&again, &[])).json();
    assert_eq!(
        report["inputs"][0]["customers_not_comparable"], 1,
        "a value is missing: {}",
        report["inputs"]
    );
}

#[test]
fn an_index_build_does_not_disturb_and_a_lock_is_not_waited_for_too_long() {
    let Some(server) = Postgres::open("locks") else { return };
    server.run(&meters::table("$.meters", METERS, 300));
    let place = format!("table = \"{}.meters\"", server.schema);
    let (live, expected) = undisturbed(&source(&server.url(None), "lock_time = \"700ms\""), &place);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || open(&server) != "0");
    server.run("CREATE INDEX ON $.meters (kwh)");
    assert_ne!(open(&server), "0", "it still reads");
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);

    let held = server.hold("LOCK TABLE $.meters IN ACCESS EXCLUSIVE MODE");
    let live = project(&source(&server.url(None), "lock_time = \"700ms\""), &place, METERS);
    let ran = ended(meters::start(&live, &[]));
    drop(held);
    refused(ran, 3, "somebody else holds a lock on the table");
    nothing_left(&server);
}

#[test]
fn an_expired_certificate_is_exit_3() {
    let Some(certificates) = variable("DUALRUN_TEST_TLS") else { return };
    let Some(server) = Cluster::start("ssl = off") else { return };
    let folder = Path::new(&certificates);
    server.certificate(&folder.join("expired.pem"), &folder.join("expired.key"));
    for setting in ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"] {
        server.sql(&format!("ALTER SYSTEM SET {}", setting.replace("ssl = on", "ssl = 'on'")));
    }
    server.kill();
    server.up();
    let url = server.url(None).replace("?sslmode=disable", "").replace("127.0.0.1", "localhost");
    let live =
        project(&source(&url, &format!("ca_file = \"{certificates}/ca.pem\"")), "table = \"meters\"", 10);
    let ran =
        ended(meters::start(&live, &[])).complains("hint: renew the certificate; is the clock here right?");
    refused(ran, 3, "the certificate of the server has expired");
    live.dualrun(&["doctor"]).exits(3).says("the certificate of the server has expired");
}

/// The clock of the server as an answer of it tells it, seconds ahead: the milliseconds that doctor asks for, and the
/// time at which a snapshot was taken.
fn ahead(answer: &mut [u8], seconds: i64) {
    // A row of one text of 13 digits: D, its length, one column, the length of the text.
    let head = [b'D', 0, 0, 0, 23, 0, 1, 0, 0, 0, 13];
    if let Some(at) = answer.windows(head.len()).position(|part| part == head) {
        let digits = at + head.len()..at + head.len() + 13;
        if let Some(told) =
            answer.get(digits.clone()).and_then(|t| std::str::from_utf8(t).ok()?.parse::<i64>().ok())
        {
            answer[digits].copy_from_slice((told + seconds * 1000).to_string().as_bytes());
        }
    }
    // An instant such as 2025-11-26T10:00:00.000000Z: another year is enough.
    let dash = |t: &[u8]| t.len() == 27 && t[4] == b'-' && t[10] == b'T' && t[26] == b'Z' && t[19] == b'.';
    if let Some(at) = answer.windows(27).position(dash) {
        let year = std::str::from_utf8(&answer[at..at + 4]).ok().and_then(|year| year.parse::<i64>().ok());
        if let Some(year) = year {
            answer[at..at + 4].copy_from_slice((year + seconds.signum()).to_string().as_bytes());
        }
    }
}

#[test]
fn a_clock_that_is_wrong_is_told_and_changes_no_result() {
    let Some(server) = Postgres::open("clock") else { return };
    server.run(&meters::table("$.meters", METERS, 1));
    let place = format!("table = \"{}.meters\"", server.schema);
    let (live, expected) = undisturbed(&source(&server.url(None), ""), &place);
    live.dualrun(&["doctor"]).exits(0).says("as here, within 2 s");
    for (seconds, doctor, note) in [
        (90, " s ahead of the one here", " s ahead of the one here"),
        (-90, " s behind of the one here", " s behind the one here"),
    ] {
        let proxy = Proxy::bending(&server.address(), move |answer| ahead(answer, seconds));
        let live = project(&source(&server.url_at(proxy.port), ""), &place, METERS);
        let said = live.dualrun(&["doctor"]).exits(0).says("let both machines follow the same time servers");
        assert!(said.stdout.contains(doctor), "{}", said.stdout);
        let ran = ended(meters::start(&live, &[]));
        assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
        let notes = ran.json()["notes"].to_string();
        assert!(notes.contains("by the clock of the server, which is") && notes.contains(note), "{notes}");
    }
}
