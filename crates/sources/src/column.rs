//! Columns that are built value by value under the field rules.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
        Int64Builder, ListArray, NullBufferBuilder, NullBuilder, RecordBatch, RecordBatchOptions,
        StringBuilder, StructArray, TimestampMicrosecondBuilder,
    },
    buffer::OffsetBuffer,
    datatypes::{Field, SchemaRef},
    error::ArrowError,
};
use bson::{RawBsonRef, RawDocument};

use crate::{
    elements::Elements,
    misfit::Misfits,
    rules::{self, Kind, Leaf, Member, Ty},
    scalar::Scalar,
    value::{Form, Value},
};

/// The columns of a table, or of a document in it.
pub(crate) struct Columns {
    fields: Vec<FieldColumn>,
    index: HashMap<String, usize>,
    /// The column that the n-th field of the last documents went to: most documents have their fields in one order.
    order: Vec<usize>,
    rows: usize,
    /// Nothing for each field, where the values of a document are gathered.
    room: Vec<Option<Value<'static>>>,
}

struct FieldColumn {
    name: String,
    column: Column,
    missing: Option<Missing>,
}

/// The column that says that a field is absent.
struct Missing {
    name: String,
    builder: BooleanBuilder,
}

enum Column {
    Leaf(Box<LeafColumn>),
    List(Box<ListColumn>),
    Document { columns: Columns, validity: NullBufferBuilder, path: String },
}

struct ListColumn {
    element: Column,
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
}

struct LeafColumn {
    path: String,
    leaf: Leaf,
    expected: String,
    builder: LeafBuilder,
}

enum LeafBuilder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Null(NullBuilder),
}

impl Columns {
    /// Columns for members that are sorted by name. `path` is that of the document, empty for the table.
    pub(crate) fn new(members: &[Member], path: &str) -> Self {
        let fields: Vec<FieldColumn> = members
            .iter()
            .map(|member| {
                let path =
                    if path.is_empty() { member.name.clone() } else { format!("{path}.{}", member.name) };
                FieldColumn {
                    name: member.name.clone(),
                    column: Column::new(&member.ty, path),
                    missing: member
                        .missing
                        .then(|| Missing { name: member.missing_name(), builder: BooleanBuilder::new() }),
                }
            })
            .collect();
        let index = fields.iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
        let room = vec![None; fields.len()];
        Self { fields, index, order: Vec::new(), rows: 0, room }
    }

    /// Appends a document. Of a field that occurs twice the last value counts.
    pub(crate) fn append_document(&mut self, document: &RawDocument, misfits: &mut Misfits) {
        let mut values: Vec<Option<Value<'_>>> = std::mem::take(&mut self.room);
        let mut flags: Vec<(usize, bool)> = Vec::new();
        let mut elements = Elements::of(document);
        for place in 0.. {
            let guess = self.order.get(place).and_then(|i| Some((*i, self.fields.get(*i)?.name.as_str())));
            let Some(entry) = elements.next_guessed(guess.map(|(_, name)| name)) else { break };
            let Ok((name, value)) = entry else {
                misfits.damaged();
                continue;
            };
            let Some(name) = name else {
                if let Some((i, _)) = guess {
                    values[i] = Some(value);
                }
                continue;
            };
            if let Some(i) = self.find(place, name) {
                values[i] = Some(value);
            } else if let Value::Bson(RawBsonRef::Boolean(flag)) = value
                && let Some(i) = self.flag(name)
            {
                flags.push((i, flag));
            }
        }
        self.append(&values, &flags, misfits);
        // Collected in place: the values go, their room stays.
        self.room = values.into_iter().map(|_| None).collect();
    }

