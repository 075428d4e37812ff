//! What the comparison writes is what is read.

use std::convert::Infallible;

use arrow::datatypes::Schema;
use dualrun_compare::{Options, Parts, Relation, common_for_diff, compare, conform};
use dualrun_core::Tolerance;

use super::*;

type Row<'a> = (&'a str, &'a str, Option<f64>, Option<&'a str>);

fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let text = |of: fn(&Row<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(of)))
    };
    let columns = [
        ("customer", text(|r| Some(r.0.into()))),
        ("region", text(|r| Some(r.1.into()))),
        ("kwh", Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.2))) as ArrayRef),
        ("source", text(|r| r.3.map(Into::into))),
    ];
    let schema: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(schema)), columns.map(|(_, array)| array).to_vec()).unwrap()
}

/// The differences as the comparison stores them.
fn compared(parts: Parts, relations: &[&[Row<'_>]]) -> Vec<RecordBatch> {
    let key = ["customer".to_owned(), "region".to_owned()];
    let schema = batch(&[]).schema();
    let common = common_for_diff(&schema, &schema, &key, Some("customer"), Tolerance::EXACT).unwrap();
    let relations = relations
        .iter()
        .map(|rows| -> Relation<Infallible> {
            Box::new(std::iter::once(Ok(conform(&batch(rows), &common).unwrap())))
        })
        .collect();
    let mut sink: Vec<RecordBatch> = Vec::new();
    compare(&common, parts, relations, &Options::default(), &mut sink).unwrap();
    sink
}

fn one(batches: &[RecordBatch]) -> &RecordBatch {
    assert_eq!(batches.len(), 1);
    &batches[0]
}

#[test]
fn every_kind_of_row_is_read_back() {
    let found = compared(
        Parts::PLAIN,
        &[
            &[
                ("a", "DE", Some(1.5), Some("x")),
                ("a", "FR", None, None),
                ("a", "PL", Some(4.0), None),
                ("b", "FR", Some(7.0), Some("w")),
                ("d", "FR", Some(2.0), None),
            ],
            &[
                ("a", "DE", Some(1000.0), Some("y")),
                ("a", "FR", Some(0.0), None),
                ("a", "PL", Some(4.0), None),
                ("c", "FR", Some(9.0), None),
                ("d", "FR", Some(2.0), None),
                ("d", "FR", Some(2.0), None),
                ("d", "FR", Some(3.0), None),
            ],
        ],
    );
    assert_eq!(read(one(&found)), read(&every_kind()));
}

#[test]
fn declared_changes_are_read_back() {
    let parts = Parts { new_without: 2, new_approved: 1, new_accepted: 2, ..Parts::PLAIN };
    let found = compared(
        parts,
        &[
            &[("a", "DE", Some(1.0), Some("x")), ("b", "DE", Some(7.0), None)],
            &[("a", "DE", Some(5.0), Some("x")), ("c", "DE", Some(9.0), None)],
            &[("a", "DE", Some(4.0), Some("x")), ("b", "DE", Some(7.0), None)],
        ],
    );
    let cells = read(one(&found));
    let figures: Vec<_> = cells
        .iter()
        .filter(|c| c.kind == CellKind::Measure)
        .map(|c| [c.legacy, c.new, c.without_changes, c.with_fixes].map(Option::unwrap))
        .collect();
    // A bug beside a change; a row that a rejected change removes; one that it brings.
    assert_eq!(figures, [[1.0, 5.0, 4.0, 1.0], [7.0, 0.0, 7.0, 7.0], [0.0, 9.0, 0.0, 0.0]]);
    let left: Vec<f64> = cells.iter().map(UnexplainedCell::unexplained).filter(|u| *u != 0.0).collect();
    assert_eq!(left, [3.0]);
}

#[test]
fn a_row_that_the_new_result_has_only_with_a_change_counts_its_legacy_figure() {
    let row: &[Row<'_>] = &[("a", "DE", Some(3.0), Some("x"))];
    let found = compared(
        Parts { new_without: 2, new_approved: 1, new_accepted: 1, ..Parts::PLAIN },
        &[row, row, &[]],
    );
    let cells = read(one(&found));
    assert_eq!(
        (cells[0].column.as_str(), cells[0].without_changes, cells[0].with_fixes),
        ("kwh", Some(0.0), Some(3.0))
    );
    assert_eq!(cells[0].unexplained(), -3.0);
}
