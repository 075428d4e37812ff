//! The way that the sides allow: range by range where they are sorted, by partitions where they are not.

use std::{path::PathBuf, sync::Arc};

use arrow::record_batch::RecordBatch;
use dualrun_compare::{Common, Comparison, Options};

use crate::{
    error::StreamError,
    output::{Files, OutputFiles},
    ranges,
    side::Side,
    spill,
    work::Work,
};

/// What a comparison may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Threads that read and compare.
    pub threads: usize,
    /// Bytes that the process may take where the sides are partitioned, with what reading and comparing need. Below some
    /// 64 MiB, and a few more for each thread, that itself takes more.
    pub memory: u64,
    /// The folder for rows that exceed the memory; taken as it is needed and emptied at the end.
    pub spill: PathBuf,
}

/// How the rows were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both sides were sorted by the key.
    Sorted,
    /// They were partitioned, and so many bytes went through the spill folder.
    Partitioned {
        /// Bytes written to the spill folder.
        spilled: u64,
    },
}

/// What was found, and how.
#[derive(Debug)]
pub struct Compared {
    /// Counts, sums, customers.
    pub comparison: Comparison,
    /// Differences that are evenly spaced over all of them, half as many as were asked for or more where there are more.
    pub sample: Vec<RecordBatch>,
    /// How the rows were brought together.
    pub way: Way,
}

/// Is told how far a comparison has come.
pub trait Watch: Sync {
    /// So many rows of both sides are compared.
    fn rows(&self, done: u64, total: u64);

    /// Something is unsafe, for example a connection that is not encrypted; a person should know at once.
    fn warning(&self, _text: &str) {}
}

/// What to compare by, and what is wanted of it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What the schemas of both sides have in common.
    pub common: &'a Common,
    /// Customers that are left out, caps.
    pub options: &'a Options,
    /// Files for what differs.
    pub outputs: Option<&'a OutputFiles>,
    /// So many rows of differences come back, or down to half as many where there are more.
    pub sample: u64,
    /// Threads, memory, spill folder.
    pub limits: &'a Limits,
    /// Is told how far it has come.
    pub watch: &'a dyn Watch,
    /// Is asked at the end, before any file gets its name: are the relations still those that were opened?
    pub confirm: &'a dyn Fn() -> Result<(), StreamError>,
}

/// Compares two sides.
///
/// Blocks; where a side stands in a remote store the thread must not be one of the runtime that reads it.
///
/// # Errors
/// What reading, comparing, spilling and writing say. No file has its name then.
pub fn compare_sides(legacy: &Side, new: &Side, request: &Request<'_>) -> Result<Compared, StreamError> {
    let Request { common, options, outputs, sample, limits, watch, confirm } = *request;
    let common = Arc::new(common.clone());
    // The cap is one of the file, not of each part: what is looked at, counted and summed does not depend on it.
    let cap = options.max_differences;
    let options = &Options { max_differences: None, ..options.clone() };
    let finish = |mut comparison: Comparison, files: Files| {
        confirm()?;
        let all = comparison.differences;
        comparison.differences = files.stored().unwrap_or_else(|| cap.map_or(all, |cap| all.min(cap)));
        comparison.truncated = comparison.differences < all;
        files.finish().map(|()| comparison)
    };
    let files = Files::create(outputs, &common, cap)?;
    let work = Work::new(&common, &files, sample);
    match ranges::run((legacy, new), &work, options, files, limits, watch) {
        Ok((comparison, sample, files)) => {
            let comparison = finish(comparison, files)?;
            return Ok(Compared { comparison, sample, way: Way::Sorted });
        }
        Err(error) if error.is_unsorted() => {}
        Err(error) => return Err(error),
    }
    let files = Files::create(outputs, &common, cap)?;
    let work = Work::new(&common, &files, sample);
    let found = spill::run((legacy, new), &work, options, files, limits, watch)?;
    let comparison = finish(found.comparison, found.files)?;
    let way = Way::Partitioned { spilled: found.spilled };
    Ok(Compared { comparison, sample: found.sample, way })
}
