//! A batch of a relation, its columns typed once, read cell by cell.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray},
    datatypes::{DataType, Int64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};

use crate::{
    canonical::Encoder,
    cast::strict,
    error::CompareError,
    measure::{Num, Numbers},
    merge::RowRef,
    schema::Common,
    spec::CompareKind,
    text::value_text,
};

/// One batch with typed columns.
#[derive(Debug)]
pub(crate) struct View {
    batch: Arc<RecordBatch>,
    key: Vec<ArrayRef>,
    customer: Option<ArrayRef>,
    columns: Vec<Column>,
}

#[derive(Debug)]
pub(crate) enum Column {
    Measure(Numbers),
    Attribute(ArrayRef, Attribute),
}

/// A column compared for equality.
#[derive(Debug)]
pub(crate) enum Attribute {
    Text(StringArray),
    Boolean(BooleanArray),
    /// Integers, days and instants of one unit.
    Whole(Int64Array),
    Canonical(Encoder),
}

impl View {
    /// # Errors
    /// A column that is missing or has another type than the comparison agreed on.
    pub(crate) fn new(
        relation: usize,
        batch: &Arc<RecordBatch>,
        common: &Common,
    ) -> Result<Self, CompareError> {
        let column = |name: &str| -> Result<ArrayRef, CompareError> {
            let missing = || CompareError::MissingColumn { side: None, column: name.to_owned() };
            let column = batch.column_by_name(name).ok_or_else(missing)?;
            let expected = common.schema.field_with_name(name).map_err(|_| missing())?.data_type();
            if column.data_type() != expected {
                return Err(CompareError::SchemaMismatch {
                    relation,
                    column: name.to_owned(),
                    found: column.data_type().clone(),
                    expected: expected.clone(),
                });
            }
            Ok(Arc::clone(column))
        };
        let columns = common
            .spec
            .columns
            .iter()
            .map(|c| {
                let array = column(&c.name)?;
                match c.kind {
                    CompareKind::Measure { .. } => match Numbers::new(&array) {
                        Some(numbers) => Ok(Column::Measure(numbers)),
                        None => Err(CompareError::NotNumeric {
                            column: c.name.clone(),
                            found: array.data_type().clone(),
                        }),
                    },
                    CompareKind::Attribute => {
                        Ok(Column::Attribute(Arc::clone(&array), Attribute::new(&array)?))
                    }
                }
            })
            .collect::<Result<_, CompareError>>()?;
        Ok(Self {
            batch: Arc::clone(batch),
            key: common.spec.key.iter().map(|k| column(k)).collect::<Result<_, _>>()?,
            customer: common.spec.customer.as_deref().map(column).transpose()?,
            columns,
        })
    }

    pub(crate) fn is_of(&self, row: &RowRef) -> bool {
        Arc::ptr_eq(&self.batch, &row.batch)
    }

    pub(crate) fn has_null_key(&self, row: usize) -> bool {
        self.key.iter().any(|k| k.is_null(row))
    }

    /// The customer of a row: borrowed where the column is text, which is the common case.
    pub(crate) fn customer(&self, row: usize) -> Result<Option<std::borrow::Cow<'_, str>>, ArrowError> {
        let Some(column) = &self.customer else { return Ok(None) };
        match column.data_type() {
            DataType::Utf8 if column.is_null(row) => Ok(None),
            DataType::Utf8 => Ok(Some(column.as_string::<i32>().value(row).into())),
            _ => Ok(value_text(column, row)?.map(Into::into)),
        }
    }

    pub(crate) fn number(&self, column: usize, row: usize) -> Num {
        match &self.columns[column] {
            Column::Measure(numbers) => numbers.get(row),
            Column::Attribute(..) => Num::Null,
        }
    }

    pub(crate) fn attribute(&self, column: usize) -> Option<(&ArrayRef, &Attribute)> {
        match &self.columns[column] {
            Column::Attribute(array, attribute) => Some((array, attribute)),
            Column::Measure(_) => None,
        }
    }
}

impl Attribute {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string::<i32>().clone()),
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            DataType::Int64
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..)
            | DataType::Time64(_) => {
                Self::Whole(strict(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            _ => Self::Canonical(Encoder::new(array)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(a) => a.is_null(row),
            Self::Boolean(a) => a.is_null(row),
            Self::Whole(a) => a.is_null(row),
            Self::Canonical(a) => a.is_null(row),
        }
    }
}

/// Whether two cells of an attribute are equal, and if not, the kind of the difference.
pub(crate) fn attribute_difference(
    (legacy, l): (&Attribute, usize),
    (new, n): (&Attribute, usize),
    scratch: &mut (Vec<u8>, Vec<u8>),
) -> Result<Option<&'static str>, ArrowError> {
    match (legacy.is_null(l), new.is_null(n)) {
        (true, true) => return Ok(None),
        (true, false) => return Ok(Some("null_vs_value")),
        (false, true) => return Ok(Some("value_vs_null")),
        (false, false) => {}
    }
    let equal = match (legacy, new) {
        (Attribute::Text(a), Attribute::Text(b)) => a.value(l) == b.value(n),
        (Attribute::Boolean(a), Attribute::Boolean(b)) => a.value(l) == b.value(n),
        (Attribute::Whole(a), Attribute::Whole(b)) => a.value(l) == b.value(n),
        (Attribute::Canonical(a), Attribute::Canonical(b)) => {
            scratch.0.clear();
            scratch.1.clear();
            a.encode(l, &mut scratch.0)?;
            b.encode(n, &mut scratch.1)?;
            scratch.0 == scratch.1
        }
        // All relations have one schema, so that the forms are the same.
        _ => false,
    };
    Ok((!equal).then_some("value"))
}
