//! Differences that signatures are looked for in: a few of each part, so that no part of the key speaks for all.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow::{array::UInt32Array, compute::take_record_batch, error::ArrowError, record_batch::RecordBatch};

/// How many rows a part may give; it falls as parts come that have much to give.
///
/// Whatever a part saw of it while it was compared, it was never less than in the end: the sample does not depend on which
/// thread was faster.
#[derive(Debug)]
pub(crate) struct Share(AtomicU64);

impl Share {
    pub(crate) fn new(rows: u64) -> Self {
        Self(AtomicU64::new(rows))
    }

    pub(crate) fn rows(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rows that the parts gave, no more than twice as many as are wanted.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// One entry a part that has rows.
    parts: Vec<Vec<RecordBatch>>,
    rows: u64,
}

impl Sample {
    /// Adds the first rows of a part. Where there are more than twice the wanted ones then, the share falls and all
    /// parts are shortened.
    pub(crate) fn add(
        &mut self,
        part: Vec<RecordBatch>,
        share: &Share,
        wanted: u64,
    ) -> Result<(), ArrowError> {
        let part = first_rows(part, share.rows())?;
        if part.is_empty() {
            return Ok(());
        }
        self.rows += count(&part);
        self.parts.push(part);
        if self.rows > wanted.saturating_mul(2) { self.shorten(share, wanted) } else { Ok(()) }
    }

    /// The rows, in the order of the parts: all that were given, or about as many as are wanted.
    pub(crate) fn finish(mut self, share: &Share, wanted: u64) -> Result<Vec<RecordBatch>, ArrowError> {
        if self.rows > wanted {
            self.shorten(share, wanted)?;
        }
        Ok(self.parts.into_iter().flatten().collect())
    }

    /// Gives each part the largest share with which they do not exceed what is wanted, and one row at least.
    fn shorten(&mut self, share: &Share, wanted: u64) -> Result<(), ArrowError> {
        let counts: Vec<u64> = self.parts.iter().map(|part| count(part)).collect();
        let given = |share: u64| counts.iter().map(|rows| share.min(*rows)).sum::<u64>();
        let (mut low, mut high) = (1, share.rows());
        while low < high {
            let middle = high - (high - low) / 2;
            if given(middle) <= wanted {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        share.0.store(low, Ordering::Relaxed);
        for part in &mut self.parts {
            *part = first_rows(std::mem::take(part), low)?;
        }
        self.rows = given(low);
        Ok(())
    }
}

/// The first rows, copied where a batch holds more: a slice would keep the whole of it.
pub(crate) fn first_rows(batches: Vec<RecordBatch>, rows: u64) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let mut first = Vec::new();
    for batch in batches {
        if left == 0 {
            break;
        }
        let taken = batch.num_rows().min(left);
        left -= taken;
        first.push(if taken == batch.num_rows() { batch } else { copied(&batch, taken)? });
    }
    Ok(first)
}

/// A copy of the first rows.
pub(crate) fn copied(batch: &RecordBatch, rows: usize) -> Result<RecordBatch, ArrowError> {
    // A batch has far fewer than 2^32 rows.
    take_record_batch(batch, &UInt32Array::from_iter_values(0..rows as u32))
}

fn count(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{array::AsArray, datatypes::Int64Type};
    use proptest::prelude::*;

    use super::*;

    fn part(number: usize, rows: usize) -> Vec<RecordBatch> {
        let batch = |rows: usize| {
            let values = arrow::array::Int64Array::from_iter_values((0..rows).map(|_| number as i64));
            RecordBatch::try_from_iter([("part", Arc::new(values) as _)]).unwrap()
        };
        if rows == 0 { Vec::new() } else { vec![batch(rows / 2), batch(rows - rows / 2)] }
    }

    /// Rows of each part.
    fn sample(parts: &[usize], wanted: u64) -> Vec<u64> {
        let share = Share::new(wanted);
        let mut sample = Sample::default();
        for (number, rows) in parts.iter().enumerate() {
            sample.add(part(number, *rows), &share, wanted).unwrap();
            assert!(sample.rows <= (2 * wanted).max(number as u64 + 1));
        }
        let mut found = vec![0; parts.len()];
        for batch in sample.finish(&share, wanted).unwrap() {
            batch.column(0).as_primitive::<Int64Type>().values().iter().for_each(|n| found[*n as usize] += 1);
        }
        found
    }

    #[test]
    fn few_rows_come_all() {
        assert_eq!(sample(&[3, 0, 7], 10), [3, 0, 7]);
    }

    #[test]
    fn no_part_speaks_for_all() {
        assert_eq!(sample(&[1000, 10, 1000, 2, 1000], 100), [29, 10, 29, 2, 29]);
        assert_eq!(sample(&[9; 20], 5), [1; 20]);
    }

    proptest! {
        #[test]
        fn about_as_many_as_are_wanted(parts in prop::collection::vec(0usize..60, 0..30), wanted in 1u64..200) {
            let found = sample(&parts, wanted);
            let (all, given): (u64, u64) = (parts.iter().map(|n| *n as u64).sum(), found.iter().sum());
            let filled = parts.iter().filter(|n| **n > 0).count() as u64;
            prop_assert!(given <= wanted.max(filled));
            // Every part has its share or is in whole.
            let share = found.iter().max().copied().unwrap_or(0);
            if all <= wanted {
                prop_assert_eq!(given, all);
            } else {
                for (rows, found) in parts.iter().zip(&found) {
                    prop_assert_eq!(*found, share.min(*rows as u64));
                }
            }
        }
    }
}
