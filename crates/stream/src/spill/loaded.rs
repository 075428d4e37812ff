//! Rows of a side of a part, brought back to memory.

use std::sync::{Arc, Mutex};

use arrow::{
    array::{Array, ArrayBuilder, AsArray, StringViewArray, StringViewBuilder},
    buffer::Buffer,
    compute::concat,
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    failed,
    layout::{Layout, bytes_at},
    poisoned, radix,
    scatter::{compact, packed},
    store::{Chunk, Segment, Space},
    texts::TRAVELS,
};
use crate::error::StreamError;

/// What all parts are read with: how a row stands there, and the texts of the dictionaries.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) layout: Layout,
    texts: Vec<StringViewArray>,
    /// Memory that is used again: what is given back to the system and asked for anew is cleared page by page.
    rows: Spare<u8>,
    pub(super) order: Spare<radix::Place>,
}

impl Reading {
    pub(super) fn new(layout: Layout, texts: Vec<StringViewArray>) -> Self {
        Self { layout, texts, rows: Spare::default(), order: Spare::default() }
    }
}

/// Memory that nobody uses at the moment.
#[derive(Debug, Default)]
pub(super) struct Spare<T>(Mutex<Vec<Vec<T>>>);

impl<T: Clone + Default> Spare<T> {
    /// At least so many values, whatever they are.
    pub(super) fn take(&self, length: usize) -> Vec<T> {
        let mut spare = poisoned(self.0.lock()).pop().unwrap_or_default();
        if spare.len() < length {
            // Not with what stands there, which nobody needs.
            spare.clear();
            spare.reserve_exact(length);
            spare.resize(length, T::default());
        }
        spare
    }

    pub(super) fn give(&self, spare: Vec<T>) {
        poisoned(self.0.lock()).push(spare);
    }
}

/// Rows that stand one behind the other.
#[derive(Debug)]
pub(super) struct Loaded {
    reading: Arc<Reading>,
    /// Longer than the rows.
    rows: Vec<u8>,
    /// Bytes of the rows.
    length: usize,
    /// By text column: those of the dictionary, then those that travelled with the rows.
    texts: Vec<StringViewArray>,
    beside: Option<RecordBatch>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.reading.rows.give(std::mem::take(&mut self.rows));
    }
}

impl Loaded {
    /// All rows of these chunks, in the order in which they stand in the side.
    pub(super) fn all(
        chunks: Vec<Chunk>,
        space: &Space,
        reading: &Arc<Reading>,
    ) -> Result<Self, StreamError> {
        let layout = &reading.layout;
        let mut pieces = pieces(&chunks);
        pieces.sort_by_key(Piece::order);
        // Where the pieces of each chunk come to stand.
        let mut targets: Vec<Vec<(usize, usize, usize)>> = vec![Vec::new(); chunks.len()];
        let mut total = 0;
        for piece in &pieces {
            targets[piece.chunk].push((piece.row, piece.segment.rows, total));
            total += piece.segment.rows;
        }
        let mut loader = Loader::new(reading, total * layout.width);
        for (chunk, targets) in chunks.into_iter().zip(targets) {
            loader.add(space, &chunk, &targets)?;
            space.release(chunk);
        }
        loader.finish()
    }

    /// Some rows of a chunk that stays where it is.
    pub(super) fn some(
        chunk: &Chunk,
        from: usize,
        rows: usize,
        space: &Space,
        reading: &Arc<Reading>,
    ) -> Result<Self, StreamError> {
        let mut loader = Loader::new(reading, rows * reading.layout.width);
        loader.add(space, chunk, &[(from, rows, 0)])?;
        loader.finish()
    }

    /// The bytes of all rows.
    pub(super) fn rows(&self) -> &[u8] {
        &self.rows[..self.length]
    }

    /// Some rows as a batch of the comparison. `packed` is room for them.
    pub(super) fn batch(&self, places: &[u32], packed: &mut Vec<u8>) -> Result<RecordBatch, StreamError> {
        let read = Layout::read;
        read(&self.reading.layout, self.rows(), places, &self.texts, self.beside.as_ref(), packed)
            .map_err(failed)
    }

    /// The keys of some rows.
    pub(super) fn keys(&self, places: &[u32]) -> Result<RecordBatch, StreamError> {
        let read = Layout::read_keys;
        read(&self.reading.layout, self.rows(), places, &self.texts, self.beside.as_ref()).map_err(failed)
    }
}

