//! Sorted sides, range by range on several threads.

use arrow::record_batch::RecordBatch;
use dualrun_compare::{Comparison, Options};

use crate::{
    compare::{Limits, Watch},
    error::StreamError,
    ordered::{Gathered, in_order},
    output::Files,
    plan::{Planner, Sizes},
    side::Side,
    work::Work,
};

/// Compares sides that are sorted by the key.
///
/// # Errors
/// Rows out of order, which [`StreamError::is_unsorted`] tells; otherwise what reading, comparing and writing say.
pub(crate) fn run(
    sides: (&Side, &Side),
    work: &Work<'_>,
    options: &Options,
    files: Files,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<(Comparison, Vec<RecordBatch>, Files), StreamError> {
    run_sized(sides, Sizes::guided(limits.threads), work, options, files, limits, watch)
}

/// As [`run`], with ranges of given sizes.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_sized(
    (legacy, new): (&Side, &Side),
    sizes: Sizes,
    work: &Work<'_>,
    options: &Options,
    files: Files,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<(Comparison, Vec<RecordBatch>, Files), StreamError> {
    let total = legacy.rows() + new.rows();
    let mut planner = Planner::new(legacy, new, work.common, sizes);
    in_order(
        limits.threads,
        work,
        Gathered::new(work.common, options, files, work.sample_rows),
        || planner.next(),
        |(a, b)| {
            let rows = (a.end - a.start) + (b.end - b.start);
            let legacy = legacy.read_coded(a, work.common)?;
            let new = new.read_coded(b, work.common)?;
            let done = work.compare(options, legacy, new)?;
            Ok((done, rows))
        },
        |rows| watch.rows(rows, total),
    )
}
