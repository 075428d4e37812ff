//! All customers as one table, one row a customer and column.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanBuilder, StringBuilder, UInt64Builder},
    record_batch::RecordBatch,
};
use dualrun_core::{
    VerdictCounts,
    run::{ColumnKind, ColumnReport, CustomerReport, CustomerVerdict, RowCounts},
};

use crate::error::CompareError;

const ROW_COUNTS: [&str; 15] = [
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
];
const LAST_ROW_COUNT: &str = "rows_one_sided_unexplained";
const CELL_COUNTS: [&str; 5] = ["equal", "within_tolerance", "explained", "pending", "unexplained"];
/// The columns of [`customers_batch`] that hold figures as text.
pub const FIGURES: [&str; 6] =
    ["legacy_total", "new_total", "net_difference", "gross_difference", "gross_unexplained", "max_relative"];

/// The table of `customers.parquet`: `customer`, `verdict`, the counts of its rows, then one compared column with
/// its counts of cells and its figures as exact text. A customer without compared columns has one row, with null in `column` and
/// behind it.
///
/// # Errors
/// None that follow from the data; Arrow's own.
pub fn customers_batch(customers: &[CustomerReport]) -> Result<RecordBatch, CompareError> {
    let mut lines = CustomerLines::default();
    for customer in customers {
        let columns = customer.columns.iter().map(Line::of);
        lines.customer(customer.customer.as_deref(), customer.verdict, &customer.rows, columns);
    }
    lines.finish()
}

/// A compared column of a customer.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: ColumnKind,
    pub(crate) unit: Option<&'a str>,
    pub(crate) verdicts: VerdictCounts,
    /// Totals of both sides, net and gross difference, gross unexplained, largest relative difference.
    pub(crate) figures: Option<[Cow<'a, str>; 6]>,
    pub(crate) not_finite: u64,
    pub(crate) offsetting: bool,
}

impl<'a> Line<'a> {
    fn of(column: &'a ColumnReport) -> Self {
        let figures = [
            &column.legacy_total,
            &column.new_total,
            &column.net_difference,
            &column.gross_difference,
            &column.gross_unexplained,
            &column.max_relative,
        ];
        let text = |n: usize| Cow::Borrowed(figures[n].as_ref().map_or("", |figure| figure.as_str()));
        Self {
            name: &column.name,
            kind: column.kind,
            unit: column.unit.as_deref(),
            verdicts: column.verdicts,
            figures: figures.iter().all(|f| f.is_some()).then(|| std::array::from_fn(text)),
            not_finite: column.not_finite,
            offsetting: column.offsetting,
        }
    }
}

/// Collects customers.
#[derive(Debug, Default)]
pub(crate) struct CustomerLines {
    pub(crate) lines: usize,
    customer: StringBuilder,
    verdict: StringBuilder,
    rows: [UInt64Builder; 16],
    column: StringBuilder,
    kind: StringBuilder,
    unit: StringBuilder,
    cells: [UInt64Builder; 5],
    figures: [StringBuilder; 6],
    not_finite: UInt64Builder,
    offsetting: BooleanBuilder,
}

impl CustomerLines {
    pub(crate) fn customer<'a>(
        &mut self,
        name: Option<&str>,
        verdict: CustomerVerdict,
        rows: &RowCounts,
        columns: impl Iterator<Item = Line<'a>>,
    ) {
        let before = self.lines;
        for line in columns {
            self.line(name, verdict, rows, Some(line));
        }
        if self.lines == before {
            self.line(name, verdict, rows, None);
        }
    }

    pub(crate) fn finish(&mut self) -> Result<RecordBatch, CompareError> {
        self.lines = 0;
        let text = |builder: &mut StringBuilder| -> ArrayRef { Arc::new(builder.finish()) };
        let count = |builder: &mut UInt64Builder| -> ArrayRef { Arc::new(builder.finish()) };
        let mut columns: Vec<(&str, ArrayRef, bool)> =
            vec![("customer", text(&mut self.customer), true), ("verdict", text(&mut self.verdict), false)];
        let names = ROW_COUNTS.into_iter().chain([LAST_ROW_COUNT]);
        columns.extend(names.zip(&mut self.rows).map(|(name, builder)| (name, count(builder), false)));
        columns.push(("column", text(&mut self.column), true));
        columns.push(("kind", text(&mut self.kind), true));
        columns.push(("unit", text(&mut self.unit), true));
        let cells = CELL_COUNTS.into_iter().zip(&mut self.cells);
        columns.extend(cells.map(|(name, builder)| (name, count(builder), true)));
        let figures = FIGURES.into_iter().zip(&mut self.figures);
        columns.extend(figures.map(|(name, builder)| (name, text(builder), true)));
        columns.push(("not_finite", count(&mut self.not_finite), true));
        columns.push(("offsetting", Arc::new(self.offsetting.finish()), true));
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    fn line(
        &mut self,
        name: Option<&str>,
        verdict: CustomerVerdict,
        rows: &RowCounts,
        line: Option<Line<'_>>,
    ) {
        self.lines += 1;
        self.customer.append_option(name);
        self.verdict.append_value(verdict.as_str());
        let counts = [
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
        ];
        self.rows.iter_mut().zip(counts).for_each(|(builder, n)| builder.append_value(n));
        let line = line.as_ref();
        self.column.append_option(line.map(|line| line.name));
        self.kind.append_option(line.map(|line| kind(line.kind)));
        self.unit.append_option(line.and_then(|line| line.unit));
        let cells = line.map(|line| {
            let v = &line.verdicts;
            [v.equal, v.within_tolerance, v.explained, v.pending, v.unexplained]
        });
        for (n, builder) in self.cells.iter_mut().enumerate() {
            builder.append_option(cells.map(|cells| cells[n]));
        }
        let figures = line.and_then(|line| line.figures.as_ref());
        for (n, builder) in self.figures.iter_mut().enumerate() {
            builder.append_option(figures.map(|figures| figures[n].as_ref()));
        }
        self.not_finite.append_option(line.map(|line| line.not_finite));
        self.offsetting.append_option(line.map(|line| line.offsetting));
    }
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Measure => "measure",
        ColumnKind::Attribute => "attribute",
        ColumnKind::LegacyOnly => "legacy_only",
        ColumnKind::NewOnly => "new_only",
    }
}
