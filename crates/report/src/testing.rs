//! Realistic models for tests.

use dualrun_core::run::RunReport;
use serde_json::{Value, json};

mod project;

pub(crate) use project::{change, night, readiness, status};

const RUN: &str = "01957b2c-7d40-7c1e-9a35-2f6f0c9d4b11";

/// `to` with the fields of `from`, at any depth.
pub(crate) fn with(mut to: Value, from: Value) -> Value {
    merge(&mut to, from);
    to
}

fn merge(to: &mut Value, from: Value) {
    match (to, from) {
        (Value::Object(to), Value::Object(from)) => {
            for (key, value) in from {
                merge(to.entry(key).or_insert(Value::Null), value);
            }
        }
        (to, from) => *to = from,
    }
}

fn report(value: Value) -> RunReport {
    serde_json::from_value(value).unwrap()
}

fn rows(value: Value) -> Value {
    let none = json!({"legacy": 0, "new": 0, "paired": 0, "equal": 0, "within_tolerance": 0, "explained": 0,
        "pending": 0, "unexplained": 0, "only_legacy": 0, "only_new": 0, "null_keys": 0,
        "ambiguous_key": {"legacy": 0, "new": 0}, "one_sided": {"explained": 0, "pending": 0, "unexplained": 0}});
    with(none, value)
}

fn column(value: Value) -> Value {
    let none = json!({"kind": "measure", "equal": 0, "within_tolerance": 0, "explained": 0, "pending": 0,
        "unexplained": 0, "legacy_total": null, "new_total": null, "net_difference": null,
        "gross_difference": null, "gross_unexplained": null, "max_relative": null});
    with(none, value)
}

fn base() -> Value {
    json!({"schema": "dualrun.run/1", "run_id": RUN, "pipeline": "web-page-views", "period": "2025-03-04",
        "as_of": "2025-03-05", "environment": "prod", "outcome": "agrees", "rows": rows(json!({})), "columns": [],
        "customers": [], "customers_total": 0, "customers_path": null, "inputs": [], "bridge": [], "findings": [],
        "differences": {"path": null, "rows": 0, "truncated": false}})
}

/// The cell of a column that differs most.
fn largest(key: &[(&str, Option<&str>)], values: [Option<&str>; 4]) -> Value {
    let key: Vec<Value> =
        key.iter().map(|(column, value)| json!({"column": column, "value": value})).collect();
    let [legacy, new, difference, relative] = values;
    json!({"key": key, "legacy": legacy, "new": new, "difference": difference, "relative": relative})
}

/// 18 240 rows that agree, a few within tolerance.
pub(crate) fn agreeing() -> RunReport {
    report(with(
        base(),
        json!({
            "rows": rows(json!({"legacy": 18240, "new": 18240, "paired": 18240, "equal": 18221, "within_tolerance": 19})),
            "columns": [
                column(json!({"name": "co2e_kg", "unit": "kgCO2e", "equal": 18221, "within_tolerance": 19,
                    "legacy_total": "709.5513345", "new_total": "709.5513344", "net_difference": "-0.0000001",
                    "gross_difference": "0.0000004", "gross_unexplained": "0", "max_relative": "0.00000000021"})),
                column(json!({"name": "page_views", "equal": 18240, "legacy_total": "48213907", "new_total": "48213907",
                    "net_difference": "0", "gross_difference": "0", "gross_unexplained": "0", "max_relative": "0"})),
                column(json!({"name": "country", "kind": "attribute", "equal": 18240})),
            ],
            "customers_total": 42,
        }),
    ))
}

