//! What goes wrong at a MongoDB server, or on the way to it: the run ends with the same result, or with exit 3 and a
//! sentence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use bson::doc;
use dualrun_e2e::{
    ferretdb::Gateway,
    meters::{self, ended, facts, project, wait_until},
    proxy::Proxy,
    servers::{Mongo, variable},
};
use dualrun_testkit::{Project, Ran};
use serde_json::Value;

const METERS: u64 = 20_000;
const PLACE: &str = "collection = \"meters\"";

/// A source that is read for about five seconds.
fn source(url: &str, more: &str) -> String {
    format!(
        "[source.legacy]\nkind = \"mongodb\"\nurl = \"{url}&serverSelectionTimeoutMS=3000\"\nmax_rows_per_second = 4000\n\
         chunk_time = \"200ms\"\n{more}\n"
    )
}

/// The project, and what a run says that nobody disturbs.
fn undisturbed(source: &str) -> (Project, [Value; 4]) {
    let quick = source.replace("max_rows_per_second = 4000\n", "");
    let ran = ended(meters::start(&project(&quick, PLACE, METERS), &[]));
    let report = ran.json();
    assert_eq!(report["inputs"][0]["comparable"], true, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(report["inputs"][0]["rows"]["legacy"], METERS);
    (project(source, PLACE, METERS), facts(&report))
}

#[track_caller]
fn refused(ran: Ran, code: i32, sentence: &str) {
    ran.exits(code).complains(sentence).complains("hint: ");
}

/// Every query was answered at once: the server was never left with an open cursor.
#[track_caller]
fn no_cursor(proxy: &Proxy) {
    assert!(proxy.asked("find") > 2);
    assert_eq!(proxy.asked("getMore"), 0);
}

fn filled(name: &str) -> Option<Mongo> {
    let server = Mongo::open(name)?;
    server.insert_many("meters", &meters::documents(METERS, 50));
    Some(server)
}

#[test]
fn a_connection_that_is_cut_and_restored_gives_the_same_result_and_one_that_stays_cut_is_exit_3() {
    let Some(server) = filled("cut") else { return };
    let (_, expected) = undisturbed(&source(&server.url(None), ""));
    let proxy = Proxy::to(&server.address());
    let live = project(&source(&server.url_at(proxy.port), ""), PLACE, METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > 400_000);
    proxy.cut(false);
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    assert_eq!(proxy.cuts(), 1);

    let live = project(&source(&server.url_at(proxy.port), ""), PLACE, METERS);
    let before = proxy.answered();
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > before + 400_000);
    proxy.cut(true);
    let ran = ended(run).exits(3).complains("hint: ").complains("a retry may help");
    assert!(ran.stderr.contains("cut") || ran.stderr.contains("reached"), "{}", ran.stderr);
    no_cursor(&proxy);
}

#[test]
fn a_server_that_is_killed_and_started_again_gives_the_same_result() {
    let Some(server) = filled("killed") else { return };
    let Some(mut gateway) = Gateway::start(None) else { return };
    let proxy = Proxy::to(&format!("127.0.0.1:{}", gateway.port));
    let (live, expected) = undisturbed(&source(&server.url_at(proxy.port), ""));
    let (before, cursors) = (proxy.answered(), proxy.asked("getMore"));
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > before + 400_000);
    gateway.kill();
    proxy.cut(false);
    std::thread::sleep(Duration::from_millis(700));
    gateway.up();
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    assert_eq!(proxy.asked("getMore"), cursors, "every query was answered at once");
}

#[test]
fn a_server_that_is_slower_than_its_time_limit_is_exit_3() {
    let Some(server) = filled("slow") else { return };
    let project = Project::template();
    let source = format!(
        "[source.core]\nkind = \"mongodb\"\nurl = \"{}\"\nquery_time = \"150ms\"\n\n[source.factors]",
        server.url(None)
    );
    project.replace("dualrun.toml", "[source.factors]", &source);
    let engine = "[legacy]\nengine = \"mongodb\"\nsource = \"core\"\ncollection = \"meters\"\npipeline = \"legacy.pipeline.json\"";
    project.replace("energy/mapping.toml", "[legacy]\nengine = \"sql\"\nmodels = [\"legacy.sql\"]", engine);
    project.write(
        "energy/legacy.pipeline.json",
        r#"[{"$lookup": {"from": "meters", "localField": "kwh", "foreignField": "kwh", "as": "same"}},
            {"$group": {"_id": null, "n": {"$sum": {"$size": "$same"}}}}]"#,
    );
    refused(ended(meters::start(&project, &[])), 3, "a query ran into its time limit of 0.15 s");
}

#[test]
fn a_server_that_falls_silent_does_not_hold_the_run_for_ever() {
    let Some(server) = filled("silent") else { return };
    let proxy = Proxy::to(&server.address());
    let live = project(&source(&server.url_at(proxy.port), "query_time = \"1s\""), PLACE, METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > 400_000);
    proxy.silent(true);
    let ran = ended(run).exits(3).complains("a retry may help");
    proxy.silent(false);
    assert!(ran.stderr.contains("no answer") || ran.stderr.contains("cannot be reached"), "{}", ran.stderr);
    no_cursor(&proxy);
}

#[test]
fn a_wrong_password_is_exit_3_and_is_not_tried_again() {
    let Some(server) = Mongo::open("password") else { return };
    let url = server.url(Some((server.login().0, "wr0ng-secret")));
    let ran = ended(meters::start(&project(&source(&url, ""), PLACE, 10), &[]));
    assert!(!ran.stderr.contains("wr0ng-secret"), "{}", ran.stderr);
    refused(ran, 3, "user name or password is wrong");
}

