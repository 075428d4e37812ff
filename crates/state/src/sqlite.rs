//! The store that needs no server: one SQLite file.
//!
//! One connection behind a mutex: statements are short, and SQLite has one writer anyway. Several processes share
//! the file through SQLite's write-ahead log and wait for each other.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dualrun_core::{ChangeId, Outcome, PipelineId, RunId, Stage, run::RunReport};
use jiff::Timestamp;

use crate::{
    error::StateError,
    records::{AuditRecord, CalculationRecord, NightRecord, ReviewRecord, RunFilter, RunRecord, StageEvent},
    store::{Lock, StateStore},
};

mod decisions;
mod handle;
mod lock;
mod open;
mod runs;
mod values;
mod work;

use handle::Handle;
use lock::Locks;

/// A state database in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    handle: Handle,
    locks: Locks,
    path: Option<PathBuf>,
}

impl SqliteStore {
    /// Opens the database at this path. Creates folder and file where they do not exist, and brings an older
    /// database to its newest form.
    ///
    /// # Errors
    /// A folder or file that cannot be written, a file that is no state database, one of a newer version.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let handle = open::file(path)?;
        Ok(Self { handle, locks: Locks::beside(path), path: Some(path.to_owned()) })
    }

    /// A database in memory, gone when it is dropped.
    ///
    /// # Errors
    /// None that a machine with memory gives.
    pub fn memory() -> Result<Self, StateError> {
        Ok(Self { handle: open::memory()?, locks: Locks::in_process(), path: None })
    }

    /// The file; none for a database in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StateError> {
        self.locks.try_lock(name)
    }

    async fn record_run(&self, run: &RunRecord) -> Result<RunId, StateError> {
        self.handle.write(|tx| runs::record(tx, run))
    }

    async fn record_assessment(
        &self,
        id: RunId,
        outcome: Outcome,
        report: &RunReport,
        at: Timestamp,
    ) -> Result<(), StateError> {
        self.handle.write(|tx| runs::assess(tx, id, outcome, report, at))
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, StateError> {
        self.handle.read(|db| runs::by_id(db, id))
    }

    async fn run_by_key(&self, key: &str) -> Result<Option<RunRecord>, StateError> {
        self.handle.read(|db| runs::by_key(db, key))
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StateError> {
        self.handle.read(|db| runs::list(db, filter))
    }

    async fn record_calculation(&self, calculation: &CalculationRecord) -> Result<(), StateError> {
        self.handle.write(|tx| work::record_calculation(tx, calculation))
    }

    async fn calculation(&self, key: &str) -> Result<Option<CalculationRecord>, StateError> {
        self.handle.read(|db| work::calculation(db, key))
    }

    async fn forget_calculation(&self, key: &str) -> Result<(), StateError> {
        self.handle.write(|tx| work::forget_calculation(tx, key))
    }

    async fn record_night(&self, night: &NightRecord) -> Result<(), StateError> {
        self.handle.write(|tx| work::record_night(tx, night))
    }

    async fn night(&self, key: &str) -> Result<Option<NightRecord>, StateError> {
        self.handle.read(|db| work::night(db, key))
    }

    async fn nights(&self, environment: &str, limit: u32) -> Result<Vec<NightRecord>, StateError> {
        self.handle.read(|db| work::nights(db, environment, limit))
    }

    async fn record_review(&self, review: &ReviewRecord) -> Result<(), StateError> {
        self.handle.write_durably(|tx| decisions::record_review(tx, review))
    }

    async fn reviews(&self, change: Option<&ChangeId>) -> Result<Vec<ReviewRecord>, StateError> {
        self.handle.read(|db| decisions::reviews(db, change))
    }

    async fn record_stage(&self, event: &StageEvent) -> Result<(), StateError> {
        self.handle.write_durably(|tx| decisions::record_stage(tx, event))
    }

    async fn stage(&self, environment: &str, pipeline: &PipelineId) -> Result<Option<Stage>, StateError> {
        self.handle.read(|db| decisions::stage(db, environment, pipeline))
    }

    async fn stage_events(
        &self,
        environment: &str,
        pipeline: Option<&PipelineId>,
    ) -> Result<Vec<StageEvent>, StateError> {
        self.handle.read(|db| decisions::stage_events(db, environment, pipeline))
    }

    async fn audit(&self) -> Result<Vec<AuditRecord>, StateError> {
        self.handle.read(decisions::audit)
    }

    async fn verify_audit(&self) -> Result<u64, StateError> {
        self.handle.read(decisions::verify_audit)
    }
}

#[cfg(test)]
mod tests;
