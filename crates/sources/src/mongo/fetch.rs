//! The side of a reading that talks to the server: one query after another, each gentle, taken up again when cut.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use futures::StreamExt;
use mongodb::{
    ClientSession,
    options::{AggregateOptions, FindOptions, Hint},
    raw_batch_cursor::{RawBatch, SessionRawBatchCursor},
};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Consistency, Cut, MongoFault, MongoSource, ReadOptions,
    client::{CollectionInfo, within},
    keyset::{Position, and},
    lag,
    survey::{LOOK_ROWS, Seen, Survey},
};
use crate::Pace;

/// Bytes of an answer to aim at: small enough to decode one while the next one is made, large beside the way there
/// and back.
const ANSWER_BYTES: u64 = 1 << 20;

/// Documents of an answer before their size is known, and at most.
const ANSWER_ROWS: (u64, u64) = (1000, 50_000);

/// The replicas are asked for their lag no more often than this.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// What a reading cost the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MongoLoad {
    /// Queries, counting documents not among them.
    pub queries: u64,
    /// The time that the slowest query took on the server and on the way.
    pub slowest: Duration,
    /// How often the reading was taken up again after a failure.
    pub resumed: u32,
    /// How long it paused to keep the ceiling on rows and to let replicas catch up.
    pub paused: Duration,
    /// How far the slowest secondary was behind, at most; none where the server did not tell.
    pub lag: Option<Duration>,
}

/// What is fetched.
pub(super) enum Query {
    Find(Box<Find>),
    Aggregate(Vec<Document>),
}

/// Documents of a collection.
pub(super) struct Find {
    pub(super) filter: Document,
    /// The fields that are wanted. To cut documents down to them costs a server about as much as to find them, so that it
    /// is not asked to where they seem to have no others.
    pub(super) projection: Option<Document>,
    pub(super) sort: Option<Document>,
    pub(super) limit: Option<u64>,
    /// Whether it goes by `_id`, one query after another.
    pub(super) by_id: bool,
}

/// What comes from the server.
pub(super) enum Fetched {
    Batch(RawBatch),
    /// All that came so far comes again.
    Restart,
    Done {
        consistency: Consistency,
        load: MongoLoad,
    },
    Failed(MongoFault),
}

/// Why fetching ends early.
enum Stop {
    /// Nobody wants the documents any more.
    Gone,
    Fault(MongoFault),
}

impl From<MongoFault> for Stop {
    fn from(fault: MongoFault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) struct Fetch {
    pub(super) source: MongoSource,
    pub(super) collection: String,
    pub(super) info: CollectionInfo,
    pub(super) query: Query,
    pub(super) read: ReadOptions,
    /// Whether the documents are put aside, so that those that came can be forgotten.
    pub(super) restartable: bool,
    pub(super) out: mpsc::Sender<Fetched>,
}

impl Fetch {
    /// Sends all documents, then [`Fetched::Done`] or [`Fetched::Failed`].
    pub(super) async fn run(self) {
        let out = self.out.clone();
        let pace = Pace::new(self.read.pace());
        let mut reading = Reading {
            fetch: self,
            pace,
            position: Position::default(),
            session: None,
            fields: Seen::Nothing,
            rows: 0,
            bytes: 0,
            load: MongoLoad::default(),
            lag_asked: None,
            lag_told: true,
        };
        let end = match reading.all().await {
            Ok(consistency) => Fetched::Done { consistency, load: reading.load },
            Err(Stop::Fault(fault)) => Fetched::Failed(fault),
            Err(Stop::Gone) => return,
        };
        // Nobody is there any more: nobody misses it.
        let _ = out.send(end).await;
    }
}

struct Reading {
    fetch: Fetch,
    pace: Pace,
    position: Position,
    session: Option<ClientSession>,
    fields: Seen,
    rows: u64,
    bytes: u64,
    load: MongoLoad,
    lag_asked: Option<Instant>,
    lag_told: bool,
}

impl Reading {
    async fn all(&mut self) -> Result<Consistency, Stop> {
        let before = self.count().await?;
        let mut failures = 0;
        loop {
            let rows = self.rows;
            match self.query().await {
                Ok(true) => failures = 0,
                Ok(false) => break,
                Err(Stop::Fault(fault)) if fault.resumable() => {
                    failures = if self.rows > rows { 1 } else { failures + 1 };
                    if failures > self.fetch.read.retries {
                        return Err(fault.into());
                    }
                    self.take_up(fault).await?;
                    sleep(backoff(failures)).await;
                }
                Err(stop) => return Err(stop),
            }
        }
        self.still_there().await?;
        let after = self.count().await?;
        Ok(Consistency::new(&self.fetch.read.cut, before, after))
    }

