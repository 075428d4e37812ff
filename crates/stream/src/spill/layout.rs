//! How a row stands in memory and on disk: its order value, which values are null, the values one behind the other.
//!
//! Numbers and instants stand there as they are, of texts their number (see `texts`). Columns of other types have no place
//! in the row; they stay Arrow arrays beside the rows.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, StringViewArray, UInt32Array, make_array},
    buffer::{BooleanBuffer, Buffer, NullBuffer},
    compute::take,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use dualrun_compare::{Common, ORDER_COLUMN};

use super::texts::Numbering;

/// Where the order value stands.
const ORDER_BYTES: usize = 8;

/// The places of the columns.
#[derive(Debug)]
pub(super) struct Layout {
    /// Bytes of a row.
    pub(super) width: usize,
    slots: Vec<Slot>,
    /// Places of the numbers of texts in a row.
    pub(super) texts: Vec<usize>,
    /// Columns beside the rows.
    pub(super) beside: Vec<usize>,
    /// Of the columns beside the rows.
    beside_schema: SchemaRef,
    /// The schema of the comparison, texts as views, with the order values.
    schema: SchemaRef,
    /// Where the key ends, if all of it stands in the row.
    key_end: Option<usize>,
    key_columns: usize,
}

#[derive(Debug)]
struct Slot {
    column: usize,
    at: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Boolean,
    /// A number of bytes.
    Bytes(usize),
    /// The number of a text, by the text column's number.
    Text(usize),
}

impl Form {
    fn width(self) -> usize {
        match self {
            Self::Boolean => 1,
            Self::Bytes(width) => width,
            Self::Text(_) => 4,
        }
    }
}

impl Layout {
    pub(super) fn new(common: &Common) -> Self {
        let columns = common.schema.fields().len();
        let key_columns = common.spec.key.len();
        let mut at = ORDER_BYTES + columns.div_ceil(8);
        let (mut slots, mut texts, mut beside, mut fields) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut key_end = Some(at);
        for (column, field) in common.schema.fields().iter().enumerate() {
            let form = match field.data_type() {
                DataType::Utf8 => Some(Form::Text(texts.len())),
                DataType::Boolean => Some(Form::Boolean),
                other => other.primitive_width().filter(|width| *width <= 16).map(Form::Bytes),
            };
            let data_type = match field.data_type() {
                DataType::Utf8 => DataType::Utf8View,
                other => other.clone(),
            };
            fields.push(Arc::new(Field::new(field.name(), data_type, true)));
            match form {
                Some(form) => {
                    if let Form::Text(_) = form {
                        texts.push(at);
                    }
                    slots.push(Slot { column, at, form });
                    at += form.width();
                    if column < key_columns && key_end.is_some() {
                        key_end = Some(at);
                    }
                }
                None => {
                    beside.push(column);
                    if column < key_columns {
                        key_end = None;
                    }
                }
            }
        }
        let beside_fields = beside.iter().map(|column| Arc::clone(&fields[*column])).collect::<Vec<_>>();
        fields.push(Arc::new(Field::new(ORDER_COLUMN, DataType::Int64, false)));
        Self {
            width: at,
            slots,
            texts,
            beside,
            beside_schema: Arc::new(Schema::new(beside_fields)),
            schema: Arc::new(Schema::new(fields)),
            key_end,
            key_columns,
        }
    }

    /// The columns of a batch that have no place in the rows; none where all have.
    pub(super) fn beside(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        if self.beside.is_empty() {
            return Ok(None);
        }
        let columns = self.beside.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        RecordBatch::try_new(Arc::clone(&self.beside_schema), columns).map(Some)
    }

    /// The text columns of the schema, in their order.
    pub(super) fn text_columns(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().filter(|slot| matches!(slot.form, Form::Text(_))).map(|slot| slot.column)
    }

    /// Writes rows behind each other. `orders` are their order values, `numbers` those of their texts.
    pub(super) fn write(
        &self,
        batch: &RecordBatch,
        orders: &[i64],
        numbers: &[Numbering<'_>],
        rows: &mut Vec<u8>,
    ) {
        // All bytes but those for nulls are written anyway.
        rows.resize(batch.num_rows() * self.width, 0);
        let nulls = ORDER_BYTES..ORDER_BYTES + self.columns().div_ceil(8);
        rows.chunks_exact_mut(self.width).for_each(|row| row[nulls.clone()].fill(0));
        put(rows, self.width, 0, orders.iter().map(|order| order.to_le_bytes()));
        for slot in &self.slots {
            let array = batch.column(slot.column);
            let (width, at) = (self.width, slot.at);
            match slot.form {
                Form::Text(number) => {
                    put(rows, width, at, numbers[number].numbers.iter().map(|n| n.to_le_bytes()));
                }
                Form::Boolean => {
                    put(rows, width, at, array.as_boolean().values().iter().map(|b| [u8::from(b)]))
                }
                Form::Bytes(bytes) => {
                    let data = array.to_data();
                    let values = data.buffers().first().map(Buffer::as_slice).unwrap_or_default();
                    let values = values.get(data.offset() * bytes..).unwrap_or_default();
                    match bytes {
                        1 => put(rows, width, at, values.as_chunks::<1>().0.iter().copied()),
                        2 => put(rows, width, at, values.as_chunks::<2>().0.iter().copied()),
                        4 => put(rows, width, at, values.as_chunks::<4>().0.iter().copied()),
                        8 => put(rows, width, at, values.as_chunks::<8>().0.iter().copied()),
                        _ => put(rows, width, at, values.as_chunks::<16>().0.iter().copied()),
                    }
                }
            }
            if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
                let (byte, bit) = null_bit(slot.column);
                for (row, bytes) in rows.chunks_exact_mut(width).enumerate() {
                    if nulls.is_null(row) {
                        bytes[byte] |= bit;
                        // What stands behind a null may be anything; equal rows shall have equal bytes.
                        bytes[at..at + slot.form.width()].fill(0);
                    }
                }
            }
        }
    }

