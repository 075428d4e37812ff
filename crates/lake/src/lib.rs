//! Tables of Parquet files in an object store that dualrun itself writes: the copies of inputs (bronze) and the rows
//! of models (silver, gold).
//!
//! New rows wait in a [`Spool`] by partition, so that neither the source nor the store waits for the other one and no
//! table stands in memory. Each partition that they touch is written anew ([`merge`]) under a name that was never used,
//! through an [`Upload`] that leaves nothing behind when it fails. All of it becomes visible at once, by a commit of
//! which only one writer can create the number ([`Writer::commit`]).
//!
//! What a table holds is read by `sources`. This crate knows no pipelines and decides nothing: what is loaded, and into
//! which partition, is said by the engine.

mod error;
mod file;
pub mod merge;
mod moved;
mod object;
mod rows;
mod spool;
mod upload;
mod writer;

pub use error::LakeError;
pub use file::FileWriter;
pub use merge::{Merged, Rules, merge};
pub use moved::moved;
pub use rows::{BATCH_COLUMN, LOADED_AT_COLUMN, Stamp};
pub use spool::{Spool, Spooled};
pub use upload::Upload;
pub use writer::Writer;
