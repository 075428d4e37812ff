//! Values where a careless comparison says something false.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array},
    compute::cast,
    datatypes::DataType,
    record_batch::RecordBatch,
};
use dualrun_compare::Aligner;
use dualrun_core::{
    Tolerance,
    align::{AlignRule, Rule},
    input::Side,
};
use support::{Found, Setup, array, cell, table};

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const WITHIN: [u64; 5] = [0, 1, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

fn float(value: impl Into<Option<f64>>) -> ArrayRef {
    array(Float64Array::from(vec![value.into()]))
}

fn int(value: i64) -> ArrayRef {
    array(Int64Array::from(vec![value]))
}

fn decimal(digits: i128, scale: i8) -> ArrayRef {
    array(Decimal128Array::from(vec![digits]).with_precision_and_scale(38, scale).unwrap())
}

fn exact(legacy: ArrayRef, new: ArrayRef) -> Found {
    cell(legacy, new, Tolerance::EXACT)
}

fn under(legacy: ArrayRef, new: ArrayRef, absolute: f64, relative: f64) -> [u64; 5] {
    cell(legacy, new, Tolerance::new(absolute, relative).unwrap()).counts("v")
}

/// Legacy total, new total, net and gross difference.
fn totals(found: &Found) -> [String; 4] {
    let c = &found.comparison.columns[0];
    [&c.legacy_total, &c.new_total, &c.net_difference, &c.gross_difference]
        .map(|figure| figure.as_ref().unwrap().as_str().to_owned())
}

#[test]
fn the_smallest_and_the_largest_integer() {
    let found = exact(int(i64::MIN), int(i64::MAX));
    assert_eq!(found.counts("v"), UNEXPLAINED);
    let (least, most, gap) = ("-9223372036854775808", "9223372036854775807", "18446744073709551615");
    assert_eq!(totals(&found), [least, most, gap, gap]);
    assert_eq!(exact(int(i64::MIN), int(i64::MIN)).counts("v"), EQUAL);
    // The difference does not wrap around to −1, which this tolerance would let pass.
    assert_eq!(under(int(i64::MIN), int(i64::MAX), 1.0, 0.0), UNEXPLAINED);
    let unsigned = exact(array(UInt64Array::from(vec![u64::MAX])), int(-1));
    assert_eq!(unsigned.counts("v"), UNEXPLAINED);
}

#[test]
fn the_largest_integer_is_no_power_of_two() {
    assert_eq!(exact(int(i64::MAX), float(9_223_372_036_854_775_808.0)).counts("v"), UNEXPLAINED);
    assert_eq!(exact(int(i64::MIN), float(-9_223_372_036_854_775_808.0)).counts("v"), EQUAL);
}

#[test]
fn zero_below_zero_is_zero_everywhere() {
    assert_eq!(exact(float(-0.0), int(0)).counts("v"), EQUAL);
    assert_eq!(exact(float(-0.0), decimal(0, 18)).counts("v"), EQUAL);
    assert_eq!(totals(&exact(float(-0.0), float(-0.0))), ["0", "0", "0", "0"]);
}

#[test]
fn subnormal_numbers_are_not_zero() {
    let smallest = f64::from_bits(1);
    assert_eq!(exact(float(smallest), float(0.0)).counts("v"), UNEXPLAINED);
    assert_eq!(exact(float(smallest), float(-smallest)).counts("v"), UNEXPLAINED);
    assert_eq!(exact(float(smallest), float(2.0 * smallest)).counts("v"), UNEXPLAINED);
    assert_eq!(under(float(smallest), float(0.0), smallest, 0.0), WITHIN);
    assert_eq!(under(float(smallest), float(3.0 * smallest), smallest, 0.0), UNEXPLAINED);
    let many = array(Float64Array::from(vec![smallest; 3]));
    let none = array(Float64Array::from(vec![0.0; 3]));
    assert_eq!(totals(&exact(none, many))[1].parse::<f64>().unwrap(), 3.0 * smallest);
}

#[test]
fn infinities_and_nan_under_the_widest_tolerance() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (legacy, new, expected) in [
        (inf, inf, EQUAL),
        (-inf, -inf, EQUAL),
        (nan, nan, EQUAL),
        (inf, -inf, UNEXPLAINED),
        (inf, f64::MAX, UNEXPLAINED),
        (nan, inf, UNEXPLAINED),
        (nan, 0.0, UNEXPLAINED),
    ] {
        assert_eq!(under(float(legacy), float(new), f64::MAX, 1.0), expected, "{legacy} {new}");
        assert_eq!(under(float(new), float(legacy), f64::MAX, 1.0), expected, "{new} {legacy}");
    }
    assert_eq!(exact(float(nan), decimal(0, 2)).counts("v"), UNEXPLAINED);
    assert_eq!(exact(float(inf), int(i64::MAX)).counts("v"), UNEXPLAINED);
}

