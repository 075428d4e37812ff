//! A query in short steps: a cursor on the server, of which each step takes about a set time.
//!
//! For what cannot be read in chunks of pages: a window of time by its index, a view, partitions, a query with
//! parameters. Each step is a query with its own time limit; between two of them the server rests as the ceiling on
//! rows asks, and a standby may catch up. A cursor does not outlive its connection.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use futures::StreamExt;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    PostgresSource, PostgresStream, ReadOptions, Snapshot, TableStream, chunks::Inner, lag::Gate,
    param::Param, plan, prepare, session::Lease, stream::Rows, trimmed, types::Plan,
};
use crate::{Misfit, Pace, PaceOptions, SourceError};

/// The cursor; each connection has at most one.
const NAME: &str = "dualrun_rows";

/// What the reader of a cursor tells of its work.
#[derive(Debug, Default)]
pub(super) struct Steps(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    queries: u64,
    misfits: Vec<Misfit>,
    complete: bool,
}

impl Steps {
    pub(super) fn queries(&self) -> u64 {
        self.told(|told| told.queries)
    }

    pub(super) fn misfits(&self) -> Vec<Misfit> {
        self.told(|told| told.misfits.clone())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.told(|told| told.complete)
    }

    fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        // Nothing in here can be left half-done.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens a cursor for a query and reads it in steps.
pub(super) async fn read(
    source: &PostgresSource,
    snapshot: Option<&Snapshot>,
    sql: &str,
    params: &[Param],
    pace: &PaceOptions,
    options: &ReadOptions,
) -> Result<TableStream, SourceError> {
    let mut lease = source.lease(snapshot.map(Snapshot::id)).await?;
    if snapshot.is_none() {
        lease.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    }
    let gate = snapshot.map_or_else(|| source.gate(None).1, |snapshot| snapshot.gate().clone());
    // Nothing happens on the connection while it waits for a standby.
    let idle = gate.patience().map_or(source.options.idle_timeout, |patience| {
        source.options.idle_timeout.max(patience + Duration::from_secs(30))
    });
    // The whole result is read: the plan is the one of the query without a cursor.
    lease
        .run(&format!(
            "SET LOCAL cursor_tuple_fraction = 1; SET LOCAL idle_in_transaction_session_timeout = {}",
            idle.as_millis().min(i32::MAX as u128)
        ))
        .await?;
    let sql = trimmed(sql);
    let statement = prepare(&mut lease, sql, params).await?;
    let plan = plan(&lease, &statement, options)?;
    drop(statement);
    let cast = plan.with_casts(sql);
    let declare = format!("DECLARE {NAME} NO SCROLL CURSOR FOR {}", cast.as_deref().unwrap_or(sql));
    let statement = prepare(&mut lease, &declare, params).await?;
    let declared = lease.client()?.execute_raw(&statement, params).await;
    declared.map_err(|e| lease.error(&e))?;
    drop(statement);

    let (sender, batches) = mpsc::channel(1);
    let steps = Arc::new(Steps::default());
    let mut pace = pace.clone();
    // A step that aims at less than the time limit does not waste work at it.
    pace.target = pace.target.min(source.options.statement_timeout / 4);
    let schema = Arc::clone(&plan.schema);
    let reader = Reader {
        plan,
        options: options.clone(),
        gate,
        pace: Pace::new(pace),
        steps: Arc::clone(&steps),
        sender,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(reader.run(lease));
    let server = Arc::clone(&source.sessions.label);
    Ok(TableStream::new(schema, Inner::Cursor { batches, steps, workers: tasks, failed: false, server }))
}

struct Reader {
    plan: Plan,
    options: ReadOptions,
    gate: Gate,
    pace: Pace,
    steps: Arc<Steps>,
    sender: mpsc::Sender<Result<RecordBatch, SourceError>>,
}

impl Reader {
    async fn run(mut self, lease: Lease) {
        match self.all(lease).await {
            Ok(Some(mut lease)) => {
                if lease.run("COMMIT").await.is_ok() {
                    lease.release();
                }
                self.steps.told(|told| told.complete = true);
            }
            // Nobody listens any more.
            Ok(None) => {}
            Err(error) => _ = self.sender.send(Err(error)).await,
        }
    }

    /// Reads to the end. None where nobody wants the rows any more.
    async fn all(&mut self, mut lease: Lease) -> Result<Option<Lease>, SourceError> {
        loop {
            self.gate.pass().await?;
            let wanted = self.pace.next_chunk();
            let (started, mut waited, mut rows) = (Instant::now(), Duration::ZERO, 0u64);
            let statement = prepare(&mut lease, &format!("FETCH FORWARD {wanted} FROM {NAME}"), &[]).await?;
            let found = lease.client()?.query_raw(&statement, std::iter::empty::<Param>()).await;
            let found = Rows::Portal(Box::pin(found.map_err(|e| lease.error(&e))?));
            let mut stream = PostgresStream::new(self.plan.clone(), found, lease, true, &self.options)
                .keeping_its_transaction();
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                let waiting = Instant::now();
                if self.sender.send(Ok(batch)).await.is_err() {
                    return Ok(None);
                }
                waited += waiting.elapsed();
            }
            let misfits = stream.misfits();
            self.steps.told(|told| {
                told.queries += 1;
                crate::misfit::add(&mut told.misfits, misfits);
            });
            let Some(kept) = stream.take_lease() else { return Ok(None) };
            lease = kept;
            if rows < wanted {
                return Ok(Some(lease));
            }
            let pause = self.pace.done(rows, started.elapsed().saturating_sub(waited));
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}
