//! How large the parts are, and what they are cut by.

use std::{ops::Range, sync::Arc};

use dualrun_compare::Common;

use super::scatter::{compact, failed, order_of, with_order};
use crate::{
    compare::Limits,
    error::StreamError,
    side::{BATCH_ROWS, Side},
};

/// Rows of both sides in a part that is sorted within the cache of a core.
const PART_ROWS: u64 = 1 << 17;
/// More parts than this get too few rows of a stretch each.
const MOST_PARTS: u64 = 512;
/// Rows that are sorted into parts before the parts get them.
const MOST_STRETCH: u64 = 1 << 20;
/// A part of fewer bytes is not worth splitting.
const LEAST_PART: u64 = 256 << 10;
/// Places of a side from which rows are sampled, and how many.
const WINDOWS: u64 = 32;
const WINDOW_ROWS: u64 = 1024;

/// How the memory is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes of parts that stay in memory.
    pub(crate) held: u64,
    /// Bytes of a part that a thread may load: besides the rows stand those that are put in order.
    pub(crate) part_bytes: u64,
    /// Rows that a thread sorts into parts at once.
    pub(crate) stretch_rows: u64,
    /// How many parts there should be.
    pub(crate) parts: usize,
}

impl Sizes {
    /// Half of the memory is for parts that stay there, the other half for what the threads work on.
    pub(super) fn new(limits: &Limits, rows: u64, row_bytes: u64) -> Self {
        let share = limits.memory / 2 / limits.threads.max(1) as u64;
        let part_bytes = (share / 3).max(LEAST_PART);
        let by_size = (rows * row_bytes * 2).div_ceil(part_bytes);
        let parts = by_size.max(rows / PART_ROWS).clamp(1, MOST_PARTS);
        Self {
            held: limits.memory / 2,
            part_bytes,
            stretch_rows: (share / 4 / row_bytes.max(1)).clamp(BATCH_ROWS as u64, MOST_STRETCH),
            parts: parts as usize,
        }
    }

    /// How many parts a part that is too large should become.
    pub(super) fn parts_of(&self, bytes: u64) -> usize {
        (bytes * 2).div_ceil(self.part_bytes.max(1)).clamp(2, MOST_PARTS) as usize
    }

    /// The rows of a side in stretches, which begin with a row group where that is near.
    pub(super) fn stretches(&self, side: &Side) -> Vec<Range<u64>> {
        let mut groups = side.boundaries();
        groups.push(side.rows());
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for group in groups.windows(2) {
            let rows = group[1] - group[0];
            match stretches.last_mut() {
                Some(last) if last.end - last.start + rows <= self.stretch_rows => last.end = group[1],
                _ => {
                    let pieces = rows.div_ceil(self.stretch_rows).max(1);
                    let cut = |piece| group[0] + rows * piece / pieces;
                    stretches.extend((0..pieces).map(|piece| cut(piece)..cut(piece + 1)));
                }
            }
        }
        stretches.retain(|rows| !rows.is_empty());
        stretches
    }
}

/// Order values of rows from all over both sides, and the bytes that a row takes in memory.
pub(crate) fn sample(sides: (&Side, &Side), common: &Arc<Common>) -> Result<(Vec<i64>, u64), StreamError> {
    let mut values = Vec::new();
    let mut bytes = 0;
    for side in [sides.0, sides.1] {
        let rows = side.rows();
        let windows = rows.div_ceil(WINDOW_ROWS).min(WINDOWS);
        for window in 0..windows {
            let start = rows * window / windows;
            let end = (start + WINDOW_ROWS).min(rows);
            for batch in side.read(start..end, common)? {
                let batch = compact(&[with_order(&batch?, common)?]).map_err(failed)?;
                values.extend_from_slice(order_of(&batch)?.values());
                bytes += batch.get_array_memory_size() as u64;
            }
        }
    }
    let row_bytes = bytes / (values.len() as u64).max(1);
    Ok((values, row_bytes.max(1)))
}
