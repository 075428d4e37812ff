//! Builders for the tests of the comparison.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{convert::Infallible, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema},
    record_batch::{RecordBatch, RecordBatchOptions},
    row::{RowConverter, SortField},
};
use dualrun_compare::{
    Common, Comparison, Fold, Options, Parts, Relation, Scope, common_for_diff, compare_range, conform,
    nearest_floats, sort_batches, text::value_text,
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
    /// How the rows are split before they are compared.
    pub(crate) split: Split,
    /// Texts come as views.
    pub(crate) views: bool,
}

/// How rows are split among comparisons that are put together afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Split {
    /// So many ranges of the key.
    Ranges(usize),
    /// By a hash of the key.
    Hash(usize),
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
            split: Split::Ranges(1),
            views: false,
        }
    }
}

impl Setup<'_> {
    /// Compares tables in any order of rows; the first two give the common schema.
    pub(crate) fn run(&self, tables: &[RecordBatch]) -> Found {
        let key: Vec<String> = self.key.iter().map(|k| (*k).to_owned()).collect();
        let (legacy, new) = (tables[0].schema(), tables[1].schema());
        let common = common_for_diff(&legacy, &new, &key, self.customer, self.tolerance).unwrap();
        let sorted: Vec<RecordBatch> = tables
            .iter()
            .map(|t| {
                let sorted = sort_batches(&[conform(t, &common).unwrap()], &key).unwrap();
                let whole = arrow::compute::concat_batches(&common.schema, &sorted).unwrap();
                if self.views { with_views(&whole) } else { whole }
            })
            .collect();
        let mut differences = Vec::new();
        let scope = if let Split::Ranges(_) = self.split { Scope::Ranges } else { Scope::Keys };
        let options = Options { scope, ..self.options.clone() };
        let mut fold = Fold::new(&common, self.parts, &options);
        for relations in self.split(&sorted, &common) {
            let relations = relations.iter().map(|whole| relation(self.pieces(whole))).collect();
            let partial =
                compare_range(&common, self.parts, relations, &options, &mut differences, None).unwrap();
            fold.add(partial, None).unwrap();
        }
        let comparison = fold.finish(None).unwrap();
        let stored: usize = differences.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(stored as u64, comparison.differences);
        Found { comparison, differences, common }
    }

    fn pieces(&self, whole: &RecordBatch) -> Vec<RecordBatch> {
        let size = self.batch.min(whole.num_rows().max(1));
        (0..whole.num_rows())
            .step_by(size)
            .map(|at| whole.slice(at, size.min(whole.num_rows() - at)))
            .collect()
    }

    /// For each part of the rows the rows of each relation.
    fn split(&self, relations: &[RecordBatch], common: &Common) -> Vec<Vec<RecordBatch>> {
        let converter = |batch: &RecordBatch| {
            let columns = &batch.columns()[..common.spec.key.len()];
            let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
            RowConverter::new(fields).unwrap().convert_columns(columns).unwrap()
        };
        let keys: Vec<Vec<Vec<u8>>> =
            relations.iter().map(|r| converter(r).iter().map(|row| row.data().to_vec()).collect()).collect();
        let mut all: Vec<&Vec<u8>> = keys.iter().flatten().collect();
        all.sort();
        all.dedup();
        let hash = |key: &Vec<u8>| key.iter().fold(7usize, |h, b| h.wrapping_mul(31) + usize::from(*b));
        let parts = match self.split {
            Split::Ranges(n) | Split::Hash(n) => n,
        };
        let of = |key: &Vec<u8>| match self.split {
            Split::Ranges(n) => all.binary_search(&key).unwrap() / all.len().div_ceil(n).max(1),
            Split::Hash(n) => hash(key) % n,
        };
        (0..parts)
            .map(|part| {
                let within =
                    |keys: &Vec<Vec<u8>>| keys.iter().map(|k| Some(of(k) == part)).collect::<BooleanArray>();
                relations
                    .iter()
                    .zip(&keys)
                    .map(|(r, k)| filter_record_batch(r, &within(k)).unwrap())
                    .collect()
            })
            .collect()
    }
}

fn with_views(batch: &RecordBatch) -> RecordBatch {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|c| match c.data_type() {
            DataType::Utf8 => cast(c, &DataType::Utf8View).unwrap(),
            _ => Arc::clone(c),
        })
        .collect();
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(f, c)| Field::new(f.name(), c.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).unwrap()
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

    /// A column of the stored differences as text.
    pub(crate) fn texts(&self, column: &str) -> Vec<Option<String>> {
        self.values(|b| b.column_by_name(column).unwrap().clone())
    }

    /// One part of the cells of a column, as text; none where the cell agrees.
    pub(crate) fn cell_texts(&self, column: &str, part: &str) -> Vec<Option<String>> {
        self.values(|b| cell_part(b, column, part))
    }

    pub(crate) fn cell_numbers(&self, column: &str, part: &str) -> Vec<Option<f64>> {
        let of =
            |b: &RecordBatch| nearest_floats(&cell_part(b, column, part)).unwrap().iter().collect::<Vec<_>>();
        self.differences.iter().flat_map(of).collect()
    }

    fn values(&self, of: impl Fn(&RecordBatch) -> ArrayRef) -> Vec<Option<String>> {
        let texts = |b: &RecordBatch| {
            let array = of(b);
            (0..array.len()).map(|i| value_text(&array, i).unwrap()).collect::<Vec<_>>()
        };
        self.differences.iter().flat_map(texts).collect()
    }
}

fn cell_part(batch: &RecordBatch, column: &str, part: &str) -> ArrayRef {
    let cells = batch.column_by_name(column).unwrap().as_struct();
    cells.column_by_name(part).unwrap().clone()
}

pub(crate) fn empty(columns: &[(&str, DataType)]) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect();
    RecordBatch::new_empty(Arc::new(Schema::new(fields)))
}
