//! Calculations that the query engine does not carry out: results that stand somewhere, and what a program gives.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bson::{Document, doc};
use dualrun_core::{ExitCode, Outcome, input::Side, run::RunReport};
use dualrun_engine::{
    Context, EngineError, OutsideCalculator, OutsideRequest, RunAnswer, RunRequest, Silent, run, run_side,
};
use dualrun_mapping::plan::Engine;
use dualrun_sources::{InputTable, ReadReport, SourceError, documents::to_batches};

use crate::common::{DAY, MAPPING_FILE, Setup, World, column, date, entry, near, request};

const NEW: &str = "[new]\nengine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]";

fn row(customer: &str, country: &str, kwh: f64, co2e_kg: f64) -> Document {
    doc! { "customer_id": customer, "day": DAY, "country": country, "kwh": kwh, "co2e_kg": co2e_kg }
}

/// What the new calculation gives under an edition.
fn gold(edition: &str) -> Vec<Document> {
    let (france, germany) = if edition == "2023" { (50.0, 400.0) } else { (40.0, 300.0) };
    vec![
        row("acme", "FR", 100.0, 100.0 * france / 1000.0),
        row("acme", "DE", 10.0, 10.0 * germany / 1000.0),
        row("rivage", "FR", 200.0, 200.0 * france / 1000.0),
    ]
}

fn with_new(setup: Setup, new: &str) -> Setup {
    setup.edit(MAPPING_FILE, NEW, &format!("[new]\n{new}"))
}

/// The factor change on a new side whose results stand in the lake by edition and day.
fn standing() -> World {
    let relation = "engine = \"relation\"\nsource = \"lake\"\npath = \"gold/{grid_edition}/{day}\"\nshape = { day = \"date\" }";
    let world = World::with_meters(with_new(Setup::with_factor_change(), relation));
    for edition in ["2023", "2025"] {
        world.reader.put(&format!("lake/gold/{edition}/{DAY}"), gold(edition));
    }
    world
}

/// What a run says of rows, columns and changes, without ids and paths.
fn said(report: &RunReport) -> String {
    format!("{:?}\n{:?}\n{:?}\n{:?}", report.outcome, report.rows, report.columns, report.bridge)
}

#[tokio::test]
async fn results_that_stand_somewhere_are_replayed_through_their_path() {
    let calculated = World::with_meters(Setup::with_factor_change()).report().await;
    let read = standing().report().await;
    assert_eq!(read.outcome, Outcome::ReviewPending);
    assert!(near(entry(&read, "MC-1", "co2e_kg").effect.to_f64(), -4.0), "{:?}", read.bridge);
    assert_eq!(said(&read), said(&calculated));
}

#[tokio::test]
async fn results_that_are_not_there_are_no_empty_result() {
    let world = standing();
    world.reader.remove(&format!("lake/gold/2023/{DAY}"));
    let error = world.try_run(DAY).await.unwrap_err();
    assert_eq!((error.exit_code(), error.stage()), (ExitCode::Infrastructure, "calculate"));
    assert_eq!(error.to_string(), "the relation of the new side");
    assert!(error.chain().contains(&format!("lake/gold/2023/{DAY}: not found")), "{}", error.chain());
    assert_eq!(world.runs().await[0].outcome, Outcome::Failed);
}

#[tokio::test]
async fn other_results_are_another_run() {
    let world = standing();
    assert!(!world.run(DAY).await.repeated);
    assert!(world.run(DAY).await.repeated);
    let mut rows = gold("2025");
    rows.push(row("rivage", "DE", 1.0, 1.0));
    world.reader.put(&format!("lake/gold/2025/{DAY}"), rows);
    let answer = world.run(DAY).await;
    assert!(!answer.repeated);
    assert_eq!(answer.report.unwrap().rows.only_new, 1);
}

#[tokio::test]
async fn an_edition_that_leads_out_of_the_path_is_refused() {
    let mut world = standing();
    world.setup = world.setup.clone().edit("methodology/MC-1.toml", "\"2023\"", "\"../2023\"");
    let error = world.try_run(DAY).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage, "{}", error.chain());
    assert!(error.chain().contains("{grid_edition} cannot stand in a path"), "{}", error.chain());
}

/// Gives the rows of an edition, and remembers what it was asked.
#[derive(Default)]
struct Program {
    asked: Mutex<Vec<BTreeMap<String, String>>>,
    fails: bool,
}

#[async_trait]
impl OutsideCalculator for Program {
    async fn calculate(&self, request: &OutsideRequest<'_>) -> Result<InputTable, SourceError> {
        let Engine::Command(command) = request.engine else { panic!("{:?}", request.engine) };
        assert_eq!(command.line, ["calculate"]);
        let mut asked: BTreeMap<String, String> =
            request.parameters.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let edition = asked["grid_edition"].clone();
        for (name, file) in request.inputs {
            let bytes = std::fs::read(file).unwrap();
            let rows = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(
                bytes::Bytes::from(bytes),
                1024,
            );
            let rows: usize = rows.unwrap().map(|batch| batch.unwrap().num_rows()).sum();
            asked.insert(format!("input {name}"), rows.to_string());
        }
        self.asked.lock().unwrap().push(asked);
        if self.fails {
            return Err(SourceError::Config("no such column".into()));
        }
        let shape = toml_shape();
        let (schema, batches, _) = to_batches(&gold(&edition), &shape)?;
        Ok(InputTable { schema, batches, report: ReadReport::default() })
    }
}

