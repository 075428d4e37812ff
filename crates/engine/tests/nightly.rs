//! Whole nights: what is due, in which order, with which code, and what the stages make of it.

use std::sync::Arc;

use dualrun_core::{ExitCode, Outcome, Stage, night::NightReport};
use dualrun_engine::{EngineError, NightRequest, Silent, nightly, stages};

use crate::common::{MAPPING_FILE, SILVER_FILE, Setup, World, date, meters};

async fn try_night(world: &World, day: &str, only: &[&str]) -> Result<NightReport, EngineError> {
    let day = date(day);
    let pipelines = only.iter().map(|id| id.parse().unwrap()).collect();
    let request = NightRequest { day, as_of: day.tomorrow().unwrap(), pipelines, load: false };
    nightly(&world.context(), &request, Arc::new(Silent)).await
}

async fn night(world: &World, day: &str) -> NightReport {
    world.both(&format!("meters/{day}"), meters(day));
    try_night(world, day, &[]).await.unwrap()
}

fn stage(world: &World, status: &dualrun_tracker::model::Status) -> Stage {
    assert_eq!(status.pipelines.len(), world.context().project.pipelines.len());
    status.pipelines[0].stage
}

const BUG: &str = "kwh * 2 as kwh from";

#[tokio::test]
async fn runs_stand_in_the_order_of_pipelines_and_periods_and_the_worst_code_counts() {
    let setup = Setup::with_factor_change()
        .edit(MAPPING_FILE, "unit = \"day\" }", "unit = \"day\", recompute = 2 }")
        .and("alpha")
        .and("water")
        .edit("water/new/10_silver.sql", "kwh from", BUG);
    let world = World::new(setup);
    world.both("meters/2025-03-09", meters("2025-03-09"));
    let report = night(&world, "2025-03-10").await;
    let runs: Vec<_> =
        report.runs.iter().map(|r| (r.pipeline.to_string(), r.period.to_string(), r.exit_code)).collect();
    let run = |id: &str, day: &str, code| (id.to_owned(), day.to_owned(), code);
    assert_eq!(
        runs,
        [
            run("alpha", "2025-03-10", ExitCode::Agree),
            run("energy", "2025-03-08", ExitCode::Nothing),
            run("energy", "2025-03-09", ExitCode::ReviewPending),
            run("energy", "2025-03-10", ExitCode::ReviewPending),
            run("water", "2025-03-10", ExitCode::Differs),
        ]
    );
    assert_eq!(report.exit_code, ExitCode::Differs);
    assert!(!report.runs[4].findings.is_empty());
    assert_eq!(report.runs[1].notes, ["no input files on either side"]);
}

#[tokio::test]
async fn a_mistake_of_one_pipeline_sets_the_code_and_the_others_run() {
    let setup = Setup::plain().and("water").edit("water/legacy.sql", "m.kwh", "m.kw");
    let world = World::new(setup);
    let report = night(&world, "2025-03-10").await;
    assert_eq!(report.exit_code, ExitCode::Usage);
    assert_eq!(report.runs[0].outcome, Some(Outcome::Agrees));
    let failed = &report.runs[1];
    assert_eq!((failed.outcome, failed.run_id.as_ref()), (Some(Outcome::Failed), None));
    let failure = failed.failure.as_ref().unwrap();
    assert!(failure.message.contains("water/legacy.sql"), "{failure:?}");
    assert!(!failure.retryable);
}

#[tokio::test]
async fn a_pipeline_that_is_being_built_is_reported_and_does_not_set_the_code() {
    let built = |enforce: &str| {
        Setup::plain()
            .and("water")
            .edit("water/mapping.toml", "stage = \"dual_run\"", &format!("stage = \"building\"{enforce}"))
            .edit("water/new/10_silver.sql", "kwh from", BUG)
    };
    let report = night(&World::new(built("")), "2025-03-10").await;
    assert_eq!(report.exit_code, ExitCode::Agree);
    assert_eq!((report.runs[1].exit_code, report.runs[1].enforced), (ExitCode::Differs, false));
    let report = night(&World::new(built("\nenforce = true")), "2025-03-10").await;
    assert_eq!((report.exit_code, report.runs[1].enforced), (ExitCode::Differs, true));
}

#[tokio::test]
async fn planned_pipelines_are_not_due_and_unknown_ones_are_refused() {
    let setup =
        Setup::plain().and("water").edit("water/mapping.toml", "stage = \"dual_run\"", "stage = \"planned\"");
    let world = World::new(setup);
    assert_eq!(night(&world, "2025-03-10").await.runs.len(), 1);
    let error = try_night(&world, "2025-03-10", &["wind"]).await.unwrap_err();
    assert!(matches!(error, EngineError::UnknownPipeline(_)), "{error:?}");
    let only = try_night(&world, "2025-03-10", &["water"]).await.unwrap();
    assert_eq!((only.runs.len(), only.exit_code), (0, ExitCode::Nothing));
}

