//! A run is made once, goes on where it stopped, and stands on evidence that is what it was.

use std::sync::{Arc, atomic::Ordering};

use dualrun_core::{ExitCode, Outcome};
use dualrun_engine::{EngineError, Silent, run};
use dualrun_state::SqliteStore;
use dualrun_tracker::reviews::Decision;
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use crate::common::{
    DAY, GOLD_FILE, MAPPING_FILE, Refusing, SILVER_FILE, Setup, World, column, date, meter, meters, request,
};

fn path(name: &str) -> Path {
    Path::from(name)
}

#[tokio::test]
async fn the_same_request_twice_is_one_run() {
    let world = World::with_meters(Setup::plain());
    let first = world.run(DAY).await;
    let evidence = world.objects().await;
    let second = world.run(DAY).await;
    assert_eq!((first.repeated, second.repeated), (false, true));
    assert_eq!(first.report, second.report);
    assert_eq!(world.objects().await, evidence);
    assert_eq!(world.runs().await.len(), 1);
    let report = first.report.unwrap();
    let folder =
        format!("evidence/runs/pipeline=energy/period=2025-03-10/as_of=2025-03-11/run={}", report.run_id);
    let files: Vec<_> = evidence.iter().filter_map(|o| o.strip_prefix(&format!("{folder}/"))).collect();
    assert_eq!(
        files,
        [
            "customers.parquet",
            "differences.parquet",
            "legacy.parquet",
            "manifest.json",
            "new.parquet",
            "run.json"
        ]
    );
}

#[tokio::test]
async fn another_night_is_another_run_on_the_same_figures() {
    let world = World::with_meters(Setup::plain());
    world.run(DAY).await;
    let mut next = request(DAY);
    next.as_of = date("2025-03-12");
    let answer = run(&world.context(), &next, &Silent).await.unwrap();
    assert!(!answer.repeated);
    let notes = answer.report.unwrap().notes;
    assert!(notes.contains(&"1 legacy results were taken from earlier evidence".to_owned()), "{notes:?}");
    assert_eq!(world.runs().await.len(), 2);
}

#[tokio::test]
async fn changed_documents_sql_or_tolerances_are_new_runs() {
    let mut world = World::with_meters(Setup::plain());
    world.run(DAY).await;
    let mut documents = meters(DAY);
    documents.push(meter("m4", "acme", DAY, "FR", 1.0));
    world.both("meters/2025-03-10", documents);
    assert!(!world.run(DAY).await.repeated);
    world.setup = world.setup.clone().edit(GOLD_FILE, "/ 1000", "/ 1000.0");
    assert!(!world.run(DAY).await.repeated);
    world.setup = world.setup.clone().edit(MAPPING_FILE, "1e-9", "1e-8");
    assert!(!world.run(DAY).await.repeated);
    assert_eq!(world.runs().await.len(), 4);
    assert!(world.run(DAY).await.repeated);
}

#[tokio::test]
async fn a_run_that_the_state_database_does_not_know_is_adopted() {
    let mut world = World::with_meters(Setup::with_factor_change());
    let first = world.run(DAY).await;
    let evidence = world.objects().await;
    world.state = Arc::new(SqliteStore::memory().unwrap());
    let second = world.run(DAY).await;
    assert!(second.repeated);
    assert_eq!(first.report, second.report);
    assert_eq!(world.objects().await, evidence);
    let runs = world.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].customers.total, runs[0].customers.compared), (2, 2));
    // What was adopted is a run like any other: a decision gives it another verdict.
    assert_eq!(world.decide("MC-1", Decision::Approve).await.reassessed[0].2, Outcome::Agrees);
}

#[tokio::test]
async fn a_folder_without_a_manifest_is_swept_and_never_taken_for_a_run() {
    let mut world = World::with_meters(Setup::plain());
    let first = world.run(DAY).await.report.unwrap();
    let objects = world.objects().await;
    let manifest = objects.iter().find(|o| o.ends_with("manifest.json")).unwrap();
    world.store.delete(&path(manifest)).await.unwrap();
    world.state = Arc::new(SqliteStore::memory().unwrap());
    let answer = world.run(DAY).await;
    assert!(!answer.repeated);
    let objects = world.objects().await;
    assert!(objects.iter().all(|o| !o.contains(&first.run_id)), "{objects:?}");
    assert_eq!(objects.len(), 6);
}

