//! One instant of the database, shared by any number of connections.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::PostgresSource;
use super::{
    error::{Fault, PostgresError},
    lag::{self, Gate},
};
use crate::SourceError;

/// An exported snapshot: every read that is given it sees the same committed rows, whatever is written meanwhile.
///
/// It lives as long as the connection that exported it, which a sign of life now and then keeps from being taken for
/// dead. Dropped, that connection closes and the server is free to clean up.
#[derive(Debug)]
pub struct Snapshot {
    id: String,
    taken_at: Timestamp,
    ahead: i64,
    holder: JoinHandle<()>,
    gate: Gate,
}

impl PostgresSource {
    /// Fixes the present instant (`REPEATABLE READ READ ONLY`, `pg_export_snapshot`). Takes one connection.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`], and [`SourceError::Config`] where only one connection is allowed, which would leave
    /// none to read with.
    pub async fn snapshot(&self) -> Result<Snapshot, SourceError> {
        if self.options.max_connections < 2 {
            return Err(SourceError::Config(
                "max_connections = 1: a snapshot needs a second connection that holds it".to_owned(),
            ));
        }
        // A standby that is behind would give an old state, and could not catch up while it is held.
        let lag = self.lag().await?;
        if lag.is_some() {
            self.caught_up().await?;
        }
        let mut lease = self.sessions.lease().await?;
        // A sign of life that a busy server answers late must not end the snapshot.
        lease.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0").await?;
        let row = lease
            .row(
                "SELECT pg_catalog.pg_export_snapshot(), \
                 to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
            )
            .await?;
        let (id, taken_at) = match row.as_slice() {
            [Some(id), Some(at)] if id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                (id.clone(), at.parse::<Timestamp>().ok())
            }
            _ => (String::new(), None),
        };
        let Some(taken_at) = taken_at else {
            return Err(PostgresError::new(self.server(), Fault::Protocol, "no snapshot was given").into());
        };
        let ahead = taken_at.as_millisecond() - Timestamp::now().as_millisecond();
        let (told, gate) = self.gate(lag);
        let mut pause =
            (self.options.idle_timeout / 3).clamp(Duration::from_millis(100), Duration::from_secs(60));
        if gate.is_watched() {
            pause = pause.min(lag::EVERY);
        }
        let watched = gate.is_watched();
        let holder = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let alive = if watched {
                    lag::ask(&mut lease).await.map(|lag| _ = told.send(lag))
                } else {
                    lease.run("SELECT 1").await
                };
                if alive.is_err() {
                    return;
                }
            }
        });
        Ok(Snapshot { id, taken_at, ahead, holder, gate })
    }
}

impl Snapshot {
    /// Its name at the server.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The server's clock when it was taken.
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Milliseconds by which the server's clock was ahead of the one here then; negative where it was behind.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    /// Where readings wait while a standby is behind.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whether its connection was alive at the last sign of life.
    pub fn is_held(&self) -> bool {
        !self.holder.is_finished()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // The task owns the connection, which closes with it.
        self.holder.abort();
    }
}
