//! The result of `dualrun load`: schema `dualrun.load/1`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Mark;
use crate::{
    ExitCode, Period, PipelineId,
    run::{Consistency, CutStrength, Failure},
};

/// The name and version of the schema.
pub const SCHEMA: &str = "dualrun.load/1";

/// Everything that is said of one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The environment.
    pub environment: String,
    /// The code of the whole load.
    pub exit_code: ExitCode,
    /// One entry a table of inputs.
    pub inputs: Vec<InputLoad>,
    /// One entry a model that is kept.
    pub models: Vec<StoredModel>,
    /// Why the load could not be carried out at all, where it could not.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// What became of the copy of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputLoad {
    /// The pipelines that read it.
    pub pipelines: Vec<PipelineId>,
    /// Its name there.
    pub input: String,
    /// The source and folder of the copy.
    pub table: String,
    /// What became of it.
    pub outcome: LoadOutcome,
    /// Its own code.
    pub exit_code: ExitCode,
    /// What was read.
    pub mode: LoadMode,
    /// What came of the rows.
    pub rows: LoadedRows,
    /// Whether rows that are gone at the source were looked for. A load of what changed cannot see them.
    pub deletions_looked_for: bool,
    /// The folders that were written anew, in order.
    pub partitions: Vec<String>,
    /// The periods of these folders, in order; rows without a time have none.
    pub periods: Vec<Period>,
    /// The watermark, where one is declared.
    pub watermark: Option<Watermark>,
    /// When the reading began: what is written later is read by the next load.
    pub cut_off: Option<Timestamp>,
    /// Which state of the source was read, and how sure that is.
    pub consistency: Option<String>,
    /// The same for programs; none where the source is no server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Consistency>,
    /// Of a load within a run: what vouches that the run then read the source in the state of the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_state: Option<CutStrength>,
    /// The number of the commit that made the new rows visible; none where nothing changed.
    pub commit: Option<u64>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadOutcome {
    /// New rows are visible.
    Loaded,
    /// Nothing changed at the source.
    NothingNew,
    /// Another load of the same table came first, or is under way; nothing was overwritten.
    Held,
    /// It could not be carried out; the copy is as it was.
    Failed,
}

/// What a load reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Everything; what is gone at the source goes from the copy.
    Full,
    /// What changed since the last watermark.
    Incremental,
    /// Some days, whole.
    Period,
}

/// Rows of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoadedRows {
    /// That the source gave.
    pub read: u64,
    /// New in the copy.
    pub added: u64,
    /// Replaced in the copy.
    pub changed: u64,
    /// As they are in the copy already.
    pub unchanged: u64,
    /// Taken out of another partition, because their time changed; each of them is among those added.
    pub moved: u64,
    /// Taken out of the copy, because the source has them no more.
    pub removed: u64,
    /// In the copy now.
    pub total: u64,
}

/// From where to where a load went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watermark {
    /// The column.
    pub column: String,
    /// The smallest value that was asked for; none where everything was.
    pub from: Option<Mark>,
    /// The value up to which all is loaded; none where no row has one.
    pub to: Option<Mark>,
}

/// What became of a model that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredModel {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The model.
    pub model: String,
    /// The source and folder of its rows.
    pub table: String,
    /// What became of it.
    pub outcome: StoreOutcome,
    /// Its own code.
    pub exit_code: ExitCode,
    /// The periods that were calculated and written anew, in order.
    pub periods: Vec<Period>,
    /// Periods that nothing reached since they were written.
    pub unchanged: u64,
    /// Rows that were written.
    pub rows: u64,
    /// The number of the commit; none where nothing changed.
    pub commit: Option<u64>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
}

/// What became of the rows of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreOutcome {
    /// New rows are visible.
    Stored,
    /// Nothing reached them.
    NothingNew,
    /// Another process came first; nothing was overwritten.
    Held,
    /// It could not be carried out.
    Failed,
}

impl LoadReport {
    /// Whether a table was left to another process, so that nobody knows yet what it holds.
    pub fn is_held(&self) -> bool {
        self.inputs.iter().any(|input| input.outcome == LoadOutcome::Held)
    }

    /// A load in which nothing was done.
    pub fn empty(environment: &str, exit_code: ExitCode) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            environment: environment.to_owned(),
            exit_code,
            inputs: Vec::new(),
            models: Vec::new(),
            failure: None,
        }
    }
}
