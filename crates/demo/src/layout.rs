//! The inputs of both sides on disk: dumps as `mongodump` writes them, and the Parquet files of the new platform.
//!
//! Both hold the same documents. The Parquet files are typed by the shape of the input that reads the collection;
//! each loader batch of customers has a file of its own, so that one late batch is one missing file.

mod partition;
mod shapes;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use jiff::{ToSpan, civil::Date};

use crate::{
    collections,
    error::DemoError,
    project,
    world::{Collection, Partition, Partitioning, World},
};
use partition::Job;

/// Encoding is bound by the processor, and the smallest machine that a user has holds two.
const THREADS: usize = 2;

/// What is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutOptions {
    /// The seed of the generator: the same seed gives the same documents.
    pub seed: u64,
    /// The first day whose facts a run will look at. Two more days before it are written.
    pub first_day: Date,
    /// The last day whose facts a run will look at. One more day behind it is written.
    pub last_day: Date,
}

/// Writes the reference project and its inputs below a folder: `data/mongo/<partition>/core/` for the legacy side
/// and `data/lake/bronze/<collection>/` for the new one. Files that stand there are replaced. `progress` is told how
/// many partitions of how many are done.
///
/// # Errors
/// The folder cannot be written, the days are no range, or the embedded project has mistakes.
pub fn lay_out(
    dir: &Path,
    options: &LayoutOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), DemoError> {
    project::write_project(dir)?;
    let project = project::load_project()?;
    let world = World::new(options.seed);
    let mut jobs = Vec::new();
    for collection in collections::all() {
        let shape = shapes::of_collection(&project, collection.name())?;
        for partition in partitions(*collection, options)? {
            jobs.push(Job { collection: *collection, partition, shape: shape.clone() });
        }
    }
    run(dir, &world, &jobs, progress)
}

/// Runs the jobs on a few threads; the first error stops them.
fn run(dir: &Path, world: &World, jobs: &[Job], progress: &mut dyn FnMut(u64, u64)) -> Result<(), DemoError> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (done, next, stop) = (done.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let result = job.write(dir, world);
                    stop.fetch_or(result.is_err(), Ordering::Relaxed);
                    // The receiver lives until all threads have ended.
                    let _ = done.send(result);
                }
            });
        }
        drop(done);
        progress(0, jobs.len() as u64);
        let mut first_error = None;
        for (number, result) in (1..).zip(results) {
            match result {
                Ok(()) => progress(number, jobs.len() as u64),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    })
}

/// The partitions of a collection that a range of days needs: days with a margin, months touched by these days and
/// the month before, or all there is.
fn partitions(collection: &dyn Collection, options: &LayoutOptions) -> Result<Vec<Partition>, DemoError> {
    let no_range = || DemoError::Range { first: options.first_day, last: options.last_day };
    let (first, last) = collection.days().unwrap_or((options.first_day, options.last_day));
    if first > last {
        return Err(no_range());
    }
    let first = first.checked_sub(2.days()).map_err(|_| no_range())?;
    let last = last.checked_add(1.day()).map_err(|_| no_range())?;
    let days = first.series(1.day()).take_while(|day| *day <= last);
    Ok(match collection.partitioning() {
        Partitioning::Daily => days.map(Partition::Day).collect(),
        Partitioning::Monthly => {
            let before = first.first_of_month().checked_sub(1.month()).map_err(|_| no_range())?;
            let months: BTreeSet<Date> = days.map(Date::first_of_month).chain([before]).collect();
            months.into_iter().map(Partition::Month).collect()
        }
        Partitioning::Once => vec![Partition::All],
    })
}

#[cfg(test)]
mod tests;
