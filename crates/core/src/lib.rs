//! The words of dualrun as types: ids, periods, units, tolerances, verdicts, phases and the declarations
//! that several crates share.
//!
//! Every other crate speaks in these types. They sit at the start of the flow (a mapping is read into
//! declarations) and at its end (a run is written as a [`run::RunReport`]).
//!
//! This crate does no I/O, reads no clock, and knows neither Arrow nor any database.

pub mod align;
pub mod asset;
pub mod chain;
pub mod doctor;
pub mod exit;
pub mod fingerprint;
pub mod ids;
pub mod input;
pub mod load;
pub mod night;
pub mod parameter;
pub mod period;
pub mod phase;
pub mod plan;
pub mod result;
pub mod review;
pub mod run;
pub mod shape;
pub mod tolerance;
pub mod unit;
pub mod verdict;

pub use chain::chain;
pub use exit::ExitCode;
pub use fingerprint::Fingerprint;
pub use ids::{ChangeId, CustomerId, IdError, PipelineId, RunId};
pub use period::{Period, PeriodError, PeriodUnit};
pub use phase::{Criticality, Phase, Serving, Stage};
pub use tolerance::{Tolerance, ToleranceError};
pub use verdict::{Outcome, Verdict, VerdictCounts};