/// Rows of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) segment: Segment,
    pub(super) chunk: usize,
    /// The first of the rows in its chunk.
    pub(super) row: usize,
}

impl Piece {
    /// What pieces are sorted by to stand as in the side. Where a segment was split, its chunks are in order.
    pub(super) fn order(&self) -> (u64, u64, usize, usize) {
        (self.segment.number, self.segment.sequence, self.chunk, self.row)
    }
}

/// The pieces of all chunks, one chunk after the other.
pub(super) fn pieces(chunks: &[Chunk]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (chunk, of) in chunks.iter().enumerate() {
        let mut row = 0;
        for segment in &of.segments {
            pieces.push(Piece { segment: *segment, chunk, row });
            row += segment.rows;
        }
    }
    pieces
}

struct Loader<'a> {
    reading: &'a Arc<Reading>,
    rows: Vec<u8>,
    length: usize,
    travelled: Vec<Option<StringViewBuilder>>,
    beside: Vec<(usize, RecordBatch)>,
}

impl<'a> Loader<'a> {
    fn new(reading: &'a Arc<Reading>, length: usize) -> Self {
        let travelled = reading.texts.iter().map(|_| None).collect();
        Self { reading, rows: reading.rows.take(length), length, travelled, beside: Vec::new() }
    }

    /// Adds rows of a chunk: from which row on, how many, and where they come to stand.
    fn add(
        &mut self,
        space: &Space,
        chunk: &Chunk,
        pieces: &[(usize, usize, usize)],
    ) -> Result<(), StreamError> {
        let width = self.reading.layout.width;
        for (from, rows, to) in pieces {
            let into = &mut self.rows[to * width..(to + rows) * width];
            space.read_rows(chunk, from * width, into)?;
        }
        let texts = space.read_texts(chunk)?;
        if !texts.is_empty() {
            self.unpack(texts, pieces).map_err(failed)?;
        }
        if !self.reading.layout.beside.is_empty()
            && let Some(beside) = space.read_beside(chunk)?
        {
            self.beside.extend(pieces.iter().map(|(from, rows, to)| (*to, beside.slice(*from, *rows))));
        }
        Ok(())
    }

    /// Gives the texts that travelled with rows their numbers behind those of the dictionary.
    fn unpack(&mut self, texts: Vec<u8>, pieces: &[(usize, usize, usize)]) -> Result<(), ArrowError> {
        let layout = &self.reading.layout;
        let cut_short = || ArrowError::ComputeError("a text of the spilled rows is cut short".to_owned());
        let texts = Buffer::from_vec(texts);
        for (column, place) in layout.texts.iter().enumerate() {
            let known = self.reading.texts[column].len();
            let mut block = None;
            for (_, rows, to) in pieces {
                let rows = &mut self.rows[to * layout.width..(to + rows) * layout.width];
                for row in rows.chunks_exact_mut(layout.width) {
                    let number = u32::from_le_bytes(bytes_at(row, *place));
                    if number < TRAVELS {
                        continue;
                    }
                    let builder = self.travelled[column].get_or_insert_default();
                    let block = *block.get_or_insert_with(|| builder.append_block(texts.clone()));
                    let (at, text) = packed(&texts, number).ok_or_else(cut_short)?;
                    let (Ok(at), Ok(length)) = (u32::try_from(at), u32::try_from(text.len())) else {
                        return Err(cut_short());
                    };
                    let number = u32::try_from(known + builder.len()).map_err(|_| cut_short())?;
                    builder.try_append_view(block, at, length)?;
                    row[*place..place + 4].copy_from_slice(&number.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, StreamError> {
        let texts =
            self.reading.texts.iter().zip(&mut self.travelled).map(|(known, travelled)| match travelled {
                None => Ok(known.clone()),
                Some(travelled) if known.is_empty() => Ok(travelled.finish()),
                Some(travelled) => Ok(concat(&[known, &travelled.finish()])?.as_string_view().clone()),
            });
        let texts = texts.collect::<Result<Vec<_>, ArrowError>>().map_err(failed)?;
        self.beside.sort_by_key(|(at, _)| *at);
        let beside: Vec<RecordBatch> = self.beside.into_iter().map(|(_, batch)| batch).collect();
        let beside = if beside.is_empty() { None } else { Some(compact(&beside).map_err(failed)?) };
        Ok(Loaded { reading: Arc::clone(self.reading), rows: self.rows, length: self.length, texts, beside })
    }
}
