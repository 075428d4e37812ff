//! Many rows of one stretch at once: columns are sliced or taken whole instead of row by row.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, StringBuilder, StructArray, UInt32Array, UInt64Array,
        new_null_array,
    },
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
#[derive(Clone, Copy)]
pub(crate) struct StretchRows<'b> {
    /// Legacy, new, v(∅) and w(all): the block and the row that the stretch starts with.
    pub(crate) places: [(&'b Block, usize); 4],
    pub(crate) chosen: Chosen<'b>,
}

/// Which rows they are, and where they differ.
#[derive(Clone, Copy)]
pub(crate) enum Chosen<'b> {
    /// All of them, each unexplained in the columns that differ and equal in the others.
    All { length: usize, differs: &'b [bool] },
    /// Positions in the stretch, ascending; the worst verdict by position; verdicts by column and position.
    Some { rows: &'b [usize], worst: &'b [Verdict], cells: &'b [Vec<Verdict>] },
}

/// What the cells of a column are.
enum Cells<'a> {
    /// All of them are stored, with one verdict.
    Whole(Verdict),
    /// None is stored.
    Absent,
    /// The verdict of each row that is stored.
    Each(&'a [usize], &'a [Verdict]),
}

impl Chosen<'_> {
    fn count(&self) -> usize {
        match self {
            Self::All { length, .. } => *length,
            Self::Some { rows, .. } => rows.len(),
        }
    }

    fn first(self, count: usize) -> Self {
        match self {
            Self::All { length, differs } => Self::All { length: length.min(count), differs },
            Self::Some { rows, worst, cells } => {
                Self::Some { rows: &rows[..rows.len().min(count)], worst, cells }
            }
        }
    }

    fn picked(&self, start: usize) -> Picked {
        match self {
            Self::All { length, .. } => Picked::Slice(start, *length),
            Self::Some { rows, .. } => Picked::new(rows, start),
        }
    }

    fn cells(&self, column: usize) -> Cells<'_> {
        match self {
            Self::All { differs, .. } if differs[column] => Cells::Whole(Verdict::Unexplained),
            Self::All { .. } => Cells::Absent,
            Self::Some { rows, cells, .. } => {
                let cells = &cells[column];
                let is_stored = |row: &usize| cells[*row] > Verdict::WithinTolerance;
                let first = rows.first().map_or(Verdict::Equal, |row| cells[*row]);
                if first > Verdict::WithinTolerance && rows.iter().all(|row| cells[*row] == first) {
                    Cells::Whole(first)
                } else if rows.iter().any(is_stored) {
                    Cells::Each(rows, cells)
                } else {
                    Cells::Absent
                }
            }
        }
    }
}

