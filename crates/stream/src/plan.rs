//! Cuts sorted sides into ranges of the key that share no key, without reading more than a few rows a cut.
//!
//! A cut is a row of the larger side whose key is larger than that of the row before; on the other side the first row
//! that is not smaller is searched for near where it would stand if both sides went on alike. Where that search goes
//! wrong because a side is not sorted, the ranges overlap or do not ascend, and that is noticed when they are compared.

use std::ops::Range;

use dualrun_compare::{Common, CompareError, KeyRows};

use crate::{error::StreamError, side::Side};

/// Rows of the larger side in a range, as long as many are left.
const RANGE_ROWS: u64 = 1 << 20;
/// Below this many rows a range is not worth a cut.
const LEAST_ROWS: u64 = 1 << 17;
/// Rows whose keys are read at once where a key is searched for.
const WINDOW: u64 = 512;
/// So many rows with one key are passed over to find a cut; a longer stretch stays in one range.
const FARTHEST: u64 = 1 << 16;

/// The rows of a range on both sides.
pub(crate) type Ranges = (Range<u64>, Range<u64>);

/// How many rows of the larger side a range should have.
///
/// Large ranges cost few cuts; towards the end they become smaller, so that no thread waits long for the one that has the
/// last (guided self-scheduling, Polychronopoulos and Kuck 1987).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    least: u64,
    most: u64,
    /// Ranges that what is left is cut into at least.
    shares: u64,
}

impl Sizes {
    pub(crate) fn guided(threads: usize) -> Self {
        Self { least: LEAST_ROWS, most: RANGE_ROWS, shares: 2 * threads.max(1) as u64 }
    }

    #[cfg(test)]
    pub(crate) fn fixed(rows: u64) -> Self {
        Self { least: rows, most: rows, shares: 1 }
    }

    fn of(self, left: u64) -> u64 {
        (left / self.shares).clamp(self.least, self.most)
    }
}

/// Gives the ranges one after the other.
pub(crate) struct Planner<'a> {
    larger: &'a Side,
    smaller: &'a Side,
    /// The new side is the larger one.
    swapped: bool,
    common: &'a Common,
    boundaries: Vec<u64>,
    sizes: Sizes,
    /// Where the next range begins.
    at: Option<(u64, u64)>,
}

impl<'a> Planner<'a> {
    /// Ranges of about so many rows of the larger side.
    pub(crate) fn new(legacy: &'a Side, new: &'a Side, common: &'a Common, sizes: Sizes) -> Self {
        let swapped = new.rows() > legacy.rows();
        let (larger, smaller) = if swapped { (new, legacy) } else { (legacy, new) };
        Self { larger, smaller, swapped, common, boundaries: larger.boundaries(), sizes, at: Some((0, 0)) }
    }

    /// The next range; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Ranges>, StreamError> {
        let Some((from, other_from)) = self.at else { return Ok(None) };
        let cut = self.cut(from)?;
        let (to, other_to) = match cut {
            Some((row, ref pair)) => {
                let guess = other_from + (row - from);
                (row, self.search(pair, other_from, guess)?)
            }
            None => (self.larger.rows(), self.smaller.rows()),
        };
        self.at = cut.is_some().then_some((to, other_to));
        let (a, b) = (from..to, other_from..other_to);
        Ok(Some(if self.swapped { (b, a) } else { (a, b) }))
    }

    /// Where the range that begins at `from` ends, with the keys of the row before and of the row there.
    fn cut(&self, from: u64) -> Result<Option<(u64, KeyRows)>, StreamError> {
        let rows = self.larger.rows();
        let size = self.sizes.of(rows - from);
        let wanted = from + size;
        if wanted + size / 4 >= rows {
            return Ok(None);
        }
        let near = size / 2;
        let next = self.boundaries.partition_point(|boundary| *boundary < wanted - near);
        let mut row = match self.boundaries.get(next) {
            Some(boundary) if *boundary <= wanted + near => *boundary,
            _ => wanted,
        };
        let mut step = 1;
        while row < rows && step <= FARTHEST {
            let pair = self.larger.keys(row - 1..row + 1, self.common)?;
            match pair.compare(0, &pair, 1) {
                std::cmp::Ordering::Less => return Ok(Some((row, pair))),
                std::cmp::Ordering::Greater => return Err(StreamError::Compare(CompareError::RangesOverlap)),
                std::cmp::Ordering::Equal => {
                    row += step;
                    step *= 2;
                }
            }
        }
        Ok(None)
    }

    /// The first row of the other side, not before `from`, whose key is not smaller than the second of the pair.
    fn search(&self, pair: &KeyRows, from: u64, guess: u64) -> Result<u64, StreamError> {
        let rows = self.smaller.rows();
        // Everything before `low` is smaller, everything from `high` on is not.
        let (mut low, mut high) = (from, rows);
        let mut middle = guess.clamp(low, high);
        let mut reach = WINDOW;
        while low < high {
            let start = middle.saturating_sub(WINDOW / 2).clamp(low, high - 1);
            let end = (start + WINDOW).min(high);
            let window = self.smaller.keys(start..end, self.common)?;
            let found = window.lower_bound(pair, 1) as u64;
            if found == 0 {
                high = start;
                middle = start.saturating_sub(reach);
            } else if found == end - start {
                low = end;
                middle = end + reach;
            } else {
                return Ok(start + found);
            }
            // From where the sides have drifted apart, in steps that grow until the row is between two windows.
            reach = reach.saturating_mul(8);
            if middle <= low || middle >= high {
                middle = low + (high - low) / 2;
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_smaller_towards_the_end() {
        let sizes = Sizes::guided(2);
        assert_eq!(sizes.of(100 << 20), RANGE_ROWS);
        assert_eq!(sizes.of(2 << 20), RANGE_ROWS / 2);
        assert_eq!(sizes.of(1000), LEAST_ROWS);
        assert!(Sizes::guided(8).of(2 << 20) < sizes.of(2 << 20));
    }
}
