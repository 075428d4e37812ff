//! Phases, gates, streaks, reviews and readiness: policy over recorded state.
//!
//! It stands after the run: runs, reviews and changes of stage were recorded, and this crate says what they mean.
//! [`reviews`] says which methodology changes are approved, [`nights`] and [`streak`] how long the sides have
//! agreed, [`gates`] whether that is enough, [`stages`] where a pipeline moves, [`status`] how far the project is
//! and [`readiness`] whether the legacy databases can be switched off. The answers are the plain data of
//! [`model`], which reports are rendered from.
//!
//! It runs no query, opens no connection and reads no clock: records and the day come as arguments, so that the
//! same records always give the same answer.

pub mod error;
pub mod evidence;
pub mod gates;
pub mod model;
pub mod nights;
pub mod readiness;
pub mod reviews;
pub mod stages;
pub mod status;
pub mod streak;
#[cfg(test)]
mod testing;

pub use error::TrackerError;
pub use evidence::{Assessment, Evidence, assess};
pub use readiness::readiness;
pub use status::status;
