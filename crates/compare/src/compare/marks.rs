//! Verdicts of the rows of a segment that are not all equal.

use std::ops::Range;

use dualrun_core::Verdict;

#[derive(Debug)]
pub(super) struct Marks {
    /// By row: the worst verdict.
    pub(super) worst: Vec<Verdict>,
    /// By column and row.
    pub(super) cells: Vec<Vec<Verdict>>,
    /// Rows with a verdict other than equal.
    pub(super) touched: Vec<usize>,
    /// By column: rows that all lie beyond tolerance and are not marked one by one. Where an intended change moves every
    /// row, none ever is.
    runs: Vec<Range<usize>>,
}

impl Marks {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            worst: Vec::new(),
            cells: vec![Vec::new(); columns],
            touched: Vec::new(),
            runs: vec![0..0; columns],
        }
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        if self.worst.len() < rows {
            self.worst.resize(rows, Verdict::Equal);
            self.cells.iter_mut().for_each(|cells| cells.resize(rows, Verdict::Equal));
        }
    }

    pub(super) fn mark(&mut self, column: usize, row: usize, verdict: Verdict) {
        if verdict == Verdict::Equal {
            return;
        }
        if self.worst[row] == Verdict::Equal {
            self.touched.push(row);
        }
        self.worst[row] = self.worst[row].max(verdict);
        self.cells[column][row] = verdict;
    }

    /// Marks rows that all lie beyond tolerance.
    pub(super) fn mark_all(&mut self, column: usize, rows: Range<usize>) {
        if self.runs[column].end == rows.start && !self.runs[column].is_empty() {
            self.runs[column].end = rows.end;
            return;
        }
        let before = std::mem::replace(&mut self.runs[column], rows);
        self.spread(column, before);
    }

    /// By column whether all of so many rows lie beyond tolerance, where in each column all do or all are equal; none
    /// otherwise, and then every row is marked for itself.
    pub(super) fn whole_columns(&mut self, rows: usize) -> Option<Vec<bool>> {
        let is_whole = |run: &Range<usize>| run.is_empty() || *run == (0..rows);
        if self.touched.is_empty() && self.runs.iter().all(is_whole) {
            let differs: Vec<bool> = self.runs.iter().map(|run| !run.is_empty()).collect();
            return differs.contains(&true).then_some(differs);
        }
        for column in 0..self.runs.len() {
            let run = std::mem::take(&mut self.runs[column]);
            self.spread(column, run);
        }
        if !self.touched.is_sorted() {
            self.touched.sort_unstable();
        }
        None
    }

    pub(super) fn clear(&mut self) {
        for row in self.touched.drain(..) {
            self.worst[row] = Verdict::Equal;
            self.cells.iter_mut().for_each(|cells| cells[row] = Verdict::Equal);
        }
        self.runs.fill(0..0);
    }

    fn spread(&mut self, column: usize, rows: Range<usize>) {
        rows.for_each(|row| self.mark(column, row, Verdict::Unexplained));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_whole_or_nothing_is() {
        let mut marks = Marks::new(2);
        marks.reserve(10);
        marks.mark_all(1, 0..4);
        marks.mark_all(1, 4..10);
        assert_eq!(marks.whole_columns(10), Some(vec![false, true]));
        marks.clear();
        assert_eq!(marks.whole_columns(10), None);
        assert!(marks.touched.is_empty());
    }

    #[test]
    fn what_is_not_whole_is_marked_row_by_row() {
        let mut marks = Marks::new(2);
        marks.reserve(10);
        marks.mark_all(0, 0..10);
        marks.mark_all(1, 0..2);
        marks.mark_all(1, 5..6);
        marks.mark(1, 3, Verdict::WithinTolerance);
        assert_eq!(marks.whole_columns(10), None);
        assert_eq!(marks.touched, (0..10).collect::<Vec<_>>());
        assert!(marks.cells[0][..10].iter().all(|v| *v == Verdict::Unexplained));
        let second: Vec<usize> = (0..10).filter(|row| marks.cells[1][*row] == Verdict::Unexplained).collect();
        assert_eq!(second, [0, 1, 5]);
        assert_eq!((marks.cells[1][3], marks.worst[3]), (Verdict::WithinTolerance, Verdict::Unexplained));
        marks.clear();
        assert!(marks.worst.iter().chain(&marks.cells[1]).all(|v| *v == Verdict::Equal));
    }
}
