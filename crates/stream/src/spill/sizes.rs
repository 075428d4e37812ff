//! How large the parts are, what they are cut by, and what the memory is for.

use std::{collections::HashSet, ops::Range, sync::Arc};

use arrow::array::{Array, AsArray};
use dualrun_compare::{Common, order_values, text_hash};

use super::layout::Layout;
use crate::{
    compare::Limits,
    error::StreamError,
    side::{BATCH_ROWS, Side},
};

/// Rows of both sides in a part that is sorted within the cache of a core.
const PART_ROWS: u64 = 1 << 17;
/// More parts than this are not made for the sake of the cache.
const GOOD_PARTS: u64 = 512;
/// More parts than this are not told apart quickly.
const MOST_PARTS: u64 = 1 << 12;
/// Rows after which a thread turns to other rows.
const MOST_STRETCH: u64 = 1 << 20;
/// A part of fewer bytes is not worth splitting.
const LEAST_PART: u64 = 256 << 10;
/// A part of more bytes has more rows than can be numbered.
const MOST_PART: u64 = 4 << 30;
/// With less a thread gets nowhere.
const LEAST_SHARE: u64 = 1 << 20;
/// What of a part is stored at once: less makes the disk slow, more makes it no faster.
const WAITING: Range<u64> = 4 << 10..64 << 10;
/// What the process needs beside the rows, at most and for each thread: pages of Parquet files that are read, batches that
/// are compared, differences that are encoded.
const PROCESS_BYTES: u64 = 32 << 20;
const THREAD_BYTES: u64 = 24 << 20;
/// Bytes in memory for each byte of a part that is compared: the rows, what they are sorted by.
const PART_FACTOR: u64 = 2;
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
    /// Rows that a thread reads before it turns to others.
    pub(crate) stretch_rows: u64,
    /// How many parts there should be.
    pub(crate) parts: usize,
    /// Bytes of a part that wait on a thread until they are stored together.
    pub(crate) waiting_bytes: usize,
    /// Bytes of texts that repeat.
    pub(crate) dictionary_bytes: u64,
}

/// What was seen of rows from all over both sides.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Order values.
    pub(crate) orders: Vec<i64>,
    /// By text column: whether the texts repeat.
    pub(crate) repeating: Vec<bool>,
    /// Bytes that a row takes.
    pub(crate) row_bytes: u64,
    /// Those among them of columns that have no place in the row.
    pub(crate) beside_bytes: u64,
}

impl Sizes {
    /// What is left beside the process itself: half of it for parts that stay in memory, a little for texts that repeat, the
    /// rest for what the threads work on.
    pub(super) fn new(limits: &Limits, rows: u64, sample: &Sample) -> Self {
        let row_bytes = sample.row_bytes;
        let threads = limits.threads.max(1) as u64;
        // Pages take their room however little memory there is; parts become smaller and more instead.
        let left = limits.memory - process_bytes(threads).min(limits.memory / 4 * 3);
        let (held, dictionary_bytes) = (left / 2, left / 16);
        let share = ((left - held - dictionary_bytes) / threads).max(LEAST_SHARE);
        let part_bytes = (share / PART_FACTOR).clamp(LEAST_PART, MOST_PART);
        let by_size = (rows.saturating_mul(row_bytes) / 2).saturating_mul(3).div_ceil(part_bytes);
        let by_waiting = (share / WAITING.start).clamp(1, MOST_PARTS);
        let parts = by_size.max((rows / PART_ROWS).min(GOOD_PARTS)).clamp(1, by_waiting);
        // A stretch that does not begin with a row group passes over the pages before it, which are read for nothing. Only
        // columns beside the rows are held until it ends.
        let turn = (rows / 2).div_ceil(threads).max(PART_ROWS);
        let waiting = (share / parts).clamp(WAITING.start, WAITING.end);
        Self {
            held,
            part_bytes,
            stretch_rows: (share / 4 / sample.beside_bytes.max(1))
                .min(turn)
                .clamp(BATCH_ROWS as u64, MOST_STRETCH),
            parts: parts as usize,
            waiting_bytes: waiting as usize,
            dictionary_bytes,
        }
    }

    /// How many parts a part that is too large should become.
    pub(super) fn parts_of(&self, bytes: u64) -> usize {
        let room = self.part_bytes.saturating_mul(PART_FACTOR) / (self.waiting_bytes as u64).max(1);
        (bytes.saturating_mul(2)).div_ceil(self.part_bytes.max(1)).min(room).clamp(2, MOST_PARTS) as usize
    }

