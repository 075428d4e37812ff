//! Where a tolerance ends: exactly at its figure, in every type, both ways round.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{ArrayRef, Decimal128Array, Decimal256Array, Float64Array, Int64Array},
    datatypes::i256,
};
use dualrun_core::Tolerance;

use support::{Found, array, cell};

const WITHIN: [u64; 5] = [0, 1, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

fn integer(value: i64) -> ArrayRef {
    array(Int64Array::from(vec![value]))
}

fn float(value: f64) -> ArrayRef {
    array(Float64Array::from(vec![value]))
}

fn decimal(digits: i128, scale: i8) -> ArrayRef {
    array(Decimal128Array::from(vec![digits]).with_precision_and_scale(38, scale).unwrap())
}

/// The verdicts of one cell, which are the same with the sides exchanged.
fn verdicts(legacy: &ArrayRef, new: &ArrayRef, tolerance: Tolerance) -> [u64; 5] {
    let found = cell(legacy.clone(), new.clone(), tolerance).counts("v");
    assert_eq!(found, cell(new.clone(), legacy.clone(), tolerance).counts("v"));
    found
}

fn absolute(value: f64) -> Tolerance {
    Tolerance::new(value, 0.0).unwrap()
}

#[test]
fn one_unit_beyond_an_absolute_tolerance_is_a_difference() {
    let e17 = 10i64.pow(17);
    assert_eq!(verdicts(&integer(0), &integer(e17 + 1), absolute(1e17)), UNEXPLAINED);
    assert_eq!(verdicts(&integer(0), &integer(e17), absolute(1e17)), WITHIN);
    assert_eq!(verdicts(&decimal(0, 18), &decimal(500_000_000_000_000_001, 18), absolute(0.5)), UNEXPLAINED);
    assert_eq!(verdicts(&decimal(0, 18), &decimal(500_000_000_000_000_000, 18), absolute(0.5)), WITHIN);
    assert_eq!(verdicts(&float(-1.0), &float(1e16), absolute(1e16)), UNEXPLAINED);
    assert_eq!(verdicts(&float(1.0), &float(1e16), absolute(1e16)), WITHIN);
    // An integer among floats.
    assert_eq!(verdicts(&integer(e17 + 1), &float(0.0), absolute(1e17)), UNEXPLAINED);
    assert_eq!(verdicts(&integer(e17), &float(0.0), absolute(1e17)), WITHIN);
}

#[test]
fn one_unit_beyond_a_relative_tolerance_is_a_difference() {
    let half = Tolerance::new(0.0, 0.5).unwrap();
    let e17 = 10i64.pow(17);
    assert_eq!(verdicts(&integer(10 * e17), &integer(5 * e17 - 1), half), UNEXPLAINED);
    assert_eq!(verdicts(&integer(10 * e17), &integer(5 * e17), half), WITHIN);
    // As floats, 0.1 × 0.7 is less than 0.07.
    let tenth = Tolerance::new(0.0, 0.1).unwrap();
    assert_eq!(verdicts(&decimal(70, 2), &decimal(63, 2), tenth), WITHIN);
    assert_eq!(verdicts(&decimal(70_000, 5), &decimal(62_999, 5), tenth), UNEXPLAINED);
}

#[test]
fn a_row_on_one_side_is_held_against_zero() {
    let legacy = cell(integer(10i64.pow(17) + 1), array(Int64Array::from(vec![None])), absolute(1e17));
    assert_eq!(legacy.counts("v"), UNEXPLAINED);
}

/// Legacy, new, net and gross figures of the measure.
fn totals(found: &Found) -> [String; 4] {
    let report = found.comparison.columns[0].clone();
    [report.legacy_total, report.new_total, report.net_difference, report.gross_difference]
        .map(|figure| figure.unwrap().0)
}

#[test]
fn sums_of_the_widest_decimals_do_not_end_a_run() {
    let nines: i256 = "9".repeat(76).parse().unwrap();
    let side = |value: i256| -> ArrayRef {
        array(Decimal256Array::from(vec![value; 10]).with_precision_and_scale(76, 2).unwrap())
    };
    let found = cell(side(nines), side(-nines), Tolerance::EXACT);
    // 10 × (10^74 − 0.01), and twice that.
    let sum = format!("{}.9", "9".repeat(75));
    let gap = format!("1{}.8", "9".repeat(75));
    assert_eq!(totals(&found), [sum.clone(), format!("-{sum}"), format!("-{gap}"), gap]);
    assert_eq!(found.counts("v"), [0, 0, 0, 0, 10]);
    assert_eq!(totals(&cell(side(nines), side(nines), Tolerance::EXACT))[3], "0");
}
