//! The narrow seam between dualrun and its state database.

use async_trait::async_trait;
use dualrun_core::{ChangeId, Outcome, PipelineId, RunId, Stage};
use jiff::Timestamp;

use crate::{
    error::StateError,
    records::{AuditRecord, CalculationRecord, NightRecord, ReviewRecord, RunFilter, RunRecord, StageEvent},
};

/// Held while one process works on something; released when dropped, and by the operating system or the
/// server when the process dies.
pub trait Lock: Send + Sync {}

/// A state database. Every method is one transaction: it happens as a whole or not at all.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Takes the lock of this name, or says `None` where another process holds it.
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StateError>;

    /// Records a run. A final run of the same key stays and its id is given back, so that recording twice gives one
    /// run. Attempts that are not final, of the same key or of the same pipeline, environment, night and period, are
    /// superseded.
    async fn record_run(&self, run: &RunRecord) -> Result<RunId, StateError>;

    /// Replaces outcome and report of a run by a new assessment of the same figures, and keeps the old one.
    async fn record_assessment(
        &self,
        id: RunId,
        outcome: Outcome,
        report: &dualrun_core::run::RunReport,
        at: Timestamp,
    ) -> Result<(), StateError>;

    /// The run of this id.
    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, StateError>;

    /// The run of this key.
    async fn run_by_key(&self, key: &str) -> Result<Option<RunRecord>, StateError>;

    /// Runs, newest night first, then by pipeline and period.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StateError>;

    /// Remembers a calculation. The same key again replaces it.
    async fn record_calculation(&self, calculation: &CalculationRecord) -> Result<(), StateError>;

    /// The calculation of this key.
    async fn calculation(&self, key: &str) -> Result<Option<CalculationRecord>, StateError>;

    /// Forgets a calculation whose file is gone.
    async fn forget_calculation(&self, key: &str) -> Result<(), StateError>;

    /// Records the start or the end of a night; the same key again replaces it.
    async fn record_night(&self, night: &NightRecord) -> Result<(), StateError>;

    /// The night of this key.
    async fn night(&self, key: &str) -> Result<Option<NightRecord>, StateError>;

    /// Nights of an environment, newest first.
    async fn nights(&self, environment: &str, limit: u32) -> Result<Vec<NightRecord>, StateError>;

    /// Adds a review and its audit line.
    async fn record_review(&self, review: &ReviewRecord) -> Result<(), StateError>;

    /// Reviews of one change, or of all, oldest first.
    async fn reviews(&self, change: Option<&ChangeId>) -> Result<Vec<ReviewRecord>, StateError>;

    /// Adds a change of stage and its audit line, and moves the pipeline to its new stage.
    async fn record_stage(&self, event: &StageEvent) -> Result<(), StateError>;

    /// The stage of a pipeline, or `None` where it never moved.
    async fn stage(&self, environment: &str, pipeline: &PipelineId) -> Result<Option<Stage>, StateError>;

    /// Changes of stage of one pipeline or of all, oldest first.
    async fn stage_events(
        &self,
        environment: &str,
        pipeline: Option<&PipelineId>,
    ) -> Result<Vec<StageEvent>, StateError>;

    /// The audit log, oldest first.
    async fn audit(&self) -> Result<Vec<AuditRecord>, StateError>;

    /// Checks the chain of the audit log.
    ///
    /// # Errors
    /// [`StateError`] of kind tampered, with the sequence of the first line that does not fit.
    async fn verify_audit(&self) -> Result<u64, StateError>;
}