    /// The rows of a side in stretches, which begin with a row group where that is near.
    pub(super) fn stretches(&self, side: &Side) -> Vec<Range<u64>> {
        let mut groups = side.boundaries();
        groups.push(side.rows());
        // Small row groups are read together, but not so many that threads wait for the last one.
        let together = self.stretch_rows.min(PART_ROWS);
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for group in groups.windows(2) {
            let rows = group[1] - group[0];
            match stretches.last_mut() {
                Some(last) if last.end - last.start + rows <= together => last.end = group[1],
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

/// What the process needs beside the rows.
fn process_bytes(threads: u64) -> u64 {
    PROCESS_BYTES + threads * THREAD_BYTES
}

/// Looks at rows from all over both sides.
pub(crate) fn sample(sides: (&Side, &Side), common: &Arc<Common>) -> Result<Sample, StreamError> {
    let layout = Layout::new(common);
    let columns: Vec<usize> = layout.text_columns().collect();
    let mut orders = Vec::new();
    let mut texts: Vec<(HashSet<u64>, u64, u64)> = vec![Default::default(); columns.len()];
    let mut beside = 0;
    for side in [sides.0, sides.1] {
        let rows = side.rows();
        let windows = rows.div_ceil(WINDOW_ROWS).min(WINDOWS);
        for window in 0..windows {
            let start = rows * window / windows;
            let end = (start + WINDOW_ROWS).min(rows);
            for batch in side.read(start..end, common)? {
                let batch = batch?;
                orders
                    .extend_from_slice(order_values(&batch, common).map_err(StreamError::Compare)?.values());
                for (column, (seen, count, bytes)) in columns.iter().zip(&mut texts) {
                    let array = batch.column(*column).as_string_view();
                    for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                        seen.insert(text_hash(array, row));
                        *count += 1;
                        *bytes += 4 + array.value(row).len() as u64;
                    }
                }
                let size = |column: &usize| batch.column(*column).get_array_memory_size() as u64;
                beside += layout.beside.iter().map(size).sum::<u64>();
            }
        }
    }
    let rows = (orders.len() as u64).max(1);
    let repeats = |seen: &HashSet<u64>, count: u64| seen.len() as u64 * 2 <= count;
    let travelling: u64 = texts
        .iter()
        .filter(|(seen, count, _)| !repeats(seen, *count))
        .map(|(_, _, bytes)| bytes / rows)
        .sum();
    Ok(Sample {
        repeating: texts.iter().map(|(seen, count, _)| repeats(seen, *count)).collect(),
        row_bytes: layout.width as u64 + travelling + beside / rows,
        beside_bytes: beside / rows,
        orders,
    })
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{ArrayRef, Int64Array},
        record_batch::RecordBatch,
    };
    use dualrun_core::input;

    use super::*;

    fn sample(row_bytes: u64, beside_bytes: u64) -> Sample {
        Sample { orders: Vec::new(), repeating: Vec::new(), row_bytes, beside_bytes }
    }

    #[test]
    fn what_stands_in_memory_at_once_fits_the_limit() {
        for memory in [64 << 20, 512 << 20, 4 << 30, 1 << 40] {
            for threads in [1, 2, 8] {
                for (rows, row_bytes) in [(10, 40), (1 << 27, 40), (1 << 30, 40), (1 << 30, 2000)] {
                    let limits = Limits { threads, memory, spill: std::env::temp_dir() };
                    let sizes = Sizes::new(&limits, rows, &sample(row_bytes, row_bytes / 2));
                    let threads = threads as u64;
                    let stays = sizes.held + sizes.dictionary_bytes;
                    let waiting = threads * sizes.parts as u64 * sizes.waiting_bytes as u64;
                    let compared = threads * sizes.part_bytes * PART_FACTOR;
                    assert!(stays + waiting <= memory, "{limits:?} {rows} {sizes:?}");
                    assert!(stays + compared <= memory, "{limits:?} {rows} {sizes:?}");
                    let process = process_bytes(threads);
                    if process + threads * 2 * LEAST_SHARE <= memory / 4 * 3 {
                        assert!(
                            process + stays + waiting.max(compared) <= memory,
                            "{limits:?} {rows} {sizes:?}"
                        );
                    }
                    assert!(
                        sizes.parts as u64 <= MOST_PARTS && sizes.parts_of(u64::MAX) as u64 <= MOST_PARTS
                    );
                }
            }
        }
    }

    #[test]
    fn small_row_groups_are_read_together_and_large_ones_in_pieces() {
        let side = |groups: usize, rows: usize| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
            let batch = RecordBatch::try_from_iter([("n", values)]).unwrap();
            Side::memory(input::Side::Legacy, batch.schema(), vec![batch; groups])
        };
        let limits = Limits { threads: 2, memory: 1 << 30, spill: std::env::temp_dir() };
        let sizes = Sizes::new(&limits, 1 << 30, &sample(40, 0));
        let together = sizes.stretches(&side(30, 10_000));
        assert_eq!(together, [0..130_000, 130_000..260_000, 260_000..300_000]);
        assert_eq!(sizes.stretches(&side(2, 200_000)), [0..200_000, 200_000..400_000]);
        let short = Sizes { stretch_rows: 100_000, ..sizes };
        assert_eq!(short.stretches(&side(1, 250_000)).len(), 3);
    }

    #[test]
    fn a_stretch_is_short_only_for_what_is_held_until_it_ends() {
        let limits = Limits { threads: 2, memory: 100 << 20, spill: std::env::temp_dir() };
        let stretch = |rows, row, beside| Sizes::new(&limits, rows, &sample(row, beside)).stretch_rows;
        assert_eq!(stretch(1 << 30, 10_000, 0), MOST_STRETCH);
        assert_eq!(stretch(1 << 30, 10_000, 10_000), BATCH_ROWS as u64);
        // Each thread has something to read.
        assert_eq!(stretch(1 << 20, 40, 0), 1 << 18);
    }

    #[test]
    fn hardly_any_memory_is_enough_to_go_on() {
        for memory in [0, 1, 1 << 20] {
            let limits = Limits { threads: 2, memory, spill: std::env::temp_dir() };
            let sizes = Sizes::new(&limits, 1 << 30, &sample(40, 0));
            assert!(sizes.parts > 1 && sizes.stretch_rows > 0 && sizes.part_bytes >= LEAST_PART, "{sizes:?}");
        }
    }
}
