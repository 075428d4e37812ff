//! What counts as equal: every rule about values, one test each.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
        Int64Array, ListArray, StringArray, StringViewArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, UInt64Array,
    },
    datatypes::{DataType, Field, Int32Type, Schema, TimeUnit},
};
use dualrun_compare::{CompareError, common_for_diff};
use dualrun_core::Tolerance;
use support::{Found, array, cell, table};

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const WITHIN: [u64; 5] = [0, 1, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

fn exact(legacy: arrow::array::ArrayRef, new: arrow::array::ArrayRef) -> Found {
    cell(legacy, new, Tolerance::EXACT)
}

fn decimal(value: i128, scale: i8) -> arrow::array::ArrayRef {
    array(Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap())
}

fn float(value: f64) -> arrow::array::ArrayRef {
    array(Float64Array::from(vec![value]))
}

fn int(value: i64) -> arrow::array::ArrayRef {
    array(Int64Array::from(vec![value]))
}

#[test]
fn integers_beyond_2_to_the_53_differ_by_one() {
    let found = exact(int(1 << 53), int((1 << 53) + 1));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(found.cell_texts("v", "new"), [Some("9007199254740993".to_owned())]);
    let largest = found.comparison.columns[0].largest.clone().unwrap();
    assert_eq!(largest.difference.unwrap().as_str(), "1");
    assert_eq!(
        (largest.legacy.as_deref(), largest.key[0].value.as_deref()),
        (Some("9007199254740992"), Some("0"))
    );
    assert_eq!(found.comparison.columns[0].net_difference.as_ref().unwrap().as_str(), "1");
}

#[test]
fn an_integer_against_a_float_compares_exact_values() {
    assert_eq!(exact(int(1 << 53), float(9_007_199_254_740_992.0)).counts("v"), EQUAL);
    let found = exact(int((1 << 53) + 1), float(9_007_199_254_740_992.0));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(found.cell_texts("v", "legacy"), [Some("9007199254740993".to_owned())]);
    assert_eq!(found.comparison.columns[0].net_difference.as_ref().unwrap().as_str(), "-1");
    let largest = array(UInt64Array::from(vec![u64::MAX]));
    assert_eq!(exact(largest, float(18_446_744_073_709_551_616.0)).counts("v"), UNEXPLAINED);
    assert_eq!(exact(array(Int32Array::from(vec![5])), float(5.0)).counts("v"), EQUAL);
    let within = cell(int((1 << 53) + 1), float(9_007_199_254_740_992.0), Tolerance::new(1.0, 0.0).unwrap());
    assert_eq!(within.counts("v"), WITHIN);
}

#[test]
fn signed_and_unsigned_integers_meet_without_loss() {
    let found = exact(int(-1), array(UInt64Array::from(vec![u64::MAX])));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(found.comparison.columns[0].net_difference.as_ref().unwrap().as_str(), "18446744073709551616");
}

#[test]
fn the_last_digit_of_a_decimal_counts() {
    let value = 12_345_678_901_234_567_890_123_456_789_012_345_678;
    assert_eq!(exact(decimal(value, 18), decimal(value, 18)).counts("v"), EQUAL);
    let found = exact(decimal(value, 18), decimal(value + 1, 18));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    let net = found.comparison.columns[0].net_difference.as_ref().unwrap();
    assert_eq!(net.as_str(), "0.000000000000000001");
}

#[test]
fn scale_does_not_matter() {
    assert_eq!(exact(decimal(110, 2), decimal(11_000, 4)).counts("v"), EQUAL);
    assert_eq!(exact(decimal(11, 1), decimal(11_001, 4)).counts("v"), UNEXPLAINED);
    let tenth = Tolerance::new(0.1, 0.0).unwrap();
    assert_eq!(cell(decimal(110, 2), decimal(12, 1), tenth).counts("v"), WITHIN);
}

#[test]
fn a_decimal_against_a_float_rounds_the_decimal() {
    assert_eq!(exact(decimal(1, 1), float(0.1)).counts("v"), EQUAL);
    assert_eq!(exact(decimal(100_000_000_000_000_001, 18), float(0.1)).counts("v"), EQUAL);
    assert_eq!(exact(decimal(101, 3), float(0.1)).counts("v"), UNEXPLAINED);
}

#[test]
fn a_short_float_is_the_value_that_it_holds() {
    let found = exact(array(Float32Array::from(vec![0.1])), float(0.1));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(exact(array(Float32Array::from(vec![0.5])), float(0.5)).counts("v"), EQUAL);
}

#[test]
fn null_nan_zero_and_infinity() {
    let of = |values: Vec<Option<f64>>| array(Float64Array::from(values));
    let (nan, inf) = (Some(f64::NAN), Some(f64::INFINITY));
    let same = exact(of(vec![None, nan, Some(-0.0), inf]), of(vec![None, Some(-f64::NAN), Some(0.0), inf]));
    assert_eq!(same.counts("v"), [4, 0, 0, 0, 0]);
    assert_eq!(same.comparison.columns[0].not_finite, 4);
    assert_eq!(same.comparison.columns[0].legacy_total.as_ref().unwrap().as_str(), "0");
    let one = Some(1.0);
    let legacy = of(vec![None, one, nan, one, None, nan, inf, one]);
    let new = of(vec![one, None, one, nan, nan, None, Some(f64::NEG_INFINITY), inf]);
    // No tolerance makes two kinds agree.
    let found = cell(legacy, new, Tolerance::new(1e300, 1.0).unwrap());
    assert_eq!(found.counts("v"), [0, 0, 0, 0, 8]);
    assert_eq!(
        found.cell_texts("v", "kind").into_iter().flatten().collect::<Vec<_>>(),
        [
            "null_vs_value",
            "value_vs_null",
            "nan_vs_value",
            "value_vs_nan",
            "null_vs_nan",
            "nan_vs_null",
            "infinite",
            "infinite"
        ]
    );
    // Null counts 0, what is not finite is left out: |1 − 0| + |0 − 1|.
    assert_eq!(found.comparison.columns[0].gross_difference.as_ref().unwrap().as_str(), "2");
}

#[test]
fn the_boundary_is_symmetric_and_passes() {
    for tolerance in [Tolerance::new(10.0, 0.0).unwrap(), Tolerance::new(0.0, 0.1).unwrap()] {
        for (a, b) in [(100.0, 110.0), (110.0, 100.0)] {
            assert_eq!(cell(float(a), float(b), tolerance).counts("v"), WITHIN);
        }
    }
    let tight = Tolerance::new(0.0, 0.0909).unwrap();
    for (a, b) in [(100, 110), (110, 100)] {
        assert_eq!(cell(int(a), int(b), tight).counts("v"), UNEXPLAINED);
    }
}

#[test]
fn attributes_compare_in_every_layout() {
    let same = [
        (array(StringArray::from(vec!["a"])), array(StringViewArray::from(vec!["a"]))),
        (array(BooleanArray::from(vec![true])), array(BooleanArray::from(vec![true]))),
        (array(BinaryArray::from(vec![&b"x"[..]])), array(BinaryArray::from(vec![&b"x"[..]]))),
        (array(Date32Array::from(vec![7])), array(Date32Array::from(vec![7]))),
        (
            array(TimestampMillisecondArray::from(vec![1_500]).with_timezone("Europe/Paris")),
            array(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC")),
        ),
    ];
    for (legacy, new) in same {
        assert_eq!(exact(legacy, new).counts("v"), EQUAL);
    }
    let found = exact(array(StringArray::from(vec!["a"])), array(StringArray::from(vec!["A"])));
    assert_eq!((found.counts("v"), found.cell_texts("v", "kind")), (UNEXPLAINED, vec![None]));
    let found = exact(array(StringArray::from(vec![Some("")])), array(StringArray::from(vec![None::<&str>])));
    assert_eq!(found.cell_texts("v", "kind"), [Some("value_vs_null".to_owned())]);
}

#[test]
fn lists_compare_in_order() {
    let list = |items: Vec<i32>| {
        array(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(
            items.into_iter().map(Some).collect::<Vec<_>>(),
        )]))
    };
    assert_eq!(exact(list(vec![1, 2]), list(vec![1, 2])).counts("v"), EQUAL);
    assert_eq!(exact(list(vec![1, 2]), list(vec![2, 1])).counts("v"), UNEXPLAINED);
}

