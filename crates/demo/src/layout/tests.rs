use std::{fs, sync::Mutex};

use jiff::civil::date;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::collections::{assets::Assets, telecom_invoices::TelecomInvoices};

fn options(first_day: Date, last_day: Date) -> LayoutOptions {
    LayoutOptions { seed: 42, first_day, last_day }
}

/// One file of a collection in the lake: its rows, and the values of a text column.
fn rows(path: &Path, column: &str) -> (usize, BTreeSet<String>) {
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let (mut count, mut values) = (0, BTreeSet::new());
    for batch in reader {
        let batch = batch.unwrap();
        let text =
            arrow::compute::cast(batch.column_by_name(column).unwrap(), &arrow::datatypes::DataType::Utf8);
        let text = text.unwrap();
        let text = text.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        values.extend(text.iter().flatten().map(str::to_owned));
        count += batch.num_rows();
    }
    (count, values)
}

#[test]
fn days_have_a_margin_and_months_the_month_before() {
    let range = options(date(2025, 2, 15), date(2025, 4, 3));
    let months = partitions(&Assets, &range).unwrap();
    let expected: Vec<Partition> = (1..=4).map(|month| Partition::Month(date(2025, month, 1))).collect();
    assert_eq!(months, expected);
    let webs = collections::all().iter().find(|c| c.name() == "webStats").unwrap();
    let days = partitions(*webs, &range).unwrap();
    assert_eq!(days.first(), Some(&Partition::Day(date(2025, 2, 13))));
    assert_eq!(days.last(), Some(&Partition::Day(date(2025, 4, 4))));
    assert!(matches!(
        partitions(&Assets, &options(date(2025, 2, 2), date(2025, 2, 1))),
        Err(DemoError::Range { .. })
    ));
}

#[test]
fn both_sides_hold_the_same_documents_and_a_late_file_is_one_customer() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(42);
    let project = project::load_project().unwrap();
    let partition = Partition::Month(date(2025, 3, 1));
    let job = Job {
        collection: &TelecomInvoices,
        partition,
        shape: shapes::of_collection(&project, "telecomInvoices").unwrap(),
    };
    let seen = Mutex::new(Vec::new());
    run(dir.path(), &world, &[job], &mut |done, total| seen.lock().unwrap().push((done, total))).unwrap();
    assert_eq!(seen.into_inner().unwrap(), [(0, 1), (1, 1)]);

    let dump = dir.path().join("data/mongo/2025-03/core");
    assert!(dump.join("telecomInvoices.bson.gz").is_file());
    assert!(dump.join("telecomInvoices.metadata.json.gz").is_file());
    let lake = dir.path().join("data/lake/bronze/telecomInvoices/month=2025-03");
    let parts: Vec<_> = (0..4).map(|n| rows(&lake.join(format!("part-{n}.parquet")), "customer")).collect();
    let documents = TelecomInvoices.documents(&world, partition);
    assert_eq!(parts.iter().map(|part| part.0).sum::<usize>(), documents.len());
    assert_eq!(parts[3].1, BTreeSet::from(["nordlicht-de".to_owned()]));
    assert_eq!(parts.iter().map(|part| part.1.len()).sum::<usize>(), world.customers.len());
}

#[test]
fn every_generated_value_fits_its_shape() {
    let world = World::new(42);
    let project = project::load_project().unwrap();
    let range = options(date(2025, 3, 2), date(2025, 3, 2));
    for collection in collections::all() {
        let shape = shapes::of_collection(&project, collection.name()).unwrap();
        for partition in partitions(*collection, &range).unwrap() {
            let documents = collection.documents(&world, partition);
            let (_, _, misfits) = dualrun_sources::documents::to_batches(&documents, &shape).unwrap();
            assert!(misfits.is_empty(), "{} {partition:?}: {misfits:?}", collection.name());
        }
    }
}

#[test]
fn the_first_error_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), b"in the way").unwrap();
    let range = options(date(2025, 3, 2), date(2025, 3, 2));
    assert!(matches!(lay_out(dir.path(), &range, &mut |_, _| {}), Err(DemoError::Write { .. })));
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let range = options(date(2025, 3, 2), date(2025, 3, 2));
    for dir in &dirs {
        lay_out(dir.path(), &range, &mut |_, _| {}).unwrap();
    }
    for file in [
        "data/mongo/2025-03-02/core/webStats.bson.gz",
        "data/lake/bronze/assets/month=2025-03/part-0.parquet",
    ] {
        let [a, b] = dirs.each_ref().map(|dir| fs::read(dir.path().join(file)).unwrap());
        assert!(!a.is_empty() && a == b, "{file}");
    }
}
