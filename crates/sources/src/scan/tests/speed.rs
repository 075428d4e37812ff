//! How fast two files of ten million rows are scanned on two threads.

use std::time::Instant;

use super::*;

/// `cargo test --release -- --ignored scan_speed --nocapture` on an idle machine.
#[test]
#[ignore = "measures"]
fn scan_speed() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 10_000_000;
    for name in ["legacy.parquet", "new.parquet"] {
        generate(&folder.path().join(name), rows);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for batch_rows in [8192, 32_768, 65_536] {
        for _ in 0..3 {
            let started = Instant::now();
            let scans = ["legacy.parquet", "new.parquet"]
                .map(|name| runtime.block_on(open(folder.path(), name)).unwrap());
            let opened = started.elapsed();
            let counted: Vec<usize> = std::thread::scope(|scope| {
                let count = |scan: ParquetScan| {
                    move || {
                        let reader = scan.read(0..scan.rows(), &names(&scan), batch_rows).unwrap();
                        reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>()
                    }
                };
                let threads = scans.map(|scan| scope.spawn(count(scan)));
                threads.map(|thread| thread.join().unwrap()).into()
            });
            assert_eq!(counted, [rows, rows]);
            eprintln!("batches of {batch_rows}: opened {opened:?}, all {:?}", started.elapsed());
        }
    }
    let scan = runtime.block_on(open(folder.path(), "new.parquet")).unwrap();
    let started = Instant::now();
    for i in 0..100 {
        let at = i * 99_991;
        assert_eq!(read(&scan, at..at + 1, &names(&scan), 1).unwrap().len(), 1);
    }
    eprintln!("one row in the middle: {:?}", started.elapsed() / 100);
}

/// Three key columns in order and two measures, zstd.
fn generate(path: &Path, rows: usize) {
    let properties =
        WriterProperties::builder().set_compression(parquet::basic::Compression::ZSTD(Default::default()));
    let mut writer = None;
    for start in (0..rows).step_by(1 << 20) {
        let range = start..(start + (1 << 20)).min(rows);
        let text = |by: usize, prefix: &'static str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(
                range.clone().map(|i| format!("{prefix}-{:05}", i / by % 100_000)),
            ))
        };
        let days = Date32Array::from_iter_values(range.clone().map(|i| (i / 20 % 31) as i32 + 20_000));
        let measure = |by: f64| -> ArrayRef {
            let value = |i: usize| ((i as u64).wrapping_mul(2_654_435_761) % 100_000) as f64 * by;
            Arc::new(Float64Array::from_iter_values(range.clone().map(value)))
        };
        let columns: [(&str, ArrayRef); 5] = [
            ("customer_id", text(10_000, "customer")),
            ("day", Arc::new(days)),
            ("instance", text(1, "instance")),
            ("energy_kwh", measure(0.01)),
            ("co2e_kg", measure(0.003)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let writer = writer.get_or_insert_with(|| {
            let file = std::fs::File::create(path).unwrap();
            ArrowWriter::try_new(file, batch.schema(), Some(properties.clone().build())).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}
