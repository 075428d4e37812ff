//! Rows of every type, in any order.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
        DurationMillisecondArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int32Builder,
        Int64Array, LargeStringArray, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder,
        StructArray, Time64NanosecondArray, TimestampNanosecondArray, UInt64Array,
    },
    compute::cast,
    datatypes::{DataType, Field, Int32Type},
};

use super::support::{Case, sides};
use crate::spill::Sizes;

/// A row for each number; some cells are others where they are of the new side.
fn batch(numbers: &[u64], is_new: bool) -> RecordBatch {
    let changed = |n: u64| if is_new && n.is_multiple_of(17) { n + 1 } else { n };
    let some = |n: u64| (!changed(n).is_multiple_of(11)).then(|| changed(n));
    let values: Vec<Option<u64>> = numbers.iter().map(|n| some(*n)).collect();
    let each = |of: &dyn Fn(u64) -> i64| values.iter().map(|v| v.map(of)).collect::<Int64Array>();
    let signed: ArrayRef = Arc::new(each(&|v| v.cast_signed() - 700));
    let whole = |data_type: DataType| cast(&signed, &data_type).unwrap();
    let texts = |of: &dyn Fn(u64) -> String| values.iter().map(|v| v.map(of)).collect::<StringArray>();
    let long = texts(&|v| format!("a text that is not to be found twice {v}"));
    let mut lists = ListBuilder::new(Int32Builder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for value in &values {
        if let Some(value) = value {
            for item in 0..value % 4 {
                lists.values().append_value(item as i32);
                maps.keys().append_value(format!("key {item}"));
                maps.values().append_value(*value as i32);
            }
        }
        lists.append(value.is_some());
        maps.append(value.is_some()).unwrap();
    }
    let members: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("n", DataType::Int64, true)), Arc::clone(&signed)),
        (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(long.clone())),
    ];
    let bytes = values.iter().map(|v| v.map(u64::to_le_bytes));
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.clone(), 8).unwrap();
    let own = |of: &dyn Fn(u64) -> i64| Int64Array::from_iter_values(numbers.iter().map(|n| of(*n)));
    let id: ArrayRef = Arc::new(own(&|n| (n * 7919).cast_signed()));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "customer",
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| format!("customer {}", n % 7)))),
        ),
        ("id", Arc::clone(&id)),
        ("decimal_id", cast(&id, &DataType::Decimal128(30, 2)).unwrap()),
        ("wide_id", cast(&id, &DataType::Decimal256(60, 5)).unwrap()),
        (
            "text_id",
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| format!("{:040x}", n * 7919)))),
        ),
        ("long", Arc::new(long)),
        ("short", Arc::new(texts(&|v| format!("{}", v % 5)))),
        ("large", Arc::new(LargeStringArray::from_iter(values.iter().map(|v| v.map(|v| v.to_string()))))),
        (
            "dictionary",
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(|v| if v.is_multiple_of(3) { "x" } else { "y" }))
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("flag", Arc::new(values.iter().map(|v| v.map(|v| v.is_multiple_of(2))).collect::<BooleanArray>())),
        ("byte", Arc::new(values.iter().map(|v| v.map(|v| v as i8)).collect::<Int8Array>())),
        ("unsigned", Arc::new(values.iter().map(|v| v.map(|v| u64::MAX - v)).collect::<UInt64Array>())),
        ("single", Arc::new(values.iter().map(|v| v.map(|v| v as f32 / 3.0)).collect::<Float32Array>())),
        (
            "double",
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(|v| if v.is_multiple_of(5) { -0.0 } else { v as f64 / 3.0 }))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "decimal",
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(|v| i128::from(v) << 60))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(38, 18)
                    .unwrap(),
            ),
        ),
        ("wide", whole(DataType::Decimal256(70, 10))),
        ("day", Arc::new(values.iter().map(|v| v.map(|v| v as i32)).collect::<Date32Array>())),
        ("time", Arc::new(values.iter().map(|v| v.map(u64::cast_signed)).collect::<Time64NanosecondArray>())),
        (
            "instant",
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(u64::cast_signed))
                    .collect::<TimestampNanosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        (
            "span",
            Arc::new(values.iter().map(|v| v.map(u64::cast_signed)).collect::<DurationMillisecondArray>()),
        ),
        ("binary", Arc::new(bytes.collect::<BinaryArray>())),
        ("fixed", Arc::new(fixed)),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("document", Arc::new(StructArray::from(members))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

#[test]
fn every_type_as_a_value_and_many_as_a_key() {
    let numbers: Vec<u64> = (0..1500).map(|n| n * 7919 % 1500).collect();
    let legacy = batch(&numbers[5..], false);
    let new = batch(&numbers.iter().rev().copied().skip(5).collect::<Vec<_>>(), true);
    let keys: [&[&str]; 6] = [
        &["customer", "id"],
        &["id"],
        &["decimal_id", "customer"],
        &["customer", "wide_id"],
        &["text_id"],
        &["customer", "id", "flag", "list", "document", "double", "instant", "binary", "day", "long"],
    ];
    for key in keys {
        for (held, part_bytes) in [(0, 1 << 16), (0, 1), (u64::MAX, u64::MAX)] {
            let case = Case::new(key, Some("customer")).of(legacy.schema());
            let sizes = Sizes {
                held,
                part_bytes,
                stretch_rows: 200,
                parts: 5,
                waiting_bytes: 2000,
                dictionary_bytes: 1000,
            };
            let expected = case.expected(&legacy, &new);
            let rows = expected.comparison.rows;
            assert!(rows.paired > 1000 && rows.only_legacy > 0 && rows.only_new > 0, "{rows:?}");
            assert!(rows.verdicts.unexplained + rows.one_sided.unexplained > 50, "{rows:?}");
            let (found, spilled) = case.parts(&sides(&legacy, &new, 100), sizes, 2).unwrap();
            assert_eq!(found, expected, "{key:?}");
            assert_eq!(spilled > 0, held == 0);
        }
    }
}
