//! Tables, and the two ways of comparing them with parts of any size.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    compute::concat_batches,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use dualrun_compare::{
    Common, Comparison, Options, Parts, Relation, common_for_diff, compare, conform, sort_batches,
};
use dualrun_core::{Tolerance, input};
use proptest::prelude::*;

use crate::{
    Limits, OutputFiles, Side, StreamError, Watch,
    ordered::Gathered,
    output::Files,
    plan, ranges,
    spill::{self, Sizes},
    work::Work,
};

/// Customer, number of the site, measure, attribute.
pub(super) type Row = (Option<String>, Option<i64>, Option<f64>, Option<String>);

pub(super) fn table(rows: &[Row]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("customer", Arc::new(rows.iter().map(|r| r.0.clone()).collect::<StringArray>())),
        ("site", Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>())),
        ("value", Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>())),
        ("note", Arc::new(rows.iter().map(|r| r.3.clone()).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

/// What to compare by.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) key: Vec<String>,
    pub(super) customer: Option<String>,
    pub(super) excluded: BTreeSet<Option<String>>,
    schema: SchemaRef,
}

impl Case {
    pub(super) fn new(key: &[&str], customer: Option<&str>) -> Self {
        Self {
            key: key.iter().map(|k| (*k).to_owned()).collect(),
            customer: customer.map(str::to_owned),
            excluded: BTreeSet::new(),
            schema: table(&[]).schema(),
        }
    }

    /// For rows of another schema.
    pub(super) fn of(self, schema: SchemaRef) -> Self {
        Self { schema, ..self }
    }

    pub(super) fn common(&self) -> Arc<Common> {
        let schema = &self.schema;
        let tolerance = Tolerance::new(0.01, 0.0).unwrap();
        Arc::new(common_for_diff(schema, schema, &self.key, self.customer.as_deref(), tolerance).unwrap())
    }

    pub(super) fn options(&self) -> Options {
        Options { excluded: self.excluded.clone(), ..Options::default() }
    }

    pub(super) fn sorted(&self, batch: &RecordBatch) -> RecordBatch {
        let batches = sort_batches(&[conform(batch, &self.common()).unwrap()], &self.key).unwrap();
        concat_batches(&self.common().schema, &batches).unwrap()
    }

    /// What is to be found, and the rows that differ by their keys.
    pub(super) fn expected(&self, legacy: &RecordBatch, new: &RecordBatch) -> Outcome {
        let relation = |batch: &RecordBatch| -> Relation<Infallible> {
            Box::new(vec![Ok(self.sorted(batch))].into_iter())
        };
        let mut differences = Vec::new();
        let relations = vec![relation(legacy), relation(new)];
        let comparison =
            compare(&self.common(), Parts::PLAIN, relations, &self.options(), &mut differences).unwrap();
        Outcome { comparison, differences: self.in_order(&differences) }
    }

    /// Differences by their keys, each of which has at most one.
    pub(super) fn in_order(&self, differences: &[RecordBatch]) -> Option<RecordBatch> {
        let sorted = sort_batches(differences, &self.key).unwrap();
        sorted.first().map(|first| concat_batches(&first.schema(), &sorted).unwrap())
    }

    pub(super) fn ranges(
        &self,
        sides: &(Side, Side),
        size: u64,
        threads: usize,
    ) -> Result<Outcome, StreamError> {
        let (common, progress) = (self.common(), Progress::default());
        let work = Work::new(&common, &Files::default(), u64::MAX);
        let sides = (&sides.0, &sides.1);
        let limits = limits(threads, 1 << 30);
        let found = ranges::run_sized(
            sides,
            plan::Sizes::fixed(size),
            &work,
            &self.options(),
            Files::default(),
            &limits,
            &progress,
        )?;
        progress.check(sides);
        Ok(Outcome { comparison: found.0, differences: self.in_order(&found.1) })
    }

    /// The bytes that were spilled come with it.
    pub(super) fn parts(
        &self,
        sides: &(Side, Side),
        sizes: Sizes,
        threads: usize,
    ) -> Result<(Outcome, u64), StreamError> {
        let (common, progress) = (self.common(), Progress::default());
        let work = Work::new(&common, &Files::default(), u64::MAX);
        let sides = (&sides.0, &sides.1);
        let sample = spill::sizes::sample(sides, &common)?;
        let found = spill::run_sized(
            sides,
            (sample, sizes),
            &work,
            &self.options(),
            Files::default(),
            &limits(threads, 0),
            &progress,
        )?;
        progress.check(sides);
        let outcome = Outcome { comparison: found.comparison, differences: self.in_order(&found.sample) };
        Ok((outcome, found.spilled))
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) comparison: Comparison,
    pub(super) differences: Option<RecordBatch>,
}

/// Remembers what it was told.
#[derive(Default)]
pub(super) struct Progress(Mutex<Vec<(u64, u64)>>);

impl Watch for Progress {
    fn rows(&self, done: u64, total: u64) {
        self.0.lock().unwrap().push((done, total));
    }
}

impl Progress {
    fn check(&self, sides: (&Side, &Side)) {
        let total = sides.0.rows() + sides.1.rows();
        let seen = self.0.lock().unwrap();
        assert!(seen.iter().all(|(done, all)| *done <= total && *all == total));
        if total > 0 {
            assert_eq!(seen.last(), Some(&(total, total)));
        }
    }
}

pub(super) fn limits(threads: usize, memory: u64) -> Limits {
    Limits { threads, memory, spill: std::env::temp_dir() }
}

/// Both sides in memory, in batches of some rows.
pub(super) fn sides(legacy: &RecordBatch, new: &RecordBatch, batch: usize) -> (Side, Side) {
    let side = |side, rows: &RecordBatch| {
        let starts = (0..rows.num_rows()).step_by(batch.max(1));
        let pieces = starts.map(|at| rows.slice(at, batch.max(1).min(rows.num_rows() - at))).collect();
        Side::memory(side, rows.schema(), pieces)
    };
    (side(input::Side::Legacy, legacy), side(input::Side::New, new))
}

/// Where results go in a folder.
pub(super) fn outputs(folder: &Path) -> OutputFiles {
    OutputFiles {
        differences: folder.join("differences.parquet"),
        customers: Some(folder.join("customers.parquet")),
    }
}

/// Few customers and sites, so that keys meet, occur more than once and tie; some customers have most of the rows.
fn row() -> impl Strategy<Value = Row> {
    let customer = prop::sample::select(vec!["a", "b", "b", "b", "a customer of many letters", "c", ""]);
    let note = prop::sample::select(vec!["x", "y", "a note that does not fit in a view"]);
    let value = prop::sample::select(vec![0.0, -0.0, 1.0, 2.0, 2.005, f64::NAN, 1e300]);
    (
        prop::option::weighted(0.95, customer.prop_map(str::to_owned)),
        prop::option::weighted(0.97, 0i64..60),
        prop::option::weighted(0.95, value),
        prop::option::weighted(0.9, note.prop_map(str::to_owned)),
    )
}

/// Two tables that have most rows in common, in any order.
pub(super) fn tables() -> impl Strategy<Value = (Vec<Row>, Vec<Row>)> {
    let shared = prop::collection::vec((row(), 0u8..40, row()), 0..250);
    let few = || prop_oneof![2 => prop::collection::vec(row(), 0..20), 1 => Just(Vec::new())];
    (shared, few(), few()).prop_flat_map(|(shared, mut legacy, mut new)| {
        for (row, change, other) in shared {
            let mut changed = row.clone();
            match change {
                0 => changed.2 = other.2,
                1 => changed.3 = other.3,
                2 => changed.2 = changed.2.map(|value| value + 1.0),
                3 => {
                    legacy.push(row);
                    continue;
                }
                _ => {}
            }
            legacy.push(row);
            new.push(changed);
        }
        (Just(legacy).prop_shuffle(), Just(new).prop_shuffle())
    })
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let keys = prop::sample::select(vec![
        Case::new(&["customer", "site"], Some("customer")),
        Case::new(&["customer", "site"], None),
        Case::new(&["site", "customer"], Some("customer")),
        Case::new(&["site"], Some("customer")),
        Case::new(&["site"], None),
        Case::new(&["customer"], Some("customer")),
        Case::new(&["customer", "value"], Some("customer")),
        Case::new(&["site", "value"], Some("site")),
    ]);
    let excluded = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Some("b".to_owned()))),
        1 => Just(Some(None)),
    ];
    (keys, excluded).prop_map(|(mut case, excluded)| {
        case.excluded = excluded.into_iter().collect();
        case
    })
}

/// Nothing was asked of this unless parts are put together.
pub(super) fn nothing_gathered(case: &Case) -> Comparison {
    let (common, options) = (case.common(), case.options());
    let gathered = Gathered::new(&common, &options, Files::default(), 0);
    gathered.finish().unwrap().0
}