#[tokio::test]
async fn a_finished_night_answers_with_what_was_recorded() {
    let world = World::new(Setup::plain());
    let first = night(&world, "2025-03-10").await;
    assert!(!first.repeated);
    let evidence = world.objects().await;
    let second = try_night(&world, "2025-03-10", &[]).await.unwrap();
    assert!(second.repeated);
    assert_eq!(NightReport { repeated: false, ..second }, first);
    assert_eq!(world.objects().await, evidence);
}

#[tokio::test]
async fn a_night_with_late_documents_is_tried_again() {
    let world = World::new(Setup::plain());
    world.both("meters/2025-03-10", meters("2025-03-10"));
    world.reader.put("lake/meters/2025-03-10", meters("2025-03-10").split_off(1));
    let first = try_night(&world, "2025-03-10", &[]).await.unwrap();
    assert_eq!((first.exit_code, first.runs[0].customers_not_comparable), (ExitCode::NotComparable, 1));
    let again = night(&world, "2025-03-10").await;
    assert_eq!((again.exit_code, again.repeated), (ExitCode::Agree, false));
}

#[tokio::test]
async fn a_monthly_pipeline_looks_at_the_last_month_that_the_day_closes() {
    let world = World::new(Setup::plain().monthly());
    world.both("meters/2025-02-10", meters("2025-02-10"));
    let report = night(&world, "2025-03-30").await;
    assert_eq!(report.runs[0].period.to_string(), "2025-02");
    let report = night(&world, "2025-03-31").await;
    assert_eq!(report.runs[0].period.to_string(), "2025-03");
    assert_eq!(report.runs[0].outcome, Some(Outcome::Agrees));
}

#[tokio::test]
async fn clean_nights_over_a_month_end_lead_to_parity_and_a_broken_one_back() {
    let mut world = World::new(Setup::plain());
    for day in ["2025-03-28", "2025-03-29", "2025-03-30"] {
        assert!(night(&world, day).await.stages.is_empty(), "{day}: the month end is missing");
    }
    let moved = night(&world, "2025-03-31").await.stages;
    assert_eq!(moved.len(), 1);
    assert_eq!((moved[0].from, moved[0].to), (Stage::DualRun, Stage::Parity));
    let status = stages::status(&world.context(), None).await.unwrap();
    assert_eq!(stage(&world, &status), Stage::Parity);

    // The files change and bring a bug.
    world.setup = world.setup.clone().edit(SILVER_FILE, "kwh from", BUG);
    let report = night(&world, "2025-04-01").await;
    assert_eq!(report.exit_code, ExitCode::Differs);
    assert_eq!((report.stages[0].from, report.stages[0].to), (Stage::Parity, Stage::DualRun));
    assert!(report.stages[0].reason.contains("2025-04-02 broke the streak"), "{}", report.stages[0].reason);

    let pipeline = "energy".parse().unwrap();
    let events = world.state.stage_events("default", Some(&pipeline)).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].evidence.len(), events[1].evidence.len()), (4, 1));
    let broken = world.state.run(events[1].evidence[0]).await.unwrap().unwrap();
    assert_eq!((broken.outcome, broken.period.to_string().as_str()), (Outcome::Differs, "2025-04-01"));
    assert_eq!(world.state.verify_audit().await.unwrap(), 2);
    assert_eq!(world.state.stage("default", &pipeline).await.unwrap(), Some(Stage::DualRun));
}

#[tokio::test]
async fn readiness_blocks_on_what_is_not_known() {
    let asset = "[[asset]]\nid = \"mongodb:core.meters\"\ndisposition = \"migrate\"\nowner = \"data\"\n";
    let setup = Setup::plain().append("dualrun.toml", asset).edit(
        MAPPING_FILE,
        "criticality = \"high\"",
        "criticality = \"high\"\nlegacy_assets = [\"mongodb:core.meters\"]",
    );
    let world = World::new(setup);
    night(&world, "2025-03-10").await;
    let readiness = stages::readiness(&world.context(), None).await.unwrap();
    assert_eq!(readiness.as_of, date("2025-03-11"));
    assert!(readiness.assets.iter().any(|a| a.id == "mongodb:core.meters"), "{readiness:?}");
    let text = format!("{readiness:?}");
    assert!(text.contains("energy"), "{text}");
}
