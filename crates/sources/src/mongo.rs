//! MongoDB collections and aggregation pipelines as Arrow record batches.
//!
//! A reading has two sides that work at the same time. One asks the server: raw batches through the driver, by `_id`
//! in queries of about the same time, taken up after the last document when the connection is cut. The other one
//! makes record batches of them on a thread of its own, with the columns of a BSON dump of the same documents and
//! without a tree of any document. Between them, and behind them, at most two batches wait.
//!
//! Where a type is not declared, all documents must be known before the first row: they are read from the server once
//! and put aside in a temporary file, rather than asked for twice.
//!
//! # Types
//!
//! What a field becomes that holds one type of BSON only, and that no shape declares:
//!
//! | BSON | Arrow |
//! |---|---|
//! | int32, int64 | Int64 |
//! | double | Float64 |
//! | Decimal128 | Decimal128(38, s), with ten digits behind the point or as many as there are; Float64 where one is NaN or infinite and a float tells all others apart; else Utf8 with all digits |
//! | string, symbol | Utf8 |
//! | ObjectId, binary | Utf8, hexadecimal |
//! | UUID (subtype 4) | Utf8, with hyphens |
//! | UUID of old drivers (subtype 3) | Utf8, the hexadecimal bytes as they are stored: only their writer knows the order |
//! | bool | Boolean |
//! | date, timestamp | Timestamp in UTC, microseconds |
//! | array | List |
//! | document | Struct |
//! | regular expression, code, minimum and maximum key, pointer | Utf8, Extended JSON |
//! | null, undefined, no such field | null; a shape tells "no such field" apart with `missing` |

mod batches;
mod client;
mod consistency;
mod decode;
mod estimate;
mod fault;
mod fetch;
mod keyset;
mod lag;
mod mark;
mod options;
mod pipeline;
mod probe;
mod relation;
mod spool;
mod stream;
mod survey;
mod types;

pub use client::{MongoServer, MongoSource};
pub use consistency::{Consistency, Cut, Strength};
pub use decode::MongoReport;
pub use fault::MongoFault;
pub use fetch::MongoLoad;
pub(crate) use keyset::and;
pub use options::{Fields, FindRequest, MongoOptions, ReadFrom, ReadOptions};
pub use pipeline::bind;
pub(crate) use pipeline::takes_filter;
pub use probe::{CollectionProbe, MongoProbe};
pub use relation::{mongo_relation, read_mongo_relation};
pub use stream::MongoStream;
pub use types::MongoTypes;
