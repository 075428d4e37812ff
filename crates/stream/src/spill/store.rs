//! Parts of both sides while they grow, in memory as long as they fit and on disk from then on.
//!
//! A part is a list of chunks, which come from several threads. The segments of a chunk say which of its rows come from where
//! in the side, so that rows of one key are found in the order in which they stood there.

use std::{
    path::PathBuf,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::record_batch::RecordBatch;
use dualrun_compare::Scope;

use super::{
    bounds::Bounds,
    disk::{Disk, Extent},
};
use crate::error::StreamError;

/// What all parts share: the memory that their rows may take, and the file for what exceeds it.
#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    limit: u64,
    used: AtomicU64,
    disk: OnceLock<Disk>,
    opening: Mutex<()>,
}

/// The rows of both sides whose order values lie between two bounds.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) scope: Scope,
    /// Rows of a side, in the order in which they stand there.
    pub(super) chunks: [Vec<Chunk>; 2],
    /// The size that the rows have in memory.
    pub(super) bytes: u64,
    held: u64,
    on_disk: bool,
}

/// Rows as `layout` has them, the texts that travel with them, and the columns that have no place in them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) texts: Vec<u8>,
    pub(super) beside: Option<RecordBatch>,
}

/// Rows of a chunk that stand in one stretch of the side. Those of a smaller number, then of a smaller sequence, come
/// first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) sequence: u64,
    pub(super) rows: usize,
}

/// Some rows of a side.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) segments: Box<[Segment]>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Boxed: there are many more chunks on the disk.
    Memory(Box<Rows>),
    Disk(Extent),
}

/// Parts that several threads fill.
#[derive(Debug)]
pub(super) struct Store<'a> {
    space: &'a Space,
    parts: Mutex<Vec<Part>>,
}

impl Space {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, used: AtomicU64::new(0), disk: OnceLock::new(), opening: Mutex::new(()) }
    }

    /// Bytes that went to the disk.
    pub(super) fn spilled(&self) -> u64 {
        self.disk.get().map_or(0, Disk::written)
    }

    /// Copies the rows of a chunk from a byte on.
    pub(super) fn read_rows(&self, chunk: &Chunk, from: usize, into: &mut [u8]) -> Result<(), StreamError> {
        match &chunk.place {
            Place::Memory(rows) => {
                into.copy_from_slice(&rows.bytes[from..from + into.len()]);
                Ok(())
            }
            Place::Disk(extent) => self.disk()?.read_rows(*extent, from, into),
        }
    }

    /// The texts that travel with the rows of a chunk.
    pub(super) fn read_texts(&self, chunk: &Chunk) -> Result<Vec<u8>, StreamError> {
        match &chunk.place {
            Place::Memory(rows) => Ok(rows.texts.clone()),
            Place::Disk(extent) => self.disk()?.read_texts(*extent),
        }
    }

    /// The columns beside the rows of a chunk.
    pub(super) fn read_beside(&self, chunk: &Chunk) -> Result<Option<RecordBatch>, StreamError> {
        match &chunk.place {
            Place::Memory(rows) => Ok(rows.beside.clone()),
            Place::Disk(extent) => self.disk()?.read_beside(*extent),
        }
    }

    /// Takes note that a chunk is needed no more.
    pub(super) fn release(&self, chunk: Chunk) {
        if let Place::Memory(rows) = chunk.place {
            self.used.fetch_sub(rows.size(), Ordering::Relaxed);
        }
    }

    fn disk(&self) -> Result<&Disk, StreamError> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(disk) = self.disk.get() {
            return Ok(disk);
        }
        let disk = Disk::create(&self.folder)?;
        Ok(self.disk.get_or_init(|| disk))
    }
}

impl Part {
    pub(super) fn rows(&self) -> u64 {
        self.chunks.iter().flatten().map(|chunk| chunk.rows() as u64).sum()
    }
}

impl Chunk {
    pub(super) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}

impl Rows {
    /// Bytes in memory.
    fn size(&self) -> u64 {
        let beside = self.beside.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        (self.bytes.len() + self.texts.len() + beside) as u64
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.texts.clear();
        self.beside = None;
    }
}

impl<'a> Store<'a> {
    /// Empty parts.
    pub(super) fn new(space: &'a Space, bounds: &Bounds) -> Self {
        let part = |number| Part {
            scope: bounds.scope(number),
            chunks: [Vec::new(), Vec::new()],
            bytes: 0,
            held: 0,
            on_disk: false,
        };
        Self { space, parts: Mutex::new((0..bounds.parts()).map(part).collect()) }
    }

    /// Moves rows of a side into a part; `rows` is empty then. Where the memory does not suffice, the largest part goes to
    /// the disk, and stays there.
    pub(super) fn push(
        &self,
        part: usize,
        side: usize,
        segments: Box<[Segment]>,
        rows: &mut Rows,
    ) -> Result<(), StreamError> {
        let bytes = rows.size();
        let mut leaving = Vec::new();
        let on_disk = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let target = &mut parts[part];
            target.bytes += bytes;
            if !target.on_disk {
                let mut rows = std::mem::take(rows);
                rows.bytes.shrink_to_fit();
                rows.texts.shrink_to_fit();
                target.held += bytes;
                target.chunks[side].push(Chunk { segments, place: Place::Memory(Box::new(rows)) });
                let mut used = self.space.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
                while used > self.space.limit
                    && let Some((number, largest)) = largest(&mut parts)
                {
                    used -= largest.held;
                    self.space.used.fetch_sub(largest.held, Ordering::Relaxed);
                    largest.held = 0;
                    largest.on_disk = true;
                    for (side, chunks) in largest.chunks.iter_mut().enumerate() {
                        leaving.extend(chunks.drain(..).map(|chunk| (number, side, chunk)));
                    }
                }
                None
            } else {
                Some(segments)
            }
        };
        if let Some(segments) = on_disk {
            let place = Place::Disk(self.space.disk()?.write(rows)?);
            rows.clear();
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts[part].chunks[side].push(Chunk { segments, place });
        }
        for (part, side, mut chunk) in leaving {
            if let Place::Memory(rows) = &chunk.place {
                chunk.place = Place::Disk(self.space.disk()?.write(rows)?);
            }
            self.parts.lock().unwrap_or_else(PoisonError::into_inner)[part].chunks[side].push(chunk);
        }
        Ok(())
    }

    /// The parts that have rows, in the order of their bounds.
    pub(super) fn into_parts(self) -> Vec<Part> {
        let mut parts = self.parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|part| part.bytes > 0);
        parts
    }
}

/// The part that holds most of the memory.
fn largest(parts: &mut [Part]) -> Option<(usize, &mut Part)> {
    parts.iter_mut().enumerate().filter(|(_, part)| part.held > 0).max_by_key(|(_, part)| part.held)
}