    /// Appends a row of arrays; `None` stands for a column that the source does not have.
    pub(crate) fn append_row<'a>(
        &mut self,
        find: impl Fn(&str) -> Option<&'a ArrayRef>,
        row: usize,
        misfits: &mut Misfits,
    ) {
        let cell = |name: &str| find(name).map(|array| Value::Cell(array.as_ref(), row));
        let values: Vec<_> = self.fields.iter().map(|f| cell(&f.name)).collect();
        let mut flags = Vec::new();
        for (i, field) in self.fields.iter().enumerate() {
            if let Some(missing) = &field.missing
                && let Some(Form::Scalar(Scalar::Boolean(flag))) = cell(&missing.name).map(Value::form)
            {
                flags.push((i, flag));
            }
        }
        self.append(&values, &flags, misfits);
    }

    /// The rows since the last call.
    pub(crate) fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), self.arrays()?, &options)
    }

    /// The arrays in the order of [`rules::fields`].
    pub(crate) fn arrays(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            arrays.push(field.column.finish()?);
            if let Some(missing) = &mut field.missing {
                arrays.push(Arc::new(missing.builder.finish()));
            }
        }
        Ok(arrays)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The column of a field, the n-th one of its document, where another one was there in the last documents.
    fn find(&mut self, place: usize, name: &str) -> Option<usize> {
        let i = *self.index.get(name)?;
        // A document of many fields without a column is not worth a long list.
        if place < 2 * self.fields.len() {
            self.order.resize(self.order.len().max(place + 1), usize::MAX);
            self.order[place] = i;
        }
        Some(i)
    }

    fn flag(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.missing.as_ref().is_some_and(|m| m.name == name))
    }

    fn append(&mut self, values: &[Option<Value<'_>>], flags: &[(usize, bool)], misfits: &mut Misfits) {
        self.rows += 1;
        for (i, (field, value)) in self.fields.iter_mut().zip(values).enumerate() {
            field.column.append(*value, misfits);
            if let Some(missing) = &mut field.missing {
                let told = flags.iter().find(|(field, _)| *field == i).map(|(_, flag)| *flag);
                missing.builder.append_value(told.unwrap_or(value.is_none()));
            }
        }
    }

    fn append_absent(&mut self, misfits: &mut Misfits) {
        let values = vec![None; self.fields.len()];
        self.append(&values, &[], misfits);
    }
}

impl Column {
    fn new(ty: &Ty, path: String) -> Self {
        match ty {
            Ty::Leaf(leaf) => Self::Leaf(Box::new(LeafColumn {
                expected: leaf.kind.name(),
                builder: LeafBuilder::new(leaf.kind),
                leaf: leaf.clone(),
                path,
            })),
            Ty::List(element) => Self::List(Box::new(ListColumn {
                element: Self::new(element, format!("{path}[]")),
                offsets: vec![0],
                validity: NullBufferBuilder::new(0),
            })),
            Ty::Document(members) => Self::Document {
                columns: Columns::new(members, &path),
                validity: NullBufferBuilder::new(0),
                path,
            },
        }
    }

    fn append(&mut self, value: Option<Value<'_>>, misfits: &mut Misfits) {
        match self {
            Self::Leaf(leaf) => leaf.append(value, misfits),
            Self::List(list) => list.append(value, misfits),
            Self::Document { columns, validity, path } => match value.map(|v| (v, v.form())) {
                Some((Value::Bson(RawBsonRef::Document(document)), _)) => {
                    validity.append_non_null();
                    columns.append_document(document, misfits);
                }
                Some((Value::Cell(array, row), Form::Document)) => {
                    validity.append_non_null();
                    columns.append_row(|name| array.as_struct().column_by_name(name), row, misfits);
                }
                other => {
                    if let Some((value, Form::Scalar(_) | Form::List)) = other {
                        misfits.add(path, "document", value.type_name());
                    }
                    validity.append_null();
                    columns.append_absent(misfits);
                }
            },
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Leaf(leaf) => Ok(leaf.builder.finish()),
            Self::List(list) => list.finish(),
            Self::Document { columns, validity, .. } => {
                let arrays = columns.arrays()?;
                columns.rows = 0;
                let fields: Vec<Field> = columns.arrow_fields(&arrays);
                Ok(Arc::new(StructArray::try_new(fields.into(), arrays, validity.finish())?))
            }
        }
    }
}

impl Columns {
    fn arrow_fields(&self, arrays: &[ArrayRef]) -> Vec<Field> {
        let names = self
            .fields
            .iter()
            .flat_map(|f| std::iter::once(f.name.clone()).chain(f.missing.as_ref().map(|m| m.name.clone())));
        names.zip(arrays).map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect()
    }
}

impl ListColumn {
    fn append(&mut self, value: Option<Value<'_>>, misfits: &mut Misfits) {
        let mut count = self.offsets.last().copied().unwrap_or(0);
        match value.map(|v| (v, v.form())) {
            None | Some((_, Form::Null)) => self.validity.append_null(),
            Some((value, Form::List)) => {
                self.validity.append_non_null();
                let whole = value.elements(|element| {
                    self.element.append(Some(element), misfits);
                    count += 1;
                });
                if !whole {
                    misfits.damaged();
                }
            }
            Some((single, _)) => {
                self.validity.append_non_null();
                self.element.append(Some(single), misfits);
                count += 1;
            }
        }
        self.offsets.push(count);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let elements = self.element.finish()?;
        let field = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(ListArray::try_new(field, offsets, elements, self.validity.finish())?))
    }
}

