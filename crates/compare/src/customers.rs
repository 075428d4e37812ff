//! All customers as one table, one row a customer and column.

mod lines;
mod texts;

use arrow::record_batch::RecordBatch;
use dualrun_core::{
    VerdictCounts,
    run::{ColumnKind, ColumnReport, CustomerReport, figures::Figure},
};

use crate::error::CompareError;

pub(crate) use lines::CustomerLines;

/// The columns of [`customers_batch`] that hold figures as text: of sums first, which differ from customer to customer, then
/// of differences, which are 0 where a customer agrees.
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
    lines.finish(false)
}

/// A compared column of a customer.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: ColumnKind,
    pub(crate) unit: Option<&'a str>,
    pub(crate) verdicts: VerdictCounts,
    /// Totals of both sides, net and gross difference, gross unexplained, largest relative difference.
    pub(crate) figures: Option<[Shown<'a>; 6]>,
    pub(crate) not_finite: u64,
    pub(crate) offsetting: bool,
}

/// A figure that is not text before somebody wants it: most are written once, into a column.
#[derive(Debug, Clone)]
pub(crate) enum Shown<'a> {
    Text(&'a str),
    Float(f64),
    Whole(String),
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
        let text = |n: usize| Shown::Text(figures[n].as_ref().map_or("", |figure| figure.as_str()));
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

impl Shown<'_> {
    /// The text `0`, which most differences are.
    pub(crate) const ZERO: Self = Self::Text("0");

    pub(crate) fn into_figure(self) -> Figure {
        match self {
            Self::Text(text) => Figure(text.to_owned()),
            Self::Float(value) => Figure::from_f64(value),
            Self::Whole(text) => Figure(text),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Float(value) => *value == 0.0,
            Self::Text(text) => *text == "0",
            Self::Whole(text) => text == "0",
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Float(value) => Figure::write_f64(*value, out),
            Self::Whole(text) => out.push_str(text),
        }
    }
}
