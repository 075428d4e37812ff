//! Reading from a standby of PostgreSQL: it may catch up, and what it gives up for its primary is read again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use dualrun_e2e::{
    cluster::Cluster,
    meters::{self, ended, facts, project, wait_until},
};
use dualrun_testkit::Project;

const METERS: u64 = 30_000;

fn source(port: u16, standby: &Cluster, more: &str) -> String {
    let url = standby.url(Some(port));
    format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\nchunk_time = \"200ms\"\n{more}\n")
}

/// A primary with meters, and a standby that has them.
fn pair(settings: &str, filling: u32) -> Option<(Cluster, Cluster)> {
    let primary = Cluster::start("autovacuum = off")?;
    primary.sql(&meters::table("meters", METERS, filling));
    let standby = primary.standby(settings);
    Some((primary, standby))
}

/// Waits until the standby has applied everything.
fn caught_up(primary: &Cluster, standby: &Cluster) {
    let written = primary.ask("SELECT pg_current_wal_lsn()").unwrap();
    wait_until("the standby follows", 20, || {
        standby.ask(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'")).as_deref() == Some("t")
    });
}

/// Lets the standby fall behind: it receives changes and does not apply them.
fn fall_behind(primary: &Cluster, standby: &Cluster, seconds: u64) {
    standby.sql("SELECT pg_wal_replay_pause()");
    primary.sql("CREATE TABLE later AS SELECT 1 AS a");
    std::thread::sleep(Duration::from_secs(seconds));
}

fn reported(project: &Project, more: &[&str]) -> (i32, serde_json::Value, String) {
    let ran = ended(meters::start(project, more));
    let report = serde_json::from_str(&ran.stdout).unwrap_or_default();
    (ran.code.unwrap(), report, ran.stderr)
}

#[test]
fn a_reading_waits_while_the_standby_is_behind_and_goes_on_when_it_has_caught_up() {
    let Some((primary, standby)) = pair("", 10) else { return };
    caught_up(&primary, &standby);
    let live = project(&source(standby.port, &standby, "max_lag = \"1s\""), "table = \"meters\"", METERS);
    let (code, undisturbed, said) = reported(&live, &[]);
    assert_eq!(undisturbed["inputs"][0]["rows"]["legacy"], METERS, "{said}");
    assert!(!said.contains("reading pauses"), "{said}");

    // Doctor and plan see what part the server plays.
    let doctor = live.dualrun(&["doctor"]).exits(0).says("a replica, 0 s behind its primary");
    let words = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("pauses while a replica is more than 1s behind, up to 5min"), "{words}");
    live.dualrun(&["plan", "--period", "2025-03-01"]).exits(0).says("a replica, 0 s behind its primary");

    fall_behind(&primary, &standby, 3);
    live.dualrun(&["doctor"]).exits(0).says("reading pauses").says("pg_is_wal_replay_paused");
    let again = project(&source(standby.port, &standby, "max_lag = \"1s\""), "table = \"meters\"", METERS);
    let run = meters::start(&again, &[]);
    std::thread::sleep(Duration::from_secs(3));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND backend_xmin IS NOT NULL";
    assert_eq!(standby.ask(waiting).as_deref(), Some("0"), "no snapshot is held while it waits");
    standby.sql("SELECT pg_wal_replay_resume()");
    let ran = ended(run).complains("s behind its primary, 1 s are allowed: reading pauses, at most 300 s");
    let ran = ran.complains("the replica has caught up");
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert_eq!(facts(&ran.json()), facts(&undisturbed));
}

