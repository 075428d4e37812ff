//! How fast sums and comparisons are. Throughput is in values of a sum, and in rows of one side of a comparison.
#![allow(missing_docs, reason = "macros of criterion make public items")]
#![allow(clippy::expect_used, reason = "a benchmark of what fails is of no use")]

use std::{convert::Infallible, hint::black_box, sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringViewArray},
    record_batch::RecordBatch,
};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use dualrun_compare::{
    Common, Options, Parts, Relation, common_for_diff, compare, conform, conform_views, exact_sum::ExactSum,
};
use dualrun_core::Tolerance;

const ROWS: usize = 1 << 17;
const BATCH: usize = 8192;
const CUSTOMER_ROWS: usize = 1000;

fn sums(c: &mut Criterion) {
    let mut group = c.benchmark_group("sum");
    quick(&mut group, ROWS);
    let usual: Vec<f64> = (0..ROWS).map(|i| measure(i, 1)).collect();
    // Values of all sizes, whose bits do not fit in two floats.
    let mixed: Vec<f64> = (0..ROWS).map(|i| measure(i, 2) * 10f64.powi((i % 61) as i32 - 30)).collect();
    for (name, values) in [("usual", &usual), ("mixed", &mixed)] {
        group.bench_function(format!("{name}/plain"), |b| b.iter(|| black_box(values).iter().sum::<f64>()));
        group.bench_function(format!("{name}/exact"), |b| {
            b.iter(|| {
                let mut sum = ExactSum::default();
                let not_finite = sum.extend(black_box(values));
                (sum.value(), not_finite)
            });
        });
        group.bench_function(format!("{name}/exact one by one"), |b| {
            b.iter(|| {
                let mut sum = ExactSum::default();
                black_box(values).iter().for_each(|v| sum.add(*v));
                sum.value()
            });
        });
    }
    group.finish();
}

/// Rows that line up, and rows that do not.
fn comparisons(c: &mut Criterion) {
    let mut group = c.benchmark_group("compare");
    quick(&mut group, ROWS);
    let plain = Shape::default();
    let cases = [
        ("all equal", plain, plain),
        ("0.1 % different", plain, Shape { changed: Some(1000), ..plain }),
        ("all different", plain, Shape { changed: Some(1), ..plain }),
        ("nulls", Shape { nulls: true, ..plain }, Shape { nulls: true, changed: Some(1000), ..plain }),
        ("long texts", Shape { long: true, ..plain }, Shape { long: true, changed: Some(1000), ..plain }),
        (
            "decimals",
            Shape { decimals: true, ..plain },
            Shape { decimals: true, changed: Some(1000), ..plain },
        ),
        ("unaligned", plain, Shape { skipped: Some(50), ..plain }),
    ];
    for (name, legacy, new) in cases {
        let (legacy, new) = (legacy.table(), new.table());
        let key = ["customer".to_owned(), "item".to_owned()];
        let tolerance = Tolerance::new(1e-9, 1e-9).expect("both are finite");
        let common = common_for_diff(&legacy.schema(), &new.schema(), &key, Some("customer"), tolerance)
            .expect("both have one schema");
        for (layout, views) in [("", false), (" (views)", true)] {
            let sides = [&legacy, &new].map(|table| batches(table, &common, views));
            group.bench_function(format!("{name}{layout}"), |b| {
                b.iter(|| {
                    let options = Options { worst_customers: Some(100), ..Options::default() };
                    let relations = sides.iter().map(|side| relation(side)).collect();
                    let mut stored = Vec::<RecordBatch>::new();
                    let found = compare(&common, Parts::PLAIN, relations, &options, &mut stored);
                    found.expect("the rows are sorted").rows.paired
                });
            });
        }
    }
    group.finish();
}

fn quick(group: &mut BenchmarkGroup<'_, WallTime>, rows: usize) {
    group.throughput(Throughput::Elements(rows as u64));
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
}

/// What a side is made of.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// Every so many rows hold other values.
    changed: Option<usize>,
    /// Every so many rows are missing.
    skipped: Option<usize>,
    nulls: bool,
    long: bool,
    decimals: bool,
}

impl Shape {
    /// Sorted rows: a customer, an item, two measures and a text.
    fn table(self) -> RecordBatch {
        let rows: Vec<usize> = (0..ROWS)
            .filter(|i| self.skipped.is_none_or(|n| !(i / CUSTOMER_ROWS + i).is_multiple_of(n)))
            .collect();
        let is_changed = |i: usize| self.changed.is_some_and(|n| i.is_multiple_of(n));
        let is_null = |i: usize| self.nulls && i % 10 == 3;
        let value = |i: usize, seed: usize| measure(i, seed) + if is_changed(i) { 0.5 } else { 0.0 };
        let customers = rows.iter().map(|i| format!("customer-{:06}", i / CUSTOMER_ROWS));
        let items = rows.iter().map(|i| (i % CUSTOMER_ROWS) as i64);
        let texts = rows.iter().map(|i| {
            let text = if self.long { "emission factor of a long name" } else { "factor" };
            (!is_null(*i)).then(|| format!("{text} {}", i % 97))
        });
        let numbers = |seed: usize| -> ArrayRef {
            if !self.decimals {
                let values = rows.iter().map(|i| (!is_null(*i)).then(|| value(*i, seed)));
                return Arc::new(Float64Array::from_iter(values));
            }
            let digits = rows.iter().map(|i| (!is_null(*i)).then(|| (value(*i, seed) * 1e6) as i128));
            let array = Decimal128Array::from_iter(digits).with_precision_and_scale(38, 6);
            Arc::new(array.expect("few digits"))
        };
        RecordBatch::try_from_iter_with_nullable([
            ("customer", Arc::new(StringViewArray::from_iter_values(customers)) as ArrayRef, true),
            ("item", Arc::new(Int64Array::from_iter_values(items)), true),
            ("energy", numbers(1), true),
            ("co2e", numbers(2), true),
            ("source", Arc::new(StringViewArray::from_iter(texts)), true),
        ])
        .expect("all columns have the same length")
    }
}

/// A figure between 0 and 1000 that looks like chance.
fn measure(row: usize, seed: usize) -> f64 {
    let mixed = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(seed as u32 * 7);
    (mixed >> 11) as f64 / (1u64 << 53) as f64 * 1000.0
}

fn batches(table: &RecordBatch, common: &Common, views: bool) -> Vec<RecordBatch> {
    let rows = table.num_rows();
    let piece = |at: usize| {
        let piece = table.slice(at, BATCH.min(rows - at));
        if views { conform_views(&piece, common) } else { conform(&piece, common) }
            .expect("all columns are there")
    };
    (0..rows).step_by(BATCH).map(piece).collect()
}

fn relation(batches: &[RecordBatch]) -> Relation<Infallible> {
    let batches = batches.to_vec();
    Box::new(batches.into_iter().map(Ok))
}

criterion_group!(benches, sums, comparisons);
criterion_main!(benches);
