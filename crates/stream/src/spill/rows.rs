//! The rows of a part in the order in which both sides are compared.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{BooleanArray, UInt32Array},
    compute::{concat_batches, filter_record_batch},
    record_batch::RecordBatch,
};
use dualrun_compare::{Common, KeyRows};

use super::{
    scatter::{failed, order_of, take_rows},
    store::{Chunk, Part, Space},
};
use crate::{
    error::StreamError,
    side::{BATCH_ROWS, Batches},
};

/// The rows of a side of a part, sorted by their order value and then by their key; rows of one key in the order in which
/// they stood in the side.
pub(super) fn sorted(chunks: Vec<Chunk>, space: &Space, common: &Common) -> Result<Batches, StreamError> {
    let batches = chunks.into_iter().map(|chunk| space.take(chunk)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = batches.first() else { return Ok(Box::new(std::iter::empty())) };
    let rows = concat_batches(&first.schema(), &batches).map_err(failed)?;
    drop(batches);
    let places = UInt32Array::from(places(&rows, common)?);
    let starts = (0..places.len()).step_by(BATCH_ROWS);
    Ok(Box::new(starts.map(move |start| {
        let length = BATCH_ROWS.min(places.len() - start);
        take_rows(&rows, &places.slice(start, length)).map_err(failed)
    })))
}

/// Where the rows stand that come one after the other.
fn places(rows: &RecordBatch, common: &Common) -> Result<Vec<u32>, StreamError> {
    let mut order: Vec<(i64, u32)> = order_of(rows)?.values().iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut keys = None;
    for tied in order.chunk_by_mut(|a, b| a.0 == b.0).filter(|tied| tied.len() > 1) {
        let keys = match &keys {
            Some(keys) => keys,
            None => keys.insert(KeyRows::new(rows, common).map_err(StreamError::Compare)?),
        };
        tied.sort_by(|a, b| keys.compare(a.1 as usize, keys, b.1 as usize));
    }
    Ok(order.into_iter().map(|(_, row)| row).collect())
}

/// The rows of a part that has hardly more than one key, but too many rows to be sorted: key by key, without a chunk ever
/// standing next to another in memory.
pub(super) struct OneByOne {
    part: Part,
    space: Arc<Space>,
    common: Arc<Common>,
    /// One row of each key, in the order of the keys.
    keys: Vec<KeyRows>,
}

impl OneByOne {
    pub(super) fn new(part: Part, space: Arc<Space>, common: &Arc<Common>) -> Result<Self, StreamError> {
        let mut keys: Vec<KeyRows> = Vec::new();
        for chunk in part.chunks.iter().flatten() {
            let batch = space.load(chunk)?;
            let rows = KeyRows::new(&batch, common).map_err(StreamError::Compare)?;
            for row in 0..rows.rows() {
                let place = keys.binary_search_by(|key| key.compare(0, &rows, row));
                if let Err(place) = place {
                    let one = KeyRows::new(&batch.slice(row, 1), common).map_err(StreamError::Compare)?;
                    keys.insert(place, one);
                }
            }
        }
        Ok(Self { part, space, common: Arc::clone(common), keys })
    }

    /// The rows of a side.
    pub(super) fn read(self: &Arc<Self>, side: usize) -> Batches {
        let all = Arc::clone(self);
        let chunks = all.part.chunks[side].len();
        let places = (0..all.keys.len()).flat_map(move |key| (0..chunks).map(move |chunk| (key, chunk)));
        Box::new(places.flat_map(move |(key, chunk)| match all.rows(key, side, chunk) {
            Ok(rows) => {
                let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
                let slices: Vec<_> = starts
                    .map(|start| Ok(rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start))))
                    .collect();
                slices
            }
            Err(error) => vec![Err(error)],
        }))
    }

    fn rows(&self, key: usize, side: usize, chunk: usize) -> Result<RecordBatch, StreamError> {
        let batch = self.space.load(&self.part.chunks[side][chunk])?;
        if self.keys.len() == 1 {
            return Ok(batch);
        }
        let rows = KeyRows::new(&batch, &self.common).map_err(StreamError::Compare)?;
        let wanted = &self.keys[key];
        let is_wanted = BooleanArray::from_iter(
            (0..rows.rows()).map(|row| Some(rows.compare(row, wanted, 0) == Ordering::Equal)),
        );
        filter_record_batch(&batch, &is_wanted).map_err(failed)
    }
}
