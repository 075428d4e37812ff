//! Values as text: customers by their name, cells of the stored differences.

use arrow::{
    array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray},
    datatypes::{
        DataType, Decimal256Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, TimeUnit,
    },
    error::ArrowError,
    util::display::array_value_to_string,
};

use crate::{
    canonical::Number,
    cast::strict,
    types::{is_exact_interval, is_exact_number, is_exact_ticks, nanoseconds},
};

/// The text of a value: numbers as plain decimals without trailing zeros (so that 5, 5.0 and 5.00 read alike), texts
/// as they are, instants as in RFC 3339 (in UTC where they have a zone), everything else as Arrow shows it. `None` for
/// null.
///
/// # Errors
/// A value that Arrow cannot show.
pub fn value_text(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Null => return Ok(None),
        DataType::Dictionary(_, values) => {
            return value_text(&strict(&array.slice(row, 1), values)?, 0);
        }
        DataType::RunEndEncoded(_, values) => {
            return value_text(&strict(&array.slice(row, 1), values.data_type())?, 0);
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Float64 => Number::from_f64(array.as_primitive::<Float64Type>().value(row)).to_string(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            let one = strict(&array.slice(row, 1), &DataType::Decimal256(*p, *s))?;
            Number::from_decimal(one.as_primitive::<Decimal256Type>().value(0), *s).to_string()
        }
        DataType::Decimal256(_, s) => {
            Number::from_decimal(array.as_primitive::<Decimal256Type>().value(row), *s).to_string()
        }
        DataType::Float16 | DataType::Float32 => {
            let shown = array_value_to_string(array, row)?;
            shown.parse().map(|v| Number::from_f64(v).to_string()).unwrap_or(shown)
        }
        DataType::Date32 => {
            let days = strict(&array.slice(row, 1), &DataType::Int32)?;
            date(i64::from(days.as_primitive::<Int32Type>().value(0)))
        }
        DataType::Date64 | DataType::Timestamp(..) => instant(array, row, 0)?,
        other if is_exact_number(other) => {
            let part = |i: usize| array.as_struct().column(i).as_primitive::<Float64Type>().value(row);
            exact_text(part(0), part(1))
        }
        other if is_exact_ticks(other) => {
            let parts = array.as_struct();
            let rest = parts.column(1).as_primitive::<Int32Type>().value(row);
            let ticks = parts.column(0);
            match ticks.data_type() {
                DataType::Timestamp(..) => instant(ticks, row, rest)?,
                unit => duration(whole(ticks, row)?, unit, rest),
            }
        }
        DataType::Duration(_) => duration(whole(array, row)?, array.data_type(), 0),
        other if is_exact_interval(other) => {
            let small = |i: usize| array.as_struct().column(i).as_primitive::<Int32Type>().value(row);
            let nanoseconds = array.as_struct().column(2).as_primitive::<Int64Type>().value(row);
            let one = IntervalMonthDayNano::new(small(0), small(1), nanoseconds);
            array_value_to_string(&IntervalMonthDayNanoArray::from(vec![one]), 0)?
        }
        _ => array_value_to_string(array, row)?,
    };
    Ok(Some(text))
}

pub(crate) fn exact_text(nearest: f64, rest: f64) -> String {
    if rest == 0.0 {
        Number::from_f64(nearest).to_string()
    } else {
        Number::from_i128(nearest as i128 + rest as i128).to_string()
    }
}

fn whole(array: &ArrayRef, row: usize) -> Result<i64, ArrowError> {
    Ok(strict(&array.slice(row, 1), &DataType::Int64)?.as_primitive::<Int64Type>().value(0))
}

/// Any instant that 64 bits hold, also those beyond the years that calendars of libraries reach.
fn instant(array: &ArrayRef, row: usize, rest: i32) -> Result<String, ArrowError> {
    const SECOND: i128 = 1_000_000_000;
    let (unit, zone) = match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => (*unit, "Z"),
        DataType::Timestamp(unit, None) => (*unit, ""),
        _ => (TimeUnit::Millisecond, ""),
    };
    let value = i128::from(whole(array, row)?) * nanoseconds(unit) + i128::from(rest);
    let (seconds, fraction) = (value.div_euclid(SECOND) as i64, value.rem_euclid(SECOND));
    let (day, second) = (date(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let fraction = match fraction {
        0 => String::new(),
        f if f % 1_000_000 == 0 => format!(".{:03}", f / 1_000_000),
        f if f % 1_000 == 0 => format!(".{:06}", f / 1_000),
        f => format!(".{f:09}"),
    };
    Ok(format!("{day}T{:02}:{:02}:{:02}{fraction}{zone}", second / 3600, second / 60 % 60, second % 60))
}

/// A day since 1970-01-01 in the Gregorian calendar, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>). Years of more than four digits have a sign, as in ISO 8601.
fn date(day: i64) -> String {
    let from_march = day + 719_468;
    let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// Seconds with their fraction, as in ISO 8601.
fn duration(ticks: i64, unit: &DataType, rest: i32) -> String {
    let DataType::Duration(unit) = unit else { return ticks.to_string() };
    let value = i128::from(ticks) * nanoseconds(*unit) + i128::from(rest);
    match Number::from_i128(value) {
        Number::Finite { negative, digits, exponent } if !digits.is_empty() => {
            let seconds = Number::Finite { negative: false, digits, exponent: exponent - 9 };
            format!("{}PT{seconds}S", if negative { "-" } else { "" })
        }
        _ => "PT0S".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, DictionaryArray, DurationMillisecondArray, Int64Array, NullArray,
        TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    };
    use arrow::datatypes::Int8Type;

    use super::*;

    fn text(array: impl Array + 'static) -> Option<String> {
        value_text(&(Arc::new(array) as ArrayRef), 0).unwrap()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn instants_read_alike_in_every_unit_and_zone() {
        let paris = TimestampMillisecondArray::from(vec![1_743_292_800_500]).with_timezone("Europe/Paris");
        assert_eq!(text(paris), some("2025-03-30T00:00:00.500Z"));
        assert_eq!(text(TimestampNanosecondArray::from(vec![-1])), some("1969-12-31T23:59:59.999999999"));
        assert_eq!(text(Date32Array::from(vec![-719_529])), some("-0001-12-31"));
        assert_eq!(text(Date32Array::from(vec![19_782])), some("2024-02-29"));
    }

    #[test]
    fn instants_that_no_calendar_reaches_are_still_shown() {
        let largest = TimestampMillisecondArray::from(vec![i64::MAX]).with_timezone("UTC");
        assert_eq!(text(largest), some("+292278994-08-17T07:12:55.807Z"));
        assert!(text(TimestampSecondArray::from(vec![i64::MIN])).is_some());
        assert_eq!(text(Date32Array::from(vec![i32::MAX])), some("+5881580-07-11"));
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(text(DurationMillisecondArray::from(vec![-1_500])), some("-PT1.5S"));
        assert_eq!(text(DurationMillisecondArray::from(vec![i64::MAX])), some("PT9223372036854775.807S"));
        assert_eq!(text(DurationMillisecondArray::from(vec![0])), some("PT0S"));
    }

    #[test]
    fn nulls_of_every_layout_have_no_text() {
        assert_eq!(text(NullArray::new(1)), None);
        let values = Arc::new(Int64Array::from(vec![None, Some(5)]));
        let dictionary =
            |key| DictionaryArray::<Int8Type>::new(vec![key].into(), Arc::clone(&values) as ArrayRef);
        assert_eq!((text(dictionary(0)), text(dictionary(1))), (None, some("5")));
    }
}
