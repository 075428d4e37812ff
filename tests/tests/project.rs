//! What the project says of itself: mistakes, the plan, status, readiness, reviews.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_testkit::{Project, filters};
use serde_json::{Value, json};

/// The reference project after two nights of two pipelines: one clean, one with a bug.
fn lived_in() -> Project {
    let project = Project::approved();
    project.replace("web-page-views/new/20_gold.sql", "    end as co2e_kg", "    end * 1000 as co2e_kg");
    for (day, night) in [("2025-03-09", "2025-03-10"), ("2025-03-10", "2025-03-11")] {
        let pipelines = ["-p", "gcp-memory", "-p", "web-page-views"];
        project
            .dualrun(&[["nightly", "--period", day, "--as-of", night].as_slice(), &pipelines].concat())
            .exits(1);
    }
    project
}

#[test]
fn the_reference_project_and_the_template_are_valid() {
    Project::reference().dualrun(&["validate"]).exits(0).says("10 pipelines");
    let json = Project::template().dualrun(&["validate", "--format", "json"]).exits(0).json();
    assert_eq!(json["errors"], 0, "{json}");
}

#[test]
fn all_mistakes_are_said_at_once() {
    let project = Project::template();
    let second = project.read("energy/mapping.toml").replace("id = \"energy\"", "id = \"water\"");
    project.write("water/mapping.toml", second.replace("\"new/20_gold.sql\"", "\"new/30_platinum.sql\""));
    let third = project.read("energy/mapping.toml").replace("id = \"energy\"", "id = \"gas\"");
    project.write("gas/mapping.toml", third.replacen("absolute = 1e-6", "absolute = -1e-6", 1));
    project.replace("energy/mapping.toml", "phase = 1", "phase = 1\nfase = 2");
    project.replace("methodology/MC-1.toml", "parameter = \"grid_edition\"", "parameter = \"grid_version\"");
    project.write(
        "methodology/MC-2.toml",
        project.read("methodology/MC-1.toml").replace("MC-1", "MC-2").replace("2025-01-01", "\"soon\""),
    );
    project.replace(
        "dualrun.toml",
        "kind = \"csv\"\nurl = \"factors\"",
        "kind = \"excel\"\nurl = \"factors\"",
    );
    let ran = project.dualrun(&["validate"]).exits(2);
    for mistake in ["fase", "new/30_platinum.sql", "-0.000001", "grid_version", "soon", "excel"] {
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(mistake), "nothing about {mistake}");
    }
    insta::with_settings!({filters => filters()}, {
        insta::assert_snapshot!("mistakes", format!("{}--- standard error\n{}", ran.stdout, ran.stderr))
    });
    // A run refuses the project with the same words.
    project.dualrun(&["run", "-p", "energy", "--period", "2025-03-01"]).exits(2).complains("fase");
}

#[test]
fn what_needs_the_columns_of_a_result_is_checked_too() {
    let project = Project::template();
    project.replace(
        "energy/mapping.toml",
        "\"country\"]\ncustomer = \"customer_id\"",
        "\"town\"]\ncustomer = \"customer_id\"",
    );
    let ran = project.dualrun(&["validate"]).exits(2);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("town"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_plan_names_what_is_read_and_how_much_is_run() {
    let project = Project::reference();
    let ran = project.dualrun(&["plan", "--period", "2025-03-10"]).exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("plan", ran.stdout) });
    let json = project.dualrun(&["plan", "--period", "2025-03-10", "--format", "json"]).exits(0).json();
    assert!(json.to_string().contains("data/mongo/2025-03-10"), "{json}");
    assert!(!project.path().join(".dualrun/evidence").exists(), "a plan runs nothing");
}

#[test]
fn status_tells_phases_streaks_and_findings() {
    let project = lived_in();
    let ran = project.dualrun(&["status"]).exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("status", ran.stdout) });

    let status = project.dualrun(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(status["schema"], "dualrun.status/1");
    assert_eq!(status["as_of"], "2025-03-11");
    let of =
        |id: &str| status["pipelines"].as_array().unwrap().iter().find(|p| p["id"] == id).unwrap().clone();
    assert_eq!(
        (&of("gcp-memory")["last_outcome"], &of("gcp-memory")["streak"]["nights"]),
        (&json!("agrees"), &json!(2))
    );
    let bug = of("web-page-views");
    assert_eq!((&bug["last_outcome"], &bug["streak"]["nights"]), (&json!("differs"), &json!(0)));
    assert_eq!(bug["findings"][0]["signature"], "unit_scale");
    assert_eq!(bug["findings"][0]["first_seen"], "2025-03-10", "one finding, followed over both nights");
    assert_eq!(of("device-use")["last_outcome"], Value::Null);
    assert!(
        of("device-use")["gates"].as_array().unwrap().iter().all(|gate| gate["answer"] != "pass"),
        "never ran"
    );

    // As of the first night, the second had not been.
    let earlier = project.dualrun(&["status", "--as-of", "2025-03-10", "--format", "json"]).exits(0).json();
    let streaks =
        earlier["pipelines"].as_array().unwrap().iter().find(|p| p["id"] == "gcp-memory").unwrap().clone();
    assert_eq!(streaks["streak"]["nights"], 1);
}

