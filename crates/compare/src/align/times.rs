//! The rule `time_zone`: times without a zone become instants.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit},
    error::ArrowError,
};
use jiff::{Timestamp, civil, tz::TimeZone};

use super::texts::is_text;
use crate::{
    canonical::nanoseconds,
    cast::{cast_to, strict},
};

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

fn read(text: &str, zone: &TimeZone) -> Option<i64> {
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => {
            let local = text.parse::<civil::DateTime>().ok()?;
            zone.to_ambiguous_timestamp(local).compatible().ok()?
        }
    };
    Some(instant.as_microsecond())
}

/// Wall-clock ticks to ticks of the instant.
fn shift(tick: i64, per: i128, zone: &TimeZone) -> Option<i64> {
    let local = Timestamp::from_nanosecond(i128::from(tick) * per).ok()?;
    let local = TimeZone::UTC.to_datetime(local);
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    i64::try_from(instant.as_nanosecond().div_euclid(per)).ok()
}
