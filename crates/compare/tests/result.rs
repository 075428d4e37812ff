//! The declared result: what is compared, what is listed, what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::datatypes::{DataType, Field, Schema};
use dualrun_compare::{CompareError, CompareKind, common_for_result};
use dualrun_core::{
    PeriodUnit, Tolerance,
    input::Side,
    result::{AttributeRule, MeasureDecl, PeriodDecl, ResultDecl},
    unit::Unit,
};

fn declared() -> ResultDecl {
    let measure = |side| MeasureDecl { unit: Unit::new("kWh"), tolerance: Tolerance::EXACT, side };
    ResultDecl {
        grain: vec!["customer".into(), "day".into()],
        customer: Some("customer".into()),
        period: PeriodDecl {
            column: "day".into(),
            unit: PeriodUnit::Day,
            time_zone: "UTC".into(),
            recompute: 0,
        },
        compare_at: Vec::new(),
        measures: [("kwh".into(), measure(None)), ("embodied".into(), measure(Some(Side::New)))].into(),
        attributes: [("source".into(), AttributeRule::Exact)].into(),
    }
}

fn schema(columns: &[(&str, DataType)]) -> Schema {
    Schema::new(columns.iter().map(|(n, t)| Field::new(*n, t.clone(), false)).collect::<Vec<_>>())
}

fn legacy() -> Vec<(&'static str, DataType)> {
    vec![
        ("day", DataType::Date32),
        ("source", DataType::Utf8View),
        ("customer", DataType::LargeUtf8),
        ("kwh", DataType::Int32),
        ("extra", DataType::Boolean),
    ]
}

fn new() -> Vec<(&'static str, DataType)> {
    vec![
        ("customer", DataType::Utf8),
        ("day", DataType::Date32),
        ("kwh", DataType::Float64),
        ("embodied", DataType::Float64),
        ("source", DataType::Utf8),
    ]
}

#[test]
fn only_what_is_declared_is_compared() {
    let common = common_for_result(&schema(&legacy()), &schema(&new()), &declared()).unwrap();
    let columns: Vec<_> =
        common.schema.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    assert_eq!(
        columns,
        [
            ("customer", DataType::Utf8),
            ("day", DataType::Date32),
            ("kwh", DataType::Float64),
            ("source", DataType::Utf8)
        ]
    );
    assert!(matches!(common.spec.columns[0].kind, CompareKind::Measure { unit: Some(_), .. }));
    assert_eq!(common.spec.columns[1].kind, CompareKind::Attribute);
    assert_eq!((common.legacy_only.len(), common.new_only), (0, vec!["embodied".to_owned()]));
}

#[test]
fn a_declared_column_that_a_side_lacks_is_named_with_its_side() {
    for (name, side) in
        [("kwh", Side::Legacy), ("source", Side::New), ("day", Side::New), ("embodied", Side::New)]
    {
        let without = |columns: Vec<(&'static str, DataType)>, of: Side| -> Schema {
            schema(&columns.into_iter().filter(|c| of != side || c.0 != name).collect::<Vec<_>>())
        };
        let (l, n) = (without(legacy(), Side::Legacy), without(new(), Side::New));
        let error = common_for_result(&l, &n, &declared()).unwrap_err();
        assert!(
            matches!(&error, CompareError::MissingColumn { side: Some(s), column } if *s == side && column == name),
            "{error}"
        );
    }
}

#[test]
fn a_measure_must_be_a_number() {
    let mut text = legacy();
    text[3].1 = DataType::Utf8;
    let mut both = new();
    both[2].1 = DataType::Utf8;
    let error = common_for_result(&schema(&text), &schema(&both), &declared()).unwrap_err();
    assert!(matches!(error, CompareError::NotNumeric { column, .. } if column == "kwh"));
    let error = common_for_result(&schema(&text), &schema(&new()), &declared()).unwrap_err();
    assert!(matches!(error, CompareError::NoCommonType { .. }));
}
