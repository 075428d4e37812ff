//! MongoDB collections and aggregation pipelines as Arrow record batches.
//!
//! A reading has two sides that work at the same time. One asks the server: raw batches through the driver, by `_id`
//! in queries of about the same time, taken up after the last document when the connection is cut. The other one
//! makes record batches of them on a thread of its own, with the columns of a BSON dump of the same documents and
//! without a tree of any document. Between them, and behind them, at most two batches wait.
//!
//! Where a type is not declared, all documents must be known before the first row: they are read from the server once
//! and put aside in a temporary file, rather than asked for twice.

mod client;
mod consistency;
mod decode;
mod estimate;
mod fault;
mod fetch;
mod keyset;
mod lag;
mod options;
mod pipeline;
mod probe;
mod relation;
mod spool;
mod stream;
mod types;

pub use client::{MongoServer, MongoSource};
pub use consistency::{Consistency, Cut, Strength};
pub use decode::MongoReport;
pub use fault::MongoFault;
pub use fetch::MongoLoad;
pub use options::{Fields, FindRequest, MongoOptions, ReadFrom, ReadOptions};
pub use pipeline::bind;
pub use probe::{CollectionProbe, MongoProbe};
pub use relation::{mongo_relation, read_mongo_relation};
pub use stream::MongoStream;
pub use types::MongoTypes;
