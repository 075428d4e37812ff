//! Compares two relations of any size in bounded memory, on all cores.
//!
//! Place in the flow: [`dualrun_sources`] opens the relations, [`dualrun_compare`] judges rows that come sorted by the
//! key; this crate brings the two together. Sorted relations are cut into ranges of the key that threads compare side by
//! side (`plan`); their order is checked while they are read. Relations that are not sorted are partitioned by a hash
//! first, on disk where they exceed the memory (`spill`). What differs is written as it is found ([`output`]).
//!
//! This crate gives no verdicts, knows no pipelines and no query engine, and prints nothing.

mod compare;
mod encode;
pub mod error;
mod ordered;
pub mod output;
mod plan;
mod ranges;
mod sample;
mod side;
mod spill;
mod work;

pub use compare::{Compared, Limits, Request, Watch, Way, compare_sides};
pub use error::StreamError;
pub use output::OutputFiles;
pub use side::Side;

#[cfg(test)]
mod tests;
