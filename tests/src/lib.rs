//! What the end-to-end tests in `tests/` share: files of rows to compare, parts of
//! real servers and ways to them that can be disturbed, and a look into the state database.
//!
//! The tests see the product from outside: its command line, the files that it reads and writes. Nothing here calls
//! into its crates.

pub mod bucket;
pub mod disturbance;
pub mod documents;
pub mod lake;
pub mod servers;
pub mod sides;
pub mod state;
pub mod tables;