#[test]
fn what_has_no_common_type_is_refused_before_a_row_is_read() {
    let schema = |data_type: DataType| {
        Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("v", data_type, true)])
    };
    let key = ["k".to_owned()];
    let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let naive = DataType::Timestamp(TimeUnit::Millisecond, None);
    let refused = common_for_diff(&schema(zoned), &schema(naive), &key, None, Tolerance::EXACT).unwrap_err();
    assert!(matches!(&refused, CompareError::NoCommonType { column, .. } if column == "v"));
    assert!(refused.hint().unwrap().contains("time_zone"));
    let text = schema(DataType::Utf8);
    assert!(common_for_diff(&schema(DataType::Date32), &text, &key, None, Tolerance::EXACT).is_err());
    let missing = common_for_diff(&text, &text, &["x".to_owned()], None, Tolerance::EXACT);
    assert!(matches!(missing, Err(CompareError::MissingColumn { .. })));
    let unknown = common_for_diff(&text, &text, &key, Some("c"), Tolerance::EXACT);
    assert!(matches!(unknown, Err(CompareError::UnknownCustomer(_))));
    assert!(matches!(common_for_diff(&text, &text, &[], None, Tolerance::EXACT), Err(CompareError::NoKey)));
    let reserved = Schema::new(vec![Field::new("dualrun_row", DataType::Utf8, true)]);
    let reserved = common_for_diff(&reserved, &reserved, &["dualrun_row".to_owned()], None, Tolerance::EXACT);
    assert!(matches!(reserved, Err(CompareError::ReservedColumn(_))));
}

#[test]
fn float_keys_have_one_form() {
    let keys = |values: Vec<f64>| table(vec![("k", array(Float64Array::from(values)))]);
    let found = support::diff(&keys(vec![0.0, f64::NAN, -1.0]), &keys(vec![-f64::NAN, -1.0, -0.0]));
    assert_eq!((found.comparison.rows.paired, found.comparison.differences), (3, 0));
}