impl Writer<'_> {
    /// Takes many rows of a stretch, in their order behind those that were pushed before.
    pub(crate) fn push_stretch(&mut self, stretch: &StretchRows<'_>) -> Result<(), CompareError> {
        let room = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(self.written)).unwrap_or(usize::MAX)
        });
        let chosen = stretch.chosen.first(room);
        let count = chosen.count();
        self.truncated |= count < stretch.chosen.count();
        self.written += count as u64;
        if count == 0 || !self.sink.wants() {
            return Ok(());
        }
        self.copy_out()?;
        let batch = self.batch(&StretchRows { chosen, ..*stretch })?;
        self.ready_rows += count;
        self.ready.push(batch);
        if self.ready_rows >= super::BATCH_ROWS { self.hand_over() } else { Ok(()) }
    }

    fn batch(&mut self, stretch: &StretchRows<'_>) -> Result<RecordBatch, CompareError> {
        let chosen = &stretch.chosen;
        let count = chosen.count();
        let picked = stretch.places.map(|(_, start)| chosen.picked(start));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for key in 0..self.keys {
            let array = picked[0].of(&stretch.places[0].0.key_columns[key].array)?;
            columns.push(self.stored(array, self.schema.field(key).data_type())?);
        }
        columns.push(self.words.paired(count));
        columns.push(match chosen {
            Chosen::All { .. } => self.words.verdict(Verdict::Unexplained, count),
            Chosen::Some { rows, worst, .. } => {
                self.words.verdicts(rows.iter().map(|row| Some(worst[*row])), count)
            }
        });
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
        &mut self,
        stretch: &StretchRows<'_>,
        picked: &[Picked; 4],
        column: usize,
    ) -> Result<ArrayRef, CompareError> {
        let schema = Arc::clone(&self.schema);
        let field = schema.field(self.keys + FIXED_COLUMNS.len() + column);
        let DataType::Struct(fields) = field.data_type() else {
            return Err(CompareError::MissingColumn { side: None, column: field.name().clone() });
        };
        let count = stretch.chosen.count();
        let (verdicts, present) = match stretch.chosen.cells(column) {
            Cells::Absent => return Ok(new_null_array(field.data_type(), count)),
            Cells::Whole(verdict) => (self.words.verdict(verdict, count), None),
            Cells::Each(rows, cells) => {
                let stored =
                    |row: &usize| Some(cells[*row]).filter(|verdict| *verdict > Verdict::WithinTolerance);
                let present: BooleanBuffer = rows.iter().map(|row| stored(row).is_some()).collect();
                (self.words.verdicts(rows.iter().map(stored), count), Some(present))
            }
        };
        let absent = present.as_ref().map(|present| BooleanArray::new(!present, None));
        let mut values = Vec::with_capacity(self.relations);
        for relation in 0..self.relations {
            let (block, _) = stretch.places[relation];
            let array = picked[relation].of(&block.columns[column].source.array)?;
            let array = self.stored(array, fields[relation + 2].data_type())?;
            values.push(match &absent {
                Some(absent) => nullif(&array, absent)?,
                None => array,
            });
        }
        let mut columns = vec![verdicts, self.stretch_kinds(stretch, column, &values, present.as_ref())];
        columns.extend(values);
        let fields = fields.iter().zip(&columns);
        let fields =
            fields.map(|(field, array)| field.as_ref().clone().with_data_type(array.data_type().clone()));
        Ok(Arc::new(StructArray::try_new(fields.collect(), columns, present.map(NullBuffer::new))?))
    }

    /// What stands against what. Where all values are finite numbers there is nothing to say.
    fn stretch_kinds(
        &self,
        stretch: &StretchRows<'_>,
        column: usize,
        values: &[ArrayRef],
        present: Option<&BooleanBuffer>,
    ) -> ArrayRef {
        let count = stretch.chosen.count();
        let absent = present.map_or(0, |present| count - present.count_set_bits());
        if self.relations == 2 && values.iter().all(|array| is_usual(array, absent)) {
            return new_null_array(&DataType::Utf8, count);
        }
        let mut kinds = StringBuilder::new();
        let [legacy, new, without, with] = stretch.places;
        for position in 0..count {
            let row = match stretch.chosen {
                Chosen::All { .. } => position,
                Chosen::Some { rows, .. } => rows[position],
            };
            let kind = |a: (&Block, usize), b: (&Block, usize)| {
                a.0.difference_kind(column, a.1 + row, b.0, b.1 + row)
            };
            let kind = kind(legacy, new).or_else(|| {
                // Where the sides agree, U is what differs.
                let agree = legacy.0.number(column, legacy.1 + row) == new.0.number(column, new.1 + row);
                if self.relations > 2 && agree { kind(with, without) } else { None }
            });
            kinds.append_option(kind.filter(|_| present.is_none_or(|present| present.value(position))));
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

/// Whether an array holds nothing but finite numbers, or texts, apart from so many cells that are absent.
fn is_usual(array: &ArrayRef, absent: usize) -> bool {
    if array.null_count() != absent {
        return false;
    }
    match array.data_type() {
        DataType::Float64 if absent == 0 => {
            array.as_primitive::<Float64Type>().values().iter().fold(true, |usual, v| usual & v.is_finite())
        }
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite),
        DataType::Struct(_) => false,
        _ => true,
    }
}
