//! The nightly job on the reference project: every exit code with what stands in the result file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_e2e::{state, tables};
use dualrun_testkit::{AS_OF, NIGHT, PERIOD, Project, command, filters};
use serde_json::{Value, json};

const GOLD: &str = "web-page-views/new/20_gold.sql";

/// The entry of a pipeline in the result of a night.
fn entry<'a>(night: &'a Value, pipeline: &str) -> &'a Value {
    let runs = night["runs"].as_array().unwrap();
    runs.iter().find(|run| run["pipeline"] == pipeline).unwrap()
}

/// The recorded report of a pipeline's only run.
fn report(project: &Project, pipeline: &str) -> Value {
    let mut runs = state::runs(project.path());
    runs.retain(|run| run.pipeline == pipeline);
    assert_eq!(runs.len(), 1, "runs of {pipeline}");
    runs.remove(0).report
}

#[test]
fn a_clean_night_agrees_and_is_not_run_twice() {
    let project = Project::approved();
    let (ran, night) = project.night(&[]);
    let ran = ran.exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("clean night", ran.stdout) });
    assert_eq!(night["schema"], "dualrun.night/1");
    assert_eq!((&night["period"], &night["as_of"]), (&json!(PERIOD), &json!(AS_OF)));
    assert_eq!(night["repeated"], false);
    assert_eq!(night["failure"], Value::Null);
    let runs = night["runs"].as_array().unwrap();
    assert_eq!(runs.iter().filter(|run| run["outcome"] == "agrees").count(), 9);
    // Its billing lines are of another year.
    assert_eq!(entry(&night, "cloud-cost")["exit_code"], 99);
    assert_eq!(entry(&night, "cloud-cost")["notes"], json!(["no input files on either side"]));
    let recorded = state::runs(project.path());
    assert_eq!(recorded.len(), 9);
    assert_eq!(state::check_evidence(project.path()).len(), 0);

    let before = state::stamps(&state::evidence(project.path()));
    let (again, repeated) = project.night(&[]);
    again.exits(0);
    assert_eq!(repeated["repeated"], true);
    assert_eq!(repeated["runs"], night["runs"]);
    assert_eq!(state::stamps(&state::evidence(project.path())), before, "a repeated night writes nothing");
    assert_eq!(state::runs(project.path()).len(), 9);
}

#[test]
fn a_night_stands_on_an_earlier_one_where_no_file_changed() {
    let project = Project::approved();
    // A file younger than two seconds could change once more and look the same.
    std::thread::sleep(std::time::Duration::from_secs(3));
    project.night(&[]).0.exits(0);
    let later = |as_of: &str| {
        let ran = project.dualrun(&["nightly", "--period", PERIOD, "--as-of", as_of, "--format", "json"]);
        let night = ran.exits(0).json();
        let changed = night["runs"].as_array().unwrap().iter().filter(|run| run["unchanged"] == false);
        let changed: Vec<String> = changed.map(|run| run["pipeline"].as_str().unwrap().to_owned()).collect();
        (night["unchanged"].as_u64().unwrap(), changed)
    };
    assert_eq!(later("2025-03-12"), (9, vec!["cloud-cost".to_owned()]));
    // The same bytes in a new file.
    let file = "data/lake/bronze/cloudUsage.aws/day=2025-03-10/part-3.parquet";
    let bytes = std::fs::read(project.path().join(file)).unwrap();
    project.write(file, bytes);
    assert_eq!(later("2025-03-13"), (8, vec!["aws-compute".to_owned(), "cloud-cost".to_owned()]));
    assert_eq!(state::runs(project.path()).len(), 27);
    assert_eq!(state::check_evidence(project.path()).len(), 0);
    project
        .dualrun(&["nightly", "--period", PERIOD, "--as-of", "2025-03-14", "-p", "gcp-memory"])
        .exits(0)
        .says("nothing changed since an earlier night in 1 of 1 run: its verdicts stand");
    project
        .dualrun(&["run", "-p", "device-use", "--period", PERIOD, "--as-of", "2025-03-14"])
        .exits(0)
        .says("note: nothing changed since the night of 2025-03-11");
}

