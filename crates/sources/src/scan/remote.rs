//! A file of an object store, fetched in blocks ahead of the decoder.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
};

use bytes::{Bytes, BytesMut};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::{runtime::Handle, task::AbortHandle};

use super::file::{failed, same};
use crate::SourceError;

/// What one reader holds in blocks at most, unless it reads very many columns.
const READER_BYTES: u64 = 32 << 20;
/// The size of a block: less makes too many requests, more makes the first row late.
const BLOCK_BYTES: Range<u64> = 256 << 10..4 << 20;

/// An object at the version at which it was opened.
#[derive(Debug)]
pub(super) struct RemoteFile {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    name: Arc<str>,
    runtime: Handle,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// What of an object a reader is going to need.
#[derive(Debug)]
pub(super) struct Plan {
    /// Byte ranges, sorted; blocks of these are fetched ahead.
    ranges: Vec<Range<u64>>,
    /// None: what is asked for is fetched, and nothing else.
    block: Option<u64>,
    /// Blocks that are held.
    held: usize,
    /// The end of the file from a place on, where it is known already.
    tail: Option<(u64, Bytes)>,
}

/// The blocks of one reader. They are fetched on the runtime in which the file was opened; [`Self::read`] waits for
/// them and so must not be called on a thread of that runtime that other tasks need.
#[derive(Debug)]
pub(super) struct RemoteBlocks {
    file: Arc<RemoteFile>,
    plan: Plan,
    blocks: Mutex<VecDeque<(u64, Block)>>,
}

#[derive(Debug)]
enum Block {
    Here(Bytes),
    Coming(Coming),
}

/// A request under way; it ends when nobody waits for it any more.
#[derive(Debug)]
struct Coming {
    answer: Mutex<Receiver<Result<Bytes, SourceError>>>,
    task: AbortHandle,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plan {
    /// Exactly what is asked for; `tail` is there already.
    pub(super) fn exact(tail: Option<(u64, Bytes)>) -> Self {
        Self { ranges: Vec::new(), block: None, held: 0, tail }
    }

    /// The column chunks at `ranges`, read side by side.
    pub(super) fn blocks(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.sort_unstable_by_key(|r| r.start);
        let columns = ranges.len().max(1) as u64;
        let block = (READER_BYTES / (2 * columns)).clamp(BLOCK_BYTES.start, BLOCK_BYTES.end);
        let held = 2 * ranges.len() + 2;
        Self { ranges, block: Some(block), held, tail: None }
    }

    fn needs(&self, range: &Range<u64>) -> bool {
        self.ranges.iter().any(|r| r.start < range.end && range.start < r.end)
    }
}

impl RemoteFile {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
        name: Arc<str>,
        runtime: Handle,
    ) -> Self {
        Self { store, meta, name, runtime, requests: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// Notes a request for so many bytes.
    pub(super) fn count(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Requests, and the bytes that they asked for.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Starts to fetch a range.
    fn request(self: &Arc<Self>, range: Range<u64>) -> Coming {
        let (sender, answer) = sync_channel(1);
        let file = Arc::clone(self);
        let task = self.runtime.spawn(async move {
            // Nobody waits any more where this fails.
            let _ = sender.send(file.fetch(range).await);
        });
        Coming { answer: Mutex::new(answer), task: task.abort_handle() }
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let length = range.end - range.start;
        self.count(length);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: self.meta.e_tag.clone(),
            ..GetOptions::default()
        };
        let answer = self.store.get_opts(&self.meta.location, options).await;
        let answer = answer.map_err(|e| failed(&self.name, e))?;
        if !same(&answer.meta, &self.meta) {
            return Err(SourceError::Changed { file: self.name.to_string() });
        }
        let bytes = answer.bytes().await.map_err(|e| failed(&self.name, e))?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(self.broken("the answer has another length than asked for")),
        }
    }

    fn wait(&self, coming: &Coming) -> Result<Bytes, SourceError> {
        let answer = coming.answer.lock().unwrap_or_else(PoisonError::into_inner).recv();
        answer.unwrap_or_else(|_| Err(self.broken("the runtime that fetches has ended")))
    }

    fn broken(&self, what: &'static str) -> SourceError {
        let source = object_store::Error::Generic { store: "Parquet scan", source: what.into() };
        SourceError::access(self.name.to_string(), source)
    }
}

impl RemoteBlocks {
    pub(super) fn new(file: Arc<RemoteFile>, plan: Plan) -> Self {
        Self { file, plan, blocks: Mutex::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.file.meta.size
    }

    /// Bytes that lie in the file; waits for them.
    pub(super) fn read(&self, start: u64, length: usize) -> Result<Bytes, SourceError> {
        let end = start + length as u64;
        if let Some((at, tail)) = &self.plan.tail
            && start >= *at
        {
            let from = usize::try_from(start - at).unwrap_or(usize::MAX).min(tail.len());
            let to = from.saturating_add(length).min(tail.len());
            return Ok(tail.slice(from..to));
        }
        let Some(block) = self.plan.block.filter(|block| (length as u64) <= 2 * block) else {
            return self.file.wait(&self.file.request(start..end));
        };
        if length == 0 {
            return Ok(Bytes::new());
        }
        let (first, last) = (start / block, (end - 1) / block);
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        for number in first..=last + 1 {
            let range = number * block..((number + 1) * block).min(self.size());
            if number <= last || (range.start < range.end && self.plan.needs(&range)) {
                self.ensure(&mut blocks, number, range);
            }
        }
        let mut parts = Vec::new();
        for number in first..=last {
            let bytes = self.take(&mut blocks, number)?;
            let at = number * block;
            let from = usize::try_from(start.saturating_sub(at)).unwrap_or(0);
            let to = usize::try_from((end - at).min(bytes.len() as u64)).unwrap_or(bytes.len());
            parts.push(bytes.slice(from..to));
        }
        Ok(match parts.as_slice() {
            [only] => only.clone(),
            several => {
                let mut joined = BytesMut::with_capacity(length);
                several.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        })
    }

    /// Sees to it that a block is there or coming, as the one that was used last.
    fn ensure(&self, blocks: &mut VecDeque<(u64, Block)>, number: u64, range: Range<u64>) {
        let found = blocks.iter().position(|(n, _)| *n == number).and_then(|at| blocks.remove(at));
        let block = found.unwrap_or_else(|| (number, Block::Coming(self.file.request(range))));
        blocks.push_back(block);
        while blocks.len() > self.plan.held.max(4) {
            blocks.pop_front();
        }
    }

    /// The bytes of a block that was ensured.
    fn take(&self, blocks: &mut VecDeque<(u64, Block)>, number: u64) -> Result<Bytes, SourceError> {
        let Some((_, block)) = blocks.iter_mut().find(|(n, _)| *n == number) else {
            return Err(self.file.broken("a block was dropped before it was read"));
        };
        if let Block::Coming(coming) = block {
            *block = Block::Here(self.file.wait(coming)?);
        }
        match block {
            Block::Here(bytes) => Ok(bytes.clone()),
            Block::Coming(_) => Err(self.file.broken("a block did not come")),
        }
    }
}
