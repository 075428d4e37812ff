//! The stored differences: one row a result row that differs, with the values of all relations in their own types.

mod stretch;
mod words;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, StringBuilder, StructArray, UInt64Builder, new_null_array},
    buffer::NullBuffer,
    compute::{cast, concat_batches, interleave},
    datatypes::{DataType, Field, Fields, IntervalUnit, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use dualrun_core::Verdict;

use crate::{block::Block, coded::Source, error::CompareError, schema::Common, spec::Parts};

pub(crate) use stretch::{Chosen, MANY, StretchRows};
use words::Words;

/// Rows of one batch that is given to the sink.
const BATCH_ROWS: usize = 8192;
/// So many batches of the relations are held on to before rows are copied out of them.
const HELD: usize = 32;

/// The columns behind the key columns and before the compared ones.
pub(crate) const FIXED_COLUMNS: [&str; 4] =
    ["dualrun_row", "dualrun_verdict", "dualrun_legacy_rows", "dualrun_new_rows"];

/// Takes what a comparison finds, as it finds it.
pub trait BatchSink {
    /// Takes one batch.
    ///
    /// # Errors
    /// The batch could not be written; the comparison stops.
    fn write(&mut self, batch: RecordBatch) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Whether more rows are wanted; they are counted all the same.
    fn wants(&self) -> bool {
        true
    }

    /// Whether texts may come as `Dictionary(Int32, Utf8)` where they stand so; batches then differ in their schema.
    fn takes_codes(&self) -> bool {
        false
    }
}

impl BatchSink for Vec<RecordBatch> {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.push(batch);
        Ok(())
    }
}

/// The key columns of the comparison, then
///
/// | column | what it says |
/// |---|---|
/// | `dualrun_row` | `paired`, `only_legacy`, `only_new`, `ambiguous_key` |
/// | `dualrun_verdict` | the worst verdict of the row: `explained`, `pending`, `unexplained` |
/// | `dualrun_legacy_rows`, `dualrun_new_rows` | how often an ambiguous key occurs on each side; null for other rows |
///
/// and one column for each compared one, of its name: null where the cell agrees, else a document of `verdict`, `kind`,
/// `legacy` and `new`, the values in the type in which they were compared. `kind` is null where two values differ, and
/// otherwise says what stands against what: `null_vs_value`, `value_vs_null`, `nan_vs_value`, `value_vs_nan`,
/// `null_vs_nan`, `nan_vs_null`, `infinite`. Where changes are declared also `without_changes`, v(∅), the new value under
/// the old method, and `with_fixes`, w(all), the legacy value with all declared fixes. A row on one side only has its
/// values in all columns; an ambiguous key has none.
pub fn differences_schema(common: &Common, parts: &Parts) -> SchemaRef {
    let stored = |field: &Field| Field::new(field.name(), stored_type(field.data_type()), true);
    let keys = common.spec.key.len();
    let mut fields: Vec<Field> = common.schema.fields().iter().take(keys).map(|f| stored(f)).collect();
    fields.push(Field::new(FIXED_COLUMNS[0], DataType::Utf8, false));
    fields.push(Field::new(FIXED_COLUMNS[1], DataType::Utf8, false));
    fields.push(Field::new(FIXED_COLUMNS[2], DataType::UInt64, true));
    fields.push(Field::new(FIXED_COLUMNS[3], DataType::UInt64, true));
    for column in &common.spec.columns {
        if let Ok(field) = common.schema.field_with_name(&column.name) {
            let value = stored_type(field.data_type());
            fields.push(Field::new(&column.name, DataType::Struct(cell_fields(&value, parts)), true));
        }
    }
    Arc::new(Schema::new(fields))
}

fn cell_fields(value: &DataType, parts: &Parts) -> Fields {
    let mut fields =
        vec![Field::new("verdict", DataType::Utf8, true), Field::new("kind", DataType::Utf8, true)];
    let names = ["legacy", "new", "without_changes", "with_fixes"];
    fields.extend(names.into_iter().take(relations(parts)).map(|name| Field::new(name, value.clone(), true)));
    fields.into()
}

/// How many of the relations a cell is stored for.
fn relations(parts: &Parts) -> usize {
    if parts.is_plain() { 2 } else { 4 }
}

/// Parquet holds no intervals of nanoseconds: they are stored as text.
fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::Interval(IntervalUnit::MonthDayNano) => DataType::Utf8,
        other => other.clone(),
    }
}

