//! PostgreSQL as a source: queries and tables as streams of Arrow batches, read gently and at one instant.
//!
//! [`PostgresSource::connect`] opens nothing that can write: every session is read-only, says that it is `dualrun`,
//! and carries time limits. [`PostgresSource::query`] runs SQL; without parameters its rows come through
//! `COPY … (FORMAT binary)`, with parameters through the extended protocol, which binds them. One decoder reads the
//! field bytes of both. [`PostgresSource::snapshot`] fixes one instant for any number of reads;
//! [`PostgresSource::read_table`] reads a table in chunks, on several connections that share it.
//!
//! # Types
//!
//! | PostgreSQL | Arrow |
//! |---|---|
//! | `bool`, `int2`, `int4`, `int8`, `float4`, `float8` | Boolean, Int16, Int32, Int64, Float32, Float64 |
//! | `oid` | Int64 |
//! | `numeric(p,s)` | Decimal128(p,s) up to 38 digits, Decimal256 up to 76, else text |
//! | `numeric` | as [`ReadOptions::numeric`] says; decimal(76,38) unless told otherwise |
//! | `text`, `varchar`, `name`, enums, `json`, `jsonb`, `uuid` | Utf8 |
//! | `char(n)` | Utf8, padded with spaces as it is stored |
//! | `bytea` | Binary |
//! | `date`, `time`, `timestamp`, `timestamptz` | Date32, Time64, Timestamp without zone and in UTC, microseconds |
//! | `interval` | Interval of months, days and nanoseconds |
//! | arrays of one dimension | List; the lower bound is not kept |
//! | domains | their base type |
//! | all others: ranges, network, geometric, `timetz`, `money`, `bit`, composites, extensions | Utf8, as the server writes them |
//!
//! A value that its column cannot hold is never lost silently. NaN and infinity in a decimal, a number with more
//! digits than its decimal, and an array of arrays end the read with an error that names the column and the way out
//! ([`ReadOptions::columns`], or a cast in the query). Infinite dates and instants, `24:00:00` and intervals beyond
//! nanoseconds become null and are counted ([`PostgresStream::misfits`]).

mod chunks;
#[cfg(feature = "datafusion")]
mod columns;
mod cursor;
mod decode;
mod error;
mod estimate;
mod fault;
mod frame;
mod lag;
mod numeric;
mod options;
mod pages;
mod param;
mod probe;
mod session;
mod snapshot;
mod stream;
mod table;
mod tls;
mod types;

use std::{future::Future, sync::Arc, time::Duration};

use arrow::datatypes::SchemaRef;
use tokio_postgres::{Statement, error::SqlState, types::Type};

use self::{
    frame::Frame,
    options::Target,
    session::{Lease, Sessions},
    stream::Rows,
    types::Plan,
};
use crate::{PaceOptions, SourceError};

pub use self::{
    chunks::TableStream,
    error::{Fault, PostgresError},
    lag::Lag,
    options::{NumericForm, PostgresOptions, ReadOptions, TlsMode},
    param::Param,
    probe::{PostgresProbe, TableProbe},
    snapshot::Snapshot,
    stream::PostgresStream,
    table::{Condition, Predicate, RelationKind, TableInfo, TableName, TableRead, Test},
};
#[cfg(feature = "datafusion")]
pub(crate) use self::{
    columns::{ColumnType, ColumnTypes},
    table::quoted,
};

/// What a server may take longer to answer than the time limit of its queries.
const GRACE: Duration = Duration::from_secs(10);

/// A PostgreSQL server that is read. Copies share their connections.
#[derive(Clone)]
pub struct PostgresSource {
    sessions: Arc<Sessions>,
    options: Arc<PostgresOptions>,
    warning: Option<Arc<str>>,
    version: u32,
}

