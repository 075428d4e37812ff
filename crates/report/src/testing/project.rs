//! A project of ten pipelines: 48 nights of history, findings, changes and legacy assets.

use dualrun_core::night::NightReport;
use dualrun_tracker::model::{ChangeStatus, Readiness, Status};
use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use super::RUN;

const PIPELINES: [(&str, &str, u8, &str, &str); 10] = [
    ("web-page-views", "Web page views", 1, "parity", "high"),
    ("saas-seats", "SaaS seats", 1, "cut_over", "medium"),
    ("cloud-usage", "Cloud usage", 2, "dual_run", "critical"),
    ("datacentre-energy", "Data centre energy (scope 2)", 2, "dual_run", "critical"),
    ("hardware-inventory", "Hardware inventory", 2, "dual_run", "high"),
    ("network-transfer", "Network transfer", 2, "parity", "medium"),
    ("supplier-invoices", "Supplier invoices", 2, "dual_run", "high"),
    ("video-streaming", "Video streaming", 2, "building", "low"),
    ("employee-devices", "Employee devices", 3, "planned", "low"),
    ("travel-records", "Travel records", 3, "dual_run", "medium"),
];

fn history(n: usize) -> Vec<Value> {
    let first: Date = "2025-01-17".parse().unwrap();
    let nights = match n {
        7 => 6,
        8 => 0,
        _ => 48,
    };
    first
        .series(1.day())
        .take(48)
        .enumerate()
        .skip(48 - nights)
        .map(|(night, date)| {
            let (answer, reason) = match (night * 7 + n * 13) % 41 {
                0 | 1 => ("broken", format!("{date} differs")),
                2 => ("neutral", format!("{date} waits for review")),
                3 if n == 9 => ("missing", "no run".to_owned()),
                _ if n == 2 && night > 44 => ("broken", format!("{date} differs")),
                _ if n == 6 && night > 40 => ("neutral", format!("the run of {date} failed")),
                _ => ("clean", format!("{date} agrees")),
            };
            json!({"date": date, "answer": answer, "reason": reason})
        })
        .collect()
}

fn pipeline(n: usize) -> Value {
    let (id, title, phase, stage, criticality) = PIPELINES[n];
    let history = history(n);
    let clean = history.iter().rev().take_while(|mark| mark["answer"] == "clean").count();
    let outcome = match n {
        0 | 2 => json!("differs"),
        6 => json!("review_pending"),
        8 => Value::Null,
        _ => json!("agrees"),
    };
    let gate = |name: &str, pass: bool, reason: &str| {
        let answer = if pass {
            "pass"
        } else if reason.contains("yet") {
            "unknown"
        } else {
            "fail"
        };
        json!({"name": name, "answer": answer, "reason": reason, "evidence": []})
    };
    let findings = if n == 2 {
        json!([{"id": "f", "signature": "stale_factor", "column": "co2e_kg", "rows": 1240, "customers": 6,
            "detail": "new / legacy is the ratio of editions 2024 and 2023 of grid_factors", "segment": "country = 'FR'",
            "share_of_unexplained": 0.97, "gross": "412.5", "first_seen": "2025-03-03",
            "run": {"run": RUN, "period": "2025-03-04", "as_of": "2025-03-05"}}])
    } else {
        json!([])
    };
    let monthly = n == 6;
    let enough = clean >= 10 && !monthly;
    json!({"id": id, "title": title, "owner": "data-platform", "phase": phase, "stage": stage,
        "stage_since": (n < 6).then_some("2025-02-11"), "criticality": criticality, "scope": null,
        "period_unit": if monthly { "month" } else { "day" }, "last_outcome": outcome, "last_runs": [],
        "history": history,
        "streak": {"nights": if monthly { 1 } else { clean }, "required": if monthly { 2 } else { 10 },
            "unit": if monthly { "month" } else { "day" }, "since": null, "broken_on": null, "changed": null,
            "unknown": (n == 6).then_some("4 nights in a row gave no answer"), "month_end": enough,
            "last_night": null, "runs": []},
        "gates": [
            gate("streak", enough, &format!("{clean} of 10 clean nights since 2025-02-27: the night of 2025-02-26 was broken")),
            gate("coverage", clean > 0, "no clean night yet"),
            gate("changes", n != 6, "not approved: MC-2025-03 (waits for a decision since 2025-02-20)"),
            gate("differences", n != 2, "1240 cells of co2e_kg are unexplained"),
            gate("checks", n != 8, "it never ran yet"),
        ],
        "next": null, "findings": findings, "changes": ["MC-2025-02"]})
}

