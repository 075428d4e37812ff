//! The columns that say when a row was written, and to which day it belongs.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use dualrun_core::load::Mark;
use dualrun_sources::SourceError;
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};

/// 1970-01-01.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// What a column of watermarks holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Instant,
    Local,
    Day,
    Number,
}

/// The watermarks of a batch.
pub(super) struct Marks {
    kind: Kind,
    values: Int64Array,
}

impl Marks {
    /// The column of a batch.
    ///
    /// # Errors
    /// A column that is not there, or that holds neither times nor whole numbers.
    pub(super) fn of(batch: &RecordBatch, name: &str) -> Result<Self, SourceError> {
        let Some(column) = batch.column_by_name(name) else { return Err(missing(name, "watermark")) };
        let (kind, values) = match column.data_type() {
            DataType::Timestamp(_, zone) => {
                let kind = if zone.is_some() { Kind::Instant } else { Kind::Local };
                let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                (kind, cast(&micros, &DataType::Int64)?)
            }
            DataType::Date32 => (Kind::Day, cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?),
            data_type if data_type.is_integer() || data_type == &DataType::Null => {
                (Kind::Number, cast(column, &DataType::Int64)?)
            }
            other => {
                return Err(SourceError::Config(format!(
                    "the column {name:?}, which `watermark` of the input names, is {other}: declare it as timestamp, \
                     date or integer in the shape"
                )));
            }
        };
        Ok(Self { kind, values: values.as_primitive::<Int64Type>().clone() })
    }

    /// The rows that are not below a mark. A row without a value cannot be told and counts in.
    ///
    /// # Errors
    /// A mark of another type: the column had another one at the last load.
    pub(super) fn since(&self, mark: Mark) -> Result<BooleanArray, SourceError> {
        let (kind, from) = number(mark);
        if kind != self.kind && self.values.null_count() < self.values.len() {
            return Err(SourceError::Config(
                "the watermark had another type at the last load; `--full` begins anew".to_owned(),
            ));
        }
        Ok(self.values.iter().map(|value| Some(value.is_none_or(|value| value >= from))).collect())
    }

    /// The largest one.
    pub(super) fn max(&self) -> Option<Mark> {
        let value = arrow::compute::max(&self.values)?;
        match self.kind {
            Kind::Instant => Timestamp::from_microsecond(value).ok().map(Mark::Instant),
            Kind::Local => {
                let at = Timestamp::from_microsecond(value).ok()?;
                Some(Mark::Local(at.to_zoned(TimeZone::UTC).datetime()))
            }
            Kind::Day => EPOCH.checked_add(value.days()).ok().map(Mark::Day),
            Kind::Number => Some(Mark::Number(value)),
        }
    }
}

fn number(mark: Mark) -> (Kind, i64) {
    match mark {
        Mark::Instant(at) => (Kind::Instant, at.as_microsecond()),
        Mark::Local(at) => {
            let at = at.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_microsecond());
            (Kind::Local, at.unwrap_or(i64::MIN))
        }
        Mark::Day(day) => (Kind::Day, i64::from((day - EPOCH).get_days())),
        Mark::Number(number) => (Kind::Number, number),
    }
}

/// The day of each row: a day as it stands, an instant in the zone, a time without a zone as it stands.
///
/// # Errors
/// A column that is not there, or that holds neither days nor instants.
pub(super) fn days(
    batch: &RecordBatch,
    name: &str,
    zone: &TimeZone,
) -> Result<Vec<Option<Date>>, SourceError> {
    let Some(column) = batch.column_by_name(name) else { return Err(missing(name, "time")) };
    let micros = |zone: Option<std::sync::Arc<str>>| -> Result<ArrayRef, SourceError> {
        Ok(cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone))?)
    };
    let instants = |column: &ArrayRef, zone: &TimeZone| {
        let mut days = Days { zone, known: None };
        column.as_primitive::<TimestampMicrosecondType>().iter().map(|at| days.of(at?)).collect()
    };
    Ok(match column.data_type() {
        DataType::Null => vec![None; column.len()],
        DataType::Date32 => {
            let day = |day: i32| EPOCH.checked_add(day.days()).ok();
            column.as_primitive::<Date32Type>().iter().map(|value| day(value?)).collect()
        }
        DataType::Timestamp(_, Some(utc)) => instants(&micros(Some(utc.clone()))?, zone),
        DataType::Timestamp(_, None) => instants(&micros(None)?, &TimeZone::UTC),
        other => {
            return Err(SourceError::Config(format!(
                "the column {name:?}, which `time` of the input names, is {other}: declare it as date or timestamp in \
                 the shape"
            )));
        }
    })
}

