//! What the end-to-end tests in `tests/` share: files of rows to compare, parts of
//! real servers, and a look into the state database.
//!
//! The tests see the product from outside: its command line, the files that it reads and writes. Nothing here calls
//! into its crates.

pub mod documents;
pub mod servers;
pub mod state;
pub mod tables;
