//! A measure of floats without nulls, where no change is declared.
//!
//! Where few cells of a chunk differ they are judged one by one. Where many do, as after an intended change, the chunk is
//! judged as a whole, and its sums are taken of whole columns: Σ|new − legacy| is the sum of the larger values less that of
//! the smaller ones, and cells that agree add nothing to it.

use dualrun_core::Verdict;

use super::{
    judge::Judge,
    stretch::{CHUNK, Rows},
};
use crate::error::CompareError;

/// From so many cells of a chunk on it is judged as a whole.
const MANY: usize = CHUNK / 4;

/// The values of the chunks that are judged as a whole; negative where they are taken away.
#[derive(Debug, Default)]
pub(super) struct Dense {
    new: Vec<f64>,
    legacy: Vec<f64>,
    larger: Vec<f64>,
    smaller: Vec<f64>,
}

impl Judge<'_> {
    pub(super) fn floats(
        &mut self,
        rows: Rows<'_>,
        column: usize,
        legacy: &[f64],
        new: &[f64],
    ) -> Result<(), CompareError> {
        let mut start = 0;
        for (l, n) in legacy.chunks(CHUNK).zip(new.chunks(CHUNK)) {
            let same = l.iter().zip(n).fold(true, |same, (a, b)| same & (a.to_bits() == b.to_bits()));
            if !same && !self.whole_chunk(column, start, l, n) {
                self.single_cells(rows, column, start, l, n)?;
            }
            start += l.len();
        }
        if let Some(figures) = &mut self.segments[column].figures {
            for values in [&mut self.dense.new, &mut self.dense.legacy] {
                figures.delta.floats(values);
                values.clear();
            }
            for values in [&mut self.dense.larger, &mut self.dense.smaller] {
                figures.gross.floats(values);
                values.clear();
            }
        }
        Ok(())
    }

    fn single_cells(
        &mut self,
        rows: Rows<'_>,
        column: usize,
        start: usize,
        legacy: &[f64],
        new: &[f64],
    ) -> Result<(), CompareError> {
        for (offset, (l, n)) in legacy.iter().zip(new).enumerate() {
            // −0.0 equals 0.0, and adds the same to every sum.
            if l.to_bits() == n.to_bits() || l == n {
                continue;
            }
            let position = start + offset;
            let segment = &mut self.segments[column];
            let verdict = match &mut segment.figures {
                Some(figures) if l.is_finite() && n.is_finite() => {
                    let (verdict, magnitude) = figures.floats(*l, *n);
                    if verdict == Verdict::Unexplained {
                        segment.stored(Some(magnitude).filter(|m| m.is_finite()), position);
                    }
                    verdict
                }
                _ => self.cell(&rows.row(position), column, position)?,
            };
            self.segments[column].verdicts.add(verdict);
            self.marks.mark(column, position, verdict);
        }
        Ok(())
    }

    /// Judges all cells of a chunk. `false`, and nothing done, where few differ, a value is not finite, or a difference
    /// lies so near to what is allowed that it has to be computed exactly.
    fn whole_chunk(&mut self, column: usize, start: usize, legacy: &[f64], new: &[f64]) -> bool {
        let segment = &mut self.segments[column];
        let Some(figures) = &mut segment.figures else { return false };
        let pairs = || legacy.iter().copied().zip(new.iter().copied());
        let differing = pairs().filter(|(l, n)| l != n).count();
        if differing < MANY {
            return false;
        }
        let (mut gaps, mut over) = ([0.0; CHUNK], [false; CHUNK]);
        let (mut largest, mut relative) = (0.0f64, 0.0f64);
        let (mut is_finite, mut is_near) = (true, false);
        for ((l, n), (gap, over)) in pairs().zip(gaps.iter_mut().zip(&mut over)) {
            is_finite &= l.is_finite() & n.is_finite();
            *gap = (n - l).abs();
            let allowed = figures.tolerance.allowance(l, n);
            is_near |= (l != n) & (*gap == allowed);
            *over = *gap > allowed;
            largest = largest.max(*gap);
            // NaN, 0 of 0, is no maximum.
            relative = relative.max(*gap / l.abs().max(n.abs()));
        }
        // The difference of two finite floats may exceed their range.
        if !is_finite || is_near || largest.is_infinite() {
            return false;
        }
        let beyond = over.iter().filter(|over| **over).count();
        figures.max_relative = figures.max_relative.max(relative);
        figures.beyond |= beyond > 0;
        segment.verdicts.unexplained += beyond as u64;
        segment.verdicts.within_tolerance += (differing - beyond) as u64;
        if beyond > 0 {
            let largest = gaps.iter().zip(&over).filter(|(_, over)| **over).map(|(gap, _)| *gap);
            let largest = largest.fold(0.0, f64::max);
            for (offset, (gap, over)) in gaps.iter().zip(&over).enumerate() {
                if *over && *gap == largest {
                    segment.stored(Some(largest), start + offset);
                }
            }
        }
        for (offset, _) in pairs().enumerate().filter(|(_, (l, n))| l != n) {
            let verdict = if over[offset] { Verdict::Unexplained } else { Verdict::WithinTolerance };
            self.marks.mark(column, start + offset, verdict);
        }
        self.dense.new.extend_from_slice(new);
        self.dense.legacy.extend(legacy.iter().map(|l| -l));
        self.dense.larger.extend(pairs().map(|(l, n)| l.max(n)));
        self.dense.smaller.extend(pairs().map(|(l, n)| -l.min(n)));
        true
    }
}
