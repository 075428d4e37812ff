//! What the end-to-end tests in `tests/` share: files of rows to compare, parts of
//! real servers, servers and proxies of their own, and a look into the state database.
//!
//! The tests see the product from outside: its command line, the files that it reads and writes. Nothing here calls
//! into its crates.

pub mod bucket;
pub mod cluster;
pub mod disturbance;
pub mod documents;
pub mod ferretdb;
pub mod lake;
pub mod meters;
pub mod proxy;
pub mod servers;
pub mod sides;
pub mod state;
pub mod tables;
