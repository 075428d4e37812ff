//! Customers on their way into a table: what all columns of a customer share is held once.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int32Array, StringArray, StringBuilder, UInt64Array},
    buffer::NullBuffer,
    compute::take,
    record_batch::RecordBatch,
};
use dualrun_core::run::{ColumnKind, CustomerVerdict, RowCounts};

use super::{
    FIGURES, Line, Shown,
    texts::{Figures, Words, repeated},
};
use crate::error::CompareError;

const ROW_COUNTS: [&str; 16] = [
    "rows_legacy",
    "rows_new",
    "rows_paired",
    "rows_equal",
    "rows_within_tolerance",
    "rows_explained",
    "rows_pending",
    "rows_unexplained",
    "rows_only_legacy",
    "rows_only_new",
    "rows_ambiguous_legacy",
    "rows_ambiguous_new",
    "rows_null_keys",
    "rows_one_sided_explained",
    "rows_one_sided_pending",
    "rows_one_sided_unexplained",
];
const CELL_COUNTS: [&str; 5] = ["equal", "within_tolerance", "explained", "pending", "unexplained"];

/// Collects customers.
#[derive(Debug, Default)]
pub(crate) struct CustomerLines {
    pub(crate) lines: usize,
    /// By customer.
    names: StringBuilder,
    verdicts: Words,
    rows: Vec<[u64; 16]>,
    lines_of: Vec<u32>,
    /// By line; whether it has a column.
    present: Vec<bool>,
    columns: Words,
    kinds: Words,
    units: Words,
    cells: Vec<[u64; 5]>,
    figures: [Figures; 6],
    not_finite: Vec<u64>,
    offsetting: Vec<bool>,
}

impl CustomerLines {
    pub(crate) fn customer<'a>(
        &mut self,
        name: Option<&str>,
        verdict: CustomerVerdict,
        rows: &RowCounts,
        columns: impl Iterator<Item = Line<'a>>,
    ) {
        self.names.append_option(name);
        self.verdicts.push(Some(verdict.as_str()));
        self.rows.push(counts(rows));
        let before = self.lines;
        columns.for_each(|line| self.line(Some(&line)));
        if self.lines == before {
            self.line(None);
        }
        // A table has far fewer than 2^32 columns.
        self.lines_of.push((self.lines - before) as u32);
    }

    /// The table of what was collected. Texts that repeat come as `Dictionary(Int32, Utf8)` where codes are wanted.
    pub(crate) fn finish(&mut self, codes: bool) -> Result<RecordBatch, CompareError> {
        let lines_of = std::mem::take(&mut self.lines_of);
        let present = std::mem::take(&mut self.present);
        let nulls = present.contains(&false).then(|| NullBuffer::from(present));
        let count = |values: Vec<u64>, nulls: Option<&NullBuffer>| -> Result<ArrayRef, CompareError> {
            Ok(Arc::new(UInt64Array::try_new(values.into(), nulls.cloned())?))
        };
        let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("customer", repeated_names(&self.names.finish(), &lines_of)?, true),
            ("verdict", self.verdicts.finish(Some(&lines_of), codes)?, false),
        ];
        for (n, name) in ROW_COUNTS.into_iter().enumerate() {
            columns.push((name, count(repeated(&self.rows, |rows| rows[n], &lines_of), None)?, false));
        }
        columns.push(("column", self.columns.finish(None, codes)?, true));
        columns.push(("kind", self.kinds.finish(None, codes)?, true));
        columns.push(("unit", self.units.finish(None, codes)?, true));
        for (n, name) in CELL_COUNTS.into_iter().enumerate() {
            let cells = self.cells.iter().map(|cells| cells[n]).collect();
            columns.push((name, count(cells, nulls.as_ref())?, true));
        }
        for (name, figures) in FIGURES.into_iter().zip(&mut self.figures) {
            columns.push((name, figures.finish(codes)?, true));
        }
        columns.push(("not_finite", count(std::mem::take(&mut self.not_finite), nulls.as_ref())?, true));
        let offsetting = BooleanArray::new(std::mem::take(&mut self.offsetting).into(), nulls);
        columns.push(("offsetting", Arc::new(offsetting), true));
        self.rows.clear();
        self.cells.clear();
        self.lines = 0;
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    fn line(&mut self, line: Option<&Line<'_>>) {
        self.lines += 1;
        self.present.push(line.is_some());
        self.columns.push(line.map(|line| line.name));
        self.kinds.push(line.map(|line| kind(line.kind)));
        self.units.push(line.and_then(|line| line.unit));
        self.cells.push(line.map_or([0; 5], |line| {
            let v = &line.verdicts;
            [v.equal, v.within_tolerance, v.explained, v.pending, v.unexplained]
        }));
        let figures = line.and_then(|line| line.figures.as_ref());
        let [legacy, new, others @ ..] = &mut self.figures;
        legacy.push(figures.map(|figures| &figures[0]));
        match figures {
            Some([Shown::Float(l), Shown::Float(n), ..]) if l == n => new.push_like(legacy),
            _ => new.push(figures.map(|figures| &figures[1])),
        }
        for (n, column) in others.iter_mut().enumerate() {
            column.push(figures.map(|figures| &figures[n + 2]));
        }
        self.not_finite.push(line.map_or(0, |line| line.not_finite));
        self.offsetting.push(line.is_some_and(|line| line.offsetting));
    }
}

fn repeated_names(names: &StringArray, lines_of: &[u32]) -> Result<ArrayRef, CompareError> {
    let positions: Vec<i32> = (0..).take(lines_of.len()).collect();
    let positions = Int32Array::from(repeated(&positions, |position| *position, lines_of));
    Ok(take(names, &positions, None)?)
}

fn counts(rows: &RowCounts) -> [u64; 16] {
    [
        rows.legacy,
        rows.new,
        rows.paired,
        rows.verdicts.equal,
        rows.verdicts.within_tolerance,
        rows.verdicts.explained,
        rows.verdicts.pending,
        rows.verdicts.unexplained,
        rows.only_legacy,
        rows.only_new,
        rows.ambiguous_key.legacy,
        rows.ambiguous_key.new,
        rows.null_keys,
        rows.one_sided.explained,
        rows.one_sided.pending,
        rows.one_sided.unexplained,
    ]
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Measure => "measure",
        ColumnKind::Attribute => "attribute",
        ColumnKind::LegacyOnly => "legacy_only",
        ColumnKind::NewOnly => "new_only",
    }
}
