//! All customers as one table, one row a customer and column.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, StringArray, UInt64Array},
    record_batch::RecordBatch,
};
use dualrun_core::run::{ColumnKind, ColumnReport, CustomerReport, CustomerVerdict, figures::Figure};

use crate::error::CompareError;

/// A customer and one of its columns.
type Line<'a> = (&'a CustomerReport, Option<&'a ColumnReport>);

/// The table of `customers.parquet`: `customer`, `verdict`, the counts of its rows, then one compared column with
/// its counts of cells and its figures as exact text. A customer without compared columns has one row, with null in `column` and
/// behind it.
///
/// # Errors
/// None that follow from the data; Arrow's own.
pub fn customers_batch(customers: &[CustomerReport]) -> Result<RecordBatch, CompareError> {
    let rows: Vec<Line<'_>> = customers
        .iter()
        .flat_map(|customer| {
            let columns: Vec<_> = if customer.columns.is_empty() {
                vec![None]
            } else {
                customer.columns.iter().map(Some).collect()
            };
            columns.into_iter().map(move |column| (customer, column))
        })
        .collect();
    let text = |of: &dyn Fn(&Line<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let count = |of: &dyn Fn(&Line<'_>) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt64Array>())
    };
    let row = |of: fn(&CustomerReport) -> u64| count(&|r| Some(of(r.0)));
    let cell = |of: fn(&ColumnReport) -> u64| count(&|r| r.1.map(of));
    let figure = |of: fn(&ColumnReport) -> &Option<Figure>| {
        text(&|r| r.1.and_then(|c| of(c).as_ref().map(|f| f.0.clone())))
    };
    let offsetting: BooleanArray = rows.iter().map(|r| r.1.map(|c| c.offsetting)).collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("customer", text(&|r| r.0.customer.clone()), true),
        ("verdict", text(&|r| Some(CustomerVerdict::as_str(r.0.verdict).to_owned())), false),
        ("rows_legacy", row(|c| c.rows.legacy), false),
        ("rows_new", row(|c| c.rows.new), false),
        ("rows_paired", row(|c| c.rows.paired), false),
        ("rows_equal", row(|c| c.rows.verdicts.equal), false),
        ("rows_within_tolerance", row(|c| c.rows.verdicts.within_tolerance), false),
        ("rows_explained", row(|c| c.rows.verdicts.explained), false),
        ("rows_pending", row(|c| c.rows.verdicts.pending), false),
        ("rows_unexplained", row(|c| c.rows.verdicts.unexplained), false),
        ("rows_only_legacy", row(|c| c.rows.only_legacy), false),
        ("rows_only_new", row(|c| c.rows.only_new), false),
        ("rows_ambiguous_legacy", row(|c| c.rows.ambiguous_key.legacy), false),
        ("rows_ambiguous_new", row(|c| c.rows.ambiguous_key.new), false),
        ("rows_null_keys", row(|c| c.rows.null_keys), false),
        ("rows_one_sided_explained", row(|c| c.rows.one_sided.explained), false),
        ("rows_one_sided_pending", row(|c| c.rows.one_sided.pending), false),
        ("rows_one_sided_unexplained", row(|c| c.rows.one_sided.unexplained), false),
        ("column", text(&|r| r.1.map(|c| c.name.clone())), true),
        ("kind", text(&|r| r.1.map(|c| kind(c.kind).to_owned())), true),
        ("unit", text(&|r| r.1.and_then(|c| c.unit.clone())), true),
        ("equal", cell(|c| c.verdicts.equal), true),
        ("within_tolerance", cell(|c| c.verdicts.within_tolerance), true),
        ("explained", cell(|c| c.verdicts.explained), true),
        ("pending", cell(|c| c.verdicts.pending), true),
        ("unexplained", cell(|c| c.verdicts.unexplained), true),
        ("legacy_total", figure(|c| &c.legacy_total), true),
        ("new_total", figure(|c| &c.new_total), true),
        ("net_difference", figure(|c| &c.net_difference), true),
        ("gross_difference", figure(|c| &c.gross_difference), true),
        ("gross_unexplained", figure(|c| &c.gross_unexplained), true),
        ("max_relative", figure(|c| &c.max_relative), true),
        ("not_finite", cell(|c| c.not_finite), true),
        ("offsetting", Arc::new(offsetting), true),
    ])?)
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Measure => "measure",
        ColumnKind::Attribute => "attribute",
        ColumnKind::LegacyOnly => "legacy_only",
        ColumnKind::NewOnly => "new_only",
    }
}
