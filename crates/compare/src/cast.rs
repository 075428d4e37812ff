//! Casts to the common types of [`crate::types`], without loss: a value that does not fit is an error.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, ListArray, MapArray, StructArray, new_null_array},
    buffer::NullBuffer,
    compute::{CastOptions, cast_with_options},
    datatypes::{
        DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, Float64Type, Int64Type,
        UInt64Type, i256,
    },
    error::ArrowError,
};

use crate::types::is_exact_number;

const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// Brings an array to a common type.
pub(crate) fn cast_to(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    match (from, to) {
        (DataType::Null, _) => Ok(new_null_array(to, array.len())),
        (DataType::Dictionary(_, values), _) => cast_to(&strict(array, values)?, to),
        (DataType::RunEndEncoded(_, values), _) => cast_to(&strict(array, values.data_type())?, to),
        (_, to) if is_exact_number(to) => exact_numbers(array, to),
        (DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..), DataType::Float64) => {
            let scale = crate::measure::scale_of(from);
            let wide = strict(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))?;
            Ok(Arc::new(
                wide.as_primitive::<Decimal128Type>()
                    .unary::<_, Float64Type>(|v| decimal_to_f64(i256::from_i128(v), scale)),
            ))
        }
        (DataType::Decimal256(_, scale), DataType::Float64) => Ok(Arc::new(
            array.as_primitive::<Decimal256Type>().unary::<_, Float64Type>(|v| decimal_to_f64(v, *scale)),
        )),
        (from, DataType::Float64) if is_exact_number(from) => {
            let nearest = array.as_struct().column(0).as_primitive::<Float64Type>();
            Ok(Arc::new(Float64Array::new(nearest.values().clone(), array.logical_nulls())))
        }
        (DataType::Struct(_), DataType::Struct(_)) => documents(array, to),
        (_, DataType::List(item)) => lists(array, item),
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let maps = array.as_map();
            let inner: ArrayRef = Arc::new(StructArray::try_new(
                maps.entries().fields().clone(),
                maps.entries().columns().to_vec(),
                None,
            )?);
            let inner = documents_by_position(inner.as_struct(), entries.data_type())?;
            let cast = MapArray::try_new(
                Arc::clone(entries),
                maps.offsets().clone(),
                inner,
                maps.nulls().cloned(),
                *sorted,
            )?;
            Ok(Arc::new(cast))
        }
        _ => strict(array, to),
    }
}

/// The values of a measure, in any of the common numeric types, as the nearest floats: for figures that need no
/// exactness, such as ratios.
///
/// # Errors
/// An array that does not hold numbers.
pub fn nearest_floats(array: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(cast_to(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// A cast of Arrow that refuses values which do not fit.
pub(crate) fn strict(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array.as_ref(), to, &STRICT)
}

/// The float nearest to `value / 10^scale`.
pub(crate) fn decimal_to_f64(value: i256, scale: i8) -> f64 {
    // Both operands are exact floats below these bounds, so that one division rounds once.
    const EXACT: i128 = 1 << 53;
    if let Some(small) = value.to_i128()
        && small.abs() <= EXACT
        && (0..=22).contains(&scale)
    {
        return small as f64 / 10f64.powi(i32::from(scale));
    }
    format!("{value}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

fn exact_numbers(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = to else { return strict(array, to) };
    let parts: (Vec<f64>, Vec<f64>) = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = strict(array, &DataType::Float64)?;
            floats.as_primitive::<Float64Type>().values().iter().map(|v| (*v, 0.0)).unzip()
        }
        DataType::UInt64 => {
            array.as_primitive::<UInt64Type>().values().iter().map(|v| split(i128::from(*v))).unzip()
        }
        _ => {
            let integers = strict(array, &DataType::Int64)?;
            integers.as_primitive::<Int64Type>().values().iter().map(|v| split(i128::from(*v))).unzip()
        }
    };
    let nulls = array.logical_nulls();
    let column = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::new(values.into(), nulls.clone())) };
    let columns = vec![column(parts.0), column(parts.1)];
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls.clone())?))
}

