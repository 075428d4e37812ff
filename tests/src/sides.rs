//! Two large sides with planted differences, and what must be found between them.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
    datatypes::{Date32Type, Float64Type, Int64Type, UInt64Type},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{metadata::SortingColumn, properties::WriterProperties},
};

/// Rows of a side before differences are planted.
pub const ROWS: usize = 300_000;

/// Customers of [`planted`], the one that only the new side has among them.
pub const CUSTOMERS: usize = 301;

/// The key of a row.
pub const KEY: &str = "customer,meter,day";

/// A row: three parts of the key, two measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Number of the customer.
    pub customer: u16,
    /// Part of the key; null in some rows.
    pub meter: Option<i64>,
    /// Part of the key; days since 1970.
    pub day: i32,
    /// A measure.
    pub kwh: Option<f64>,
    /// A measure.
    pub kg: Option<f64>,
}

type Key = (String, Option<i64>, i32);

/// A row that differs, as the file of differences tells it: key, kind, how often an ambiguous key occurs on each side,
/// and for each measure that differs the values of both sides.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Difference {
    /// The key.
    pub key: Key,
    /// `paired`, `only_legacy`, `only_new` or `ambiguous_key`.
    pub kind: String,
    /// Of ambiguous keys only.
    pub times: Option<(u64, u64)>,
    /// `kwh` of both sides.
    pub kwh: Option<(Option<f64>, Option<f64>)>,
    /// `kg` of both sides.
    pub kg: Option<(Option<f64>, Option<f64>)>,
}

/// The name of a customer: every other one too long to stand in a view.
pub fn name(customer: u16) -> String {
    format!("customer-{customer:03}{}", if customer.is_multiple_of(2) { " of the north" } else { "" })
}

/// Rows that are sorted by the key and agree: a thousand for each of 300 customers.
pub fn alike() -> Vec<Row> {
    let row = |i: usize| Row {
        customer: (i / 1000) as u16,
        meter: Some((i % 1000 / 10) as i64),
        day: 20_000 + (i % 10) as i32,
        kwh: Some(i as f64 * 0.1),
        kg: Some((i % 977) as f64 * 0.37 / 7.0),
    };
    (0..ROWS).map(row).collect()
}

/// Both sides, sorted by the key. Planted are 200 other values of `kwh`, in 32 of these rows a lost `kg` too, 10 rows
/// that the new side lacks, 12 that only it has, 5 keys that it has twice, and 5 null keys of which one has another
/// value.
pub fn planted() -> (Vec<Row>, Vec<Row>) {
    let (mut legacy, mut new) = (Vec::new(), Vec::new());
    for (i, row) in alike().into_iter().enumerate() {
        if i.is_multiple_of(60_000) {
            let unknown = Row { meter: None, ..row };
            legacy.push(unknown);
            new.push(Row { kg: Some(if i == 0 { 7.5 } else { 0.0 } + row.kg.unwrap_or(0.0)), ..unknown });
        }
        legacy.push(row);
        match (i % 1500, i % 30_000, i % 60_000) {
            (3, _, _) => {
                let kg = if i % 9000 == 3 && i > 10_000 { None } else { row.kg };
                new.push(Row { kwh: row.kwh.map(|kwh| kwh + 1.0 + i as f64 / 1000.0), kg, ..row });
            }
            (_, _, 11) => new.extend([row, row]),
            (_, 7, _) => {}
            _ => new.push(row),
        }
        if i % 30_000 == 29_999 {
            new.push(Row { meter: Some(5000), ..row });
        }
    }
    let fresh = Row { customer: 900, meter: Some(1), day: 20_000, kwh: Some(2.5), kg: None };
    new.extend([fresh, Row { day: 20_001, ..fresh }]);
    (legacy, new)
}

/// The rows in another order.
pub fn shuffled(rows: &[Row], step: usize) -> Vec<Row> {
    let step = (step..).find(|step| common_factor(*step, rows.len()) == 1).unwrap_or(1);
    (0..rows.len()).map(|i| rows[i * step % rows.len()]).collect()
}

fn common_factor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_factor(b, a % b) }
}

