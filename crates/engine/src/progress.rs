//! What a long command tells while it works.

use dualrun_core::PipelineId;

/// A stage of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading and fingerprinting the inputs.
    Fence,
    /// Both calculations and the replays.
    Calculate,
    /// Aligning and comparing.
    Compare,
    /// Splitting the differences and naming what is left.
    Explain,
    /// Writing evidence and state.
    Record,
}

impl Step {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Calculate => "calculate",
            Self::Compare => "compare",
            Self::Explain => "explain",
            Self::Record => "record",
        }
    }
}

/// Receives progress. Every method has an empty default, so that [`Silent`] needs nothing.
pub trait Progress: Send + Sync {
    /// So many runs are ahead.
    fn begin(&self, _runs: u64) {}
    /// A run enters a step.
    fn step(&self, _pipeline: &PipelineId, _period: &str, _step: Step) {}
    /// So many rows of a table have been read by a load.
    fn load(&self, _table: &str, _rows: u64) {}
    /// Something that whoever waits should know: why it takes longer.
    fn note(&self, _text: &str) {}
    /// A run is done, with a word for its outcome.
    fn done(&self, _pipeline: &PipelineId, _period: &str, _outcome: &str) {}
}

/// Tells nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
