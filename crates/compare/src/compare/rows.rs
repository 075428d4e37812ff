//! The rows of one key: paired, on one side only, or ambiguous.

use dualrun_core::{Verdict, run::CustomerVerdict};

use super::{
    cells::{Cell, Reader},
    is_stored,
};
use crate::{
    differences::{Difference, Writer},
    error::CompareError,
    measure::{Sum, difference, relative},
    merge::{Group, RowRef},
    schema::Common,
    spec::{CompareKind, Parts},
    tally::{Tally, count_ambiguous, count_one_sided},
    verdict::{Agreement, decide, difference_kind},
};

/// One key in the middle of being judged.
pub(super) struct Row<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) common: &'r Common,
    pub(super) parts: &'r Parts,
    pub(super) tally: &'r mut Tally,
    pub(super) writer: &'r mut Writer<'a>,
    pub(super) group: &'r Group,
}

impl<'r> Row<'r, '_> {
    /// A key that both sides have once.
    pub(super) fn paired(&mut self) -> Result<(), CompareError> {
        self.tally.rows.paired += 1;
        let mut worst = Verdict::Equal;
        for column in 0..self.common.spec.columns.len() {
            let verdict = self.paired_cell(column)?;
            self.tally.columns[column].verdicts.add(verdict);
            worst = worst.max(verdict);
        }
        self.tally.rows.verdicts.add(worst);
        self.tally.worsen(worst.into());
        Ok(())
    }

    fn paired_cell(&mut self, column: usize) -> Result<Verdict, CompareError> {
        let (group, parts) = (self.group, self.parts);
        let scale = self.scale(column);
        let mut kind = None;
        let mut failed = None;
        let mut sides = None;
        let reader = &mut *self.reader;
        let mut ask = |a: usize, b: usize| match reader.agreement(group, column, scale, (a, b)) {
            Ok((agreement, found)) => {
                if (a, b) == (parts.legacy, parts.new) {
                    sides = Some(agreement);
                }
                kind = kind.or(found);
                agreement
            }
            Err(error) => {
                failed = Some(error);
                Agreement::Unknown
            }
        };
        let verdict = decide(parts, &mut ask);
        if let Some(error) = failed {
            return Err(error);
        }
        if self.is_measure(column) {
            let sides = match sides {
                Some(agreement) => agreement,
                None => self.reader.agreement(group, column, scale, (parts.legacy, parts.new))?.0,
            };
            self.count_figures(column, Some(sides))?;
        }
        if is_stored(verdict) && !self.writer.is_full() {
            self.store(column, verdict, kind, "both")?;
        }
        Ok(verdict)
    }

    /// A key that one side has once and the other not at all.
    pub(super) fn one_sided(&mut self, is_legacy: bool) -> Result<(), CompareError> {
        let side = if is_legacy { "legacy" } else { "new" };
        if is_legacy {
            self.tally.rows.only_legacy += 1;
        } else {
            self.tally.rows.only_new += 1;
        }
        let verdict = self.presence()?;
        count_one_sided(&mut self.tally.rows, verdict);
        self.tally.worsen(verdict.into());
        let key = self.key();
        if let Some(key) = key {
            let text = |has: bool| Some(if has { "present" } else { "absent" }.to_owned());
            let row = Difference {
                column: "presence",
                kind: "presence",
                difference_kind: "presence",
                side,
                legacy: text(is_legacy),
                new: text(!is_legacy),
                ..Default::default()
            };
            self.writer.push(key, verdict, row)?;
        }
        for column in 0..self.common.spec.columns.len() {
            if self.is_measure(column) {
                self.count_figures(column, None)?;
                self.store(column, verdict, Some("presence"), side)?;
            }
        }
        Ok(())
    }

    /// The verdict of a row's presence, and of what U leaves in its cells.
    fn presence(&mut self) -> Result<Verdict, CompareError> {
        let (group, parts) = (self.group, self.parts);
        let verdict = decide(parts, |a, b| match (group.rows[a].len().min(1), group.rows[b].len().min(1)) {
            (x, y) if x == y => Agreement::Equal,
            _ => Agreement::Differs,
        });
        if verdict == Verdict::Unexplained {
            return Ok(verdict);
        }
        for column in 0..self.common.spec.columns.len() {
            let scale = self.scale(column);
            let pair = (parts.legacy_with, parts.new_without);
            let (agreement, _) = self.reader.agreement(group, column, scale, pair)?;
            if matches!(agreement, Agreement::Differs | Agreement::Unknown) {
                return Ok(Verdict::Unexplained);
            }
        }
        Ok(verdict)
    }

    /// A key that occurs more than once on either side: its rows are counted, its cells not compared.
    pub(super) fn ambiguous(&mut self) -> Result<(), CompareError> {
        let of = |relation: usize| self.group.rows[relation].len() as u64;
        let (legacy, new) = (of(self.parts.legacy), of(self.parts.new));
        count_ambiguous(&mut self.tally.rows.ambiguous_key, legacy, new);
        self.tally.worsen(CustomerVerdict::Unexplained);
        for column in 0..self.common.spec.columns.len() {
            if self.is_measure(column) {
                self.ambiguous_figures(column)?;
            }
        }
        if let Some(key) = self.key() {
            let side = match (legacy, new) {
                (_, 0) => "legacy",
                (0, _) => "new",
                _ => "both",
            };
            let row = Difference {
                column: "key",
                kind: "ambiguous_key",
                difference_kind: "ambiguous_key",
                side,
                legacy: Some(legacy.to_string()),
                new: Some(new.to_string()),
                ..Default::default()
            };
            self.writer.push(key, Verdict::Unexplained, row)?;
        }
        Ok(())
    }

    fn ambiguous_figures(&mut self, column: usize) -> Result<(), CompareError> {
        let parts = self.parts;
        let mut sums = Vec::with_capacity(4);
        for relation in [parts.legacy, parts.new, parts.legacy_with, parts.new_without] {
            let mut sum = Sum::zero(self.common.schema.field(self.field(column)).data_type());
            for row in &self.group.rows[relation] {
                let value = self.reader.view(relation, row)?.number(column, row.row);
                sum.add(value, false).ok_or_else(|| self.overflow(column))?;
                let is_side = sums.len() < 2;
                if is_side && let Some(figures) = &mut self.tally.columns[column].figures {
                    figures.total(sums.len() == 1, value).ok_or_else(|| overflow(self.common, column))?;
                }
            }
            sums.push(sum);
        }
        if let ([legacy, new, with, without], Some(figures)) =
            (sums.as_slice(), &mut self.tally.columns[column].figures)
        {
            figures.ambiguous(legacy, new, with, without).ok_or_else(|| overflow(self.common, column))?;
        }
        Ok(())
    }

    /// Adds the values of a measure to the sums.
    fn count_figures(&mut self, column: usize, sides: Option<Agreement>) -> Result<(), CompareError> {
        let cell = |relation: usize| self.reader.cell(self.group, relation, column);
        let (legacy, new) = (cell(self.parts.legacy), cell(self.parts.new));
        let (with, without) = (cell(self.parts.legacy_with), cell(self.parts.new_without));
        let (l, n) = (legacy.number(), new.number());
        let declared = &self.common.spec.columns[column];
        let Some(figures) = &mut self.tally.columns[column].figures else { return Ok(()) };
        let mut add = || {
            if legacy != Cell::Absent {
                figures.total(false, l)?;
            }
            if new != Cell::Absent {
                figures.total(true, n)?;
            }
            figures.gap(l, n)?;
            if with != Cell::Unknown && without != Cell::Unknown {
                figures.unexplained(with.number(), without.number())?;
            }
            match sides {
                Some(agreement) => figures.paired(l, n, agreement),
                None => figures.one_sided(declared, l, n),
            }
            Some(())
        };
        add().ok_or_else(|| overflow(self.common, column))
    }

    /// Stores a cell that differs.
    fn store(
        &mut self,
        column: usize,
        verdict: Verdict,
        attribute_kind: Option<&'static str>,
        side: &'static str,
    ) -> Result<(), CompareError> {
        let Some(key) = self.key() else { return Ok(()) };
        let (group, parts) = (self.group, self.parts);
        let name = self.common.spec.columns[column].name.as_str();
        if !self.is_measure(column) {
            let row = Difference {
                column: name,
                kind: "attribute",
                difference_kind: attribute_kind.unwrap_or("value"),
                side,
                legacy: self.reader.attribute_text(group, parts.legacy, column)?,
                new: self.reader.attribute_text(group, parts.new, column)?,
                ..Default::default()
            };
            return self.writer.push(key, verdict, row);
        }
        let scale = self.scale(column);
        let cell = |relation: usize| self.reader.cell(group, relation, column);
        let (legacy, new) = (cell(parts.legacy), cell(parts.new));
        let (with, without) = (cell(parts.legacy_with), cell(parts.new_without));
        let (l, n) = (legacy.number(), new.number());
        let known = with != Cell::Unknown && without != Cell::Unknown;
        let row = Difference {
            column: name,
            kind: "measure",
            difference_kind: attribute_kind.unwrap_or_else(|| match difference_kind(l, n) {
                // Where the sides agree, U is what differs.
                "value" if l == n => difference_kind(with.number(), without.number()),
                kind => kind,
            }),
            side,
            legacy: l.text(scale),
            new: n.text(scale),
            legacy_value: legacy.to_f64(scale),
            new_value: new.to_f64(scale),
            without_changes: without.to_f64(scale),
            with_fixes: with.to_f64(scale),
            difference: finite(difference(l, n, scale)),
            relative: relative(l, n, scale),
            unexplained: if known {
                finite(difference(with.number(), without.number(), scale))
            } else {
                None
            },
        };
        self.writer.push(key, verdict, row)
    }

    fn key(&self) -> Option<&'r RowRef> {
        let group: &'r Group = self.group;
        let rows = &group.rows;
        rows[self.parts.legacy].first().or(rows[self.parts.new].first())
    }

    fn is_measure(&self, column: usize) -> bool {
        matches!(self.common.spec.columns[column].kind, CompareKind::Measure { .. })
    }

    fn scale(&self, column: usize) -> i8 {
        self.tally.columns[column].figures.as_ref().map_or(0, |f| f.scale())
    }

    /// The position of a compared column in the schema: behind the key columns.
    fn field(&self, column: usize) -> usize {
        self.common.spec.key.len() + column
    }

    fn overflow(&self, column: usize) -> CompareError {
        overflow(self.common, column)
    }
}

fn overflow(common: &Common, column: usize) -> CompareError {
    CompareError::Overflow { column: common.spec.columns[column].name.clone() }
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}
