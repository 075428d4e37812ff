//! One schema for several files.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, new_null_array, types::Int64Type},
    compute,
    datatypes::{DataType, Field, FieldRef, Fields},
    error::ArrowError,
};

use crate::SourceError;

/// Columns of several files with one type each, in the order in which they were met.
#[derive(Default)]
pub(crate) struct Union {
    columns: Vec<(Field, String)>,
}

impl Union {
    /// Takes the column of a file in. Numbers widen; other types must be the same.
    pub(crate) fn add(&mut self, field: &Field, file: &str) -> Result<(), SourceError> {
        let data_type = normal(field.data_type());
        let Some((known, first)) = self.columns.iter_mut().find(|(f, _)| f.name() == field.name()) else {
            self.columns.push((Field::new(field.name(), data_type, true), file.to_owned()));
            return Ok(());
        };
        match common(known.data_type(), &data_type) {
            Some(both) => *known = Field::new(field.name(), both, true),
            None => {
                return Err(SourceError::SchemaDrift {
                    column: field.name().clone(),
                    first: format!("{} in {first}", known.data_type()),
                    second: format!("{data_type} in {file}"),
                });
            }
        }
        Ok(())
    }

    /// The columns; one that has no type in any file is text unless `untyped_nulls`.
    pub(crate) fn fields(self, untyped_nulls: bool) -> Vec<Field> {
        let typed = |field: Field| match field.data_type() {
            DataType::Null if !untyped_nulls => field.with_data_type(DataType::Utf8),
            _ => field,
        };
        self.columns.into_iter().map(|(field, _)| typed(field)).collect()
    }
}

/// The plain form of a type: no dictionaries, views or large offsets, everything may be null.
pub(crate) fn normal(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => normal(values),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            DataType::List(Arc::new(Field::new_list_field(normal(field.data_type()), true)))
        }
        DataType::Struct(fields) => {
            let plain = |f: &FieldRef| Field::new(f.name(), normal(f.data_type()), true);
            DataType::Struct(fields.iter().map(plain).collect())
        }
        other => other.clone(),
    }
}

/// The type that holds the values of both; none where there is none.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (UInt64, other) | (other, UInt64) if other.is_integer() => Decimal128(20, 0),
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (a, b) if (a.is_integer() || a.is_floating()) && (b.is_integer() || b.is_floating()) => Float64,
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = *s.max(t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = u8::try_from(whole + i16::from(scale)).ok().filter(|p| *p <= 38)?;
            Decimal128(precision, scale)
        }
        (Timestamp(u, z), Timestamp(v, y)) if z == y => Timestamp(*u.max(v), z.clone()),
        (List(a), List(b)) => {
            List(Arc::new(Field::new_list_field(common(a.data_type(), b.data_type())?, true)))
        }
        (Struct(a), Struct(b)) => Struct(common_fields(a, b)?),
        _ => return None,
    })
}

fn common_fields(a: &Fields, b: &Fields) -> Option<Fields> {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(a.len());
    for field in a {
        let data_type = match b.iter().find(|f| f.name() == field.name()) {
            Some(other) => common(field.data_type(), other.data_type())?,
            None => field.data_type().clone(),
        };
        fields.push(Arc::new(Field::new(field.name(), data_type, true)));
    }
    fields.extend(b.iter().filter(|f| !a.iter().any(|g| g.name() == f.name())).cloned());
    Some(fields.into())
}

/// An array as the type that [`Union`] found; absent fields of documents become null.
pub(crate) fn adapt(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), target) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let group = array.as_struct();
            let columns: Result<Vec<_>, _> = fields
                .iter()
                .map(|field| match group.column_by_name(field.name()) {
                    Some(column) => adapt(column, field.data_type()),
                    None => Ok(new_null_array(field.data_type(), group.len())),
                })
                .collect();
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns?, group.nulls().cloned())?))
        }
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = adapt(list.values(), field.data_type())?;
            let nulls = list.nulls().cloned();
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, nulls)?))
        }
        (DataType::LargeList(_) | DataType::FixedSizeList(..), DataType::List(field)) => {
            let offsets = match array.data_type() {
                DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
                    compute::cast(array, &DataType::List(Arc::clone(inner)))?
                }
                _ => Arc::clone(array),
            };
            adapt(&offsets, &DataType::List(Arc::clone(field)))
        }
        (DataType::Int64, DataType::Float64) if !exact_in_f64(array.as_primitive::<Int64Type>()) => {
            Err(ArrowError::CastError("whole numbers beyond 2^53 do not fit into floats".to_owned()))
        }
        _ => compute::cast_with_options(
            array,
            target,
            &compute::CastOptions { safe: false, ..Default::default() },
        ),
    }
}

fn exact_in_f64(array: &Int64Array) -> bool {
    let limit = 1 << f64::MANTISSA_DIGITS;
    compute::max(array).is_none_or(|m| m <= limit) && compute::min(array).is_none_or(|m| m >= -limit)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array};

    use super::*;

    #[test]
    fn numbers_widen_and_other_types_drift() {
        let mut union = Union::default();
        union.add(&Field::new("a", DataType::Int32, false), "1.parquet").unwrap();
        union.add(&Field::new("a", DataType::Float32, true), "2.parquet").unwrap();
        let error = union.add(&Field::new("a", DataType::Utf8View, true), "3.parquet").unwrap_err();
        assert_eq!(error.to_string(), "column \"a\" is Float64 in 1.parquet but Utf8 in 3.parquet");
        assert_eq!(union.fields(false)[0].data_type(), &DataType::Float64);
        let both = common(&DataType::Decimal128(10, 2), &DataType::Decimal128(12, 6));
        assert_eq!(both, Some(DataType::Decimal128(14, 6)));
        assert_eq!(common(&DataType::Decimal128(38, 2), &DataType::Decimal128(38, 6)), None);
    }

    #[test]
    fn whole_numbers_become_floats_only_where_exact() {
        let small: ArrayRef = Arc::new(Int64Array::from(vec![1, -5]));
        let floats = adapt(&small, &DataType::Float64).unwrap();
        assert_eq!(floats.as_ref(), &Float64Array::from(vec![1.0, -5.0]) as &dyn Array);
        let large: ArrayRef = Arc::new(Int64Array::from(vec![(1 << 53) + 1]));
        assert!(adapt(&large, &DataType::Float64).is_err());
    }

    #[test]
    fn an_absent_field_of_a_document_is_null() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let fields: Fields = vec![Field::new("a", DataType::Int32, false)].into();
        let group: ArrayRef = Arc::new(StructArray::try_new(fields, vec![ints], None).unwrap());
        let wide = DataType::Struct(
            vec![Field::new("b", DataType::Utf8, true), Field::new("a", DataType::Int64, true)].into(),
        );
        let adapted = adapt(&group, &wide).unwrap();
        assert_eq!(adapted.data_type(), &wide);
        assert!(adapted.as_struct().column(0).is_null(0));
    }
}
