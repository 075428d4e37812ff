//! PostgreSQL as a source, on a server whose address stands in `DUALRUN_TEST_POSTGRES_URL`.

mod connection;
mod faults;
mod params;
mod support;
mod tables;
mod types;
