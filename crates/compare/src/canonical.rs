//! Canonical bytes of a value, independent of its physical type and layout.
//!
//! Two values have the same bytes iff they are the same fact: 5, 5.0 and 5.00 agree in every numeric type, texts in
//! every layout, instants in every unit and zone. Every value starts with a tag of its kind and ends by itself, so
//! that the parts of a row cannot run together. Bytes of one kind are ordered as the values are.

use std::{cmp::Ordering, fmt::Write as _};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, StringArray},
    datatypes::{DataType, Decimal256Type, Float64Type, Int64Type, UInt64Type, i256},
    error::ArrowError,
};

use crate::{
    cast::{plain_lists, strict},
    types::{is_exact_interval, is_exact_number, is_exact_ticks},
};

mod ticks;

use ticks::{Intervals, Ticks};

const NULL: u8 = 0;
const BOOLEAN: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
const BINARY: u8 = 4;
const DATE: u8 = 5;
const INSTANT: u8 = 6;
const TIME: u8 = 7;
const DURATION: u8 = 8;
const LIST: u8 = 9;
const DOCUMENT: u8 = 10;
const MAP: u8 = 11;
const OTHER: u8 = 12;
const INTERVAL: u8 = 13;
const END: u8 = 0;
const MORE: u8 = 1;

/// A column, ready to be encoded value by value.
#[derive(Debug)]
pub(crate) struct Encoder {
    nulls: Option<arrow::buffer::NullBuffer>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Null,
    Boolean(arrow::array::BooleanArray),
    Int64(arrow::array::Int64Array),
    UInt64(arrow::array::UInt64Array),
    Float(arrow::array::Float64Array),
    ExactNumber(arrow::array::Float64Array, arrow::array::Float64Array),
    Decimal(arrow::array::Decimal256Array, i8),
    Text(StringArray),
    Binary(BinaryArray),
    Ticks(Ticks),
    Interval(Intervals),
    List(Vec<i32>, Box<Encoder>),
    /// Fields in the order of their names.
    Document(Vec<(String, Encoder)>),
    Map(Vec<i32>, Box<Encoder>, Box<Encoder>),
    /// A kind without a canonical form of its own: its display text.
    Other(ArrayRef),
}

