//! The state database: what was run, what was decided, and who decided it.
//!
//! It stands between the engine, which records runs, and everything that answers questions about them: the
//! tracker's policies, the reports, the command line. [`StateStore`] is the seam, [`SqliteStore`] the store that
//! needs no server. The crate owns the folder `migrations/` and brings a database to its newest form when it
//! opens it.
//!
//! It holds no policy (whether a night is clean is the tracker's word), knows no HTTP and no query engine, and
//! reads no clock: every instant comes with the record.

pub mod audit;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod error;
pub mod records;
pub mod sqlite;
pub mod store;

pub use error::StateError;
pub use sqlite::SqliteStore;
pub use store::{Lock, StateStore};
