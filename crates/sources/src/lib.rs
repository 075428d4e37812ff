//! Declared inputs as Arrow tables: BSON dumps, Extended JSON lines, CSV and Parquet, from a local folder or S3.
//!
//! The first step of a run. The engine opens a [`Location`], asks for the files of an input with [`read`] and
//! gets an [`InputTable`] that DataFusion can query; `dualrun diff` reads a relation that nobody declared with
//! [`read_relation`]. Both sides of a run go through the same field rules ([`dualrun_core::shape`]), so that a
//! document and a Parquet row with the same facts become the same row. What does not fit a rule becomes null
//! and is counted in the [`ReadReport`].
//!
//! A PostgreSQL server is read by [`postgres`], a MongoDB server by [`mongo`]; [`read_live_relation`] reads a relation of
//! either. What a run reads of servers goes through one [`CutOff`]: all of it is of one state. With the feature `datafusion`
//! a table or collection is a table of the query engine (`provider`). An external job is run by [`command`].
//!
//! Tables that dualrun itself wrote are read as their newest commit says ([`commits`]).
//!
//! This crate does not compare, does not write to object stores, and does not know pipelines.

mod beside;
pub mod bson_dump;
mod column;
pub mod command;
pub mod commits;
mod csv;
pub mod documents;
mod ejson;
mod elements;
mod error;
mod format;
mod gentle;
mod identity;
mod infer;
mod instant;
mod kept;
mod live;
mod location;
mod misfit;
pub mod mongo;
mod number;
mod one_schema;
mod open;
mod parquet_file;
pub mod postgres;
#[cfg(feature = "datafusion")]
pub mod provider;
mod read;
mod relation;
mod rules;
mod same_columns;
mod scalar;
mod scan;
mod select;
mod table;
mod telling;
mod typed;
mod unify;
mod value;

pub use beside::exact_beside;
pub use error::{SourceError, TableKind, standing};
pub use format::{Format, detect};
pub use gentle::{Gentle, Pace, PaceOptions, Say};
pub use identity::identity;
pub use kept::{KeptRows, KeptWriter};
pub use live::{
    ANEW, CutOff, DaysOf, Estimator, LiveRequest, LiveStream, LiveTable, RowStream, Server, ServerSession,
    Servers, Since, Wanted, is_live, read_live, read_live_relation, stream_live,
};
pub use location::{Location, open_location, without_credentials};
pub use misfit::Misfit;
pub use one_schema::{fit, one_schema};
pub use open::settled;
pub use read::{Request, read};
pub use relation::{read_relation, relation_format};
pub use scan::{Fetched, Group, ParquetScan, ScanReader, open_scan, open_scan_file};
pub use select::FileSelection;
pub use table::{FileReport, InputTable, ReadReport};

#[cfg(test)]
mod tests;
