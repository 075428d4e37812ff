//! Work that several threads do in parts, whose results are put together in the order of the parts.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

use arrow::record_batch::RecordBatch;
use dualrun_compare::{Common, CompareError, Comparison, Fold, Options, Parts};

use crate::{
    error::{StreamError, failed},
    output::{Files, Piece, PieceSink},
    sample::Sample,
    work::{Done, Work},
};

/// Parts that are ahead of the one that is waited for, for each thread: their results stand in memory.
const AHEAD: u64 = 3;

/// Puts the results of the parts together in their order.
pub(crate) struct Gathered<'a> {
    fold: Fold<'a>,
    files: Files,
    sample: Sample,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(common: &'a Common, options: &'a Options, files: Files, sample_rows: u64) -> Self {
        let fold = Fold::new(common, Parts::PLAIN, options);
        Self { fold, files, sample: Sample::new(sample_rows) }
    }

    fn add(&mut self, done: Done, work: &Work<'_>) -> Result<(), StreamError> {
        let mut edge =
            PieceSink::new(self.files.customers.as_ref().map(|file| file.encoder()), Sample::default());
        let sink = work.customers.is_some().then_some(&mut edge as _);
        self.fold.add(done.partial, sink).map_err(StreamError::Compare)?;
        self.files.append(done.differences, done.customers, edge)?;
        self.sample.append(done.sample).map_err(failed)?;
        work.sample_stride.store(self.sample.stride(), Ordering::Relaxed);
        work.file_full.store(self.files.is_full(), Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(Comparison, Vec<RecordBatch>, Files), StreamError> {
        let mut edge =
            PieceSink::new(self.files.customers.as_ref().map(|file| file.encoder()), Sample::default());
        let sink = self.files.customers.is_some().then_some(&mut edge as _);
        let comparison = self.fold.finish(sink).map_err(StreamError::Compare)?;
        self.files.append(Piece::default(), Piece::default(), edge)?;
        let sample = self.sample.finish().map_err(failed)?;
        Ok((comparison, sample, self.files))
    }
}

/// Hands out parts in their order, no further ahead than the results can be put together.
struct Queue<N> {
    state: Mutex<(N, u64)>,
    folded: AtomicU64,
    moved: Condvar,
    stop: AtomicBool,
    ahead: u64,
}

impl<N> Queue<N> {
    fn next<P>(&self) -> Option<(u64, Result<P, StreamError>)>
    where
        N: FnMut() -> Result<Option<P>, StreamError>,
    {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.stop.load(Ordering::Acquire) {
                return None;
            }
            if state.1 < self.folded.load(Ordering::Acquire) + self.ahead {
                break;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let number = state.1;
        state.1 += 1;
        match (state.0)() {
            Ok(Some(part)) => Some((number, Ok(part))),
            Ok(None) => None,
            Err(error) => Some((number, Err(error))),
        }
    }

    fn advance(&self, folded: u64, stop: bool) {
        // Taken so that nobody misses the change between looking and waiting.
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.folded.store(folded, Ordering::Release);
        if stop {
            self.stop.store(true, Ordering::Release);
        }
        self.moved.notify_all();
    }
}

/// Does what `next` gives on several threads. `compare` answers with what it found and how many rows it read, and
/// `progress` is told of their sum.
///
/// # Errors
/// The first of the parts that failed, in their order.
pub(crate) fn in_order<P: Send>(
    threads: usize,
    work: &Work<'_>,
    mut gathered: Gathered<'_>,
    next: impl FnMut() -> Result<Option<P>, StreamError> + Send,
    compare: impl Fn(P) -> Result<(Done, u64), StreamError> + Sync,
    mut progress: impl FnMut(u64),
) -> Result<(Comparison, Vec<RecordBatch>, Files), StreamError> {
    let threads = threads.max(1);
    let queue = Queue {
        state: Mutex::new((next, 0)),
        folded: AtomicU64::new(0),
        moved: Condvar::new(),
        stop: AtomicBool::new(false),
        ahead: AHEAD * threads as u64,
    };
    let (send, receive) = mpsc::channel();
    let mut failed = None;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, queue, compare) = (send.clone(), &queue, &compare);
            scope.spawn(move || {
                while let Some((number, part)) = queue.next() {
                    let done = part.and_then(compare);
                    let is_last = done.is_err();
                    if send.send((number, done)).is_err() || is_last {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let (mut next, mut rows) = (0, 0);
        for (number, done) in receive {
            if failed.is_some() {
                continue;
            }
            waiting.insert(number, done);
            while let Some(done) = waiting.remove(&next) {
                let added = done.and_then(|(done, part)| {
                    rows += part;
                    gathered.add(done, work)
                });
                next += 1;
                if let Err(error) = added {
                    failed = Some(error);
                    break;
                }
                progress(rows);
            }
            queue.advance(next, failed.is_some());
        }
        // A thread that ended early leaves a gap, and the error in it behind the gap.
        if failed.is_none() {
            failed = waiting.into_values().find_map(Result::err);
        }
    });
    match failed {
        Some(error) => Err(error),
        None => gathered.finish(),
    }
}

/// An error of reading comes back as itself.
pub(crate) fn unwrapped(error: CompareError) -> StreamError {
    match error {
        CompareError::Relation { relation, source } => match source.downcast::<StreamError>() {
            Ok(inner) => *inner,
            Err(source) => StreamError::Compare(CompareError::Relation { relation, source }),
        },
        other => StreamError::Compare(other),
    }
}
