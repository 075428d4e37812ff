//! The rule `cast`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray},
    datatypes::{
        DECIMAL256_MAX_PRECISION, DataType, Date32Type, Decimal256Type, Float64Type, Int32Type, Int64Type,
        TimeUnit, i256,
    },
    error::ArrowError,
};

use super::{texts::is_text, times};
use crate::{
    cast::{cast_to, strict},
    text::value_text,
    types,
};

/// A type that a mapping may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Text,
    Integer,
    Float,
    Decimal(u8, u8),
    Boolean,
    Date,
    Timestamp,
}

impl Target {
    /// Reads `text`, `integer`, `float`, `decimal(p,s)`, `boolean`, `date` or `timestamp`.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        Ok(match name.trim() {
            "text" => Self::Text,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            other => {
                let digits = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let pair = digits
                    .and_then(|d| d.split_once(','))
                    .and_then(|(p, s)| Some((p.trim().parse::<u8>().ok()?, s.trim().parse::<u8>().ok()?)));
                match pair {
                    Some((p, s)) if (1..=DECIMAL256_MAX_PRECISION).contains(&p) && s <= p => {
                        Self::Decimal(p, s)
                    }
                    _ => return Err(format!("{other:?} is not a type")),
                }
            }
        })
    }

    /// The type that a column of type `from` becomes.
    pub(super) fn data_type(self, from: &DataType) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal(p, s) => {
                types::decimal(i32::from(p) - i32::from(s), i32::from(s)).unwrap_or(DataType::Float64)
            }
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            // Instants keep their unit, so that no digit is lost.
            Self::Timestamp => match from {
                DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some("UTC".into())),
                _ => times::instant(),
            },
        }
    }
}

/// Casts; a value that does not fit is an error. Text of a number is its plain decimal form. Numbers with a fraction
/// do not fit an integer, nor instants with a time of day a date; decimals round half away from zero to the digits they get. A time without a zone is read as UTC:
/// the rule `time_zone` says otherwise.
pub(super) fn cast(array: &ArrayRef, target: Target, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    match target {
        Target::Text if !is_text(from) && from != &DataType::Null => {
            let texts = (0..array.len())
                .map(|row| value_text(array, row))
                .collect::<Result<StringArray, ArrowError>>()?;
            Ok(Arc::new(texts))
        }
        Target::Integer if from.is_floating() || is_decimal(from) => {
            let done = strict(array, to)?;
            whole(array)?;
            Ok(done)
        }
        Target::Date if matches!(from, DataType::Timestamp(..) | DataType::Date64) => days(array),
        Target::Timestamp if is_text(from) => times::to_instants(array, &jiff::tz::TimeZone::UTC, to),
        Target::Timestamp if matches!(from, DataType::Timestamp(_, None)) => {
            times::to_instants(array, &jiff::tz::TimeZone::UTC, to)
        }
        _ => cast_to(array, to),
    }
}

fn days(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const DAY: i128 = 86_400 * 1_000_000_000;
    let unit = match array.data_type() {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Millisecond,
    };
    let per_day = i64::try_from(DAY / types::nanoseconds(unit)).unwrap_or(i64::MAX);
    let ticks = strict(array, &DataType::Int64)?;
    let days = ticks.as_primitive::<Int64Type>().try_unary::<_, Int32Type, _>(|tick| {
        if tick.rem_euclid(per_day) != 0 {
            return Err(ArrowError::CastError("an instant has a time of day".to_owned()));
        }
        i32::try_from(tick / per_day).map_err(|e| ArrowError::CastError(e.to_string()))
    })?;
    Ok(Arc::new(days.reinterpret_cast::<Date32Type>()))
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

fn whole(array: &ArrayRef) -> Result<(), ArrowError> {
    let fraction = match array.data_type() {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => {
            let unit = i256::from_i128(10).checked_pow(u32::try_from(*s).unwrap_or(0)).unwrap_or(i256::ONE);
            let wide = strict(array, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, *s))?;
            wide.as_primitive::<Decimal256Type>()
                .iter()
                .flatten()
                .any(|v| v.checked_rem(unit).is_some_and(|r| r != i256::ZERO))
        }
        _ => {
            let floats = strict(array, &DataType::Float64)?;
            floats.as_primitive::<Float64Type>().iter().flatten().any(|v| v.fract() != 0.0)
        }
    };
    if fraction { Err(ArrowError::CastError("a number has a fraction".to_owned())) } else { Ok(()) }
}
