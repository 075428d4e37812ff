//! A batch of a relation with its columns typed once.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringViewArray},
    buffer::ScalarBuffer,
    compute::cast,
    datatypes::{DataType, Int64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};

use crate::{
    canonical::Encoder,
    cast::strict,
    coded::{Coded, Last, Source, is_coded},
    error::CompareError,
    keys::Keys,
    measure::{Num, Numbers},
    order::{ORDER_COLUMN, Order},
    schema::Common,
    spec::CompareKind,
    text::value_text,
    verdict::difference_kind,
};

/// One batch, ready to be compared.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) keys: Keys,
    /// The key columns in key order.
    pub(crate) key_columns: Vec<Source>,
    /// Where rows are ordered by it, the order value of each.
    order: Option<ScalarBuffer<i64>>,
    customer: Option<Customer>,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug)]
enum Customer {
    Text(StringViewArray),
    Coded(Coded),
    Other(ArrayRef),
}

/// The dictionaries that the columns of a relation had in the batch before, by their position in the common schema.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries(Vec<Last>);

impl Dictionaries {
    fn of(&mut self, position: usize) -> &mut Last {
        if self.0.len() <= position {
            self.0.resize_with(position + 1, Last::default);
        }
        &mut self.0[position]
    }
}

/// A compared column.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) source: Source,
    pub(crate) values: Values,
}

#[derive(Debug)]
pub(crate) enum Values {
    Measure(Numbers),
    Attribute(Attribute),
}

/// A column compared for equality.
#[derive(Debug)]
pub(crate) enum Attribute {
    Text(StringViewArray),
    Coded(Coded),
    Boolean(BooleanArray),
    /// Integers, days and instants of one unit.
    Whole(Int64Array),
    Canonical(Encoder),
}

impl Block {
    /// # Errors
    /// A column that is missing or has another type than the comparison agreed on.
    pub(crate) fn new(
        relation: usize,
        batch: &RecordBatch,
        common: &Common,
        order: Order,
        dictionaries: &mut Dictionaries,
    ) -> Result<Self, CompareError> {
        let mut column = |name: &str| -> Result<Source, CompareError> {
            let missing = || CompareError::MissingColumn { side: None, column: name.to_owned() };
            let array = batch.column_by_name(name).ok_or_else(missing)?;
            let position = common.schema.index_of(name).map_err(|_| missing())?;
            let expected = common.schema.field(position).data_type();
            let array = match (array.data_type(), expected) {
                (DataType::Utf8, DataType::Utf8) => cast(array, &DataType::Utf8View)?,
                (DataType::Utf8View, DataType::Utf8) => Arc::clone(array),
                (found, DataType::Utf8) if is_coded(found) => Arc::clone(array),
                (found, expected) if found == expected => Arc::clone(array),
                (found, expected) => {
                    return Err(CompareError::SchemaMismatch {
                        relation,
                        column: name.to_owned(),
                        found: found.clone(),
                        expected: expected.clone(),
                    });
                }
            };
            Ok(Source::new(array, dictionaries.of(position))?)
        };
        let spec = &common.spec;
        let key_columns: Vec<Source> = spec.key.iter().map(|k| column(k)).collect::<Result<_, _>>()?;
        let columns = spec
            .columns
            .iter()
            .map(|declared| {
                let source = column(&declared.name)?;
                let values = match declared.kind {
                    CompareKind::Measure { .. } => {
                        Values::Measure(Numbers::new(&source.array).ok_or_else(|| {
                            CompareError::NotNumeric {
                                column: declared.name.clone(),
                                found: source.array.data_type().clone(),
                            }
                        })?)
                    }
                    CompareKind::Attribute => Values::Attribute(Attribute::new(&source)?),
                };
                Ok(Column { source, values })
            })
            .collect::<Result<_, CompareError>>()?;
        let customer = spec.customer.as_deref().map(&mut column).transpose()?.map(|source| {
            match (source.coded, source.array.as_string_view_opt()) {
                (Some(coded), _) => Customer::Coded(coded),
                (None, Some(views)) => Customer::Text(views.clone()),
                (None, None) => Customer::Other(source.array),
            }
        });
        let order = match order {
            Order::Key => None,
            Order::Hash => Some(order_column(batch)?),
        };
        Ok(Self {
            rows: batch.num_rows(),
            keys: Keys::ordered(order.as_ref(), &key_columns, batch.num_rows())?,
            key_columns,
            order: order.map(|array| array.values().clone()),
            customer,
            columns,
        })
    }

