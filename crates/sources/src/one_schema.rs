//! Batches of several files under one schema.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use crate::{SourceError, unify};

/// The schema that holds the rows of all of these, each with the name of the file that it is of. Columns stand in the
/// order in which they were met, numbers widen, columns without a type are left out.
///
/// # Errors
/// [`SourceError::SchemaDrift`] where a column has types that do not go together.
pub fn one_schema<'a>(
    schemas: impl IntoIterator<Item = (&'a SchemaRef, &'a str)>,
) -> Result<SchemaRef, SourceError> {
    let mut union = unify::Union::default();
    for (schema, file) in schemas {
        for field in schema.fields() {
            union.add(field, file)?;
        }
    }
    let mut fields: Vec<Field> = union.fields(true);
    fields.retain(|field| field.data_type() != &DataType::Null);
    Ok(Arc::new(Schema::new(fields)))
}

/// A batch under a schema that [`one_schema`] gave for it. Columns that it lacks are null.
///
/// # Errors
/// A value that does not fit.
pub fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SourceError> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef, SourceError> {
        match batch.column_by_name(field.name()) {
            Some(column) => Ok(unify::adapt(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns: Result<Vec<ArrayRef>, SourceError> = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns?, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int32Array, Int64Array, NullArray, StringArray};

    use super::*;

    #[test]
    fn files_of_different_columns_become_one() {
        let old =
            RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).unwrap();
        let new = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![1 << 40])) as ArrayRef),
            ("t", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
            ("nothing", Arc::new(NullArray::new(1)) as ArrayRef),
        ])
        .unwrap();
        let schema = one_schema([(&old.schema(), "old"), (&new.schema(), "new")]).unwrap();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["n", "t"]);
        let old = fit(&old, &schema).unwrap();
        assert_eq!(old.column(0).data_type(), &DataType::Int64);
        assert!(old.column(1).is_null(0));
        assert_eq!(fit(&new, &schema).unwrap().column(1).as_string::<i32>().value(0), "x");
        let text =
            RecordBatch::try_from_iter([("n", Arc::new(StringArray::from(vec!["1"])) as ArrayRef)]).unwrap();
        let drift = one_schema([(&old.schema(), "old"), (&text.schema(), "the source")]).unwrap_err();
        assert_eq!(drift.to_string(), "column \"n\" is Int64 in old but Utf8 in the source");
    }
}
