//! Calculations by a program, and results that already stand somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    fs,
    io::Read,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use dualrun_testkit::{Project, Ran, command, dualrun};
use serde_json::Value;

const MAPPING: &str = "energy/mapping.toml";
const SQL: &str = "[new]\nengine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]";
const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];

/// The new calculation of the template in awk: an edition as its argument, rows as CSV.
const CALCULATE: &str = r#"#!/bin/sh
set -e
[ "$DUALRUN_PERIOD_START" = 2025-03-01T00:00:00Z ] && [ "$DUALRUN_PERIOD_END" = 2025-03-02T00:00:00Z ]
[ -s "$DUALRUN_INPUT_METERS" ] && [ -s "$DUALRUN_INPUT_GRID" ]
grams=$(awk -F, -v e="$DUALRUN_GRID_EDITION" '$1 == "FR" && $2 == e { print $3 }' ../factors/grid.csv)
awk -F, -v OFS=, -v g="$grams" '
  NR > 1 { kwh[$2] += $5 }
  END {
    print "customer_id,day,country,kwh,co2e_kg"
    for (c in kwh) printf "%s,2025-03-01,FR,%.12g,%.12g\n", c, kwh[c], kwh[c] * g / 1000
  }' ../data/lake/meters.csv > "$DUALRUN_RESULT"
"#;

/// The template with another new side.
fn with_new(new: &str) -> Project {
    let project = Project::template();
    project.replace(MAPPING, SQL, &format!("[new]\n{new}"));
    project
}

/// The template with a shell script on its new side, and further keys.
fn with_script(script: &str, further: &str) -> Project {
    let line = "command = [\"sh\", \"new/calculate.sh\"]\nresult = { format = \"csv\" }";
    let project = with_new(&format!("engine = \"command\"\n{line}\n{further}"));
    project.write("energy/new/calculate.sh", script);
    project
}

/// What a run found, without ids and paths.
fn found(ran: &Ran) -> Value {
    let report = ran.json();
    serde_json::json!({
        "outcome": report["outcome"], "rows": report["rows"], "columns": report["columns"],
        "bridge": report["bridge"], "checks": report["checks"],
    })
}

fn json(project: &Project) -> Ran {
    project.dualrun(&[&RUN[..], &["--format", "json"]].concat())
}

#[test]
fn a_job_gives_what_the_same_models_give() {
    let by_models = json(&Project::template()).exits(5);
    let project = with_script(CALCULATE, "timeout = \"1m\"");
    project.dualrun(&["validate"]).exits(0).says("1 pipeline");
    let ran = json(&project).exits(5);
    assert_eq!(found(&ran), found(&by_models));

    // The script is part of the calculation: a change of it is another run.
    project.dualrun(&RUN).exits(5).complains("recorded before");
    project.replace("energy/new/calculate.sh", "kwh[c] * g / 1000", "kwh[c] * g");
    let changed = json(&project);
    assert_ne!(changed.json()["run_id"], ran.json()["run_id"]);
    changed.exits(1);
}

#[test]
fn a_job_that_fails_says_what_it_printed_and_keeps_secrets() {
    let script = "echo \"asking with $API_TOKEN\"; echo 'no such column: kwh' >&2; exit 7";
    let project = with_script(script, "env = [\"API_TOKEN\"]");
    let path = project.path().display().to_string();
    let result = project.at("result.json");
    let args = RUN.iter().copied().chain(["--project", &path, "--result-file", &result]);
    let ran = command(args).env("API_TOKEN", "token-in-the-environment").output().unwrap();
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(3), "{stderr}");
    for part in
        ["the command of the new side", "exit status: 7", "asking with ***", "no such column: kwh", "hint: "]
    {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    for file in ["result.json", ".dualrun/state.db"] {
        let text = String::from_utf8_lossy(&fs::read(project.path().join(file)).unwrap()).into_owned();
        assert!(!text.contains("token-in-the-environment"), "{file}");
    }
    assert!(!stderr.contains("token-in-the-environment"));
    let failure = serde_json::from_str::<Value>(&project.read("result.json")).unwrap()["failure"].clone();
    assert_eq!(failure["stage"], "calculate", "{failure}");

    // Without the variable the job is not even started.
    project.dualrun(&RUN).exits(2).complains("the variable API_TOKEN that `env` lists is not set");
}

