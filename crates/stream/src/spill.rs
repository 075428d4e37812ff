//! Sides that are not sorted: their rows are sorted into parts by a hash, on disk where they exceed the memory, and the
//! parts are compared one after the other, as many at once as there are threads.
//!
//! A part holds whole customers unless one of them, or one key, has more rows than a part should have. The parts follow
//! from a sample of both sides. One that turns out too large all the same is split again.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arrow::record_batch::RecordBatch;
use dualrun_compare::{Common, Comparison, Options, Order, Scope, orders_by_customer};

use crate::{
    compare::{Limits, Watch},
    error::StreamError,
    ordered::{Gathered, in_order},
    output::Files,
    side::Side,
    work::{Done, Work},
};

mod bounds;
mod disk;
mod rows;
mod scatter;
pub(crate) mod sizes;
mod store;

use bounds::Bounds;
use rows::{OneByOne, sorted};
use scatter::{Scatter, order_of, with_order};
pub(crate) use sizes::Sizes;
use store::{Part, Space, Store};

/// Rows of a batch that is sorted into parts: of many parts each gets some.
const SCATTER_ROWS: usize = 32 * 1024;
/// Order values by which a part is split.
const SAMPLE: u64 = 1 << 16;
/// So often a part is split. Each time it becomes hundreds of times smaller.
const DEEPEST: usize = 6;

/// What was found, and how much went to the disk.
pub(crate) struct Found {
    pub(crate) comparison: Comparison,
    pub(crate) head: Vec<RecordBatch>,
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
    let (sample, row_bytes) = sizes::sample(sides, work.common)?;
    let sizes = Sizes::new(limits, total, row_bytes);
    run_sized(sides, (sample, sizes), work, options, files, limits, watch)
}

/// As [`run`], with parts of a given size.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_sized(
    sides: (&Side, &Side),
    (sample, sizes): (Vec<i64>, Sizes),
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
    let bounds = Bounds::new(sample, sizes.parts, by_customer);
    // Reading and sorting is one half of the work, comparing the other.
    let parts = partition(sides, common, &space, &bounds, &sizes, limits.threads, &|rows| {
        watch.rows(rows / 2, total);
    })?;
    let parts = split_large(parts, &space, &sizes, limits.threads, by_customer)?;
    let with = |scope| Options { scope, order: Order::Hash, ..options.clone() };
    let (customers, keys) = (with(Scope::Customers), with(Scope::Keys));
    let mut parts = parts.into_iter();
    let (comparison, head, files) = in_order(
        limits.threads,
        work,
        Gathered::new(common, &keys, files),
        || Ok(parts.next()),
        |part: Part| {
            let rows = part.rows();
            let options = if part.scope == Scope::Customers { &customers } else { &keys };
            Ok((compare(part, work, options, &space, &sizes)?, rows))
        },
        |rows| watch.rows((total + rows) / 2, total),
    )?;
    Ok(Found { comparison, head, files, spilled: space.spilled() })
}

fn compare(
    part: Part,
    work: &Work<'_>,
    options: &Options,
    space: &Arc<Space>,
    sizes: &Sizes,
) -> Result<Done, StreamError> {
    if part.bytes > sizes.part_bytes {
        let all = Arc::new(OneByOne::new(part, Arc::clone(space), work.common)?);
        return work.compare(options, all.read(0), all.read(1));
    }
    let [legacy, new] = part.chunks;
    let (legacy, new) = (sorted(legacy, space, work.common)?, sorted(new, space, work.common)?);
    work.compare(options, legacy, new)
}

/// Reads both sides and sorts their rows into parts.
fn partition(
    sides: (&Side, &Side),
    common: &Arc<Common>,
    space: &Space,
    bounds: &Bounds,
    sizes: &Sizes,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Part>, StreamError> {
    let sides = [sides.0, sides.1];
    let stretches: Vec<(usize, Range<u64>)> = sides
        .iter()
        .enumerate()
        .flat_map(|(number, side)| sizes.stretches(side).into_iter().map(move |rows| (number, rows)))
        .collect();
    let store = Store::new(space, bounds);
    let done = AtomicU64::new(0);
    each(stretches.len(), threads, |number| {
        let (side, rows) = &stretches[number];
        let count = rows.end - rows.start;
        let mut scatter = Scatter::new(bounds);
        for batch in sides[*side].read_by(rows.clone(), common, SCATTER_ROWS)? {
            scatter.add(&with_order(&batch?, common)?)?;
        }
        scatter.finish(&store, *side, number as u64)?;
        progress(done.fetch_add(count, Ordering::Relaxed) + count);
        Ok(())
    })?;
    Ok(store.into_parts())
}

/// Splits parts until none is too large, apart from those that cannot be split.
fn split_large(
    mut parts: Vec<Part>,
    space: &Space,
    sizes: &Sizes,
    threads: usize,
    by_customer: bool,
) -> Result<Vec<Part>, StreamError> {
    for _ in 0..DEEPEST {
        if parts.iter().all(|part| part.bytes <= sizes.part_bytes) {
            break;
        }
        let before: Vec<Mutex<Vec<Part>>> = parts.into_iter().map(|part| Mutex::new(vec![part])).collect();
        each(before.len(), threads, |number| {
            let mut place = before[number].lock().unwrap_or_else(PoisonError::into_inner);
            let mut after = Vec::new();
            for part in place.drain(..) {
                if part.bytes <= sizes.part_bytes {
                    after.push(part);
                } else {
                    after.extend(split(part, space, sizes, by_customer)?);
                }
            }
            *place = after;
            Ok(())
        })?;
        parts =
            before.into_iter().flat_map(|p| p.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    }
    Ok(parts)
}

fn split(part: Part, space: &Space, sizes: &Sizes, by_customer: bool) -> Result<Vec<Part>, StreamError> {
    let step = (part.rows() / SAMPLE).max(1) as usize;
    let mut sample = Vec::new();
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for chunk in part.chunks.iter().flatten() {
        let rows = space.load(chunk)?;
        let values = order_of(&rows)?.values();
        sample.extend(values.iter().step_by(step));
        for value in values {
            least = least.min(*value);
            most = most.max(*value);
        }
    }
    if least >= most {
        return Ok(vec![part]);
    }
    // Both ends belong to the sample, so that it tells at least two values apart.
    sample.extend([least, most]);
    let scope = part.scope;
    let bounds = Bounds::new(sample, sizes.parts_of(part.bytes).max(2), by_customer);
    let store = Store::new(space, &bounds);
    for (side, chunks) in part.chunks.into_iter().enumerate() {
        let mut scatter = Scatter::new(&bounds);
        let (mut number, mut rows) = (0, 0);
        for chunk in chunks {
            rows += chunk.rows;
            scatter.add(&space.take(chunk)?)?;
            if rows >= sizes.stretch_rows {
                scatter.finish(&store, side, number)?;
                (number, rows) = (number + 1, 0);
            }
        }
        scatter.finish(&store, side, number)?;
    }
    let mut parts = store.into_parts();
    // What was cut out of a customer stays a part of it.
    if scope == Scope::Keys {
        parts.iter_mut().for_each(|part| part.scope = Scope::Keys);
    }
    Ok(parts)
}

/// Does `count` things on several threads.
fn each(
    count: usize,
    threads: usize,
    act: impl Fn(usize) -> Result<(), StreamError> + Sync,
) -> Result<(), StreamError> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let run = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed) as usize;
            if number >= count {
                break;
            }
            if let Err(error) = act(number) {
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