/// Everything that can be wrong in one run.
pub(crate) fn differing() -> RunReport {
    let effect = |change: &str, column: &str, effect: &str, relative: f64, approved: bool, promise: &str| {
        json!({"change": change, "column": column, "effect": effect, "relative": relative, "cells": 3120, "rows": 0,
            "approved": approved, "promise": promise})
    };
    let tablet = largest(
        &[("customer", Some("northwind")), ("day", Some("2025-03-04")), ("page", Some("/checkout"))],
        [Some("0.299909"), Some("299.909"), Some("299.609091"), Some("0.999")],
    );
    let phone = largest(
        &[("customer", None), ("day", Some("2025-03-04")), ("page", None)],
        [Some("40323.125"), Some("40321.875"), Some("-1.25"), Some("0.000031")],
    );
    let moved = largest(
        &[("customer", Some("initech")), ("day", Some("2025-03-04")), ("page", Some("/"))],
        [Some("FR "), Some("FR"), None, None],
    );
    report(with(
        base(),
        json!({
            "outcome": "differs",
            "rows": rows(json!({"legacy": 18243, "new": 18239, "paired": 18230, "equal": 12041, "within_tolerance": 19,
                "explained": 3120, "pending": 2810, "unexplained": 240, "only_legacy": 11, "only_new": 9, "null_keys": 1,
                "ambiguous_key": {"legacy": 2, "new": 0}, "one_sided": {"explained": 9, "pending": 0, "unexplained": 11}})),
            "columns": [
                column(json!({"name": "co2e_kg", "unit": "kgCO2e", "equal": 12041, "within_tolerance": 19,
                    "explained": 3120, "pending": 2810, "unexplained": 240, "legacy_total": "709.5513345",
                    "new_total": "884.0251102", "net_difference": "174.4737757", "gross_difference": "391.7",
                    "gross_unexplained": "303.91", "max_relative": "0.999", "largest": tablet})),
                column(json!({"name": "energy_kwh", "equal": 18230, "legacy_total": "12904.25", "new_total": "12904.25",
                    "net_difference": "0", "gross_difference": "12.5", "gross_unexplained": "0", "max_relative": "0",
                    "not_finite": 1, "offsetting": true})),
                column(json!({"name": "country", "kind": "attribute", "equal": 18230})),
            ],
            "customers": [
                {"customer": "northwind", "verdict": "unexplained", "rows": rows(json!({"legacy": 240, "new": 240})),
                 "columns": [column(json!({"name": "co2e_kg", "unexplained": 240, "net_difference": "299.61",
                    "max_relative": "0.999", "largest": tablet}))]},
                {"customer": "initech", "verdict": "unexplained", "rows": rows(json!({"legacy": 77, "new": 77})),
                 "columns": [column(json!({"name": "co2e_kg", "equal": 77, "net_difference": "0", "max_relative": "0"})),
                    column(json!({"name": "country", "kind": "attribute", "unexplained": 1, "largest": moved}))]},
                {"customer": "Globex \u{1b}[31m GmbH", "verdict": "not_comparable",
                 "rows": rows(json!({"legacy": 410, "new": 398})), "columns": []},
                {"customer": null, "verdict": "pending", "rows": rows(json!({"legacy": 12, "new": 12})),
                 "columns": [column(json!({"name": "co2e_kg", "pending": 12, "net_difference": "-1.25",
                    "max_relative": "0.000031", "largest": phone}))]},
            ],
            "customers_total": 42,
            "inputs": [
                {"name": "page_views", "role": "activity", "fence": "content", "comparable": false,
                 "customers_not_comparable": 12, "rows": {"legacy": 48213, "new": 48201}, "misfits": {"legacy": 3, "new": 0},
                 "not_comparable": [{"customer": "globex", "legacy_rows": 410, "new_rows": 398},
                    {"customer": "initech", "legacy_rows": 77, "new_rows": 77}]},
                {"name": "grid_factors", "role": "factor", "fence": "edition", "comparable": true,
                 "customers_not_comparable": 0},
            ],
            "bridge": [
                effect("MC-2025-02", "co2e_kg", "-110.2", -0.1553, true, "kept"),
                with(effect("MC-2025-03", "co2e_kg", "-14.9362243", -0.02105, false, "broken"),
                    json!({"standard_error": "0.25",
                        "broken": ["it moves 12 rows outside of its condition `country = 'FR' and device = 'mobile'`"]})),
            ],
            "findings": [
                {"id": "f1", "signature": "unit_scale", "detail": "new = 1000 × legacy", "where": "device = 'tablet'",
                 "column": "co2e_kg", "rows": 240, "customers": 1, "share_of_unexplained": 0.99996, "gross": "299.61"},
                {"id": "f2", "signature": "missing_segment",
                 "detail": "rows of one data centre are on the legacy side only, and every other data centre of the same \
                    customer and day is on both sides", "where": "site = 'par-02'", "column": "presence", "rows": 11,
                 "customers": 3, "share_of_unexplained": 1.0, "gross": null},
            ],
            "checks": [{"name": "no negative emissions", "side": "new", "passed": false, "count": 4},
                {"name": "every country has a factor", "side": "new", "passed": true, "count": 0}],
            "differences": {"path": "s3://dualrun/runs/pipeline=web-page-views/period=2025-03-04/differences.parquet",
                "rows": 6191, "truncated": false},
            "notes": ["1 row of the new side lies outside of the period and was left out"],
        }),
    ))
}

