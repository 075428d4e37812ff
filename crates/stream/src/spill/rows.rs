//! The rows of a part in the order in which both sides are compared.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{AsArray, BooleanArray, Int64Array},
    compute::filter_record_batch,
    datatypes::Int64Type,
    record_batch::RecordBatch,
};
use dualrun_compare::{Common, CompareError, KeyRows, ORDER_COLUMN};

use super::{
    failed,
    layout::Layout,
    loaded::{Loaded, Piece, Reading, pieces},
    radix,
    store::{Chunk, Part, Space},
};
use crate::{
    error::StreamError,
    side::{BATCH_ROWS, Batches},
};

/// Rows whose keys are looked at, where order values do not tell them apart.
const TIED_ROWS: usize = 1 << 16;

/// The rows of a side of a part, sorted by their order value and then by their key; rows of one key in the order in which
/// they stood in the side.
pub(super) fn sorted(
    chunks: Vec<Chunk>,
    space: &Space,
    reading: &Arc<Reading>,
    common: &Common,
) -> Result<Batches, StreamError> {
    let loaded = Loaded::all(chunks, space, reading)?;
    let places = places(&loaded, reading, common)?;
    let mut packed = Vec::new();
    Ok(Box::new((0..places.len()).step_by(BATCH_ROWS).map(move |start| {
        let end = places.len().min(start + BATCH_ROWS);
        loaded.batch(&places[start..end], &mut packed)
    })))
}

/// Where the rows stand that come one after the other.
fn places(loaded: &Loaded, reading: &Reading, common: &Common) -> Result<Vec<u32>, StreamError> {
    let layout = &reading.layout;
    let count = loaded.rows().len() / layout.width;
    let (mut spare, mut other) = (reading.order.take(count), reading.order.take(count));
    let order = &mut spare[..count];
    let rows = loaded.rows().chunks_exact(layout.width);
    for ((place, row), number) in order.iter_mut().zip(rows).zip(0..) {
        *place = (Layout::order(row).cast_unsigned() ^ (1 << 63), number);
    }
    radix::sort(order, &mut other[..count]);
    let mut places: Vec<u32> = order.iter().map(|(_, row)| *row).collect();
    let row = |place: u32| {
        let at = place as usize * layout.width;
        &loaded.rows()[at..at + layout.width]
    };
    // Stretches of one order value that may have several keys.
    let mut tied: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    let mut waiting = 0;
    while from < order.len() {
        let value = order[from].0;
        let length = order[from..].iter().take_while(|place| place.0 == value).count();
        if length > 1
            && places[from + 1..from + length]
                .iter()
                .any(|other| !layout.same_key(row(places[from]), row(*other)))
        {
            tied.push((from, length));
            waiting += length;
        }
        from += length;
        if waiting >= TIED_ROWS || (from == order.len() && waiting > 0) {
            by_key(&tied, &mut places, loaded, common)?;
            tied.clear();
            waiting = 0;
        }
    }
    reading.order.give(spare);
    reading.order.give(other);
    Ok(places)
}

/// Sorts each of some stretches by the keys.
fn by_key(
    tied: &[(usize, usize)],
    places: &mut [u32],
    loaded: &Loaded,
    common: &Common,
) -> Result<(), StreamError> {
    let all: Vec<u32> =
        tied.iter().flat_map(|(from, length)| &places[*from..from + length]).copied().collect();
    let keys = KeyRows::new(&loaded.keys(&all)?, common).map_err(StreamError::Compare)?;
    let mut first = 0;
    for (from, length) in tied {
        let mut order: Vec<usize> = (first..first + length).collect();
        order.sort_by(|a, b| keys.compare(*a, &keys, *b));
        for (place, row) in places[*from..from + length].iter_mut().zip(order) {
            *place = all[row];
        }
        first += length;
    }
    Ok(())
}

/// The order values of a batch, its last column.
fn order_of(batch: &RecordBatch) -> Result<&Int64Array, StreamError> {
    let last = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    last.ok_or_else(|| {
        StreamError::Compare(CompareError::MissingColumn { side: None, column: ORDER_COLUMN.to_owned() })
    })
}

/// The rows of a part that has hardly more than one key, but too many rows to be sorted: key by key, without a chunk ever
/// standing next to another in memory.
pub(super) struct OneByOne {
    part: Part,
    pieces: [Vec<Piece>; 2],
    space: Arc<Space>,
    reading: Arc<Reading>,
    common: Arc<Common>,
    /// The order value and one row of each key, in the order in which both sides are compared.
    keys: Vec<(i64, KeyRows)>,
}

impl OneByOne {
    pub(super) fn new(
        part: Part,
        space: Arc<Space>,
        reading: Arc<Reading>,
        common: &Arc<Common>,
    ) -> Result<Self, StreamError> {
        let pieces = [0, 1].map(|side| {
            let mut pieces = pieces(&part.chunks[side]);
            pieces.sort_by_key(Piece::order);
            pieces
        });
        let mut all = Self { part, pieces, space, reading, common: Arc::clone(common), keys: Vec::new() };
        for side in 0..2 {
            for piece in 0..all.pieces[side].len() {
                let batch = all.load(side, piece)?;
                let rows = KeyRows::new(&batch, common).map_err(StreamError::Compare)?;
                for (row, value) in order_of(&batch)?.values().iter().enumerate() {
                    let place = all.keys.binary_search_by(|(order, key)| {
                        order.cmp(value).then_with(|| key.compare(0, &rows, row))
                    });
                    if let Err(place) = place {
                        let one = KeyRows::new(&batch.slice(row, 1), common).map_err(StreamError::Compare)?;
                        all.keys.insert(place, (*value, one));
                    }
                }
            }
        }
        Ok(all)
    }

    /// The rows of a side.
    pub(super) fn read(self: &Arc<Self>, side: usize) -> Batches {
        let all = Arc::clone(self);
        let pieces = all.pieces[side].len();
        let places = (0..all.keys.len()).flat_map(move |key| (0..pieces).map(move |piece| (key, piece)));
        Box::new(places.flat_map(move |(key, piece)| match all.rows(key, side, piece) {
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

    fn rows(&self, key: usize, side: usize, piece: usize) -> Result<RecordBatch, StreamError> {
        let batch = self.load(side, piece)?;
        if self.keys.len() == 1 {
            return Ok(batch);
        }
        let rows = KeyRows::new(&batch, &self.common).map_err(StreamError::Compare)?;
        let wanted = &self.keys[key].1;
        let is_wanted = BooleanArray::from_iter(
            (0..rows.rows()).map(|row| Some(rows.compare(row, wanted, 0) == Ordering::Equal)),
        );
        filter_record_batch(&batch, &is_wanted).map_err(failed)
    }

    fn load(&self, side: usize, piece: usize) -> Result<RecordBatch, StreamError> {
        let piece = &self.pieces[side][piece];
        let (chunk, rows) = (&self.part.chunks[side][piece.chunk], piece.segment.rows);
        let loaded = Loaded::some(chunk, piece.row, rows, &self.space, &self.reading)?;
        let places: Vec<u32> = (0u32..).take(rows).collect();
        loaded.batch(&places, &mut Vec::new())
    }
}
