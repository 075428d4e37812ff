use arrow::datatypes::i256;
use bigdecimal::{BigDecimal, num_bigint::BigInt};
use proptest::prelude::*;

use super::*;

fn tolerance(absolute: f64, relative: f64) -> Tolerance {
    Tolerance::new(absolute, relative).unwrap()
}

fn whole(value: i128) -> Num {
    Num::Whole(i256::from_i128(value))
}

/// Both ways round, which must agree.
fn passes(legacy: Num, new: Num, scale: i8, tolerance: Tolerance) -> bool {
    let one = agreement(legacy, new, scale, tolerance);
    assert_eq!(one, agreement(new, legacy, scale, tolerance), "{legacy:?} {new:?}");
    one != Agreement::Differs
}

/// The exact value of a float.
fn exact(value: f64) -> BigDecimal {
    BigDecimal::try_from(value).unwrap()
}

fn number(value: Num, scale: i8) -> BigDecimal {
    match value {
        Num::Whole(v) => BigDecimal::new(v.to_string().parse::<BigInt>().unwrap(), i64::from(scale)),
        Num::Float(v) => exact(v),
        Num::Exact(nearest, rest) => exact(nearest) + exact(rest),
        Num::Null => BigDecimal::from(0),
    }
}

#[test]
fn a_difference_beyond_the_allowance_by_less_than_a_float_can_say_fails() {
    let e17 = 10i128.pow(17);
    assert!(!passes(whole(0), whole(e17 + 1), 0, tolerance(1e17, 0.0)));
    assert!(passes(whole(0), whole(e17), 0, tolerance(1e17, 0.0)));
    assert!(!passes(whole(0), whole(500_000_000_000_000_001), 18, tolerance(0.5, 0.0)));
    assert!(passes(whole(0), whole(500_000_000_000_000_000), 18, tolerance(0.5, 0.0)));
    assert!(!passes(whole(10 * e17), whole(5 * e17 - 1), 0, tolerance(0.0, 0.5)));
    assert!(passes(whole(10 * e17), whole(5 * e17), 0, tolerance(0.0, 0.5)));
    let float = Num::Float;
    assert!(!passes(float(-1.0), float(1e16), 0, tolerance(1e16, 0.0)));
    assert!(passes(float(1.0), float(1e16), 0, tolerance(1e16, 0.0)));
    assert!(passes(float(0.0), float(1e16), 0, tolerance(1e16, 0.0)));
    let integer = |value: i128| Num::Exact(value as f64, (value - (value as f64) as i128) as f64);
    assert!(!passes(integer(0), integer(e17 + 1), 0, tolerance(1e17, 0.0)));
    assert!(passes(integer(0), integer(e17 - 1), 0, tolerance(1e17, 0.0)));
}

#[test]
fn a_decimal_is_held_against_the_tolerance_that_a_person_reads() {
    assert!(passes(whole(2), whole(3), 1, tolerance(0.1, 0.0)));
    // 0.1 as a float is 5.5e-18 more than a tenth.
    assert!(!passes(whole(0), whole(100_000_000_000_000_000_000_001), 24, tolerance(0.1, 0.0)));
    // As floats, 0.1 × 0.7 is less than 0.07.
    assert!(passes(whole(70), whole(63), 2, tolerance(0.0, 0.1)));
    assert!(!passes(whole(70_000), whole(62_999), 5, tolerance(0.0, 0.1)));
    // The larger side is no float.
    assert!(passes(whole(10i128.pow(18) + 10), whole(9 * 10i128.pow(17) + 9), 0, tolerance(0.0, 0.1)));
}

#[test]
fn differences_beyond_the_range_of_floats_are_judged_all_the_same() {
    let float = Num::Float;
    let most = f64::MAX;
    assert!(!passes(float(-most), float(most), 0, tolerance(most, 0.0)));
    assert!(!passes(float(-most), float(most), 0, tolerance(0.0, 1.5)));
    assert!(passes(float(-most), float(most), 0, tolerance(0.0, 2.0)));
    assert!(passes(float(-most / 2.0), float(most), 0, tolerance(0.0, 1.5)));
    let exact = |v: f64| Num::Exact(v, 0.0);
    assert!(!passes(exact(-most), exact(most), 0, tolerance(0.0, 1.5)));
    assert!(passes(exact(-most), exact(most), 0, tolerance(0.0, 2.0)));
    let widest = Num::Whole(i256::MAX);
    assert!(!passes(Num::Whole(i256::MIN), widest, 0, tolerance(1e77, 0.0)));
    assert!(passes(Num::Whole(i256::MIN), widest, 0, tolerance(1.2e77, 0.0)));
}

/// A difference that is at, or hardly beside, the absolute tolerance.
fn near(absolute: f64) -> impl Strategy<Value = f64> {
    prop_oneof![Just(absolute), Just(absolute.next_up()), Just(absolute.next_down()), any::<f64>()]
}

