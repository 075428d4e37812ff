//! Casts to the types of [`crate::types::split`].

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, StructArray},
    datatypes::{
        DataType, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, UInt64Type,
    },
    error::ArrowError,
};

use super::strict;
use crate::types::nanoseconds;

/// Integers and floats as [`crate::types::exact_number`].
pub(super) fn exact_numbers(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let parts: (Vec<f64>, Vec<f64>) = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = strict(array, &DataType::Float64)?;
            floats.as_primitive::<Float64Type>().values().iter().map(|v| (*v, 0.0)).unzip()
        }
        DataType::UInt64 => {
            array.as_primitive::<UInt64Type>().values().iter().map(|v| halves(i128::from(*v))).unzip()
        }
        _ => {
            let integers = strict(array, &DataType::Int64)?;
            integers.as_primitive::<Int64Type>().values().iter().map(|v| halves(i128::from(*v))).unzip()
        }
    };
    let nulls = array.logical_nulls();
    let column = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::new(values.into(), nulls.clone())) };
    whole(array, to, vec![column(parts.0), column(parts.1)])
}

/// Instants or durations as [`crate::types::exact_ticks`].
pub(super) fn exact_ticks(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = to else { return strict(array, to) };
    let coarse = fields[0].data_type();
    let (Some(from), Some(into)) = (unit(array.data_type()), unit(coarse)) else { return strict(array, to) };
    let nulls = array.logical_nulls();
    let fine = strict(array, &DataType::Int64)?;
    let fine = fine.as_primitive::<Int64Type>();
    // Both are powers of 1000, the coarse one at least as large, so that this divides evenly and fits.
    let per_tick = (nanoseconds(into) / nanoseconds(from)) as i64;
    let per_rest = nanoseconds(from) as i32;
    let ticks: ArrayRef = Arc::new(fine.unary::<_, Int64Type>(|v| v.div_euclid(per_tick)));
    let rest = fine.values().iter().map(|v| v.rem_euclid(per_tick) as i32 * per_rest);
    let rest: ArrayRef = Arc::new(Int32Array::new(rest.collect(), nulls));
    whole(array, to, vec![strict(&ticks, coarse)?, rest])
}

/// Intervals of any kind as [`crate::types::exact_interval`].
pub(super) fn exact_intervals(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let wide = strict(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let wide = wide.as_primitive::<IntervalMonthDayNanoType>();
    let nulls = wide.nulls();
    let (months, days): (Vec<i32>, Vec<i32>) = wide.values().iter().map(|v| (v.months, v.days)).unzip();
    let nanoseconds = wide.values().iter().map(|v| v.nanoseconds);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::new(months.into(), nulls.cloned())),
        Arc::new(Int32Array::new(days.into(), nulls.cloned())),
        Arc::new(Int64Array::new(nanoseconds.collect(), nulls.cloned())),
    ];
    whole(array, to, columns)
}

fn whole(array: &ArrayRef, to: &DataType, columns: Vec<ArrayRef>) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = to else { return strict(array, to) };
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, array.logical_nulls())?))
}

fn unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) | DataType::Duration(unit) => Some(*unit),
        _ => None,
    }
}

fn halves(value: i128) -> (f64, f64) {
    let nearest = value as f64;
    // The nearest float of a 64-bit integer is an integer below 2^65.
    (nearest, (value - nearest as i128) as f64)
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{IntervalDayTimeArray, TimestampMillisecondArray, TimestampNanosecondArray},
        datatypes::{Int32Type, IntervalDayTime, TimestampMillisecondType},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::{canonical::Encoder, cast::cast_to, types};

    fn bytes(array: &ArrayRef) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(array).unwrap().encode(0, &mut out).unwrap();
        out
    }

    fn parts(array: &ArrayRef) -> (i64, i32) {
        let (ticks, rest) = (array.as_struct().column(0), array.as_struct().column(1));
        (ticks.as_primitive::<TimestampMillisecondType>().value(0), rest.as_primitive::<Int32Type>().value(0))
    }

    proptest! {
        #[test]
        fn instants_of_two_units_are_ordered_as_instants(
            milli in prop_oneof![any::<i64>(), -3_i64..3],
            nano in prop_oneof![any::<i64>(), -3_000_001_i64..3_000_001],
        ) {
            let to = types::exact_ticks(DataType::Timestamp(TimeUnit::Millisecond, None));
            let (legacy, new): (ArrayRef, ArrayRef) = (
                Arc::new(TimestampMillisecondArray::from(vec![milli])),
                Arc::new(TimestampNanosecondArray::from(vec![nano])),
            );
            let (l, n) = (cast_to(&legacy, &to).unwrap(), cast_to(&new, &to).unwrap());
            let order = (i128::from(milli) * 1_000_000).cmp(&i128::from(nano));
            prop_assert_eq!(parts(&l).cmp(&parts(&n)), order);
            // The fence says the same of the values as they came.
            prop_assert_eq!(bytes(&legacy).cmp(&bytes(&new)), order);
            prop_assert_eq!((bytes(&legacy), bytes(&new)), (bytes(&l), bytes(&n)));
        }

        #[test]
        fn intervals_keep_their_parts(days in any::<i32>(), milliseconds in any::<i32>()) {
            let narrow: ArrayRef =
                Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(days, milliseconds)]));
            let wide = cast_to(&narrow, &types::exact_interval()).unwrap();
            let nanoseconds = wide.as_struct().column(2).as_primitive::<Int64Type>().value(0);
            prop_assert_eq!(nanoseconds, i64::from(milliseconds) * 1_000_000);
            prop_assert_eq!(bytes(&narrow), bytes(&wide));
        }
    }
}
