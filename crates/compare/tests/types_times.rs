//! Days, times, instants, durations and intervals, in every unit and zone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{
        Array, ArrayRef, Date32Array, Date64Array, Int64Array, IntervalDayTimeArray,
        IntervalMonthDayNanoArray, IntervalYearMonthArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    },
    compute::cast,
    datatypes::{DataType as T, IntervalDayTime, IntervalMonthDayNano, TimeUnit},
};
use dualrun_compare::conform;
use dualrun_core::Tolerance;
use support::{Setup, array, cell, table};

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];
const UNITS: [TimeUnit; 4] =
    [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

fn counts(legacy: &ArrayRef, new: &ArrayRef) -> [u64; 5] {
    cell(legacy.clone(), new.clone(), Tolerance::EXACT).counts("v")
}

/// Paired and one-sided rows where the arrays are keys.
fn as_keys(legacy: &ArrayRef, new: &ArrayRef) -> (u64, u64, u64) {
    let keyed = |k: &ArrayRef| table(vec![("k", k.clone())]);
    let rows = Setup::default().run(&[keyed(legacy), keyed(new)]).comparison.rows;
    (rows.paired, rows.only_legacy, rows.only_new)
}

fn check_all(equal: &[ArrayRef], other: &[ArrayRef]) {
    for legacy in equal {
        for new in equal {
            let pair = format!("{} against {}", legacy.data_type(), new.data_type());
            assert_eq!((counts(legacy, new), as_keys(legacy, new)), (EQUAL, (1, 0, 0)), "{pair}");
        }
        for new in other {
            let pair = format!("{} against {}", legacy.data_type(), new.data_type());
            assert_eq!((counts(legacy, new), as_keys(legacy, new)), (UNEXPLAINED, (0, 1, 1)), "{pair}");
            assert_eq!((counts(new, legacy), as_keys(new, legacy)), (UNEXPLAINED, (0, 1, 1)), "{pair}");
        }
    }
}

fn of_units(seconds: i64, to: impl Fn(TimeUnit) -> T) -> Vec<ArrayRef> {
    let per = [1, 1_000, 1_000_000, 1_000_000_000];
    let ticks = |per: i64| array(Int64Array::from(vec![seconds * per]));
    UNITS.into_iter().zip(per).map(|(unit, per)| cast(&ticks(per), &to(unit)).unwrap()).collect()
}

#[test]
fn instants_of_every_unit() {
    for zone in [None, Some("UTC".into())] {
        let of = |seconds| of_units(seconds, |unit| T::Timestamp(unit, zone.clone()));
        check_all(&of(1_743_292_800), &of(1_743_292_801));
        check_all(&of(-1), &of(0));
    }
}

#[test]
fn the_last_nanosecond_counts_against_every_unit() {
    for (unit, ticks) in UNITS.into_iter().zip([1, 1_000, 1_000_000, 1_000_000_000]) {
        let coarse = cast(&array(Int64Array::from(vec![-ticks])), &T::Timestamp(unit, None)).unwrap();
        let fine = |v: i64| array(TimestampNanosecondArray::from(vec![v]));
        assert_eq!(counts(&coarse, &fine(-1_000_000_000)), EQUAL);
        for other in [-1_000_000_001, -999_999_999] {
            check_all(std::slice::from_ref(&coarse), &[fine(other)]);
        }
    }
}

#[test]
fn instants_of_different_zones_at_a_change_of_clocks() {
    // 2025-10-26 00:30 and 01:30 UTC are both 02:30 in Paris.
    let (first, second) = (1_761_438_600, 1_761_442_200);
    let paris =
        |s: i64| array(TimestampMillisecondArray::from(vec![s * 1_000]).with_timezone("Europe/Paris"));
    let offset = |s: i64| array(TimestampSecondArray::from(vec![s]).with_timezone("+02:00"));
    let utc = |s: i64| array(TimestampNanosecondArray::from(vec![s * 1_000_000_000]).with_timezone("UTC"));
    check_all(&[paris(first), offset(first), utc(first)], &[paris(second), offset(second), utc(second)]);
}

#[test]
fn an_instant_beyond_the_range_of_nanoseconds_is_a_difference() {
    // 9999-12-31, 0001-01-01, and the ends of what seconds hold.
    for seconds in [253_402_214_400, -62_135_596_800, i64::MAX, i64::MIN] {
        let far = array(TimestampSecondArray::from(vec![seconds]).with_timezone("UTC"));
        let near = |v: i64| array(TimestampNanosecondArray::from(vec![v]).with_timezone("UTC"));
        check_all(&[far], &[near(0), near(i64::MAX), near(i64::MIN)]);
    }
    let end = array(TimestampMicrosecondArray::from(vec![253_402_300_799_999_999]));
    let near = array(TimestampNanosecondArray::from(vec![i64::MAX]));
    check_all(&[end], &[near]);
}

#[test]
fn instants_of_two_units_keep_their_order() {
    let far = [i64::MIN, -62_135_596_800, -1, 0, 253_402_214_400, i64::MAX];
    let legacy = table(vec![("k", array(TimestampSecondArray::from(far.to_vec())))]);
    let near = vec![-1_000_000_000, -999_999_999, 0, 1, i64::MAX];
    let new = table(vec![("k", array(TimestampNanosecondArray::from(near)))]);
    let found = Setup { batch: 2, ..Setup::default() }.run(&[legacy.clone(), new]);
    let rows = found.comparison.rows;
    assert_eq!((rows.paired, rows.only_legacy, rows.only_new), (2, 4, 3));
    let common = conform(&legacy, &found.common).unwrap();
    assert_eq!(
        dualrun_compare::text::value_text(common.column(0), 4).unwrap().unwrap(),
        "9999-12-31T00:00:00"
    );
}

#[test]
fn an_instant_that_no_microsecond_holds_is_said_with_its_column() {
    let legacy = table(vec![("k", array(TimestampMillisecondArray::from(vec![i64::MAX])))]);
    let new = table(vec![("k", array(TimestampMicrosecondArray::from(vec![0])))]);
    let key = ["k".to_owned()];
    let common =
        dualrun_compare::common_for_diff(&legacy.schema(), &new.schema(), &key, None, Tolerance::EXACT)
            .unwrap();
    let error = conform(&legacy, &common).unwrap_err();
    assert!(matches!(&error, dualrun_compare::CompareError::Cast { column, .. } if column == "k"));
    assert!(error.hint().is_some());
}

#[test]
fn durations_of_every_unit() {
    let of = |seconds| of_units(seconds, T::Duration);
    check_all(&of(-90), &of(90));
    let far = cast(&array(Int64Array::from(vec![i64::MAX])), &T::Duration(TimeUnit::Second)).unwrap();
    check_all(&[far], &of(90)[3..]);
}

#[test]
fn times_of_day_of_every_unit() {
    let of = |seconds: i64| -> Vec<ArrayRef> {
        let second = cast(&array(Int64Array::from(vec![seconds])), &T::Int32).unwrap();
        let second = cast(&second, &T::Time32(TimeUnit::Second)).unwrap();
        let types = [
            T::Time32(TimeUnit::Second),
            T::Time32(TimeUnit::Millisecond),
            T::Time64(TimeUnit::Microsecond),
            T::Time64(TimeUnit::Nanosecond),
        ];
        types.iter().map(|t| cast(&second, t).unwrap()).collect()
    };
    check_all(&of(0), &of(86_399));
    check_all(&of(43_200), &of(43_201));
}

#[test]
fn days_of_both_widths() {
    let narrow = |day: i32| array(Date32Array::from(vec![day]));
    let wide = |day: i64| array(Date64Array::from(vec![day * 86_400_000]));
    check_all(&[narrow(-1), wide(-1)], &[narrow(0), wide(0)]);
    // No day, but the type allows it: never taken for the day.
    let noon = array(Date64Array::from(vec![43_200_000]));
    check_all(&[narrow(0), wide(0)], &[noon]);
    let far = array(Date64Array::from(vec![i64::MAX]));
    check_all(&[narrow(i32::MAX)], &[far]);
}

#[test]
fn intervals_are_equal_as_the_same_months_days_and_nanoseconds_only() {
    let months = |m: i32| array(IntervalYearMonthArray::from(vec![m]));
    let days = |d: i32, ms: i32| array(IntervalDayTimeArray::from(vec![IntervalDayTime::new(d, ms)]));
    let all = |m: i32, d: i32, n: i64| {
        array(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(m, d, n)]))
    };
    check_all(&[months(14), all(14, 0, 0)], &[months(13), all(14, 0, 1), days(425, 0)]);
    check_all(&[days(1, -500), all(0, 1, -500_000_000)], &[days(1, 500), all(0, 1, 500_000_000), months(1)]);
    // A month is not 30 days, a day not 24 hours.
    check_all(&[all(1, 0, 0)], &[all(0, 30, 0), all(0, 31, 0), days(30, 0)]);
    check_all(&[all(0, 1, 0)], &[all(0, 0, 86_400_000_000_000), days(0, 86_400_000)]);
    check_all(&[days(1, 0)], &[days(0, 86_400_000)]);
    check_all(&[all(i32::MAX, i32::MIN, i64::MAX)], &[all(i32::MAX, i32::MIN, i64::MIN)]);
}
