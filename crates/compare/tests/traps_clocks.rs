//! Naive local times under the rule for time zones, where the clocks of Paris change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampSecondArray},
    record_batch::RecordBatch,
};
use dualrun_compare::{Aligner, CompareError, text::value_text};
use dualrun_core::{
    align::{AlignRule, Rule},
    input::Side,
    run::PerSide,
};
use support::{Setup, array, table};

/// 2025-10-26T00:00:00 and 2025-03-30T00:00:00, as the clock on a wall or in UTC.
const AUTUMN: i64 = 1_761_436_800;
const SPRING: i64 = 1_743_292_800;
const HOUR: i64 = 3_600;

/// Hours of a wall clock, with the value 1 each, read by the rule as instants.
fn local(hours: &[i64], day: i64, zone: &str) -> RecordBatch {
    let walls = hours.iter().map(|h| day + h * HOUR);
    let batch = table(vec![
        ("hour", array(TimestampSecondArray::from_iter_values(walls))),
        ("v", array(Float64Array::from(vec![1.0; hours.len()]))),
    ]);
    zoned(&batch, zone).unwrap()
}

fn zoned(batch: &RecordBatch, zone: &str) -> Result<RecordBatch, CompareError> {
    let rule = Rule::TimeZone { zone: zone.to_owned() };
    let rules = [AlignRule { rule, column: "hour".to_owned(), side: Some(Side::Legacy) }];
    Aligner::new(&rules, Side::Legacy, batch.schema())?.apply(batch)
}