/// A run that could not reach its database.
pub(crate) fn failed() -> RunReport {
    report(with(
        base(),
        json!({"outcome": "failed", "failure": {"stage": "fence",
        "message": "source legacy_mongo cannot be read: server selection timed out after 30 s: no primary is \
            reachable in the replica set rs0 of mongo-1.internal:27017",
        "hint": "check that the address in dualrun.toml is reachable from here: dualrun doctor", "retryable": true}}),
    ))
}

/// Two files with columns on one side only.
pub(crate) fn one_sided() -> RunReport {
    report(with(
        base(),
        json!({"pipeline": null, "period": null, "as_of": null, "outcome": "differs",
        "rows": rows(json!({"legacy": 3, "new": 3, "paired": 3, "equal": 3})),
        "columns": [
            column(json!({"name": "kwh", "equal": 3, "legacy_total": "0.0000001", "new_total": "0.0000001",
                "net_difference": "0", "gross_difference": "0", "gross_unexplained": "0", "max_relative": "0"})),
            column(json!({"name": "old_code", "kind": "legacy_only"})),
            column(json!({"name": "pue", "kind": "new_only"})),
            column(json!({"name": "wue", "kind": "new_only"})),
        ]}),
    ))
}

/// Two files whose differences were stored up to a cap, with a long key and with values that only their last digits
/// tell apart.
pub(crate) fn without_customers() -> RunReport {
    let path = "/services/green-it/catalogue/hardware/servers/rack/2u/configuration/eu-west-3/par-02";
    let key = [("account", Some("4711")), ("path", Some(path)), ("metered_at", Some("2025-03-30T01:00:00Z"))];
    let digit = [
        Some("12345678901234567890.123456789012345678"),
        Some("12345678901234567890.123456789012345679"),
        Some("0.000000000000000001"),
        Some("0.000000000000000000000000000000000000081"),
    ];
    report(with(
        base(),
        json!({"pipeline": null, "period": null, "as_of": null, "outcome": "differs",
        "rows": rows(json!({"legacy": 90310, "new": 90309, "paired": 90300, "equal": 50300, "unexplained": 40000,
            "only_legacy": 7, "only_new": 8, "ambiguous_key": {"legacy": 3, "new": 1},
            "one_sided": {"explained": 0, "pending": 0, "unexplained": 15}})),
        "columns": [
            column(json!({"name": "kwh", "equal": 50300, "unexplained": 40000, "legacy_total": "12345678901234567890.5",
                "new_total": "12345678901234567890.6", "net_difference": "0.1", "gross_difference": "0.1",
                "gross_unexplained": "0.1", "max_relative": "0.000000000000000000000000000000000000081",
                "largest": largest(&key, digit)})),
            column(json!({"name": "litres", "equal": 90300, "legacy_total": "7", "new_total": "0", "net_difference": "-7",
                "gross_difference": "7", "gross_unexplained": "7", "max_relative": "1",
                "largest": largest(&key, [Some("7"), None, Some("-7"), Some("1")])})),
            column(json!({"name": "source", "kind": "attribute", "equal": 90299, "unexplained": 1,
                "largest": largest(&key, [Some(""), Some("grid, residual\nmix"), None, None])})),
            column(json!({"name": "pue", "equal": 90300, "legacy_total": "1", "new_total": "1", "net_difference": "0",
                "gross_difference": "0", "gross_unexplained": "0", "max_relative": "0"})),
        ],
        "differences": {"path": "differences.parquet", "rows": 1000, "truncated": true}}),
    ))
}
