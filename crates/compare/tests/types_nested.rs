//! Documents, lists and maps.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
        TimestampNanosecondArray, TimestampSecondArray, new_null_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::cast,
    datatypes::{DataType as T, Field, Fields},
};
use dualrun_compare::{Aligner, CompareError};
use dualrun_core::{
    Tolerance,
    align::{AlignRule, Rule},
    input::Side,
};
use support::{Setup, array, cell, table};

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

fn counts(legacy: &ArrayRef, new: &ArrayRef) -> [u64; 5] {
    cell(legacy.clone(), new.clone(), Tolerance::EXACT).counts("v")
}

fn is_one_key(legacy: &ArrayRef, new: &ArrayRef) -> bool {
    let keyed = |k: &ArrayRef| table(vec![("k", k.clone())]);
    let rows = Setup::default().run(&[keyed(legacy), keyed(new)]).comparison.rows;
    assert_eq!(rows.paired + rows.only_new, 1);
    rows.paired == 1
}

fn check(legacy: &ArrayRef, new: &ArrayRef, equal: bool) {
    let expected = if equal { EQUAL } else { UNEXPLAINED };
    assert_eq!((counts(legacy, new), is_one_key(legacy, new)), (expected, equal), "{legacy:?} {new:?}");
    assert_eq!((counts(new, legacy), is_one_key(new, legacy)), (expected, equal), "{new:?} {legacy:?}");
}

/// One document.
fn document(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let (fields, columns): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(n, a)| (Field::new(n, a.data_type().clone(), true), a)).unzip();
    array(StructArray::new(Fields::from(fields), columns, None))
}

/// One list of these items.
fn list(items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("element", items.data_type().clone(), true));
    array(ListArray::new(field, OffsetBuffer::from_lengths([items.len()]), items, None))
}

fn ints(items: &[i64]) -> ArrayRef {
    list(array(Int64Array::from(items.to_vec())))
}

