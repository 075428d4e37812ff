//! One value that is neither list nor document, whatever it was read from, and its conversions.

use jiff::civil::DateTime;

use crate::{
    instant::{self, Clock, Moment},
    number::{self, Decimal, Number},
};

/// A scalar of BSON or Arrow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Number(Number),
    Text(&'a str),
    ObjectId([u8; 12]),
    Uuid([u8; 16]),
    Bytes(&'a [u8]),
    /// Microseconds since 1970 UTC.
    Instant(i128),
    /// Date and time without a zone.
    Civil(DateTime),
    /// Days since 1970-01-01.
    Day(i32),
    /// Regular expressions, code, minimum and maximum keys and the like.
    Other,
}

impl Scalar<'_> {
    /// Numbers in their shortest decimal form, ObjectIds and bytes as lower-case hexadecimal digits, UUIDs with
    /// hyphens, instants in ISO 8601 UTC.
    pub(crate) fn to_text(self) -> Option<String> {
        Some(match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Number(value) => value.to_text(),
            Self::Text(value) => value.to_owned(),
            Self::ObjectId(bytes) => hex(&bytes),
            Self::Uuid(bytes) => hyphenated(&bytes),
            Self::Bytes(bytes) => hex(bytes),
            Self::Instant(micros) => instant::text(micros)?,
            Self::Civil(civil) => civil.to_string(),
            Self::Day(days) => instant::civil_day(days)?.to_string(),
            Self::Other => return None,
        })
    }

    pub(crate) fn to_integer(self, mark: char) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(value),
            _ => self.decimal(mark)?.to_i64(),
        }
    }

    pub(crate) fn to_float(self, mark: char) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Number(value) => Some(value.to_f64()),
            Self::Text(text) => match text.trim() {
                "NaN" => Some(f64::NAN),
                "Infinity" | "inf" => Some(f64::INFINITY),
                "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
                text => number::plain(text, mark)?.parse().ok(),
            },
            _ => None,
        }
    }

    /// The value × 10^scale. Text and decimals must fit exactly. A float has no exact decimal in mind: its shortest
    /// form is rounded half away from zero.
    pub(crate) fn to_decimal(self, precision: u8, scale: i8, mark: char) -> Option<i128> {
        match self {
            Self::Float(value) => Decimal::shortest(value)?.unscaled_rounded(precision, scale),
            _ => self.decimal(mark)?.unscaled(precision, scale),
        }
    }

    pub(crate) fn to_boolean(self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(value),
            Self::Integer(1) => Some(true),
            Self::Integer(0) => Some(false),
            Self::Float(1.0) => Some(true),
            Self::Float(0.0) => Some(false),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(true),
                "false" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn to_day(self, clock: &Clock) -> Option<i32> {
        match self {
            Self::Day(days) => Some(days),
            _ => clock.day(self.moment(clock)?),
        }
    }

    pub(crate) fn to_micros(self, clock: &Clock) -> Option<i64> {
        clock.micros(self.moment(clock)?)
    }

    /// A number of any kind is milliseconds since 1970, as BSON counts them.
    fn moment(self, clock: &Clock) -> Option<Moment> {
        Some(match self {
            Self::Instant(micros) => Moment::Instant(micros),
            Self::Civil(civil) => Moment::Civil(civil),
            Self::Day(days) => {
                Moment::Civil(instant::civil_day(days)?.to_datetime(jiff::civil::Time::midnight()))
            }
            Self::Text(text) => clock.parse(text)?,
            Self::Integer(_) | Self::Float(_) | Self::Number(_) => {
                Moment::Instant(i128::from(self.to_integer('.')?) * 1000)
            }
            _ => return None,
        })
    }

    fn decimal(self, mark: char) -> Option<Decimal> {
        match self {
            Self::Integer(value) => Some(Decimal::integer(i128::from(value))),
            Self::Float(value) => Decimal::shortest(value),
            Self::Number(value) => value.finite(),
            Self::Text(text) => number::parse(&number::plain(text, mark)?),
            _ => None,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

fn hyphenated(bytes: &[u8; 16]) -> String {
    let hex = hex(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
