//! Arrow kernels of the comparison: align, fingerprint, sorted merge, verdict counting.
//!
//! Place in the flow: results of both sides (and of their replays) come in as record batches. They are
//! normalised by the rules of the mapping ([`align`]), brought to one schema ([`schema`]), sorted ([`sort`]),
//! merged on their key ([`merge`]) and judged cell by cell ([`compare()`]). Inputs are fingerprinted for the fence
//! ([`fingerprint`]).
//!
//! This crate opens no file and no connection, spawns nothing, and knows no query engine: who calls it brings the
//! rows and takes the differences.

pub mod align;
pub mod compare;
pub mod customers;
pub mod differences;
pub mod error;
pub mod exact_sum;
pub mod fingerprint;
pub mod merge;
pub mod schema;
pub mod sort;
pub mod spec;
pub mod text;
pub mod types;

mod block;
mod canonical;
mod cast;
mod coded;
mod exact_slice;
mod keys;
mod measure;
mod order;
mod segment;
mod tally;
mod verdict;
mod views;

pub use align::Aligner;
pub use cast::nearest_floats;
pub use coded::is_same_memory;
pub use compare::{Comparison, Fold, Options, Partial, Scope, compare, compare_range};
pub use customers::{FIGURES, customers_batch};
pub use differences::{BatchSink, differences_schema};
pub use error::CompareError;
pub use fingerprint::Fingerprinter;
pub use merge::{Group, KeyedMerge, RowRef};
pub use order::{
    NULL_HASH, ORDER_COLUMN, Order, order_values, order_values_knowing, orders_by_customer, text_hash,
};
pub use schema::{Common, common_for_diff, common_for_result, conform};
pub use sort::sort_batches;
pub use spec::{CompareColumn, CompareKind, CompareSpec, Parts, Relation};
pub use views::{KeyRows, conform_coded, conform_views};
