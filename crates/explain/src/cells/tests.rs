use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        StructArray, UInt64Array,
    },
    buffer::NullBuffer,
    datatypes::{DataType, Field, Fields},
};

use super::*;

mod stored;

/// A compared column: the verdicts (null where the cell does not differ), then its values.
fn compared(verdicts: &[Option<&str>], values: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let texts: ArrayRef = Arc::new(StringArray::from(verdicts.to_vec()));
    let all = || std::iter::once(("verdict", texts.clone())).chain(values.clone());
    let fields: Fields = all().map(|(name, a)| Field::new(name, a.data_type().clone(), true)).collect();
    let nulls = NullBuffer::from(verdicts.iter().map(Option::is_some).collect::<Vec<_>>());
    Arc::new(StructArray::new(fields, all().map(|(_, array)| array).collect(), Some(nulls)))
}

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

type StoredRow<'a> = (&'a str, &'a str, &'a str, &'a str, Option<(u64, u64)>);

/// Rows as the comparison stores them: customer and region, what they are, their verdict, how often an ambiguous key
/// occurs; then the compared columns.
fn stored(rows: &[StoredRow<'_>], columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let text = |of: fn(&StoredRow<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let count = |of: fn((u64, u64)) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(rows.iter().map(|r| r.4.map(of))))
    };
    let mut all = vec![
        ("customer", text(|r| r.0.into())),
        ("region", text(|r| r.1.into())),
        ("dualrun_row", text(|r| r.2.into())),
        ("dualrun_verdict", text(|r| r.3.into())),
        ("dualrun_legacy_rows", count(|c| c.0)),
        ("dualrun_new_rows", count(|c| c.1)),
    ];
    all.extend(columns);
    RecordBatch::try_from_iter_with_nullable(all.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn read(batch: &RecordBatch) -> Vec<UnexplainedCell> {
    let cells = cells_from_differences(
        std::slice::from_ref(batch),
        &["customer".into(), "region".into()],
        Some("customer"),
    )
    .unwrap();
    assert_eq!(cells.total, cells.cells.len() as u64);
    cells.cells
}

type Said<'a> = (&'a str, &'a str, CellKind, [Option<f64>; 2], [Option<&'a str>; 2]);

/// Customer, column, kind, both figures and both texts.
fn said(cell: &UnexplainedCell) -> Said<'_> {
    (
        cell.customer.as_deref().unwrap(),
        &cell.column,
        cell.kind,
        [cell.legacy, cell.new],
        [cell.legacy_text.as_deref(), cell.new_text.as_deref()],
    )
}

/// Every kind of row, without declared changes.
fn every_kind() -> RecordBatch {
    let u = Some("unexplained");
    stored(
        &[
            ("a", "DE", "paired", "unexplained", None),
            ("a", "FR", "paired", "unexplained", None),
            ("b", "FR", "only_legacy", "unexplained", None),
            ("c", "FR", "only_new", "unexplained", None),
            ("d", "FR", "ambiguous_key", "unexplained", Some((1, 3))),
        ],
        vec![
            (
                "kwh",
                compared(
                    &[u, u, u, u, None],
                    vec![
                        ("legacy", floats(&[Some(1.5), None, Some(7.0), None, None])),
                        ("new", floats(&[Some(1000.0), Some(0.0), None, Some(9.0), None])),
                    ],
                ),
            ),
            (
                "source",
                compared(
                    &[u, None, u, u, None],
                    vec![
                        ("legacy", texts(&[Some("x"), None, Some("w"), None, None])),
                        ("new", texts(&[Some("y"), None, None, None, None])),
                    ],
                ),
            ),
        ],
    )
}

