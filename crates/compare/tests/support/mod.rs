//! Builders for the tests of the comparison.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{convert::Infallible, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, StringArray},
    datatypes::{DataType, Field, Float64Type, Schema},
    record_batch::RecordBatch,
};
use dualrun_compare::{
    Common, Comparison, Options, Parts, Relation, common_for_diff, compare, conform, sort_batches,
};
use dualrun_core::{Tolerance, Verdict};

/// A table of nullable columns.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub(crate) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// Key `k`, measure `v`.
pub(crate) fn kv(rows: &[(&str, f64)]) -> RecordBatch {
    table(vec![
        ("k", array(StringArray::from_iter_values(rows.iter().map(|r| r.0)))),
        ("v", array(Float64Array::from_iter_values(rows.iter().map(|r| r.1)))),
    ])
}

pub(crate) fn relation(batches: Vec<RecordBatch>) -> Relation<Infallible> {
    Box::new(batches.into_iter().map(Ok))
}

pub(crate) struct Found {
    pub(crate) comparison: Comparison,
    pub(crate) differences: Vec<RecordBatch>,
    pub(crate) common: Common,
}

pub(crate) struct Setup<'a> {
    pub(crate) key: &'a [&'a str],
    pub(crate) customer: Option<&'a str>,
    pub(crate) tolerance: Tolerance,
    pub(crate) parts: Parts,
    pub(crate) options: Options,
    /// Rows of a batch in the relations.
    pub(crate) batch: usize,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            key: &["k"],
            customer: None,
            tolerance: Tolerance::EXACT,
            parts: Parts::PLAIN,
            options: Options::default(),
            batch: usize::MAX,
        }
    }
}

impl Setup<'_> {
    /// Compares tables in any order of rows; the first two give the common schema.
    pub(crate) fn run(&self, tables: &[RecordBatch]) -> Found {
        let key: Vec<String> = self.key.iter().map(|k| (*k).to_owned()).collect();
        let (legacy, new) = (tables[0].schema(), tables[1].schema());
        let common = common_for_diff(&legacy, &new, &key, self.customer, self.tolerance).unwrap();
        let relations = tables
            .iter()
            .map(|t| {
                let sorted = sort_batches(&[conform(t, &common).unwrap()], &key).unwrap();
                let pieces = sorted.iter().flat_map(|b| {
                    let size = self.batch.min(b.num_rows().max(1));
                    (0..b.num_rows()).step_by(size).map(move |at| b.slice(at, size.min(b.num_rows() - at)))
                });
                relation(pieces.collect())
            })
            .collect();
        let mut differences = Vec::new();
        let comparison = compare(&common, self.parts, relations, &self.options, &mut differences).unwrap();
        let stored: usize = differences.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(stored as u64, comparison.differences);
        Found { comparison, differences, common }
    }
}

/// Two tables without changes.
pub(crate) fn diff(legacy: &RecordBatch, new: &RecordBatch) -> Found {
    Setup::default().run(&[legacy.clone(), new.clone()])
}

/// One measure cell `v` under key `k` on each side, in any types.
pub(crate) fn cell(legacy: ArrayRef, new: ArrayRef, tolerance: Tolerance) -> Found {
    let of = |values: ArrayRef| {
        let keys = StringArray::from_iter_values((0..values.len()).map(|i| i.to_string()));
        table(vec![("k", array(keys)), ("v", values)])
    };
    Setup { tolerance, ..Setup::default() }.run(&[of(legacy), of(new)])
}

impl Found {
    /// The verdict counts of a column, best first.
    pub(crate) fn counts(&self, column: &str) -> [u64; 5] {
        let report = self.comparison.columns.iter().find(|c| c.name == column).unwrap();
        Verdict::ALL.map(|v| report.verdicts.get(v))
    }

    pub(crate) fn texts(&self, column: &str) -> Vec<Option<String>> {
        self.differences
            .iter()
            .flat_map(|b| {
                let column = b.column_by_name(column).unwrap().as_string::<i32>().clone();
                (0..column.len())
                    .map(|i| column.is_valid(i).then(|| column.value(i).to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.texts("difference_kind").into_iter().flatten().collect()
    }

    pub(crate) fn numbers(&self, column: &str) -> Vec<Option<f64>> {
        self.differences
            .iter()
            .flat_map(|b| {
                b.column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
            })
            .collect()
    }
}

pub(crate) fn empty(columns: &[(&str, DataType)]) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect();
    RecordBatch::new_empty(Arc::new(Schema::new(fields)))
}
