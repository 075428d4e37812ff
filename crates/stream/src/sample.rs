//! Differences that signatures are looked for in: evenly spaced ones, so that no part of the key speaks for all.

use arrow::{
    array::UInt32Array,
    compute::{concat_batches, take_record_batch},
    error::ArrowError,
    record_batch::RecordBatch,
};

/// So many small batches are made one.
const SMALL: usize = 64;

/// One of so many rows of a sequence, no more than twice as many as are wanted; every row as long as there are few.
///
/// Which rows these are depends on the rows that are offered, and on nothing else.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    wanted: u64,
    /// One of so many rows is kept: a power of two.
    stride: u64,
    offered: u64,
    kept: Vec<RecordBatch>,
    rows: u64,
}

impl Sample {
    pub(crate) fn new(wanted: u64) -> Self {
        Self::with_stride(wanted, 1)
    }

    /// A sample that will become part of one that keeps no more than one of so many rows anyway: what is found in the end
    /// is the same.
    pub(crate) fn with_stride(wanted: u64, stride: u64) -> Self {
        Self { wanted, stride, ..Self::default() }
    }

    pub(crate) fn stride(&self) -> u64 {
        self.stride
    }

    /// Whether any row is kept.
    pub(crate) fn wants(&self) -> bool {
        self.wanted > 0
    }

    /// Offers the next rows. Those that are kept are copied, and go through `plain`: a slice would keep what the whole
    /// batch was cut from.
    pub(crate) fn offer<E: From<ArrowError>>(
        &mut self,
        batch: &RecordBatch,
        plain: impl FnOnce(RecordBatch) -> Result<RecordBatch, E>,
    ) -> Result<(), E> {
        if !self.wants() {
            return Ok(());
        }
        let rows = batch.num_rows();
        let mut picked = positions(self.offered, rows, self.stride);
        // Thinned before they are copied rather than after it.
        while self.rows + picked.len() as u64 > self.wanted.saturating_mul(2) {
            self.thin()?;
            picked = positions(self.offered, rows, self.stride);
        }
        self.offered += rows as u64;
        if picked.is_empty() {
            return Ok(());
        }
        let picked = plain(take_record_batch(batch, &picked)?)?;
        Ok(self.keep(picked)?)
    }

    /// Adds what was kept of the rows behind these.
    pub(crate) fn append(&mut self, next: Self) -> Result<(), ArrowError> {
        while self.stride < next.stride {
            self.thin()?;
        }
        if let Some(rows) = joined(next.kept)? {
            // From its own first row on, so that it does not matter how far the part was thinned before.
            let picked = positions(0, rows.num_rows(), self.stride / next.stride);
            self.keep(take_record_batch(&rows, &picked)?)?;
        }
        self.offered += next.offered;
        while self.rows > self.wanted.saturating_mul(2) {
            self.thin()?;
        }
        Ok(())
    }

    /// The rows in their order: all, or between half as many as are wanted and as many.
    pub(crate) fn finish(mut self) -> Result<Vec<RecordBatch>, ArrowError> {
        while self.rows > self.wanted {
            self.thin()?;
        }
        Ok(self.kept)
    }

    fn keep(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        if batch.num_rows() > 0 {
            self.kept.push(batch);
        }
        if self.kept.len() > SMALL {
            self.kept = joined(std::mem::take(&mut self.kept))?.into_iter().collect();
        }
        Ok(())
    }

    /// Keeps every other one.
    fn thin(&mut self) -> Result<(), ArrowError> {
        self.stride *= 2;
        let Some(all) = joined(std::mem::take(&mut self.kept))? else { return Ok(()) };
        let half = take_record_batch(&all, &positions(0, all.num_rows(), 2))?;
        self.rows = half.num_rows() as u64;
        self.kept = vec![half];
        Ok(())
    }
}

/// Which of some rows are kept, the first of which stands at `start`: those at multiples of the stride.
fn positions(start: u64, rows: usize, stride: u64) -> UInt32Array {
    let first = start.next_multiple_of(stride) - start;
    // A batch has far fewer than 2^32 rows.
    let places = (first..rows as u64).step_by(usize::try_from(stride).unwrap_or(usize::MAX));
    UInt32Array::from_iter_values(places.map(|row| row as u32))
}

fn joined(batches: Vec<RecordBatch>) -> Result<Option<RecordBatch>, ArrowError> {
    match batches.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [first, ..] => concat_batches(&first.schema(), &batches).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{AsArray, Int64Array},
        datatypes::Int64Type,
    };
    use proptest::prelude::*;

    use super::*;

    /// Rows that hold their place in the sequence, in parts of so many rows, offered by so many.
    fn sample(parts: &[usize], batch: usize, wanted: u64) -> Vec<i64> {
        let found = sample_knowing(parts, batch, wanted, false);
        assert_eq!(sample_knowing(parts, batch, wanted, true), found);
        found
    }

    /// As `sample`; parts may know how the ones before were thinned.
    fn sample_knowing(parts: &[usize], batch: usize, wanted: u64, known: bool) -> Vec<i64> {
        let mut all = Sample::new(wanted);
        let mut next = 0i64;
        for rows in parts {
            let mut part = Sample::with_stride(wanted, if known { all.stride() } else { 1 });
            let places: Vec<i64> = (next..).take(*rows).collect();
            next += *rows as i64;
            for places in places.chunks(batch) {
                let values = Int64Array::from(places.to_vec());
                let offered = RecordBatch::try_from_iter([("place", Arc::new(values) as _)]).unwrap();
                part.offer::<ArrowError>(&offered, Ok).unwrap();
                assert!(part.rows <= 2 * wanted);
            }
            all.append(part).unwrap();
            assert!(all.rows <= 2 * wanted && all.kept.len() <= SMALL);
        }
        let kept = all.finish().unwrap();
        let of = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        kept.iter().flat_map(of).collect()
    }

    #[test]
    fn few_rows_come_all() {
        assert_eq!(sample(&[3, 0, 7], 2, 10), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn rows_of_one_part_are_evenly_spaced() {
        assert_eq!(sample(&[16], 5, 4), [0, 4, 8, 12]);
        assert_eq!(sample(&[8000], 1000, 4000), (0..8000).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn a_large_part_has_more_rows_than_a_small_one() {
        let found = sample(&[1000, 10, 3000], 64, 100);
        let count = |from: i64, to: i64| found.iter().filter(|place| (from..to).contains(place)).count();
        assert!((50..=100).contains(&found.len()), "{found:?}");
        let shares = (count(0, 1000), count(1000, 1010), count(1010, 4010));
        assert!(shares.0.abs_diff(found.len() / 4) < 3 && shares.1 <= 1, "{shares:?}");
    }

    proptest! {
        #[test]
        fn every_stretch_of_the_sequence_is_seen(
            parts in prop::collection::vec(0usize..700, 1..30),
            batch in 1usize..200,
            wanted in 1u64..100,
        ) {
            let found = sample(&parts, batch, wanted);
            let all: usize = parts.iter().sum();
            if all as u64 <= wanted {
                prop_assert_eq!(found.len(), all);
            } else {
                prop_assert!(found.len() as u64 <= wanted);
                prop_assert!(found.is_sorted_by(|a, b| a < b));
                // No gap is much longer than the distance on average.
                let far = 8 * (all / wanted as usize + 1) as i64;
                let edges: Vec<i64> = [0].into_iter().chain(found).chain([all as i64]).collect();
                for gap in edges.windows(2) {
                    prop_assert!(gap[1] - gap[0] <= far, "{gap:?} {far}");
                }
            }
        }
    }
}