/// The project on one day.
pub(crate) fn status() -> Status {
    let stages = ["planned", "building", "dual_run", "parity", "approved", "cut_over", "retired"];
    let stages: Vec<Value> = stages.iter().map(|stage| json!({"stage": stage, "pipelines": 1})).collect();
    let phase =
        |number: u8, start: &str, end: &str, timing: &str, elapsed: f64, pipelines: u32, parity: u32| {
            json!({"number": number, "start": start, "end": end, "timing": timing, "elapsed": elapsed,
            "pipelines": pipelines, "stages": stages, "at_parity": parity, "migrated": u32::from(number == 1),
            "share_migrated": 0.5})
        };
    serde_json::from_value(json!({
        "schema": "dualrun.status/1", "project": "Green ITOps migration", "environment": "prod",
        "as_of": "2025-03-05",
        "totals": {"pipelines": 10, "stages": stages, "at_parity": 3, "migrated": 1, "share_migrated": 0.1, "clean": 6,
            "broken": 2, "unanswered": 2, "runs": 402, "nights": 48, "findings": 1, "changes_approved": 1,
            "changes_proposed": 1, "changes_rejected": 0},
        "phases": [phase(1, "2025-01-06", "2025-02-28", "late", 1.0, 2, 2),
            phase(2, "2025-02-03", "2025-06-30", "running", 0.21, 6, 1),
            phase(3, "2025-07-01", "2025-09-30", "ahead", 0.0, 2, 0)],
        "pipelines": (0..10).map(pipeline).collect::<Vec<_>>(),
        "changes": changes(),
        "blockers": [
            "cloud-usage: stale_factor in co2e_kg since 2025-03-03, 1240 rows of 6 customers: new / legacy is the ratio \
             of editions 2024 and 2023 of grid_factors",
            "MC-2025-03 waits for review: nobody decided yet (moves supplier-invoices)",
            "phase 1 was planned to end on 2025-02-28: 1 of 2 pipelines are not migrated",
            "cloud-usage: 0 of 10 clean nights: the night of 2025-03-05 was broken",
            "supplier-invoices: 1 of 2 agreeing closed months: 4 nights in a row gave no answer",
            "video-streaming: its stage is building",
            "employee-devices: its stage is planned",
            "travel-records: 3 of 10 clean nights since 2025-03-03: the night of 2025-03-02 was broken",
        ],
    }))
    .unwrap()
}

fn changes() -> Value {
    let run = json!({"run": RUN, "period": "2025-03-04", "as_of": "2025-03-05"});
    let effect = |pipeline: &str, effect: &str, relative: f64, promise: &str, broken: &[&str]| {
        json!({"pipeline": pipeline, "column": "co2e_kg", "unit": "kgCO2e", "effect": effect, "relative": relative,
            "cells": 3120, "rows": 0, "promise": promise, "broken": broken, "seen": null, "run": run})
    };
    json!([
        {"id": "MC-2025-02", "title": "Location-based grid factors by hour instead of by year", "class": "methodology",
         "owner": "olga", "effective": "2025-02-01", "applies": "from-effective",
         "pipelines": ["web-page-views", "cloud-usage"],
         "review": {"status": "approved", "reason_not": null, "last": {"change": "MC-2025-02", "status": "approved",
            "change_hash": "h", "reviewer": "rui", "reason": "as published in the method note of January",
            "at": "2025-02-03T10:00:00Z", "seen": {}, "expires": "2026-01-31"}},
         "effects": [effect("web-page-views", "-110.2", -0.1553, "kept", &[]),
            effect("cloud-usage", "-0.0000001", -1e-9, "kept", &[])]},
        {"id": "MC-2025-03", "title": "Supplier factors of ADEME Base Carbone 23.4", "class": "factor-update",
         "owner": "sam", "effective": "2025-03-01", "applies": "all-periods", "pipelines": ["supplier-invoices"],
         "review": {"status": "proposed", "reason_not": "nobody decided yet", "last": null},
         "effects": [effect("supplier-invoices", "1284.5", 0.0312, "broken",
            &["it raises co2e_kg by 3.12 %, and promises at most 2 %"])]},
    ])
}

/// A change by its place: approved and kept, or proposed with a broken promise.
pub(crate) fn change(n: usize) -> ChangeStatus {
    status().changes.swap_remove(n)
}

/// A night with every kind of outcome.
pub(crate) fn night() -> NightReport {
    let run = |pipeline: &str, outcome: Value, code: u8, enforced: bool| {
        json!({"pipeline": pipeline, "period": "2025-03-04", "run_id": RUN, "outcome": outcome, "exit_code": code,
            "enforced": enforced, "failure": null, "customers_not_comparable": 0, "failed_checks": [], "findings": [],
            "notes": []})
    };
    let finding = json!({"id": "f", "signature": "unit_scale", "detail": "new = 1000 × legacy", "where": "true",
        "column": "co2e_kg", "rows": 240, "customers": 1, "share_of_unexplained": 1.0});
    serde_json::from_value(json!({"schema": "dualrun.night/1", "period": "2025-03-04", "as_of": "2025-03-05",
        "environment": "prod", "exit_code": 3, "repeated": false,
        "runs": [
            run("web-page-views", json!("agrees"), 0, true),
            super::with(run("cloud-usage", json!("differs"), 1, true), json!({"findings": [finding, finding],
                "failed_checks": ["no negative emissions"]})),
            super::with(run("datacentre-energy", json!("not_comparable"), 4, true), json!({"customers_not_comparable": 1})),
            super::with(run("network-transfer", json!("failed"), 3, true), json!({"failure": {"stage": "fence",
                "message": "source legacy_pg cannot be read: connection refused", "hint": null, "retryable": true}})),
            super::with(run("supplier-invoices", json!("review_pending"), 5, true), json!({"period": "2025-02"})),
            super::with(run("video-streaming", json!("differs"), 1, false), json!({"findings": [finding]})),
            super::with(run("travel-records", Value::Null, 99, true), json!({"run_id": null,
                "notes": ["another process holds the run"]})),
        ],
        "stages": [{"pipeline": "web-page-views", "from": "dual_run", "to": "parity",
            "reason": "every gate passes: 12 of 10 clean nights since 2025-02-21"}]}))
    .unwrap()
}

