//! A table in chunks of its pages: short queries that the server forgets quickly, on several connections.
//!
//! A chunk is a range of `ctid`, which PostgreSQL (from 14 on) reads without an index and without touching other
//! pages. All connections see one snapshot. They keep their transactions open from the first chunk to the last, and
//! with it a lock that keeps the table from being rewritten, which would move its rows to other pages.
//!
//! A connection that is cut takes a new one and reads its chunk again without the rows that were already given: in
//! one snapshot, a range of pages gives its rows in the order in which they stand there.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{Stream, StreamExt};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_postgres::types::Oid;

use super::{
    Param, PostgresSource, PostgresStream, ReadOptions, Snapshot, TableRead,
    cursor::{self, Steps},
    error::{Fault, PostgresError},
    lag::Gate,
    open,
    pages::{Pages, Shared},
    session::Lease,
    table::{Relation, RelationKind, indexed, relation},
};
use crate::{Misfit, Pace, SourceError};

/// The rows of a table, while they arrive. Dropped before its end, it ends what runs on the server.
pub struct TableStream {
    schema: SchemaRef,
    inner: Inner,
}

pub(super) enum Inner {
    One(Box<PostgresStream>),
    Chunks {
        batches: mpsc::Receiver<Result<RecordBatch, SourceError>>,
        shared: Arc<Shared>,
        /// Ended with the stream.
        workers: JoinSet<()>,
        failed: bool,
        server: Arc<str>,
        /// Where the caller gave none.
        _snapshot: Option<Snapshot>,
    },
    Cursor {
        batches: mpsc::Receiver<Result<RecordBatch, SourceError>>,
        steps: Arc<Steps>,
        /// Ended with the stream.
        workers: JoinSet<()>,
        failed: bool,
        server: Arc<str>,
    },
}

impl TableStream {
    pub(super) fn new(schema: SchemaRef, inner: Inner) -> Self {
        Self { schema, inner }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Values so far that no Arrow type of their column holds. They became null.
    pub fn misfits(&self) -> Vec<Misfit> {
        match &self.inner {
            Inner::One(stream) => stream.misfits(),
            Inner::Chunks { shared, .. } => shared.misfits(),
            Inner::Cursor { steps, .. } => steps.misfits(),
        }
    }

    /// How many queries have been needed so far.
    pub fn queries(&self) -> u64 {
        match &self.inner {
            Inner::One(_) => 1,
            Inner::Chunks { shared, .. } => shared.queries(),
            Inner::Cursor { steps, .. } => steps.queries(),
        }
    }
}

impl Stream for TableStream {
    type Item = Result<RecordBatch, SourceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (batches, complete, workers, failed, server): (_, &dyn Fn() -> bool, _, _, _) =
            match &mut self.get_mut().inner {
                Inner::One(stream) => return Pin::new(stream.as_mut()).poll_next(cx),
                Inner::Chunks { batches, shared, workers, failed, server, .. } => {
                    (batches, &|| shared.is_complete(), workers, failed, server)
                }
                Inner::Cursor { batches, steps, workers, failed, server } => {
                    (batches, &|| steps.is_complete(), workers, failed, server)
                }
            };
        if *failed {
            return Poll::Ready(None);
        }
        let next = match ready!(batches.poll_recv(cx)) {
            // A worker that went away without a word must not pass for the end of the table.
            None if !complete() => {
                Some(Err(PostgresError::new(server, Fault::Cut, "the rows end in the middle").into()))
            }
            next => next,
        };
        if matches!(next, Some(Err(_))) {
            *failed = true;
            workers.abort_all();
        }
        Poll::Ready(next)
    }
}

/// PostgreSQL 14 reads ranges of `ctid` without looking at other pages.
const TID_RANGES: u32 = 140_000;
/// A smaller table is one chunk anyway.
const WORTH_CHUNKS: u64 = 8 << 20;
/// How often a chunk is tried again after its connection was cut.
const ATTEMPTS: u32 = 4;

