//! Methodology changes on the reference project: told apart from bugs, and held to what they promise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_testkit::Project;
use serde_json::Value;

const TELECOM: [&str; 7] = ["run", "-p", "telecom-lines", "--period", "2025-02", "--as-of", "2025-03-02"];
const TELECOM_GOLD: &str = "telecom-lines/new/20_gold.sql";

/// Runs telecom-lines for a closed month and gives its report as `explain` tells it.
fn telecom(project: &Project, code: i32) -> Value {
    project.dualrun(&TELECOM).exits(code);
    project.dualrun(&["explain", "telecom-lines", "--format", "json"]).exits(0).json()
}

fn bridge<'a>(report: &'a Value, change: &str, column: &str) -> &'a Value {
    let entries = report["bridge"].as_array().unwrap();
    entries.iter().find(|e| e["change"] == change && e["column"] == column).unwrap()
}

fn column<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no figure")).parse().unwrap()
}

#[track_caller]
fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0), "{found} instead of {wanted}");
}

/// Legacy plus what each change moved plus what none accounts for is new. `one_sided` rows enter with their value.
#[track_caller]
fn bridge_closes(report: &Value, measure: &str, unexplained: f64) {
    let total = column(report, measure);
    let entries = report["bridge"].as_array().unwrap().iter().filter(|e| e["column"] == measure);
    let moved: f64 = entries.map(|e| number(&e["effect"])).sum();
    near(number(&total["legacy_total"]) + moved + unexplained, number(&total["new_total"]));
}

#[test]
fn a_bug_beside_a_change_is_found_with_its_size() {
    // The same night without the bug, for the effect of the changes.
    let clean = Project::approved();
    let args = ["run", "-p", "web-page-views", "--period", "2025-03-10", "--as-of", "2025-03-11"];
    clean.dualrun(&args).exits(0);
    let clean = clean.dualrun(&["explain", "web-page-views", "--format", "json"]).exits(0).json();
    assert_eq!(clean["findings"], Value::Array(vec![]));
    bridge_closes(&clean, "co2e_kg", 0.0);

    // A constant offset in the results of both models of the switch, so in cells that MC-01 moves as well.
    let project = Project::approved();
    project.replace("web-page-views/new/20_gold.sql", "    end as co2e_kg", "    end + 0.25 as co2e_kg");
    project.dualrun(&args).exits(1).says("new = legacy + 0.25");
    let report = project.dualrun(&["explain", "web-page-views", "--format", "json"]).exits(0).json();

    let rows = report["rows"]["paired"].as_u64().unwrap();
    assert_eq!(rows, clean["rows"]["paired"].as_u64().unwrap());
    assert_eq!(report["rows"]["unexplained"].as_u64().unwrap(), rows);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["signature"], "constant_offset");
    assert_eq!(findings[0]["detail"], "new = legacy + 0.25");
    assert_eq!(findings[0]["column"], "co2e_kg");
    assert_eq!(findings[0]["rows"].as_u64().unwrap(), rows);
    assert_eq!(findings[0]["share_of_unexplained"], 1.0);
    let size = 0.25 * rows as f64;
    near(number(&findings[0]["gross"]), size);
    near(number(&column(&report, "co2e_kg")["gross_unexplained"]), size);

    // The changes have the effect that they have without the bug, and the bridge closes with the bug beside them.
    for change in ["MC-01", "MC-211"] {
        let (with, without) = (bridge(&report, change, "co2e_kg"), bridge(&clean, change, "co2e_kg"));
        near(number(&with["effect"]), number(&without["effect"]));
        assert!(number(&with["effect"]).abs() > 1.0, "{change} moves these cells as well");
        assert_eq!(with["approved"], true);
    }
    bridge_closes(&report, "co2e_kg", size);
    // What the changes move and the bug does not touch is still explained.
    assert_eq!(column(&report, "kwh")["unexplained"], 0);
    assert!(column(&report, "kwh")["explained"].as_u64().unwrap() > 0);
}

#[test]
fn a_bug_that_cancels_a_change_is_found_although_the_sums_agree() {
    // MC-33 raises memory by 1.073741824; the bug takes exactly that away again, so that new equals legacy.
    let project = Project::approved();
    project.replace(
        "gcp-memory/new/20_gold.sql",
        "select customer_id, project,",
        "select customer_id, project,",
    );
    project.replace(
        "gcp-memory/new/20_gold.sql",
        "byte_seconds / 3600 /",
        "byte_seconds / 1.073741824 / 3600 /",
    );
    let args = ["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11"];
    project.dualrun(&args).exits(1);
    let report = project.dualrun(&["explain", "gcp-memory", "--format", "json"]).exits(0).json();
    for name in ["gb_h", "kwh", "co2e_kg"] {
        let column = column(&report, name);
        near(number(&column["legacy_total"]), number(&column["new_total"]));
        assert!(number(&column["gross_unexplained"]) > 0.0, "{name}");
    }
    assert_eq!(report["rows"]["equal"], 0);
    let ratio = report["findings"].as_array().unwrap().iter().find(|f| f["column"] == "co2e_kg").unwrap();
    assert_eq!(ratio["signature"], "constant_ratio");
    assert!(ratio["detail"].as_str().unwrap().contains("0.931322575"), "{ratio}");
}

