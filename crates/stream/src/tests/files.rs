//! Parquet in, Parquet out.

use std::{collections::BTreeMap, fs::File, path::Path};

use arrow::{array::AsArray, record_batch::RecordBatch};
use dualrun_core::input;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::properties::WriterProperties,
};

use super::support::{Case, Progress, Row, limits, outputs, table};
use crate::{Request, Side, Way, compare_sides};

fn write(path: &Path, rows: &RecordBatch, group: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

/// Two files in row groups of some rows, as one side.
fn scan(side: input::Side, folder: &Path, rows: &RecordBatch, group: usize) -> Side {
    let middle = rows.num_rows() / 3;
    write(&folder.join("part-1.parquet"), &rows.slice(0, middle), group);
    write(&folder.join("part-2.parquet"), &rows.slice(middle, rows.num_rows() - middle), group);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = folder.display().to_string();
    let scan = runtime.block_on(dualrun_sources::open_scan(&path, Path::new("."), &BTreeMap::new()));
    Side::scan(side, scan.unwrap().unwrap(), None)
}

#[test]
fn files_in_any_order_give_the_same_files() {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let row = |shift: f64| {
        move |i: usize| -> Row {
            let value = i as f64 + if i.is_multiple_of(10) { shift } else { 0.0 };
            (Some(format!("customer {}", i % 40)), Some(i as i64), Some(value), Some(format!("{}", i % 7)))
        }
    };
    let rows = |row: &dyn Fn(usize) -> Row, step: usize| -> Vec<Row> {
        (0..6000).map(|i| row(i * step % 6000)).collect()
    };
    for (step, memory, group) in [(1, 1 << 30, 500), (7919, 1 << 30, 500), (7919, 1, 500), (7919, 1, 100_000)]
    {
        let folder = tempfile::Builder::new().prefix("dualrun-").tempdir().unwrap();
        let (mut legacy, mut new) = (table(&rows(&row(0.0), step)), table(&rows(&row(3.0), step)));
        if step == 1 {
            (legacy, new) = (case.sorted(&legacy), case.sorted(&new));
        }
        let expected = case.expected(&legacy, &new);
        let l = scan(input::Side::Legacy, &folder.path().join("legacy"), &legacy, group);
        let n = scan(input::Side::New, &folder.path().join("new"), &new, group);
        let (common, options, limits) = (case.common(), case.options(), limits(2, memory));
        let outputs = outputs(folder.path());
        let request = Request {
            common: &common,
            options: &options,
            outputs: Some(&outputs),
            sample: 10,
            limits: &limits,
            watch: &Progress::default(),
            confirm: &|| Ok(()),
        };
        let found = compare_sides(&l, &n, &request).unwrap();
        assert_eq!(found.way == Way::Sorted, step == 1);
        assert_eq!(found.comparison, expected.comparison);
        assert!(found.sample.iter().map(RecordBatch::num_rows).sum::<usize>() >= 10);
        let differences = case.in_order(&read(&outputs.differences)).unwrap();
        let wanted = expected.differences.unwrap();
        assert_eq!(differences.columns(), wanted.columns());
        let customers = read(outputs.customers.as_ref().unwrap());
        let names: Vec<String> = customers
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter().map(|name| name.unwrap().to_owned()))
            .collect();
        // One row a customer and compared column.
        assert_eq!(names.len(), 80);
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), 40);
    }
}