    /// One query to its end. Returns whether there may be more.
    async fn query(&mut self) -> Result<bool, Stop> {
        self.wait_for_replicas().await?;
        let session = match self.session.take() {
            Some(session) => session,
            None => self.fetch.source.session(&self.fetch.read.cut).await?,
        };
        match self.by_id() {
            true => self.chunk(session).await,
            false => self.whole(session).await,
        }
    }

    /// The next documents by `_id`.
    async fn chunk(&mut self, mut session: ClientSession) -> Result<bool, Stop> {
        let Query::Find(find) = &self.fetch.query else { return Ok(false) };
        let left = find.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.rows));
        let looks = find.projection.is_some() && self.fields == Seen::Nothing && left > LOOK_ROWS;
        let size = self.pace.next_chunk().min(if looks { LOOK_ROWS } else { left });
        let Some(follows) = self.position.filter().filter(|_| size > 0) else { return Ok(false) };
        let whole = looks || self.fields == Seen::OnlyWanted;
        let mut options = self.find_options(find.projection.as_ref().filter(|_| !whole));
        options.sort = Some(doc! {"_id": 1});
        options.limit = i64::try_from(size).ok();
        let collection = self.fetch.source.collection(&self.fetch.collection);
        let find = collection.find(and(find.filter.clone(), follows));
        let (rows, took) = {
            let started = Instant::now();
            let opened = find.with_options(options).session(&mut session).batch();
            let cursor = self.answer(opened).await?;
            self.drain(cursor, &mut session, started, false).await?
        };
        self.session = Some(session);
        let pause = if looks {
            self.fields = self.fields.after_look(rows);
            // The way there and back is most of what so few took: it says nothing of the server.
            self.pace.pause_after(rows, took)
        } else {
            self.pace.done(rows, took)
        };
        self.pause(pause).await;
        Ok(if rows < size { self.position.exhausted() } else { size < left })
    }

    /// All documents with one cursor: in an order that the caller gave, or results of a pipeline.
    async fn whole(&mut self, mut session: ClientSession) -> Result<bool, Stop> {
        let collection = self.fetch.source.collection(&self.fetch.collection);
        let started = Instant::now();
        let cursor = match &self.fetch.query {
            Query::Find(find) => {
                if find.limit == Some(0) {
                    return Ok(false);
                }
                let mut options = self.find_options(find.projection.as_ref());
                options.sort = find.sort.clone().filter(|sort| !sort.is_empty());
                options.limit = find.limit.and_then(|limit| i64::try_from(limit).ok());
                let opened = collection.find(find.filter.clone()).with_options(options);
                self.answer(opened.session(&mut session).batch()).await?
            }
            Query::Aggregate(pipeline) => {
                let mut options = AggregateOptions::default();
                options.batch_size = Some(self.answer_rows());
                options.max_time = Some(self.fetch.read.max_time);
                options.allow_disk_use = Some(true);
                let opened = collection.aggregate(pipeline.clone()).with_options(options);
                self.answer(opened.session(&mut session).batch()).await?
            }
        };
        self.drain(cursor, &mut session, started, true).await?;
        Ok(false)
    }

    /// Sends the batches of a cursor. Returns its documents and the time that the server took for them.
    async fn drain(
        &mut self,
        mut cursor: SessionRawBatchCursor,
        session: &mut ClientSession,
        started: Instant,
        paced: bool,
    ) -> Result<(u64, Duration), Stop> {
        self.load.queries += 1;
        let time = self.answer_time();
        let (mut rows, mut took) = (0, started.elapsed());
        loop {
            let asked = Instant::now();
            let answer = tokio::time::timeout(time, cursor.stream(session).next()).await;
            let batch = match answer {
                Err(_) => return Err(MongoFault::NoAnswer(time).into()),
                Ok(None) => break,
                Ok(Some(batch)) => batch.map_err(|e| MongoFault::of(&e, self.fetch.read.max_time))?,
            };
            let waited = asked.elapsed();
            took += waited;
            self.load.slowest = self.load.slowest.max(took);
            let Survey { count, last, others } = Survey::of(&batch, self.wanted(), self.fields)?;
            if count == 0 {
                continue;
            }
            if others {
                self.fields = Seen::Others;
            }
            rows += count;
            self.rows += count;
            self.bytes += batch.as_raw_document().as_bytes().len() as u64;
            if self.by_id() {
                self.position
                    .read(last.ok_or_else(|| MongoFault::Reply("a document without _id".to_owned()))?);
            }
            self.fetch.out.send(Fetched::Batch(batch)).await.map_err(|_| Stop::Gone)?;
            if paced {
                let pause = self.pace.done(count, waited);
                self.pause(pause).await;
            }
        }
        Ok((rows, took))
    }

    /// Prepares the next try after a failure.
    async fn take_up(&mut self, fault: MongoFault) -> Result<(), Stop> {
        self.session = None;
        let by_id = self.by_id();
        if matches!(fault, MongoFault::TimeLimit(_)) && !(by_id && self.pace.timed_out()) {
            return Err(fault.into());
        }
        if !by_id && self.rows > 0 {
            if !self.fetch.restartable {
                return Err(fault.into());
            }
            self.rows = 0;
            self.fetch.out.send(Fetched::Restart).await.map_err(|_| Stop::Gone)?;
        }
        self.load.resumed += 1;
        Ok(())
    }

    /// A cursor of a collection that is dropped may end as if all had been read.
    async fn still_there(&self) -> Result<(), MongoFault> {
        let mut failures = 0;
        let found = loop {
            match self.fetch.source.info(&self.fetch.collection).await {
                Err(fault) if fault.resumable() && failures < self.fetch.read.retries => failures += 1,
                found => break found?,
            }
            sleep(backoff(failures)).await;
        };
        match found {
            Some(found) if found.uuid == self.fetch.info.uuid => Ok(()),
            _ => Err(MongoFault::Dropped),
        }
    }

    /// The documents that fit; none where a snapshot makes it needless, or the server has no time for it.
    async fn count(&self) -> Result<Option<u64>, MongoFault> {
        let read = &self.fetch.read;
        if !read.count || matches!(read.cut, Cut::Snapshot { .. }) {
            return Ok(None);
        }
        let (filter, limit) = match &self.fetch.query {
            Query::Find(find) => (find.filter.clone(), find.limit),
            Query::Aggregate(_) => (read.cut.filter(), None),
        };
        let collection = self.fetch.source.collection(&self.fetch.collection);
        let mut failures = 0;
        loop {
            let mut count = collection.count_documents(filter.clone()).max_time(read.max_time);
            if filter.is_empty() && self.fetch.info.plain {
                // The index alone is counted, not the documents.
                count = count.hint(Hint::Keys(doc! {"_id": 1}));
            }
            match self.answer(count).await {
                Ok(count) => return Ok(Some(limit.map_or(count, |limit| count.min(limit)))),
                Err(MongoFault::TimeLimit(_)) => return Ok(None),
                Err(fault) if fault.resumable() && failures < read.retries => failures += 1,
                Err(fault) => return Err(fault),
            }
            sleep(backoff(failures)).await;
        }
    }

    /// Pauses while a secondary is too far behind.
    async fn wait_for_replicas(&mut self) -> Result<(), Stop> {
        let read = &self.fetch.read;
        let (Some(allowed), true) = (read.max_lag, self.lag_told) else { return Ok(()) };
        if self.fetch.source.server().replica_set.is_none()
            || self.lag_asked.is_some_and(|at| at.elapsed() < LAG_EVERY)
        {
            return Ok(());
        }
        let (patience, say) = (read.lag_patience, read.say.clone());
        let started = Instant::now();
        let mut waited = false;
        loop {
            let status = self.fetch.source.ask(doc! {"replSetGetStatus": 1}).await?;
            self.lag_asked = Some(Instant::now());
            let Some(lag) = status.as_ref().and_then(lag::lag) else {
                self.lag_told = status.is_some();
                return Ok(());
            };
            self.load.lag = self.load.lag.max(Some(lag));
            let place = self.fetch.source.display().to_owned();
            if lag <= allowed {
                if waited {
                    say.say(&format!(
                        "{place}: the replica has caught up after {} s: reading goes on",
                        started.elapsed().as_secs()
                    ));
                }
                return Ok(());
            }
            if started.elapsed() >= patience {
                return Err(MongoFault::Lagging { lag, allowed }.into());
            }
            if !waited {
                waited = true;
                say.say(&format!(
                    "{place}: the replica is {} s behind its primary, {} s are allowed: reading pauses, at most {} s",
                    lag.as_secs(),
                    allowed.as_secs(),
                    patience.as_secs()
                ));
            }
            self.pause(LAG_EVERY.min(patience)).await;
        }
    }

    /// The fields that are wanted of documents that are read by `_id`; none where all are.
    fn wanted(&self) -> Option<&Document> {
        match &self.fetch.query {
            Query::Find(find) if find.by_id => find.projection.as_ref(),
            _ => None,
        }
    }

    fn by_id(&self) -> bool {
        matches!(&self.fetch.query, Query::Find(find) if find.by_id)
    }

    async fn pause(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.load.paused += pause;
            sleep(pause).await;
        }
    }

    fn find_options(&self, projection: Option<&Document>) -> FindOptions {
        let mut options = FindOptions::default();
        options.projection = projection.cloned();
        options.batch_size = Some(self.answer_rows());
        options.max_time = Some(self.fetch.read.max_time);
        options
    }

    /// Waits for an answer. The limit that an error names is the one that the server was given.
    async fn answer<T, F>(&self, action: F) -> Result<T, MongoFault>
    where
        F: IntoFuture<Output = mongodb::error::Result<T>, IntoFuture: Send>,
    {
        within(self.answer_time(), action).await.map_err(|fault| match fault {
            MongoFault::TimeLimit(_) => MongoFault::TimeLimit(self.fetch.read.max_time),
            fault => fault,
        })
    }

    fn answer_time(&self) -> Duration {
        self.fetch.read.max_time + self.fetch.read.grace
    }

    fn answer_rows(&self) -> u32 {
        let (first, most) = ANSWER_ROWS;
        let rows = match self.bytes.checked_div(self.rows) {
            Some(bytes) => ANSWER_BYTES / bytes.max(1),
            None => first,
        };
        u32::try_from(rows.clamp(100, most)).unwrap_or(u32::MAX)
    }
}

/// A tenth of a second, then twice as long at every failure, five seconds at most.
fn backoff(failures: u32) -> Duration {
    Duration::from_millis(100u64 << failures.clamp(1, 6).saturating_sub(1)).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(backoff(1), Duration::from_millis(100));
        assert_eq!(backoff(3), Duration::from_millis(400));
        assert_eq!(backoff(50), Duration::from_millis(3200));
    }
}
