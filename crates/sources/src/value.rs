//! A value of a document or of an Arrow array, seen alike.

use arrow::{
    array::{Array, ArrayRef, AsArray, types::*},
    datatypes::{DataType, TimeUnit},
};
use bson::{Bson, Document, RawBsonRef, RawDocument, spec::BinarySubtype};
use serde_json::{Map, Value as Json};

use crate::{
    elements::Elements,
    instant,
    number::{Decimal, Number},
    scalar::{Scalar, hex},
};

/// A value that is not absent.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// Of a document.
    Bson(RawBsonRef<'a>),
    /// A list of a document, as it is stored: a document whose names are numbers.
    List(&'a RawDocument),
    /// Of an Arrow array, at a row.
    Cell(&'a dyn Array, usize),
}

/// What a value is at the first look.
pub(crate) enum Form<'a> {
    Null,
    Scalar(Scalar<'a>),
    List,
    Document,
}

impl<'a> Value<'a> {
    pub(crate) fn form(self) -> Form<'a> {
        match self {
            Self::Bson(value) => bson_form(value),
            Self::List(_) => Form::List,
            Self::Cell(array, row) => cell_form(array, row),
        }
    }

    /// The elements of a list; nothing for other values. False where bytes are not what they should be.
    pub(crate) fn elements(self, mut each: impl FnMut(Value<'_>)) -> bool {
        match self {
            Self::Bson(RawBsonRef::Array(array)) => {
                for element in array {
                    match element {
                        Ok(element) => each(Value::Bson(element)),
                        Err(_) => return false,
                    }
                }
            }
            Self::List(list) => {
                for element in Elements::of(list) {
                    match element {
                        Ok((_, element)) => each(element),
                        Err(_) => return false,
                    }
                }
            }
            Self::Cell(array, row) => {
                if let Some(elements) = list_at(array, row) {
                    (0..elements.len()).for_each(|i| each(Value::Cell(elements.as_ref(), i)));
                }
            }
            Self::Bson(_) => {}
        }
        true
    }

    /// The type as its own world names it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Bson(value) => bson_type_name(value),
            Self::List(_) => "array",
            Self::Cell(array, _) => cell_type_name(array.data_type()),
        }
    }

    /// Relaxed Extended JSON, fields in their order.
    pub(crate) fn to_json(self) -> Option<Json> {
        match self {
            Self::Bson(value) => Bson::try_from(value).ok().map(Bson::into_relaxed_extjson),
            Self::List(list) => {
                let values = Document::try_from(list).ok()?.into_iter().map(|(_, value)| value);
                Some(Bson::Array(values.collect()).into_relaxed_extjson())
            }
            Self::Cell(array, row) => cell_json(array, row),
        }
    }
}

fn bson_form(value: RawBsonRef<'_>) -> Form<'_> {
    Form::Scalar(match value {
        RawBsonRef::Null | RawBsonRef::Undefined => return Form::Null,
        RawBsonRef::Array(_) => return Form::List,
        RawBsonRef::Document(_) => return Form::Document,
        RawBsonRef::Double(value) => Scalar::Float(value),
        RawBsonRef::Int32(value) => Scalar::Integer(i64::from(value)),
        RawBsonRef::Int64(value) => Scalar::Integer(value),
        RawBsonRef::Decimal128(value) => Scalar::Number(Number::from_decimal128(value.bytes())),
        RawBsonRef::String(value) | RawBsonRef::Symbol(value) => Scalar::Text(value),
        RawBsonRef::Boolean(value) => Scalar::Boolean(value),
        RawBsonRef::ObjectId(value) => Scalar::ObjectId(value.bytes()),
        RawBsonRef::DateTime(value) => Scalar::Instant(i128::from(value.timestamp_millis()) * 1000),
        RawBsonRef::Timestamp(value) => Scalar::Instant(i128::from(value.time) * 1_000_000),
        RawBsonRef::Binary(binary) => match <[u8; 16]>::try_from(binary.bytes) {
            Ok(bytes) if binary.subtype == BinarySubtype::Uuid => Scalar::Uuid(bytes),
            _ => Scalar::Bytes(binary.bytes),
        },
        _ => Scalar::Other,
    })
}

fn bson_type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::Null => "null",
        RawBsonRef::RegularExpression(_) => "regex",
        RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_) => "javascript",
        RawBsonRef::Int32(_) => "int",
        RawBsonRef::Int64(_) => "long",
        RawBsonRef::Timestamp(_) => "timestamp",
        RawBsonRef::Binary(_) => "binData",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::DateTime(_) => "date",
        RawBsonRef::Symbol(_) => "symbol",
        RawBsonRef::Decimal128(_) => "decimal",
        RawBsonRef::Undefined => "undefined",
        RawBsonRef::MaxKey => "maxKey",
        RawBsonRef::MinKey => "minKey",
        RawBsonRef::DbPointer(_) => "dbPointer",
    }
}