#[tokio::test]
async fn a_result_that_was_tampered_with_is_not_used_again() {
    let world = World::with_meters(Setup::plain());
    world.run(DAY).await;
    let objects = world.objects().await;
    let result = objects.iter().find(|o| o.ends_with("new.parquet")).unwrap();
    world.store.put(&path(result), PutPayload::from_static(b"PAR1 something else PAR1")).await.unwrap();
    let mut next = request(DAY);
    next.as_of = date("2025-03-12");
    let report = run(&world.context(), &next, &Silent).await.unwrap().report.unwrap();
    assert_eq!(report.outcome, Outcome::Agrees);
    assert_eq!(column(&report, "kwh").new_total.as_ref().unwrap().as_str(), "310");
    assert!(report.notes.iter().any(|n| n.contains("legacy results were taken")), "{:?}", report.notes);
    assert!(!report.notes.iter().any(|n| n.contains("new results were taken")), "{:?}", report.notes);
}

#[tokio::test]
async fn a_decision_leaves_a_run_alone_whose_evidence_is_not_what_its_manifest_says() {
    let world = World::with_meters(Setup::with_factor_change());
    world.run(DAY).await;
    let objects = world.objects().await;
    let result = objects.iter().find(|o| o.ends_with("new.parquet")).unwrap();
    world.store.put(&path(result), PutPayload::from_static(b"other")).await.unwrap();
    let decided = world.decide("MC-1", Decision::Approve).await;
    assert!(decided.reassessed.is_empty());
    assert_eq!(decided.left.len(), 1);
    assert!(decided.left[0].1.contains("is not what its manifest says"), "{:?}", decided.left);
    let error = world.try_run(DAY).await.unwrap_err();
    assert!(matches!(error, EngineError::EvidenceBroken { .. }), "{error:?}");
    assert_eq!(world.runs().await[0].outcome, Outcome::ReviewPending);
}

#[tokio::test]
async fn a_manifest_says_what_stands_in_its_folder_also_after_a_decision() {
    let world = World::with_meters(Setup::with_factor_change());
    world.run(DAY).await;
    world.decide("MC-1", Decision::Approve).await;
    let folder = world.runs().await.remove(0).evidence;
    let evidence = dualrun_engine::evidence::Evidence::new(Arc::clone(&world.store), path("evidence"));
    let manifest = evidence.manifest(&folder).await.unwrap().unwrap();
    assert_eq!(manifest.files.len(), 6, "{manifest:?}");
    for file in manifest.files.iter().filter(|f| f.name.ends_with(".parquet")) {
        evidence.read_parquet(&format!("{folder}/{}", file.name), Some(&file.sha256)).await.unwrap();
    }
    let report = manifest.files.iter().find(|f| f.name == "run.json").unwrap();
    assert_eq!(evidence.size(&format!("{folder}/run.json")).await.unwrap(), report.bytes);
    assert_eq!(evidence.report(&folder).await.unwrap().unwrap().outcome, Outcome::Agrees);
}