#[test]
fn quiet_json_leaves_standard_error_empty() {
    let project = Project::approved();
    let (ran, night) = project.night(&["-p", "gcp-memory", "--format", "json", "--quiet"]);
    let ran = ran.exits(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(ran.json(), night, "standard output and result file say the same");
    assert_eq!(night["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_planted_bug_is_found_and_named() {
    let project = Project::approved();
    project.replace(GOLD, "    end as co2e_kg", "    end * 1000 as co2e_kg");
    let (ran, night) = project.night(&[]);
    ran.exits(1).says("unit scale in co2e_kg: new = 1000 × legacy");
    let bug = entry(&night, "web-page-views");
    assert_eq!((&bug["outcome"], &bug["exit_code"]), (&json!("differs"), &json!(1)));
    let findings = bug["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["signature"], "unit_scale");
    assert_eq!(findings[0]["detail"], "new = 1000 × legacy");
    assert_eq!(findings[0]["column"], "co2e_kg");
    assert_eq!(findings[0]["where"], "true");
    assert_eq!(findings[0]["customers"], 40);
    assert_eq!(findings[0]["share_of_unexplained"], 1.0);
    let others = night["runs"].as_array().unwrap().iter().filter(|run| run["outcome"] == "agrees");
    assert_eq!(others.count(), 8, "the other pipelines are not touched");

    // A parity failure is never retried by itself: the same night answers with its recorded code.
    let (again, repeated) = project.night(&[]);
    again.exits(1);
    assert_eq!(repeated["repeated"], true);
    assert_eq!(repeated["runs"], night["runs"]);

    // Repaired, it is another night of the same day.
    project.replace(GOLD, "    end * 1000 as co2e_kg", "    end as co2e_kg");
    let (repaired, night) = project.night(&[]);
    repaired.exits(0);
    assert_eq!(night["repeated"], false);
}

#[test]
fn a_failed_data_check_is_a_difference() {
    let project = Project::approved();
    project.replace("gcp-memory/mapping.toml", "[legacy]\nengine", "[[check]]\nside = \"new\"\nname = \"nothing is emitted\"\nsql = \"select count(*) from result where co2e_kg > 0\"\n\n[legacy]\nengine");
    let (ran, night) = project.night(&["-p", "gcp-memory"]);
    ran.exits(1);
    let run = entry(&night, "gcp-memory");
    assert_eq!(run["failed_checks"], json!(["nothing is emitted (new)"]));
    assert_eq!(run["exit_code"], 1);
    assert_eq!(run["findings"], json!([]));
}

#[test]
fn a_late_file_makes_one_customer_not_comparable() {
    let project = Project::approved();
    let file = "data/lake/bronze/webStats/day=2025-03-10/part-3.parquet";
    let content = std::fs::read(project.path().join(file)).unwrap();
    project.remove(file);
    let (ran, night) = project.night(&[]);
    ran.exits(4);
    let run = entry(&night, "web-page-views");
    assert_eq!((&run["outcome"], &run["exit_code"]), (&json!("not_comparable"), &json!(4)));
    assert_eq!(run["customers_not_comparable"], 1);

    let report = report(&project, "web-page-views");
    let input = &report["inputs"][0];
    assert_eq!(input["name"], "web_stats");
    assert_eq!(input["comparable"], false);
    assert_eq!(
        input["not_comparable"],
        json!([{"customer": "nordlicht-de", "legacy_rows": 1, "new_rows": 0}])
    );
    let customers = report["customers"].as_array().unwrap();
    assert_eq!(customers.len(), 40);
    let verdict = |wanted: &str| customers.iter().filter(|c| c["verdict"] == wanted).count();
    assert_eq!(verdict("not_comparable"), 1);
    assert_eq!(
        verdict("equal") + verdict("within_tolerance") + verdict("explained"),
        39,
        "the others are compared"
    );
    assert_eq!(report["findings"], json!([]), "a late file is no mismatch");

    // The file arrives, and the same command ends well.
    project.write(file, content);
    let (ran, night) = project.night(&[]);
    ran.exits(0);
    assert_eq!(night["repeated"], false);
    assert_eq!(entry(&night, "web-page-views")["outcome"], "agrees");
}

#[test]
fn a_file_that_arrives_is_taken_although_another_pipeline_differs() {
    let project = Project::approved();
    project.replace(GOLD, "    end as co2e_kg", "    end * 1000 as co2e_kg");
    let file = "data/lake/bronze/cloudUsage.aws/day=2025-03-10/part-3.parquet";
    let content = std::fs::read(project.path().join(file)).unwrap();
    project.remove(file);
    let pipelines = ["-p", "aws-compute", "-p", "web-page-views"];
    let (ran, night) = project.night(&pipelines);
    ran.exits(1);
    assert_eq!(entry(&night, "aws-compute")["outcome"], "not_comparable");

    project.write(file, content);
    let (ran, night) = project.night(&pipelines);
    ran.exits(1);
    assert_eq!(entry(&night, "aws-compute")["outcome"], "agrees");
    assert_eq!(night["repeated"], false);
    assert_eq!(project.night(&pipelines).1["repeated"], true, "now there is nothing to wait for");
}

#[test]
fn a_customer_behind_an_object_id_is_named_in_the_fence() {
    let project = Project::approved();
    let readings = "data/lake/bronze/powerReadings/day=2025-03-10/part-0.parquet";
    let before = tables::read(&project.path().join(readings));
    let customer = tables::texts(&before, "customerId").remove(0);
    assert_eq!(customer.len(), 24, "an ObjectId as hex");
    let dropped = tables::drop_rows(&project.path().join(readings), "customerId", &customer);
    assert!(dropped > 0);

    let (ran, night) = project.night(&["-p", "server-power"]);
    ran.exits(4);
    assert_eq!(entry(&night, "server-power")["customers_not_comparable"], 1);
    let report = report(&project, "server-power");
    let differs = report["inputs"][0]["not_comparable"].as_array().unwrap();
    assert_eq!(differs.len(), 1);
    let legacy = differs[0]["legacy_rows"].as_u64().unwrap();
    assert_eq!(differs[0]["new_rows"].as_u64().unwrap() + dropped as u64, legacy);
    let name = differs[0]["customer"].as_str().unwrap();
    assert!(name.contains('-'), "{name} is the name of a customer, not its ObjectId");
    let customers = report["customers"].as_array().unwrap();
    let fenced: Vec<&Value> = customers.iter().filter(|c| c["verdict"] == "not_comparable").collect();
    assert_eq!(fenced.len(), 1);
    assert_eq!(fenced[0]["customer"], name);
    assert!(customers.iter().filter(|c| c["verdict"] == "explained").count() > 5, "the others are compared");
}

#[test]
fn an_unapproved_change_waits_for_review() {
    let project = Project::reference();
    let (ran, night) = project.night(&["-p", "gcp-memory"]);
    ran.exits(5).says("review pending");
    assert_eq!(entry(&night, "gcp-memory")["outcome"], "review_pending");
    let report = report(&project, "gcp-memory");
    assert_eq!(report["reviews"]["MC-33"], "proposed");
    assert_eq!(report["bridge"][0]["approved"], false);
    assert_eq!(report["rows"]["unexplained"], 0);

    // The same night is asked again: a review may have ended.
    let (again, night) = project.night(&["-p", "gcp-memory"]);
    again.exits(5);
    assert_eq!(night["repeated"], false);
    assert_eq!(state::runs(project.path()).len(), 1, "asked again, not run again");
}

#[test]
fn a_store_that_cannot_be_written_is_infrastructure() {
    let mut stores = vec!["blocked/evidence"];
    if cfg!(target_os = "linux") {
        // Listed like an empty folder, and every write is refused, also to root.
        stores.push("/proc/dualrun");
    }
    for store in stores {
        let project = Project::approved();
        project.write("blocked", "a file where the store's folder should be");
        project.append("dualrun.toml", &format!("\n[store]\nurl = \"{store}\"\n"));
        let (ran, night) = project.night(&["-p", "gcp-memory", "-p", "web-page-views"]);
        ran.exits(3);
        for pipeline in ["gcp-memory", "web-page-views"] {
            let run = entry(&night, pipeline);
            assert_eq!((&run["outcome"], &run["exit_code"]), (&json!("failed"), &json!(3)), "{store}");
            assert_eq!(run["failure"]["stage"], "record", "{store}");
            assert_eq!(run["failure"]["retryable"], true, "{store}");
            assert!(run["failure"]["hint"].as_str().unwrap().contains("store.url"), "{store}");
        }
        let finished = state::runs(project.path()).into_iter().filter(|run| run.outcome != "failed");
        assert_eq!(finished.count(), 0, "nothing is recorded as finished without evidence");
    }
}

#[test]
fn the_same_night_ends_well_once_the_store_is_back() {
    let project = Project::approved();
    project.write(".dualrun/evidence", "a file where the store's folder should be");
    project.night(&["-p", "gcp-memory"]).0.exits(3);
    project.remove(".dualrun/evidence");
    let (ran, night) = project.night(&["-p", "gcp-memory"]);
    ran.exits(0);
    assert_eq!(night["repeated"], false);
    let finished: Vec<_> =
        state::runs(project.path()).into_iter().filter(|run| run.outcome != "failed").collect();
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].outcome, "agrees");
    let status = project.dualrun(&["status", "--format", "json"]).exits(0).json();
    let pipeline = status["pipelines"].as_array().unwrap().iter().find(|p| p["id"] == "gcp-memory").unwrap();
    assert_eq!(pipeline["last_outcome"], "agrees", "the attempt that failed counts no more");
    assert_eq!(pipeline["streak"]["nights"], 1);
}

#[test]
fn a_broken_mapping_is_configuration() {
    let project = Project::approved();
    project.replace("web-page-views/mapping.toml", "[new]\nengine = \"sql\"", "[new]\nengin = \"sql\"");
    let (ran, night) = project.night(&[]);
    ran.exits(2).complains("web-page-views/mapping.toml:").complains("did you mean `engine`?");
    assert_eq!(night["failure"]["stage"], "plan");
    assert_eq!(night["failure"]["retryable"], false);
    assert!(night["failure"]["message"].as_str().unwrap().contains("engin"));
    assert_eq!(night["runs"], json!([]));
}

#[test]
fn sql_that_does_not_run_is_configuration_of_its_pipeline_only() {
    let project = Project::approved();
    project.replace(GOLD, "    end as co2e_kg", "    end + no_such_column as co2e_kg");
    let (ran, night) = project.night(&["-p", "gcp-memory", "-p", "web-page-views"]);
    ran.exits(2);
    let run = entry(&night, "web-page-views");
    assert_eq!(run["exit_code"], 2);
    assert!(run["failure"]["message"].as_str().unwrap().contains("no_such_column"));
    assert_eq!(entry(&night, "gcp-memory")["outcome"], "agrees", "the other pipeline is run all the same");
}

#[test]
fn wrong_arguments_and_missing_projects_are_usage() {
    let project = Project::approved();
    let (ran, night) = project.night(&["-p", "no-such-pipeline"]);
    ran.exits(2).complains("no-such-pipeline");
    assert!(night["failure"]["message"].as_str().unwrap().contains("no-such-pipeline"));
    project.remove("dualrun.toml");
    let (ran, night) = project.night(&[]);
    ran.exits(2).complains("no dualrun.toml");
    assert_eq!(night["exit_code"], 2);
}

#[test]
fn a_second_process_has_nothing_to_do_while_the_first_runs() {
    let project = Project::approved();
    let path = project.path().display().to_string();
    let mut first = command(NIGHT.iter().copied().chain(["--project", path.as_str()])).spawn().unwrap();
    // The night has begun once it has left its first mark in the evidence.
    while !state::evidence(project.path()).exists() {
        assert!(first.try_wait().unwrap().is_none(), "the first night ended before the second began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let (second, night) = project.night(&[]);
    let first = first.wait_with_output().unwrap();
    second.exits(99);
    assert_eq!(night["runs"], json!([]));
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(state::runs(project.path()).len(), 9);
}
