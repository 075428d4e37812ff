use DataType as T;

use super::*;

#[test]
fn integers_and_decimals_keep_every_digit() {
    assert_eq!(common_type(&T::Int32, &T::UInt32), Some(T::Int64));
    assert_eq!(common_type(&T::Int64, &T::UInt64), Some(T::Decimal128(20, 0)));
    assert_eq!(common_type(&T::Decimal128(38, 18), &T::Decimal128(10, 2)), Some(T::Decimal128(38, 18)));
    assert_eq!(common_type(&T::Decimal128(38, 18), &T::Decimal128(38, 0)), Some(T::Decimal256(56, 18)));
    assert_eq!(common_type(&T::Int64, &T::Decimal128(10, 4)), Some(T::Decimal128(23, 4)));
    assert_eq!(common_type(&T::Decimal256(76, 76), &T::Decimal256(76, 0)), None);
}

#[test]
fn integers_against_floats_stay_exact() {
    assert_eq!(common_type(&T::Int32, &T::Float64), Some(T::Float64));
    assert_eq!(common_type(&T::Float32, &T::Int64), Some(exact_number()));
    assert!(is_number(&exact_number()));
    assert_eq!(common_type(&T::Float64, &T::Decimal128(38, 18)), Some(T::Float64));
}

#[test]
fn layouts_do_not_matter_and_kinds_do() {
    let dictionary = T::Dictionary(Box::new(T::Int32), Box::new(T::LargeUtf8));
    assert_eq!(common_type(&dictionary, &T::Utf8View), Some(T::Utf8));
    assert_eq!(common_type(&T::Null, &T::Boolean), Some(T::Boolean));
    let (zoned, naive) = (
        T::Timestamp(TimeUnit::Millisecond, Some("Europe/Paris".into())),
        T::Timestamp(TimeUnit::Nanosecond, None),
    );
    assert_eq!(common_type(&zoned, &naive), None);
    assert_eq!(
        common_type(&zoned, &T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        Some(T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    );
    assert_eq!(common_type(&T::Date32, &T::Utf8), None);
    assert_eq!(common_type(&T::Boolean, &T::Int64), None);
}

#[test]
fn documents_are_joined_by_field_name() {
    let of = |fields: &[(&str, T)]| {
        T::Struct(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect())
    };
    let common =
        common_type(&of(&[("a", T::Int32), ("b", T::Utf8)]), &of(&[("b", T::Utf8View), ("a", T::Int64)]));
    assert_eq!(common, Some(of(&[("a", T::Int64), ("b", T::Utf8)])));
}

#[test]
fn nanoseconds_against_a_coarser_unit_need_two_fields() {
    let zoned = |unit| T::Timestamp(unit, Some("UTC".into()));
    let (milli, nano) = (zoned(TimeUnit::Millisecond), zoned(TimeUnit::Nanosecond));
    assert_eq!(common_type(&milli, &nano), Some(exact_ticks(milli.clone())));
    assert_eq!(common_type(&nano, &nano), Some(nano.clone()));
    assert_eq!(
        common_type(&T::Duration(TimeUnit::Nanosecond), &T::Duration(TimeUnit::Second)),
        Some(exact_ticks(T::Duration(TimeUnit::Second)))
    );
    assert!(is_exact_ticks(&exact_ticks(milli)) && !is_number(&exact_ticks(nano)));
}

#[test]
fn intervals_of_two_kinds_meet_in_months_days_and_nanoseconds() {
    let of = |unit| T::Interval(unit);
    let (year, day, nano) =
        (of(IntervalUnit::YearMonth), of(IntervalUnit::DayTime), of(IntervalUnit::MonthDayNano));
    assert_eq!(common_type(&year, &day), Some(exact_interval()));
    assert_eq!(common_type(&nano, &day), Some(exact_interval()));
    assert_eq!(common_type(&nano, &nano), Some(exact_interval()));
    assert_eq!(common_type(&day, &day), Some(day.clone()));
    let document = T::Struct(vec![Field::new("__months", T::Int32, true)].into());
    assert_eq!(common_type(&nano, &document), None);
    assert_eq!(common_type(&day, &T::Duration(TimeUnit::Millisecond)), None);
}

#[test]
fn what_holds_only_nulls_has_a_type_that_can_be_stored() {
    let nulls = T::List(Arc::new(Field::new("element", T::Null, true)));
    assert_eq!(common_type(&nulls, &nulls), Some(T::List(item(T::Utf8))));
    assert_eq!(common_type(&T::Null, &T::Null), Some(T::Null));
    assert_eq!(without_nulls(T::Null), T::Utf8);
}

#[test]
fn a_document_with_two_fields_of_one_name_is_refused() {
    let field = || Field::new("a", T::Int32, true);
    let document = T::Struct(vec![field(), field()].into());
    assert_eq!(common_type(&document, &document), None);
}
