//! Parts of both sides while they grow, in memory as long as they fit and on disk from then on.

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

/// Some rows of a side.
#[derive(Debug)]
pub(super) struct Chunk {
    number: u64,
    pub(super) rows: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(RecordBatch),
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

    /// The rows of a chunk, which stays where it is.
    pub(super) fn load(&self, chunk: &Chunk) -> Result<RecordBatch, StreamError> {
        match &chunk.place {
            Place::Memory(batch) => Ok(batch.clone()),
            Place::Disk(extent) => self.disk()?.read(*extent),
        }
    }

    /// The rows of a chunk, which is gone then.
    pub(super) fn take(&self, chunk: Chunk) -> Result<RecordBatch, StreamError> {
        match chunk.place {
            Place::Memory(batch) => {
                self.used.fetch_sub(size(&batch), Ordering::Relaxed);
                Ok(batch)
            }
            Place::Disk(extent) => self.disk()?.read(extent),
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
        self.chunks.iter().flatten().map(|chunk| chunk.rows).sum()
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

    /// Adds rows of a side to a part. Rows of smaller numbers stand before them, those of one number are added in their
    /// order. Where the memory does not suffice, the largest part goes to the disk, and stays there.
    pub(super) fn push(
        &self,
        part: usize,
        side: usize,
        number: u64,
        rows: RecordBatch,
    ) -> Result<(), StreamError> {
        let bytes = size(&rows);
        let chunk = Chunk { number, rows: rows.num_rows() as u64, place: Place::Memory(rows) };
        let mut leaving = Vec::new();
        {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let target = &mut parts[part];
            target.bytes += bytes;
            if target.on_disk {
                leaving.push((part, side, chunk));
            } else {
                target.held += bytes;
                target.chunks[side].push(chunk);
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
            }
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
        for chunks in parts.iter_mut().flat_map(|part| &mut part.chunks) {
            chunks.sort_by_key(|chunk| chunk.number);
        }
        parts
    }
}

/// The part that holds most of the memory.
fn largest(parts: &mut [Part]) -> Option<(usize, &mut Part)> {
    parts.iter_mut().enumerate().filter(|(_, part)| part.held > 0).max_by_key(|(_, part)| part.held)
}

/// The bytes of rows that share nothing with others.
fn size(batch: &RecordBatch) -> u64 {
    batch.get_array_memory_size() as u64
}
