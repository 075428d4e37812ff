//! Lossless common types of a column on both sides.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit,
};

/// The first field of an exact number.
pub const NEAREST: &str = "__nearest";
/// The second field of an exact number.
pub const REST: &str = "__rest";

/// The type of a column that holds 64-bit integers on one side and floats on the other. No plain type holds both
/// without loss, so a value is the nearest float and what is left of it: `value = nearest + rest`. `rest` is 0 for
/// every float and for every integer up to 2^53. Ordered by both fields it is ordered by value.
pub fn exact_number() -> DataType {
    let field = |name: &str| Arc::new(Field::new(name, DataType::Float64, true));
    DataType::Struct(Fields::from(vec![field(NEAREST), field(REST)]))
}

/// Whether a type is [`exact_number`].
pub fn is_exact_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields)
        if fields.len() == 2 && fields[0].name() == NEAREST && fields[1].name() == REST)
}

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
/// the nearest float, which is what comparing them means.
pub fn common_type(legacy: &DataType, new: &DataType) -> Option<DataType> {
    let (plain_legacy, plain_new) = (plain(legacy)?, plain(new)?);
    let (narrow_legacy, narrow_new) = (is_narrow_integer(legacy), is_narrow_integer(new));
    combine(plain_legacy, plain_new, narrow_legacy || narrow_new)
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
    Some(match (a, b) {
        (T::Null, other) | (other, T::Null) => other,
        (T::Float64, T::Int64) | (T::Int64, T::Float64) if narrow => T::Float64,
        (T::Float64, T::Int64 | T::UInt64) | (T::Int64 | T::UInt64, T::Float64) => exact_number(),
        (T::Float64, T::Decimal128(..) | T::Decimal256(..))
        | (T::Decimal128(..) | T::Decimal256(..), T::Float64) => T::Float64,
        (T::Timestamp(x, zone), T::Timestamp(y, other)) if zone.is_some() == other.is_some() => {
            T::Timestamp(x.max(y), zone)
        }
        (T::Time64(x), T::Time64(y)) => T::Time64(x.max(y)),
        (T::Duration(x), T::Duration(y)) => T::Duration(x.max(y)),
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
mod tests {
    use DataType as T;

    use super::*;

    #[test]
    fn integers_and_decimals_keep_every_digit() {
        assert_eq!(common_type(&T::Int32, &T::UInt32), Some(T::Int64));
        assert_eq!(common_type(&T::Int64, &T::UInt64), Some(T::Decimal128(20, 0)));
        assert_eq!(common_type(&T::Decimal128(38, 18), &T::Decimal128(10, 2)), Some(T::Decimal128(38, 18)));
        assert_eq!(common_type(&T::Decimal128(38, 18), &T::Decimal128(38, 0)), Some(T::Decimal256(56, 18)));
        assert_eq!(common_type(&T::Int64, &T::Decimal128(10, 4)), Some(T::Decimal128(23, 4)));
        assert_eq!(common_type(&T::Decimal256(76, 76), &T::Decimal256(76, 0)), None);
    }

    #[test]
    fn integers_against_floats_stay_exact() {
        assert_eq!(common_type(&T::Int32, &T::Float64), Some(T::Float64));
        assert_eq!(common_type(&T::Float32, &T::Int64), Some(exact_number()));
        assert!(is_number(&exact_number()));
        assert_eq!(common_type(&T::Float64, &T::Decimal128(38, 18)), Some(T::Float64));
    }

    #[test]
    fn layouts_do_not_matter_and_kinds_do() {
        let dictionary = T::Dictionary(Box::new(T::Int32), Box::new(T::LargeUtf8));
        assert_eq!(common_type(&dictionary, &T::Utf8View), Some(T::Utf8));
        assert_eq!(common_type(&T::Null, &T::Boolean), Some(T::Boolean));
        let (zoned, naive) = (
            T::Timestamp(TimeUnit::Millisecond, Some("Europe/Paris".into())),
            T::Timestamp(TimeUnit::Nanosecond, None),
        );
        assert_eq!(common_type(&zoned, &naive), None);
        assert_eq!(
            common_type(&zoned, &T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            Some(T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        );
        assert_eq!(common_type(&T::Date32, &T::Utf8), None);
        assert_eq!(common_type(&T::Boolean, &T::Int64), None);
    }

    #[test]
    fn documents_are_joined_by_field_name() {
        let of = |fields: &[(&str, T)]| {
            T::Struct(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect())
        };
        let common =
            common_type(&of(&[("a", T::Int32), ("b", T::Utf8)]), &of(&[("b", T::Utf8View), ("a", T::Int64)]));
        assert_eq!(common, Some(of(&[("a", T::Int64), ("b", T::Utf8)])));
    }
}
