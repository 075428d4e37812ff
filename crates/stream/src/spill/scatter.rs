//! Sorts rows into parts. What a part gets waits until there is enough of it to be stored at once.

use arrow::{
    array::{RecordBatch, UInt32Array},
    compute::{concat_batches, take_record_batch},
    error::ArrowError,
};

use super::{
    bounds::Bounds,
    failed,
    layout::{Layout, bytes_at},
    store::{Rows, Segment, Store},
    texts::TRAVELS,
};
use crate::error::StreamError;

/// Takes rows of one side on one thread.
#[derive(Debug)]
pub(super) struct Scatter<'a> {
    layout: &'a Layout,
    bounds: &'a Bounds,
    store: &'a Store<'a>,
    side: usize,
    /// So many bytes of a part are stored at once.
    enough: usize,
    waiting: Vec<Waiting>,
    /// Where the rows come from that are being added.
    number: u64,
    sequence: u64,
    /// What is stored apart gets sequences of its own.
    counts: bool,
    targets: Vec<u16>,
    /// Bytes of rows and of texts that travel which were stored first.
    usual: (usize, usize),
}

/// Rows of a part.
#[derive(Debug, Default)]
struct Waiting {
    rows: Rows,
    beside: Vec<RecordBatch>,
    segments: Vec<Segment>,
    /// Rows that belong to the segments.
    marked: usize,
}

impl<'a> Scatter<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        bounds: &'a Bounds,
        store: &'a Store<'a>,
        side: usize,
        enough: usize,
    ) -> Self {
        let waiting = (0..bounds.parts()).map(|_| Waiting::default()).collect();
        Self {
            layout,
            bounds,
            store,
            side,
            enough,
            waiting,
            number: 0,
            sequence: 0,
            counts: true,
            targets: Vec::new(),
            usual: (0, 0),
        }
    }

    /// Begins a stretch of the side, or a segment of one that was read before.
    pub(super) fn begin(&mut self, number: u64, sequence: Option<u64>) {
        self.number = number;
        self.counts = sequence.is_none();
        self.sequence = sequence.unwrap_or(self.sequence);
    }

    /// Adds rows of the stretch. Texts that travel (`travel`: there are some) are asked for by the row and the number of the
    /// text column.
    pub(super) fn add<'t>(
        &mut self,
        rows: &[u8],
        travel: bool,
        text: impl Fn(usize, usize) -> Option<&'t [u8]>,
        beside: Option<&RecordBatch>,
    ) -> Result<(), StreamError> {
        self.targets.clear();
        let room = self.room(travel);
        for (row, bytes) in rows.chunks_exact(self.layout.width).enumerate() {
            let part = self.bounds.part(Layout::order(bytes));
            let waiting = &mut self.waiting[part];
            let at = waiting.rows.bytes.len();
            if at == 0 {
                // Blocks of one size leave no holes.
                let (rows, texts) = room;
                waiting.rows.bytes.reserve_exact(rows);
                waiting.rows.texts.reserve_exact(texts);
            }
            waiting.rows.bytes.extend_from_slice(bytes);
            if travel {
                for (column, place) in self.layout.texts.iter().enumerate() {
                    let slot = at + place;
                    if u32::from_le_bytes(bytes_at(bytes, *place)) >= TRAVELS {
                        let place = pack(text(row, column), &mut waiting.rows.texts)?;
                        waiting.rows.bytes[slot..slot + 4].copy_from_slice(&place.to_le_bytes());
                    }
                }
            }
            if beside.is_some() {
                // There are fewer parts than that, see `Sizes`.
                self.targets.push(part as u16);
            } else if waiting.rows.bytes.len() + waiting.rows.texts.len() >= self.enough {
                self.store(part)?;
            }
        }
        match beside {
            Some(beside) => self.add_beside(beside),
            None => Ok(()),
        }
    }

    /// Ends a stretch: rows that follow come from another one.
    pub(super) fn end(&mut self) -> Result<(), StreamError> {
        for waiting in &mut self.waiting {
            waiting.mark(self.number, self.sequence, self.layout.width);
            // Slices keep all of the batches that they were cut from.
            if !waiting.beside.is_empty() {
                waiting.beside = vec![compact(&waiting.beside).map_err(failed)?];
            }
        }
        self.sequence += u64::from(self.counts);
        Ok(())
    }

    /// Gives the parts what waits, of stretches that have ended.
    pub(super) fn finish(&mut self) -> Result<(), StreamError> {
        for part in 0..self.waiting.len() {
            self.store(part)?;
        }
        Ok(())
    }

    /// Bytes that rows and texts are given from the beginning. Texts that travel leave only a part to the rows: as much as
    /// what was stored first, and a little more. Before that a quarter, which doubled twice is just enough.
    fn room(&self, travel: bool) -> (usize, usize) {
        let width = self.layout.width;
        let first = self.enough / 4;
        match self.usual {
            _ if !travel => (self.enough + width, 0),
            (0, _) | (_, 0) => (first + 4 * width, first + 256),
            (rows, texts) => {
                let more = texts + texts / 8 + texts / (rows / width).max(1);
                // A text that is very long is no reason to keep as much for each part.
                (rows + rows / 8 + width, more.min(self.enough + first))
            }
        }
    }

    fn store(&mut self, part: usize) -> Result<(), StreamError> {
        let waiting = &mut self.waiting[part];
        if waiting.rows.bytes.is_empty() {
            return Ok(());
        }
        waiting.mark(self.number, self.sequence, self.layout.width);
        self.sequence += u64::from(self.counts);
        waiting.marked = 0;
        if !waiting.beside.is_empty() {
            waiting.rows.beside = Some(compact(&waiting.beside).map_err(failed)?);
            waiting.beside.clear();
        }
        if self.usual == (0, 0) {
            self.usual = (waiting.rows.bytes.len(), waiting.rows.texts.len());
        }
        // There are as many lists of segments as chunks: none is longer than it must be.
        let segments = std::mem::take(&mut waiting.segments).into_boxed_slice();
        self.store.push(part, self.side, segments, &mut waiting.rows)
    }

    /// The columns beside the rows that were added last.
    fn add_beside(&mut self, beside: &RecordBatch) -> Result<(), StreamError> {
        let parts = self.waiting.len();
        let mut ends = vec![0u32; parts + 1];
        self.targets.iter().for_each(|part| ends[usize::from(*part) + 1] += 1);
        for part in 0..parts {
            ends[part + 1] += ends[part];
        }
        let starts = ends.clone();
        let mut places = vec![0u32; self.targets.len()];
        for (row, part) in (0u32..).zip(&self.targets) {
            let end = &mut ends[usize::from(*part)];
            places[*end as usize] = row;
            *end += 1;
        }
        let sorted = take_record_batch(beside, &UInt32Array::from(places)).map_err(failed)?;
        for part in 0..parts {
            let (from, to) = (starts[part] as usize, starts[part + 1] as usize);
            if to > from {
                self.waiting[part].beside.push(sorted.slice(from, to - from));
                if self.waiting[part].rows.bytes.len() >= self.enough {
                    self.store(part)?;
                }
            }
        }
        Ok(())
    }
}

