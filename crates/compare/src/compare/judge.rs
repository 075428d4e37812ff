//! Gives verdicts: the rows of one key, and what is common to all ways of comparing.

use std::sync::Arc;

use dualrun_core::{
    Verdict,
    run::{CustomerVerdict, KeyPart, LargestDifference, RowCounts, figures::Figure},
};

use super::{
    books::{Books, Partial},
    cells::{Cell, Places},
    floats::Dense,
    group::Group,
    marks::Marks,
    walk::{KeyRange, key_bytes},
};
use crate::{
    block::{Block, Values},
    differences::{RowKind, Writer},
    error::CompareError,
    measure::{Sum, difference, relative},
    order::Order,
    schema::Common,
    segment::Segment,
    spec::Parts,
    tally::{Largest, count_one_sided},
    text::value_text,
    verdict::{Agreement, decide},
};

/// The state of the comparison of one range.
pub(super) struct Judge<'a> {
    pub(super) common: &'a Common,
    pub(super) parts: Parts,
    pub(super) plain: bool,
    /// The relations that play a part, apart from legacy.
    pub(super) others: Vec<usize>,
    pub(super) books: Books<'a>,
    pub(super) writer: Writer<'a>,
    pub(super) segments: Vec<Segment>,
    pub(super) marks: Marks,
    pub(super) dense: Dense,
    pub(super) scratch: (Vec<u8>, Vec<u8>),
    zeros: Vec<Option<(Sum, i64)>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        common: &'a Common,
        parts: Parts,
        relations: usize,
        order: Order,
        books: Books<'a>,
        writer: Writer<'a>,
    ) -> Self {
        let zero = |column: &crate::spec::CompareColumn| match common.schema.field_with_name(&column.name) {
            Ok(field) if matches!(column.kind, crate::spec::CompareKind::Measure { .. }) => {
                Some((Sum::zero(field.data_type()), 0))
            }
            _ => None,
        };
        Self {
            common,
            parts,
            plain: parts.is_plain(),
            others: (0..relations).filter(|r| *r != parts.legacy && parts.all().contains(r)).collect(),
            books,
            writer,
            segments: Segment::all(common, order),
            marks: Marks::new(common.spec.columns.len()),
            dense: Dense::default(),
            scratch: Default::default(),
            zeros: common.spec.columns.iter().map(zero).collect(),
        }
    }

    pub(super) fn finish(mut self, keys: KeyRange) -> Result<Partial, CompareError> {
        self.writer.flush()?;
        self.books.finish(keys, self.writer.written, self.writer.truncated)
    }

    /// Judges all rows of one key.
    pub(super) fn group(&mut self, group: &Group) -> Result<(), CompareError> {
        let (legacy, new) = (group.count(self.parts.legacy), group.count(self.parts.new));
        let Some((block, row)) = group.first(self.parts.legacy).or(group.first(self.parts.new)) else {
            // Only replays have the key.
            return Ok(());
        };
        if !self.books.enter(block.customer(row)?.as_deref(), block.customer_order(row))? {
            self.books.exclude(legacy, new);
            return Ok(());
        }
        let mut rows = RowCounts { legacy, new, ..RowCounts::default() };
        if block.keys.has_null(row) {
            rows.null_keys = legacy + new;
        }
        let places = group.places();
        let verdict = match (legacy, new) {
            (1, 1) => self.paired(&places, &mut rows)?,
            (1, 0) => self.one_sided(&places, true, &mut rows)?,
            (0, 1) => self.one_sided(&places, false, &mut rows)?,
            _ => self.ambiguous(group, &places, &mut rows)?,
        };
        self.settle(&rows, verdict, |position| {
            debug_assert_eq!(position, 0);
            group.places()
        })
    }

    /// Moves what the segments hold into the tallies. `places` finds a row by its position.
    pub(super) fn settle<'b>(
        &mut self,
        rows: &RowCounts,
        verdict: CustomerVerdict,
        places: impl Fn(usize) -> Places<'b>,
    ) -> Result<(), CompareError> {
        self.books.absorb(rows, verdict, &self.segments);
        for column in 0..self.segments.len() {
            if let Some((magnitude, position)) = self.segments[column].largest
                && self.books.would_lead(column, magnitude)
            {
                let tied = self.segments[column].tied.as_deref().unwrap_or_default();
                let place = tied.iter().fold(places(position), |smallest, other| {
                    let other = places(*other);
                    if self.precedes(&other, &smallest) { other } else { smallest }
                });
                let largest = self.largest(&place, column, magnitude)?;
                self.books.lead(column, &Arc::new(largest));
            }
            self.segments[column].clear();
        }
        Ok(())
    }

    /// Whether the key of a row is smaller than that of another.
    fn precedes(&self, places: &Places<'_>, other: &Places<'_>) -> bool {
        let of = |places: &Places<'_>| {
            let place = places.single(self.parts.legacy).or(places.single(self.parts.new));
            place.map(|(block, row)| (Arc::clone(block), row))
        };
        match (of(places), of(other)) {
            (Some((a, x)), Some((b, y))) => a.keys.compare_keys(x, &b.keys, y).is_lt(),
            _ => false,
        }
    }

    /// Sums of nothing, one a measure.
    pub(super) fn sums(&self) -> Vec<Option<(Sum, i64)>> {
        self.zeros.clone()
    }

    pub(super) fn add_to_sums(&self, sums: &mut [Option<(Sum, i64)>], block: &Block, row: usize) {
        for (column, sum) in sums.iter_mut().enumerate() {
            if let Some((sum, not_finite)) = sum {
                let value = block.number(column, row);
                *not_finite += i64::from(!value.is_summed());
                sum.add(value, false);
            }
        }
    }

    /// A cell of a key that both sides have once, whose legacy value was added to the totals of both sides.
    pub(super) fn cell(
        &mut self,
        places: &Places<'_>,
        column: usize,
        position: usize,
    ) -> Result<Verdict, CompareError> {
        let parts = self.parts;
        let scale = self.segments[column].scale();
        let mut failed = None;
        let (common, scratch) = (self.common, &mut self.scratch);
        let mut ask = |a: usize, b: usize| match places.agreement(common, column, scale, (a, b), scratch) {
            Ok(agreement) => agreement,
            Err(error) => {
                failed = Some(error);
                Agreement::Unknown
            }
        };
        let verdict = decide(&parts, &mut ask);
        // Documents are costly to compare, and only figures ask what the sides are to each other.
        let sides = self.segments[column].figures.is_some().then(|| ask(parts.legacy, parts.new));
        if let Some(error) = failed {
            return Err(error);
        }
        let (l, n) = (places.cell(parts.legacy, column).number(), places.cell(parts.new, column).number());
        let is_stored = verdict > Verdict::WithinTolerance;
        let segment = &mut self.segments[column];
        if let (Some(figures), Some(sides)) = (&mut segment.figures, sides) {
            figures.corrected(l, n);
            figures.paired(l, n, sides);
            figures.gross.add_gap(l, n);
            let magnitude = difference(l, n, scale).map(f64::abs).filter(|m| m.is_finite());
            if is_stored {
                segment.stored(magnitude, position);
            }
            self.unexplained(places, column);
        } else if is_stored {
            segment.stored(None, position);
        }
        Ok(verdict)
    }

    fn paired(&mut self, places: &Places<'_>, rows: &mut RowCounts) -> Result<CustomerVerdict, CompareError> {
        rows.paired = 1;
        let columns = self.segments.len();
        let mut verdicts = Vec::with_capacity(columns);
        for column in 0..columns {
            let legacy = places.cell(self.parts.legacy, column).number();
            if let Some(figures) = &mut self.segments[column].figures {
                figures.not_finite += 2 * i64::from(!legacy.is_summed());
                figures.legacy.add(legacy, false);
            }
            let verdict = self.cell(places, column, 0)?;
            self.segments[column].verdicts.add(verdict);
            verdicts.push(verdict);
        }
        let worst = verdicts.iter().copied().max().unwrap_or(Verdict::Equal);
        rows.verdicts.add(worst);
        if worst > Verdict::WithinTolerance {
            let cell = |column: usize| Some(verdicts[column]).filter(|v| *v > Verdict::WithinTolerance);
            self.writer.push(RowKind::Paired, worst, stored_places(&self.parts, places), cell)?;
        }
        Ok(worst.into())
    }

    /// A key that one side has once and the other not at all.
    fn one_sided(
        &mut self,
        places: &Places<'_>,
        is_legacy: bool,
        rows: &mut RowCounts,
    ) -> Result<CustomerVerdict, CompareError> {
        rows.only_legacy = u64::from(is_legacy);
        rows.only_new = u64::from(!is_legacy);
        let verdict = self.presence(places)?;
        count_one_sided(rows, verdict);
        for column in 0..self.segments.len() {
            let (l, n) = (
                places.cell(self.parts.legacy, column).number(),
                places.cell(self.parts.new, column).number(),
            );
            let scale = self.segments[column].scale();
            let segment = &mut self.segments[column];
            let Some(figures) = &mut segment.figures else { continue };
            figures.total(!is_legacy, if is_legacy { l } else { n });
            figures.one_sided(l, n);
            figures.gross.add_gap(l, n);
            segment.stored(difference(l, n, scale).map(f64::abs).filter(|m| m.is_finite()), 0);
            self.unexplained(places, column);
        }
        let kind = if is_legacy { RowKind::OnlyLegacy } else { RowKind::OnlyNew };
        self.writer.push(kind, verdict, stored_places(&self.parts, places), |_| Some(verdict))?;
        Ok(verdict.into())
    }

    /// The verdict of a row's presence, and of what U leaves in its cells.
    fn presence(&mut self, places: &Places<'_>) -> Result<Verdict, CompareError> {
        let parts = self.parts;
        let has = |relation: usize| places.slots[relation].count > 0;
        let verdict =
            decide(&parts, |a, b| if has(a) == has(b) { Agreement::Equal } else { Agreement::Differs });
        if verdict == Verdict::Unexplained {
            return Ok(verdict);
        }
        for column in 0..self.segments.len() {
            let scale = self.segments[column].scale();
            let pair = (parts.legacy_with, parts.new_without);
            let agreement = places.agreement(self.common, column, scale, pair, &mut self.scratch)?;
            if matches!(agreement, Agreement::Differs | Agreement::Unknown) {
                return Ok(Verdict::Unexplained);
            }
        }
        Ok(verdict)
    }

    /// A key that occurs more than once on either side: its rows are counted, its cells not compared.
    fn ambiguous(
        &mut self,
        group: &Group,
        places: &Places<'_>,
        rows: &mut RowCounts,
    ) -> Result<CustomerVerdict, CompareError> {
        rows.ambiguous_key.legacy = rows.legacy;
        rows.ambiguous_key.new = rows.new;
        let of = |relation: usize| group.sums(relation, self);
        let (legacy, new) = (of(self.parts.legacy), of(self.parts.new));
        let (with, without) = (of(self.parts.legacy_with), of(self.parts.new_without));
        for column in 0..self.segments.len() {
            let Some(figures) = &mut self.segments[column].figures else { continue };
            let (Some(l), Some(n), Some(w), Some(v)) =
                (&legacy[column], &new[column], &with[column], &without[column])
            else {
                continue;
            };
            let gap = |a: &Sum, b: &Sum| {
                let mut gap = b.clone();
                gap.merge(a, true);
                gap
            };
            figures.not_finite += l.1 + n.1;
            let gross = gap(&l.0, &n.0);
            figures.beyond |= !gross.is_zero();
            figures.legacy.add_sum(&l.0, false);
            figures.delta.add_sum(&gross, false);
            figures.gross.add_magnitude(&gross);
            figures.unexplained.add_magnitude(&gap(&w.0, &v.0));
        }
        let kind = RowKind::Ambiguous { legacy: rows.legacy, new: rows.new };
        let firsts = |relation: usize| places.blocks[relation].map(|b| (b, places.slots[relation].row));
        let stored = [firsts(self.parts.legacy), firsts(self.parts.new), None, None];
        self.writer.push(kind, Verdict::Unexplained, stored, |_| None)?;
        Ok(CustomerVerdict::Unexplained)
    }

    /// Adds |U| of a row. Without changes it is the gross difference.
    fn unexplained(&mut self, places: &Places<'_>, column: usize) {
        if self.plain {
            return;
        }
        let (with, without) =
            (places.cell(self.parts.legacy_with, column), places.cell(self.parts.new_without, column));
        if let Some(figures) = &mut self.segments[column].figures
            && with != Cell::Unknown
            && without != Cell::Unknown
        {
            figures.unexplained.add_gap(with.number(), without.number());
        }
    }

    fn largest(
        &self,
        places: &Places<'_>,
        column: usize,
        magnitude: Option<f64>,
    ) -> Result<Largest, CompareError> {
        let (legacy, new) = (places.single(self.parts.legacy), places.single(self.parts.new));
        let mut report =
            LargestDifference { key: Vec::new(), legacy: None, new: None, difference: None, relative: None };
        let mut order = Vec::new();
        if let Some((block, row)) = legacy.or(new) {
            if !self.books.in_order() {
                order = key_bytes(block, row)?;
            }
            for (name, source) in self.common.spec.key.iter().zip(&block.key_columns) {
                report.key.push(KeyPart { column: name.clone(), value: value_text(&source.array, row)? });
            }
        }
        let scale = self.segments[column].scale();
        let text = |place: Option<(&Arc<Block>, usize)>| match place {
            None => Ok(None),
            Some((block, row)) => match &block.columns[column].values {
                Values::Measure(numbers) => Ok(numbers.get(row).text(scale)),
                Values::Attribute(_) => value_text(&block.columns[column].source.array, row),
            },
        };
        report.legacy = text(legacy)?;
        report.new = text(new)?;
        if magnitude.is_some()
            && let Some(Some((zero, _))) = self.zeros.get(column)
        {
            let value = |place: Option<(&Arc<Block>, usize)>| {
                place.map_or(crate::measure::Num::Null, |(block, row)| block.number(column, row))
            };
            let (l, n) = (value(legacy), value(new));
            let mut exact = zero.clone();
            exact.add(n, false);
            exact.add(l, true);
            report.difference = Some(exact.shown(scale).into_figure());
            report.relative = relative(l, n, scale).map(Figure::from_f64);
        }
        Ok(Largest { magnitude, order, report })
    }
}

/// Where the stored relations have a row.
pub(super) fn stored_places<'b>(parts: &Parts, places: &Places<'b>) -> [Option<(&'b Arc<Block>, usize)>; 4] {
    [parts.legacy, parts.new, parts.new_without, parts.legacy_with].map(|relation| places.single(relation))
}
