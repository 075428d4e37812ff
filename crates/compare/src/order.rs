//! An order of rows that is as good as that of their keys and cheap to make: by a hash of the customer, then of the key.
//!
//! Rows that do not come sorted are brought together in this order. It depends on the values alone, not on how they are
//! laid out, so that a key has one place on all sides.

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray},
    datatypes::{
        DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
    error::ArrowError,
    record_batch::RecordBatch,
    row::{RowConverter, SortField},
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{error::CompareError, schema::Common};

/// The column that holds the order values, the last of a batch.
pub const ORDER_COLUMN: &str = "__dualrun_order";

/// The hash of a null, and what a key without columns begins with: digits of π.
pub const NULL_HASH: u64 = 0x243f_6a88_85a3_08d3;
/// Odd numbers without a pattern: further digits of π.
const FACTORS: [u64; 2] = [0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1];
/// The longest text that stands in its view.
const INLINE: u32 = 12;

/// How the rows of all relations are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By the key, ascending, nulls first.
    #[default]
    Key,
    /// By the value of [`order_values`], which stands in the last column, [`ORDER_COLUMN`]; rows of one value by the key.
    Hash,
}

/// Whether a customer's rows have order values of their own, so that parts can hold whole customers. Otherwise rows of one
/// key might have different customers, and they have to meet.
pub fn orders_by_customer(common: &Common) -> bool {
    common.spec.customer.as_ref().is_some_and(|customer| common.spec.key.contains(customer))
}

/// For each row a number by which rows can be ordered: the upper half is a hash of the customer, the lower of the key.
/// Where the customer is no part of the key, all of it is a hash of the key. `batch` is as [`crate::conform_views`] gives
/// it.
///
/// # Errors
/// A key column that is missing or cannot be hashed.
pub fn order_values(batch: &RecordBatch, common: &Common) -> Result<Int64Array, CompareError> {
    order_values_knowing(batch, common, |_| None)
}

/// As [`order_values`], with the hashes of some key columns, by their position, known already: those of texts by
/// [`text_hash`], and [`NULL_HASH`] where there is none.
///
/// # Errors
/// As [`order_values`].
pub fn order_values_knowing<'h>(
    batch: &RecordBatch,
    common: &Common,
    known: impl Fn(usize) -> Option<&'h [u64]>,
) -> Result<Int64Array, CompareError> {
    let rows = batch.num_rows();
    let mut keys = vec![NULL_HASH; rows];
    let mut customers = None;
    let mut scratch = Vec::new();
    for (position, name) in common.spec.key.iter().enumerate() {
        let hashes = match known(position) {
            Some(hashes) => hashes,
            None => {
                let missing = || CompareError::MissingColumn { side: None, column: name.clone() };
                let column = batch.column_by_name(name).ok_or_else(missing)?;
                scratch.resize(rows, 0);
                hash_column(column, &mut scratch)?;
                &scratch
            }
        };
        for (key, hash) in keys.iter_mut().zip(hashes) {
            *key = fold(*key ^ hash, FACTORS[1]);
        }
        if orders_by_customer(common) && common.spec.customer.as_ref() == Some(name) {
            customers = Some(hashes.to_vec());
        }
    }
    let values = match customers {
        // The upper half of the customer's hash stays, the lower makes room for the key.
        Some(customers) => customers
            .iter()
            .zip(&keys)
            .map(|(customer, key)| ((customer & !0xffff_ffff) | (key >> 32)).cast_signed())
            .collect::<Vec<_>>(),
        None => keys.iter().map(|key| key.cast_signed()).collect(),
    };
    Ok(values.into())
}

/// What a text adds to the order value. Asked of one that is not null.
pub fn text_hash(texts: &StringViewArray, row: usize) -> u64 {
    let view = texts.views()[row];
    if view as u32 <= INLINE {
        fold(hash_number(view as u64) ^ (view >> 64) as u64, FACTORS[1])
    } else {
        xxh3_64(texts.value(row).as_bytes())
    }
}