#[test]
fn every_kind_of_row_gives_its_cells_in_order() {
    use CellKind::{Ambiguous, Attribute, Measure, OnlyLegacy, OnlyNew};
    let cells = read(&every_kind());
    assert_eq!(
        cells.iter().map(said).collect::<Vec<_>>(),
        [
            ("a", "kwh", Measure, [Some(1.5), Some(1000.0)], [Some("1.5"), Some("1000")]),
            ("a", "source", Attribute, [None, None], [Some("x"), Some("y")]),
            ("a", "kwh", Measure, [None, Some(0.0)], [None, Some("0")]),
            ("b", PRESENCE, OnlyLegacy, [None, None], [Some("present"), Some("absent")]),
            ("b", "kwh", Measure, [Some(7.0), Some(0.0)], [Some("7"), None]),
            ("c", PRESENCE, OnlyNew, [None, None], [Some("absent"), Some("present")]),
            ("c", "kwh", Measure, [Some(0.0), Some(9.0)], [None, Some("9")]),
            ("d", "key", Ambiguous, [None, None], [Some("1"), Some("3")]),
        ]
    );
    assert!(cells.iter().all(|c| (c.with_fixes, c.without_changes) == (c.legacy, c.new)));
    assert_eq!(cells[0].key, [Some("a".to_owned()), Some("DE".to_owned())]);
    assert_eq!((cells[0].unexplained(), cells[4].unexplained()), (998.5, -7.0));
}

#[test]
fn a_key_that_occurs_twice_is_named_with_its_side() {
    let batch = every_kind().slice(4, 1);
    let cells = cells_from_differences(&[batch], &["customer".into(), "region".into()], None).unwrap();
    let found = crate::findings(&cells, &crate::Context::default());
    assert_eq!(found[0].detail, "1 key occurs more than once in the new result");
}

#[test]
fn what_is_explained_or_waits_for_review_is_passed_over() {
    let verdicts = [Some("explained"), Some("unexplained"), None, Some("pending"), Some("explained")];
    let (legacy, new) = (floats(&[Some(1.0); 5]), floats(&[Some(2.0); 5]));
    let column = || vec![("legacy", legacy.clone()), ("new", new.clone())];
    let batch = stored(
        &[
            ("a", "DE", "paired", "unexplained", None),
            ("b", "DE", "paired", "unexplained", None),
            ("c", "DE", "paired", "unexplained", None),
            ("d", "DE", "paired", "pending", None),
            ("e", "DE", "only_new", "explained", None),
        ],
        vec![
            ("kwh", compared(&verdicts, column())),
            ("kg", compared(&[Some("unexplained"), None, Some("unexplained"), None, None], column())),
        ],
    );
    let cells = read(&batch);
    let found: Vec<_> = cells.iter().map(|c| (c.customer.as_deref().unwrap(), c.column.as_str())).collect();
    assert_eq!(found, [("a", "kg"), ("b", "kwh"), ("c", "kg")]);
}

/// One row with declared changes, in two measures: legacy, new, v(∅) and w(all) of each.
fn replayed(row: &str, columns: [[Option<f64>; 4]; 2]) -> Vec<[Option<f64>; 4]> {
    let column = |values: [Option<f64>; 4]| {
        let [legacy, new, without, with] = values.map(|v| floats(&[v]));
        let values =
            vec![("legacy", legacy), ("new", new), ("without_changes", without), ("with_fixes", with)];
        compared(&[Some("unexplained")], values)
    };
    let [kwh, kg] = columns.map(column);
    let cells = read(&stored(&[("a", "DE", row, "unexplained", None)], vec![("kwh", kwh), ("kg", kg)]));
    let measures = cells.iter().filter(|c| c.kind == CellKind::Measure);
    measures.map(|c| [c.legacy, c.new, c.without_changes, c.with_fixes]).collect()
}

#[test]
fn declared_changes_bring_their_own_pair() {
    let cells = [[Some(1.0), Some(5.0), Some(4.0), Some(2.0)], [None, Some(1.0), None, Some(3.0)]];
    assert_eq!(replayed("paired", cells), cells);
}

#[test]
fn a_row_that_a_replay_lacks_counts_nothing_there() {
    let (x, zero) = (Some(3.0), Some(0.0));
    // Brought by a change: neither v(∅) nor w(all) has it.
    let brought = replayed("only_new", [[None, x, None, None]; 2]);
    assert_eq!(brought, [[zero, x, zero, zero]; 2]);
    // Removed by a change that was rejected: v(∅) still has it, with a null.
    let removed = replayed("only_legacy", [[x, None, x, x], [x, None, None, x]]);
    assert_eq!(removed, [[x, zero, x, x], [x, zero, None, x]]);
    // On both sides, but v(∅) lacks it.
    let paired = replayed("paired", [[x, x, None, x]; 2]);
    assert_eq!(paired, [[x, x, zero, x]; 2]);
}

