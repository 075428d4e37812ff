//! Many rows of one stretch at once: columns are sliced or taken whole instead of row by row.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, StringBuilder, StructArray, UInt32Array, UInt64Array, new_null_array},
    buffer::{BooleanBuffer, NullBuffer},
    compute::{cast, nullif, take},
    datatypes::{DataType, Float64Type, Schema},
    record_batch::RecordBatch,
};
use dualrun_core::Verdict;

use super::{FIXED_COLUMNS, Writer};
use crate::{block::Block, coded::is_coded, error::CompareError};

/// From so many rows on whole columns are copied.
pub(crate) const MANY: usize = 64;

/// Paired rows of a stretch that differ.
pub(crate) struct StretchRows<'b> {
    /// Legacy, new, v(∅) and w(all): the block and the row that the stretch starts with.
    pub(crate) places: [(&'b Block, usize); 4],
    /// Positions in the stretch, ascending.
    pub(crate) rows: &'b [usize],
    /// The worst verdict by position.
    pub(crate) worst: &'b [Verdict],
    /// By column and position.
    pub(crate) cells: &'b [Vec<Verdict>],
}

impl Writer<'_> {
    /// Takes many rows of a stretch, in their order behind those that were pushed before.
    pub(crate) fn push_stretch(&mut self, stretch: &StretchRows<'_>) -> Result<(), CompareError> {
        let room = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(self.written)).unwrap_or(usize::MAX)
        });
        let rows = &stretch.rows[..stretch.rows.len().min(room)];
        self.truncated |= rows.len() < stretch.rows.len();
        self.written += rows.len() as u64;
        if rows.is_empty() || !self.sink.wants() {
            return Ok(());
        }
        self.copy_out()?;
        let batch = self.batch(&StretchRows { rows, ..*stretch })?;
        self.ready_rows += rows.len();
        self.ready.push(batch);
        if self.ready_rows >= super::BATCH_ROWS { self.hand_over() } else { Ok(()) }
    }

    fn batch(&self, stretch: &StretchRows<'_>) -> Result<RecordBatch, CompareError> {
        let count = stretch.rows.len();
        let picked = stretch.places.map(|(_, start)| Picked::new(stretch.rows, start));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for key in 0..self.keys {
            let array = picked[0].of(&stretch.places[0].0.key_columns[key].array)?;
            columns.push(self.stored(array, self.schema.field(key).data_type())?);
        }
        columns.push(self.words.paired(count));
        columns.push(self.words.verdicts(stretch.rows.iter().map(|row| Some(stretch.worst[*row])), count));
        let none: ArrayRef = Arc::new(UInt64Array::new_null(count));
        columns.push(Arc::clone(&none));
        columns.push(none);
        for column in 0..self.cells.len() {
            columns.push(self.stretch_cell(stretch, &picked, column)?);
        }
        if !self.words.are_codes() {
            return Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        }
        let fields = self.schema.fields().iter().zip(&columns);
        let fields =
            fields.map(|(field, array)| field.as_ref().clone().with_data_type(array.data_type().clone()));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?)
    }

    /// An array in the type in which it is stored, or as codes that mean the same.
    fn stored(&self, array: ArrayRef, to: &DataType) -> Result<ArrayRef, CompareError> {
        if self.words.are_codes() && is_coded(array.data_type()) {
            return Ok(array);
        }
        Ok(if array.data_type() == to { array } else { cast(&array, to)? })
    }

    /// The document of a compared column.
    fn stretch_cell(
        &self,
        stretch: &StretchRows<'_>,
        picked: &[Picked; 4],
        column: usize,
    ) -> Result<ArrayRef, CompareError> {
        let field = self.schema.field(self.keys + FIXED_COLUMNS.len() + column);
        let DataType::Struct(fields) = field.data_type() else {
            return Err(CompareError::MissingColumn { side: None, column: field.name().clone() });
        };
        let count = stretch.rows.len();
        let cells = &stretch.cells[column];
        let stored = |row: &usize| Some(cells[*row]).filter(|verdict| *verdict > Verdict::WithinTolerance);
        let is_full = stretch.rows.iter().all(|row| cells[*row] > Verdict::WithinTolerance);
        let present: BooleanBuffer = if is_full {
            BooleanBuffer::new_set(count)
        } else {
            stretch.rows.iter().map(|row| stored(row).is_some()).collect()
        };
        let absent = arrow::array::BooleanArray::new(!&present, None);
        let mut columns: Vec<ArrayRef> = vec![self.words.verdicts(stretch.rows.iter().map(stored), count)];
        let mut values = Vec::with_capacity(self.relations);
        for relation in 0..self.relations {
            let (block, _) = stretch.places[relation];
            let array = picked[relation].of(&block.columns[column].source.array)?;
            let array = self.stored(array, fields[relation + 2].data_type())?;
            values.push(if is_full { array } else { nullif(&array, &absent)? });
        }
        columns.push(self.stretch_kinds(stretch, column, &values, &present));
        columns.extend(values);
        let nulls = (!is_full).then(|| NullBuffer::new(present));
        let fields = fields.iter().zip(&columns);
        let fields =
            fields.map(|(field, array)| field.as_ref().clone().with_data_type(array.data_type().clone()));
        Ok(Arc::new(StructArray::try_new(fields.collect(), columns, nulls)?))
    }

    /// What stands against what. Where all values are finite numbers there is nothing to say.
    fn stretch_kinds(
        &self,
        stretch: &StretchRows<'_>,
        column: usize,
        values: &[ArrayRef],
        present: &BooleanBuffer,
    ) -> ArrayRef {
        let none = || new_null_array(&DataType::Utf8, stretch.rows.len());
        if self.relations == 2 && values.iter().all(|array| is_usual(array, stretch.rows.len(), present)) {
            return none();
        }
        let mut kinds = StringBuilder::new();
        let [legacy, new, without, with] = stretch.places;
        for (position, row) in stretch.rows.iter().enumerate() {
            let kind = |a: (&Block, usize), b: (&Block, usize)| {
                a.0.difference_kind(column, a.1 + row, b.0, b.1 + row)
            };
            let kind = kind(legacy, new).or_else(|| {
                // Where the sides agree, U is what differs.
                let agree = legacy.0.number(column, legacy.1 + row) == new.0.number(column, new.1 + row);
                if self.relations > 2 && agree { kind(with, without) } else { None }
            });
            kinds.append_option(kind.filter(|_| present.value(position)));
        }
        Arc::new(kinds.finish())
    }
}

/// Rows of an array.
enum Picked {
    Slice(usize, usize),
    Rows(UInt32Array),
}

impl Picked {
    fn new(rows: &[usize], start: usize) -> Self {
        match (rows.first(), rows.last()) {
            (Some(first), Some(last)) if last - first + 1 == rows.len() => {
                Self::Slice(start + first, rows.len())
            }
            // A block has far fewer than 2^32 rows.
            _ => Self::Rows(rows.iter().map(|row| (start + row) as u32).collect()),
        }
    }

    fn of(&self, array: &ArrayRef) -> Result<ArrayRef, CompareError> {
        Ok(match self {
            Self::Slice(at, length) => array.slice(*at, *length),
            Self::Rows(rows) => take(array, rows, None)?,
        })
    }
}

/// Whether an array holds nothing but finite numbers, or texts, apart from where the cells are absent.
fn is_usual(array: &ArrayRef, count: usize, present: &BooleanBuffer) -> bool {
    if array.null_count() != count - present.count_set_bits() {
        return false;
    }
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().all(|v| v.is_finite()),
        DataType::Struct(_) => false,
        _ => true,
    }
}