pub(super) async fn read(
    source: &PostgresSource,
    snapshot: Option<&Snapshot>,
    read: &TableRead,
    options: &ReadOptions,
) -> Result<TableStream, SourceError> {
    let mut lease = source.lease(snapshot.map(Snapshot::id)).await?;
    let (relation, way) = way(source, &mut lease, read).await?;
    let (sql, bound) = read.sql(&read.table.to_string(), None);
    if way != Way::Pages && (read.in_steps || snapshot.is_some_and(|snapshot| snapshot.gate().is_watched())) {
        if snapshot.is_some() {
            lease.run("COMMIT").await?;
        }
        lease.release();
        return cursor::read(source, snapshot, &sql, &bound, &read.pace, options).await;
    }
    if way != Way::Pages {
        let stream = open(lease, &sql, &bound, snapshot.is_some(), options).await?;
        return Ok(TableStream { schema: stream.schema(), inner: Inner::One(Box::new(stream)) });
    }
    // The first connection joins the snapshot anew, as the others do.
    if snapshot.is_some() {
        lease.run("COMMIT").await?;
    }
    lease.release();
    let own = match snapshot {
        Some(_) => None,
        None => Some(source.snapshot().await?),
    };
    let id = snapshot.or(own.as_ref()).map(|s| s.id().to_owned()).unwrap_or_default();
    let gate = snapshot.or(own.as_ref()).map_or_else(|| source.gate(None).1, |s| s.gate().clone());
    let job = Job {
        source: source.clone(),
        snapshot: id,
        read: read.clone(),
        options: options.clone(),
        relation,
        gate,
    };
    chunks(Arc::new(job), own).await
}

/// How a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In chunks of its pages.
    Pages,
    /// By one query, or by a cursor.
    Query,
}

/// How a read of a table goes about it, and what the catalogue says of the table.
pub(super) async fn way(
    source: &PostgresSource,
    lease: &mut Lease,
    read: &TableRead,
) -> Result<(Relation, Way), SourceError> {
    let relation = relation(lease, &read.table).await?;
    let large = source.version >= TID_RANGES
        && relation.kind == RelationKind::Table
        && relation.plain
        && relation.bytes >= WORTH_CHUNKS
        && read.limit.is_none()
        && read.predicates.is_empty()
        && source.options.max_connections >= 2;
    // Where an index finds the rows, pages that hold none of them are not looked at.
    let pages = large
        && (read.conditions.is_empty() || {
            let columns: Vec<&str> = read.conditions.iter().map(|c| c.column.as_str()).collect();
            !indexed(lease, relation.oid, &columns).await?
        });
    Ok((relation, if pages { Way::Pages } else { Way::Query }))
}

/// What all workers are to do.
struct Job {
    source: PostgresSource,
    snapshot: String,
    read: TableRead,
    options: ReadOptions,
    relation: Relation,
    gate: Gate,
}

async fn chunks(job: Arc<Job>, own: Option<Snapshot>) -> Result<TableStream, SourceError> {
    let shared = Arc::new(Shared::default());
    let mut first = job.begin(&shared).await?;
    let (pages, columns) = job.measure(&mut first).await?;
    shared.start(pages, job.relation.estimated_rows);
    // One connection holds the snapshot.
    let most = job.source.options.max_connections.saturating_sub(1).max(1);
    let workers = job.read.parallel.clamp(1, most);
    // A chunk that aims at less than the time limit does not waste work at it.
    let mut pace = job.read.pace.shared_by(workers);
    pace.target = pace.target.min(job.source.options.statement_timeout / 4);
    let (sender, batches) = mpsc::channel(workers);
    let mut tasks = JoinSet::new();
    // All of them hold the table before the first row is read: a change of it that waits for its lock would keep out
    // those who come later. Where one gets none, the others do its work.
    let mut leases = vec![first];
    for _ in 1..workers.min(usize::try_from(pages).unwrap_or(usize::MAX).max(1)) {
        match job.begin(&shared).await {
            Ok(lease) => leases.push(lease),
            Err(_) => break,
        }
    }
    for lease in leases {
        let worker = Worker {
            job: Arc::clone(&job),
            shared: Arc::clone(&shared),
            sender: sender.clone(),
            pace: Pace::new(pace.clone()),
        };
        tasks.spawn(worker.run(Some(lease)));
    }
    Ok(TableStream {
        schema: columns,
        inner: Inner::Chunks {
            batches,
            shared,
            workers: tasks,
            failed: false,
            server: Arc::clone(&job.source.sessions.label),
            _snapshot: own,
        },
    })
}

