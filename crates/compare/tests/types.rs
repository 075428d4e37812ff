//! Numbers, texts, binaries and nulls: the same value is equal in every type and layout that can hold it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int8Array,
        Int32Array, Int64Array, NullArray, RunArray, StringArray, UInt64Array,
    },
    compute::cast,
    datatypes::{DataType as T, Field, Int32Type, Schema},
};
use dualrun_compare::{CompareError, common_for_diff, common_for_result};
use dualrun_core::{
    PeriodUnit, Tolerance, result::MeasureDecl, result::PeriodDecl, result::ResultDecl, unit::Unit,
};
use support::{Setup, array, cell, table};

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

fn counts(legacy: &ArrayRef, new: &ArrayRef) -> [u64; 5] {
    cell(legacy.clone(), new.clone(), Tolerance::EXACT).counts("v")
}

fn as_types(values: &ArrayRef, types: &[T]) -> Vec<ArrayRef> {
    types.iter().map(|t| cast(values, t).unwrap()).collect()
}

/// Each of the arrays against each: as a value and as a key.
fn all_equal(arrays: &[ArrayRef]) {
    for legacy in arrays {
        for new in arrays {
            let pair = format!("{} against {}", legacy.data_type(), new.data_type());
            let all = legacy.len() as u64;
            assert_eq!(counts(legacy, new), [all, 0, 0, 0, 0], "{pair}");
            let keyed = |k: &ArrayRef| {
                table(vec![("k", k.clone()), ("v", array(Int64Array::from(vec![1; k.len()])))])
            };
            let found = Setup::default().run(&[keyed(legacy), keyed(new)]);
            assert_eq!(found.comparison.rows.paired, all, "{pair}");
        }
    }
}

fn all_differ(legacy: &[ArrayRef], new: &[ArrayRef]) {
    for legacy in legacy {
        for new in new {
            let pair = format!("{} against {}", legacy.data_type(), new.data_type());
            assert_eq!(counts(legacy, new), UNEXPLAINED, "{pair}");
            let keyed = |k: &ArrayRef| table(vec![("k", k.clone())]);
            let rows = Setup::default().run(&[keyed(legacy), keyed(new)]).comparison.rows;
            assert_eq!((rows.only_legacy, rows.only_new), (1, 1), "{pair}");
        }
    }
}

const NUMBERS: [T; 15] = [
    T::Int8,
    T::Int16,
    T::Int32,
    T::Int64,
    T::UInt8,
    T::UInt16,
    T::UInt32,
    T::UInt64,
    T::Float16,
    T::Float32,
    T::Float64,
    T::Decimal32(5, 2),
    T::Decimal64(12, 4),
    T::Decimal128(30, 0),
    T::Decimal256(40, 10),
];

#[test]
fn a_number_is_equal_in_every_numeric_type() {
    let some = array(Int64Array::from(vec![Some(5), None, Some(0)]));
    all_equal(&as_types(&some, &NUMBERS));
    let (five, six) = (array(Int64Array::from(vec![5])), array(Int64Array::from(vec![6])));
    all_differ(&as_types(&five, &NUMBERS), &as_types(&six, &NUMBERS));
}

#[test]
fn floats_of_three_widths_are_the_values_they_hold() {
    let half = array(Float64Array::from(vec![0.5]));
    all_equal(&as_types(&half, &[T::Float16, T::Float32, T::Float64]));
    let tenth = array(Float64Array::from(vec![0.1]));
    all_differ(&as_types(&tenth, &[T::Float16]), &as_types(&tenth, &[T::Float32, T::Float64]));
    all_differ(&as_types(&tenth, &[T::Float32]), &as_types(&tenth, &[T::Float64]));
}

#[test]
fn decimals_of_four_widths_and_any_scale() {
    let decimal = |digits: i128, scale: i8| {
        array(Decimal128Array::from(vec![digits]).with_precision_and_scale(38, scale).unwrap())
    };
    let types = [T::Decimal32(9, 2), T::Decimal64(18, 4), T::Decimal128(38, 20), T::Decimal256(76, 30)];
    all_equal(&as_types(&decimal(110, 2), &types));
    all_differ(&as_types(&decimal(110, 2), &types), &as_types(&decimal(111, 2), &types));
    // 1.2 × 10^3 as twelve hundreds.
    let hundreds = array(Decimal128Array::from(vec![12]).with_precision_and_scale(5, -2).unwrap());
    assert_eq!(counts(&hundreds, &decimal(120_000, 2)), EQUAL);
    assert_eq!(counts(&hundreds, &array(Float64Array::from(vec![1_200.0]))), EQUAL);
    let wide = cast(&decimal(1, 0), &T::Decimal256(76, 0)).unwrap();
    let fine = cast(&decimal(1, 1), &T::Decimal256(76, 76)).unwrap();
    let schema = |v: &ArrayRef| {
        Schema::new(vec![Field::new("k", T::Utf8, true), Field::new("v", v.data_type().clone(), true)])
    };
    let refused = common_for_diff(&schema(&wide), &schema(&fine), &["k".into()], None, Tolerance::EXACT);
    assert!(matches!(refused, Err(CompareError::NoCommonType { .. })));
}

#[test]
fn booleans_are_no_numbers() {
    let of = |v: bool| array(BooleanArray::from(vec![Some(v)]));
    all_equal(&[of(true)]);
    all_differ(&[of(true)], &[of(false)]);
}

