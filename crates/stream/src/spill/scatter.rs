//! Sorts the rows of a stretch of a side into parts.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array},
    compute::{concat, take},
    datatypes::{DataType, Field, Int64Type, Schema},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use dualrun_compare::{Common, CompareError, ORDER_COLUMN, order_values};

use super::{bounds::Bounds, store::Store};
use crate::error::StreamError;

/// Takes the batches of one stretch of a side. Its rows stand in memory until it ends.
pub(super) struct Scatter<'a> {
    bounds: &'a Bounds,
    pending: Vec<Vec<RecordBatch>>,
    targets: Vec<u16>,
}

impl<'a> Scatter<'a> {
    pub(super) fn new(bounds: &'a Bounds) -> Self {
        Self { bounds, pending: vec![Vec::new(); bounds.parts()], targets: Vec::new() }
    }

    /// Adds rows, whose last column is their order value.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        let parts = self.bounds.parts();
        if parts == 1 {
            self.pending[0].push(batch.clone());
            return Ok(());
        }
        let values = order_of(batch)?;
        let mut ends = vec![0u32; parts];
        self.targets.clear();
        for value in values.values() {
            let part = self.bounds.part(*value);
            ends[part] += 1;
            // There are fewer parts than that, see `Sizes`.
            self.targets.push(part as u16);
        }
        let mut sum = 0;
        for end in &mut ends {
            let count = *end;
            *end = sum;
            sum += count;
        }
        let mut places = vec![0u32; batch.num_rows()];
        for (row, part) in (0u32..).zip(&self.targets) {
            let end = &mut ends[usize::from(*part)];
            places[*end as usize] = row;
            *end += 1;
        }
        let sorted = take_rows(batch, &UInt32Array::from(places)).map_err(failed)?;
        let mut from = 0;
        for (pending, end) in self.pending.iter_mut().zip(ends) {
            let end = end as usize;
            if end > from {
                pending.push(sorted.slice(from, end - from));
            }
            from = end;
        }
        Ok(())
    }

    /// Gives the parts their rows; `number` orders them among those of other stretches.
    pub(super) fn finish(&mut self, store: &Store<'_>, side: usize, number: u64) -> Result<(), StreamError> {
        for (part, pending) in self.pending.iter_mut().enumerate() {
            if !pending.is_empty() {
                let rows = compact(pending).map_err(failed)?;
                pending.clear();
                store.push(part, side, number, rows)?;
            }
        }
        Ok(())
    }
}

/// Adds the order values as the last column.
pub(super) fn with_order(batch: &RecordBatch, common: &Common) -> Result<RecordBatch, StreamError> {
    let values = order_values(batch, common).map_err(StreamError::Compare)?;
    let mut fields: Vec<Arc<Field>> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ORDER_COLUMN, DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(values));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)
}

/// The order values of rows that have them.
pub(super) fn order_of(batch: &RecordBatch) -> Result<&Int64Array, StreamError> {
    let last = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    last.ok_or_else(|| {
        StreamError::Compare(CompareError::MissingColumn { side: None, column: ORDER_COLUMN.to_owned() })
    })
}

pub(super) fn take_rows(batch: &RecordBatch, places: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    let columns =
        batch.columns().iter().map(|column| take(column, places, None)).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// All these rows in one batch, without what they share with others: slices keep what they were cut from, views all the
/// texts of the batches they come from.
pub(super) fn compact(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let Some(first) = batches.first() else { return Err(ArrowError::ComputeError("no rows".to_owned())) };
    let columns = (0..first.num_columns())
        .map(|column| {
            // A single array would come back as it is.
            let nothing = first.column(column).slice(0, 0);
            let arrays: Vec<&dyn Array> =
                batches.iter().map(|batch| batch.column(column).as_ref()).chain([nothing.as_ref()]).collect();
            let whole = concat(&arrays)?;
            Ok(match whole.data_type() {
                DataType::Utf8View => Arc::new(whole.as_string_view().gc()),
                _ => whole,
            })
        })
        .collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    RecordBatch::try_new(first.schema(), columns)
}

pub(super) fn failed(source: ArrowError) -> StreamError {
    StreamError::Compare(CompareError::Arrow(source))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;

    #[test]
    fn what_is_kept_of_a_few_rows_is_small() {
        let texts = (0..10_000).map(|i| Some(format!("text number {i} of very many")));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("t", Arc::new(StringViewArray::from_iter(texts))),
            ("n", Arc::new(Int64Array::from_iter_values(0..10_000))),
        ];
        let all = RecordBatch::try_from_iter(columns).unwrap();
        for from in [0, 5000] {
            let few = all.slice(from, 10);
            let kept = compact(std::slice::from_ref(&few)).unwrap();
            assert_eq!(kept, few);
            assert!(kept.get_array_memory_size() < 4000, "{}", kept.get_array_memory_size());
        }
    }
}
