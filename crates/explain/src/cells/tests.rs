use std::{convert::Infallible, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};
use dualrun_compare::{Options, Parts, Relation, common_for_diff, compare, conform};
use dualrun_core::Tolerance;

use super::*;

type Row<'a> = (&'a str, &'a str, Option<f64>, Option<&'a str>);

fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let texts = |of: fn(&Row<'_>) -> Option<String>| {
        Arc::new(StringArray::from_iter(rows.iter().map(of))) as ArrayRef
    };
    let schema = Schema::new(vec![
        Field::new("customer", DataType::Utf8, true),
        Field::new("region", DataType::Utf8, true),
        Field::new("kwh", DataType::Float64, true),
        Field::new("source", DataType::Utf8, true),
    ]);
    let columns = vec![
        texts(|r| Some(r.0.into())),
        texts(|r| Some(r.1.into())),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.2))) as ArrayRef,
        texts(|r| r.3.map(Into::into)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// Differences as the comparison stores them.
fn stored(legacy: &[Row<'_>], new: &[Row<'_>]) -> Vec<RecordBatch> {
    let (legacy, new) = (batch(legacy), batch(new));
    let key = ["customer".to_owned(), "region".to_owned()];
    let common =
        common_for_diff(&legacy.schema(), &new.schema(), &key, Some("customer"), Tolerance::EXACT).unwrap();
    let relation = |batch: &RecordBatch| -> Relation<Infallible> {
        Box::new(std::iter::once(Ok(conform(batch, &common).unwrap())))
    };
    let mut sink: Vec<RecordBatch> = Vec::new();
    compare(&common, Parts::PLAIN, vec![relation(&legacy), relation(&new)], &Options::default(), &mut sink)
        .unwrap();
    sink
}

fn cells(legacy: &[Row<'_>], new: &[Row<'_>]) -> Cells {
    cells_from_differences(&stored(legacy, new), &["customer".into(), "region".into()], Some("customer"))
        .unwrap()
}

#[test]
fn what_the_comparison_stores_is_read_back() {
    let cells = cells(
        &[("a", "DE", Some(1.0), Some("x")), ("a", "FR", None, None), ("b", "FR", Some(7.0), None)],
        &[("a", "DE", Some(1000.0), Some("y")), ("a", "FR", Some(0.0), None), ("c", "FR", Some(9.0), None)],
    );
    let said: Vec<_> = cells
        .cells
        .iter()
        .map(|c| (c.customer.as_deref().unwrap(), c.column.as_str(), c.kind, c.with_fixes, c.without_changes))
        .collect();
    use CellKind::{Attribute, Measure, OnlyLegacy, OnlyNew};
    for expected in [
        ("a", "kwh", Measure, Some(1.0), Some(1000.0)),
        ("a", "source", Attribute, None, None),
        ("a", "kwh", Measure, None, Some(0.0)),
        ("b", PRESENCE, OnlyLegacy, None, None),
        ("b", "kwh", Measure, Some(7.0), Some(0.0)),
        ("c", PRESENCE, OnlyNew, None, None),
        ("c", "kwh", Measure, Some(0.0), Some(9.0)),
    ] {
        assert!(said.contains(&expected), "{expected:?} in {said:?}");
    }
    assert_eq!((cells.cells.len(), cells.total, cells.truncated(), cells.note()), (7, 7, false, None));
    assert_eq!(cells.cells[0].unexplained(), 999.0);
}

#[test]
fn a_key_that_occurs_twice_is_an_ambiguous_cell() {
    let twice = [("a", "DE", Some(1.0), None), ("a", "DE", Some(1.0), None)];
    let cells = cells(&twice[..1], &twice);
    let kinds: Vec<_> = cells.cells.iter().map(|c| (c.column.as_str(), c.kind)).collect();
    assert_eq!(kinds, [("key", CellKind::Ambiguous)]);
    let found = crate::findings(&cells, &crate::Context::default());
    assert_eq!(found[0].detail, "1 key occurs more than once in the new result");
}

#[test]
fn figures_that_are_not_finite_are_not_taken_for_null() {
    let cells = cells(&[("a", "DE", Some(f64::NAN), None)], &[("a", "DE", Some(0.0), None)]);
    assert!(cells.cells[0].with_fixes.unwrap().is_nan());
    assert_eq!((cells.cells[0].pair(), cells.cells[0].unexplained()), (None, 0.0));
}

#[test]
fn a_customer_outside_of_the_key_is_not_known() {
    let batches = stored(&[("a", "DE", Some(1.0), None)], &[("a", "DE", Some(2.0), None)]);
    let cells = cells_from_differences(&batches, &["customer".into()], Some("source")).unwrap();
    assert_eq!((&cells.customer, &cells.cells[0].customer), (&None, &None));
}

#[test]
fn a_missing_column_is_said() {
    let batches = stored(&[("a", "DE", Some(1.0), None)], &[("a", "DE", Some(2.0), None)]);
    let error = cells_from_differences(&batches, &["day".into()], None).unwrap_err();
    assert_eq!(error.to_string(), "column \"day\" is missing");
}
