//! How far a standby is behind its primary, and waiting until it has caught up.
//!
//! Who reads a standby that is behind reads an older state than expected, and keeps it from catching up: a change that
//! removes rows which a snapshot still sees waits for the snapshot. Before a snapshot is taken, and between the chunks of
//! a reading, it is looked at how far the standby is behind; the connection that holds the snapshot asks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    PostgresSource,
    error::{Fault, PostgresError},
    session::Lease,
};
use crate::{Say, SourceError};

/// How far a standby is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// How old the last change is that it has applied; zero where it has applied all that it received.
    pub behind: Duration,
    /// Bytes that it has received and not yet applied; none where it is fed from an archive.
    pub bytes: Option<u64>,
    /// Whether it is connected to its primary.
    pub streaming: bool,
}

/// How often a standby is asked.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// The age of the last change that was applied, where something waits to be applied. Without a connection to the primary
/// nobody knows whether something does, so the age counts then too. Who has applied nothing since it started is behind
/// since then.
const QUERY: &str = "SELECT pg_catalog.pg_is_in_recovery(), w.streaming, \
     greatest(0, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()))::int8, \
     CASE WHEN w.streaming AND pg_catalog.pg_last_wal_receive_lsn() <= pg_catalog.pg_last_wal_replay_lsn() THEN 0 \
     ELSE greatest(0, extract(epoch FROM clock_timestamp() - coalesce(pg_catalog.pg_last_xact_replay_timestamp(), \
       pg_catalog.pg_postmaster_start_time())) * 1000)::int8 END \
     FROM (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_wal_receiver) AS streaming) w";

/// Asks over a connection. None on a primary.
pub(super) async fn ask(lease: &mut Lease) -> Result<Option<Lag>, SourceError> {
    let row = lease.row(QUERY).await?;
    let text = |n: usize| row.get(n).cloned().flatten();
    if text(0).as_deref() != Some("t") {
        return Ok(None);
    }
    let number = |n: usize| text(n).and_then(|value| value.parse::<u64>().ok());
    Ok(Some(Lag {
        behind: Duration::from_millis(number(3).unwrap_or(0)),
        bytes: number(2),
        streaming: text(1).as_deref() == Some("t"),
    }))
}

impl PostgresSource {
    /// How far the server is behind its primary; none where it is one, or does not tell.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`] where it does not answer.
    pub async fn lag(&self) -> Result<Option<Lag>, SourceError> {
        let mut lease = self.sessions.lease().await?;
        match ask(&mut lease).await {
            Ok(lag) => {
                lease.release();
                Ok(lag)
            }
            // Some services have a replication of their own, and not these functions.
            Err(SourceError::Postgres(error))
                if matches!(error.fault, Fault::Query | Fault::Unknown | Fault::Forbidden) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the server has caught up with its primary, as its options say.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`]: its fault is `Lagging` where that takes too long.
    pub async fn caught_up(&self) -> Result<(), SourceError> {
        let Some(lag) = self.lag().await? else { return Ok(()) };
        let (told, gate) = self.gate(Some(lag));
        let asking = async {
            loop {
                tokio::time::sleep(EVERY).await;
                match self.lag().await {
                    Ok(lag) => _ = told.send(lag),
                    Err(error) => return error,
                }
            }
        };
        tokio::select! {
            passed = gate.pass() => passed,
            error = asking => Err(error),
        }
    }

    /// A gate, and the way to tell it how far the server is behind.
    pub(super) fn gate(&self, lag: Option<Lag>) -> (watch::Sender<Option<Lag>>, Gate) {
        let (told, lag) = watch::channel(lag);
        let gate = Gate {
            lag,
            allowed: self.options.max_lag,
            patience: self.options.lag_wait,
            server: Arc::clone(&self.sessions.label),
            say: self.options.say.clone(),
            said: Arc::default(),
        };
        (told, gate)
    }
}

/// Where a reading waits while the server is too far behind.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    lag: watch::Receiver<Option<Lag>>,
    allowed: Option<Duration>,
    patience: Duration,
    server: Arc<str>,
    say: Say,
    /// Whether one of those who wait has said so.
    said: Arc<AtomicBool>,
}

impl Gate {
    /// Whether it may have to wait: on a standby.
    pub(super) fn is_watched(&self) -> bool {
        self.allowed.is_some() && self.lag.borrow().is_some()
    }

    /// How long a transaction may have to wait here.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.is_watched().then_some(self.patience)
    }

    /// Goes on at once, or when the server has caught up.
    pub(super) async fn pass(&self) -> Result<(), SourceError> {
        let Some(allowed) = self.allowed else { return Ok(()) };
        let mut lag = self.lag.clone();
        let started = Instant::now();
        let mut waited = false;
        loop {
            let behind = lag.borrow_and_update().map_or(Duration::ZERO, |lag| lag.behind);
            if behind <= allowed {
                if waited && self.said.swap(false, SeqCst) {
                    self.say.say(&format!(
                        "{}: the replica has caught up after {} s: reading goes on",
                        self.server,
                        started.elapsed().as_secs()
                    ));
                }
                return Ok(());
            }
            let left = self.patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                self.said.store(false, SeqCst);
                return Err(self.lagging(behind, allowed));
            }
            if !self.said.swap(true, SeqCst) {
                self.say.say(&format!(
                    "{}: the replica is {} s behind its primary, {} s are allowed: reading pauses, at most {} s",
                    self.server,
                    behind.as_secs(),
                    allowed.as_secs(),
                    self.patience.as_secs()
                ));
            }
            waited = true;
            if let Ok(Err(_)) = tokio::time::timeout(left, lag.changed()).await {
                // Nobody asks any more: the connection that did is gone, as the next query will find.
                return Ok(());
            }
        }
    }

    fn lagging(&self, behind: Duration, allowed: Duration) -> SourceError {
        let what = format!(
            "the replica is {} s behind its primary, {} s are allowed, and {} s were waited",
            behind.as_secs(),
            allowed.as_secs(),
            self.patience.as_secs()
        );
        PostgresError::new(&self.server, Fault::Lagging, what).into()
    }
}