#[test]
fn a_baseline_of_zero_has_a_relative_difference_of_one() {
    for (legacy, new) in [(0.0, 5.0), (5.0, 0.0), (0.0, -5.0)] {
        let found = cell(float(legacy), float(new), Tolerance::new(0.0, 0.99).unwrap());
        assert_eq!(found.counts("v"), UNEXPLAINED);
        assert_eq!(found.comparison.columns[0].max_relative.as_ref().unwrap().as_str(), "1");
        assert_eq!(under(float(legacy), float(new), 0.0, 1.0), WITHIN);
        assert_eq!(under(float(legacy), float(new), 5.0, 0.0), WITHIN);
    }
    let nothing = exact(float(0.0), float(0.0));
    assert_eq!(nothing.counts("v"), EQUAL);
    assert!(nothing.comparison.columns[0].max_relative.as_ref().is_none_or(|r| r.as_str() == "0"));
    // Opposite signs lie twice as far apart as either is large.
    assert_eq!(under(float(1.0), float(-1.0), 0.0, 1.0), UNEXPLAINED);
}

#[test]
fn the_boundary_of_a_tolerance_passes_in_every_type_and_direction() {
    let pairs: [(ArrayRef, ArrayRef); 4] = [
        (int(100), int(90)),
        (decimal(10_000, 2), decimal(90_0000, 4)),
        (float(100.0), decimal(90, 0)),
        (int(100), float(90.0)),
    ];
    for (a, b) in pairs {
        for (legacy, new) in [(&a, &b), (&b, &a)] {
            assert_eq!(under(legacy.clone(), new.clone(), 10.0, 0.0), WITHIN);
            assert_eq!(under(legacy.clone(), new.clone(), 0.0, 0.1), WITHIN);
            assert_eq!(under(legacy.clone(), new.clone(), 10.0_f64.next_down(), 0.0), UNEXPLAINED);
            assert_eq!(under(legacy.clone(), new.clone(), 0.0, 0.0999999), UNEXPLAINED);
        }
    }
}

#[test]
fn the_last_digit_of_the_longest_decimals_counts_against_any_width() {
    let value = i128::from(i64::MAX) * 10_i128.pow(18) + 1;
    let (narrow, wide) =
        (decimal(value, 18), cast(&decimal(value, 18), &DataType::Decimal256(76, 37)).unwrap());
    assert_eq!(exact(narrow.clone(), wide.clone()).counts("v"), EQUAL);
    assert_eq!(exact(narrow, int(i64::MAX)).counts("v"), UNEXPLAINED);
    let found = exact(int(i64::MAX), wide);
    assert_eq!((found.counts("v"), totals(&found)[2].as_str()), (UNEXPLAINED, "0.000000000000000001"));
}

#[test]
fn null_missing_empty_and_zero_are_four_things() {
    assert_eq!(exact(float(None), float(0.0)).counts("v"), UNEXPLAINED);
    // Missing: the row stands on one side only.
    let rows = |keys: &[i64], values: &[Option<f64>]| {
        table(vec![
            ("k", array(Int64Array::from(keys.to_vec()))),
            ("v", array(Float64Array::from(values.to_vec()))),
        ])
    };
    let found = support::diff(&rows(&[1, 2], &[None, Some(0.0)]), &rows(&[], &[]));
    assert_eq!((found.comparison.rows.only_legacy, found.comparison.rows.paired), (2, 0));
    assert_eq!(totals(&found), ["0", "0", "0", "0"]);
    let texts = |v: Option<&str>| array(arrow::array::StringArray::from(vec![v]));
    assert_eq!(exact(texts(None), texts(Some(""))).counts("v"), UNEXPLAINED);
    assert_eq!(exact(texts(Some("0")), texts(Some(""))).counts("v"), UNEXPLAINED);
}

