//! Days, instants, times, durations and intervals as whole numbers.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit},
    error::ArrowError,
};

use super::{DATE, DURATION, INSTANT, INTERVAL, TIME};
use crate::{cast::strict, types::nanoseconds};

/// Whole numbers of a unit under the tag of their kind, with the nanoseconds that a unit stands for.
#[derive(Debug)]
pub(super) struct Ticks {
    tag: u8,
    ticks: Vec<i64>,
    unit: i128,
    /// Nanoseconds behind each tick, for [`crate::types::exact_ticks`].
    rest: Option<Vec<i32>>,
}

impl Ticks {
    /// `None` for a type of another kind.
    pub(super) fn new(array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        const MILLISECOND: i128 = 1_000_000;
        const DAY: i128 = 86_400 * 1_000_000_000;
        let (tag, unit) = match array.data_type() {
            DataType::Date32 => (DATE, DAY),
            DataType::Date64 => (DATE, MILLISECOND),
            DataType::Timestamp(unit, _) => (INSTANT, nanoseconds(*unit)),
            DataType::Time32(unit) | DataType::Time64(unit) => (TIME, nanoseconds(*unit)),
            DataType::Duration(unit) => (DURATION, nanoseconds(*unit)),
            _ => return Ok(None),
        };
        let ticks = match array.data_type() {
            DataType::Date32 | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => {
                let small = strict(array, &DataType::Int32)?;
                small.as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v)).collect()
            }
            _ => strict(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec(),
        };
        Ok(Some(Self { tag, ticks, unit, rest: None }))
    }

    /// Of [`crate::types::exact_ticks`].
    pub(super) fn of_two_units(array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        let parts = array.as_struct();
        let rest = parts.column(1).as_primitive::<Int32Type>().values().to_vec();
        Ok(Self::new(parts.column(0))?.map(|ticks| Self { rest: Some(rest), ..ticks }))
    }

    /// In nanoseconds.
    pub(super) fn get(&self, row: usize) -> i128 {
        // A tick is at most 86,400 × 10^9 nanoseconds long: 2^63 of them fit 128 bits.
        i128::from(self.ticks[row]) * self.unit + self.rest.as_ref().map_or(0, |rest| i128::from(rest[row]))
    }

    pub(super) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        out.push(self.tag);
        out.extend((self.get(row) ^ i128::MIN).to_be_bytes());
    }
}

/// Intervals: months, days and nanoseconds. None of them can be told from the others: a month has no fixed number of days,
/// and a day with a change of clocks not 24 hours.
#[derive(Debug)]
pub(super) struct Intervals(Vec<(i32, i32, i64)>);

impl Intervals {
    /// Of an interval type, or of [`crate::types::exact_interval`].
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        if let Some(parts) = array.as_struct_opt() {
            let small = |i: usize| parts.column(i).as_primitive::<Int32Type>().values();
            let nanoseconds = parts.column(2).as_primitive::<Int64Type>().values();
            let triples = small(0).iter().zip(small(1)).zip(nanoseconds).map(|((m, d), n)| (*m, *d, *n));
            return Ok(Self(triples.collect()));
        }
        let wide = strict(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let wide = wide.as_primitive::<IntervalMonthDayNanoType>();
        Ok(Self(wide.values().iter().map(|v| (v.months, v.days, v.nanoseconds)).collect()))
    }

    pub(super) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        let (months, days, nanoseconds) = self.0[row];
        out.push(INTERVAL);
        out.extend((months ^ i32::MIN).to_be_bytes());
        out.extend((days ^ i32::MIN).to_be_bytes());
        out.extend((nanoseconds ^ i64::MIN).to_be_bytes());
    }
}
