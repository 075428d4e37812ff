//! Why results differ: which calculations have to be replayed, how much each declared change moved, whether it
//! kept its promise, and what the differences that nobody declared look like.
//!
//! In the flow it stands after the comparison. [`replay`] says before the calculations which subsets of the
//! switches are needed; [`split`](mod@split) divides every difference over the changes by their Shapley values
//! ([`shapley`]); [`promise`] holds the effect of a change against its file; [`findings`](mod@findings) names
//! the signature of what is left ([`signatures`]) and the segment in which it occurs ([`segment`]).
//!
//! This crate does not calculate results, read files or give verdicts: relations come from the engine, verdicts
//! from the comparison. It keeps no state and reads no clock.

pub mod cells;
pub mod context;
pub mod error;
pub mod findings;
mod identity;
pub mod promise;
pub mod replay;
pub mod segment;
pub mod shapley;
pub mod signatures;
pub mod split;

pub use cells::{CellReader, Cells, UnexplainedCell};
pub use context::{Context, FactorTable, FactorValue, Neighbour, RowValues, SegmentTotals};
pub use error::ExplainError;
pub use findings::findings;
pub use promise::{InForce, bridge};
pub use replay::{Declared, Replay, ReplayPlan, verdicts};
pub use split::{SplitReport, split};