/// The batch of one measure `v` under a rule.
fn ruled(values: &ArrayRef, rule: Rule) -> RecordBatch {
    let keys = array(Int64Array::from_iter_values(0..values.len() as i64));
    let batch = table(vec![("k", keys), ("v", values.clone())]);
    let rules = [AlignRule { rule, column: "v".to_owned(), side: None }];
    Aligner::new(&rules, Side::Legacy, batch.schema()).unwrap().apply(&batch).unwrap()
}

#[test]
fn null_is_zero_under_its_rule_only() {
    let sides = [ruled(&float(None), Rule::NullIsZero), ruled(&float(0.0), Rule::NullIsZero)];
    assert_eq!(Setup::default().run(&sides).counts("v"), EQUAL);
    let nan = [ruled(&float(None), Rule::NullIsZero), ruled(&float(f64::NAN), Rule::NullIsZero)];
    assert_eq!(Setup::default().run(&nan).counts("v"), UNEXPLAINED);
}

#[test]
fn rounding_by_rule_is_the_same_in_every_type() {
    let round = || Rule::Round { digits: 2 };
    let short = cast(&float(1.005), &DataType::Float32).unwrap();
    let small = cast(&decimal(1_005, 3), &DataType::Decimal32(4, 3)).unwrap();
    let all = [float(1.005), short, decimal(1_005, 3), small];
    for legacy in &all {
        for new in &all {
            let found = Setup::default().run(&[ruled(legacy, round()), ruled(new, round())]);
            assert_eq!(found.counts("v"), EQUAL, "{} {}", legacy.data_type(), new.data_type());
            assert_eq!(totals(&found)[0], "1.01");
        }
    }
    // A carry needs one digit more.
    let full = cast(&decimal(9_999, 3), &DataType::Decimal32(4, 3)).unwrap();
    assert_eq!(totals(&Setup::default().run(&[ruled(&full, round()), ruled(&full, round())]))[0], "10");
}

#[test]
fn sums_of_integers_and_decimals_do_not_overflow() {
    let integers = || array(Int64Array::from(vec![i64::MAX; 4]));
    assert_eq!(totals(&exact(integers(), integers()))[0], "36893488147419103228");
    let most = 10_i128.pow(38) - 1;
    let decimals =
        |v: i128| array(Decimal128Array::from(vec![v; 3]).with_precision_and_scale(38, 0).unwrap());
    let found = exact(decimals(most), decimals(-most));
    let (sum, gap) = ("299999999999999999999999999999999999997", "599999999999999999999999999999999999994");
    assert_eq!(totals(&found), [sum, &format!("-{sum}"), &format!("-{gap}"), gap]);
}

#[test]
fn sums_of_floats_are_exact_in_any_order_and_partition() {
    let values = [1e16, 1.0, -1e16, f64::MAX, 0.1, -f64::MAX, 1e-300, -1.0, 3.0];
    let expected = 3.1;
    for turn in 0..values.len() {
        let mut turned = values.to_vec();
        turned.rotate_left(turn);
        let side = |v: &[f64]| {
            let keys = array(Int64Array::from_iter_values(0..v.len() as i64));
            table(vec![("k", keys), ("v", array(Float64Array::from(v.to_vec())))])
        };
        for batch in [1, 2, usize::MAX] {
            let zeros = vec![0.0; values.len()];
            let found = Setup { batch, ..Setup::default() }.run(&[side(&turned), side(&zeros)]);
            assert_eq!(totals(&found)[0].parse::<f64>().unwrap(), expected, "turn {turn}, batch {batch}");
        }
    }
}

#[test]
fn a_sum_beyond_the_range_of_floats_comes_back() {
    let values = || array(Float64Array::from(vec![f64::MAX, f64::MAX, -f64::MAX, -f64::MAX, 2.0]));
    let found = exact(values(), values());
    assert_eq!((found.counts("v"), totals(&found)[0].as_str()), ([5, 0, 0, 0, 0], "2"));
}
