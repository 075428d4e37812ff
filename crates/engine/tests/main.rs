//! Whole runs through the public functions of the engine: documents in memory, SQLite in memory, evidence in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod fence;
mod nightly;
mod order;
mod outside;
mod parameters;
mod promises;
mod results;
mod resume;
mod reviews;
mod unchanged;
mod validate;
mod verdicts;
