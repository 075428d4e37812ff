//! Rows whose keys line up in all relations, column by column. Cells that hold the same bits everywhere agree,
//! whatever the tolerance and whatever was declared; only the others are looked at one by one.

use std::sync::Arc;

use dualrun_core::{
    Verdict,
    run::{CustomerVerdict, RowCounts},
};

use super::{
    cells::{Places, Slot},
    chunk::CHUNK,
    judge::{Judge, stored_places},
};
use crate::{
    block::Block,
    differences::{Chosen, MANY, RowKind, StretchRows},
    error::CompareError,
};

/// The rows from `start` on of a stretch that belong to one customer.
#[derive(Clone, Copy)]
pub(super) struct Rows<'b> {
    /// Each relation's block and the row that the stretch starts with.
    places: &'b [(Arc<Block>, usize)],
    start: usize,
    length: usize,
}

impl<'b> Rows<'b> {
    fn of(&self, relation: usize) -> (&'b Block, usize) {
        let (block, row) = &self.places[relation];
        (block, row + self.start)
    }

    /// Where the relations have one of the rows.
    pub(super) fn row(&self, position: usize) -> Places<'b> {
        let row = self.start + position;
        Places {
            blocks: self.places.iter().map(|(block, _)| Some(block)).collect(),
            slots: self.places.iter().map(|(_, first)| Slot { count: 1, row: first + row }).collect(),
        }
    }
}

impl Judge<'_> {
    /// Judges rows whose keys are the same in all relations and occur once.
    pub(super) fn stretch(
        &mut self,
        places: &[(Arc<Block>, usize)],
        length: usize,
    ) -> Result<(), CompareError> {
        let (owner, row) = &places[self.parts.legacy];
        let mut start = 0;
        while start < length {
            let same = owner.customer_stretch(row + start, length - start)?;
            let customer = owner.customer(row + start)?;
            if self.books.enter(customer.as_deref(), owner.customer_order(row + start))? {
                self.segment(Rows { places, start, length: same })?;
            } else {
                self.books.exclude(same as u64, same as u64);
            }
            start += same;
        }
        Ok(())
    }

    fn segment(&mut self, rows: Rows<'_>) -> Result<(), CompareError> {
        let length = rows.length as u64;
        self.marks.reserve(rows.length);
        for column in 0..self.segments.len() {
            self.column(rows, column)?;
            let verdicts = &mut self.segments[column].verdicts;
            verdicts.equal = 0;
            verdicts.equal = length - verdicts.total();
        }
        let mut counts = RowCounts { legacy: length, new: length, paired: length, ..RowCounts::default() };
        let (block, first) = rows.of(self.parts.legacy);
        if block.keys.nullable() {
            let nulls = (first..first + rows.length).filter(|row| block.keys.has_null(*row)).count();
            counts.null_keys = 2 * nulls as u64;
        }
        let worst = self.rows(rows, &mut counts)?;
        self.settle(&counts, worst, |position| rows.row(position))
    }

    /// Counts and stores the rows that were marked.
    fn rows(&mut self, rows: Rows<'_>, counts: &mut RowCounts) -> Result<CustomerVerdict, CompareError> {
        let parts = self.parts;
        let places = [parts.legacy, parts.new, parts.new_without, parts.legacy_with];
        let places = places.map(|relation| rows.of(relation));
        if let Some(differs) = self.marks.whole_columns(rows.length) {
            self.marks.clear();
            counts.verdicts.unexplained = rows.length as u64;
            self.writer.push_stretch(&StretchRows {
                places,
                chosen: Chosen::All { length: rows.length, differs: &differs },
            })?;
            return Ok(Verdict::Unexplained.into());
        }
        let marks = &mut self.marks;
        counts.verdicts.equal = (rows.length - marks.touched.len()) as u64;
        let mut worst = Verdict::Equal;
        let mut stored = Vec::with_capacity(marks.touched.len());
        for row in &marks.touched {
            let verdict = marks.worst[*row];
            counts.verdicts.add(verdict);
            worst = worst.max(verdict);
            if verdict > Verdict::WithinTolerance {
                stored.push(*row);
            }
        }
        if stored.len() >= MANY {
            self.writer.push_stretch(&StretchRows {
                places,
                chosen: Chosen::Some { rows: &stored, worst: &marks.worst, cells: &marks.cells },
            })?;
        } else if !stored.is_empty() {
            let mut places = rows.row(0);
            for row in stored {
                set_row(&mut places, rows, row);
                let cell =
                    |column: usize| Some(marks.cells[column][row]).filter(|v| *v > Verdict::WithinTolerance);
                let at = stored_places(&self.parts, &places);
                self.writer.push(RowKind::Paired, marks.worst[row], at, cell)?;
            }
        }
        marks.clear();
        Ok(worst.into())
    }

    fn column(&mut self, rows: Rows<'_>, column: usize) -> Result<(), CompareError> {
        let (legacy, at) = rows.of(self.parts.legacy);
        if let (Some(figures), Some(numbers)) = (&mut self.segments[column].figures, legacy.numbers(column)) {
            let not_finite = numbers.add_to(at, rows.length, &mut figures.legacy);
            figures.not_finite += 2 * not_finite as i64;
        }
        if self.plain {
            let (new, new_at) = rows.of(self.parts.new);
            if let (Some(l), Some(n)) = (
                legacy.numbers(column).and_then(|numbers| numbers.floats(at, rows.length)),
                new.numbers(column).and_then(|numbers| numbers.floats(new_at, rows.length)),
            ) {
                return self.floats(rows, column, l, n);
            }
        }
        let mut places = rows.row(0);
        for start in (0..rows.length).step_by(CHUNK) {
            let length = CHUNK.min(rows.length - start);
            if self.same(rows, column, start, length) {
                continue;
            }
            for position in start..start + length {
                if self.same(rows, column, position, 1) {
                    continue;
                }
                set_row(&mut places, rows, position);
                let verdict = self.cell(&places, column, position)?;
                self.segments[column].verdicts.add(verdict);
                self.marks.mark(column, position, verdict);
            }
        }
        Ok(())
    }

    /// Whether a column surely holds the same in all relations.
    fn same(&self, rows: Rows<'_>, column: usize, start: usize, length: usize) -> bool {
        let (legacy, at) = rows.of(self.parts.legacy);
        self.others.iter().all(|relation| {
            let (other, other_at) = rows.of(*relation);
            legacy.same(column, at + start, other, other_at + start, length)
        })
    }
}

fn set_row(places: &mut Places<'_>, rows: Rows<'_>, position: usize) {
    for (slot, (_, first)) in places.slots.iter_mut().zip(rows.places) {
        slot.row = first + rows.start + position;
    }
}