#[test]
fn a_program_that_is_not_there_is_a_mistake_or_replaced_by_its_embedded_form() {
    let missing = "engine = \"command\"\ncommand = [\"dualrun-no-such-program\"]";
    with_new(missing).dualrun(&RUN).exits(2).complains("there is no program \"dualrun-no-such-program\"");

    let embedded = "embedded = { engine = \"sql\", models = [\"new/10_silver.sql\", \"new/20_gold.sql\"] }";
    let ran = json(&with_new(&format!("{missing}\n{embedded}"))).exits(5);
    assert_eq!(found(&ran), found(&json(&Project::template()).exits(5)));
    let note = "the new side was calculated in its embedded form, not by its command: there is no program \
                `dualrun-no-such-program`";
    assert!(ran.json()["notes"].as_array().unwrap().iter().any(|n| n == note), "{}", ran.json()["notes"]);
}

#[test]
fn a_job_is_stopped_by_its_time_limit() {
    let project = with_script("echo waiting; sleep 86421", "timeout = \"1s\"");
    project.dualrun(&RUN).exits(3).complains("was stopped after 1 s").complains("waiting");
    assert!(gone("86421"));
}

#[test]
fn a_job_ends_with_the_run_that_is_interrupted() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let project = with_script("sleep 86422 & sleep 86422", "");
        let path = project.path().display().to_string();
        let mut run =
            command(RUN.iter().copied().chain(["--project", &path])).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while !alive("86422") {
            assert!(started.elapsed() < Duration::from_secs(60), "the job was not started");
            std::thread::sleep(Duration::from_millis(20));
        }
        let killed = std::process::Command::new("sh")
            .args(["-c", &format!("kill -s {signal} {}", run.id())])
            .status()
            .unwrap();
        assert!(killed.success());
        let status = run.wait().unwrap();
        let mut said = String::new();
        run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(gone("86422"), "{signal}");
    }
}

#[test]
fn results_that_stand_somewhere_are_compared_and_replayed() {
    let relation = "engine = \"relation\"\nsource = \"lake\"\npath = \"gold/{grid_edition}/day={day}/\"";
    let project = with_new(relation);
    let gold = |edition: &str, g: f64| {
        let row = |customer: &str, kwh: f64| format!("{customer},2025-03-01,FR,{kwh},{}\n", kwh * g / 1000.0);
        let rows = row("acme-fr", 208.5) + &row("rivage-fr", 310.25);
        let file = format!("data/lake/gold/{edition}/day=2025-03-01/part-0.csv");
        project.write(&file, format!("customer_id,day,country,kwh,co2e_kg\n{rows}"));
    };
    gold("2025", 46.1);
    project
        .dualrun(&RUN)
        .exits(3)
        .complains("the relation of the new side")
        .complains("gold/2023/day=2025-03-01");
    gold("2023", 58.0);
    let ran = json(&project).exits(5);
    assert_eq!(found(&ran), found(&json(&Project::template()).exits(5)));
    project.dualrun(&RUN).exits(5).complains("recorded before");
    gold("2023", 57.0);
    json(&project).exits(1);
}

#[test]
fn the_python_job_of_the_reference_project_gives_the_rows_of_its_models() {
    let python =
        std::process::Command::new("python3").args(["-c", "import pyarrow"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "CI needs python3 with pyarrow");
        eprintln!("SKIPPED: there is no python3 with pyarrow");
        return;
    }
    let project = Project::reference();
    project.dualrun(&["validate", "--env", "live"]).exits(0).says("no mistakes");
    let of = |env: &str| {
        let run =
            ["run", "-p", "gcp-memory", "--period", "2025-03-10", "--as-of", "2025-03-11", "--env", env];
        let ran = project.dualrun(&[&run[..], &["--format", "json"]].concat());
        let report = ran.json();
        assert!(report["rows"]["new"].as_u64().unwrap() > 50, "{}", report["rows"]);
        let notes = report["notes"].to_string();
        assert!(!notes.contains("embedded"), "{notes}");
        let customers = report["customers_path"].as_str().unwrap().to_owned();
        (report, Path::new(&project.at(".dualrun/evidence")).join(customers).with_file_name("new.parquet"))
    };
    let ((models, by_models), (job, by_job)) = (of("default"), of("live"));
    assert_ne!(models["run_id"], job["run_id"]);
    for part in ["outcome", "rows", "checks"] {
        assert_eq!(models[part], job[part], "{part}");
    }
    let key = "customer_id,project,region,sku,usage_day";
    let (by_models, by_job) = (by_models.display().to_string(), by_job.display().to_string());
    dualrun(["diff", &by_models, &by_job, "--key", key, "--abs", "1e-12", "--rel", "1e-12"]).exits(0);
}

/// Whether a process with this marker among its arguments is there.
fn alive(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()))
}

fn gone(marker: &str) -> bool {
    let started = Instant::now();
    while alive(marker) {
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
