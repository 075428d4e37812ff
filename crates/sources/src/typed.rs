//! Text columns as another type, where that loses nothing.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, NullArray, TimestampNanosecondArray},
    compute,
    datatypes::{DataType, TimeUnit},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use crate::{
    SourceError,
    column::Columns,
    instant::{self, Moment},
    misfit::Misfits,
    number::{self, Decimal},
    rules::{Kind, Member},
};

/// A text column as another type; none where a value does not fit, or would lose something (a time of day, digits of a
/// second or of a whole number), or would be given what it does not say: the zone of a local time.
pub(crate) fn typed(array: &ArrayRef, target: &DataType) -> Result<Option<ArrayRef>, SourceError> {
    let kind = match target {
        DataType::Utf8 => return Ok(Some(Arc::clone(array))),
        DataType::Null => {
            return Ok(
                (array.null_count() == array.len()).then(|| Arc::new(NullArray::new(array.len())) as _)
            );
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => return Ok(nanoseconds(array, zone.clone())),
        // Beyond the integers that columns are built from.
        DataType::UInt64 => Kind::Decimal { precision: 20, scale: 0 },
        t if t.is_integer() => Kind::Integer,
        DataType::Float32 | DataType::Float64 => Kind::Float,
        DataType::Decimal128(precision, scale) => Kind::Decimal { precision: *precision, scale: *scale },
        DataType::Boolean => Kind::Boolean,
        DataType::Date32 => Kind::Date,
        DataType::Timestamp(..) => Kind::Timestamp,
        _ => return Ok(None),
    };
    if !array.as_string::<i32>().iter().flatten().all(|text| is_kept(text, target)) {
        return Ok(None);
    }
    let member = Member { name: String::new(), ty: kind.plain(), missing: false };
    let mut columns = Columns::new(std::slice::from_ref(&member), "");
    let mut misfits = Misfits::default();
    for row in 0..array.len() {
        columns.append_row(|_| Some(array), row, &mut misfits);
    }
    let Some(built) = columns.arrays()?.pop() else { return Ok(None) };
    let cast = compute::cast(&built, target)?;
    Ok((cast.null_count() == array.null_count()).then_some(cast))
}

/// Whether a type keeps all that a text says; of what it cannot read at all, the conversion makes null.
fn is_kept(text: &str, target: &DataType) -> bool {
    match target {
        DataType::Float64 => float(text).is_none_or(|(_, kept)| kept),
        DataType::Float32 => float(text).is_none_or(|(plain, kept)| is_float32(&plain, kept)),
        DataType::Date32 => !text.trim().contains(['T', 't', ' ', ':']),
        DataType::Timestamp(_, Some(_)) if is_local(text) => false,
        DataType::Timestamp(unit, _) => {
            instant::fraction_digits(text)
                <= match unit {
                    TimeUnit::Second => 0,
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond => 6,
                    TimeUnit::Nanosecond => 9,
                }
        }
        _ => true,
    }
}

fn is_local(text: &str) -> bool {
    matches!(instant::iso(text.trim()), Some(Moment::Civil(_)))
}

/// A number in its plain form, and whether a float keeps it: a whole number must be one exactly, a fraction counts as
/// the nearest, as decimals do beside floats.
fn float(text: &str) -> Option<(String, bool)> {
    let plain = number::plain(text.trim(), '.')?;
    let kept = if plain.contains(['.', 'e', 'E']) {
        plain.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        number::parse(&plain).is_some_and(Decimal::is_exact_f64)
    };
    Some((plain, kept))
}

/// Whether the nearest float has no more than 32 bits, or the number is the shortest text of one that has.
fn is_float32(plain: &str, kept: bool) -> bool {
    let (Ok(wide), Ok(narrow)) = (plain.parse::<f64>(), plain.parse::<f32>()) else { return false };
    if !narrow.is_finite() || wide as f32 != narrow {
        return false;
    }
    let shortest = || number::parse(&format!("{narrow:e}"));
    (kept && f64::from(narrow) == wide)
        || number::parse(plain).zip(shortest()).is_some_and(|(number, short)| number.same(short))
}

fn nanoseconds(array: &ArrayRef, zone: Option<Arc<str>>) -> Option<ArrayRef> {
    let is_zoned = zone.is_some();
    let instant = |text: &str| -> Option<i64> {
        let text = text.trim();
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(_) if is_zoned => return None,
            Err(_) => TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
        };
        i64::try_from(instant.as_nanosecond()).ok()
    };
    let values: TimestampNanosecondArray =
        array.as_string::<i32>().iter().map(|text| text.and_then(instant)).collect();
    (values.null_count() == array.null_count()).then(|| Arc::new(values.with_timezone_opt(zone)) as _)
}

