//! Sides without common rows, and columns that are not called alike.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{Float64Array, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};
use dualrun_compare::{Aligner, CompareError, common_for_diff};
use dualrun_core::{
    Tolerance,
    align::{AlignRule, Rule},
    input::Side,
    run::{ColumnKind, PerSide, hints::columns_alike},
};
use support::{Found, Setup, array, diff, empty, kv, table};

fn columns(found: &Found) -> Vec<(&str, ColumnKind)> {
    found.comparison.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect()
}

fn named(name: &str, value: f64) -> RecordBatch {
    table(vec![("k", array(Int64Array::from(vec![1]))), (name, array(Float64Array::from(vec![value])))])
}

#[test]
fn no_common_key() {
    let found = diff(&kv(&[("a", 1.0), ("b", 2.0)]), &kv(&[("c", 1.0), ("d", 2.0), ("e", 4.0)]));
    let rows = &found.comparison.rows;
    assert_eq!((rows.legacy, rows.new, rows.paired), (2, 3, 0));
    assert_eq!((rows.only_legacy, rows.only_new, rows.one_sided.unexplained), (2, 3, 5));
    let v = &found.comparison.columns[0];
    assert_eq!(v.net_difference.as_ref().unwrap().as_str(), "4");
    assert_eq!(v.gross_difference.as_ref().unwrap().as_str(), "10");
    assert_eq!(v.gross_unexplained.as_ref().unwrap().as_str(), "10");
}

#[test]
fn duplicates_on_one_side_of_a_key_that_the_other_lacks() {
    let found = diff(&kv(&[("a", 1.0), ("a", 2.0)]), &kv(&[("b", 3.0)]));
    let rows = &found.comparison.rows;
    assert_eq!(rows.ambiguous_key, PerSide { legacy: 2, new: 0 });
    assert_eq!((rows.only_legacy, rows.only_new), (0, 1));
    let found = diff(&kv(&[("b", 3.0)]), &kv(&[("a", 1.0), ("a", 1.0), ("b", 3.0)]));
    assert_eq!(found.comparison.rows.ambiguous_key, PerSide { legacy: 0, new: 2 });
    assert_eq!(found.comparison.rows.paired, 1);
}

#[test]
fn rows_that_are_equal_in_all_columns_are_still_ambiguous_twice() {
    let twice = kv(&[("a", 1.0), ("a", 1.0)]);
    let found = diff(&twice, &twice);
    assert_eq!(found.comparison.rows.ambiguous_key, PerSide { legacy: 2, new: 2 });
    assert_eq!(found.counts("v"), [0; 5]);
}

#[test]
fn a_column_named_in_different_case_is_two_columns_and_a_hint() {
    let found = diff(&named("CO2e", 1.0), &named("co2e", 1.0));
    assert_eq!(columns(&found), [("CO2e", ColumnKind::LegacyOnly), ("co2e", ColumnKind::NewOnly)]);
    let hints = columns_alike(&found.comparison.columns);
    assert_eq!(hints.len(), 1);
    assert!(hints[0].contains("\"CO2e\" and \"co2e\" differ in case only"), "{}", hints[0]);
    assert!(hints[0].contains("from = \"CO2e\", column = \"co2e\""), "{}", hints[0]);
    let apart = diff(&named("old", 1.0), &named("new", 1.0));
    assert!(columns_alike(&apart.comparison.columns).is_empty());
}

#[test]
fn both_cases_on_both_sides_are_compared_apart() {
    let of = |upper: f64, lower: f64| {
        table(vec![
            ("k", array(Int64Array::from(vec![1]))),
            ("V", array(Float64Array::from(vec![upper]))),
            ("v", array(Float64Array::from(vec![lower]))),
        ])
    };
    let found = diff(&of(1.0, 2.0), &of(1.0, 3.0));
    assert_eq!((found.counts("V"), found.counts("v")), ([1, 0, 0, 0, 0], [0, 0, 0, 0, 1]));
    let crossed = diff(&of(1.0, 2.0), &of(2.0, 1.0));
    assert_eq!((crossed.counts("V"), crossed.counts("v")), ([0, 0, 0, 0, 1], [0, 0, 0, 0, 1]));
}

#[test]
fn a_key_in_different_case_is_refused_with_the_name_that_is_there() {
    let schema = |name: &str| Schema::new(vec![Field::new(name, DataType::Int64, true)]);
    let refused = common_for_diff(&schema("id"), &schema("ID"), &["id".into()], None, Tolerance::EXACT);
    let refused = refused.unwrap_err();
    assert_eq!(refused.to_string(), "column \"id\" is missing on the new side, which has \"ID\"");
    assert!(
        refused
            .hint()
            .unwrap()
            .ends_with("rule = \"rename\", side = \"new\", from = \"ID\", column = \"id\"")
    );
    assert_eq!(refused.exit_code(), dualrun_core::ExitCode::Usage);
}

#[test]
fn a_renamed_column_is_compared_under_its_new_name() {
    let (legacy, new) = (named("kwh", 1.0), named("energy", 1.0));
    let found = diff(&legacy, &new);
    assert_eq!(columns(&found), [("kwh", ColumnKind::LegacyOnly), ("energy", ColumnKind::NewOnly)]);
    let rename = AlignRule {
        rule: Rule::Rename { from: "kwh".to_owned() },
        column: "energy".to_owned(),
        side: Some(Side::Legacy),
    };
    let renamed = Aligner::new(&[rename], Side::Legacy, legacy.schema()).unwrap().apply(&legacy).unwrap();
    let found = diff(&renamed, &new);
    assert_eq!(columns(&found), [("energy", ColumnKind::Measure)]);
    assert_eq!(found.counts("energy"), [1, 0, 0, 0, 0]);
}

#[test]
fn a_missing_column_is_listed_and_a_missing_key_refused() {
    let keys_alone = table(vec![("k", array(Int64Array::from(vec![1])))]);
    let found = diff(&named("v", 1.0), &keys_alone);
    assert_eq!(columns(&found), [("v", ColumnKind::LegacyOnly)]);
    assert_eq!((found.comparison.rows.paired, found.comparison.rows.verdicts.equal), (1, 1));
    let other = table(vec![("j", array(Int64Array::from(vec![1])))]);
    let refused =
        common_for_diff(&keys_alone.schema(), &other.schema(), &["k".into()], None, Tolerance::EXACT)
            .unwrap_err();
    assert!(
        matches!(refused, CompareError::MissingColumn { side: Some(Side::New), column } if column == "k")
    );
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let field = || Field::new("v", DataType::Int64, true);
    let twice = Schema::new(vec![field(), field()]);
    let refused = common_for_diff(&twice, &Schema::new(vec![field()]), &["v".into()], None, Tolerance::EXACT);
    assert!(matches!(refused, Err(CompareError::DuplicateColumn(name)) if name == "v"));
}

#[test]
fn one_side_empty_with_another_type_of_its_columns() {
    let legacy = table(vec![
        ("k", array(StringArray::from(vec!["a"]))),
        ("v", array(Int64Array::from(vec![i64::MAX]))),
    ]);
    let none = empty(&[("k", DataType::Utf8View), ("v", DataType::Null)]);
    let found = Setup::default().run(&[legacy, none]);
    assert_eq!((found.comparison.rows.only_legacy, found.comparison.rows.new), (1, 0));
    assert_eq!(found.comparison.columns[0].legacy_total.as_ref().unwrap().as_str(), "9223372036854775807");
}
