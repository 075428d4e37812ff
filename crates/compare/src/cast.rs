//! Casts to the common types of [`crate::types`], without loss: a value that does not fit is an error.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, ListArray, MapArray, StructArray, UInt64Array, new_null_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::{CastOptions, cast_with_options, take},
    datatypes::{
        DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, Float64Type, i256,
    },
    error::ArrowError,
};

use crate::{
    canonical::Encoder,
    types::{is_exact_interval, is_exact_number, is_exact_ticks},
};

mod split;

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
        (_, to) if is_exact_number(to) => split::exact_numbers(array, to),
        (_, to) if is_exact_ticks(to) => split::exact_ticks(array, to),
        (_, to) if is_exact_interval(to) => split::exact_intervals(array, to),
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
    let source = plain_lists(array)?;
    let Some(list) = source.as_list_opt::<i32>() else {
        return strict(array, &DataType::List(Arc::clone(item)));
    };
    let values = cast_to(list.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned())?))
}

/// Lists of any layout as `List` of the same items; anything else as it is.
pub(crate) fn plain_lists(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::ListView(f)
        | DataType::LargeListView(f) => strict(array, &DataType::List(Arc::clone(f))),
        _ => Ok(Arc::clone(array)),
    }
}

/// One form of each value of a key, so that equal values have equal bytes and floats are ordered by value: −0.0 becomes
/// 0.0, every NaN the same, and the entries of a map stand in the order of their keys.
pub(crate) fn one_form(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_float)),
        DataType::Struct(fields) => {
            let from = array.as_struct();
            let columns = from.columns().iter().map(one_form).collect::<Result<Vec<_>, _>>()?;
            let nulls: Option<NullBuffer> = from.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, from.len())?)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = one_form(list.values())?;
            let nulls = list.nulls().cloned();
            Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, nulls)?)
        }
        DataType::Map(entries, sorted) => {
            let map = array.as_map();
            let order = order_within(map.value_offsets(), &Encoder::new(map.keys())?)?;
            let columns = map
                .entries()
                .columns()
                .iter()
                .map(|column| one_form(&take(column, &order, None)?))
                .collect::<Result<Vec<_>, _>>()?;
            let inner = StructArray::try_new(map.entries().fields().clone(), columns, None)?;
            let (offsets, nulls) = (from_zero(map.offsets()), map.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, inner, nulls, *sorted)?)
        }
        _ => Arc::clone(array),
    })
}

/// The positions of all items in the ranges of a list or map, within each range in the order of their canonical bytes.
pub(crate) fn order_within(offsets: &[i32], items: &Encoder) -> Result<UInt64Array, ArrowError> {
    let mut order = Vec::new();
    let mut sorted: Vec<(Vec<u8>, u64)> = Vec::new();
    for ends in offsets.windows(2) {
        // Offsets of a valid array are never negative.
        for item in ends[0].unsigned_abs()..ends[1].unsigned_abs() {
            let mut bytes = Vec::new();
            items.encode(item as usize, &mut bytes)?;
            sorted.push((bytes, u64::from(item)));
        }
        sorted.sort();
        order.extend(sorted.drain(..).map(|(_, item)| item));
    }
    Ok(order.into())
}

/// The same lengths, counted from 0.
pub(crate) fn from_zero(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths(offsets.windows(2).map(|ends| ends[1].abs_diff(ends[0]) as usize))
}

fn one_float(value: f64) -> f64 {
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
