//! Types of several fields, for values that no single Arrow type (or no Parquet column) holds.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit};

/// The first field of an exact number.
pub const NEAREST: &str = "__nearest";
/// The second field of an exact number, and of an instant or duration of two units.
pub const REST: &str = "__rest";
/// The first field of an instant or duration of two units.
pub const TICKS: &str = "__ticks";

const INTERVAL: [(&str, DataType); 3] =
    [("__months", DataType::Int32), ("__days", DataType::Int32), ("__nanoseconds", DataType::Int64)];

/// The type of a column that holds 64-bit integers on one side and floats on the other. No plain type holds both
/// without loss, so a value is the nearest float and what is left of it: `value = nearest + rest`. `rest` is 0 for
/// every float and for every integer up to 2^53. Ordered by both fields it is ordered by value.
pub fn exact_number() -> DataType {
    of([(NEAREST, DataType::Float64), (REST, DataType::Float64)])
}

/// Whether a type is [`exact_number`].
pub fn is_exact_number(data_type: &DataType) -> bool {
    starts_with(data_type, 2, NEAREST)
}

/// The type of a column of instants or durations that one side has in nanoseconds and the other in `coarse`, a
/// coarser unit. Nanoseconds of 64 bit reach from 1677 to 2262 only, so that neither unit holds both (think of the year
/// 9999). A value is whole ticks of the coarse unit, rounded down, and the nanoseconds behind them, never negative.
/// Ordered by both fields it is ordered by value.
pub fn exact_ticks(coarse: DataType) -> DataType {
    of([(TICKS, coarse), (REST, DataType::Int32)])
}

/// Whether a type is [`exact_ticks`] of some unit.
pub fn is_exact_ticks(data_type: &DataType) -> bool {
    starts_with(data_type, 2, TICKS)
}

/// The type of intervals of months, days and nanoseconds, as a struct, because Parquet stores no such interval.
pub fn exact_interval() -> DataType {
    of(INTERVAL)
}

/// Whether a type is [`exact_interval`].
pub fn is_exact_interval(data_type: &DataType) -> bool {
    starts_with(data_type, 3, INTERVAL[0].0)
}

/// Whether values are intervals of any kind.
pub(crate) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime))
        || is_exact_interval(data_type)
}

/// Whether a struct type is one of this module and no document.
pub(crate) fn is_split(data_type: &DataType) -> bool {
    is_exact_number(data_type) || is_exact_ticks(data_type) || is_exact_interval(data_type)
}

fn of<const N: usize>(fields: [(&str, DataType); N]) -> DataType {
    DataType::Struct(
        fields.into_iter().map(|(name, t)| Arc::new(Field::new(name, t, true))).collect::<Fields>(),
    )
}

fn starts_with(data_type: &DataType, fields: usize, first: &str) -> bool {
    matches!(data_type, DataType::Struct(f) if f.len() == fields && f[0].name() == first)
}
