//! A world in memory: a project, documents of both sides, a state database, an object store and a fixed clock.

mod project;
mod reader;
mod stores;

use std::sync::{Arc, Mutex};

use bson::{Document, doc};
use dualrun_core::{
    Period,
    run::{BridgeEntry, ColumnReport, CustomerVerdict, RunReport},
};
use dualrun_engine::{
    Clock, Context, EngineError, RunAnswer, RunRequest, Silent, reviews, reviews::Decided, run,
};
use dualrun_state::{SqliteStore, StateStore, records::RunFilter, records::RunRecord};
use dualrun_tracker::reviews::Decision;
use futures::TryStreamExt;
use jiff::{Timestamp, ToSpan, civil::Date};
use object_store::{ObjectStore, memory::InMemory, path::Path};
use tempfile::TempDir;

pub(crate) use project::{GOLD_FILE, LEGACY_FILE, MAPPING_FILE, SILVER_FILE, Setup, change};
pub(crate) use reader::Reader;
pub(crate) use stores::Refusing;

/// The period of most tests, a day within a month.
pub(crate) const DAY: &str = "2025-03-10";

/// Everything that a run stands on.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) reader: Arc<Reader>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) store: Arc<dyn ObjectStore>,
    clock: Arc<Ticking>,
    folder: TempDir,
}

/// Starts at a fixed instant and goes on by one second whenever it is asked.
struct Ticking(Mutex<Timestamp>);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock().unwrap();
        *now += 1.second();
        *now
    }
}

impl World {
    /// A world with the factors of both editions and without activity.
    pub(crate) fn new(setup: Setup) -> Self {
        let world = Self {
            setup,
            reader: Arc::default(),
            state: Arc::new(SqliteStore::memory().unwrap()),
            store: Arc::new(InMemory::new()),
            clock: Arc::new(Ticking(Mutex::new("2025-03-11T02:00:00Z".parse().unwrap()))),
            folder: tempfile::tempdir().unwrap(),
        };
        world.reader.put("factors/grid", grid());
        world
    }

    /// The same with the meters of one day on both sides.
    pub(crate) fn with_meters(setup: Setup) -> Self {
        let world = Self::new(setup);
        world.both("meters/2025-03-10", meters(DAY));
        world
    }

    /// The same documents on both sides.
    pub(crate) fn both(&self, path: &str, documents: Vec<Document>) {
        self.reader.put(&format!("docs/{path}"), documents.clone());
        self.reader.put(&format!("lake/{path}"), documents);
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        self.context_in("default")
    }

    pub(crate) fn context_in(&self, environment: &str) -> Arc<Context> {
        let context = Context::new(
            self.setup.project(),
            self.folder.path().to_owned(),
            environment.to_owned(),
            Arc::clone(&self.state),
            Arc::clone(&self.store),
            Path::from("evidence"),
            Arc::clone(&self.reader) as _,
            Arc::clone(&self.clock) as _,
        );
        Arc::new(context.unwrap())
    }

    pub(crate) async fn try_run(&self, period: &str) -> Result<RunAnswer, EngineError> {
        run(&self.context(), &request(period), &Silent).await
    }

    pub(crate) async fn run(&self, period: &str) -> RunAnswer {
        self.try_run(period).await.unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    /// The report of the usual day.
    pub(crate) async fn report(&self) -> RunReport {
        self.run(DAY).await.report.unwrap()
    }

    pub(crate) async fn decide(&self, change: &str, decision: Decision) -> Decided {
        let id = change.parse().unwrap();
        reviews::decide(&self.context(), &id, decision, "reviewer", "looked at the bridge").await.unwrap()
    }

    /// All recorded runs.
    pub(crate) async fn runs(&self) -> Vec<RunRecord> {
        self.state.runs(&RunFilter::default()).await.unwrap()
    }

    /// All objects of the evidence with their sizes, in order.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let objects: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut names: Vec<String> = objects.iter().map(|o| o.location.to_string()).collect();
        names.sort();
        names
    }
}

/// The run of the energy pipeline in the night after a period.
pub(crate) fn request(period: &str) -> RunRequest {
    request_of("energy", period)
}

/// The run of a pipeline in the night after a period.
pub(crate) fn request_of(pipeline: &str, period: &str) -> RunRequest {
    let period: Period = period.parse().unwrap();
    RunRequest {
        pipeline: pipeline.parse().unwrap(),
        period,
        as_of: period.end().unwrap(),
        split: false,
        load: false,
    }
}

pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// Three meters of two customers in two countries.
pub(crate) fn meters(day: &str) -> Vec<Document> {
    vec![
        meter("m1", "acme", day, "FR", 100.0),
        meter("m2", "acme", day, "DE", 10.0),
        meter("m3", "rivage", day, "FR", 200.0),
    ]
}

pub(crate) fn meter(id: &str, customer: &str, day: &str, country: &str, kwh: f64) -> Document {
    doc! { "id": id, "customer": customer, "day": day, "country": country, "kwh": kwh }
}

pub(crate) fn grid() -> Vec<Document> {
    let factor = |country: &str, edition: &str, grams: f64| doc! { "country": country, "edition": edition, "g_per_kwh": grams };
    vec![
        factor("FR", "2023", 50.0),
        factor("FR", "2025", 40.0),
        factor("DE", "2023", 400.0),
        factor("DE", "2025", 300.0),
    ]
}

pub(crate) fn column<'a>(report: &'a RunReport, name: &str) -> &'a ColumnReport {
    report.columns.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no column {name}"))
}

pub(crate) fn entry<'a>(report: &'a RunReport, change: &str, column: &str) -> &'a BridgeEntry {
    let mut entries = report.bridge.iter();
    entries
        .find(|e| e.change == change && e.column == column)
        .unwrap_or_else(|| panic!("no bridge entry of {change} for {column}: {:?}", report.bridge))
}

pub(crate) fn customer(report: &RunReport, name: &str) -> CustomerVerdict {
    let mut customers = report.customers.iter();
    customers
        .find(|c| c.customer.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("no customer {name}"))
        .verdict
}

/// Whether two figures agree but for float noise.
pub(crate) fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}
