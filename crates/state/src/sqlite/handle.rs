//! The connection, its transactions, and what SQLite's errors mean.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::error::StateError;

/// A failure inside of a transaction.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite's own.
    Sqlite(rusqlite::Error),
    /// Ours.
    State(StateError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// One connection to one database.
#[derive(Debug)]
pub(super) struct Handle {
    connection: Mutex<Connection>,
    /// The file, for messages.
    place: String,
}

impl Handle {
    pub(super) fn new(connection: Connection, place: String) -> Self {
        Self { connection: Mutex::new(connection), place }
    }

    /// One read in one transaction, so that several statements see the same state.
    pub(super) fn read<T>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StateError> {
        let mut connection = self.connection();
        let result = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(Fault::from)
            .and_then(|tx| body(&tx));
        result.map_err(|fault| self.explain(fault))
    }

    /// One write in one transaction. It takes the write lock at once: a transaction that reads first and then
    /// writes would be refused where another process wrote in between.
    pub(super) fn write<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StateError> {
        transact(&mut self.connection(), body).map_err(|fault| self.explain(fault))
    }

    /// As [`Handle::write`], and on the disk when it returns: nobody decides the same thing again after a loss of
    /// power, while a run is made again by the same command.
    pub(super) fn write_durably<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StateError> {
        let mut connection = self.connection();
        let result = connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(Fault::from)
            .and_then(|()| transact(&mut connection, body));
        let restored = connection.pragma_update(None, "synchronous", "NORMAL").map_err(Fault::from);
        result.and_then(|value| restored.map(|()| value)).map_err(|fault| self.explain(fault))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere rolled its transaction back; the connection is as good as before.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn explain(&self, fault: Fault) -> StateError {
        match fault {
            Fault::State(error) => error,
            Fault::Sqlite(error) => explain(error, &self.place),
        }
    }
}

/// What an error of SQLite means for the database at `place`.
pub(super) fn explain(error: rusqlite::Error, place: &str) -> StateError {
    let place = place.to_owned();
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StateError::Busy { source: error.into() },
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DiskFull => StateError::NotWritable { place, source: error.into() },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                StateError::Damaged { place, source: error.into() }
            }
            _ => StateError::Unavailable { place, source: error.into() },
        },
        // A column that holds another type than the schema gives it.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => StateError::Damaged { place, source: error.into() },
        _ => StateError::Unavailable { place, source: error.into() },
    }
}

fn transact<T>(
    connection: &mut Connection,
    body: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = body(&tx)?;
    tx.commit()?;
    Ok(value)
}
