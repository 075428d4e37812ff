//! The reference project as a demo: invented customers, a generator of their inputs with a fixed seed, and the
//! scenario of a migration night by night.
//!
//! It lays out a project (mappings, factors, inputs of both sides) and plays the scenario on it through `engine`.
//! It does not compute results: every figure comes from the calculations of the project.

pub mod collections;
mod error;
mod files;
pub mod layout;
pub mod play;
pub mod project;
pub mod scenario;
pub mod world;

pub use error::DemoError;
