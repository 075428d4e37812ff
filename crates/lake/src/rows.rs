//! Rows of a table: the columns that a load adds, and hashes by which rows are recognised.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    row::{RowConverter, SortField},
};
use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_128;

use crate::LakeError;

/// When a row came into its table.
pub const LOADED_AT_COLUMN: &str = "dualrun_loaded_at";

/// The load that brought it.
pub const BATCH_COLUMN: &str = "dualrun_batch";

/// What a load writes beside each of its rows.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// When the load began.
    pub loaded_at: Timestamp,
    /// Its id.
    pub batch: String,
}

impl Stamp {
    /// The schema of stamped rows.
    pub fn schema(rows: &SchemaRef) -> SchemaRef {
        let mut fields: Vec<Arc<Field>> = data_fields(rows).cloned().collect();
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Arc::new(Field::new(LOADED_AT_COLUMN, instant, true)));
        fields.push(Arc::new(Field::new(BATCH_COLUMN, DataType::Utf8, true)));
        Arc::new(Schema::new(fields))
    }

    /// Rows with the stamp; `schema` is that of stamped rows.
    pub(crate) fn on(&self, rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
        let count = rows.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match (field.name().as_str(), rows.column_by_name(field.name())) {
                (LOADED_AT_COLUMN, _) => {
                    let at = TimestampMicrosecondArray::from(vec![self.loaded_at.as_microsecond(); count]);
                    Arc::new(at.with_timezone("UTC"))
                }
                (BATCH_COLUMN, _) => Arc::new(StringArray::from(vec![self.batch.as_str(); count])),
                (_, Some(column)) => Arc::clone(column),
                (_, None) => arrow::array::new_null_array(field.data_type(), count),
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

/// The columns that came from the source.
pub(crate) fn data_fields(schema: &SchemaRef) -> impl Iterator<Item = &Arc<Field>> {
    schema.fields().iter().filter(|f| f.name() != LOADED_AT_COLUMN && f.name() != BATCH_COLUMN)
}

/// Recognises rows by some of their columns: rows with the same values have the same hash, in whichever width their
/// numbers and times are kept. At 128 bits nobody will see two different rows with the same one.
pub(crate) struct Hasher {
    columns: Vec<(usize, DataType)>,
    converter: RowConverter,
}

impl Hasher {
    /// By the key.
    pub(crate) fn of_key(schema: &SchemaRef, key: &[String]) -> Result<Self, LakeError> {
        let column = |name: &String| {
            let unknown = |_| LakeError::NoColumn { column: name.clone(), named_by: "key" };
            schema.index_of(name).map_err(unknown)
        };
        Self::new(schema, key.iter().map(column).collect::<Result<_, _>>()?)
    }

    /// By all that the source gave.
    pub(crate) fn of_content(schema: &SchemaRef) -> Result<Self, LakeError> {
        let names = data_fields(schema).map(|field| schema.index_of(field.name()));
        Self::new(schema, names.collect::<Result<_, _>>()?)
    }

    fn new(schema: &SchemaRef, columns: Vec<usize>) -> Result<Self, LakeError> {
        let columns: Vec<(usize, DataType)> =
            columns.into_iter().map(|i| (i, wide(schema.field(i).data_type()))).collect();
        let fields = columns.iter().map(|(_, data_type)| SortField::new(data_type.clone()));
        Ok(Self { converter: RowConverter::new(fields.collect())?, columns })
    }

    pub(crate) fn hash(&self, batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
        if self.columns.is_empty() {
            return Ok(vec![0; batch.num_rows()]);
        }
        let columns = self.columns.iter().map(|(i, data_type)| cast(batch.column(*i), data_type));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let rows = self.converter.convert_columns(&columns)?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }
}

/// The widest type of the same values.
fn wide(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int32Array, Int64Array};

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
    }

    fn hashes(batch: &RecordBatch, key: &[&str]) -> Vec<u128> {
        let key: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
        Hasher::of_key(&batch.schema(), &key).unwrap().hash(batch).unwrap()
    }

    #[test]
    fn keys_are_recognised_as_values() {
        let text = |a: &str, b: &str| {
            rows(vec![
                ("a", Arc::new(StringArray::from(vec![a])) as ArrayRef),
                ("b", Arc::new(StringArray::from(vec![b]))),
            ])
        };
        assert_ne!(hashes(&text("x", "yz"), &["a", "b"]), hashes(&text("xy", "z"), &["a", "b"]));
        let narrow = rows(vec![("n", Arc::new(Int32Array::from(vec![Some(7), None])) as ArrayRef)]);
        let wide = rows(vec![("n", Arc::new(Int64Array::from(vec![Some(7), None])) as ArrayRef)]);
        assert_eq!(hashes(&narrow, &["n"]), hashes(&wide, &["n"]));
        let key = ["m".to_owned()];
        let missing = Hasher::of_key(&wide.schema(), &key).err().unwrap().to_string();
        assert_eq!(missing, "there is no column \"m\", which `key` of the input names");
    }

    #[test]
    fn a_stamp_is_beside_the_content() {
        let plain = rows(vec![("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]);
        let stamp = |batch: &str, at: i64| Stamp {
            loaded_at: Timestamp::from_second(at).unwrap(),
            batch: batch.to_owned(),
        };
        let schema = Stamp::schema(&plain.schema());
        let first = stamp("a", 1).on(&plain, &schema).unwrap();
        let second = stamp("b", 2).on(&plain, &schema).unwrap();
        let content = |batch: &RecordBatch| Hasher::of_content(&batch.schema()).unwrap().hash(batch).unwrap();
        assert_eq!(content(&first), content(&second));
        assert_eq!(Stamp::schema(&schema), schema);
        assert_eq!(second.column_by_name(BATCH_COLUMN).unwrap().as_string::<i32>().value(1), "b");
        assert_eq!(second.column_by_name(LOADED_AT_COLUMN).unwrap().null_count(), 0);
    }
}
