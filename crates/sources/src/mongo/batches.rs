//! Documents to record batches: one after the other while they come, and by several threads once all have come.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use bson::RawDocument;
use tokio::sync::mpsc::Sender;

use super::{
    MongoFault,
    decode::{Decoded, Stop},
    spool::{Answer, Spool},
};
use crate::{
    SourceError,
    column::Columns,
    documents::{BATCH_BYTES, BATCH_ROWS},
    misfit::Misfits,
    rules::{self, Member},
};

/// More threads would wait for those that read the file and take the batches.
const THREADS: usize = 4;

/// The columns that documents are appended to.
pub(super) struct Batches {
    schema: SchemaRef,
    columns: Columns,
    collection: Arc<str>,
    pub(super) misfits: Misfits,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pending: usize,
}

impl Batches {
    pub(super) fn new(members: &[Member], collection: Arc<str>) -> Self {
        Self {
            schema: Arc::new(Schema::new(rules::fields(members))),
            columns: Columns::new(members, ""),
            collection,
            misfits: Misfits::default(),
            rows: 0,
            bytes: 0,
            pending: 0,
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends a document; the batch that it makes full.
    pub(super) fn push(&mut self, document: &RawDocument) -> Result<Option<RecordBatch>, Stop> {
        self.misfits.row(&self.collection, self.rows);
        self.columns.append_document(document, &mut self.misfits);
        if self.misfits.is_damaged() {
            return Err(MongoFault::Reply(format!("document {} is damaged", self.rows)).into());
        }
        self.rows += 1;
        let size = document.as_bytes().len();
        self.bytes += size as u64;
        self.pending += size;
        if self.columns.rows() >= BATCH_ROWS || self.pending >= BATCH_BYTES { self.rest() } else { Ok(None) }
    }

    /// The documents that have not been in a batch yet.
    pub(super) fn rest(&mut self) -> Result<Option<RecordBatch>, Stop> {
        self.pending = 0;
        match self.columns.rows() {
            0 => Ok(None),
            _ => Ok(Some(self.columns.finish(&self.schema).map_err(SourceError::from)?)),
        }
    }

    /// The batches of a block: one, where its documents fit one.
    fn block(&mut self, block: Block) -> Result<Vec<RecordBatch>, Stop> {
        self.rows = block.first;
        let mut batches = Vec::with_capacity(1);
        for answer in block.answers {
            answer.each(|document| {
                batches.extend(self.push(document)?);
                Ok::<(), Stop>(())
            })?;
        }
        batches.extend(self.rest()?);
        Ok(batches)
    }
}

/// Answers one after another whose documents fit one batch, or a larger answer.
#[derive(Default)]
struct Block {
    answers: Vec<Answer>,
    /// The number of its first document.
    first: u64,
    rows: usize,
    bytes: usize,
}

impl Block {
    fn has_room(&self, answer: &Answer) -> bool {
        self.answers.is_empty()
            || (self.rows + answer.rows <= BATCH_ROWS && self.bytes + answer.size() <= BATCH_BYTES)
    }

    fn push(&mut self, answer: Answer) {
        self.rows += answer.rows;
        self.bytes += answer.size();
        self.answers.push(answer);
    }

    /// The number of the document after it.
    fn end(&self) -> u64 {
        self.first + self.rows as u64
    }
}

/// Sends the batches of documents that were put aside, in their order. Blocks of them go to the threads in turn, and
/// the batches are taken from the threads in turn. Gives documents, their bytes, and what did not fit.
pub(super) fn by_threads(
    spool: Spool,
    members: &[Member],
    collection: &Arc<str>,
    out: &Sender<Result<Decoded, SourceError>>,
) -> Result<(u64, u64, Misfits), Stop> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        let (mut inputs, mut outputs, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..threads {
            let (input, blocks) = sync_channel(1);
            let (done, output) = sync_channel(1);
            let batches = Batches::new(members, Arc::clone(collection));
            workers.push(scope.spawn(move || work(batches, &blocks, &done)));
            inputs.push(input);
            outputs.push(output);
        }
        let feeder = scope.spawn(move || feed(spool, &inputs));
        // The first thread that has nothing more has had its turn after the last block.
        for output in outputs.iter().cycle() {
            match output.recv() {
                Ok(Ok(batches)) => {
                    for batch in batches {
                        out.blocking_send(Ok(Decoded::Batch(batch))).map_err(|_| Stop::Gone)?;
                    }
                }
                Ok(Err(stop)) => return Err(stop),
                Err(_) => break,
            }
        }
        // Nobody must wait for this side any more, also where a thread panicked and its turn ended the loop.
        drop(outputs);
        let panicked = |_| Stop::Fault(MongoFault::Stopped);
        let rows = feeder.join().map_err(panicked)??;
        let (mut bytes, mut misfits) = (0, Misfits::default());
        for worker in workers {
            let (more, theirs) = worker.join().map_err(panicked)?;
            bytes += more;
            misfits.merge(theirs);
        }
        Ok((rows, bytes, misfits))
    })
}

