//! Lossless common types of a column on both sides.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields, IntervalUnit,
    TimeUnit,
};

mod split;

pub use split::{
    NEAREST, REST, TICKS, exact_interval, exact_number, exact_ticks, is_exact_interval, is_exact_number,
    is_exact_ticks,
};
use split::{is_interval, is_split};

/// Whether values of a common type are numbers, so that a tolerance can apply.
pub fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int64
            | DataType::UInt64
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    ) || is_exact_number(data_type)
}

/// The type that holds every value of both types without loss, or `None`. A decimal against a float is rounded to
/// the nearest float, which is what comparing them means. Seconds and milliseconds against microseconds become
/// microseconds, which reach 292,000 years in both directions.
pub fn common_type(legacy: &DataType, new: &DataType) -> Option<DataType> {
    let (plain_legacy, plain_new) = (plain(legacy)?, plain(new)?);
    let (narrow_legacy, narrow_new) = (is_narrow_integer(legacy), is_narrow_integer(new));
    Some(match combine(plain_legacy, plain_new, narrow_legacy || narrow_new)? {
        DataType::Null => DataType::Null,
        common => without_nulls(common),
    })
}

/// A type of its own for what holds nothing but nulls on both sides: any would do, and text can be stored everywhere.
pub(crate) fn without_nulls(data_type: DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(items) => DataType::List(item(without_nulls(items.data_type().clone()))),
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|f| nullable(f.name(), without_nulls(f.data_type().clone()))).collect(),
        ),
        DataType::Map(entries, sorted) => match map_types(&entries) {
            Some((key, value)) => map(without_nulls(key), without_nulls(value)),
            None => DataType::Map(entries, sorted),
        },
        other => other,
    }
}

/// Nanoseconds of a unit.
pub(crate) fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A type without its layout: views, dictionaries, run ends and widths are taken away.
fn plain(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Dictionary(_, values) => plain(values)?,
        T::RunEndEncoded(_, values) => plain(values.data_type())?,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => T::Int64,
        T::Float16 | T::Float32 | T::Float64 => T::Float64,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            decimal(i32::from(*p) - i32::from(*s), i32::from(*s).max(0))?
        }
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Timestamp(unit, Some(_)) => T::Timestamp(*unit, Some("UTC".into())),
        T::Time32(_) => T::Time64(TimeUnit::Microsecond),
        T::List(f) | T::LargeList(f) | T::FixedSizeList(f, _) | T::ListView(f) | T::LargeListView(f) => {
            T::List(item(plain(f.data_type())?))
        }
        T::Interval(IntervalUnit::MonthDayNano) => exact_interval(),
        // Which of two fields of one name a value means cannot be told.
        T::Struct(fields) if twice(fields) => return None,
        T::Struct(fields) => T::Struct(
            fields
                .iter()
                .map(|f| Some(nullable(f.name(), plain(f.data_type())?)))
                .collect::<Option<Fields>>()?,
        ),
        T::Map(entries, _) => {
            let (key, value) = map_types(entries)?;
            map(plain(&key)?, plain(&value)?)
        }
        T::Union(..) => return None,
        other => other.clone(),
    })
}

fn twice(fields: &Fields) -> bool {
    fields.iter().enumerate().any(|(i, f)| fields[..i].iter().any(|other| other.name() == f.name()))
}

fn is_narrow_integer(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Dictionary(_, values) => is_narrow_integer(values),
        T::RunEndEncoded(_, values) => is_narrow_integer(values.data_type()),
        other => matches!(other, T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32),
    }
}

fn combine(a: DataType, b: DataType, narrow: bool) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a);
    }
    if let (Some(x), Some(y)) = (digits(&a), digits(&b)) {
        return decimal(x.0.max(y.0), x.1.max(y.1));
    }
    if is_interval(&a) && is_interval(&b) {
        return Some(exact_interval());
    }
    Some(match (a, b) {
        (T::Null, other) | (other, T::Null) => other,
        (a, b) if is_split(&a) || is_split(&b) => return None,
        (T::Float64, T::Int64) | (T::Int64, T::Float64) if narrow => T::Float64,
        (T::Float64, T::Int64 | T::UInt64) | (T::Int64 | T::UInt64, T::Float64) => exact_number(),
        (T::Float64, T::Decimal128(..) | T::Decimal256(..))
        | (T::Decimal128(..) | T::Decimal256(..), T::Float64) => T::Float64,
        (T::Timestamp(x, zone), T::Timestamp(y, other)) if zone.is_some() == other.is_some() => {
            of_units(x, y, |unit| T::Timestamp(unit, zone.clone()))
        }
        (T::Time64(x), T::Time64(y)) => T::Time64(x.max(y)),
        (T::Duration(x), T::Duration(y)) => of_units(x, y, T::Duration),
        (T::Date32, T::Date64) | (T::Date64, T::Date32) => T::Date64,
        (T::List(x), T::List(y)) => T::List(item(nested(x.data_type(), y.data_type())?)),
        (T::Struct(x), T::Struct(y)) => {
            let mut fields = Vec::new();
            for field in &x {
                let other = y.find(field.name()).map_or(&T::Null, |(_, f)| f.data_type());
                fields.push(nullable(field.name(), nested(field.data_type(), other)?));
            }
            fields.extend(y.iter().filter(|f| x.find(f.name()).is_none()).cloned());
            T::Struct(fields.into())
        }
        (T::Map(x, _), T::Map(y, _)) => {
            let ((k1, v1), (k2, v2)) = (map_types(&x)?, map_types(&y)?);
            map(nested(&k1, &k2)?, nested(&v1, &v2)?)
        }
        _ => return None,
    })
}

/// Two different units of instants or durations.
fn of_units(x: TimeUnit, y: TimeUnit, of: impl Fn(TimeUnit) -> DataType) -> DataType {
    match x.max(y) {
        TimeUnit::Nanosecond => exact_ticks(of(x.min(y))),
        finer => of(finer),
    }
}

/// Inside lists and documents integers were widened already, so that a mix with floats is always exact.
fn nested(a: &DataType, b: &DataType) -> Option<DataType> {
    combine(a.clone(), b.clone(), false)
}

/// Digits before and behind the point that hold every value; `None` for what is not an integer or decimal.
fn digits(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            Some((i32::from(*p) - i32::from(*s), i32::from(*s)))
        }
        _ => None,
    }
}

pub(crate) fn decimal(integer: i32, fraction: i32) -> Option<DataType> {
    let precision = u8::try_from((integer.max(0) + fraction).max(1)).ok()?;
    let scale = i8::try_from(fraction).ok()?;
    if precision <= DECIMAL128_MAX_PRECISION {
        Some(DataType::Decimal128(precision, scale))
    } else if precision <= DECIMAL256_MAX_PRECISION {
        Some(DataType::Decimal256(precision, scale))
    } else {
        None
    }
}

pub(crate) fn item(data_type: DataType) -> FieldRef {
    nullable("item", data_type)
}

fn nullable(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn map(key: DataType, value: DataType) -> DataType {
    let fields = Fields::from(vec![Arc::new(Field::new("keys", key, false)), nullable("values", value)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

fn map_types(entries: &FieldRef) -> Option<(DataType, DataType)> {
    match entries.data_type() {
        DataType::Struct(f) if f.len() == 2 => Some((f[0].data_type().clone(), f[1].data_type().clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
