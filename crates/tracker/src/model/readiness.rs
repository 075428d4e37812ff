//! Whether the legacy databases can be switched off.

use std::fmt;

use dualrun_core::{PipelineId, Stage, asset::Disposition};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Gate;

/// For each legacy asset, who still needs it and what may be done with it: schema `dualrun.readiness/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// Always `dualrun.readiness/1`.
    pub schema: String,
    /// The project's title.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The day as of which it is told.
    pub as_of: Date,
    /// Whether the legacy databases can be switched off: never while an asset is needed or blocked, or while the
    /// servers were not asked.
    pub ready: bool,
    /// The verdict in one sentence.
    pub verdict: String,
    /// Whether the servers were asked what stands in them and who reads it.
    pub servers_asked: bool,
    /// What that means, in one sentence.
    pub servers_note: String,
    /// Assets by verdict.
    pub counts: ReadinessCounts,
    /// Each legacy database, by name.
    pub servers: Vec<ServerReadiness>,
    /// Every asset that is declared or that a pipeline names, by id.
    pub assets: Vec<AssetReadiness>,
    /// Why the databases cannot be switched off, in sentences.
    pub reasons: Vec<String>,
}

/// Assets by verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadinessCounts {
    /// [`AssetVerdict::Needed`].
    pub needed: u32,
    /// [`AssetVerdict::Blocked`].
    pub blocked: u32,
    /// [`AssetVerdict::Ready`].
    pub ready: u32,
}

/// One legacy database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReadiness {
    /// The part of the asset ids before the colon: `mongodb`, `postgres`.
    pub server: String,
    /// Its assets by verdict.
    pub counts: ReadinessCounts,
    /// The verdict in one sentence.
    pub verdict: String,
}

/// What is said of an asset, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetVerdict {
    /// Some pipeline still needs it, or it is declared to stay.
    Needed,
    /// Nothing is known to need it, but something is not known or not decided.
    Blocked,
    /// Nothing declared needs it, what becomes of it is decided, and what the decision asks for is done.
    Ready,
}

impl AssetVerdict {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Blocked => "blocked",
            Self::Ready => "ready",
        }
    }
}

impl fmt::Display for AssetVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One legacy collection or table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssetReadiness {
    /// For example `mongodb:core.tag_rules`.
    pub id: String,
    /// The part of the id before the colon.
    pub server: String,
    /// Whether `dualrun.toml` declares it.
    pub declared: bool,
    /// What becomes of it; none where nobody decided.
    pub disposition: Option<Disposition>,
    /// Who answers for it; none where nobody does.
    pub owner: Option<String>,
    /// Until when its content must stay readable.
    pub retain_until: Option<Date>,
    /// Needed, blocked or ready.
    pub verdict: AssetVerdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The pipelines that name it and still need it, by id.
    pub needed_by: Vec<AssetNeed>,
    /// The pipelines that name it and no longer need it, by id.
    pub released_by: Vec<PipelineId>,
    /// The four steps of switching it off, in order.
    pub steps: Vec<StepVerdict>,
}

/// A pipeline that still needs an asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssetNeed {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its title.
    pub title: String,
    /// Its stage.
    pub stage: Stage,
    /// Why it still needs the asset, in one sentence.
    pub reason: String,
    /// The gates that do not pass.
    pub open_gates: Vec<Gate>,
}

/// A step of switching an asset off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing writes to it any more.
    StopWrites,
    /// Nothing reads it any more.
    RevokeReads,
    /// What is kept of it was read back.
    TestRestore,
    /// It is deleted.
    Drop,
}

impl Step {
    /// All steps in their order.
    pub const ALL: [Self; 4] = [Self::StopWrites, Self::RevokeReads, Self::TestRestore, Self::Drop];

    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StopWrites => "stop_writes",
            Self::RevokeReads => "revoke_reads",
            Self::TestRestore => "test_restore",
            Self::Drop => "drop",
        }
    }

    /// A title for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::StopWrites => "stop writes",
            Self::RevokeReads => "revoke reads",
            Self::TestRestore => "test the restore",
            Self::Drop => "drop",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a step may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAnswer {
    /// It may.
    Yes,
    /// It may not.
    No,
    /// Nobody can say: treat it as no.
    Unknown,
}

impl StepAnswer {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for StepAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A step, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVerdict {
    /// Which step.
    pub step: Step,
    /// Yes, no or unknown.
    pub answer: StepAnswer,
    /// Why, in one sentence.
    pub reason: String,
}
