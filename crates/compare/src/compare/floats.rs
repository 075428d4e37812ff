//! A measure of floats without nulls, where no change is declared.
//!
//! Where few cells of a chunk differ they are judged one by one. Where many do, as after an intended change, the chunk is
//! judged as a whole, and its sums are taken of whole columns: Σ|new − legacy| is twice the sum of the larger values less
//! that of all, and cells that agree add nothing to it.

use std::ops::Range;

use dualrun_core::Verdict;

use super::{
    chunk::{CHUNK, gaps, is_same, look},
    judge::Judge,
    stretch::Rows,
};
use crate::{error::CompareError, exact_slice::exact_parts};

/// From so many cells of a chunk on it is judged as a whole.
const MANY: usize = CHUNK / 4;

/// The chunks that are judged as a whole.
#[derive(Debug, Default)]
pub(super) struct Dense {
    /// Rows that follow each other.
    runs: Vec<Range<usize>>,
    /// The larger values of their pairs.
    larger: Vec<f64>,
    /// Floats with the sum of one side of a run.
    legacy: Vec<f64>,
    new: Vec<f64>,
    both: Vec<f64>,
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
            if !is_same(l, n) && !self.whole_chunk(column, start, l, n) {
                self.single_cells(rows, column, start, l, n)?;
            }
            start += l.len();
        }
        self.sum_runs(column, legacy, new);
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
        let Some(seen) = look(legacy, new, figures.tolerance) else { return false };
        if seen.differing < MANY {
            return false;
        }
        let tolerance = figures.tolerance;
        figures.max_relative = figures.max_relative.max(seen.relative);
        figures.beyond |= seen.beyond > 0;
        segment.verdicts.unexplained += seen.beyond as u64;
        segment.verdicts.within_tolerance += (seen.differing - seen.beyond) as u64;
        let end = start + legacy.len();
        if seen.beyond == legacy.len() {
            self.marks.mark_all(column, start..end);
            if segment.may_store(seen.largest) {
                let gaps = gaps(legacy, new);
                let largest = (0..legacy.len()).filter(|offset| gaps[*offset] == seen.largest);
                largest.for_each(|offset| segment.stored(Some(seen.largest), start + offset));
            }
        } else {
            let gaps = gaps(legacy, new);
            for (offset, (l, n)) in legacy.iter().zip(new).enumerate().filter(|(_, (l, n))| l != n) {
                let verdict = if gaps[offset] > tolerance.allowance(*l, *n) {
                    segment.stored(Some(gaps[offset]), start + offset);
                    Verdict::Unexplained
                } else {
                    Verdict::WithinTolerance
                };
                self.marks.mark(column, start + offset, verdict);
            }
        }
        let larger = legacy.iter().zip(new).map(|(l, n)| if l > n { *l } else { *n });
        self.dense.larger.extend(larger);
        match self.dense.runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => self.dense.runs.push(start..end),
        }
        true
    }

    /// Adds up the chunks that were judged as a whole.
    fn sum_runs(&mut self, column: usize, legacy: &[f64], new: &[f64]) {
        let dense = &mut self.dense;
        if let Some(figures) = &mut self.segments[column].figures {
            for run in &dense.runs {
                dense.legacy.clear();
                dense.new.clear();
                match figures.legacy.float_parts() {
                    // What the whole segment adds up to is known.
                    Some(parts) if run.len() == legacy.len() => dense.legacy.extend_from_slice(parts),
                    _ => _ = exact_parts(&legacy[run.clone()], &mut dense.legacy),
                }
                exact_parts(&new[run.clone()], &mut dense.new);
                figures.delta.floats(&dense.new);
                for part in &dense.legacy {
                    figures.delta.float(-part);
                }
                for part in dense.legacy.iter().chain(&dense.new) {
                    figures.gross.float(-part);
                }
            }
            exact_parts(&dense.larger, &mut dense.both);
            for _ in 0..2 {
                figures.gross.floats(&dense.both);
            }
        }
        dense.runs.clear();
        dense.larger.clear();
        dense.both.clear();
    }
}