/// Both halves of the product of 128 bits.
fn fold(value: u64, factor: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash_number(value: u64) -> u64 {
    fold(value ^ NULL_HASH, FACTORS[0])
}

/// Fills `hashes` with one hash a row.
fn hash_column(array: &ArrayRef, hashes: &mut [u64]) -> Result<(), ArrowError> {
    macro_rules! numbers {
        ($type:ty, $bits:expr) => {
            for (hash, value) in hashes.iter_mut().zip(array.as_primitive::<$type>().values()) {
                *hash = hash_number($bits(*value));
            }
        };
    }
    let long = i64::cast_unsigned;
    match array.data_type() {
        DataType::Utf8View => {
            let texts = array.as_string_view();
            for (row, hash) in hashes.iter_mut().enumerate() {
                *hash = text_hash(texts, row);
            }
        }
        DataType::Int64 => numbers!(Int64Type, long),
        DataType::Timestamp(TimeUnit::Second, _) => numbers!(TimestampSecondType, long),
        DataType::Timestamp(TimeUnit::Millisecond, _) => numbers!(TimestampMillisecondType, long),
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbers!(TimestampMicrosecondType, long),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers!(TimestampNanosecondType, long),
        DataType::Date32 => numbers!(Date32Type, |days| long(i64::from(days))),
        DataType::Float64 => numbers!(Float64Type, f64::to_bits),
        other => {
            // Equal values have equal bytes, whatever layout they come in.
            let converter = RowConverter::new(vec![SortField::new(other.clone())])?;
            let rows = converter.convert_columns(std::slice::from_ref(array))?;
            for (hash, row) in hashes.iter_mut().zip(rows.iter()) {
                *hash = xxh3_64(row.data());
            }
        }
    }
    if let Some(nulls) = array.logical_nulls()
        && nulls.null_count() > 0
    {
        for (row, hash) in hashes.iter_mut().enumerate() {
            if nulls.is_null(row) {
                *hash = NULL_HASH;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::Float64Array,
        compute::take,
        datatypes::{Field, Schema},
    };
    use dualrun_core::Tolerance;

    use super::*;
    use crate::{common_for_diff, conform_views};

    fn batch(texts: &[Option<&str>], numbers: &[Option<f64>]) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("c", Arc::new(StringViewArray::from_iter(texts.iter().copied()))),
            ("n", Arc::new(Float64Array::from_iter(numbers.iter().copied()))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
    }

    fn common(customer: Option<&str>) -> Common {
        let schema = Schema::new(vec![
            Field::new("c", DataType::Utf8View, true),
            Field::new("n", DataType::Float64, true),
        ]);
        let key = ["c".to_owned(), "n".to_owned()];
        common_for_diff(&schema, &schema, &key, customer, Tolerance::new(0.0, 0.0).unwrap()).unwrap()
    }

    fn values(batch: &RecordBatch, common: &Common) -> Vec<i64> {
        order_values(&conform_views(batch, common).unwrap(), common).unwrap().values().to_vec()
    }

    #[test]
    fn equal_keys_have_equal_values_in_any_layout() {
        let long = "a text of more than twelve bytes";
        let rows = batch(
            &[Some("a"), Some("a\0"), Some(""), None, Some(long), Some(long), Some(long)],
            &[Some(1.0), Some(1.0), Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN), None],
        );
        let common = common(None);
        let found = values(&rows, &common);
        let places = Int64Array::from(vec![6, 5, 4, 3, 2, 1, 0]);
        let turned = rows.columns().iter().map(|c| take(c, &places, None).unwrap()).collect();
        let turned = values(&RecordBatch::try_new(rows.schema(), turned).unwrap(), &common);
        assert_eq!(found.iter().rev().copied().collect::<Vec<_>>(), turned);
        assert_eq!(found[4], found[5], "all NaN are one");
        let mut apart = found;
        apart.remove(4);
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), 6);
        let zeros = batch(&[None, None], &[Some(0.0), Some(-0.0)]);
        let zeros = values(&zeros, &common);
        assert_eq!(zeros[0], zeros[1]);
    }

    #[test]
    fn a_customer_has_one_upper_half() {
        let texts: Vec<String> = (0..50).map(|i| format!("customer {}", i / 10)).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
        let numbers: Vec<Option<f64>> = (0..50).map(|i| Some(f64::from(i))).collect();
        let found = values(&batch(&texts, &numbers), &common(Some("c")));
        for (row, value) in found.iter().enumerate() {
            assert_eq!(value >> 32, found[row / 10 * 10] >> 32);
        }
        let mut halves: Vec<i64> = found.iter().map(|value| value >> 32).collect();
        halves.dedup();
        assert_eq!(halves.len(), 5);
        let mut lower: Vec<i64> = found.iter().map(|value| value & 0xffff_ffff).collect();
        lower.sort_unstable();
        lower.dedup();
        assert_eq!(lower.len(), 50);
    }
}