impl LeafColumn {
    #[inline]
    fn append(&mut self, value: Option<Value<'_>>, misfits: &mut Misfits) {
        match value {
            Some(Value::Bson(value)) if self.as_it_is(value) => {}
            value => self.converted(value, misfits),
        }
    }

    /// Appends a value that has the type of its column already; false where it has not.
    #[inline]
    fn as_it_is(&mut self, value: RawBsonRef<'_>) -> bool {
        match (&mut self.builder, value) {
            (LeafBuilder::Text(builder), RawBsonRef::String(text)) if self.leaf.kind == Kind::Text => {
                builder.append_value(text);
            }
            (LeafBuilder::Integer(builder), RawBsonRef::Int64(value)) => builder.append_value(value),
            (LeafBuilder::Integer(builder), RawBsonRef::Int32(value)) => builder.append_value(value.into()),
            (LeafBuilder::Float(builder), RawBsonRef::Double(value)) => builder.append_value(value),
            (LeafBuilder::Boolean(builder), RawBsonRef::Boolean(value)) => builder.append_value(value),
            (LeafBuilder::Timestamp(builder), RawBsonRef::DateTime(instant)) => {
                let Some(micros) = instant.timestamp_millis().checked_mul(1000) else { return false };
                builder.append_value(micros);
            }
            _ => return false,
        }
        true
    }

    fn converted(&mut self, value: Option<Value<'_>>, misfits: &mut Misfits) {
        let Some((value, form)) = value.map(|v| (v, v.form())) else {
            return self.builder.append_null();
        };
        let fits = match form {
            Form::Null => {
                self.builder.append_null();
                return;
            }
            Form::Scalar(scalar) if self.leaf.kind != Kind::Json => self.scalar(scalar, value),
            _ => self.json(value),
        };
        if !fits {
            self.builder.append_null();
            misfits.add(&self.path, &self.expected, value.type_name());
        }
    }

    /// Appends a converted scalar; false where it does not fit.
    fn scalar(&mut self, scalar: Scalar<'_>, value: Value<'_>) -> bool {
        let Leaf { clock, mark, kind } = &self.leaf;
        match &mut self.builder {
            LeafBuilder::Text(builder) => match scalar {
                Scalar::Text(text) => {
                    builder.append_value(text);
                    true
                }
                Scalar::Other => self.json(value),
                scalar => scalar.to_text().map(|v| builder.append_value(v)).is_some(),
            },
            LeafBuilder::Integer(builder) => {
                scalar.to_integer(*mark).map(|v| builder.append_value(v)).is_some()
            }
            LeafBuilder::Float(builder) => scalar.to_float(*mark).map(|v| builder.append_value(v)).is_some(),
            LeafBuilder::Decimal(builder) => match *kind {
                Kind::Decimal { precision, scale } => {
                    scalar.to_decimal(precision, scale, *mark).map(|v| builder.append_value(v)).is_some()
                }
                _ => false,
            },
            LeafBuilder::Boolean(builder) => scalar.to_boolean().map(|v| builder.append_value(v)).is_some(),
            LeafBuilder::Date(builder) => scalar.to_day(clock).map(|v| builder.append_value(v)).is_some(),
            LeafBuilder::Timestamp(builder) => {
                scalar.to_micros(clock).map(|v| builder.append_value(v)).is_some()
            }
            LeafBuilder::Null(_) => false,
        }
    }

    /// Appends a value as relaxed Extended JSON where the column is text; false otherwise. JSON that is text already
    /// (a copy in Parquet) is not quoted again.
    fn json(&mut self, value: Value<'_>) -> bool {
        let LeafBuilder::Text(builder) = &mut self.builder else {
            return false;
        };
        if let Value::Cell(..) = value
            && let Form::Scalar(Scalar::Text(text)) = value.form()
        {
            builder.append_value(text);
            return true;
        }
        value.to_json().map(|json| builder.append_value(json.to_string())).is_some()
    }
}

impl LeafBuilder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Decimal { .. } => {
                let data_type = rules::Ty::data_type(&kind.plain());
                Self::Decimal(Decimal128Builder::new().with_data_type(data_type))
            }
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Null => Self::Null(NullBuilder::new()),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Null(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Null(builder) => Arc::new(builder.finish()),
        }
    }
}
