//! Helpers of tests that drive the `dualrun` binary: temporary projects, a runner, filters for snapshots.
//!
//! A development dependency only. It knows the command line and the files of a project, and nothing of the
//! crates behind them. Every helper panics with a sentence that says what is wrong: a test without its binary or
//! its project has failed, it is not skipped.

mod binary;
mod filters;
mod project;

pub use binary::{Ran, binary, command, dualrun, temporary};
pub use filters::filters;
pub use project::{AS_OF, NIGHT, PERIOD, Project};
