//! What a server is asked for where only some days are wanted: at least their rows, by an index on their column.
//!
//! An instant belongs to another day in another time zone, so that a day more is asked for on both sides; the caller
//! leaves out what it does not want. The same of rows that were written since the last load.

use arrow::datatypes::{DataType, SchemaRef};
use bson::{Bson, DateTime, Document, doc};
use dualrun_core::{load::Mark, shape::Shape};
use jiff::{
    ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{DaysOf, Since};
use crate::postgres::{Condition, Param, Test};

/// The conditions for a table. None where the column holds neither days nor instants: text is not in the order of
/// time, and everything is read.
pub(super) fn conditions(schema: &SchemaRef, days: &DaysOf) -> Vec<Condition> {
    let Some((first, end)) = wider(days) else { return Vec::new() };
    let Ok(field) = schema.field_with_name(&days.column) else { return Vec::new() };
    let bounds = match field.data_type() {
        DataType::Date32 | DataType::Timestamp(_, None) => [first, end].map(|day| Some(Param::Date(day))),
        DataType::Timestamp(_, Some(_)) => [first, end].map(|day| instant(day).map(Param::Timestamp)),
        _ => return Vec::new(),
    };
    let [Some(first), Some(end)] = bounds else { return Vec::new() };
    let condition = |test| Condition { column: days.column.clone(), test };
    vec![condition(Test::GreaterOrEqual(first)), condition(Test::Less(end))]
}

/// The filter for a collection, for each way in which a field may hold a time: an instant, milliseconds since 1970, a
/// text that begins with the day, and texts in another form, which are all read. Empty where the shape declares forms
/// of text of its own.
pub(super) fn filter(days: &DaysOf, shape: &Shape) -> Document {
    let own_forms = shape.0.get(&days.column).is_some_and(|field| !field.rules().formats.is_empty());
    let Some((first, end)) = wider(days).filter(|_| !own_forms) else { return Document::new() };
    let (Some(from), Some(to)) = (instant(first), instant(end)) else { return Document::new() };
    let (from, to) = (from.as_millisecond(), to.as_millisecond());
    let column = days.column.as_str();
    let between = |from: Bson, to: Bson| doc! {column: {"$gte": from, "$lt": to}};
    doc! {"$or": [
        between(DateTime::from_millis(from).into(), DateTime::from_millis(to).into()),
        between(first.to_string().into(), end.to_string().into()),
        between(from.into(), to.into()),
        {column: {"$type": "string", "$not": {"$regex": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}}},
    ]}
}

/// The condition for rows of a table that were written since, and for those of which nobody knows when. None where the
/// column is of another type than the value: everything is read.
pub(super) fn condition(schema: &SchemaRef, since: &Since) -> Option<Condition> {
    let field = schema.field_with_name(&since.column).ok()?;
    let param = match (since.mark, field.data_type()) {
        (Mark::Instant(at), DataType::Timestamp(_, Some(_))) => Param::Timestamp(at),
        (Mark::Local(at), DataType::Timestamp(_, None)) => Param::Text(at.to_string()),
        // A shape may make a day of an instant, in whichever zone.
        (Mark::Day(day), DataType::Date32 | DataType::Timestamp(_, None)) => Param::Date(day),
        (Mark::Day(day), DataType::Timestamp(_, Some(_))) => {
            Param::Timestamp(instant(day.checked_sub(1.day()).ok()?)?)
        }
        (Mark::Number(number), data_type) if data_type.is_integer() => Param::Integer(number),
        _ => return None,
    };
    Some(Condition { column: since.column.clone(), test: Test::NullOrGreaterOrEqual(param) })
}

/// The filter for documents that were written since: all but those whose field is of the type of the value and below
/// it. A field that holds the time in another form is left to the caller.
pub(super) fn written_since(since: &Since) -> Option<Document> {
    let bound: Bson = match since.mark {
        Mark::Instant(at) => DateTime::from_millis(at.as_millisecond()).into(),
        Mark::Day(day) => {
            DateTime::from_millis(instant(day.checked_sub(1.day()).ok()?)?.as_millisecond()).into()
        }
        Mark::Number(number) => number.into(),
        // Documents hold no time without a zone.
        Mark::Local(_) => return None,
    };
    let mut filter = Document::new();
    filter.insert(&since.column, doc! {"$not": {"$lt": bound}});
    Some(filter)
}

fn wider(days: &DaysOf) -> Option<(Date, Date)> {
    Some((days.first.checked_sub(1.day()).ok()?, days.end.checked_add(1.day()).ok()?))
}

fn instant(day: Date) -> Option<jiff::Timestamp> {
    TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight())).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema, TimeUnit};

    use super::*;

    fn march() -> DaysOf {
        DaysOf {
            column: "at".to_owned(),
            first: "2025-03-01".parse().unwrap(),
            end: "2025-04-01".parse().unwrap(),
        }
    }

    #[test]
    fn a_day_more_is_asked_for_on_both_sides() {
        let schema = |data_type| Arc::new(Schema::new(vec![Field::new("at", data_type, true)]));
        let tests = |data_type| -> Vec<Test> {
            conditions(&schema(data_type), &march()).into_iter().map(|c| c.test).collect()
        };
        let dates = ["2025-02-28", "2025-04-02"].map(|day| Param::Date(day.parse().unwrap()));
        let [first, end] = dates.clone();
        let expected = vec![Test::GreaterOrEqual(first), Test::Less(end)];
        assert_eq!(tests(DataType::Date32), expected);
        assert_eq!(tests(DataType::Timestamp(TimeUnit::Microsecond, None)), expected);
        let zoned = tests(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        let from = Param::Timestamp("2025-02-28T00:00:00Z".parse().unwrap());
        assert_eq!(zoned[0], Test::GreaterOrEqual(from));
        assert!(tests(DataType::Utf8).is_empty(), "text is not in the order of time");
    }

    #[test]
    fn what_was_written_since_is_asked_for_where_the_types_allow() {
        let since = |mark| Since { column: "at".to_owned(), mark };
        let asked = |data_type, mark| {
            let schema = Arc::new(Schema::new(vec![Field::new("at", data_type, true)]));
            condition(&schema, &since(mark)).map(|c| c.test)
        };
        let at: jiff::Timestamp = "2025-03-01T10:00:00.25Z".parse().unwrap();
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let from = Test::NullOrGreaterOrEqual(Param::Timestamp(at));
        assert_eq!(asked(zoned.clone(), Mark::Instant(at)), Some(from));
        assert_eq!(
            asked(DataType::Int32, Mark::Number(7)),
            Some(Test::NullOrGreaterOrEqual(Param::Integer(7)))
        );
        assert_eq!(asked(DataType::Utf8, Mark::Instant(at)), None, "text is not in the order of time");
        let day = Mark::Day("2025-03-01".parse().unwrap());
        let earlier = "2025-02-28T00:00:00Z".parse().unwrap();
        assert_eq!(asked(zoned, day), Some(Test::NullOrGreaterOrEqual(Param::Timestamp(earlier))));
        let filter = written_since(&since(Mark::Number(7))).unwrap();
        assert_eq!(filter, doc! {"at": {"$not": {"$lt": 7_i64}}});
    }

    #[test]
    fn every_form_of_a_time_is_asked_for() {
        let asked = filter(&march(), &Shape::default());
        let ways = asked.get_array("$or").unwrap();
        assert_eq!(ways.len(), 4);
        assert_eq!(ways[1], bson::bson!({"at": {"$gte": "2025-02-28", "$lt": "2025-04-02"}}));
        let own: Shape =
            serde_json::from_value(serde_json::json!({"at": {"type": "date", "formats": ["%d/%m/%Y"]}}))
                .unwrap();
        assert!(filter(&march(), &own).is_empty());
    }
}