    /// The customer of a row: borrowed where the column is text, which is the common case.
    pub(crate) fn customer(&self, row: usize) -> Result<Option<Cow<'_, str>>, ArrowError> {
        match &self.customer {
            None => Ok(None),
            Some(Customer::Text(views)) => Ok(views.is_valid(row).then(|| views.value(row).into())),
            Some(Customer::Coded(coded)) => Ok((!coded.is_null(row)).then(|| coded.value(row).into())),
            Some(Customer::Other(array)) => Ok(value_text(array, row)?.map(Into::into)),
        }
    }

    /// What all rows of a customer share of their order values, where rows are ordered by these.
    pub(crate) fn customer_order(&self, row: usize) -> Option<i64> {
        self.order.as_ref().map(|values| values[row] >> 32)
    }

    /// How many rows from `at` on, at most `limit`, have the same customer.
    pub(crate) fn customer_stretch(&self, at: usize, limit: usize) -> Result<usize, ArrowError> {
        match &self.customer {
            None => Ok(limit),
            Some(Customer::Text(views)) => {
                let raw = views.views();
                let same = |row: usize| match (views.is_valid(at), views.is_valid(row)) {
                    (true, true) => raw[row] == raw[at] || views.value(row) == views.value(at),
                    (a, b) => a == b,
                };
                // Sorted rows: when the last has the customer of the first, so have those between, most of the time;
                // rows are looked at one by one all the same, because a customer need not lead the key.
                Ok((1..limit).find(|i| !same(at + i)).unwrap_or(limit))
            }
            Some(Customer::Coded(coded)) if coded.nulls().is_none() => {
                Ok(1 + coded.repeated(at, limit.max(1) - 1))
            }
            Some(Customer::Coded(coded)) => {
                let name = |row: usize| (!coded.is_null(row)).then(|| coded.value(row));
                Ok((1..limit).find(|i| name(at + i) != name(at)).unwrap_or(limit))
            }
            Some(Customer::Other(array)) => {
                let first = value_text(array, at)?;
                for i in 1..limit {
                    if value_text(array, at + i)? != first {
                        return Ok(i);
                    }
                }
                Ok(limit)
            }
        }
    }

    pub(crate) fn number(&self, column: usize, row: usize) -> Num {
        match &self.columns[column].values {
            Values::Measure(numbers) => numbers.get(row),
            Values::Attribute(_) => Num::Null,
        }
    }

    pub(crate) fn numbers(&self, column: usize) -> Option<&Numbers> {
        match &self.columns[column].values {
            Values::Measure(numbers) => Some(numbers),
            Values::Attribute(_) => None,
        }
    }

    pub(crate) fn attribute(&self, column: usize) -> Option<&Attribute> {
        match &self.columns[column].values {
            Values::Attribute(attribute) => Some(attribute),
            Values::Measure(_) => None,
        }
    }

    /// What stands against what in a column, where it is more than two values that differ.
    pub(crate) fn difference_kind(
        &self,
        column: usize,
        row: usize,
        other: &Self,
        other_row: usize,
    ) -> Option<&'static str> {
        match (self.attribute(column), other.attribute(column)) {
            (Some(a), Some(b)) => match (a.is_null(row), b.is_null(other_row)) {
                (true, false) => Some("null_vs_value"),
                (false, true) => Some("value_vs_null"),
                _ => None,
            },
            _ => difference_kind(self.number(column, row), other.number(column, other_row)),
        }
    }

    /// Whether both blocks surely hold the same values of a column in all of these rows. `false` may be wrong.
    pub(crate) fn same(
        &self,
        column: usize,
        at: usize,
        other: &Self,
        other_at: usize,
        length: usize,
    ) -> bool {
        match (&self.columns[column].values, &other.columns[column].values) {
            (Values::Measure(a), Values::Measure(b)) => a.same(at, b, other_at, length),
            (Values::Attribute(a), Values::Attribute(b)) => a.same(at, b, other_at, length),
            _ => false,
        }
    }
}

fn order_column(batch: &RecordBatch) -> Result<Int64Array, CompareError> {
    let last = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    last.cloned().ok_or_else(|| CompareError::MissingColumn { side: None, column: ORDER_COLUMN.to_owned() })
}

impl Attribute {
    fn new(source: &Source) -> Result<Self, ArrowError> {
        let array = &source.array;
        if let Some(coded) = &source.coded {
            return Ok(Self::Coded(coded.clone()));
        }
        Ok(match array.data_type() {
            DataType::Utf8View => Self::Text(array.as_string_view().clone()),
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
            Self::Coded(a) => a.is_null(row),
            Self::Boolean(a) => a.is_null(row),
            Self::Whole(a) => a.is_null(row),
            Self::Canonical(a) => a.is_null(row),
        }
    }

    fn same(&self, at: usize, other: &Self, other_at: usize, length: usize) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) if a.null_count() + b.null_count() == 0 => {
                let (x, y) = (&a.views()[at..at + length], &b.views()[other_at..other_at + length]);
                x == y && x.iter().fold(true, |inline, view| inline & (*view as u32 <= 12))
            }
            (Self::Coded(a), Self::Coded(b)) if a.nulls().is_none() && b.nulls().is_none() => {
                a.same_stretch(at, b, other_at, length) == length
            }
            (Self::Whole(a), Self::Whole(b)) if a.null_count() + b.null_count() == 0 => {
                a.values()[at..at + length] == b.values()[other_at..other_at + length]
            }
            _ => false,
        }
    }
}

/// Whether two cells of an attribute are equal.
pub(crate) fn attributes_equal(
    (legacy, l): (&Attribute, usize),
    (new, n): (&Attribute, usize),
    scratch: &mut (Vec<u8>, Vec<u8>),
) -> Result<bool, ArrowError> {
    if legacy.is_null(l) || new.is_null(n) {
        return Ok(legacy.is_null(l) && new.is_null(n));
    }
    Ok(match (legacy, new) {
        (Attribute::Text(a), Attribute::Text(b)) => a.value(l) == b.value(n),
        (Attribute::Coded(a), Attribute::Coded(b)) => a.value(l) == b.value(n),
        (Attribute::Coded(a), Attribute::Text(b)) => a.value(l) == b.value(n),
        (Attribute::Text(a), Attribute::Coded(b)) => a.value(l) == b.value(n),
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
    })
}
