//! Rows on their way into the comparison, in the layouts that it reads fastest.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::ArrayRef,
    compute::cast,
    datatypes::{DataType, Field, Schema},
    record_batch::{RecordBatch, RecordBatchOptions},
};

use crate::{
    cast::{cast_to, one_form},
    coded::is_coded,
    error::CompareError,
    keys::Keys,
    schema::Common,
};

/// As [`crate::conform`], with texts as views: what comes as views is not copied.
///
/// # Errors
/// As [`crate::conform`].
pub fn conform_views(batch: &RecordBatch, common: &Common) -> Result<RecordBatch, CompareError> {
    conform_texts(batch, common, false)
}

/// As [`conform_views`], but texts that come as `Dictionary(Int32, Utf8)` stay so: their codes are compared, which is
/// faster. Batches of one dictionary should share its memory.
///
/// # Errors
/// As [`crate::conform`].
pub fn conform_coded(batch: &RecordBatch, common: &Common) -> Result<RecordBatch, CompareError> {
    conform_texts(batch, common, true)
}

fn conform_texts(
    batch: &RecordBatch,
    common: &Common,
    keep_codes: bool,
) -> Result<RecordBatch, CompareError> {
    let mut fields = Vec::with_capacity(common.schema.fields().len());
    let mut columns = Vec::with_capacity(common.schema.fields().len());
    for (position, field) in common.schema.fields().iter().enumerate() {
        let column = conform_column(batch, common, position, keep_codes)?;
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

/// The keys of some rows, to find a place among them.
#[derive(Debug)]
pub struct KeyRows {
    keys: Keys,
    rows: usize,
}

impl KeyRows {
    /// The keys of a batch that has at least the key columns.
    ///
    /// # Errors
    /// A key column that is missing, a value that does not fit its common type.
    pub fn new(batch: &RecordBatch, common: &Common) -> Result<Self, CompareError> {
        let columns = (0..common.spec.key.len())
            .map(|position| conform_column(batch, common, position, false))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys: Keys::new(&columns, batch.num_rows())?, rows: batch.num_rows() })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The order of one of these rows and one of others.
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.keys.compare(row, &other.keys, other_row)
    }

    /// The first row whose key is not smaller than that of a row of `other`, where these rows are sorted.
    pub fn lower_bound(&self, other: &Self, row: usize) -> usize {
        let (mut from, mut to) = (0, self.rows);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.compare(middle, other, row).is_lt() { from = middle + 1 } else { to = middle }
        }
        from
    }
}

fn conform_column(
    batch: &RecordBatch,
    common: &Common,
    position: usize,
    keep_codes: bool,
) -> Result<ArrayRef, CompareError> {
    let field = common.schema.field(position);
    let Some(column) = batch.column_by_name(field.name()) else {
        return Err(CompareError::MissingColumn { side: None, column: field.name().clone() });
    };
    let conformed = match (column.data_type(), field.data_type()) {
        (DataType::Utf8View, DataType::Utf8) => Ok(Arc::clone(column)),
        (found, DataType::Utf8) if keep_codes && is_coded(found) => Ok(Arc::clone(column)),
        (_, DataType::Utf8) => {
            cast_to(column, &DataType::Utf8).and_then(|texts| cast(&texts, &DataType::Utf8View))
        }
        (_, to) => cast_to(column, to)
            .and_then(|array| if position < common.spec.key.len() { one_form(&array) } else { Ok(array) }),
    };
    conformed.map_err(|source| CompareError::Cast {
        column: field.name().clone(),
        to: field.data_type().clone(),
        source,
    })
}
