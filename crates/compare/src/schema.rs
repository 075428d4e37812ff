//! What both sides have in common, settled before a row is read.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use dualrun_core::{Tolerance, input::Side, result::ResultDecl};

use crate::{
    cast::{cast_to, one_form},
    differences,
    error::CompareError,
    spec::{CompareColumn, CompareKind, CompareSpec},
    types::{common_type, is_number, without_nulls},
};

/// The schema that rows of both sides are brought to, and what is compared of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// Key columns in key order, then compared columns in order. All nullable.
    pub schema: SchemaRef,
    /// What is compared.
    pub spec: CompareSpec,
    /// Columns that only the legacy side has: listed, not compared.
    pub legacy_only: Vec<String>,
    /// Columns that only the new side has: listed, not compared.
    pub new_only: Vec<String>,
}

fn same_but_for_case(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Compares all columns of two relations that are not keys: numeric ones as measures under one tolerance, the
/// others as attributes. Columns on one side only are listed.
///
/// # Errors
/// No key; a key column that a side lacks; an unknown customer column; types without a common lossless one; a
/// column that occurs twice; a key column with a name that the stored differences need.
pub fn common_for_diff(
    legacy: &Schema,
    new: &Schema,
    key: &[String],
    customer: Option<&str>,
    tolerance: Tolerance,
) -> Result<Common, CompareError> {
    no_duplicates(legacy.fields().iter().map(|f| f.name().as_str()))?;
    no_duplicates(new.fields().iter().map(|f| f.name().as_str()))?;
    let mut fields = key_fields(legacy, new, key)?;
    if let Some(name) = customer
        && (legacy.column_with_name(name).is_none() || new.column_with_name(name).is_none())
    {
        return Err(CompareError::UnknownCustomer(name.to_owned()));
    }
    let others = legacy.fields().iter().filter(|f| !key.contains(f.name()));
    let (mut columns, mut legacy_only) = (Vec::new(), Vec::new());
    for field in others {
        if new.column_with_name(field.name()).is_none() {
            legacy_only.push(field.name().clone());
            continue;
        }
        let data_type = without_nulls(common_of(legacy, new, field.name())?);
        let kind = if is_number(&data_type) {
            CompareKind::Measure { unit: None, tolerance }
        } else {
            CompareKind::Attribute
        };
        columns.push(CompareColumn { name: field.name().clone(), kind });
        fields.push(Field::new(field.name(), data_type, true));
    }
    let new_only = new.fields().iter().map(|f| f.name()).filter(|n| legacy.column_with_name(n).is_none());
    Ok(Common {
        schema: Arc::new(Schema::new(fields)),
        spec: CompareSpec { key: key.to_vec(), customer: customer.map(str::to_owned), columns },
        legacy_only,
        new_only: new_only.cloned().collect(),
    })
}

/// Compares what the mapping declares: measures first, then attributes, each in the order of their names. A measure that is declared
/// for one side is listed as such; columns that nobody declared are ignored.
///
/// # Errors
/// As [`common_for_diff`]; besides, a declared column that a side lacks and a measure whose values are not numbers.
pub fn common_for_result(legacy: &Schema, new: &Schema, result: &ResultDecl) -> Result<Common, CompareError> {
    let mut fields = key_fields(legacy, new, &result.grain)?;
    let (mut columns, mut legacy_only, mut new_only) = (Vec::new(), Vec::new(), Vec::new());
    for (name, measure) in &result.measures {
        match measure.side {
            Some(Side::Legacy) => {
                present(legacy, Side::Legacy, name)?;
                legacy_only.push(name.clone());
                continue;
            }
            Some(Side::New) => {
                present(new, Side::New, name)?;
                new_only.push(name.clone());
                continue;
            }
            None => {}
        }
        present(legacy, Side::Legacy, name)?;
        present(new, Side::New, name)?;
        let data_type = match common_of(legacy, new, name)? {
            DataType::Null => DataType::Float64,
            other => other,
        };
        if !is_number(&data_type) {
            return Err(CompareError::NotNumeric { column: name.clone(), found: data_type });
        }
        let kind = CompareKind::Measure { unit: Some(measure.unit.clone()), tolerance: measure.tolerance };
        columns.push(CompareColumn { name: name.clone(), kind });
        fields.push(Field::new(name, data_type, true));
    }
    for name in result.attributes.keys() {
        present(legacy, Side::Legacy, name)?;
        present(new, Side::New, name)?;
        fields.push(Field::new(name, without_nulls(common_of(legacy, new, name)?), true));
        columns.push(CompareColumn { name: name.clone(), kind: CompareKind::Attribute });
    }
    no_duplicates(fields.iter().map(|f| f.name().as_str()))?;
    if let Some(name) = &result.customer
        && !fields.iter().any(|f| f.name() == name)
    {
        return Err(CompareError::UnknownCustomer(name.clone()));
    }
    Ok(Common {
        schema: Arc::new(Schema::new(fields)),
        spec: CompareSpec { key: result.grain.clone(), customer: result.customer.clone(), columns },
        legacy_only,
        new_only,
    })
}

/// Selects the columns of the comparison and brings them to their common types. Values of the key get one form (0.0
/// for −0.0, one NaN, entries of maps in the order of their keys), so that rows sorted by bytes are sorted by value.
///
/// # Errors
/// A column that the batch lacks, and a value that does not fit (an instant further than 292,000 years from 1970 against
/// microseconds).
pub fn conform(batch: &RecordBatch, common: &Common) -> Result<RecordBatch, CompareError> {
    let columns = common
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let Some(column) = batch.column_by_name(field.name()) else {
                return Err(CompareError::MissingColumn { side: None, column: field.name().clone() });
            };
            let cast = cast_to(column, field.data_type()).and_then(|array| {
                if position < common.spec.key.len() { one_form(&array) } else { Ok(array) }
            });
            cast.map_err(|source| CompareError::Cast {
                column: field.name().clone(),
                to: field.data_type().clone(),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&common.schema), columns, &options)?)
}

fn key_fields(legacy: &Schema, new: &Schema, key: &[String]) -> Result<Vec<Field>, CompareError> {
    if key.is_empty() {
        return Err(CompareError::NoKey);
    }
    no_duplicates(key.iter().map(String::as_str))?;
    key.iter()
        .map(|name| {
            present(legacy, Side::Legacy, name)?;
            present(new, Side::New, name)?;
            if differences::FIXED_COLUMNS.contains(&name.as_str()) {
                return Err(CompareError::ReservedColumn(name.clone()));
            }
            Ok(Field::new(name, without_nulls(common_of(legacy, new, name)?), true))
        })
        .collect()
}

fn present(schema: &Schema, side: Side, name: &str) -> Result<(), CompareError> {
    match schema.column_with_name(name) {
        Some(_) => Ok(()),
        None => Err(match schema.fields().iter().find(|f| same_but_for_case(f.name(), name)) {
            Some(field) => {
                CompareError::ColumnCase { side, column: name.to_owned(), found: field.name().clone() }
            }
            None => CompareError::MissingColumn { side: Some(side), column: name.to_owned() },
        }),
    }
}

fn common_of(legacy: &Schema, new: &Schema, name: &str) -> Result<DataType, CompareError> {
    let (legacy, new) = (legacy.field_with_name(name)?.data_type(), new.field_with_name(name)?.data_type());
    common_type(legacy, new).ok_or_else(|| CompareError::NoCommonType {
        column: name.to_owned(),
        legacy: legacy.clone(),
        new: new.clone(),
    })
}

fn no_duplicates<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), CompareError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(CompareError::DuplicateColumn(name.to_owned()));
        }
    }
    Ok(())
}