fn toml_shape() -> dualrun_core::shape::Shape {
    serde_json::from_value(serde_json::json!({ "day": "date" })).unwrap()
}

fn commanded() -> World {
    let command = "engine = \"command\"\ncommand = [\"calculate\"]";
    World::with_meters(with_new(Setup::with_factor_change(), command))
}

fn context(world: &World, program: &Arc<Program>) -> Arc<Context> {
    let context = Arc::into_inner(world.context()).unwrap();
    Arc::new(context.with_outside(Arc::clone(program) as _))
}

async fn night(world: &World, program: &Arc<Program>, as_of: &str) -> Result<RunAnswer, EngineError> {
    run(&context(world, program), &RunRequest { as_of: date(as_of), ..request(DAY) }, &Silent).await
}

#[tokio::test]
async fn a_program_is_given_period_switches_and_inputs_and_is_replayed_through_them() {
    let (world, program) = (commanded(), Arc::new(Program::default()));
    let report = night(&world, &program, "2025-03-11").await.unwrap().report.unwrap();
    let calculated = World::with_meters(Setup::with_factor_change()).report().await;
    assert_eq!(said(&report), said(&calculated));
    assert_eq!(column(&report, "co2e_kg").verdicts.pending, 3);
    let asked = program.asked.lock().unwrap().clone();
    // Once with the change and once without it.
    let mut editions: Vec<&str> = asked.iter().map(|a| a["grid_edition"].as_str()).collect();
    editions.sort_unstable();
    assert_eq!(editions, ["2023", "2025"]);
    for (name, value) in [
        ("period_start", "2025-03-10T00:00:00Z"),
        ("period_end", "2025-03-11T00:00:00Z"),
        ("period_first_day", "2025-03-10"),
        ("period_last_day", "2025-03-10"),
        ("input meters", "3"),
        ("input grid", "4"),
    ] {
        assert!(asked.iter().all(|a| a[name] == value), "{name}: {asked:?}");
    }
    assert!(asked.iter().all(|a| !a.contains_key("customer")), "nobody asked for one customer");

    // Nothing changed: the next night takes the results from evidence.
    let report = night(&world, &program, "2025-03-12").await.unwrap().report.unwrap();
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert_eq!(program.asked.lock().unwrap().len(), 2);

    let one = run_side(&context(&world, &program), &request(DAY), Side::New).await.unwrap();
    assert_eq!((one.rows, one.totals["co2e_kg"].parse::<f64>().unwrap()), (3, 15.0));
}

#[tokio::test]
async fn a_program_that_fails_is_recorded_and_asked_again() {
    let (world, program) = (commanded(), Arc::new(Program { fails: true, ..Program::default() }));
    let error = night(&world, &program, "2025-03-11").await.unwrap_err();
    assert_eq!(error.chain(), "the command of the new side: no such column");
    let runs = world.runs().await;
    assert_eq!(runs[0].report.failure.as_ref().unwrap().stage, "calculate");
    let answer = night(&world, &Arc::new(Program::default()), "2025-03-11").await.unwrap();
    assert_eq!(answer.report.unwrap().outcome, Outcome::ReviewPending);
}

#[tokio::test]
async fn an_embedded_form_gives_the_same_and_says_why_it_was_taken() {
    let command = "engine = \"command\"\ncommand = [\"calculate\"]\n\
                   embedded = { engine = \"sql\", models = [\"new/10_silver.sql\", \"new/20_gold.sql\"] }";
    let world = World::with_meters(with_new(Setup::with_factor_change(), command));
    let mut context = Arc::into_inner(world.context()).unwrap();
    context.project.use_embedded_where(&|_, _| Some("there is no program `calculate`".to_owned()));
    let report = run(&Arc::new(context), &request(DAY), &Silent).await.unwrap().report.unwrap();
    let calculated = World::with_meters(Setup::with_factor_change()).report().await;
    assert_eq!(said(&report), said(&calculated));
    let note = "the new side was calculated in its embedded form, not by its command: there is no program `calculate`";
    assert!(report.notes.iter().any(|n| n == note), "{:?}", report.notes);
}

#[tokio::test]
async fn a_calculation_that_only_running_would_tell_is_validated_by_its_embedded_form() {
    let command = "engine = \"command\"\ncommand = [\"calculate\"]\n\
                   embedded = { engine = \"sql\", models = [\"new/10_silver.sql\", \"new/20_gold.sql\"] }";
    let setup = with_new(Setup::with_factor_change(), command);
    let mistakes = |setup: Setup| async move {
        let world = World::with_meters(setup);
        let day = Some(DAY.parse().unwrap());
        dualrun_engine::validate::validate(&world.context(), |_| day).await
    };
    assert!(mistakes(setup.clone()).await.is_empty());
    let broken = setup.edit(crate::common::GOLD_FILE, "s.country", "s.land");
    assert_eq!(mistakes(broken).await.len(), 1);
    let bare = with_new(Setup::with_factor_change(), "engine = \"command\"\ncommand = [\"calculate\"]");
    assert!(mistakes(bare).await.is_empty(), "nothing is run to validate");
}
