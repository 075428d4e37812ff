//! What the state database remembers. Plain records: every policy over them lives in `tracker`.

use std::collections::BTreeMap;

use dualrun_core::{
    ChangeId, ExitCode, Outcome, Period, PipelineId, RunId, Stage, fingerprint::Fingerprint, input::Side,
    review::ReviewStatus, run::RunReport,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// One run as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id.
    pub id: RunId,
    /// What makes it idempotent.
    pub key: String,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The period.
    pub period: Period,
    /// The night: the date as of which the run was made.
    pub as_of: Date,
    /// The environment.
    pub environment: String,
    /// The outcome of its latest assessment.
    pub outcome: Outcome,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Hashes of mapping, legacy and new calculation: the streak counts since they last changed.
    pub hashes: Hashes,
    /// Whether all data checks passed.
    pub checks_passed: bool,
    /// Whether every legacy customer of the period was compared.
    pub customers: CustomerCoverage,
    /// The folder of its evidence in the object store.
    pub evidence: String,
    /// The report of its latest assessment.
    pub report: RunReport,
}

/// Hashes that tell whether a streak goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hashes {
    /// Of the mapping with its tolerances.
    pub mapping: String,
    /// Of the legacy calculation.
    pub legacy: String,
    /// Of the new calculation.
    pub new: String,
}

/// How many customers were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CustomerCoverage {
    /// Customers with a row on either side or in an activity input.
    pub total: u64,
    /// Customers whose inputs were comparable.
    pub compared: u64,
}

/// A calculation whose result stands in the object store and can be used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculationRecord {
    /// Hash of models, parameters and input fingerprints.
    pub key: String,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The side whose calculation it is.
    pub side: Side,
    /// The Parquet file.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of the file (hex).
    pub hash: String,
}

/// One night of the nightly job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightRecord {
    /// Environment, period argument, as_of and the chosen pipelines: the same night again.
    pub key: String,
    /// The date as of which it ran.
    pub as_of: Date,
    /// The environment.
    pub environment: String,
    /// The exit code that was given; `None` while it is under way or after a crash.
    pub code: Option<ExitCode>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The result document of the night (JSON text), once finished.
    pub result: Option<String>,
}

/// A decision about a methodology change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// The change.
    pub change: ChangeId,
    /// What was decided.
    pub status: ReviewStatus,
    /// Hash of the change file that was reviewed.
    pub change_hash: String,
    /// Who decided.
    pub reviewer: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The effects that were seen: pipeline → column → Σφ as text.
    pub seen: BTreeMap<String, BTreeMap<String, String>>,
    /// When the approval ends.
    pub expires: Option<Date>,
}

/// A change of stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageEvent {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The environment.
    pub environment: String,
    /// Before.
    pub from: Stage,
    /// After.
    pub to: Stage,
    /// The night on whose evidence it happened.
    pub as_of: Date,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who: `gate` or a person.
    pub actor: String,
    /// A sentence.
    pub reason: String,
    /// The runs that it stands on.
    pub evidence: Vec<RunId>,
}

/// One line of the audit log: append-only, each line holds the hash of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// 1, 2, 3, …
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What: `review.approved`, `stage.promoted`, …
    pub action: String,
    /// On what.
    pub subject: String,
    /// JSON text of the details.
    pub details: String,
    /// SHA-256 (hex) of the line before; of the empty text for the first.
    pub previous: String,
    /// SHA-256 (hex) over this line with `previous`.
    pub hash: String,
}

/// Input fingerprints of a side, per customer, kept so that a night can be recognised as unchanged.
pub type CustomerFingerprints = BTreeMap<Option<String>, Fingerprint>;

/// Which runs to list. Everything that is `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Of this environment.
    pub environment: Option<String>,
    /// Of this night.
    pub as_of: Option<Date>,
    /// Of this period.
    pub period: Option<Period>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}
