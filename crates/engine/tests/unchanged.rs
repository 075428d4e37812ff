//! A night on which nothing changed stands on the verdicts of an earlier one; anything that did is compared again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use dualrun_core::{ExitCode, Outcome, run::RunReport};
use dualrun_engine::{
    EngineError, NightRequest, RunAnswer, RunRequest, Silent, evidence::Evidence, nightly, run, stages,
};
use dualrun_tracker::reviews::Decision;
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use crate::common::{
    DAY, GOLD_FILE, MAPPING_FILE, Refusing, SILVER_FILE, Setup, World, date, grid, meter, meters, request,
};

const FIRST: &str = "2025-03-11";
const SECOND: &str = "2025-03-12";
const THIRD: &str = "2025-03-13";

/// A world whose files can be told apart by their listing, with the meters of one day.
fn listed(setup: Setup) -> World {
    let world = World::with_meters(setup);
    world.reader.lists.store(true, Ordering::Relaxed);
    world
}

fn of_night(as_of: &str) -> RunRequest {
    RunRequest { as_of: date(as_of), ..request(DAY) }
}

async fn try_night(world: &World, as_of: &str) -> Result<RunAnswer, EngineError> {
    run(&world.context(), &of_night(as_of), &Silent).await
}

/// The run of the usual day in a night, and how many inputs were read for it.
async fn night(world: &World, as_of: &str) -> (RunAnswer, usize) {
    world.reader.take_read();
    let answer = try_night(world, as_of).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    (answer, world.reader.take_read().len())
}

/// A first night, a change of the world, and a second night that must look at everything again.
async fn second(mut world: World, change: impl AsyncFnOnce(&mut World)) -> RunReport {
    night(&world, FIRST).await;
    change(&mut world).await;
    let (answer, read) = night(&world, SECOND).await;
    assert_ne!(read, 0, "inputs were not read");
    let report = answer.report.unwrap();
    assert_eq!((answer.repeated, &report.unchanged_since), (false, &None));
    assert_eq!(world.runs().await.iter().filter(|run| run.as_of == date(SECOND)).count(), 1);
    report
}

/// A report without what is its own in every run.
fn said(report: &RunReport) -> RunReport {
    let mut said = report.clone();
    said.run_id.clear();
    (said.as_of, said.run_key, said.unchanged_since) = (None, None, None);
    (said.customers_path, said.differences.path) = (None, None);
    said.notes.clear();
    said
}

async fn assert_whole(world: &World, folder: &str) {
    let evidence = Evidence::new(Arc::clone(&world.store), Path::from("evidence"));
    let manifest = evidence.manifest(folder).await.unwrap().unwrap();
    let mut names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["customers.parquet", "differences.parquet", "legacy.parquet", "new.parquet", "run.json"]
    );
    for file in &manifest.files {
        let path = format!("{folder}/{}", file.name);
        assert_eq!(evidence.size(&path).await.unwrap(), file.bytes, "{path}");
        if file.name.ends_with(".parquet") {
            evidence.read_parquet(&path, Some(&file.sha256)).await.unwrap();
        }
    }
    for result in &manifest.results {
        evidence.read_parquet(&result.path, Some(&result.sha256)).await.unwrap();
    }
    assert!(evidence.is_whole(folder, &manifest).await.unwrap());
    let report = evidence.report(folder).await.unwrap().unwrap();
    assert_eq!(
        (report.run_id, manifest.run_id.to_string()),
        (manifest.run_id.to_string(), report_id(folder))
    );
}

