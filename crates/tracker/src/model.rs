//! What the tracker answers with: plain data that pages, reports and JSON are rendered from.
//!
//! Dates are days of the calendar (`YYYY-MM-DD`), shares run from 0 to 1, sentences are plain English that starts
//! with a small letter and ends without a full stop, so that they can stand after a colon.

use std::fmt;

use dualrun_core::{Period, PeriodUnit, PipelineId, RunId, Stage, review::ReviewStatus};
use dualrun_state::records::ReviewRecord;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub mod readiness;
pub mod status;

pub use readiness::{
    AssetNeed, AssetReadiness, AssetVerdict, Readiness, ReadinessCounts, ServerReadiness, Step, StepAnswer,
    StepVerdict,
};
pub use status::{
    ChangeEffect, ChangeStatus, OpenFinding, PhaseStatus, PhaseTiming, PipelineStatus, StageCount, Status,
    Totals,
};

/// What one night says about one pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NightAnswer {
    /// Every period looked at agrees and its checks pass. Counts.
    Clean,
    /// Some period differs, or a data check failed. Breaks the streak.
    Broken,
    /// Waits for review, not comparable, or failed. Neither counts nor breaks.
    Neutral,
    /// No run although the pipeline was due. Neither counts nor breaks.
    Missing,
}

impl NightAnswer {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Broken => "broken",
            Self::Neutral => "neutral",
            Self::Missing => "missing",
        }
    }

    /// Whether the night says yes or no.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Clean | Self::Broken)
    }
}

impl fmt::Display for NightAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One night of a pipeline, for a strip chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightMark {
    /// The date as of which the night ran.
    pub date: Date,
    /// What it says.
    pub answer: NightAnswer,
    /// Why, for example `2025-03-04 differs`.
    pub reason: String,
}

/// Clean nights in a row, or closed months of a monthly pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// Clean nights in a row, or agreeing closed months in a row where `unit` is month.
    pub nights: u32,
    /// How many the policy asks for.
    pub required: u32,
    /// What is counted: nights (`day`) or closed months (`month`).
    pub unit: PeriodUnit,
    /// The first night that counts; none where no night counts.
    pub since: Option<Date>,
    /// The latest night that was broken, whether or not clean nights followed.
    pub broken_on: Option<Date>,
    /// Since when mapping and calculations are as they are, where they ever changed.
    pub changed: Option<HashChange>,
    /// Why nobody can say how long the streak is; none where it can be said.
    pub unknown: Option<String>,
    /// Whether the last day of a month is among the periods that were covered.
    pub month_end: bool,
    /// The latest night with a run.
    pub last_night: Option<Date>,
    /// The runs of the nights that count, oldest night first.
    pub runs: Vec<RunId>,
}

/// A change of the mapping or of a calculation: the streak starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashChange {
    /// The first night with the present files; none where no night ran with them yet.
    pub on: Option<Date>,
    /// What changed: `mapping`, `legacy calculation`, `new calculation`.
    pub what: Vec<String>,
}

/// The conditions of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// Enough clean nights in a row, a month end among them.
    Streak,
    /// Every customer was compared in the runs of the streak.
    Coverage,
    /// Every methodology change in force is approved and does what it promises.
    Changes,
    /// Nothing unexplained is left beyond what the policy allows.
    Differences,
    /// The data checks of the mapping pass.
    Checks,
}

impl GateName {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streak => "streak",
            Self::Coverage => "coverage",
            Self::Changes => "changes",
            Self::Differences => "differences",
            Self::Checks => "checks",
        }
    }

    /// A title for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Streak => "clean nights in a row",
            Self::Coverage => "every customer compared",
            Self::Changes => "changes approved",
            Self::Differences => "no open differences",
            Self::Checks => "data checks pass",
        }
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer of a gate. Unknown is never pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAnswer {
    /// The evidence is there and good.
    Pass,
    /// The evidence is there and not good.
    Fail,
    /// The evidence is missing.
    Unknown,
}

impl GateAnswer {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for GateAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A condition over evidence, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Which condition.
    pub name: GateName,
    /// Pass, fail or unknown.
    pub answer: GateAnswer,
    /// One sentence, for example `6 of 10 clean nights since 2025-03-05`.
    pub reason: String,
    /// The runs that it stands on.
    pub evidence: Vec<RunId>,
}

/// A change of stage that the evidence asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its stage now.
    pub from: Stage,
    /// Its next stage.
    pub to: Stage,
    /// One sentence.
    pub reason: String,
    /// The runs that it stands on.
    pub evidence: Vec<RunId>,
}

/// Where a methodology change stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewState {
    /// Proposed, approved or rejected.
    pub status: ReviewStatus,
    /// Why it is not approved; none where it is.
    pub reason_not: Option<String>,
    /// The latest decision, whether or not it still holds.
    pub last: Option<ReviewRecord>,
}

impl ReviewState {
    /// Whether the approval holds.
    pub fn is_approved(&self) -> bool {
        self.status == ReviewStatus::Approved
    }
}

/// A run by its period, for links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLink {
    /// The run.
    pub run: RunId,
    /// Its period.
    pub period: Period,
    /// Its night.
    pub as_of: Date,
}