    /// The order value of a row.
    pub(super) fn order(row: &[u8]) -> i64 {
        i64::from_le_bytes(bytes_at(row, 0))
    }

    /// Whether rows certainly have the same key.
    pub(super) fn same_key(&self, row: &[u8], other: &[u8]) -> bool {
        self.key_end.is_some_and(|end| row[..end] == other[..end])
    }

    /// Columns that are compared.
    fn columns(&self) -> usize {
        self.schema.fields().len() - 1
    }

    /// Some rows as a batch of the comparison. `texts` are those of the text columns, `beside` the columns beside all rows,
    /// `packed` is room for the rows.
    pub(super) fn read(
        &self,
        rows: &[u8],
        places: &[u32],
        texts: &[StringViewArray],
        beside: Option<&RecordBatch>,
        packed: &mut Vec<u8>,
    ) -> Result<RecordBatch, ArrowError> {
        self.read_columns(self.columns(), rows, places, texts, beside, packed)
    }

    /// The keys of some rows.
    pub(super) fn read_keys(
        &self,
        rows: &[u8],
        places: &[u32],
        texts: &[StringViewArray],
        beside: Option<&RecordBatch>,
    ) -> Result<RecordBatch, ArrowError> {
        self.read_columns(self.key_columns, rows, places, texts, beside, &mut Vec::new())
    }

    fn read_columns(
        &self,
        count: usize,
        rows: &[u8],
        places: &[u32],
        texts: &[StringViewArray],
        beside: Option<&RecordBatch>,
        packed: &mut Vec<u8>,
    ) -> Result<RecordBatch, ArrowError> {
        // Row by row, so that what comes next to each other is next to each other in the cache.
        packed.clear();
        packed.reserve_exact(places.len() * self.width);
        for place in places {
            let at = *place as usize * self.width;
            packed.extend_from_slice(&rows[at..at + self.width]);
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; count];
        for slot in self.slots.iter().filter(|slot| slot.column < count) {
            columns[slot.column] = Some(self.column(slot, packed, texts)?);
        }
        if let Some(beside) = beside {
            let places = UInt32Array::from(places.to_vec());
            for (column, array) in
                self.beside.iter().zip(beside.columns()).filter(|(column, _)| **column < count)
            {
                columns[*column] = Some(take(array, &places, None)?);
            }
        }
        let missing = || ArrowError::ComputeError("rows without a column".to_owned());
        let mut columns = columns.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        let orders: Vec<i64> = packed.chunks_exact(self.width).map(Self::order).collect();
        let mut fields: Vec<_> = self.schema.fields()[..count].to_vec();
        fields.extend(self.schema.fields().last().cloned());
        columns.push(Arc::new(arrow::array::Int64Array::from(orders)));
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
    }

    fn column(&self, slot: &Slot, packed: &[u8], texts: &[StringViewArray]) -> Result<ArrayRef, ArrowError> {
        let (width, at, rows) = (self.width, slot.at, packed.len() / self.width);
        let nulls = self.nulls(slot.column, packed);
        let values = match slot.form {
            Form::Text(number) => {
                let numbers = get(packed, width, at, u32::from_le_bytes);
                return take(&texts[number], &UInt32Array::new(numbers.into(), nulls), None);
            }
            Form::Boolean => {
                let values: BooleanBuffer = packed.chunks_exact(width).map(|row| row[at] != 0).collect();
                return Ok(Arc::new(BooleanArray::new(values, nulls)));
            }
            Form::Bytes(1) => get(packed, width, at, u8::from_le_bytes).into(),
            Form::Bytes(2) => get(packed, width, at, u16::from_le_bytes).into(),
            Form::Bytes(4) => get(packed, width, at, u32::from_le_bytes).into(),
            Form::Bytes(8) => get(packed, width, at, u64::from_le_bytes).into(),
            Form::Bytes(_) => Buffer::from_vec(get(packed, width, at, i128::from_le_bytes)),
        };
        let data_type = self.schema.field(slot.column).data_type().clone();
        let data = ArrayData::builder(data_type).len(rows).add_buffer(values).nulls(nulls).build()?;
        Ok(make_array(data))
    }

    fn nulls(&self, column: usize, packed: &[u8]) -> Option<NullBuffer> {
        let (byte, bit) = null_bit(column);
        let any = packed.chunks_exact(self.width).fold(0, |any, row| any | row[byte]) & bit;
        (any != 0).then(|| {
            packed.chunks_exact(self.width).map(|row| row[byte] & bit == 0).collect::<BooleanBuffer>().into()
        })
    }
}

/// The byte and the bit that say whether a column is null.
fn null_bit(column: usize) -> (usize, u8) {
    (ORDER_BYTES + column / 8, 1 << (column % 8))
}

fn put<const N: usize>(rows: &mut [u8], width: usize, at: usize, values: impl Iterator<Item = [u8; N]>) {
    for (row, value) in rows.chunks_exact_mut(width).zip(values) {
        row[at..at + N].copy_from_slice(&value);
    }
}

fn get<const N: usize, T>(packed: &[u8], width: usize, at: usize, value: impl Fn([u8; N]) -> T) -> Vec<T> {
    packed.chunks_exact(width).map(|row| value(bytes_at(row, at))).collect()
}

/// The bytes at a place of a row.
pub(super) fn bytes_at<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&row[at..at + N]);
    bytes
}