/// Gives the bytes of its documents, and what did not fit.
fn work(
    mut batches: Batches,
    blocks: &Receiver<Block>,
    done: &SyncSender<Result<Vec<RecordBatch>, Stop>>,
) -> (u64, Misfits) {
    for block in blocks {
        if done.send(batches.block(block)).is_err() {
            break;
        }
    }
    (batches.bytes, batches.misfits)
}

/// Gives the number of documents.
fn feed(spool: Spool, inputs: &[SyncSender<Block>]) -> Result<u64, Stop> {
    let mut turns = inputs.iter().cycle();
    let mut give = |block| match turns.next() {
        Some(input) => input.send(block).map_err(|_| Stop::Gone),
        None => Err(Stop::Gone),
    };
    let mut block = Block::default();
    for answer in spool.answers()? {
        let answer = answer?;
        if !block.has_room(&answer) {
            let next = Block { first: block.end(), ..Block::default() };
            give(std::mem::replace(&mut block, next))?;
        }
        block.push(answer);
    }
    let rows = block.end();
    if block.rows > 0 {
        give(block)?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray, datatypes::Int64Type};
    use bson::rawdoc;

    use super::*;
    use crate::{mongo::ReadOptions, rules::Kind};

    fn members() -> Vec<Member> {
        vec![Member { name: "n".to_owned(), ty: Kind::Integer.plain(), missing: false }]
    }

    fn spooled(count: i64, odd: impl Fn(i64) -> bool) -> Spool {
        let mut spool = Spool::new(&ReadOptions::default());
        let document = |n| {
            if odd(n) {
                rawdoc! {"n": "no number"}
            } else {
                rawdoc! {"n": n}
            }
        };
        let mut first = 0;
        // Answers of many sizes, some larger than a batch.
        for size in [100, 5000, 1, 20_000].into_iter().cycle() {
            if first == count {
                return spool;
            }
            let end = count.min(first + size);
            spool.push(Answer::of(&(first..end).map(document).collect::<Vec<_>>())).unwrap();
            first = end;
        }
        spool
    }

    #[test]
    fn batches_come_in_the_order_of_their_documents() {
        for count in [0, 1, 8192, 8193, 100_000] {
            let (out, mut batches) = tokio::sync::mpsc::channel(1000);
            let spool = spooled(count, |n| n == 40_000 || n == 70_000);
            let (rows, bytes, misfits) = by_threads(spool, &members(), &"c".into(), &out).unwrap();
            drop(out);
            let mut found = Vec::new();
            while let Ok(Ok(Decoded::Batch(batch))) = batches.try_recv() {
                assert!(batch.num_rows() <= BATCH_ROWS);
                found.extend(batch.column(0).as_primitive::<Int64Type>().iter());
            }
            let expected = |n: i64| (n != 40_000 && n != 70_000).then_some(n);
            assert_eq!(found, (0..count).map(expected).collect::<Vec<_>>());
            assert_eq!(rows, count.unsigned_abs());
            assert!(bytes >= rows * 10);
            let (misfits, documents) = misfits.finish();
            let told: Vec<(u64, u64)> = misfits.iter().map(|m| (m.count, m.first_offset)).collect();
            assert_eq!((told, documents), if count > 70_000 { (vec![(2, 40_000)], 2) } else { (vec![], 0) });
        }
    }

    #[test]
    fn nobody_waits_for_who_does_not_listen_any_more() {
        let (out, batches) = tokio::sync::mpsc::channel(1);
        drop(batches);
        let ended = by_threads(spooled(200_000, |_| false), &members(), &"c".into(), &out);
        assert!(matches!(ended, Err(Stop::Gone)));
    }
}
