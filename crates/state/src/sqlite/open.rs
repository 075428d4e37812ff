//! Opening a database and bringing it to its newest form.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    handle::{Handle, explain},
    lock::lock_file,
};
use crate::error::StateError;

mod migrations {
    refinery::embed_migrations!("../../migrations/sqlite");
}

/// How long one process waits for another one's transaction. Transactions take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database in this file.
pub(super) fn file(path: &Path) -> Result<Handle, StateError> {
    let place = path.display().to_string();
    let not_writable =
        |source: io::Error| StateError::NotWritable { place: place.clone(), source: source.into() };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(not_writable)?;
    }
    // Two processes that meet a new file at the same time must not both create its tables.
    let guard = migration_guard(path).map_err(not_writable)?;
    let connection = Connection::open(path).map_err(|e| explain(e, &place))?;
    let handle = prepare(connection, &place)?;
    drop(guard);
    Ok(handle)
}

/// A database in memory.
pub(super) fn memory() -> Result<Handle, StateError> {
    let place = "in memory";
    let connection = Connection::open_in_memory().map_err(|e| explain(e, place))?;
    prepare(connection, place)
}

fn migration_guard(path: &Path) -> io::Result<File> {
    let file = lock_file(path, "migrate")?;
    file.lock()?;
    Ok(file)
}

fn prepare(mut connection: Connection, place: &str) -> Result<Handle, StateError> {
    configure(&mut connection).map_err(|e| explain(e, place))?;
    migrate(&mut connection, place)?;
    Ok(Handle::new(connection, place.to_owned()))
}

fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // Answers with the mode that it took; a database in memory stays in memory.
    connection.query_row("pragma journal_mode = wal", [], |row| row.get::<_, String>(0))?;
    // With the write-ahead log a loss of power may take the last commits, never the consistency.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A file that can be read but not written is found now rather than at the end of a night.
    connection.transaction_with_behavior(TransactionBehavior::Immediate)?.commit()
}

fn migrate(connection: &mut Connection, place: &str) -> Result<(), StateError> {
    check_history(connection, place)?;
    migrations::migrations::runner()
        .run(connection)
        .map_err(|error| StateError::Migration { place: place.to_owned(), source: error.into() })?;
    Ok(())
}

/// The migration library panics on a history that it did not write itself, so this looks first.
fn check_history(connection: &Connection, place: &str) -> Result<(), StateError> {
    let exists = "select count(*) from sqlite_schema where name = 'refinery_schema_history'";
    let count: i64 = connection.query_row(exists, [], |row| row.get(0)).map_err(|e| explain(e, place))?;
    if count == 0 {
        return Ok(());
    }
    let rows = connection
        .prepare("select applied_on, checksum from refinery_schema_history")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(|e| explain(e, place))?;
    let sound = |(applied_on, checksum): &(String, String)| {
        applied_on.parse::<Timestamp>().is_ok() && checksum.parse::<u64>().is_ok()
    };
    if rows.iter().all(sound) {
        Ok(())
    } else {
        Err(StateError::Damaged {
            place: place.to_owned(),
            source: "its history of migrations is unreadable".into(),
        })
    }
}
