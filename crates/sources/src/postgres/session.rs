//! Connections: at most so many, each set up the same way, closed rather than reused after anything unusual.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::runtime::Handle;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{Fault, PostgresError},
    fault,
    options::{PostgresOptions, Target},
    tls,
};
use crate::{SourceError, open::Open};

/// How soon a server notices that nobody is there any more.
const KEEPALIVES: &str =
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// The connections of a source.
pub(super) struct Sessions {
    pool: Pool,
    tls: MakeRustlsConnect,
    pub(super) label: Arc<str>,
}

impl Sessions {
    pub(super) fn new(target: &Target, options: &PostgresOptions) -> Result<Self, SourceError> {
        let tls = tls::connector(target)?;
        let manager = Manager::from_config(
            target.config.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let setup: Arc<str> = setup(options, target.own_time_zone).into();
        let pool = Pool::builder(manager)
            .max_size(options.max_connections.max(1))
            .runtime(Runtime::Tokio1)
            // A connection is given back within the time limit of the query that holds it.
            .wait_timeout(Some(options.statement_timeout + Duration::from_secs(5)))
            .create_timeout(Some(options.connect_timeout + Duration::from_secs(5)))
            .post_create(Hook::async_fn(move |client, _| {
                let setup = Arc::clone(&setup);
                Box::pin(async move {
                    client.batch_execute(&setup).await.map_err(HookError::Backend)?;
                    // Since PostgreSQL 14, on Linux: a long query ends soon after its reader is gone. Not
                    // every server has it, and none needs it.
                    let _ = client.batch_execute("SET client_connection_check_interval = '5s'").await;
                    // The same where the network is gone and says nothing: within a minute rather than two hours.
                    let _ = client.batch_execute(KEEPALIVES).await;
                    Ok(())
                })
            }))
            .build()
            .map_err(|e| SourceError::Config(e.to_string()))?;
        Ok(Self { pool, tls, label: target.label.as_str().into() })
    }

    /// A connection, once one is free.
    pub(super) async fn lease(&self) -> Result<Lease, SourceError> {
        let client = self.pool.get().await.map_err(|e| fault::pool(&self.label, e))?;
        Ok(Lease {
            client: Some(client),
            busy: false,
            tls: self.tls.clone(),
            label: Arc::clone(&self.label),
            open: Some(Open::new()),
        })
    }
}

/// What every session is told first. Nothing that a mapping says can write, and where a policy would hide rows the server
/// refuses rather than leaving them out.
fn setup(options: &PostgresOptions, own_time_zone: bool) -> String {
    let millis = |duration: Duration| duration.as_millis().clamp(1, i32::MAX as u128);
    let mut sql = format!(
        "SET default_transaction_read_only = on; SET row_security = off; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; \
         SET extra_float_digits = 3; SET bytea_output = 'hex'",
        millis(options.statement_timeout),
        millis(options.lock_timeout),
        millis(options.idle_timeout)
    );
    if !own_time_zone {
        sql.push_str(&format!("; SET TimeZone = '{}'", options.time_zone.replace('\'', "''")));
    }
    sql
}

/// A connection of its own. Dropped while a query or a transaction is open, it cancels the query on the server and
/// closes.
pub(super) struct Lease {
    client: Option<Object>,
    /// Whether a query or a transaction is open.
    busy: bool,
    tls: MakeRustlsConnect,
    label: Arc<str>,
    /// Counted until the server has been told that nobody waits any more.
    open: Option<Open>,
}

impl Lease {
    /// Marks that something is open from now on, and gives the connection.
    pub(super) fn client(&mut self) -> Result<&Client, SourceError> {
        self.busy = true;
        match &self.client {
            Some(client) => Ok(client),
            None => Err(PostgresError::new(&self.label, Fault::Cut, "the connection was given back").into()),
        }
    }

    pub(super) fn error(&self, error: &tokio_postgres::Error) -> SourceError {
        fault::driver(&self.label, error).into()
    }

    pub(super) fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Runs statements that give no rows.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), SourceError> {
        let done = self.client()?.batch_execute(sql).await;
        done.map_err(|e| self.error(&e))
    }

    /// The text of the first row of a query.
    pub(super) async fn row(&mut self, sql: &str) -> Result<Vec<Option<String>>, SourceError> {
        let answer = self.client()?.simple_query(sql).await.map_err(|e| self.error(&e))?;
        let row = answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        row.ok_or_else(|| {
            PostgresError::new(&self.label, Fault::Protocol, "the server gave no answer").into()
        })
    }

    /// Nothing is open any more: the connection can be used again.
    pub(super) fn release(mut self) {
        self.busy = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !self.busy {
            return;
        }
        let token = client.cancel_token();
        let (tls, open) = (self.tls.clone(), self.open.take());
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    // Whether it arrives is not known; closing ends what it can.
                    let _ = tokio::time::timeout(Duration::from_secs(5), token.cancel_query(tls)).await;
                    drop(Object::take(client));
                    drop(open);
                });
            }
            Err(_) => drop(Object::take(client)),
        }
    }
}