/// Assets of two databases: needed, blocked and ready.
pub(crate) fn readiness() -> Readiness {
    let step =
        |step: &str, answer: &str, reason: &str| json!({"step": step, "answer": answer, "reason": reason});
    let asset = |id: &str,
                 verdict: &str,
                 owner: Option<&str>,
                 disposition: Option<&str>,
                 pipeline: Option<&str>| {
        let server = id.split(':').next();
        let reason = "its gates do not pass: 0 of 10 clean nights: the night of 2025-03-05 was broken";
        let needed: Vec<Value> = pipeline
            .iter()
            .map(|id| {
                json!({"pipeline": id, "title": "Cloud usage", "stage": "dual_run", "reason": reason, "open_gates": [
                {"name": "streak", "answer": "fail", "reason": "0 of 10 clean nights", "evidence": []},
                {"name": "coverage", "answer": "unknown", "reason": "no clean night yet", "evidence": []}]})
            })
            .collect();
        let (steps, reasons) = match pipeline {
            Some(p) => (
                json!([
                    step("stop_writes", "no", &format!("{p} still calculates from it")),
                    step("revoke_reads", "no", &format!("{p} still reads it")),
                    step("test_restore", "unknown", "no test is recorded that its archive can be read back"),
                    step("drop", "no", "first: stop writes")
                ]),
                json!([format!("{p}: {reason}")]),
            ),
            None if verdict == "ready" => (
                json!([
                    step("stop_writes", "yes", "every pipeline that names it is cut over"),
                    step("revoke_reads", "yes", "every pipeline that names it is retired"),
                    step("test_restore", "yes", "nothing of it is to be kept"),
                    step("drop", "unknown", "the server was not asked who else reads it")
                ]),
                json!(["no declared pipeline needs it any more"]),
            ),
            None => (
                json!([
                    step("stop_writes", "unknown", "nothing declared reads it; the server was not asked"),
                    step("revoke_reads", "unknown", "nothing declared reads it; the server was not asked"),
                    step("test_restore", "unknown", "nobody decided what becomes of it"),
                    step("drop", "unknown", "the server was not asked who else reads it")
                ]),
                json!(["nothing declared reads it; the server was not asked", "nobody answers for it"]),
            ),
        };
        json!({"id": id, "server": server, "declared": true, "disposition": disposition, "owner": owner,
            "retain_until": disposition.filter(|d| *d == "archive").map(|_| "2030-12-31"), "verdict": verdict,
            "reasons": reasons, "needed_by": needed, "released_by": [], "steps": steps})
    };
    let note = "the servers were not asked what stands in them and who reads it: this report knows only what the \
                mappings and dualrun.toml declare, and an asset that nobody declared is not in it";
    serde_json::from_value(json!({"schema": "dualrun.readiness/1", "project": "Green ITOps migration",
        "environment": "prod", "as_of": "2025-03-05", "ready": false,
        "verdict": "not ready: 3 of 6 assets are still needed, and 2 are blocked by what is not known or decided",
        "servers_asked": false, "servers_note": note, "counts": {"needed": 3, "blocked": 2, "ready": 1},
        "servers": [
            {"server": "mongodb", "counts": {"needed": 2, "blocked": 1, "ready": 1},
             "verdict": "2 of 4 assets are still needed, and 1 are blocked by what is not known or decided"},
            {"server": "postgres", "counts": {"needed": 1, "blocked": 1, "ready": 0},
             "verdict": "1 of 2 assets are still needed, and 1 are blocked by what is not known or decided"}],
        "reasons": ["mongodb: 2 of 4 assets are still needed", "postgres: 1 of 2 assets are still needed", note],
        "assets": [
            asset("mongodb:core.cloud_usage", "needed", Some("data-platform"), Some("archive"), Some("cloud-usage")),
            asset("mongodb:core.page_views", "needed", Some("data-platform"), Some("migrate"), Some("web-page-views")),
            asset("mongodb:core.tag_rules", "blocked", None, None, None),
            asset("mongodb:core.seats", "ready", Some("finance"), Some("drop"), None),
            asset("postgres:public.emission_factors", "needed", Some("climate"), Some("archive"), Some("cloud-usage")),
            asset("postgres:public.audit|log", "blocked", None, Some("archive"), None)]}))
    .unwrap()
}
