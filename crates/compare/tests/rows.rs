//! Every row is accounted for: pairs, one side only, ambiguous and null keys, customers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use arrow::{
    array::{Float64Array, Int64Array, StringArray},
    datatypes::DataType,
};
use dualrun_compare::{CompareError, Options, Parts, compare, customers_batch};
use dualrun_core::{
    Tolerance,
    run::{ColumnKind, CustomerVerdict, PerSide},
};
use support::{Setup, array, diff, empty, kv, relation, table};

#[test]
fn empty_sides() {
    let none = empty(&[("k", DataType::Utf8), ("v", DataType::Float64)]);
    let both = diff(&none, &none);
    assert_eq!((both.comparison.rows.legacy, both.comparison.differences), (0, 0));
    assert_eq!(both.comparison.columns[0].legacy_total.as_ref().unwrap().as_str(), "0");
    let one = diff(&none, &kv(&[("a", 2.0)]));
    assert_eq!((one.comparison.rows.only_new, one.comparison.rows.one_sided.unexplained), (1, 1));
    assert_eq!(one.texts("dualrun_row"), [Some("only_new".to_owned())]);
    assert_eq!(
        (one.cell_numbers("v", "legacy"), one.cell_numbers("v", "new")),
        (vec![None], vec![Some(2.0)])
    );
    assert_eq!(one.comparison.columns[0].gross_difference.as_ref().unwrap().as_str(), "2");
    let other = diff(&kv(&[("a", 2.0)]), &none);
    assert_eq!(other.comparison.rows.only_legacy, 1);
    assert_eq!(other.texts("dualrun_row"), [Some("only_legacy".to_owned())]);
}

#[test]
fn parts_of_a_key_do_not_run_together() {
    let of = |rows: &[(&str, &str)]| {
        table(vec![
            ("a", array(StringArray::from_iter_values(rows.iter().map(|r| r.0)))),
            ("b", array(StringArray::from_iter_values(rows.iter().map(|r| r.1)))),
        ])
    };
    let setup = Setup { key: &["a", "b"], ..Setup::default() };
    let found = setup.run(&[of(&[("1", "11")]), of(&[("11", "1")])]);
    assert_eq!((found.comparison.rows.only_legacy, found.comparison.rows.only_new), (1, 1));
}

#[test]
fn null_keys_pair_and_are_counted() {
    let of = |keys: Vec<Option<i64>>| {
        let rows = keys.len();
        table(vec![("k", array(Int64Array::from(keys))), ("v", array(Float64Array::from(vec![1.0; rows])))])
    };
    let found = diff(&of(vec![None, Some(1)]), &of(vec![Some(1), None]));
    let rows = found.comparison.rows;
    assert_eq!((rows.paired, rows.verdicts.equal, rows.null_keys), (2, 2, 2));
}

#[test]
fn duplicates_are_ambiguous_on_either_side() {
    let (one, two, three) = (
        kv(&[("a", 1.0), ("b", 5.0)]),
        kv(&[("a", 1.0), ("a", 2.0), ("b", 5.0)]),
        kv(&[("a", 1.0), ("a", 1.0), ("a", 4.0), ("b", 5.0)]),
    );
    for (legacy, new, l, n, gross) in
        [(&two, &one, 2, 1, "2"), (&one, &two, 1, 2, "2"), (&two, &three, 2, 3, "3"), (&two, &two, 2, 2, "0")]
    {
        for batch in [1, 2, usize::MAX] {
            let found = Setup { batch, ..Setup::default() }.run(&[legacy.clone(), new.clone()]);
            let rows = found.comparison.rows;
            assert_eq!(rows.ambiguous_key, PerSide { legacy: l, new: n });
            assert_eq!((rows.paired, found.counts("v")), (1, [1, 0, 0, 0, 0]));
            assert_eq!(found.comparison.columns[0].gross_difference.as_ref().unwrap().as_str(), gross);
            assert_eq!(found.comparison.columns[0].gross_unexplained.as_ref().unwrap().as_str(), gross);
            assert_eq!(found.texts("dualrun_row"), [Some("ambiguous_key".to_owned())]);
            assert_eq!(found.texts("dualrun_legacy_rows"), [Some(l.to_string())]);
            assert_eq!(found.cell_texts("v", "verdict"), [None]);
        }
    }
}