/// One map.
fn map(keys: ArrayRef, values: ArrayRef) -> ArrayRef {
    let field = |name: &str, a: &ArrayRef, nullable| Field::new(name, a.data_type().clone(), nullable);
    let fields = Fields::from(vec![field("key", &keys, false), field("value", &values, true)]);
    let offsets = OffsetBuffer::from_lengths([keys.len()]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    array(MapArray::new(Arc::new(Field::new("kv", T::Struct(fields), false)), offsets, entries, None, false))
}

fn texts(values: &[&str]) -> ArrayRef {
    array(StringArray::from(values.to_vec()))
}

fn int(value: i32) -> ArrayRef {
    array(Int32Array::from(vec![value]))
}

#[test]
fn documents_compare_by_field_name() {
    let one = document(vec![("a", int(1)), ("b", texts(&["x"]))]);
    let other = cast(&texts(&["x"]), &T::Utf8View).unwrap();
    check(&one, &document(vec![("b", other), ("a", array(Int64Array::from(vec![1])))]), true);
    check(&one, &document(vec![("b", texts(&["x"]))]), false);
    check(&one, &document(vec![("A", int(1)), ("b", texts(&["x"]))]), false);
}

#[test]
fn a_field_that_is_missing_and_one_that_is_null_are_equal() {
    let null = new_null_array(&T::Int32, 1);
    check(&document(vec![("a", int(1))]), &document(vec![("a", int(1)), ("b", null)]), true);
    check(&document(vec![("a", int(1))]), &document(vec![("a", int(1)), ("b", int(0))]), false);
}

#[test]
fn a_document_without_values_is_not_null() {
    let fields = Fields::from(vec![Field::new("a", T::Int32, true)]);
    let null_child = new_null_array(&T::Int32, 1);
    let empty = array(StructArray::new(fields.clone(), vec![null_child], None));
    // What stands behind a null document is nobody's value.
    let null = array(StructArray::new(fields, vec![int(7)], Some(NullBuffer::new_null(1))));
    check(&empty, &null, false);
    check(&null, &new_null_array(null.data_type(), 1), true);
}

#[test]
fn numbers_and_instants_inside_documents_meet_without_loss() {
    let with = |v: ArrayRef| document(vec![("v", v)]);
    let big = (1 << 53) + 1;
    let float = with(array(Float64Array::from(vec![9_007_199_254_740_992.0])));
    check(&with(array(Int64Array::from(vec![big]))), &float, false);
    check(&with(array(Int64Array::from(vec![big - 1]))), &float, true);
    let far = with(array(TimestampSecondArray::from(vec![253_402_214_400])));
    check(&far, &with(array(TimestampNanosecondArray::from(vec![i64::MAX]))), false);
    check(&with(array(Float64Array::from(vec![-0.0]))), &with(array(Float64Array::from(vec![0.0]))), true);
    check(
        &with(array(Float64Array::from(vec![f64::NAN]))),
        &with(array(Float64Array::from(vec![-f64::NAN]))),
        true,
    );
}

#[test]
fn lists_of_every_layout_compare_in_order() {
    let layouts = |items: &[i64]| {
        let field = || Arc::new(Field::new("item", T::Int32, true));
        let size = i32::try_from(items.len()).unwrap();
        let types = [
            T::List(field()),
            T::LargeList(field()),
            T::FixedSizeList(field(), size),
            T::ListView(field()),
            T::LargeListView(field()),
        ];
        types.map(|t| cast(&ints(items), &t).unwrap())
    };
    for legacy in layouts(&[1, 2, 2]) {
        for new in layouts(&[1, 2, 2]) {
            check(&legacy, &new, true);
        }
        for new in layouts(&[2, 1, 2]).iter().chain(&layouts(&[1, 2])) {
            check(&legacy, new, false);
        }
    }
}

#[test]
fn a_list_of_null_an_empty_list_and_no_list_are_three_values() {
    let of_null = list(array(Int64Array::from(vec![None])));
    let empty = ints(&[]);
    let none = new_null_array(empty.data_type(), 1);
    check(&of_null, &empty, false);
    check(&empty, &none, false);
    check(&of_null, &none, false);
    let untyped = list(array(arrow::array::NullArray::new(0)));
    check(&untyped, &empty, true);
    check(&untyped, &untyped, true);
}

#[test]
fn items_of_lists_do_not_run_together() {
    check(&list(texts(&["a", "b"])), &list(texts(&["ab"])), false);
    check(&list(texts(&["a", ""])), &list(texts(&["a"])), false);
    check(&list(ints(&[1, 2])), &list(ints(&[1])), false);
    check(&list(list(texts(&["\0"]))), &list(list(texts(&["\0", ""]))), false);
}

#[test]
fn the_order_of_the_entries_of_a_map_does_not_matter() {
    let values = |v: &[i64]| array(Int64Array::from(v.to_vec()));
    let one = map(texts(&["a", "b"]), values(&[1, 2]));
    check(&one, &map(cast(&texts(&["b", "a"]), &T::Utf8View).unwrap(), values(&[2, 1])), true);
    check(&one, &map(texts(&["b", "a"]), values(&[1, 2])), false);
    check(&one, &map(texts(&["a"]), values(&[1])), false);
    check(&one, &map(texts(&["a", "b"]), array(Float64Array::from(vec![1.0, 2.0]))), true);
}

/// The counts where both sides follow the rule.
fn under(rule: &Rule, legacy: &ArrayRef, new: &ArrayRef) -> [u64; 5] {
    let rules = [AlignRule { rule: rule.clone(), column: "v".to_owned(), side: None }];
    let aligned = [(Side::Legacy, legacy), (Side::New, new)].map(|(side, values)| {
        let keys = array(Int64Array::from_iter_values(0..values.len() as i64));
        let batch = table(vec![("k", keys), ("v", values.clone())]);
        let aligner = Aligner::new(&rules, side, batch.schema()).unwrap();
        let done = aligner.apply(&batch).unwrap();
        assert_eq!(done.schema(), aligner.schema());
        done
    });
    Setup::default().run(&aligned).counts("v")
}

#[test]
fn lists_under_the_rule_multiset_compare_without_order_but_with_counts() {
    let rule = Rule::Multiset;
    assert_eq!(under(&rule, &ints(&[3, -1, 2]), &ints(&[2, 3, -1])), EQUAL);
    assert_eq!(under(&rule, &ints(&[1, 1, 2]), &ints(&[1, 2, 2])), UNEXPLAINED);
    assert_eq!(under(&rule, &ints(&[1, 1]), &ints(&[1])), UNEXPLAINED);
    let floats = list(array(Float64Array::from(vec![2.0, -1.0, 3.0])));
    assert_eq!(under(&rule, &ints(&[3, -1, 2]), &floats), EQUAL);
    let nullable = |v: Vec<Option<&str>>| list(array(StringArray::from(v)));
    let view = T::LargeListView(Arc::new(Field::new("item", T::Utf8View, true)));
    let other = cast(&nullable(vec![Some("b"), None, Some("a")]), &view).unwrap();
    assert_eq!(under(&rule, &nullable(vec![None, Some("a"), Some("b")]), &other), EQUAL);
    let documents = |ids: &[i64]| {
        let column: ArrayRef = array(Int64Array::from(ids.to_vec()));
        list(array(StructArray::new(vec![Field::new("id", T::Int64, true)].into(), vec![column], None)))
    };
    assert_eq!(under(&rule, &documents(&[1, 2]), &documents(&[2, 1])), EQUAL);
}

#[test]
fn the_rule_multiset_keeps_rows_apart_and_works_on_slices() {
    let lists = |items: Vec<Option<Vec<i32>>>| {
        array(ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(
            items.into_iter().map(|l| l.map(|l| l.into_iter().map(Some).collect::<Vec<_>>())),
        ))
    };
    let legacy = lists(vec![Some(vec![9]), Some(vec![2, 1]), None, Some(vec![]), Some(vec![3])]).slice(1, 4);
    let new = lists(vec![Some(vec![1, 2]), None, Some(vec![]), Some(vec![3])]);
    assert_eq!(under(&Rule::Multiset, &legacy, &new), [4, 0, 0, 0, 0]);
    let crossed = lists(vec![Some(vec![1, 3]), None, Some(vec![]), Some(vec![2])]);
    assert_eq!(under(&Rule::Multiset, &legacy, &crossed), [2, 0, 0, 0, 2]);
    let batch = table(vec![("v", int(1))]);
    let rules = [AlignRule { rule: Rule::Multiset, column: "v".to_owned(), side: None }];
    let refused = Aligner::new(&rules, Side::New, batch.schema()).unwrap_err();
    assert!(matches!(refused, CompareError::RuleType { rule: "multiset", .. }));
}