#[test]
fn nulls_of_a_row_that_is_there_stay_nulls() {
    let zero = Some(0.0);
    // Null became 0 in all columns, with declared changes that reach none of them.
    let cells = [[None, zero, zero, None]; 2];
    assert_eq!(replayed("paired", cells), cells);
    let only_legacy = replayed("only_legacy", [[None, None, None, None]; 2]);
    assert_eq!(only_legacy, [[None, zero, zero, None]; 2]);
}

#[test]
fn figures_that_are_not_finite_are_not_taken_for_null() {
    let column = compared(
        &[Some("unexplained"); 3],
        vec![
            ("legacy", floats(&[Some(f64::NAN), Some(f64::INFINITY), None])),
            ("new", floats(&[Some(0.0), Some(1.0), Some(f64::NAN)])),
        ],
    );
    let rows = ["x", "y", "z"].map(|region| ("a", region, "paired", "unexplained", None));
    let cells = read(&stored(&rows, vec![("kwh", column)]));
    assert!(cells[0].with_fixes.unwrap().is_nan() && cells[1].with_fixes.unwrap().is_nan());
    assert!(cells[2].with_fixes.is_none() && cells[2].without_changes.unwrap().is_nan());
    assert_eq!((cells[0].pair(), cells[0].unexplained()), (None, 0.0));
    assert_eq!(cells[1].legacy_text.as_deref(), Some("inf"));
}

#[test]
fn every_type_of_a_number_becomes_a_float_and_an_exact_text() {
    let rows = [("a", "DE", "paired", "unexplained", None)];
    let decimal = |v: i128| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![v]).with_precision_and_scale(38, 18).unwrap())
    };
    let exact = |nearest: f64, rest: f64| -> ArrayRef {
        let DataType::Struct(fields) = dualrun_compare::types::exact_number() else { unreachable!() };
        Arc::new(StructArray::new(fields, vec![floats(&[Some(nearest)]), floats(&[Some(rest)])], None))
    };
    let whole = |v: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![v])) };
    let day = |v: i32| -> ArrayRef { Arc::new(Date32Array::from(vec![v])) };
    let column = |legacy: ArrayRef, new: ArrayRef| {
        compared(&[Some("unexplained")], vec![("legacy", legacy), ("new", new)])
    };
    let two_53 = 9_007_199_254_740_992_f64;
    let cells = read(&stored(
        &rows,
        vec![
            ("decimal", column(decimal(1_100_000_000_000_000_000), decimal(1_100_000_000_000_000_001))),
            ("exact", column(exact(two_53, 0.0), exact(two_53, 1.0))),
            ("whole", column(whole(i64::MIN), whole(7))),
            ("day", column(day(0), day(1))),
        ],
    ));
    let texts: Vec<_> = cells.iter().map(|c| said(c).4.map(Option::unwrap)).collect();
    assert_eq!(
        texts,
        [
            ["1.1", "1.100000000000000001"],
            ["9007199254740992", "9007199254740993"],
            ["-9223372036854775808", "7"],
            ["1970-01-01", "1970-01-02"],
        ]
    );
    let kinds: Vec<_> = cells.iter().map(|c| c.kind == CellKind::Measure).collect();
    assert_eq!(kinds, [true, true, true, false]);
    assert_eq!((cells[0].legacy, cells[1].new, cells[2].new), (Some(1.1), Some(two_53), Some(7.0)));
    // What the nearest floats do not tell.
    let by: Vec<_> = cells.iter().map(|c| (c.order(), c.unexplained())).collect();
    let higher = Some(std::cmp::Ordering::Greater);
    assert_eq!(by[..3], [(higher, 1e-18), (higher, 1.0), (higher, 9_223_372_036_854_775_815.0)]);
    assert_eq!(by[3], (None, 0.0));
}