#[test]
fn columns_on_one_side_are_listed() {
    let legacy =
        table(vec![("k", array(Int64Array::from(vec![1]))), ("old", array(Int64Array::from(vec![1])))]);
    let new =
        table(vec![("k", array(Int64Array::from(vec![1]))), ("fresh", array(Int64Array::from(vec![1])))]);
    let found = diff(&legacy, &new);
    let kinds: Vec<_> = found.comparison.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    assert_eq!(kinds, [("old", ColumnKind::LegacyOnly), ("fresh", ColumnKind::NewOnly)]);
    assert_eq!(found.comparison.rows.verdicts.equal, 1);
}

fn customers(rows: &[(&str, i64, f64)]) -> arrow::record_batch::RecordBatch {
    table(vec![
        ("customer", array(StringArray::from_iter_values(rows.iter().map(|r| r.0)))),
        ("k", array(Int64Array::from_iter_values(rows.iter().map(|r| r.1)))),
        ("v", array(Float64Array::from_iter_values(rows.iter().map(|r| r.2)))),
    ])
}

#[test]
fn customers_come_worst_first_and_the_excluded_leave_all_counts() {
    let legacy = customers(&[("a", 1, 1.0), ("b", 1, 1.0), ("c", 1, 1.0), ("c", 2, 1.0), ("d", 1, 7.0)]);
    let new = customers(&[("a", 1, 1.0), ("b", 1, 3.0), ("c", 1, 9.0), ("c", 2, -7.0)]);
    let excluded: BTreeSet<_> = [Some("d".to_owned()), Some("e".to_owned())].into();
    let setup = Setup {
        key: &["customer", "k"],
        customer: Some("customer"),
        options: Options { excluded, max_differences: Some(1), ..Options::default() },
        ..Setup::default()
    };
    let found = setup.run(&[legacy, new]);
    let order: Vec<_> =
        found.comparison.customers.iter().map(|c| (c.customer.as_deref().unwrap(), c.verdict)).collect();
    use CustomerVerdict::{Equal, NotComparable, Unexplained};
    assert_eq!(
        order,
        [("c", Unexplained), ("b", Unexplained), ("d", NotComparable), ("e", NotComparable), ("a", Equal)]
    );
    let c = &found.comparison.customers[0];
    assert!(c.columns[0].offsetting && !found.comparison.customers[1].columns[0].offsetting);
    assert_eq!(c.columns[0].net_difference.as_ref().unwrap().as_str(), "0");
    assert_eq!(c.columns[0].gross_difference.as_ref().unwrap().as_str(), "16");
    assert_eq!(found.comparison.excluded_rows, PerSide { legacy: 1, new: 0 });
    assert_eq!(found.comparison.rows.legacy, 4);
    assert_eq!(found.comparison.customers[2].rows.legacy, 0);
    assert_eq!((found.comparison.differences, found.comparison.truncated), (1, true));
    let batch = customers_batch(&found.comparison.customers).unwrap();
    assert_eq!(batch.num_rows(), 5);
}

#[test]
fn rows_out_of_order_and_failing_readers_are_errors() {
    let table = kv(&[("b", 1.0), ("a", 1.0)]);
    let found = diff(&table, &table);
    let run = |relations| {
        let sink = &mut Vec::new();
        compare(&found.common, Parts::PLAIN, relations, &Options::default(), sink).unwrap_err()
    };
    let error = run(vec![relation(vec![table.clone()]), relation(vec![])]);
    assert!(matches!(error, CompareError::NotSorted { relation: 0, row: 1 }));
    let error = run(vec![relation(vec![])]);
    assert!(matches!(error, CompareError::UnknownPart { part: 1, relations: 1 }));
    let broken: Vec<dualrun_compare::Relation<std::io::Error>> =
        vec![Box::new(std::iter::once(Err(std::io::Error::other("gone")))), Box::new(std::iter::empty())];
    let error =
        compare(&found.common, Parts::PLAIN, broken, &Options::default(), &mut Vec::new()).unwrap_err();
    assert!(error.retryable() && matches!(error, CompareError::Relation { relation: 0, .. }));
}

#[test]
fn the_largest_relative_difference() {
    let tolerance = Tolerance::new(0.0, 0.5).unwrap();
    let found = Setup { tolerance, ..Setup::default() }
        .run(&[kv(&[("a", 100.0), ("b", 1.0)]), kv(&[("a", 80.0), ("b", 1.0)])]);
    assert_eq!(found.comparison.columns[0].max_relative.as_ref().unwrap().as_str(), "0.2");
    assert_eq!(found.counts("v"), [1, 1, 0, 0, 0]);
}