#[test]
fn a_closed_month_as_declared_is_explained() {
    let report = telecom(&Project::approved(), 0);
    assert_eq!(report["outcome"], "agrees");
    assert_eq!(report["findings"], Value::Array(vec![]));
    // The rows that MC-202 removes are explained by it.
    assert!(report["rows"]["only_legacy"].as_u64().unwrap() > 100);
    assert_eq!(report["rows"]["one_sided"]["explained"], report["rows"]["only_legacy"]);
    for change in ["MC-26", "MC-202"] {
        assert_eq!(bridge(&report, change, "co2e_kg")["promise"], "kept");
    }
    bridge_closes(&report, "co2e_kg", 0.0);
}

#[test]
fn a_change_without_any_effect_breaks_its_promise() {
    let project = Project::approved();
    // The new calculation has the parameter and does nothing with it.
    project.replace(TELECOM_GOLD, "$network_factors_edition = 'lca'", "$network_factors_edition = 'not yet'");
    let ran = project.dualrun(&TELECOM).exits(5);
    assert!(
        ran.stdout.contains("MC-26 in co2e_kg: moved no cell of co2e_kg in a closed month"),
        "{}",
        ran.stdout
    );
    let report = project.dualrun(&["explain", "telecom-lines", "--format", "json"]).exits(0).json();
    let idle = bridge(&report, "MC-26", "co2e_kg");
    assert_eq!((idle["promise"].as_str(), idle["effect"].as_str()), (Some("broken"), Some("0")));
    assert_eq!(idle["approved"], false, "a broken promise counts as not approved");
    assert_eq!(idle["cells"], 0);
    assert!(idle["broken"][0].as_str().unwrap().starts_with("moved no cell of co2e_kg"));
    assert_eq!(report["findings"], Value::Array(vec![]), "it is no bug of the migration");
}

#[test]
fn an_open_month_breaks_no_promise_by_silence() {
    let project = Project::approved();
    project.replace("gcp-memory/new/20_gold.sql", "$memory_gb = 'decimal'", "$memory_gb = 'not yet'");
    let args = ["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11"];
    project.dualrun(&args).exits(0);
    let report = project.dualrun(&["explain", "gcp-memory", "--format", "json"]).exits(0).json();
    assert_eq!(bridge(&report, "MC-33", "co2e_kg")["promise"], "not_yet_known");
}

#[test]
fn a_change_that_moves_rows_outside_of_its_scope_breaks_its_promise() {
    let project = Project::approved();
    project.replace("methodology/MC-26.toml", "where = \"true\"", "where = \"line_type = 'mobile'\"");
    project.approve("MC-26");
    let report = telecom(&project, 5);
    let entry = bridge(&report, "MC-26", "co2e_kg");
    assert_eq!(entry["promise"], "broken");
    assert_eq!(entry["approved"], false);
    let broken = entry["broken"][0].as_str().unwrap();
    assert!(broken.contains("outside of line_type = 'mobile'"), "{broken}");
    assert_eq!(report["outcome"], "review_pending");
    assert_eq!(report["rows"]["unexplained"], 0);
}

#[test]
fn a_change_beyond_its_bounds_breaks_its_promise() {
    let project = Project::approved();
    project.replace(
        "methodology/MC-33.toml",
        "relative = { min = 0.0737, max = 0.0738 }",
        "relative = { min = 0.01, max = 0.02 }",
    );
    project.approve("MC-33");
    let args = ["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11"];
    project.dualrun(&args).exits(5);
    let report = project.dualrun(&["explain", "gcp-memory", "--format", "json"]).exits(0).json();
    let entry = bridge(&report, "MC-33", "kwh");
    assert_eq!(entry["promise"], "broken");
    assert!(entry["broken"][0].as_str().unwrap().contains("outside of"), "{entry}");
}

#[test]
fn a_rejected_change_is_a_difference() {
    let project = Project::approved();
    let reject =
        ["review", "reject", "MC-33", "--reviewer", "x.reviewer", "--reason", "the unit is still discussed"];
    project.dualrun(&reject).exits(0);
    let args = ["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11"];
    let report = project.dualrun(&[args.as_slice(), &["--format", "json"]].concat()).exits(1).json();
    assert_eq!(report["outcome"], "differs");
    assert_eq!(report["reviews"]["MC-33"], "rejected");
    assert!(column(&report, "co2e_kg")["unexplained"].as_u64().unwrap() > 0);
}