/// What a row of the differences is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RowKind {
    Paired,
    OnlyLegacy,
    OnlyNew,
    Ambiguous { legacy: u64, new: u64 },
}

/// Where a relation has the row: the block and the position in it.
pub(crate) type Place<'a> = Option<(&'a Arc<Block>, usize)>;

/// A row that waits to be copied out of its blocks: position of the block plus one, 0 for none, and the row in it.
#[derive(Debug)]
struct Waiting {
    kind: RowKind,
    verdict: Verdict,
    places: [(usize, usize); 4],
}

/// Collects differences and hands them to the sink batch by batch.
pub(crate) struct Writer<'a> {
    sink: &'a mut dyn BatchSink,
    schema: SchemaRef,
    relations: usize,
    keys: usize,
    limit: Option<u64>,
    pub(crate) written: u64,
    pub(crate) truncated: bool,
    blocks: Vec<Arc<Block>>,
    rows: Vec<Waiting>,
    /// The verdict of each cell of the waiting rows, column by column; none where it agrees.
    cells: Vec<Vec<Option<Verdict>>>,
    ready: Vec<RecordBatch>,
    ready_rows: usize,
    words: Words,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        common: &Common,
        parts: &Parts,
        limit: Option<u64>,
        sink: &'a mut dyn BatchSink,
    ) -> Self {
        let codes = sink.takes_codes();
        Self {
            sink,
            schema: differences_schema(common, parts),
            relations: relations(parts),
            keys: common.spec.key.len(),
            limit,
            written: 0,
            truncated: false,
            blocks: Vec::new(),
            rows: Vec::new(),
            cells: vec![Vec::new(); common.spec.columns.len()],
            ready: Vec::new(),
            ready_rows: 0,
            words: Words::new(codes),
        }
    }

    /// Takes a row: where legacy, new, v(∅) and w(all) have it, and the verdict of each cell that differs.
    pub(crate) fn push(
        &mut self,
        kind: RowKind,
        verdict: Verdict,
        places: [Place<'_>; 4],
        cell: impl Fn(usize) -> Option<Verdict>,
    ) -> Result<(), CompareError> {
        if self.limit.is_some_and(|limit| self.written >= limit) {
            self.truncated = true;
            return Ok(());
        }
        self.written += 1;
        if !self.sink.wants() {
            return Ok(());
        }
        let mut waiting = Waiting { kind, verdict, places: [(0, 0); 4] };
        for (slot, place) in waiting.places.iter_mut().zip(places).take(self.relations) {
            if let Some((block, row)) = place {
                *slot = (self.position(block) + 1, row);
            }
        }
        self.rows.push(waiting);
        for (column, cells) in self.cells.iter_mut().enumerate() {
            cells.push(cell(column));
        }
        if self.blocks.len() >= HELD || self.rows.len() >= BATCH_ROWS {
            self.copy_out()?;
        }
        if self.ready_rows >= BATCH_ROWS { self.hand_over() } else { Ok(()) }
    }

    /// Gives what is left to the sink.
    pub(crate) fn flush(&mut self) -> Result<(), CompareError> {
        self.copy_out()?;
        self.hand_over()
    }

    fn position(&mut self, block: &Arc<Block>) -> usize {
        let known = self.blocks.iter().rposition(|b| Arc::ptr_eq(b, block));
        known.unwrap_or_else(|| {
            self.blocks.push(Arc::clone(block));
            self.blocks.len() - 1
        })
    }

    fn hand_over(&mut self) -> Result<(), CompareError> {
        let ready = std::mem::take(&mut self.ready);
        self.ready_rows = 0;
        if self.sink.takes_codes() {
            return ready
                .into_iter()
                .try_for_each(|batch| self.sink.write(batch))
                .map_err(CompareError::Sink);
        }
        let batch = match ready.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            several => concat_batches(&self.schema, several)?,
        };
        self.sink.write(batch).map_err(CompareError::Sink)
    }

    /// Copies the waiting rows out of their blocks, which are let go.
    fn copy_out(&mut self) -> Result<(), CompareError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        // A row has its key on the legacy side or on the new one; a key that only replays have is not stored.
        let any: Vec<_> =
            self.rows.iter().map(|r| if r.places[0].0 > 0 { r.places[0] } else { r.places[1] }).collect();
        for key in 0..self.keys {
            let to = self.schema.field(key).data_type();
            columns.push(self.gather(|block| &block.key_columns[key], &any, to)?);
        }
        columns.extend(self.fixed());
        for column in 0..self.cells.len() {
            columns.push(self.cell(column)?);
        }
        self.ready_rows += self.rows.len();
        self.rows.clear();
        self.blocks.clear();
        self.cells.iter_mut().for_each(Vec::clear);
        self.ready.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        Ok(())
    }

    fn fixed(&self) -> [ArrayRef; 4] {
        let (mut kinds, mut verdicts) = (StringBuilder::new(), StringBuilder::new());
        let (mut legacy, mut new) = (UInt64Builder::new(), UInt64Builder::new());
        for row in &self.rows {
            let (kind, counts) = match row.kind {
                RowKind::Paired => ("paired", None),
                RowKind::OnlyLegacy => ("only_legacy", None),
                RowKind::OnlyNew => ("only_new", None),
                RowKind::Ambiguous { legacy, new } => ("ambiguous_key", Some((legacy, new))),
            };
            kinds.append_value(kind);
            verdicts.append_value(row.verdict.as_str());
            legacy.append_option(counts.map(|c| c.0));
            new.append_option(counts.map(|c| c.1));
        }
        [
            Arc::new(kinds.finish()),
            Arc::new(verdicts.finish()),
            Arc::new(legacy.finish()),
            Arc::new(new.finish()),
        ]
    }

    /// The document of a compared column.
    fn cell(&self, column: usize) -> Result<ArrayRef, CompareError> {
        let field = self.schema.field(self.keys + FIXED_COLUMNS.len() + column);
        let DataType::Struct(fields) = field.data_type() else {
            return Err(CompareError::MissingColumn { side: None, column: field.name().clone() });
        };
        let cells = &self.cells[column];
        let mut verdicts = StringBuilder::new();
        cells.iter().for_each(|cell| verdicts.append_option(cell.map(Verdict::as_str)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(verdicts.finish()), self.kinds(column)];
        for relation in 0..self.relations {
            let places: Vec<_> = self
                .rows
                .iter()
                .zip(cells)
                .map(|(row, cell)| if cell.is_some() { row.places[relation] } else { (0, 0) })
                .collect();
            let to = fields[relation + 2].data_type();
            columns.push(self.gather(|block| &block.columns[column].source, &places, to)?);
        }
        let present: NullBuffer = cells.iter().map(Option::is_some).collect();
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, Some(present))?))
    }

    /// What stands against what, where it is more than two values that differ.
    fn kinds(&self, column: usize) -> ArrayRef {
        let mut kinds = StringBuilder::new();
        let at = |(block, row): (usize, usize)| block.checked_sub(1).map(|b| (&*self.blocks[b], row));
        for (row, cell) in self.rows.iter().zip(&self.cells[column]) {
            let both = at(row.places[0]).zip(at(row.places[1])).filter(|_| cell.is_some());
            let kind = both.and_then(|((legacy, l), (new, n))| {
                legacy.difference_kind(column, l, new, n).or_else(|| {
                    // Where the sides agree, U is what differs.
                    let (without, with) = (at(row.places[2])?, at(row.places[3])?);
                    let agree = legacy.number(column, l) == new.number(column, n);
                    if agree { with.0.difference_kind(column, with.1, without.0, without.1) } else { None }
                })
            });
            kinds.append_option(kind);
        }
        Arc::new(kinds.finish())
    }

    /// The values at these places; null at place 0.
    fn gather<'b>(
        &'b self,
        of: impl Fn(&'b Block) -> &'b Source,
        places: &[(usize, usize)],
        to: &DataType,
    ) -> Result<ArrayRef, CompareError> {
        let (arrays, rows): (Vec<&dyn Array>, Vec<_>) =
            self.blocks.iter().map(|block| of(block).shared()).unzip();
        let none = new_null_array(arrays.first().map_or(&DataType::Null, |array| array.data_type()), 1);
        let sources: Vec<&dyn Array> = std::iter::once(none.as_ref()).chain(arrays).collect();
        let place = |(block, row): &(usize, usize)| {
            let within = block.checked_sub(1).and_then(|b| rows[b](*row));
            within.map_or((0, 0), |row| (*block, row))
        };
        let places: Vec<_> = places.iter().map(place).collect();
        let values = interleave(&sources, &places)?;
        Ok(if values.data_type() == to { values } else { cast(&values, to)? })
    }
}
