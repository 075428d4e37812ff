//! The result of a night: schema `dualrun.night/1`.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    ExitCode, Outcome, Period, PipelineId, Stage,
    load::LoadReport,
    run::{Failure, Finding},
};

/// The name and version of the schema.
pub const SCHEMA: &str = "dualrun.night/1";

/// Everything that is said of one night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The day whose results were looked at.
    pub period: String,
    /// The night.
    pub as_of: Date,
    /// The environment.
    pub environment: String,
    /// The code of the whole night.
    pub exit_code: ExitCode,
    /// Whether the answer was recorded before, and nothing was run.
    pub repeated: bool,
    /// One entry a run, by pipeline and period.
    pub runs: Vec<NightRun>,
    /// How many of the runs carried over the verdicts of an earlier night, because nothing changed since.
    #[serde(default)]
    pub unchanged: u64,
    /// Changes of stage that this night brought.
    pub stages: Vec<StageChange>,
    /// Why the night could not be carried out, where it could not.
    #[serde(default)]
    pub failure: Option<Failure>,
}

impl NightReport {
    /// A night without runs.
    pub fn empty(day: Date, as_of: Date, environment: &str, exit_code: ExitCode) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            period: day.to_string(),
            as_of,
            environment: environment.to_owned(),
            exit_code,
            repeated: false,
            runs: Vec::new(),
            unchanged: 0,
            stages: Vec::new(),
            failure: None,
        }
    }
}

/// One run of a night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightRun {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its period.
    pub period: Period,
    /// The run, where there is one.
    pub run_id: Option<String>,
    /// Its outcome; null where there was nothing to do.
    pub outcome: Option<Outcome>,
    /// Its own code.
    pub exit_code: ExitCode,
    /// Whether its code counts for the night. A pipeline that is being built is reported only.
    pub enforced: bool,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// Customers that are not comparable.
    pub customers_not_comparable: u64,
    /// Names of the data checks that did not pass.
    pub failed_checks: Vec<String>,
    /// Findings, the largest first.
    pub findings: Vec<Finding>,
    /// What was noticed beside.
    pub notes: Vec<String>,
    /// Whether nothing changed since an earlier night, whose verdicts stand.
    #[serde(default)]
    pub unchanged: bool,
    /// The load that the run began with, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadReport>,
}

/// A pipeline that moved to another stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageChange {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Before.
    pub from: Stage,
    /// After.
    pub to: Stage,
    /// A sentence.
    pub reason: String,
}