#[test]
fn texts_are_equal_in_every_layout() {
    let of = |text: Option<&str>| {
        let texts = array(StringArray::from(vec![text]));
        let dictionary = |keys: T, values: T| T::Dictionary(Box::new(keys), Box::new(values));
        let mut layouts = as_types(
            &texts,
            &[
                T::Utf8,
                T::LargeUtf8,
                T::Utf8View,
                dictionary(T::Int8, T::Utf8),
                dictionary(T::UInt32, T::LargeUtf8),
                dictionary(T::Int64, T::Utf8View),
            ],
        );
        let ends = arrow::array::PrimitiveArray::<Int32Type>::from(vec![1]);
        layouts.push(array(RunArray::<Int32Type>::try_new(&ends, &StringArray::from(vec![text])).unwrap()));
        layouts
    };
    all_equal(&of(Some("é\0")));
    all_equal(&of(None));
    all_differ(&of(Some("a")), &of(Some("a ")));
    all_differ(&of(Some("")), &of(None));
}

#[test]
fn a_dictionary_whose_values_hold_null() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a")]));
    let keys = Int8Array::from(vec![Some(0), Some(1), None]);
    let dictionary = arrow::array::DictionaryArray::new(keys, values);
    assert_eq!(
        counts(&array(dictionary), &array(StringArray::from(vec![None, Some("a"), None]))),
        [3, 0, 0, 0, 0]
    );
}

#[test]
fn binaries_are_equal_in_every_layout() {
    let of = |bytes: &[u8; 3]| {
        let binaries = array(BinaryArray::from(vec![&bytes[..]]));
        let dictionary = T::Dictionary(Box::new(T::Int16), Box::new(T::Binary));
        as_types(&binaries, &[T::Binary, T::LargeBinary, T::BinaryView, T::FixedSizeBinary(3), dictionary])
    };
    all_equal(&of(&[0, 255, 0]));
    all_differ(&of(&[0, 255, 0]), &of(&[0, 255, 1]));
}

#[test]
fn a_column_of_nulls_takes_the_other_side_s_type() {
    let nulls = array(NullArray::new(1));
    let null = |t: &T| arrow::array::new_null_array(t, 1);
    for other in
        [T::Int32, T::Utf8View, T::Date32, T::Float16, T::Interval(arrow::datatypes::IntervalUnit::DayTime)]
    {
        all_equal(&[nulls.clone(), null(&other)]);
    }
    assert_eq!(counts(&nulls, &array(Int32Array::from(vec![0]))), UNEXPLAINED);
    assert_eq!(counts(&nulls, &array(StringArray::from(vec![""]))), UNEXPLAINED);
}

#[test]
fn nulls_alone_on_both_sides_are_equal_and_counted_as_keys() {
    let nulls = || array(NullArray::new(2));
    assert_eq!(counts(&nulls(), &nulls()), [2, 0, 0, 0, 0]);
    let keyed =
        |rows: usize| table(vec![("k", array(NullArray::new(rows))), ("v", array(NullArray::new(rows)))]);
    let found = Setup::default().run(&[keyed(1), keyed(1)]);
    assert_eq!((found.comparison.rows.paired, found.comparison.rows.null_keys), (1, 2));
}

#[test]
fn a_measure_of_nulls_alone_is_a_number() {
    let schema = Schema::new(vec![Field::new("day", T::Date32, true), Field::new("kwh", T::Null, true)]);
    let measure = MeasureDecl { unit: Unit::new("kWh"), tolerance: Tolerance::EXACT, side: None };
    let period =
        PeriodDecl { column: "day".into(), unit: PeriodUnit::Day, time_zone: "UTC".into(), recompute: 0 };
    let declared = ResultDecl {
        grain: vec!["day".into()],
        customer: None,
        period,
        compare_at: Vec::new(),
        measures: [("kwh".into(), measure)].into(),
        attributes: [].into(),
    };
    let common = common_for_result(&schema, &schema, &declared).unwrap();
    assert_eq!(common.schema.field(1).data_type(), &T::Float64);
}

#[test]
fn what_has_no_common_type_names_column_and_both_types() {
    let binary = array(BinaryArray::from(vec![&b"a"[..]]));
    let others: [(ArrayRef, ArrayRef); 6] = [
        (array(BooleanArray::from(vec![true])), array(Int64Array::from(vec![1]))),
        (array(StringArray::from(vec!["1"])), array(Int64Array::from(vec![1]))),
        (array(StringArray::from(vec!["a"])), binary),
        (array(Date32Array::from(vec![1])), array(Int32Array::from(vec![1]))),
        (array(Date32Array::from(vec![1])), array(arrow::array::TimestampSecondArray::from(vec![86_400]))),
        (array(UInt64Array::from(vec![1])), array(arrow::array::DurationSecondArray::from(vec![1]))),
    ];
    for (legacy, new) in others {
        for (l, n) in [(&legacy, &new), (&new, &legacy)] {
            let schema = |v: &ArrayRef| Schema::new(vec![Field::new("v", v.data_type().clone(), true)]);
            let refused =
                common_for_diff(&schema(l), &schema(n), &["v".into()], None, Tolerance::EXACT).unwrap_err();
            let text = refused.to_string();
            for part in ["\"v\"".to_owned(), l.data_type().to_string(), n.data_type().to_string()] {
                assert!(text.contains(&part), "{text}");
            }
            assert_eq!(refused.exit_code(), dualrun_core::ExitCode::Usage);
        }
    }
    let union = T::Union(
        [(0, Arc::new(Field::new("a", T::Int32, true)))].into_iter().collect(),
        arrow::datatypes::UnionMode::Sparse,
    );
    let schema = Schema::new(vec![Field::new("v", union, true)]);
    let refused = common_for_diff(&schema, &schema, &["v".into()], None, Tolerance::EXACT);
    assert!(matches!(refused, Err(CompareError::NoCommonType { .. })));
}