impl Encoder {
    pub(crate) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        use DataType as T;
        let plain = |to: T| strict(array, &to);
        let values = match array.data_type() {
            T::Null => Values::Null,
            T::Dictionary(_, values) => return Self::new(&plain(values.as_ref().clone())?),
            T::RunEndEncoded(_, values) => return Self::new(&plain(values.data_type().clone())?),
            T::Boolean => Values::Boolean(array.as_boolean().clone()),
            T::UInt64 => Values::UInt64(array.as_primitive::<UInt64Type>().clone()),
            t if t.is_integer() => Values::Int64(plain(T::Int64)?.as_primitive::<Int64Type>().clone()),
            T::Float16 | T::Float32 | T::Float64 => Values::Float(widen(array)?),
            T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) => {
                let wide = plain(T::Decimal256(*p, *s))?;
                Values::Decimal(wide.as_primitive::<Decimal256Type>().clone(), *s)
            }
            T::Decimal256(_, s) => Values::Decimal(array.as_primitive::<Decimal256Type>().clone(), *s),
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Values::Text(plain(T::Utf8)?.as_string::<i32>().clone()),
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
                Values::Binary(plain(T::Binary)?.as_binary::<i32>().clone())
            }
            T::Date32 | T::Date64 | T::Timestamp(..) | T::Time32(_) | T::Time64(_) | T::Duration(_) => {
                Ticks::new(array)?.map_or_else(|| Values::Other(array.clone()), Values::Ticks)
            }
            T::Interval(_) => Values::Interval(Intervals::new(array)?),
            t if is_exact_interval(t) => Values::Interval(Intervals::new(array)?),
            t if is_exact_ticks(t) => {
                Ticks::of_two_units(array)?.map_or_else(|| Values::Other(array.clone()), Values::Ticks)
            }
            T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::ListView(_) | T::LargeListView(_) => {
                let list = plain_lists(array)?;
                let list = list.as_list::<i32>();
                Values::List(list.value_offsets().to_vec(), Box::new(Self::new(list.values())?))
            }
            T::Map(..) => {
                let map = array.as_map();
                let (keys, values) = (Self::new(map.keys())?, Self::new(map.values())?);
                Values::Map(map.value_offsets().to_vec(), Box::new(keys), Box::new(values))
            }
            t if is_exact_number(t) => {
                let part = |i: usize| array.as_struct().column(i).as_primitive::<Float64Type>().clone();
                Values::ExactNumber(part(0), part(1))
            }
            T::Struct(fields) => {
                let columns = array.as_struct().columns();
                let mut encoders = fields
                    .iter()
                    .zip(columns)
                    .map(|(field, column)| Ok((field.name().clone(), Self::new(column)?)))
                    .collect::<Result<Vec<_>, ArrowError>>()?;
                encoders.sort_by(|a, b| a.0.cmp(&b.0));
                Values::Document(encoders)
            }
            _ => Values::Other(array.clone()),
        };
        Ok(Self { nulls: array.logical_nulls(), values })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null) || self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Appends the canonical bytes of one value.
    pub(crate) fn encode(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if self.is_null(row) {
            out.push(NULL);
            return Ok(());
        }
        match &self.values {
            Values::Null => out.push(NULL),
            Values::Boolean(a) => out.extend([BOOLEAN, u8::from(a.value(row))]),
            Values::Int64(a) => Number::from_i128(i128::from(a.value(row))).encode(out),
            Values::UInt64(a) => Number::from_i128(i128::from(a.value(row))).encode(out),
            Values::Float(a) => Number::from_f64(a.value(row)).encode(out),
            Values::ExactNumber(nearest, rest) => match (nearest.value(row), rest.value(row)) {
                (float, 0.0) => Number::from_f64(float).encode(out),
                (float, rest) => Number::from_i128(float as i128 + rest as i128).encode(out),
            },
            Values::Decimal(a, scale) => Number::from_decimal(a.value(row), *scale).encode(out),
            Values::Text(a) => bytes(TEXT, a.value(row).as_bytes(), out),
            Values::Binary(a) => bytes(BINARY, a.value(row), out),
            Values::Ticks(ticks) => ticks.encode(row, out),
            Values::Interval(intervals) => intervals.encode(row, out),
            Values::List(offsets, items) => {
                out.push(LIST);
                for item in range(offsets, row) {
                    out.push(MORE);
                    items.encode(item, out)?;
                }
                out.push(END);
            }
            Values::Document(fields) => {
                out.push(DOCUMENT);
                for (name, field) in fields {
                    // A missing field and one that is null are the same fact.
                    if !field.is_null(row) {
                        bytes(MORE, name.as_bytes(), out);
                        field.encode(row, out)?;
                    }
                }
                out.push(END);
            }
            Values::Map(offsets, keys, values) => {
                let mut entries = range(offsets, row)
                    .map(|entry| {
                        let mut bytes = vec![MORE];
                        keys.encode(entry, &mut bytes)?;
                        values.encode(entry, &mut bytes)?;
                        Ok(bytes)
                    })
                    .collect::<Result<Vec<_>, ArrowError>>()?;
                entries.sort();
                out.push(MAP);
                entries.iter().for_each(|entry| out.extend(entry));
                out.push(END);
            }
            Values::Other(a) => {
                let text = arrow::util::display::array_value_to_string(a, row)?;
                bytes(OTHER, text.as_bytes(), out);
            }
        }
        Ok(())
    }
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    // Offsets of a valid array are never negative.
    offsets[row].unsigned_abs() as usize..offsets[row + 1].unsigned_abs() as usize
}

/// Floats as float64. A short float is the number that a person reads in it: 0.1f32 is 0.1.
pub(crate) fn widen(array: &ArrayRef) -> Result<arrow::array::Float64Array, ArrowError> {
    if array.data_type() == &DataType::Float64 {
        return Ok(array.as_primitive::<Float64Type>().clone());
    }
    let singles = strict(array, &DataType::Float32)?;
    let singles = singles.as_primitive::<arrow::datatypes::Float32Type>();
    Ok(singles.unary(|v| v.to_string().parse().unwrap_or(f64::NAN)))
}

/// Zero bytes inside are escaped, so that the end is found without a length and shorter texts sort first.
fn bytes(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    for part in value.split_inclusive(|b| *b == 0) {
        out.extend(part);
        if part.last() == Some(&0) {
            out.push(0xff);
        }
    }
    out.extend([0, 0]);
}

/// A number as sign, decimal digits without zeros at either end, and the place of the point: ±0.digits × 10^exponent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    Nan,
    Infinite { negative: bool },
    Finite { negative: bool, digits: String, exponent: i32 },
}