#[test]
fn a_reading_waits_in_the_middle_too() {
    // Without an index and with large rows it is read by pages, with one by a cursor.
    for (filling, index) in [(300, ""), (10, "CREATE INDEX ON meters (day)")] {
        let Some((primary, standby)) = pair("max_standby_streaming_delay = -1", filling) else { return };
        primary.sql(&format!("SELECT 1; {index}"));
        caught_up(&primary, &standby);
        let slow = "max_lag = \"1s\"\nmax_rows_per_second = 5000";
        let live = project(&source(standby.port, &standby, slow), "table = \"meters\"", METERS);
        let run = meters::start(&live, &[]);
        let reading = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND backend_xmin IS NOT NULL";
        wait_until("it reads", 20, || standby.ask(reading).is_some_and(|n| n != "0"));
        fall_behind(&primary, &standby, 5);
        standby.sql("SELECT pg_wal_replay_resume()");
        let ran =
            ended(run).complains("reading pauses, at most 300 s").complains("the replica has caught up");
        assert_eq!(ran.json()["inputs"][0]["rows"]["legacy"], METERS, "{}", ran.stderr);
        assert_eq!(ran.json()["inputs"][0]["comparable"], true);
        nothing_left(&standby);
    }
}

/// Where a URL names several servers, the one that only reads can be asked for.
#[test]
fn the_standby_of_two_servers_is_preferred_where_the_url_says_so() {
    let Some((primary, standby)) = pair("", 1) else { return };
    caught_up(&primary, &standby);
    let both = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port, standby.port);
    let url = primary.url(None).replacen(&format!("127.0.0.1:{}/", primary.port), &both, 1);
    let source = |url: &str| format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\n");
    let replica = format!("{url}&target_session_attrs=read-only");
    let live = project(&source(&replica), "table = \"meters\"", METERS);
    live.dualrun(&["doctor"]).exits(0).says("a replica, 0 s behind its primary");
    let (_, report, said) = reported(&live, &[]);
    assert_eq!(report["inputs"][0]["comparable"], true, "{said}");
    let live = project(&source(&url), "table = \"meters\"", METERS);
    live.dualrun(&["doctor"]).exits(0).says("a primary");
}

#[test]
fn a_standby_that_does_not_catch_up_ends_the_run_with_a_sentence() {
    let Some((primary, standby)) = pair("", 10) else { return };
    caught_up(&primary, &standby);
    fall_behind(&primary, &standby, 3);
    let short = "max_lag = \"1s\"\nlag_wait = \"2s\"";
    let live = project(&source(standby.port, &standby, short), "table = \"meters\"", METERS);
    let ran = ended(meters::start(&live, &[])).exits(3);
    let ran = ran.complains("behind its primary, 1 s are allowed, and 2 s were waited");
    ran.complains("hint: wait until the replica has caught up, or read another one");
    nothing_left(&standby);
}

/// A change on the primary removes rows that a snapshot on the standby still sees: the standby gives the snapshot up.
#[test]
fn a_query_that_is_given_up_for_the_primary_is_read_again() {
    let Some((primary, standby)) = pair("max_standby_streaming_delay = '500ms'", 300) else { return };
    caught_up(&primary, &standby);
    let slow = "max_rows_per_second = 6000";
    let live = project(&source(standby.port, &standby, slow), "table = \"meters\"", METERS);
    let run = meters::start(&live, &[]);
    let reading =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun' AND query LIKE 'COPY%'";
    wait_until("it reads", 20, || standby.ask(reading).is_some_and(|n| n != "0"));
    // The same meters, in rows of their own; the old ones are cleaned up.
    primary.sql("UPDATE meters SET pad = repeat('y', 300)");
    primary.sql("VACUUM meters");
    let ran = ended(run).complains("is read anew in 1 s");
    let report = ran.json();
    assert_eq!(report["inputs"][0]["rows"]["legacy"], METERS, "{}", ran.stderr);
    assert_eq!(report["inputs"][0]["comparable"], true, "{}", report["inputs"]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("after the reading broke off once"), "{notes}");
    nothing_left(&standby);
}

fn nothing_left(server: &Cluster) {
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dualrun'";
    wait_until("dualrun is gone from the server", 8, || server.ask(open).as_deref() == Some("0"));
}
