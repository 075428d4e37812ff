//! Rows of the period and its margin, by the column that an input declares as its time.

use arrow::{
    array::{Array, AsArray, BooleanArray},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Date32Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, ident, lit},
};
use dualrun_sources::{DaysOf, InputTable, SourceError};
use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

/// Leaves out the rows of other days and those without a time. A day is a day as it stands; an instant belongs to the
/// day of `zone`, and so does a date and time without a zone.
///
/// # Errors
/// A column that is not there, or that holds neither days nor instants.
pub(crate) fn keep(table: &mut InputTable, days: &DaysOf, zone: &TimeZone) -> Result<(), SourceError> {
    let Some(window) = Window::new(&table.schema, days, zone)? else { return Ok(()) };
    let mut rows = 0;
    for batch in &mut table.batches {
        *batch = window.keep(batch)?;
        rows += batch.num_rows() as u64;
    }
    table.report.rows = rows;
    Ok(())
}

/// The days that are wanted, as a column of a table tells them.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    column: String,
    data_type: DataType,
    /// From the first on, before the second: days, or microseconds.
    bounds: (i64, i64),
}

impl Window {
    /// None of a table without columns: no file, and nothing declared.
    ///
    /// # Errors
    /// A column that is not there, or that holds neither days nor instants.
    pub(crate) fn new(
        schema: &SchemaRef,
        days: &DaysOf,
        zone: &TimeZone,
    ) -> Result<Option<Self>, SourceError> {
        if schema.fields().is_empty() {
            return Ok(None);
        }
        let name = days.column.as_str();
        let field = schema.field_with_name(name).map_err(|_| {
            SourceError::Config(format!("there is no column {name:?}, which `time` of the input names"))
        })?;
        let data_type = field.data_type().clone();
        let bounds = match &data_type {
            DataType::Null => Some((0, 0)),
            DataType::Date32 => Some((epoch_day(days.first), epoch_day(days.end))),
            DataType::Timestamp(_, Some(_)) => instant(days.first, zone).zip(instant(days.end, zone)),
            DataType::Timestamp(_, None) => {
                instant(days.first, &TimeZone::UTC).zip(instant(days.end, &TimeZone::UTC))
            }
            _ => None,
        };
        let Some(bounds) = bounds else {
            return Err(SourceError::Config(format!(
                "the column {name:?}, which `time` of the input names, is {data_type}: declare it as date or timestamp in \
                 the shape"
            )));
        };
        Ok(Some(Self { column: name.to_owned(), data_type, bounds }))
    }

    /// The rows of the wanted days.
    ///
    /// # Errors
    /// A value that Arrow cannot read.
    pub(crate) fn keep(&self, batch: &RecordBatch) -> Result<RecordBatch, SourceError> {
        let Some(column) = batch.column_by_name(&self.column) else { return Ok(batch.clone()) };
        let (first, end) = self.bounds;
        let within = |value: Option<i64>| Some(value.is_some_and(|value| first <= value && value < end));
        let wanted: BooleanArray = match &self.data_type {
            DataType::Null => vec![Some(false); column.len()].into(),
            DataType::Date32 => {
                column.as_primitive::<Date32Type>().iter().map(|day| within(day.map(i64::from))).collect()
            }
            data_type => {
                let zone = match data_type {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
                micros.as_primitive::<TimestampMicrosecondType>().iter().map(within).collect()
            }
        };
        Ok(filter_record_batch(batch, &wanted)?)
    }

    /// The same for the query engine; none where the column is of a form that only [`Self::keep`] reads.
    pub(crate) fn filter(&self) -> Option<Expr> {
        let value = |at: i64| match &self.data_type {
            DataType::Date32 => i32::try_from(at).ok().map(|day| ScalarValue::Date32(Some(day))),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Some(ScalarValue::TimestampMicrosecond(Some(at), zone.clone()))
            }
            _ => None,
        };
        let (first, end) = (value(self.bounds.0)?, value(self.bounds.1)?);
        let column = ident(self.column.as_str());
        Some(column.clone().gt_eq(lit(first)).and(column.lt(lit(end))))
    }
}

fn epoch_day(day: Date) -> i64 {
    day.duration_since(Date::constant(1970, 1, 1)).as_hours().div_euclid(24)
}

/// The first microsecond of a day.
fn instant(day: Date, zone: &TimeZone) -> Option<i64> {
    let midnight = zone.to_ambiguous_zoned(day.to_datetime(Time::midnight())).compatible().ok()?;
    Some(midnight.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, StringArray, TimestampMillisecondArray};
    use dualrun_sources::ReadReport;

    use super::*;

    fn kept(column: ArrayRef) -> Result<u64, String> {
        let batch = RecordBatch::try_from_iter_with_nullable([("at", column, true)]).unwrap();
        let report = ReadReport { rows: batch.num_rows() as u64, ..ReadReport::default() };
        let mut table = InputTable { schema: batch.schema(), batches: vec![batch], report };
        let days = DaysOf {
            column: "at".to_owned(),
            first: "2025-03-01".parse().unwrap(),
            end: "2025-03-02".parse().unwrap(),
        };
        keep(&mut table, &days, &TimeZone::get("Europe/Paris").unwrap())
            .map_err(|error| error.to_string())?;
        let left: usize = table.batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(table.report.rows, left as u64);
        Ok(table.report.rows)
    }

    #[test]
    fn an_instant_belongs_to_the_day_of_the_zone() {
        // 2025-03-01 in Paris is 2025-02-28T23:00Z to 2025-03-01T23:00Z.
        let start = 1_740_783_600_000;
        let day = 86_400_000;
        let instants = vec![Some(start - 1), Some(start), Some(start + day - 1), Some(start + day), None];
        assert_eq!(kept(Arc::new(TimestampMillisecondArray::from(instants).with_timezone("UTC"))), Ok(2));
    }

    #[test]
    fn a_day_is_a_day_and_text_is_refused() {
        let first = i32::try_from(epoch_day("2025-03-01".parse().unwrap())).unwrap();
        assert_eq!(
            kept(Arc::new(Date32Array::from(vec![Some(first - 1), Some(first), Some(first + 1), None]))),
            Ok(1)
        );
        let refused = kept(Arc::new(StringArray::from(vec!["2025-03-01"]))).unwrap_err();
        assert!(refused.contains("declare it as date or timestamp"), "{refused}");
    }
}