fn report_id(folder: &str) -> String {
    folder.rsplit_once("run=").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_night_without_changes_reads_nothing_and_is_a_run_of_its_own() {
    for setup in [Setup::plain(), Setup::with_factor_change()] {
        let world = listed(setup);
        let (first, read) = night(&world, FIRST).await;
        assert_ne!(read, 0);
        let first_report = first.report.unwrap();
        for as_of in [SECOND, THIRD] {
            let (answer, read) = night(&world, as_of).await;
            assert_eq!((read, answer.repeated, answer.code), (0, false, first.code));
            let report = answer.report.unwrap();
            assert_eq!(said(&report), said(&first_report));
            assert_eq!(report.as_of.as_deref(), Some(as_of));
            assert_ne!((&report.run_id, &report.run_key), (&first_report.run_id, &first_report.run_key));
            // Also a third night names the one in which the results were compared.
            let since = report.unchanged_since.as_ref().unwrap();
            assert_eq!((since.as_of.as_str(), &since.run_id), (FIRST, &first_report.run_id));
            let note = format!(
                "nothing changed since the night of {FIRST} (run {}), whose verdicts stand",
                first_report.run_id
            );
            assert_eq!(report.notes, [note]);
            // The same night again is the same run, also without reading.
            let (again, read) = night(&world, as_of).await;
            assert_eq!((read, again.repeated, again.report), (0, true, Some(report)));
        }
        let runs = world.runs().await;
        assert_eq!(runs.len(), 3);
        for run in &runs {
            let own = runs.iter().find(|r| r.as_of == date(FIRST)).unwrap();
            assert_eq!((run.outcome, run.customers, &run.hashes), (own.outcome, own.customers, &own.hashes));
            assert!(run.evidence.contains(&format!("as_of={}/run={}", run.as_of, run.id)));
        }
        for run in runs.iter().filter(|run| run.as_of != date(FIRST)) {
            assert_whole(&world, &run.evidence).await;
        }
    }
}

#[tokio::test]
async fn the_same_night_again_needs_no_inputs_either() {
    let world = listed(Setup::plain());
    let (first, _) = night(&world, FIRST).await;
    let (again, read) = night(&world, FIRST).await;
    assert_eq!((read, again.repeated, again.report), (0, true, first.report));
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn a_decision_gives_carried_verdicts_again_and_the_next_night_is_compared() {
    let world = listed(Setup::with_factor_change());
    night(&world, FIRST).await;
    let (second, _) = night(&world, SECOND).await;
    assert_eq!(second.code, ExitCode::ReviewPending);
    let decided = world.decide("MC-1", Decision::Approve).await;
    assert_eq!(decided.reassessed.len(), 2);
    assert!(decided.reassessed.iter().all(|(_, _, after)| *after == Outcome::Agrees));
    // The verdicts of the second night are its own now.
    let (second, read) = night(&world, SECOND).await;
    let report = second.report.unwrap();
    assert_eq!((read, second.repeated, report.outcome), (0, true, Outcome::Agrees));
    assert_eq!((report.unchanged_since, report.notes), (None, vec![]));
    let (third, read) = night(&world, THIRD).await;
    let third = third.report.unwrap();
    assert_eq!((third.outcome, third.unchanged_since), (Outcome::Agrees, None));
    assert_ne!(read, 0);
    let (fourth, read) = night(&world, "2025-03-14").await;
    let fourth = fourth.report.unwrap();
    assert_eq!((read, fourth.unchanged_since.unwrap().run_id), (0, third.run_id));
    // An approval that does not hold any more is not carried over.
    assert_eq!(world.decide("MC-1", Decision::Reject).await.reassessed.len(), 4);
    let (fifth, read) = night(&world, "2025-03-15").await;
    assert_eq!(fifth.code, ExitCode::Differs);
    assert_ne!(read, 0);
}

#[tokio::test]
async fn files_that_were_written_again_are_compared_again_with_the_same_verdicts() {
    let world = listed(Setup::with_factor_change());
    let report = second(world, async |world| world.both("meters/2025-03-10", meters(DAY))).await;
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert_eq!(report.rows.paired, 3);
}

#[tokio::test]
async fn changed_inputs_are_compared() {
    let late = async |world: &mut World| {
        let mut documents = meters(DAY);
        documents.push(meter("m4", "acme", DAY, "FR", 1.0));
        world.both("meters/2025-03-10", documents);
    };
    let report = second(listed(Setup::plain()), late).await;
    assert_eq!(crate::common::column(&report, "kwh").new_total.as_ref().unwrap().as_str(), "311");
    let one_side = async |world: &mut World| {
        world.reader.put("lake/meters/2025-03-10", meters(DAY).split_off(1));
    };
    assert_eq!(second(listed(Setup::plain()), one_side).await.outcome, Outcome::NotComparable);
    let gone = async |world: &mut World| world.reader.remove("lake/meters/2025-03-10");
    assert_eq!(second(listed(Setup::plain()), gone).await.outcome, Outcome::NotComparable);
    let factors = async |world: &mut World| {
        let mut factors = grid();
        factors[0].insert("g_per_kwh", 60.0);
        world.reader.put("factors/grid", factors);
    };
    let report = second(listed(Setup::plain()), factors).await;
    assert_eq!(crate::common::column(&report, "co2e_kg").new_total.as_ref().unwrap().as_str(), "22");
}

#[tokio::test]
async fn changed_files_of_the_project_are_compared() {
    let edits = [
        (MAPPING_FILE, "1e-9", "1e-8"),
        (MAPPING_FILE, "columns = [\"day\", \"country\", \"kwh\"]", "columns = [\"day\", \"kwh\"]"),
        (GOLD_FILE, "/ 1000", "/ 1000.0"),
        (crate::common::LEGACY_FILE, "/ 1000", "/ 1000.0"),
        ("methodology/MC-1.toml", "rationale = \"r\"", "rationale = \"another\""),
    ];
    for (file, from, to) in edits {
        let edit = async |world: &mut World| world.setup = world.setup.clone().edit(file, from, to);
        let report = second(listed(Setup::with_factor_change()), edit).await;
        assert_eq!(report.outcome, Outcome::ReviewPending, "{file}");
    }
}

#[tokio::test]
async fn an_approval_is_compared() {
    let approve = async |world: &mut World| {
        world.decide("MC-1", Decision::Approve).await;
    };
    let report = second(listed(Setup::with_factor_change()), approve).await;
    assert_eq!(report.outcome, Outcome::Agrees);
}

#[tokio::test]
async fn a_split_that_is_asked_for_and_another_environment_are_runs_of_their_own() {
    let world = listed(Setup::with_factor_change());
    night(&world, FIRST).await;
    world.reader.take_read();
    let elsewhere = run(&world.context_in("other"), &of_night(SECOND), &Silent).await.unwrap();
    assert_eq!(elsewhere.report.unwrap().unchanged_since, None);
    assert_ne!(world.reader.take_read().len(), 0);
    let split = RunRequest { split: true, ..of_night(SECOND) };
    let split = run(&world.context(), &split, &Silent).await.unwrap();
    assert_eq!(split.report.unwrap().unchanged_since, None);
    assert_ne!(world.reader.take_read().len(), 0);
}

#[tokio::test]
async fn differences_and_failed_checks_are_looked_at_every_night() {
    let setup = Setup::plain().edit(SILVER_FILE, "kwh from", "kwh * 2 as kwh from");
    let report = second(listed(setup), async |_| ()).await;
    assert_eq!(report.outcome, Outcome::Differs);
    assert!(!report.findings.is_empty());
    let check = |sql: &str| {
        let check = format!(
            "[[check]]\nside = \"new\"\nname = \"c\"\nsql = \"select count(*) from result where {sql}\"\n"
        );
        Setup::plain().append(MAPPING_FILE, &check)
    };
    let report = second(listed(check("kwh > 1")), async |_| ()).await;
    assert!(!report.checks[0].passed);
    // It may fail another day.
    let report = second(listed(check("day > current_date")), async |_| ()).await;
    assert!(report.checks[0].passed);
}

#[tokio::test]
async fn a_source_that_cannot_tell_is_read_every_night() {
    let report = second(World::with_meters(Setup::plain()), async |_| ()).await;
    assert_eq!(report.outcome, Outcome::Agrees);
}

#[tokio::test]
async fn evidence_that_is_gone_or_changed_is_calculated_again() {
    for name in ["manifest.json", "new.parquet", "differences.parquet", "run.json"] {
        let delete = async |world: &mut World| {
            let object = object(world, name).await;
            world.store.delete(&object).await.unwrap();
        };
        let report = second(listed(Setup::with_factor_change()), delete).await;
        assert_eq!(report.outcome, Outcome::ReviewPending, "{name}");
        let tamper = async |world: &mut World| {
            let object = object(world, name).await;
            world.store.put(&object, PutPayload::from_static(b"something else")).await.unwrap();
        };
        let report = second(listed(Setup::with_factor_change()), tamper).await;
        assert_eq!(report.outcome, Outcome::ReviewPending, "{name}");
    }
}

/// The one object of the evidence with this name.
async fn object(world: &World, name: &str) -> Path {
    let objects = world.objects().await;
    let found: Vec<_> = objects.iter().filter(|o| o.ends_with(name)).collect();
    assert_eq!(found.len(), 1, "{name}: {objects:?}");
    Path::from(found[0].as_str())
}

#[tokio::test]
async fn results_that_stand_in_another_run_must_still_be_there() {
    let mut world = listed(Setup::with_factor_change());
    night(&world, FIRST).await;
    let (second, read) = night(&world, SECOND).await;
    assert_eq!((read, second.code), (0, ExitCode::ReviewPending));
    // The second night stands on the replay of the first.
    let replay = object(&world, "replay-new-02.parquet").await;
    world.store.delete(&replay).await.unwrap();
    let (third, read) = night(&world, THIRD).await;
    assert_ne!(read, 0);
    assert_eq!(third.report.unwrap().unchanged_since, None);
    // And on nothing that belongs to a folder without a manifest.
    world = listed(Setup::with_factor_change());
    night(&world, FIRST).await;
    let manifest = object(&world, "manifest.json").await;
    night(&world, SECOND).await;
    world.store.delete(&manifest).await.unwrap();
    let (third, read) = night(&world, THIRD).await;
    assert_ne!(read, 0);
    assert_eq!(third.report.unwrap().unchanged_since, None);
}

#[tokio::test]
async fn a_death_before_the_manifest_leaves_no_run_and_the_next_attempt_takes_its_place() {
    for refused in ["manifest.json", "run.json", "customers.parquet"] {
        let mut world = listed(Setup::plain());
        let store = Refusing::new(refused);
        store.on.store(false, Ordering::Relaxed);
        world.store = Arc::clone(&store) as _;
        night(&world, FIRST).await;
        set(&store.on, true);
        let error = try_night(&world, SECOND).await.unwrap_err();
        assert!(matches!(error, EngineError::Evidence { .. }), "{error:?}");
        let runs = world.runs().await;
        let failed = runs.iter().find(|run| run.as_of == date(SECOND)).unwrap();
        assert_eq!((runs.len(), failed.outcome), (2, Outcome::Failed));
        set(&store.on, false);
        let (answer, read) = night(&world, SECOND).await;
        assert_eq!((read, answer.code, answer.repeated), (0, ExitCode::Agree, false));
        let id = answer.report.unwrap().run_id;
        let objects = world.objects().await;
        let of_night: Vec<_> = objects.iter().filter(|o| o.contains("as_of=2025-03-12")).collect();
        assert!(of_night.len() == 6 && of_night.iter().all(|o| o.contains(&id)), "{objects:?}");
        assert!(world.runs().await.iter().all(|run| run.outcome == Outcome::Agrees));
    }
}

fn set(flag: &AtomicBool, on: bool) {
    flag.store(on, Ordering::Relaxed);
}

#[tokio::test]
async fn a_death_before_the_record_leaves_a_run_that_the_next_attempt_adopts() {
    let mut world = listed(Setup::with_factor_change());
    night(&world, FIRST).await;
    // A state database that knows the first night only.
    let known = world.runs().await.remove(0);
    let (second, _) = night(&world, SECOND).await;
    let state = dualrun_state::SqliteStore::memory().unwrap();
    dualrun_state::StateStore::record_run(&state, &known).await.unwrap();
    world.state = Arc::new(state);
    let objects = world.objects().await;
    let (again, read) = night(&world, SECOND).await;
    assert_eq!((read, again.repeated, again.report), (0, true, second.report));
    assert_eq!(world.objects().await, objects);
    let runs = world.runs().await;
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].customers, runs[1].customers);
}