#[test]
fn a_run_that_failed_blocks_once() {
    let project = Project::template();
    project.write("data/dump/meters.jsonl", "{\"id\": ");
    project.dualrun(&["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"]).exits(2);
    let status = project.dualrun(&["status", "--as-of", "2025-03-02", "--format", "json"]).exits(0).json();
    let blockers = status["blockers"].as_array().unwrap();
    let failed = blockers.iter().filter(|b| b.as_str().unwrap().contains("the run of 2025-03-01 failed"));
    assert_eq!(failed.count(), 1, "{blockers:#?}");
}

#[test]
fn status_is_one_self_contained_page() {
    let project = lived_in();
    let html = project.dualrun(&["status", "--format", "html"]).exits(0).stdout;
    assert!(html.to_lowercase().starts_with("<!doctype html>"), "{}", &html[..80.min(html.len())]);
    for part in ["gcp-memory", "web-page-views", "unit", "lang=\"en\"", "<title>"] {
        assert!(html.contains(part), "no {part}");
    }
    for foreign in ["<script src", "src=\"http", "@import", "url(http"] {
        assert!(!html.contains(foreign), "not self-contained: {foreign}");
    }
    let file = project.at("pages/status.html");
    let ran = project.dualrun(&["status", "--format", "html", "--output", &file]).exits(0);
    assert_eq!(ran.stdout, "");
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.ends_with("</html>\n") || written.ends_with("</html>"));
    assert_eq!(written.lines().count(), html.lines().count());
}

#[test]
fn readiness_tells_why_each_asset_is_still_needed() {
    let project = lived_in();
    let json = project.dualrun(&["readiness", "--format", "json"]).exits(0).json();
    assert_eq!(json["schema"], "dualrun.readiness/1");
    assert_eq!(json["ready"], false);
    let assets = json["assets"].as_array().unwrap();
    let of = |id: &str| assets.iter().find(|asset| asset["id"] == id).unwrap();
    assert_eq!(of("mongodb:core.webStats")["needed_by"][0]["pipeline"], "web-page-views");
    assert_eq!(of("mongodb:core.webStats")["verdict"], "needed");
    // What nobody decided about blocks: it is not ready.
    for unknown in ["mongodb:core.tagRules", "postgres:public.fx_rate"] {
        assert_ne!(of(unknown)["verdict"], "ready", "{unknown}");
    }
    let markdown = project.dualrun(&["readiness", "--format", "md"]).exits(0).stdout;
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("readiness", markdown) });
    let html = project.dualrun(&["readiness", "--format", "html"]).exits(0).stdout;
    assert!(html.to_lowercase().starts_with("<!doctype html>"));
    for asset in assets {
        let id = asset["id"].as_str().unwrap();
        assert!(html.contains(id) && markdown.contains(id), "{id} is missing in a rendering");
    }
}

#[test]
fn reviews_are_listed_and_shown() {
    let project = Project::approved();
    project.dualrun(&["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11"]).exits(0);
    project.append("methodology/MC-01.toml", "\n# edited after its approval\n");
    let ran = project.dualrun(&["review", "list"]).exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("review list", ran.stdout) });
    let shown = project.dualrun(&["review", "show", "MC-33"]).exits(0);
    for part in ["Memory in decimal gigabytes", "approved", "x.reviewer", "gcp-memory", "+7.37 %", "kept"] {
        assert!(shown.stdout.contains(part), "no {part:?} in\n{}", shown.stdout);
    }
    let list = project.dualrun(&["review", "list", "--format", "json"]).exits(0).json();
    assert!(list.to_string().contains("\"MC-01\""), "{list}");
    project.dualrun(&["review", "show", "MC-404"]).exits(2).complains("MC-404");
}

#[test]
fn a_format_that_a_command_does_not_have_is_usage() {
    let project = Project::template();
    for args in [["validate", "--format", "html"], ["plan", "--format", "md"], ["status", "--format", "md"]] {
        project.dualrun(&args).exits(2).complains("this command has no --format");
    }
}

#[test]
fn runs_that_nobody_recorded_are_said() {
    let project = Project::template();
    project.dualrun(&["explain", "energy"]).exits(2).complains("energy");
    project.dualrun(&["explain", "0190f3c6-0000-7000-8000-000000000000"]).exits(2);
    project.dualrun(&["explain", "a/b"]).exits(2);
}