/// Hours in UTC with the value 1 each.
fn utc(hours: &[i64], day: i64) -> RecordBatch {
    let instants = hours.iter().map(|h| (day + h * HOUR) * 1_000_000);
    table(vec![
        ("hour", array(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC"))),
        ("v", array(Float64Array::from(vec![1.0; hours.len()]))),
    ])
}

fn hourly() -> Setup<'static> {
    Setup { key: &["hour"], ..Setup::default() }
}

#[test]
fn the_hours_around_a_change_pair_with_their_instants() {
    // Paris is two hours ahead before the change in autumn, one hour after it.
    let found = hourly().run(&[local(&[0, 1, 3, 4], AUTUMN, "Europe/Paris"), utc(&[-2, -1, 2, 3], AUTUMN)]);
    assert_eq!((found.comparison.rows.paired, found.counts("v")), (4, [4, 0, 0, 0, 0]));
    let found = hourly().run(&[local(&[0, 1, 3, 4], SPRING, "Europe/Paris"), utc(&[-1, 0, 1, 2], SPRING)]);
    assert_eq!(found.comparison.rows.paired, 4);
}

#[test]
fn the_hour_that_occurs_twice_is_ambiguous_and_never_paired_twice() {
    // The day has 25 hours; a wall clock shows 02:00 for two of them.
    let found = hourly().run(&[local(&[1, 2, 2, 3], AUTUMN, "Europe/Paris"), utc(&[-1, 0, 1, 2], AUTUMN)]);
    let rows = &found.comparison.rows;
    assert_eq!((rows.legacy, rows.new, rows.paired), (4, 4, 2));
    assert_eq!(rows.ambiguous_key, PerSide { legacy: 2, new: 1 });
    assert_eq!((rows.only_legacy, rows.only_new), (0, 1));
}

#[test]
fn one_row_of_the_hour_that_occurs_twice_is_the_first_of_them() {
    let found = hourly().run(&[local(&[2], AUTUMN, "Europe/Paris"), utc(&[0, 1], AUTUMN)]);
    let rows = &found.comparison.rows;
    assert_eq!((rows.paired, rows.only_new), (1, 1));
}

#[test]
fn the_hour_that_does_not_occur_falls_on_the_one_after_the_gap() {
    // 02:00 is skipped in spring: as long after the gap as it stands in it, 03:00.
    let found = hourly().run(&[local(&[2], SPRING, "Europe/Paris"), utc(&[1], SPRING)]);
    assert_eq!(found.comparison.rows.paired, 1);
    let found = hourly().run(&[local(&[2, 3], SPRING, "Europe/Paris"), utc(&[1, 2], SPRING)]);
    let rows = &found.comparison.rows;
    assert_eq!((rows.paired, rows.only_new), (0, 1));
    assert_eq!(rows.ambiguous_key, PerSide { legacy: 2, new: 1 });
}

#[test]
fn without_the_rule_naive_times_are_not_compared_with_instants() {
    let naive = table(vec![("hour", array(TimestampSecondArray::from(vec![AUTUMN])))]);
    let instants = utc(&[0], AUTUMN);
    let refused = dualrun_compare::common_for_diff(
        &naive.schema(),
        &instants.schema(),
        &["hour".into()],
        None,
        dualrun_core::Tolerance::EXACT,
    );
    assert!(refused.unwrap_err().hint().unwrap().contains("time_zone"));
}

fn first_text(batch: &RecordBatch) -> String {
    value_text(batch.column(0), 0).unwrap().unwrap()
}

#[test]
fn the_year_9999_has_instants_in_every_zone() {
    let end = TimestampSecondArray::from(vec![253_402_300_799]);
    let batch = table(vec![("hour", array(end))]);
    assert_eq!(first_text(&zoned(&batch, "Europe/Paris").unwrap()), "9999-12-31T22:59:59Z");
    assert_eq!(first_text(&zoned(&batch, "America/New_York").unwrap()), "+10000-01-01T04:59:59Z");
    // In July a rule of clocks applies, also where no table of years reaches.
    let july = table(vec![("hour", array(TimestampSecondArray::from(vec![253_402_300_800 + 190 * 86_400])))]);
    assert_eq!(first_text(&zoned(&july, "Europe/Paris").unwrap()), "+10000-07-08T22:00:00Z");
    let first = table(vec![("hour", array(TimestampSecondArray::from(vec![i64::MIN / 2])))]);
    assert!(zoned(&first, "Europe/Paris").is_ok());
}

#[test]
fn texts_are_read_to_the_microsecond_or_refused() {
    let of = |text: &str| table(vec![("hour", array(StringArray::from(vec![text])))]);
    for (text, expected) in [
        ("2025-10-26 02:30:00", "2025-10-26T00:30:00Z"),
        ("2025-10-26T02:30:00+01:00", "2025-10-26T01:30:00Z"),
        ("2025-03-30T02:30:00.000001", "2025-03-30T01:30:00.000001Z"),
        ("2025-03-30", "2025-03-29T23:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(first_text(&zoned(&of(text), "Europe/Paris").unwrap()), expected, "{text}");
    }
    for text in ["2025-10-26T00:00:00.0000001Z", "yesterday", "", "2025-02-30T00:00:00Z"] {
        assert!(matches!(zoned(&of(text), "Europe/Paris"), Err(CompareError::Cast { .. })), "{text}");
    }
}

#[test]
fn a_cast_to_timestamp_keeps_every_digit_and_a_cast_to_date_no_time_of_day() {
    let cast = |to: &str, nanoseconds: i64| {
        let instants = arrow::array::TimestampNanosecondArray::from(vec![nanoseconds]);
        let batch = table(vec![("hour", array(instants)), ("k", array(Int64Array::from(vec![1])))]);
        let rules =
            [AlignRule { rule: Rule::Cast { to: to.to_owned() }, column: "hour".to_owned(), side: None }];
        Aligner::new(&rules, Side::New, batch.schema()).unwrap().apply(&batch)
    };
    assert_eq!(first_text(&cast("timestamp", 1).unwrap()), "1970-01-01T00:00:00.000000001Z");
    assert_eq!(first_text(&cast("date", -86_400_000_000_000).unwrap()), "1969-12-31");
    assert!(matches!(cast("date", 1), Err(CompareError::Cast { .. })));
}