/// Days of instants. Rows of one day come together, so the last one is kept.
struct Days<'a> {
    zone: &'a TimeZone,
    known: Option<(i64, i64, Date)>,
}

impl Days<'_> {
    fn of(&mut self, micros: i64) -> Option<Date> {
        if let Some((_, _, day)) = self.known.filter(|(start, end, _)| (*start..*end).contains(&micros)) {
            return Some(day);
        }
        let day = Timestamp::from_microsecond(micros).ok()?.to_zoned(self.zone.clone()).date();
        let start = |day: Date| {
            let midnight =
                self.zone.to_ambiguous_zoned(day.to_datetime(Time::midnight())).compatible().ok()?;
            Some(midnight.timestamp().as_microsecond())
        };
        self.known =
            start(day).zip(day.tomorrow().ok().and_then(start)).map(|(start, end)| (start, end, day));
        Some(day)
    }
}

fn missing(column: &str, named_by: &str) -> SourceError {
    SourceError::Config(format!("there is no column {column:?}, which `{named_by}` of the input names"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, StringArray, TimestampMillisecondArray, TimestampNanosecondArray};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("at", column, true)]).unwrap()
    }

    fn kept(column: ArrayRef, mark: Mark) -> Vec<bool> {
        let marks = Marks::of(&batch(column), "at").unwrap();
        marks.since(mark).unwrap().iter().map(Option::unwrap).collect()
    }

    #[test]
    fn the_mark_itself_and_rows_without_one_are_read_again() {
        let at: Timestamp = "2025-03-01T10:00:00Z".parse().unwrap();
        let ms = at.as_millisecond();
        let instants = || TimestampMillisecondArray::from(vec![Some(ms - 1), Some(ms), Some(ms + 1), None]);
        let zoned: ArrayRef = Arc::new(instants().with_timezone("UTC"));
        assert_eq!(kept(Arc::clone(&zoned), Mark::Instant(at)), [false, true, true, true]);
        let max = Marks::of(&batch(zoned), "at").unwrap().max();
        assert_eq!(max, Some(Mark::Instant(Timestamp::from_millisecond(ms + 1).unwrap())));
        let local = Mark::Local("2025-03-01T10:00:00".parse().unwrap());
        assert_eq!(kept(Arc::new(instants()), local), [false, true, true, true]);
        assert_eq!(kept(Arc::new(Int64Array::from(vec![6, 7])), Mark::Number(7)), [false, true]);
        let day = Mark::Day("1970-01-03".parse().unwrap());
        assert_eq!(kept(Arc::new(Date32Array::from(vec![1, 2, 3])), day), [false, true, true]);
    }

    #[test]
    fn a_mark_of_another_type_and_a_text_are_refused() {
        let numbers = Marks::of(&batch(Arc::new(Int64Array::from(vec![1]))), "at").unwrap();
        let error = numbers.since(Mark::Day("2025-03-01".parse().unwrap())).unwrap_err().to_string();
        assert!(error.contains("--full"), "{error}");
        let text: ArrayRef = Arc::new(StringArray::from(vec!["2025"]));
        let error = Marks::of(&batch(text), "at").err().unwrap().to_string();
        assert!(error.contains("declare it as timestamp, date or integer"), "{error}");
        assert!(Marks::of(&batch(Arc::new(Int64Array::from(vec![1]))), "then").is_err());
    }

    #[test]
    fn an_instant_belongs_to_the_day_of_the_zone() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let ns = |text: &str| text.parse::<Timestamp>().unwrap().as_nanosecond() as i64;
        let instants = TimestampNanosecondArray::from(vec![
            Some(ns("2025-03-29T22:59:59Z")),
            Some(ns("2025-03-29T23:00:00Z")),
            Some(ns("2025-03-30T21:59:59Z")),
            Some(ns("2025-03-30T22:00:00Z")),
            None,
        ]);
        let found = days(&batch(Arc::new(instants.clone().with_timezone("UTC"))), "at", &zone).unwrap();
        let text: Vec<String> =
            found.iter().map(|day| day.map(|d| d.to_string()).unwrap_or_default()).collect();
        assert_eq!(text, ["2025-03-29", "2025-03-30", "2025-03-30", "2025-03-31", ""]);
        let found = days(&batch(Arc::new(instants)), "at", &zone).unwrap();
        assert_eq!(found[1].unwrap().to_string(), "2025-03-29", "a time without a zone stands as it is");
        let day: ArrayRef = Arc::new(Date32Array::from(vec![Some(20148), None]));
        assert_eq!(days(&batch(day), "at", &zone).unwrap()[0].unwrap().to_string(), "2025-03-01");
    }
}
