//! Fingerprints of inputs: whether both sides read the same facts, per customer.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, StructArray, make_array},
    buffer::NullBuffer,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    record_batch::RecordBatch,
};
use dualrun_core::{Fingerprint, input::FenceStrength};
use xxhash_rust::xxh3::xxh3_128;

use crate::{canonical::Encoder, cast::strict, error::CompareError, text::value_text};

/// Hashes rows of an input into one [`Fingerprint`] a customer.
///
/// Values are hashed in a canonical form that does not depend on their type or layout, so that a BSON dump and a
/// Parquet file with the same facts agree: numbers by their decimal value, texts by their characters, instants by
/// their nanosecond in UTC (a time without a zone is taken as UTC here), documents by the fields that are not null,
/// in the order of their names. Rows are 128-bit XXH3 hashes, summed, so that order does not matter and duplicates do.
///
/// By strength: `content` hashes key and columns; `keys` the key; `count` nothing, only rows are counted;
/// `watermark` keeps only the largest key (numbers before texts, nulls first), as one row with that key's hash.
#[derive(Debug)]
pub struct Fingerprinter {
    paths: Vec<String>,
    customer: Option<String>,
    strength: FenceStrength,
    fingerprints: BTreeMap<Option<String>, Fingerprint>,
    /// The canonical bytes of the largest key, for [`FenceStrength::Watermark`].
    largest: BTreeMap<Option<String>, Vec<u8>>,
    buffer: Vec<u8>,
}

impl Fingerprinter {
    /// A fingerprinter of rows of this schema. `key`, `columns` and `customer` are names or paths into documents
    /// (`site.country`).
    ///
    /// # Errors
    /// [`CompareError::MissingColumn`] for a path that the schema lacks.
    pub fn new(
        schema: &Schema,
        key: &[String],
        columns: &[String],
        customer: Option<&str>,
        strength: FenceStrength,
    ) -> Result<Self, CompareError> {
        for path in key.iter().chain(columns).map(String::as_str).chain(customer) {
            find(schema, path)
                .ok_or_else(|| CompareError::MissingColumn { side: None, column: path.to_owned() })?;
        }
        let paths = match strength {
            FenceStrength::Content => key.iter().chain(columns).cloned().collect(),
            FenceStrength::Keys | FenceStrength::Watermark => key.to_vec(),
            FenceStrength::Count => Vec::new(),
        };
        Ok(Self {
            paths,
            customer: customer.map(str::to_owned),
            strength,
            fingerprints: BTreeMap::new(),
            largest: BTreeMap::new(),
            buffer: Vec::new(),
        })
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// A batch that lacks a column, and a value that Arrow cannot read.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), CompareError> {
        let encoders = self
            .paths
            .iter()
            .map(|path| Ok(Encoder::new(&column(batch, path)?)?))
            .collect::<Result<Vec<_>, CompareError>>()?;
        let customers = match self.customer.as_deref() {
            Some(path) => Some(plain(column(batch, path)?)?),
            None => None,
        };
        for row in 0..batch.num_rows() {
            let customer = match &customers {
                Some(array) => value_text(array, row)?,
                None => None,
            };
            self.buffer.clear();
            for encoder in &encoders {
                encoder.encode(row, &mut self.buffer)?;
            }
            self.add(customer);
        }
        Ok(())
    }

    fn add(&mut self, customer: Option<String>) {
        match self.strength {
            FenceStrength::Watermark => {
                let largest = self.largest.entry(customer).or_default();
                if self.buffer > *largest {
                    largest.clone_from(&self.buffer);
                }
            }
            FenceStrength::Count => self.fingerprints.entry(customer).or_default().add(0),
            FenceStrength::Keys | FenceStrength::Content => {
                self.fingerprints.entry(customer).or_default().add(xxh3_128(&self.buffer));
            }
        }
    }

    /// The fingerprint of each customer; of `None` where no customer is named, and for rows whose customer is null.
    pub fn finish(mut self) -> BTreeMap<Option<String>, Fingerprint> {
        for (customer, key) in std::mem::take(&mut self.largest) {
            self.fingerprints.entry(customer).or_default().add(xxh3_128(&key));
        }
        self.fingerprints
    }
}

/// A column without dictionaries and views, so that its values read alike on both sides.
fn plain(array: ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => strict(&array, &DataType::Utf8),
        DataType::Dictionary(_, values) => plain(strict(&array, values)?),
        DataType::RunEndEncoded(_, values) => plain(strict(&array, values.data_type())?),
        _ => Ok(array),
    }
}

/// The field at a path. A column whose name holds a dot wins over a path.
fn find<'s>(schema: &'s Schema, path: &str) -> Option<&'s Field> {
    if let Ok(field) = schema.field_with_name(path) {
        return Some(field);
    }
    let mut parts = path.split('.');
    let mut field = schema.field_with_name(parts.next()?).ok()?;
    for part in parts {
        let DataType::Struct(fields) = field.data_type() else { return None };
        field = fields.find(part)?.1;
    }
    Some(field)
}

fn column(batch: &RecordBatch, path: &str) -> Result<ArrayRef, CompareError> {
    let missing = || CompareError::MissingColumn { side: None, column: path.to_owned() };
    if let Some(column) = batch.column_by_name(path) {
        return Ok(Arc::clone(column));
    }
    let mut parts = path.split('.');
    let mut array = parts.next().and_then(|p| batch.column_by_name(p)).ok_or_else(missing)?.clone();
    for part in parts {
        let document: &StructArray = array.as_struct_opt().ok_or_else(missing)?;
        let child = document.column_by_name(part).ok_or_else(missing)?;
        // A field of a document that is null is null, whatever stands in the child array.
        array = match document.nulls() {
            Some(nulls) => with_nulls(child, nulls)?,
            None => Arc::clone(child),
        };
    }
    Ok(array)
}

fn with_nulls(array: &ArrayRef, parent: &NullBuffer) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Null => return Ok(Arc::clone(array)),
        // Run ends have no room for nulls of their own.
        DataType::RunEndEncoded(_, values) => return with_nulls(&strict(array, values.data_type())?, parent),
        _ => {}
    }
    let nulls = NullBuffer::union(array.logical_nulls().as_ref(), Some(parent));
    Ok(make_array(array.to_data().into_builder().nulls(nulls).build()?))
}

#[cfg(test)]
mod tests;