/// Some tolerances whose products with floats are exact or nearly so, and any.
fn relative() -> impl Strategy<Value = f64> {
    prop_oneof![prop::sample::select(vec![0.0, 0.5, 0.75, 0.1, 0.01, 1.5, 2.0, 1.0 / 3.0]), 0.0..2.5f64]
}

fn floats() -> impl Strategy<Value = (f64, f64, Tolerance)> {
    let size = prop_oneof![1e-3..1e3f64, 1e14..1e18f64, Just(1e16), Just(0.5), Just(5e-324)];
    let pair = (size.clone(), size, any::<bool>(), relative());
    pair.prop_flat_map(|(legacy, absolute, negative, relative)| {
        let legacy = if negative { -legacy } else { legacy };
        near(absolute).prop_map(move |gap| (legacy, legacy + gap, tolerance(absolute, relative)))
    })
    .prop_filter("finite", |(_, new, _)| new.is_finite())
}

/// Floats as far apart as a relative tolerance allows, as far as floats can say.
fn at_relative() -> impl Strategy<Value = (f64, f64, Tolerance)> {
    let size = prop_oneof![1e-3..1e3f64, 1e14..1e18f64, 1e307..1.7e308f64, 0.0..1e-307f64];
    (size, relative(), any::<bool>(), -1i8..2)
        .prop_map(|(larger, relative, swap, step)| {
            let other = larger * (1.0 - relative);
            let other = [other.next_down(), other, other.next_up()][(step + 1).unsigned_abs() as usize];
            let (l, n) = if swap { (other, larger) } else { (larger, other) };
            (l, n, tolerance(0.0, relative))
        })
        .prop_filter("finite", |(l, n, _)| l.is_finite() && n.is_finite())
}

/// The rule in exact arithmetic.
fn allowed(l: &BigDecimal, n: &BigDecimal, absolute: BigDecimal, relative: BigDecimal) -> bool {
    (n - l).abs() <= absolute.max(relative * l.abs().max(n.abs()))
}

/// The number that a person reads in a float.
fn read(value: f64) -> BigDecimal {
    Number::from_f64(value).to_string().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn floats_agree_as_exact_arithmetic_says((l, n, tolerance) in prop_oneof![floats(), at_relative()]) {
        let expected = allowed(&exact(l), &exact(n), exact(tolerance.absolute()), exact(tolerance.relative()));
        prop_assert_eq!(passes(Num::Float(l), Num::Float(n), 0, tolerance), expected);
    }

    #[test]
    fn integers_among_floats_agree_as_exact_arithmetic_says(
        l: i64, gap in -3i128..4, size in 1u32..63, is_float: bool, relative in relative(), at_relative: bool,
    ) {
        let integer = |value: i128| {
            let nearest = value as f64;
            Num::Exact(nearest, if is_float { 0.0 } else { (value - nearest as i128) as f64 })
        };
        let absolute = if at_relative { 0.0 } else { 2f64.powi(size as i32) };
        let l = i128::from(l);
        let distance = if at_relative { -((l as f64 * relative) as i128) } else { 1 << size };
        let (l, n) = (integer(l), integer(l + distance + gap));
        let expected = allowed(&number(l, 0), &number(n, 0), exact(absolute), exact(relative));
        prop_assert_eq!(passes(l, n, 0, tolerance(absolute, relative)), expected);
    }

    #[test]
    fn decimals_agree_as_exact_arithmetic_says(
        l: i128, shift in 8u32..100, steps in 0u64..1_000_000, gap in -2i128..3, scale in 0i8..30, relative in relative(),
    ) {
        // The shortest text of this float is the decimal again.
        let absolute: f64 = format!("{steps}e-6").parse().unwrap();
        let places = i32::from(scale) - 6;
        let step = if places >= 0 { i128::from(steps) * 10i128.pow(places as u32) } else { i128::from(steps) };
        let (legacy, new) = (whole(l >> shift), whole((l >> shift) + step + gap));
        let tolerance = tolerance(absolute, relative);
        let (a, b) = (number(legacy, scale), number(new, scale));
        prop_assert_eq!(passes(legacy, new, scale, tolerance), allowed(&a, &b, read(absolute), read(relative)));
    }

    #[test]
    fn decimals_at_a_relative_tolerance_agree_as_exact_arithmetic_says(
        size in 1i128..10i128.pow(33), shift in 0u32..100, percent in 0i128..300, gap in -1i128..2, scale in 0i8..30,
    ) {
        let larger = ((size >> shift) + 1) * 100;
        let (legacy, new) = (whole(larger), whole(larger - larger / 100 * percent + gap));
        let tolerance = tolerance(0.0, format!("{percent}e-2").parse().unwrap());
        let (a, b) = (number(legacy, scale), number(new, scale));
        let expected = allowed(&a, &b, read(0.0), read(tolerance.relative()));
        prop_assert_eq!(passes(legacy, new, scale, tolerance), expected);
    }
}