impl Job {
    /// A connection in the snapshot that holds the table as it is.
    async fn begin(&self, shared: &Shared) -> Result<Lease, SourceError> {
        let mut lease = self.source.lease(Some(&self.snapshot)).await?;
        // Rows come in the order in which they stand, whichever plan is chosen: an attempt that is made again
        // skips those that were given.
        lease
            .run(&format!(
                "SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0; {}\
                 LOCK TABLE ONLY {} IN ACCESS SHARE MODE",
                self.gate.patience().map_or_else(String::new, |patience| {
                    let idle = self.source.options.idle_timeout.max(patience + Duration::from_secs(30));
                    format!(
                        "SET LOCAL idle_in_transaction_session_timeout = {}; ",
                        idle.as_millis().min(i32::MAX as u128)
                    )
                }),
                self.read.table
            ))
            .await?;
        let file = lease
            .client()?
            .query_one("SELECT pg_catalog.pg_relation_filenode(CAST($1 AS oid))", &[&self.relation.oid])
            .await
            .and_then(|row| row.try_get::<_, Option<Oid>>(0));
        let file = file.map_err(|e| lease.error(&e))?;
        let known = shared.same_file(file);
        if known {
            return Ok(lease);
        }
        Err(PostgresError::new(
            self.source.server(),
            Fault::Cut,
            format!("the table {} was rewritten while it was read", self.read.table),
        )
        .with_hint("somebody ran VACUUM FULL, CLUSTER or a change of the table; a retry may help")
        .into())
    }

    /// How many pages there are, and the columns.
    async fn measure(&self, lease: &mut Lease) -> Result<(u64, SchemaRef), SourceError> {
        let row = lease
            .client()?
            .query_one(
                "SELECT pg_catalog.pg_relation_size(CAST($1 AS oid)) / current_setting('block_size')::int8",
                &[&self.relation.oid],
            )
            .await
            .and_then(|row| row.try_get::<_, i64>(0));
        let pages = row.map_err(|e| lease.error(&e))?.unsigned_abs();
        let (sql, bound) = self.read.sql(&self.read.table.to_string(), None);
        let statement = super::prepare(lease, &sql, &bound).await?;
        let schema = super::plan(lease, &statement, &self.options)?.schema;
        Ok((pages, schema))
    }

    fn sql(&self, pages: Pages) -> (String, Vec<Param>) {
        let range = match pages {
            Pages(start, Some(end)) => format!("ctid >= '({start},0)'::tid AND ctid < '({end},0)'::tid"),
            Pages(start, None) => format!("ctid >= '({start},0)'::tid"),
        };
        self.read.sql(&format!("ONLY {}", self.read.table), Some(&range))
    }
}

struct Worker {
    job: Arc<Job>,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Result<RecordBatch, SourceError>>,
    pace: Pace,
}

/// How an attempt at a part of a chunk ended.
enum End {
    /// With so many rows.
    Done(Lease, u64),
    /// The connection was cut or the time was over, after so many rows of it had been given.
    Again(u64, SourceError),
    /// Nobody listens any more.
    Stop,
}