#[tokio::test]
async fn the_newest_run_counts_where_a_night_has_several_and_attempts_came_after() {
    let mut world = listed(Setup::plain());
    night(&world, FIRST).await;
    world.setup = world.setup.clone().edit(MAPPING_FILE, "1e-9", "1e-8");
    let (newer, _) = night(&world, FIRST).await;
    let newer = newer.report.unwrap();
    let (second, read) = night(&world, SECOND).await;
    assert_eq!((read, second.report.unwrap().unchanged_since.unwrap().run_id), (0, newer.run_id.clone()));
    // A night that failed in between is no reason to compare again.
    world.reader.lists.store(false, Ordering::Relaxed);
    let good = world.setup.clone();
    world.setup = good.clone().edit(SILVER_FILE, "kwh from", "no_such_column from");
    try_night(&world, THIRD).await.unwrap_err();
    world.setup = good;
    world.reader.lists.store(true, Ordering::Relaxed);
    let (fourth, read) = night(&world, "2025-03-14").await;
    assert_eq!((read, fourth.report.unwrap().unchanged_since.unwrap().run_id), (0, newer.run_id));
}

#[tokio::test]
async fn an_older_night_does_not_stand_on_a_later_one() {
    let world = listed(Setup::plain());
    night(&world, SECOND).await;
    let (older, read) = night(&world, FIRST).await;
    assert_eq!(older.report.unwrap().unchanged_since, None);
    assert_ne!(read, 0);
}