impl Number {
    pub(crate) fn from_i128(value: i128) -> Self {
        let mut digits = String::new();
        // Writing to a String never fails.
        let _ = write!(digits, "{}", value.unsigned_abs());
        Self::finite(value < 0, digits, 0)
    }

    pub(crate) fn from_decimal(value: i256, scale: i8) -> Self {
        match value.to_i128() {
            Some(small) => match Self::from_i128(small) {
                Self::Finite { negative, digits, exponent } => {
                    let shift = if digits.is_empty() { 0 } else { i32::from(scale) };
                    Self::Finite { negative, digits, exponent: exponent - shift }
                }
                other => other,
            },
            None => {
                let text = value.to_string();
                let digits = text.trim_start_matches('-').to_owned();
                Self::finite(value.is_negative(), digits, -i32::from(scale))
            }
        }
    }

    /// The number that a float is read as: an integer below 2^63 exactly, anything else by its shortest decimal text.
    pub(crate) fn from_f64(value: f64) -> Self {
        if value.is_nan() {
            return Self::Nan;
        }
        if value.is_infinite() {
            return Self::Infinite { negative: value < 0.0 };
        }
        if value.abs() < 9.2e18 && value.fract() == 0.0 {
            return Self::from_i128(value as i128);
        }
        let text = format!("{:e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let shift = exponent.parse::<i32>().unwrap_or(0) - fraction.len() as i32;
        Self::finite(value < 0.0, format!("{whole}{fraction}"), shift)
    }

    /// `digits × 10^shift`.
    pub(crate) fn finite(negative: bool, mut digits: String, shift: i32) -> Self {
        let exponent = digits.len() as i32 + shift;
        digits.truncate(digits.trim_end_matches('0').len());
        if digits.is_empty() {
            return Self::Finite { negative: false, digits, exponent: 0 };
        }
        Self::Finite { negative, digits, exponent }
    }

    /// The float nearest to this number rounded half away from zero to a number of digits behind the point; `value` is
    /// the float that the number was read from.
    pub(crate) fn rounded(&self, places: u8, value: f64) -> f64 {
        let Self::Finite { negative, digits, exponent } = self else { return value };
        let keep = exponent.saturating_add(i32::from(places));
        if keep < 0 {
            return 0.0;
        }
        let keep = keep.unsigned_abs() as usize;
        if keep >= digits.len() {
            return value;
        }
        let up = digits.as_bytes()[keep] >= b'5';
        // At most 17 digits of a float are kept.
        let kept = digits[..keep].parse::<u64>().unwrap_or(0) + u64::from(up);
        let size = format!("{kept}e-{places}").parse().unwrap_or(value.abs());
        if *negative && size != 0.0 { -size } else { size }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(NUMBER);
        match self {
            Self::Infinite { negative: true } => out.push(1),
            Self::Finite { digits, .. } if digits.is_empty() => out.push(3),
            Self::Finite { negative, digits, exponent } => {
                out.push(if *negative { 2 } else { 4 });
                let start = out.len();
                out.extend((*exponent ^ i32::MIN).to_be_bytes());
                out.extend(digits.as_bytes());
                out.push(0);
                if *negative {
                    out[start..].iter_mut().for_each(|b| *b = !*b);
                }
            }
            Self::Infinite { negative: false } => out.push(5),
            Self::Nan => out.push(6),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (negative, digits, exponent) = match self {
            Self::Nan => return f.write_str("NaN"),
            Self::Infinite { negative } => return f.write_str(if *negative { "-inf" } else { "inf" }),
            Self::Finite { negative, digits, exponent } => (*negative, digits.as_str(), *exponent),
        };
        if digits.is_empty() {
            return f.write_str("0");
        }
        if negative {
            f.write_str("-")?;
        }
        let length = digits.len() as i32;
        match exponent.cmp(&length) {
            Ordering::Less if exponent <= 0 => {
                write!(f, "0.{:0>width$}{digits}", "", width = exponent.unsigned_abs() as usize)
            }
            Ordering::Less => {
                let (whole, fraction) = digits.split_at(exponent.unsigned_abs() as usize);
                write!(f, "{whole}.{fraction}")
            }
            _ => write!(f, "{digits}{:0>width$}", "", width = (exponent - length).unsigned_abs() as usize),
        }
    }
}

#[cfg(test)]
mod tests;