fn split(value: i128) -> (f64, f64) {
    let nearest = value as f64;
    // The nearest float of a 64-bit integer is an integer below 2^65.
    (nearest, (value - nearest as i128) as f64)
}

fn documents(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = to else { return strict(array, to) };
    let from = array.as_struct();
    let columns = fields
        .iter()
        .map(|field| match from.column_by_name(field.name()) {
            Some(column) => cast_to(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), array.len())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(
        fields.clone(),
        columns,
        from.nulls().cloned(),
        from.len(),
    )?))
}

fn documents_by_position(from: &StructArray, to: &DataType) -> Result<StructArray, ArrowError> {
    let DataType::Struct(fields) = to else { return Ok(from.clone()) };
    let columns = from
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| cast_to(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(fields.clone(), columns, None)
}

fn lists(array: &ArrayRef, item: &Arc<Field>) -> Result<ArrayRef, ArrowError> {
    let source = match array.data_type() {
        DataType::List(_) => Arc::clone(array),
        DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::ListView(f)
        | DataType::LargeListView(f) => strict(array, &DataType::List(Arc::clone(f)))?,
        _ => return strict(array, &DataType::List(Arc::clone(item))),
    };
    let list = source.as_list::<i32>();
    let values = cast_to(list.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned())?))
}

/// One form of each float, so that the order of bytes is the order of values: −0.0 becomes 0.0, every NaN the same.
pub(crate) fn one_form_of_floats(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_form)),
        DataType::Struct(fields) => {
            let from = array.as_struct();
            let columns = from.columns().iter().map(one_form_of_floats).collect::<Result<Vec<_>, _>>()?;
            let nulls: Option<NullBuffer> = from.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, from.len())?)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = one_form_of_floats(list.values())?;
            let nulls = list.nulls().cloned();
            Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, nulls)?)
        }
        _ => Arc::clone(array),
    })
}

fn one_form(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array};

    use super::*;
    use crate::types::exact_number;

    #[test]
    fn decimals_round_to_the_nearest_float_once() {
        for text in ["0.1", "1.10", "123456789012345678.901234567890123456", "0.000000000000000001"] {
            let (whole, fraction) = text.split_once('.').unwrap();
            let value: i128 = format!("{whole}{fraction}").parse().unwrap();
            let scale = i8::try_from(fraction.len()).unwrap();
            let array: ArrayRef =
                Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap());
            let cast = cast_to(&array, &DataType::Float64).unwrap();
            assert_eq!(cast.as_primitive::<Float64Type>().value(0), text.parse::<f64>().unwrap());
        }
    }

    #[test]
    fn large_integers_keep_what_a_float_cannot_hold() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![Some((1 << 53) + 1), None, Some(i64::MAX)]));
        let cast = cast_to(&array, &exact_number()).unwrap();
        let parts = |row: usize| {
            let of = |c: usize| cast.as_struct().column(c).as_primitive::<Float64Type>().value(row) as i128;
            of(0) + of(1)
        };
        assert_eq!((parts(0), parts(2)), ((1 << 53) + 1, i128::from(i64::MAX)));
        assert!(cast.is_null(1));
        let floats = nearest_floats(&cast).unwrap();
        assert_eq!((floats.value(0), floats.is_null(1)), (9_007_199_254_740_992.0, true));
    }

    #[test]
    fn documents_and_lists_are_cast_by_name() {
        let fields = vec![Field::new("b", DataType::Int32, true), Field::new("a", DataType::LargeUtf8, true)];
        let from: ArrayRef = new_null_array(&DataType::Struct(fields.into()), 2);
        let to = DataType::Struct(vec![Field::new("a", DataType::Utf8, true)].into());
        assert_eq!(cast_to(&from, &to).unwrap().data_type(), &to);
    }
}
