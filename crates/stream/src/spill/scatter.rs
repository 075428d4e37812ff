//! Sorts the rows of a stretch of a side into parts.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array},
    compute::{concat, concat_batches, take},
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
            if let Some(first) = pending.first() {
                let rows = concat_batches(&first.schema(), pending.iter()).and_then(|rows| compact(&rows));
                pending.clear();
                store.push(part, side, number, rows.map_err(failed)?)?;
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

/// The same rows without what they share with others: views keep all the texts of the batches they come from.
pub(super) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(batch.schema(), columns)
}

fn compact_column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Utf8View => Ok(Arc::new(column.as_string_view().gc())),
        // A slice holds on to what it was cut from; one array put together is copied.
        _ if column.offset() > 0 => concat(&[column.as_ref(), column.slice(0, 0).as_ref()]),
        _ => Ok(Arc::clone(column)),
    }
}

pub(super) fn failed(source: ArrowError) -> StreamError {
    StreamError::Compare(CompareError::Arrow(source))
}
