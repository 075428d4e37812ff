//! Real servers. Their URLs come from the environment; `scripts/services` starts them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it is skipped"
)]

mod mongo;
mod postgres;
#[cfg(feature = "datafusion")]
mod queries;
