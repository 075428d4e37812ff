//! Sides that are not sorted: their rows are sorted into parts by a hash, on disk where they exceed the memory, and the
//! parts are compared one after the other, as many at once as there are threads.
//!
//! A part holds whole customers unless one of them, or one key, has more rows than a part should have. The parts follow
//! from a sample of both sides. One that turns out too large all the same is split again.

use std::sync::{
    Arc, LockResult, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arrow::record_batch::RecordBatch;
use dualrun_compare::{Comparison, Options, Order, Scope, orders_by_customer};

use crate::{
    compare::{Limits, Watch},
    error::{StreamError, failed},
    ordered::{Gathered, in_order},
    output::Files,
    side::Side,
    work::{Done, Work},
};

mod bounds;
mod disk;
mod layout;
mod loaded;
mod partition;
mod radix;
mod rows;
mod scatter;
pub(crate) mod sizes;
mod split;
mod store;
mod texts;

use bounds::Bounds;
use loaded::Reading;
use partition::partition;
use rows::{OneByOne, sorted};
pub(crate) use sizes::{Sample, Sizes};
use split::split_large;
use store::{Part, Space};

/// What was found, and how much went to the disk.
pub(crate) struct Found {
    pub(crate) comparison: Comparison,
    pub(crate) sample: Vec<RecordBatch>,
    pub(crate) files: Files,
    pub(crate) spilled: u64,
}

/// Compares sides in any order.
///
/// # Errors
/// What reading, spilling, comparing and writing say.
pub(crate) fn run(
    sides: (&Side, &Side),
    work: &Work<'_>,
    options: &Options,
    files: Files,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<Found, StreamError> {
    let total = sides.0.rows() + sides.1.rows();
    let sample = sizes::sample(sides, work.common)?;
    let sizes = Sizes::new(limits, total, &sample);
    run_sized(sides, (sample, sizes), work, options, files, limits, watch)
}

/// As [`run`], with parts of a given size.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_sized(
    sides: (&Side, &Side),
    (sample, sizes): (Sample, Sizes),
    work: &Work<'_>,
    options: &Options,
    files: Files,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<Found, StreamError> {
    let common = work.common;
    let total = sides.0.rows() + sides.1.rows();
    let by_customer = orders_by_customer(common);
    let space = Arc::new(Space::new(limits.spill.clone(), sizes.held));
    let bounds = Bounds::new(sample.orders.clone(), sizes.parts, by_customer);
    // Reading and sorting is one half of the work, comparing the other.
    let by = (&sample, &bounds, &sizes);
    let (parts, reading) =
        partition(sides, common, &space, by, limits.threads, &|rows| watch.rows(rows / 2, total))?;
    let parts = split_large(parts, &space, &reading.layout, &sizes, limits.threads, by_customer)?;
    let reading = Arc::new(reading);
    let with = |scope| Options { scope, order: Order::Hash, ..options.clone() };
    let (customers, keys) = (with(Scope::Customers), with(Scope::Keys));
    let mut parts = parts.into_iter();
    let (comparison, sample, files) = in_order(
        limits.threads,
        work,
        Gathered::new(common, &keys, files, work.sample_rows),
        || Ok(parts.next()),
        |part: Part| {
            let rows = part.rows();
            let options = if part.scope == Scope::Customers { &customers } else { &keys };
            Ok((compare(part, work, options, (&space, &reading), &sizes)?, rows))
        },
        |rows| watch.rows((total + rows) / 2, total),
    )?;
    Ok(Found { comparison, sample, files, spilled: space.spilled() })
}

fn compare(
    part: Part,
    work: &Work<'_>,
    options: &Options,
    (space, reading): (&Arc<Space>, &Arc<Reading>),
    sizes: &Sizes,
) -> Result<Done, StreamError> {
    if part.bytes > sizes.part_bytes {
        let all = Arc::new(OneByOne::new(part, Arc::clone(space), Arc::clone(reading), work.common)?);
        return work.compare(options, all.read(0), all.read(1));
    }
    let [legacy, new] = part.chunks;
    let order = |chunks| sorted(chunks, space, reading, work.common);
    let (legacy, new) = (order(legacy)?, order(new)?);
    work.compare(options, legacy, new)
}

/// Does `count` things on several threads, each of which has something of its own from its beginning to its end.
fn each<T>(
    count: usize,
    threads: usize,
    begin: impl Fn() -> T + Sync,
    act: impl Fn(&mut T, usize) -> Result<(), StreamError> + Sync,
    end: impl Fn(T) -> Result<(), StreamError> + Sync,
) -> Result<(), StreamError> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let run = || {
        let mut own = begin();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed) as usize;
            if number >= count {
                return end(own);
            }
            if let Err(error) = act(&mut own, number) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1).min(count.max(1))).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(StreamError::Thread)))
    })
}

/// What a lock guards, even where a thread broke off while it held it.
fn poisoned<T>(guarded: LockResult<T>) -> T {
    guarded.unwrap_or_else(PoisonError::into_inner)
}