fn cell_form(array: &dyn Array, row: usize) -> Form<'_> {
    if array.is_null(row) {
        return Form::Null;
    }
    let integer = |value: i64| Scalar::Integer(value);
    Form::Scalar(match array.data_type() {
        DataType::Null => return Form::Null,
        DataType::Struct(_) => return Form::Document,
        DataType::List(_) | DataType::LargeList(_) => return Form::List,
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => integer(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => integer(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => integer(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => integer(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => integer(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => {
            let value = i128::from(array.as_primitive::<UInt64Type>().value(row));
            Scalar::Number(Number::Finite(Decimal::integer(value)))
        }
        DataType::Float32 => Scalar::Float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Scalar::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            Scalar::Number(Number::Finite(Decimal::scaled(value, *scale)))
        }
        DataType::Utf8 => Scalar::Text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Scalar::Text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Scalar::Text(array.as_string_view().value(row)),
        DataType::Binary => Scalar::Bytes(array.as_binary::<i32>().value(row)),
        DataType::Date32 => Scalar::Day(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(unit, zone) => {
            let micros = micros_at(array, *unit, row);
            match zone {
                Some(_) => Scalar::Instant(micros),
                None => {
                    i64::try_from(micros).ok().and_then(instant::civil).map_or(Scalar::Other, Scalar::Civil)
                }
            }
        }
        _ => Scalar::Other,
    })
}

/// Nanoseconds are cut to microseconds, downwards.
fn micros_at(array: &dyn Array, unit: TimeUnit, row: usize) -> i128 {
    match unit {
        TimeUnit::Second => i128::from(array.as_primitive::<TimestampSecondType>().value(row)) * 1_000_000,
        TimeUnit::Millisecond => {
            i128::from(array.as_primitive::<TimestampMillisecondType>().value(row)) * 1000
        }
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row).into(),
        TimeUnit::Nanosecond => {
            i128::from(array.as_primitive::<TimestampNanosecondType>().value(row)).div_euclid(1000)
        }
    }
}

fn list_at(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) if array.is_valid(row) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) if array.is_valid(row) => Some(array.as_list::<i64>().value(row)),
        _ => None,
    }
}

fn cell_type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32",
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => "uint32",
        DataType::Int64 => "int64",
        DataType::UInt64 => "uint64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Decimal128(..) => "decimal",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary => "binary",
        DataType::Date32 => "date32",
        DataType::Timestamp(..) => "timestamp",
        DataType::Struct(_) => "struct",
        DataType::List(_) | DataType::LargeList(_) => "list",
        _ => "other",
    }
}

fn cell_json(array: &dyn Array, row: usize) -> Option<Json> {
    Some(match cell_form(array, row) {
        Form::Null => Json::Null,
        Form::Scalar(Scalar::Boolean(value)) => Json::Bool(value),
        Form::Scalar(Scalar::Integer(value)) => Json::from(value),
        Form::Scalar(Scalar::Float(value)) => Bson::Double(value).into_relaxed_extjson(),
        Form::Scalar(Scalar::Bytes(bytes)) => Json::String(hex(bytes)),
        Form::Scalar(scalar) => Json::String(scalar.to_text()?),
        Form::List => {
            let elements = list_at(array, row)?;
            let values = (0..elements.len()).map(|i| cell_json(elements.as_ref(), i));
            Json::Array(values.collect::<Option<_>>()?)
        }
        Form::Document => {
            let group = array.as_struct();
            let mut map = Map::new();
            for (field, column) in group.fields().iter().zip(group.columns()) {
                map.insert(field.name().clone(), cell_json(column.as_ref(), row)?);
            }
            Json::Object(map)
        }
    })
}