impl std::fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSource").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl PostgresSource {
    /// Connects, and asks for the version.
    ///
    /// # Errors
    ///
    /// [`SourceError::Config`] for an address or a file that cannot be used, [`SourceError::Postgres`] for what the
    /// server or the way to it does.
    pub async fn connect(options: PostgresOptions) -> Result<Self, SourceError> {
        let target = Target::new(&options)?;
        let sessions = Sessions::new(&target, &options)?;
        let mut lease = sessions.lease().await?;
        let version = lease.row("SHOW server_version_num").await?.into_iter().flatten().next();
        let version = version.and_then(|v| v.parse().ok()).unwrap_or(0);
        lease.release();
        Ok(Self {
            sessions: Arc::new(sessions),
            options: Arc::new(options),
            warning: target.warning().map(Into::into),
            version,
        })
    }

    /// The server without credentials, for example `postgres://db.example:5432/core`.
    pub fn server(&self) -> &str {
        &self.sessions.label
    }

    /// What is unsafe about the connection; the caller shows it.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The version as the server counts it, for example 150018 for 15.18.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Runs a query and gives its rows as they come.
    ///
    /// `sql` is one statement that gives rows; `$1`, `$2`, … stand for `params`, which are bound. Without a snapshot
    /// it sees what is committed when it starts.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`]; [`SourceError::Config`] where the number of parameters is another, a column name
    /// occurs twice, or there is no column.
    pub async fn query(
        &self,
        snapshot: Option<&Snapshot>,
        sql: &str,
        params: &[Param],
        options: &ReadOptions,
    ) -> Result<PostgresStream, SourceError> {
        let lease = self.lease(snapshot.map(Snapshot::id)).await?;
        open(lease, sql, params, snapshot.is_some(), options).await
    }

    /// Runs a query as [`Self::query`] does, in steps of a cursor, each as long as the pace asks.
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    pub async fn query_in_steps(
        &self,
        snapshot: Option<&Snapshot>,
        sql: &str,
        params: &[Param],
        pace: &PaceOptions,
        options: &ReadOptions,
    ) -> Result<TableStream, SourceError> {
        cursor::read(self, snapshot, sql, params, pace, options).await
    }

    /// Waits for an answer no longer than the server may take for it: a server that is silent would hold a run for ever.
    ///
    /// # Errors
    ///
    /// As the action; [`SourceError::Postgres`] with the fault `TimeLimit` where there is no answer.
    pub async fn answered<T>(
        &self,
        action: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let waits = self.options.max_lag.map_or(Duration::ZERO, |_| self.options.lag_wait);
        let limit = self.options.statement_timeout + GRACE + waits;
        tokio::time::timeout(limit, action).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", limit.as_secs());
            Err(PostgresError::new(self.server(), Fault::TimeLimit, what)
                .with_hint("is the server stuck, or the network? a retry may help")
                .into())
        })
    }

    /// The columns that [`Self::query`] would give, without running it.
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    pub async fn query_schema(
        &self,
        sql: &str,
        params: &[Param],
        options: &ReadOptions,
    ) -> Result<SchemaRef, SourceError> {
        let mut lease = self.lease(None).await?;
        let statement = prepare(&mut lease, trimmed(sql), params).await?;
        let plan = plan(&lease, &statement, options)?;
        drop(statement);
        lease.release();
        Ok(plan.schema)
    }

    /// A connection; with a snapshot, inside a transaction that sees it.
    async fn lease(&self, snapshot: Option<&str>) -> Result<Lease, SourceError> {
        let mut lease = self.sessions.lease().await?;
        if let Some(id) = snapshot {
            // The name came from the server and holds digits, letters and dashes.
            let begin =
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{id}'");
            let begun = lease.client()?.batch_execute(&begin).await;
            begun.map_err(|error| {
                if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE)
                    || error.code() == Some(&SqlState::UNDEFINED_OBJECT)
                {
                    return PostgresError::new(self.server(), Fault::Cut, "the snapshot is gone")
                        .with_hint("the connection that held it ended; a retry starts at a new instant")
                        .into();
                }
                lease.error(&error)
            })?;
        }
        Ok(lease)
    }
}

/// Starts a query on a connection.
async fn open(
    mut lease: Lease,
    sql: &str,
    params: &[Param],
    transaction: bool,
    options: &ReadOptions,
) -> Result<PostgresStream, SourceError> {
    let sql = trimmed(sql);
    let statement = prepare(&mut lease, sql, params).await?;
    let plan = plan(&lease, &statement, options)?;
    let cast = plan.with_casts(sql);
    let rows = if params.is_empty() {
        let copy = format!("COPY ({}\n) TO STDOUT (FORMAT binary)", cast.as_deref().unwrap_or(sql));
        let stream = lease.client()?.copy_out(&copy).await.map_err(|e| lease.error(&e))?;
        Rows::Copy(Box::pin(stream), Frame::default())
    } else {
        let statement = match &cast {
            Some(sql) => prepare(&mut lease, sql, params).await?,
            None => statement,
        };
        let stream = lease.client()?.query_raw(&statement, params).await.map_err(|e| lease.error(&e))?;
        Rows::Portal(Box::pin(stream))
    };
    Ok(PostgresStream::new(plan, rows, lease, transaction, options))
}

/// Without the semicolon at its end, so that it can stand in parentheses.
fn trimmed(sql: &str) -> &str {
    sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

async fn prepare(lease: &mut Lease, sql: &str, params: &[Param]) -> Result<Statement, SourceError> {
    let types: Vec<Type> = params.iter().map(Param::ty).collect();
    let mut prepared = lease.client()?.prepare_typed(sql, &types).await;
    if prepared.as_ref().is_err_and(|e| e.code() == Some(&SqlState::INDETERMINATE_DATATYPE)) {
        // Where the query leaves a type open (an argument of `concat`), a text is meant.
        let types: Vec<Type> =
            types.into_iter().map(|ty| if ty == Type::UNKNOWN { Type::TEXT } else { ty }).collect();
        prepared = lease.client()?.prepare_typed(sql, &types).await;
    }
    let statement = prepared.map_err(|e| lease.error(&e))?;
    if statement.params().len() != params.len() {
        return Err(SourceError::Config(format!(
            "the query has {} parameters and {} are given",
            statement.params().len(),
            params.len()
        )));
    }
    Ok(statement)
}

fn plan(lease: &Lease, statement: &Statement, options: &ReadOptions) -> Result<Plan, SourceError> {
    let plan = Plan::new(statement.columns(), options);
    if plan.columns.is_empty() {
        return Err(PostgresError::new(lease.label(), Fault::Query, "the statement gives no columns").into());
    }
    if let Some(name) = plan.twice() {
        return Err(PostgresError::new(
            lease.label(),
            Fault::Query,
            format!("two columns are named {name:?}"),
        )
        .with_hint("give each column of the result a name of its own (AS)")
        .into());
    }
    Ok(plan)
}