async fn whole_night(world: &World, day: &str) -> dualrun_core::night::NightReport {
    world.reader.take_read();
    let request =
        NightRequest { day: date(day), as_of: date(day).tomorrow().unwrap(), pipelines: vec![], load: false };
    nightly(&world.context(), &request, Arc::new(Silent)).await.unwrap()
}

#[tokio::test]
async fn a_night_costs_the_periods_that_changed_and_counts_as_any_other() {
    let setup = Setup::plain().edit(MAPPING_FILE, "unit = \"day\" }", "unit = \"day\", recompute = 2 }");
    let worlds = [World::new(setup.clone()), World::new(setup)];
    let days = ["2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01"];
    for (world, lists) in worlds.iter().zip([true, false]) {
        set(&world.reader.lists, lists);
        for (day, expected) in days.into_iter().zip([0, 1, 2, 2]) {
            world.both(&format!("meters/{day}"), meters(day));
            let report = whole_night(world, day).await;
            assert_eq!(report.exit_code, ExitCode::Agree);
            assert_eq!(report.unchanged, if lists { expected } else { 0 }, "{day}");
        }
    }
    let [listed, read] = &worlds;
    // One night more: of the two days looked at again, one has a late document.
    let late = |world: &World| {
        world.both("meters/2025-04-02", meters("2025-04-02"));
        let mut documents = meters("2025-03-31");
        documents.push(meter("m4", "acme", "2025-03-31", "FR", 1.0));
        world.both("meters/2025-03-31", documents);
    };
    late(listed);
    late(read);
    let report = whole_night(listed, "2025-04-02").await;
    let unchanged: Vec<_> = report.runs.iter().map(|r| (r.period.to_string(), r.unchanged)).collect();
    let found = |day: &str, unchanged| (day.to_owned(), unchanged);
    assert_eq!(
        unchanged,
        [found("2025-03-31", false), found("2025-04-01", true), found("2025-04-02", false)]
    );
    assert_eq!(report.unchanged, 1);
    let mut places = listed.reader.take_read();
    places.retain(|place| place.starts_with("lake/"));
    places.sort();
    assert_eq!(places, ["lake/meters/2025-03-31", "lake/meters/2025-04-02"]);
    assert_eq!(whole_night(read, "2025-04-02").await.unchanged, 0);
    // Streak, stage and gates are what they are where every night is compared.
    let status = async |world: &World| {
        let status = stages::status(&world.context(), Some(date("2025-04-03"))).await.unwrap();
        serde_json::to_value(&status.pipelines[0]).unwrap()
    };
    let (mut one, mut other) = (status(listed).await, status(read).await);
    without_ids(&mut one);
    without_ids(&mut other);
    assert_eq!(one, other);
}

/// Takes the ids of runs out.
fn without_ids(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => map.iter_mut().for_each(|(name, value)| match name.as_str() {
            "run" | "runs" | "evidence" => *value = serde_json::Value::Null,
            _ => without_ids(value),
        }),
        serde_json::Value::Array(list) => list.iter_mut().for_each(without_ids),
        _ => {}
    }
}
