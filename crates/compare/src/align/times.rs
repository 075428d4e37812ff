//! The rule `time_zone`: times without a zone become instants.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit},
    error::ArrowError,
};
use jiff::{Timestamp, Zoned, civil::DateTime, fmt::temporal::Pieces, tz::TimeZone};

use super::texts::is_text;
use crate::{
    cast::{cast_to, strict},
    types::nanoseconds,
};

const SECOND: i128 = 1_000_000_000;
/// From the first second of the year 0 to the first of 1970.
const SECONDS_BEFORE_1970: i64 = 719_528 * 86_400;

/// The type of an instant that was read from text.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Reads times in a zone. A time that occurs twice (clocks go back) is the first of the two, one that never occurs
/// (clocks go forward) is as long after the gap as it stands in it: the rule `compatible` of RFC 5545. Texts with an offset
/// keep it.
pub(super) fn to_instants(array: &ArrayRef, zone: &TimeZone, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if is_text(array.data_type()) {
        let texts = cast_to(array, &DataType::Utf8)?;
        let instants = texts
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(|t| read(t.trim(), zone).ok_or_else(unreadable)).transpose())
            .collect::<Result<TimestampMicrosecondArray, ArrowError>>()?;
        return Ok(Arc::new(instants.with_timezone("UTC")));
    }
    let DataType::Timestamp(unit, _) = array.data_type() else { return Err(unreadable()) };
    let per = nanoseconds(*unit);
    let ticks = strict(array, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>();
    let moved: Int64Array = if zone == &TimeZone::UTC {
        ticks.clone()
    } else {
        ticks
            .iter()
            .map(|tick| tick.map(|t| shift(t, per, zone).ok_or_else(unreadable)).transpose())
            .collect::<Result<_, ArrowError>>()?
    };
    let moved: ArrayRef = Arc::new(moved);
    let instants = cast(&moved, &DataType::Timestamp(*unit, Some("UTC".into())))?;
    cast_to(&instants, to)
}

fn unreadable() -> ArrowError {
    ArrowError::CastError("a time cannot be read".to_owned())
}

/// Microseconds of the instant that a text names: `2025-03-30T02:00:00.5`, with or without an offset.
fn read(text: &str, zone: &TimeZone) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let local = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
    let seconds = local.duration_since(DateTime::ZERO).as_secs() - SECONDS_BEFORE_1970;
    let offset = match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
        (Some(offset), _) => i64::from(offset.seconds()),
        (None, None) => offset(seconds, zone)?,
        (None, Some(_)) => i64::from(text.parse::<Zoned>().ok()?.offset().seconds()),
    };
    let nanoseconds = local.subsec_nanosecond();
    // Digits that a microsecond does not hold would be lost.
    (nanoseconds % 1_000 == 0).then_some((seconds - offset) * 1_000_000 + i64::from(nanoseconds / 1_000))
}

/// Wall-clock ticks to ticks of the instant.
fn shift(tick: i64, per: i128, zone: &TimeZone) -> Option<i64> {
    let nanoseconds = i128::from(tick) * per;
    let seconds = i64::try_from(nanoseconds.div_euclid(SECOND)).ok()?;
    let offset = i128::from(offset(seconds, zone)?) * SECOND;
    // Offsets are whole seconds, as a tick of any unit is a part of one.
    i64::try_from((nanoseconds - offset).div_euclid(per)).ok()
}

/// The offset of a zone, in seconds, at a wall-clock time in seconds since 1970.
fn offset(seconds: i64, zone: &TimeZone) -> Option<i64> {
    // The calendar repeats after 400 years, weekdays and rules of clocks included, and before the first rule there
    // is one offset: years beyond those that jiff knows (think of 9999-12-31 in New York) are read there.
    const CYCLE: i64 = 146_097 * 86_400;
    let near =
        if seconds.abs() < 15 * CYCLE { seconds } else { seconds % CYCLE + 15 * CYCLE * seconds.signum() };
    let local = TimeZone::UTC.to_datetime(Timestamp::from_second(near).ok()?);
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(near - instant.as_second())
}
