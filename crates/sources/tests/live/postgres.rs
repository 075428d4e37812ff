//! PostgreSQL as a source, on a server whose address stands in `DUALRUN_TEST_POSTGRES_URL`.

mod connection;
mod cut_off;
mod faults;
mod params;
#[cfg(feature = "datafusion")]
mod provider;
mod support;
mod tables;
mod types;