#[tokio::test]
async fn a_store_that_refuses_is_infrastructure_and_the_next_attempt_takes_its_place() {
    for refused in ["", "manifest.json", "new.parquet"] {
        let mut world = World::with_meters(Setup::with_factor_change());
        let store = Refusing::new(refused);
        world.store = Arc::clone(&store) as _;
        let error = world.try_run(DAY).await.unwrap_err();
        assert!(matches!(error, EngineError::Evidence { .. }), "{error:?}");
        assert_eq!((error.exit_code(), error.retryable()), (ExitCode::Infrastructure, true));
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].outcome, Outcome::Failed);
        assert!(!runs[0].outcome.is_final());
        let failure = runs[0].report.failure.as_ref().unwrap();
        assert_eq!((failure.stage.as_str(), failure.retryable), ("record", true));

        store.on.store(false, Ordering::Relaxed);
        let answer = world.run(DAY).await;
        assert_eq!((answer.code, answer.repeated), (ExitCode::ReviewPending, false));
        let id = answer.report.unwrap().run_id;
        let objects = world.objects().await;
        assert!(objects.iter().all(|o| o.contains(&id)), "{refused:?}: {objects:?}");
        let status =
            dualrun_engine::stages::status(&world.context(), Some(date("2025-03-11"))).await.unwrap();
        assert_eq!(status.pipelines[0].last_outcome, Some(Outcome::ReviewPending));
        assert!(world.run(DAY).await.repeated);
    }
}

#[tokio::test]
async fn results_of_an_attempt_without_a_manifest_are_not_used_by_another_night() {
    let mut world = World::with_meters(Setup::with_factor_change());
    let store = Refusing::new("manifest.json");
    world.store = Arc::clone(&store) as _;
    world.try_run(DAY).await.unwrap_err();
    store.on.store(false, Ordering::Relaxed);
    let mut next = request(DAY);
    next.as_of = date("2025-03-12");
    run(&world.context(), &next, &Silent).await.unwrap();
    // The first night again sweeps its folder; the second stands on its own.
    world.run(DAY).await;
    let decided = world.decide("MC-1", Decision::Approve).await;
    assert_eq!(decided.reassessed.len(), 2);
    assert!(decided.reassessed.iter().all(|r| r.2 == Outcome::Agrees));
}

#[tokio::test]
async fn another_process_that_holds_the_run_is_nothing_to_do() {
    let world = World::with_meters(Setup::plain());
    let lock = world.state.try_lock("run-default-energy-2025-03-10-2025-03-11").await.unwrap();
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.report), (ExitCode::Nothing, None));
    drop(lock);
    assert_eq!(world.run(DAY).await.code, ExitCode::Agree);
}

#[tokio::test]
async fn unknown_pipelines_and_periods_of_another_length_are_refused() {
    let world = World::with_meters(Setup::plain());
    let error = world.try_run("2025-03").await.unwrap_err();
    assert!(matches!(error, EngineError::PeriodUnit { expected: "day", .. }));
    assert_eq!(error.exit_code(), ExitCode::Usage);
    let request = crate::common::request_of("water", DAY);
    let error = run(&world.context(), &request, &Silent).await.unwrap_err();
    assert_eq!((error.to_string(), error.exit_code()), ("no pipeline water".to_owned(), ExitCode::Usage));
    assert!(world.runs().await.is_empty());
}

#[tokio::test]
async fn the_period_before_is_known_by_its_run_and_not_by_an_attempt_that_failed() {
    let shift = "day + interval '1 day'";
    let setup = Setup::plain()
        .edit(MAPPING_FILE, "customer = \"customer\"\n", "customer = \"customer\"\nmargin = \"1d\"\n")
        .edit(SILVER_FILE, "day, country", &format!("cast({shift} as date) as day, country"));
    let mut world = World::new(setup);
    for (n, day) in ["2025-03-08", "2025-03-09", "2025-03-10"].into_iter().enumerate() {
        let kwh = |customer: usize| ((customer * 37 + n * 53) % 101) as f64 + 1.5;
        let meters = (0..12).map(|c| meter(&format!("m{c}"), &format!("c{c}"), day, "FR", kwh(c))).collect();
        world.both(&format!("meters/{day}"), meters);
    }
    let store = Refusing::new("new.parquet");
    world.store = Arc::clone(&store) as _;
    world.try_run("2025-03-09").await.unwrap_err();
    store.on.store(false, Ordering::Relaxed);
    world.run("2025-03-09").await;
    let report = world.run("2025-03-10").await.report.unwrap();
    let signatures: Vec<_> = report.findings.iter().map(|f| f.signature.as_str()).collect();
    assert_eq!(signatures, ["period_shift", "period_shift"], "{:?}", report.findings);
}
