//! The columns of a scan, and how those of a file become them.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{coded, file::ScanFile};
use crate::{SourceError, unify, unify::Union};

/// The columns over all files.
#[derive(Debug)]
pub(super) struct Columns {
    /// With plain types.
    pub(super) schema: SchemaRef,
}

/// How the batches of a file become those of a reader: per column its place in the file's batch, none where the file
/// lacks it, the plain type that it has there, and the type that it shall have.
pub(super) type Moves = Vec<Move>;

/// One column of a [`Moves`].
#[derive(Debug, Clone)]
pub(super) struct Move {
    from: Option<(usize, DataType)>,
    to: DataType,
}

impl Columns {
    pub(super) fn of(files: &[ScanFile]) -> Result<Self, SourceError> {
        let mut union = Union::default();
        for file in files {
            for field in file.plain() {
                union.add(field, file.name())?;
            }
        }
        let schema = Schema::new_with_metadata(union.fields(true), metadata(files));
        Ok(Self { schema: Arc::new(schema) })
    }

    /// The schema of batches with some of the columns, text as views.
    pub(super) fn select(&self, names: &[String]) -> Result<SchemaRef, SourceError> {
        let field = |name: &String| {
            let field = self
                .schema
                .field_with_name(name)
                .map_err(|_| SourceError::Config(format!("{name:?} is not a column of the Parquet files")))?;
            Ok(Field::new(name, viewed(field.data_type()), true))
        };
        let fields: Result<Vec<Field>, SourceError> = names.iter().map(field).collect();
        Ok(Arc::new(Schema::new(fields?)))
    }
}

/// The type as which a column is read.
pub(super) fn viewed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, values) if is_text(values) => DataType::Utf8View,
        other => other.clone(),
    }
}

/// The moves from the batches of a file, which hold `projected` columns of the schema `stored`, to `schema`.
pub(super) fn moves(file: &ScanFile, projected: &[String], schema: &Schema, stored: &Schema) -> Moves {
    let step = |field: &Arc<Field>| {
        let place = projected.iter().position(|name| name == field.name());
        let from = place.and_then(|i| {
            if stored.field_with_name(field.name()).is_ok_and(|f| coded::is_coded(f.data_type())) {
                return Some((i, coded::data_type()));
            }
            let plain = file.plain().iter().find(|f| f.name() == field.name())?;
            Some((i, viewed(plain.data_type())))
        });
        Move { from, to: field.data_type().clone() }
    };
    schema.fields().iter().map(step).collect()
}

/// A batch of a file as one of the reader.
pub(super) fn apply(
    moves: &Moves,
    batch: &RecordBatch,
    schema: &SchemaRef,
    file: &str,
) -> Result<RecordBatch, SourceError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(moves.len());
    for (step, field) in moves.iter().zip(schema.fields()) {
        arrays.push(match &step.from {
            Some((i, plain)) => {
                // First the plain type, then the common one: the checks of a widening know plain types only.
                let plainly = unify::adapt(batch.column(*i), plain);
                // The text of the cause may hold the value.
                plainly.and_then(|array| unify::adapt(&array, &step.to)).map_err(|_| {
                    SourceError::SchemaDrift {
                        column: field.name().clone(),
                        first: format!("{plain} in {file}"),
                        second: format!("{} over all files, which does not hold every value", step.to),
                    }
                })?
            }
            None => new_null_array(&step.to, batch.num_rows()),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The key-value pairs of all files, without the keys that have two values.
fn metadata(files: &[ScanFile]) -> HashMap<String, String> {
    let mut pairs: HashMap<String, Option<String>> = HashMap::new();
    for (key, value) in files.iter().flat_map(|f| f.schema().metadata()) {
        let known = pairs.entry(key.clone()).or_insert_with(|| Some(value.clone()));
        if known.as_ref() != Some(value) {
            *known = None;
        }
    }
    pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}