impl Worker {
    async fn run(mut self, mut lease: Option<Lease>) {
        loop {
            if let Err(error) = self.job.gate.pass().await {
                let _ = self.sender.send(Err(error)).await;
                return;
            }
            let Some(pages) = self.shared.take(self.pace.next_chunk()) else { break };
            match self.chunk(pages, lease.take()).await {
                Some(kept) => lease = Some(kept),
                None => return,
            }
        }
        if let Some(mut lease) = lease
            && lease.run("COMMIT").await.is_ok()
        {
            lease.release();
        }
    }

    /// Reads a chunk, again or in smaller parts where that may help. None: the work ends.
    async fn chunk(&mut self, pages: Pages, lease: Option<Lease>) -> Option<Lease> {
        let mut lease = lease;
        let mut parts = VecDeque::from([pages]);
        // Rows of the parts that have been given already: they come first in each further attempt.
        let (mut given, mut attempt) = (0u64, 0);
        while let Some(mut part) = parts.pop_front() {
            // After a time limit no part is larger than what the pace allows then.
            if let Some((first, rest)) = self.shared.split(part, self.pace.next_chunk()) {
                parts.push_front(rest);
                part = first;
            }
            let error = match self.attempt(part, lease.take(), given).await {
                End::Done(kept, rows) => {
                    lease = Some(kept);
                    given = given.saturating_sub(rows);
                    attempt = 0;
                    continue;
                }
                End::Stop => return None,
                End::Again(so_far, error) => {
                    given = so_far;
                    error
                }
            };
            parts.push_front(part);
            let too_long = matches!(&error, SourceError::Postgres(e) if e.fault == Fault::TimeLimit);
            if too_long && self.pace.timed_out() {
                continue;
            }
            attempt += 1;
            if attempt >= ATTEMPTS || !error.retryable() {
                let _ = self.sender.send(Err(error)).await;
                return None;
            }
            tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
        }
        self.shared.closed();
        lease
    }

    async fn attempt(&mut self, pages: Pages, lease: Option<Lease>, given: u64) -> End {
        let started = Instant::now();
        let mut waited = Duration::ZERO;
        let opened = match lease {
            Some(lease) => Ok(lease),
            None => self.job.begin(&self.shared).await,
        };
        let opened = match opened {
            Ok(lease) => {
                let (sql, bound) = self.job.sql(pages);
                open(lease, &sql, &bound, false, &self.job.options).await
            }
            Err(error) => Err(error),
        };
        let mut stream = match opened {
            Ok(stream) => stream.keeping_its_transaction(),
            Err(error) => return End::Again(given, error),
        };
        let mut rows = 0u64;
        while let Some(batch) = stream.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return End::Again(given.max(rows), error),
            };
            let before = rows;
            rows += batch.num_rows() as u64;
            let Some(fresh) = fresh(batch, before, given) else { continue };
            let waiting = Instant::now();
            if self.sender.send(Ok(fresh)).await.is_err() {
                return End::Stop;
            }
            waited += waiting.elapsed();
        }
        self.shared.measured(pages, rows, stream.misfits());
        let pause = self.pace.done(rows, started.elapsed().saturating_sub(waited));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        match stream.take_lease() {
            Some(lease) => End::Done(lease, rows),
            None => End::Stop,
        }
    }
}

/// The part of a batch that has not been given yet: its rows start at `before`, and `given` are known.
fn fresh(batch: RecordBatch, before: u64, given: u64) -> Option<RecordBatch> {
    let skip = usize::try_from(given.saturating_sub(before)).unwrap_or(usize::MAX);
    match skip {
        0 => Some(batch),
        skip if skip < batch.num_rows() => Some(batch.slice(skip, batch.num_rows() - skip)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_given_are_not_given_again() {
        use arrow::array::{AsArray, Int64Array};
        let batch = |from: i64| {
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(from..from + 4)) as _)])
                .unwrap()
        };
        let rows: Vec<i64> = [fresh(batch(0), 0, 6), fresh(batch(4), 4, 6), fresh(batch(8), 8, 6)]
            .into_iter()
            .flatten()
            .flat_map(|b| b.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec())
            .collect();
        assert_eq!(rows, [6, 7, 8, 9, 10, 11]);
    }
}
