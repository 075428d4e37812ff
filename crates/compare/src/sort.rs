//! Sorting by the key, in memory.

use arrow::{
    array::ArrayRef,
    compute::interleave_record_batch,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
    row::{RowConverter, Rows, SortField},
};

use crate::error::CompareError;

/// Rows of an output batch.
const CHUNK: usize = 8192;

/// Sorts rows by the key, ascending, nulls first; rows of one key keep the order they came in. Gives batches of up to 8192 rows.
/// All rows stand in memory twice for a moment: a caller with more rows than memory sorts on disk.
///
/// # Errors
/// A key column that is missing, or that cannot be ordered.
pub fn sort_batches(batches: &[RecordBatch], key: &[String]) -> Result<Vec<RecordBatch>, CompareError> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let converter = key_converter(&first.schema(), key)?;
    let rows =
        batches.iter().map(|b| key_rows(&converter, b, key)).collect::<Result<Vec<_>, CompareError>>()?;
    let mut order: Vec<(usize, usize)> =
        rows.iter().enumerate().flat_map(|(b, rows)| (0..rows.num_rows()).map(move |r| (b, r))).collect();
    order.sort_by(|a, b| rows[a.0].row(a.1).cmp(&rows[b.0].row(b.1)));
    let sources: Vec<&RecordBatch> = batches.iter().collect();
    order.chunks(CHUNK).map(|chunk| Ok(interleave_record_batch(&sources, chunk)?)).collect()
}

pub(crate) fn key_converter(schema: &SchemaRef, key: &[String]) -> Result<RowConverter, CompareError> {
    let fields = key
        .iter()
        .map(|name| match schema.field_with_name(name) {
            Ok(field) => Ok(SortField::new(field.data_type().clone())),
            Err(_) => Err(CompareError::MissingColumn { side: None, column: name.clone() }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RowConverter::new(fields)?)
}

pub(crate) fn key_columns(batch: &RecordBatch, key: &[String]) -> Result<Vec<ArrayRef>, CompareError> {
    key.iter()
        .map(|name| match batch.column_by_name(name) {
            Some(column) => Ok(column.clone()),
            None => Err(CompareError::MissingColumn { side: None, column: name.clone() }),
        })
        .collect()
}

fn key_rows(converter: &RowConverter, batch: &RecordBatch, key: &[String]) -> Result<Rows, CompareError> {
    Ok(converter.convert_columns(&key_columns(batch, key)?)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn nulls_come_first_and_ties_keep_their_order() {
        let batch = |k: Vec<Option<&str>>, v: Vec<i64>| {
            let columns: Vec<(&str, ArrayRef)> =
                vec![("k", Arc::new(StringArray::from(k))), ("v", Arc::new(Int64Array::from(v)))];
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
        };
        let batches =
            [batch(vec![Some("b"), None], vec![1, 2]), batch(vec![Some("a"), Some("b")], vec![3, 4])];
        let sorted = sort_batches(&batches, &["k".into()]).unwrap();
        let values: Vec<i64> = sorted[0].column(1).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(values, [2, 3, 1, 4]);
        assert!(sort_batches(&[], &["k".into()]).unwrap().is_empty());
        assert!(matches!(sort_batches(&batches, &["x".into()]), Err(CompareError::MissingColumn { .. })));
    }
}