impl Waiting {
    /// Takes note of where the rows come from that are in no segment yet.
    fn mark(&mut self, number: u64, sequence: u64, width: usize) {
        let rows = self.rows.bytes.len() / width - self.marked;
        if rows > 0 {
            self.segments.push(Segment { number, sequence, rows });
            self.marked += rows;
        }
    }
}

/// Adds a text to those that travel, behind its length, and answers with where it stands.
fn pack(text: Option<&[u8]>, texts: &mut Vec<u8>) -> Result<u32, StreamError> {
    let place = u32::try_from(texts.len()).ok().filter(|place| *place < TRAVELS);
    let length = text.and_then(|text| u32::try_from(text.len()).ok());
    let (Some(text), Some(place), Some(length)) = (text, place, length) else {
        return Err(failed(ArrowError::ComputeError("a text of a row is missing or too long".to_owned())));
    };
    texts.extend_from_slice(&length.to_le_bytes());
    texts.extend_from_slice(text);
    Ok(TRAVELS | place)
}

/// A text that travels, by the number that stands in the row.
pub(super) fn packed(texts: &[u8], number: u32) -> Option<(usize, &[u8])> {
    let at = (number & !TRAVELS) as usize;
    let length = texts.get(at..at + 4)?;
    let length = u32::from_le_bytes(bytes_at(length, 0)) as usize;
    Some((at + 4, texts.get(at + 4..at + 4 + length)?))
}

/// All these rows in one batch, without what they share with others: slices keep what they were cut from, views all the
/// values of the batches they come from.
pub(super) fn compact(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let Some(first) = batches.first() else { return Err(ArrowError::ComputeError("no rows".to_owned())) };
    // A single batch would come back as it is.
    let nothing = first.slice(0, 0);
    concat_batches(&first.schema(), batches.iter().chain([&nothing]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };
    use dualrun_compare::common_for_diff;
    use dualrun_core::Tolerance;

    use super::*;
    use crate::spill::store::Space;

    #[test]
    fn what_is_kept_of_a_few_rows_is_small() {
        let texts = (0..10_000).map(|i| Some(format!("text number {i} of very many")));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("t", Arc::new(StringArray::from_iter(texts))),
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

    #[test]
    fn what_waits_takes_little_more_than_is_stored_at_once() {
        let schema = Schema::new(vec![
            Field::new("k", DataType::Int64, false),
            Field::new("t", DataType::Utf8, false),
        ]);
        let tolerance = Tolerance::new(0.0, 0.0).unwrap();
        let common = common_for_diff(&schema, &schema, &["k".to_owned()], None, tolerance).unwrap();
        let (layout, bounds) = (Layout::new(&common), Bounds::new(Vec::new(), 1, false));
        let space = Space::new(std::env::temp_dir(), 0);
        let store = Store::new(&space, &bounds);
        let enough = 10_000;
        let mut scatter = Scatter::new(&layout, &bounds, &store, 0, enough);
        let mut row = vec![0; layout.width];
        row[layout.texts[0]..][..4].copy_from_slice(&TRAVELS.to_le_bytes());
        let text = [b'x'; 200];
        scatter.begin(0, None);
        for _ in 0..500 {
            scatter.add(&row, true, |_, _| Some(&text), None).unwrap();
            let rows = &scatter.waiting[0].rows;
            let room = rows.bytes.capacity() + rows.texts.capacity();
            assert!(scatter.usual == (0, 0) || room < enough * 5 / 4, "{room}");
        }
        scatter.end().unwrap();
        assert!(space.spilled() > 9 * enough as u64 && scatter.usual.1 > 0);
    }

    #[test]
    fn texts_that_travel_are_found_by_their_number() {
        let mut texts = Vec::new();
        let numbers: Vec<u32> = ["a", "", "longer than that"]
            .iter()
            .map(|t| pack(Some(t.as_bytes()), &mut texts).unwrap())
            .collect();
        let found: Vec<&[u8]> = numbers.iter().map(|number| packed(&texts, *number).unwrap().1).collect();
        assert_eq!(found, [&b"a"[..], b"", b"longer than that"]);
        assert_eq!(packed(&texts, TRAVELS | 1000), None);
    }
}