/// FerretDB holds nobody to the roles, but to the existence of a user where a connection is opened.
#[test]
fn a_user_who_is_taken_away_in_the_middle_is_exit_3() {
    let Some(server) = filled("right") else { return };
    let user = format!("e2e_right_{}", std::process::id());
    server.admin(doc! {"createUser": &user, "pwd": "reader-secret", "roles": [{"role": "readAnyDatabase", "db": "admin"}]});
    let proxy = Proxy::to(&server.address());
    let url = server.url_at(proxy.port);
    let (login, password) = server.login();
    let url = url.replacen(&format!("{login}:{password}@"), &format!("{user}:reader-secret@"), 1);
    let live = project(&source(&url, ""), PLACE, METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > 400_000);
    server.admin(doc! {"dropUser": &user});
    proxy.cut(false);
    let ran = ended(run);
    assert!(!ran.stderr.contains("reader-secret"), "{}", ran.stderr);
    refused(ran, 3, "user name or password is wrong");
}

#[test]
fn a_collection_that_is_dropped_in_the_middle_is_never_a_short_result() {
    let Some(server) = filled("dropped") else { return };
    let proxy = Proxy::to(&server.address());
    let live = project(&source(&server.url_at(proxy.port), ""), PLACE, METERS);
    let run = meters::start(&live, &[]);
    wait_until("it reads", 30, || proxy.answered() > 400_000);
    server.run(doc! {"drop": "meters"});
    refused(ended(run), 3, "was dropped or replaced while it was read");
    no_cursor(&proxy);
    let again = project(&source(&server.url(None), ""), PLACE, METERS);
    refused(ended(meters::start(&again, &[])), 3, "there is no such collection");
}

#[test]
fn a_type_that_changes_in_flight_is_read_by_the_rules_of_its_field() {
    let Some(server) = filled("retyped") else { return };
    let (live, expected) = undisturbed(&source(&server.url(None), ""));
    let run = meters::start(&live, &[]);
    std::thread::sleep(Duration::from_millis(1500));
    // The same numbers, as text.
    let as_text = doc! {"$set": {"kwh": {"$toString": "$kwh"}}};
    let update = doc! {"q": {"_id": {"$gte": 10_000}}, "u": [as_text], "multi": true};
    server.run(doc! {"update": "meters", "updates": [update]});
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    // What is no number is missed, and the customer with it.
    server.run(doc! {"update": "meters", "updates": [{"q": {"_id": 7}, "u": {"$set": {"kwh": "unknown"}}}]});
    let again = project(&source(&server.url(None), ""), PLACE, METERS);
    let report = ended(meters::start(&again, &[])).json();
    assert_eq!(report["inputs"][0]["customers_not_comparable"], 1, "{}", report["inputs"]);
}

#[test]
fn an_index_build_does_not_disturb() {
    let Some(server) = filled("index") else { return };
    let (live, expected) = undisturbed(&source(&server.url(None), ""));
    let run = meters::start(&live, &[]);
    std::thread::sleep(Duration::from_millis(1500));
    server.run(doc! {"createIndexes": "meters", "indexes": [{"key": {"day": 1}, "name": "day_1"}]});
    let ran = ended(run);
    assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
}

#[test]
fn an_expired_certificate_is_exit_3() {
    let Some(certificates) = variable("DUALRUN_TEST_TLS") else { return };
    let Some(server) = Mongo::open("expired") else { return };
    let folder = Path::new(&certificates);
    let Some(gateway) = Gateway::start(Some((&folder.join("expired.pem"), &folder.join("expired.key"))))
    else {
        return;
    };
    let url = server.url_at(gateway.port).replace("127.0.0.1", "localhost");
    let secured = format!("tls = \"verify_full\"\nca_file = \"{certificates}/ca.pem\"");
    let live = project(&source(&url, &secured), PLACE, 10);
    let ran = ended(meters::start(&live, &[])).complains("hint: renew the certificate");
    refused(ran, 3, "the certificate of the server is not accepted: it has expired");
    live.dualrun(&["doctor"]).exits(3).says("it has expired");
}

/// The local time of the server, in its greeting: the field, a date (type 9) of milliseconds.
fn ahead(answer: &mut [u8], seconds: i64) {
    let field = b"\x09localTime\0";
    let Some(at) = answer.windows(field.len()).position(|part| part == field) else { return };
    let value = at + field.len()..at + field.len() + 8;
    let Some(bytes) = answer.get(value.clone()).and_then(|bytes| bytes.try_into().ok()) else { return };
    answer[value].copy_from_slice(&(i64::from_le_bytes(bytes) + seconds * 1000).to_le_bytes());
}

#[test]
fn a_clock_that_is_wrong_is_told_and_changes_no_result() {
    let Some(server) = filled("clock") else { return };
    let (live, expected) = undisturbed(&source(&server.url(None), ""));
    live.dualrun(&["doctor"]).exits(0).says("as here, within 2 s");
    for (seconds, word) in [(90, " s ahead of the one here"), (-90, " s behind of the one here")] {
        let proxy = Proxy::bending(&server.address(), move |answer| ahead(answer, seconds));
        let live = project(&source(&server.url_at(proxy.port), ""), PLACE, METERS);
        live.dualrun(&["doctor"]).exits(0).says(word).says("let both machines follow the same time servers");
        let ran = ended(meters::start(&live, &[]));
        assert_eq!(facts(&ran.json()), expected, "{}", ran.stderr);
    }
}
