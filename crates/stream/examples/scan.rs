//! `scan LEGACY NEW COLUMN,…`: reads the columns of both files with the Parquet crate alone on two threads, texts as views,
//! and adds the floats up. It is the fastest reader that a comparison can be measured against.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::AsArray,
    datatypes::{DataType, Field, Float64Type, Schema},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
};

const THREADS: usize = 2;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let columns: Vec<&str> = args[3].split(',').collect();
    let sides = [open(&args[1]), open(&args[2])];
    let groups: Vec<(usize, usize)> = (0..2)
        .flat_map(|side| (0..sides[side].1.metadata().num_row_groups()).map(move |group| (side, group)))
        .collect();
    let next = AtomicUsize::new(0);
    let read = || {
        let (mut rows, mut sum) = (0, 0.0);
        while let Some((side, group)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (path, metadata) = &sides[*side];
            // Of its own: a clone would share the position in the file.
            let file = File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_row_groups(vec![*group])
                .with_projection(ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied()))
                .with_batch_size(8192)
                .build()
                .unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                rows += batch.num_rows();
                let floats = batch.columns().iter().filter_map(|c| c.as_primitive_opt::<Float64Type>());
                sum += floats.map(|c| c.values().iter().sum::<f64>()).sum::<f64>();
            }
        }
        (rows, sum)
    };
    let parts: Vec<(usize, f64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(read)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let rows: usize = parts.iter().map(|part| part.0).sum();
    let sum: f64 = parts.iter().map(|part| part.1).sum();
    println!("{{\"rows\": {rows}, \"sum\": {sum}}}");
}

fn open(path: &str) -> (&str, ArrowReaderMetadata) {
    let file = File::open(path).unwrap();
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).unwrap();
    let viewed = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => field.as_ref().clone(),
    };
    let schema = Schema::new(plain.schema().fields().iter().map(viewed).collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options).unwrap();
    (path, metadata)
}