/// What differs between two sides, by the plainest way: all rows by their key.
pub fn differences(legacy: &[Row], new: &[Row]) -> Vec<Difference> {
    let mut keys: BTreeMap<_, [Vec<Row>; 2]> = BTreeMap::new();
    for (side, rows) in [legacy, new].into_iter().enumerate() {
        for row in rows {
            keys.entry((row.customer, row.meter, row.day)).or_default()[side].push(*row);
        }
    }
    let cell = |l: Option<f64>, n: Option<f64>| (l != n).then_some((l, n));
    keys.into_iter()
        .filter_map(|((customer, meter, day), [legacy, new])| {
            let of = |kind: &str, times, kwh, kg| {
                Some(Difference { key: (name(customer), meter, day), kind: kind.to_owned(), times, kwh, kg })
            };
            match (&legacy[..], &new[..]) {
                ([l], [n]) if l == n => None,
                ([l], [n]) => of("paired", None, cell(l.kwh, n.kwh), cell(l.kg, n.kg)),
                ([l], []) => of("only_legacy", None, Some((l.kwh, None)), Some((l.kg, None))),
                ([], [n]) => of("only_new", None, Some((None, n.kwh)), Some((None, n.kg))),
                (l, n) => of("ambiguous_key", Some((l.len() as u64, n.len() as u64)), None, None),
            }
        })
        .collect()
}

/// The differences that a file holds, by their key.
///
/// # Panics
/// It is no file of differences.
pub fn read_differences(path: &Path) -> Vec<Difference> {
    let mut found = Vec::new();
    for batch in crate::tables::read(path) {
        let column = |name: &str| -> ArrayRef {
            let column = batch.column_by_name(name);
            column.cloned().unwrap_or_else(|| panic!("no column {name} in {:?}", batch.schema()))
        };
        let text = |name: &str| {
            let texts = arrow::compute::cast(&column(name), &arrow::datatypes::DataType::Utf8);
            texts.unwrap_or_else(|error| panic!("{name}: {error}")).as_string::<i32>().clone()
        };
        let (customers, kinds) = (text("customer"), text("dualrun_row"));
        let (meters, days) = (column("meter"), column("day"));
        let (l, n) = (column("dualrun_legacy_rows"), column("dualrun_new_rows"));
        let times = |i| {
            let (l, n) = (l.as_primitive::<UInt64Type>(), n.as_primitive::<UInt64Type>());
            l.is_valid(i).then(|| (l.value(i), n.value(i)))
        };
        let cell = |column: &ArrayRef, i: usize| {
            let parts = column.as_struct();
            let side = |name: &str| {
                let values = parts.column_by_name(name).map(|v| v.as_primitive::<Float64Type>());
                values.filter(|values| values.is_valid(i)).map(|values| values.value(i))
            };
            parts.is_valid(i).then(|| (side("legacy"), side("new")))
        };
        let (kwh, kg) = (column("kwh"), column("kg"));
        for i in 0..batch.num_rows() {
            let meter = meters.as_primitive::<Int64Type>();
            found.push(Difference {
                key: (
                    customers.value(i).to_owned(),
                    meter.is_valid(i).then(|| meter.value(i)),
                    days.as_primitive::<Date32Type>().value(i),
                ),
                kind: kinds.value(i).to_owned(),
                times: times(i),
                kwh: cell(&kwh, i),
                kg: cell(&kg, i),
            });
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

/// Writes rows as Parquet in small row groups. `sorted`: the file says that it is sorted by the key.
///
/// # Panics
/// The file cannot be written.
pub fn write(path: &Path, rows: &[Row], sorted: bool) {
    let failed = |error: &dyn std::error::Error| -> ! { panic!("{}: {error}", path.display()) };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).unwrap_or_else(|error| failed(&error));
    }
    let order = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: true };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(20_000))
        .set_sorting_columns(sorted.then(|| (0..3).map(order).collect()))
        .build();
    let batch = batch(rows);
    let file = File::create(path).unwrap_or_else(|error| failed(&error));
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap_or_else(|error| failed(&error));
    writer.write(&batch).unwrap_or_else(|error| failed(&error));
    writer.close().unwrap_or_else(|error| failed(&error));
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 5] = [
        ("customer", Arc::new(rows.iter().map(|row| Some(name(row.customer))).collect::<StringArray>())),
        ("meter", Arc::new(rows.iter().map(|row| row.meter).collect::<Int64Array>())),
        ("day", Arc::new(rows.iter().map(|row| Some(row.day)).collect::<Date32Array>())),
        ("kwh", Arc::new(rows.iter().map(|row| row.kwh).collect::<Float64Array>())),
        ("kg", Arc::new(rows.iter().map(|row| row.kg).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)))
        .unwrap_or_else(|error| panic!("{error}"))
}