#[test]
fn numbers_that_are_compared_for_equality_are_attributes_where_they_are_named() {
    let key = ["customer".to_owned(), "region".to_owned()];
    let mut reader = CellReader::new(&key, None).attributes(["kwh"]);
    reader.push(&every_kind()).unwrap();
    let cells = reader.finish();
    assert_eq!((cells.total, cells.cells.len()), (6, 6));
    assert!(cells.cells.iter().all(|c| c.kind != CellKind::Measure));
    assert_eq!((cells.cells[0].legacy, cells.cells[0].legacy_text.as_deref()), (None, Some("1.5")));
}

#[test]
fn columns_of_texts_are_known() {
    let key = ["customer".to_owned(), "region".to_owned()];
    let cells = cells_from_differences(&[every_kind()], &key, None).unwrap();
    for (column, is_text) in [("customer", true), ("source", true), ("kwh", false)] {
        assert_eq!(cells.texts.contains(column), is_text, "{column}");
    }
}

#[test]
fn exact_figures_of_absent_rows_are_0_and_of_nulls_none() {
    let whole = |values: [Option<i64>; 3]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let column = compared(
        &[Some("unexplained"); 3],
        vec![
            ("legacy", whole([Some(5), None, None])),
            ("new", whole([Some(7), Some(3), Some(1)])),
            ("without_changes", whole([Some(6), Some(3), Some(1)])),
        ],
    );
    let rows = [("a", "x", "paired"), ("a", "y", "only_new"), ("a", "z", "paired")]
        .map(|(customer, region, row)| (customer, region, row, "unexplained", None));
    let cells = read(&stored(&rows, vec![("n", column)]));
    let exact: Vec<_> = cells
        .iter()
        .filter(|c| c.kind == CellKind::Measure)
        .map(|c| c.exact.map(|e| (e.legacy.as_i128(), e.new.as_i128(), e.scale)))
        .collect();
    assert_eq!(exact, [Some((5, 6, 0)), Some((0, 3, 0)), None]);
}

#[test]
fn a_key_of_exact_numbers_has_a_text() {
    let DataType::Struct(fields) = dualrun_compare::types::exact_number() else { unreachable!() };
    let numbers =
        StructArray::new(fields, vec![floats(&[Some(0.5), Some(2.0)]), floats(&[Some(0.0); 2])], None);
    let rows = every_kind().slice(0, 2);
    let mut columns = vec![("number", Arc::new(numbers) as ArrayRef)];
    let schema = rows.schema();
    columns.extend(schema.fields().iter().zip(rows.columns()).map(|(f, c)| (f.name().as_str(), c.clone())));
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let cells = cells_from_differences(&[batch], &["number".into()], None).unwrap().cells;
    let keys: Vec<_> = cells.iter().map(|c| c.key[0].as_deref().unwrap()).collect();
    assert_eq!(keys, ["0.5", "0.5", "2"]);
}

#[test]
fn beyond_the_cap_cells_are_only_counted() {
    let key = ["customer".to_owned(), "region".to_owned()];
    let whole = cells_from_differences(&[every_kind(), every_kind()], &key, Some("customer")).unwrap();
    assert_eq!((whole.total, whole.truncated(), whole.note()), (16, false, None));
    for cap in 0..=16 {
        let mut reader = CellReader::new(&key, Some("customer"));
        reader.cap = cap;
        // Batches of any size give the same cells.
        for row in 0..5 {
            reader.push(&every_kind().slice(row, 1)).unwrap();
        }
        reader.push(&every_kind()).unwrap();
        let cells = reader.finish();
        assert_eq!((cells.total, &cells.cells[..]), (16, &whole.cells[..cap]));
        assert_eq!(cells.truncated(), cap < 16);
    }
}

#[test]
fn a_customer_outside_of_the_key_is_not_known() {
    let cells = cells_from_differences(&[every_kind()], &["region".into()], Some("customer")).unwrap();
    assert_eq!((&cells.customer, &cells.cells[0].customer), (&None, &None));
}

#[test]
fn a_missing_column_is_said() {
    let error = cells_from_differences(&[every_kind()], &["day".into()], None).unwrap_err();
    assert_eq!(error.to_string(), "column \"day\" is missing");
    let other = RecordBatch::try_from_iter([("customer", texts(&[Some("a")]))]).unwrap();
    let error = cells_from_differences(&[other], &["customer".into()], None).unwrap_err();
    assert_eq!(error.to_string(), "column \"dualrun_row\" is missing");
}