#[cfg(test)]
mod tests {
    use arrow::{array::StringArray, util::display::array_value_to_string};

    use super::*;

    fn one(text: &str, target: &DataType) -> Option<String> {
        let array: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
        let typed = typed(&array, target).unwrap()?;
        assert_eq!((typed.data_type(), typed.logical_null_count()), (target, 1));
        Some(array_value_to_string(&typed, 0).unwrap())
    }

    #[test]
    fn a_text_takes_another_type_or_none() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), None, Some("300")]));
        assert_eq!(typed(&text, &DataType::Int16).unwrap().unwrap().data_type(), &DataType::Int16);
        assert!(typed(&text, &DataType::Int8).unwrap().is_none());
        assert!(typed(&text, &DataType::Decimal128(4, 1)).unwrap().is_some());
        assert!(typed(&text, &DataType::Boolean).unwrap().is_none());
        assert!(typed(&text, &DataType::Null).unwrap().is_none());
        let max = u64::MAX.to_string();
        assert_eq!(one(&max, &DataType::UInt64), Some(max.clone()));
        assert_eq!(one(&max, &DataType::Int64), None);
    }

    #[test]
    fn numbers_become_floats_without_a_loss() {
        let kept = |text: &str, target: &DataType| one(text, target).is_some();
        for (text, wide, narrow) in [
            ("9007199254740992", true, true),
            ("9007199254740993", false, false),
            ("16777217", true, false),
            ("0.1", true, true),
            ("0.10000000149011612", true, true),
            ("0.10000000000000001", true, false),
            ("1e300", true, false),
            ("1e400", false, false),
            ("NaN", true, true),
        ] {
            assert_eq!(kept(text, &DataType::Float64), wide, "{text}");
            assert_eq!(kept(text, &DataType::Float32), narrow, "{text}");
        }
    }

    #[test]
    fn times_keep_their_day_and_their_digits() {
        let day = |text: &str| one(text, &DataType::Date32);
        assert_eq!(day("2025-03-01"), Some("2025-03-01".into()));
        for text in ["2025-03-01T10:00", "2025-03-01 00:00:00", "2025-03-01T10:00:00Z"] {
            assert_eq!(day(text), None, "{text}");
        }
        let fits = |text: &str| {
            [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]
                .map(|unit| one(text, &DataType::Timestamp(unit, Some("UTC".into()))).is_some())
        };
        assert_eq!(fits("2025-03-01T10:00:00.000Z"), [true; 4]);
        assert_eq!(fits("2025-03-01T10:00:00.12Z"), [false, true, true, true]);
        assert_eq!(fits("2025-03-01 10:00:00.1234Z"), [false, false, true, true]);
        assert_eq!(fits("2025-03-01 10:00:00"), [false; 4]);
        assert_eq!(fits("2025-03-01T10:00:00.123456789+01:00"), [false, false, false, true]);
        let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(
            one("2025-03-01T10:00:00.123456789", &nanoseconds),
            Some("2025-03-01T10:00:00.123456789".into())
        );
        assert_eq!(one("9999-03-01T10:00:00", &nanoseconds), None);
    }
}
