//! Unexplained cells out of the stored differences ([`dualrun_compare::differences_schema`]): one row a result row
//! that differs, one struct column a compared column.

use std::collections::BTreeSet;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, StructArray},
    buffer::{BooleanBuffer, NullBuffer},
    compute::{can_cast_types, cast, kernels::cmp::eq},
    datatypes::{DataType, UInt64Type, i256},
};
use dualrun_compare::{nearest_floats, text::value_text, types::is_exact_number};

use super::{
    CAP, CellKind, Cells, PRESENCE, UnexplainedCell,
    exact::{Exact, Units},
};
use crate::error::ExplainError;

/// The column under which a key that occurs more than once is reported.
const KEY: &str = "key";
/// What a row is, and its worst verdict.
const ROW: &str = "dualrun_row";
const VERDICT: &str = "dualrun_verdict";
const UNEXPLAINED: &str = "unexplained";

/// Reads the unexplained cells out of stored differences. Those with another verdict are passed over.
///
/// # Errors
/// A column that is missing or has a type that cannot be read.
#[cfg(test)]
pub(crate) fn cells_from_differences(
    batches: &[RecordBatch],
    key: &[String],
    customer: Option<&str>,
) -> Result<Cells, ExplainError> {
    let mut reader = CellReader::new(key, customer);
    for batch in batches {
        reader.push(batch)?;
    }
    Ok(reader.finish())
}

/// Takes stored differences batch by batch and keeps the first [`CAP`] unexplained cells; the others are counted.
#[derive(Debug)]
pub struct CellReader {
    cells: Cells,
    attributes: BTreeSet<String>,
    pub(super) cap: usize,
}

impl CellReader {
    /// A reader of differences with this key. A customer column outside of the key is not known: the differences hold
    /// the key columns only.
    pub fn new(key: &[String], customer: Option<&str>) -> Self {
        let customer = customer.filter(|c| key.iter().any(|k| k == c)).map(str::to_owned);
        let cells = Cells { key_columns: key.to_vec(), customer, ..Cells::default() };
        Self { cells, attributes: BTreeSet::new(), cap: CAP }
    }

    /// Names columns that were compared for equality although their values may be numbers. Without this each column of
    /// numbers is taken for a measure.
    #[must_use]
    pub fn attributes<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.attributes.extend(names.into_iter().map(Into::into));
        self
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// A column that is missing or has a type that cannot be read.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ExplainError> {
        let verdicts = Verdicts::new(batch, &self.cells.key_columns, &self.attributes)?;
        if self.cells.texts.is_empty() {
            self.cells.texts = texts(batch);
        }
        let count = verdicts.count();
        self.cells.total += count;
        // Texts and floats cost more than counting: they are made only where a cell is kept.
        if count == 0 || self.cells.cells.len() >= self.cap {
            return Ok(());
        }
        let values = Values::new(batch, &verdicts, &self.cells)?;
        for row in verdicts.rows.set_indices() {
            values.row(row, &mut self.cells.cells)?;
            if self.cells.cells.len() >= self.cap {
                self.cells.cells.truncate(self.cap);
                break;
            }
        }
        Ok(())
    }

    /// What was read.
    pub fn finish(self) -> Cells {
        self.cells
    }
}

/// What a row of the differences is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Paired,
    OnlyLegacy,
    OnlyNew,
    Ambiguous,
}

/// The unexplained rows and cells of a batch: enough to count.
struct Verdicts<'a> {
    /// Rows that are unexplained.
    rows: BooleanBuffer,
    only_legacy: BooleanBuffer,
    only_new: BooleanBuffer,
    ambiguous: BooleanBuffer,
    columns: Vec<Compared<'a>>,
}

/// A compared column.
struct Compared<'a> {
    name: &'a str,
    cells: &'a StructArray,
    /// Cells that are unexplained, of paired rows.
    unexplained: BooleanBuffer,
    is_measure: bool,
}

impl<'a> Verdicts<'a> {
    fn new(
        batch: &'a RecordBatch,
        key: &[String],
        attributes: &BTreeSet<String>,
    ) -> Result<Self, ExplainError> {
        let kinds = strings(batch, ROW)?;
        let rows = matching(VERDICT, &strings(batch, VERDICT)?, UNEXPLAINED)?;
        let of_kind = |kind| Ok(&matching(ROW, &kinds, kind)? & &rows);
        let paired = of_kind("paired")?;
        let fields = batch.schema_ref().fields().iter().zip(batch.columns());
        let columns = fields
            .filter(|(field, _)| !key.contains(field.name()))
            .filter_map(|(field, column)| {
                let is_attribute = attributes.contains(field.name());
                Compared::new(field.name(), column, &paired, is_attribute).transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            only_legacy: of_kind("only_legacy")?,
            only_new: of_kind("only_new")?,
            ambiguous: of_kind("ambiguous_key")?,
            rows,
            columns,
        })
    }

    fn row(&self, row: usize) -> Row {
        if self.only_legacy.value(row) {
            Row::OnlyLegacy
        } else if self.only_new.value(row) {
            Row::OnlyNew
        } else if self.ambiguous.value(row) {
            Row::Ambiguous
        } else {
            Row::Paired
        }
    }

    /// How many cells [`Values::row`] gives over all unexplained rows.
    fn count(&self) -> u64 {
        let measures = self.columns.iter().filter(|c| c.is_measure).count();
        let one_sided = self.only_legacy.count_set_bits() + self.only_new.count_set_bits();
        let paired: usize = self.columns.iter().map(|c| c.unexplained.count_set_bits()).sum();
        (paired + one_sided * (1 + measures) + self.ambiguous.count_set_bits()) as u64
    }
}

impl<'a> Compared<'a> {
    /// `None` where it is none of the compared columns.
    fn new(
        name: &'a str,
        column: &'a ArrayRef,
        paired: &BooleanBuffer,
        is_attribute: bool,
    ) -> Result<Option<Self>, ExplainError> {
        let Some(cells) = column.as_struct_opt() else { return Ok(None) };
        let (Some(verdicts), Some(legacy), Some(_)) =
            (cells.column_by_name("verdict"), cells.column_by_name("legacy"), cells.column_by_name("new"))
        else {
            return Ok(None);
        };
        let of = legacy.data_type();
        let is_measure = !is_attribute && (of.is_numeric() || is_exact_number(of));
        let mut unexplained = &matching(name, &casted(name, verdicts)?, UNEXPLAINED)? & paired;
        if let Some(nulls) = cells.nulls() {
            unexplained = &unexplained & nulls.inner();
        }
        Ok(Some(Self { name, cells, unexplained, is_measure }))
    }
}

/// Where the texts are this one.
fn matching(name: &str, texts: &StringArray, text: &str) -> Result<BooleanBuffer, ExplainError> {
    let found = eq(texts, &StringArray::new_scalar(text));
    let (found, nulls) = found.map_err(|source| unreadable(name, "text", source))?.into_parts();
    Ok(nulls.map_or_else(|| found.clone(), |nulls| &found & nulls.inner()))
}

/// The values of a batch.
struct Values<'a> {
    verdicts: &'a Verdicts<'a>,
    key: Vec<StringArray>,
    /// The position of the customer in the key.
    customer: Option<usize>,
    legacy_rows: &'a ArrayRef,
    new_rows: &'a ArrayRef,
    /// One for each of the compared columns.
    cells: Vec<Cell>,
}

/// The values of a compared column in the relations that a verdict needs.
struct Cell {
    legacy: Side,
    new: Side,
    /// v(∅); where no change is declared, that is the new side.
    without_changes: Option<Side>,
    /// w(all); where no change is declared, that is the legacy side.
    with_fixes: Option<Side>,
}

struct Side {
    values: ArrayRef,
    nulls: Option<NullBuffer>,
    floats: Option<Float64Array>,
    units: Option<Units>,
}

/// Which relations lack a row.
struct Absent {
    legacy: bool,
    new: bool,
    with_fixes: bool,
    without_changes: bool,
}

impl<'a> Values<'a> {
    fn new(batch: &'a RecordBatch, verdicts: &'a Verdicts<'a>, cells: &Cells) -> Result<Self, ExplainError> {
        let key = &cells.key_columns;
        let customer = cells.customer.as_ref().and_then(|c| key.iter().position(|k| k == c));
        Ok(Self {
            verdicts,
            key: key.iter().map(|name| strings(batch, name)).collect::<Result<_, _>>()?,
            customer,
            legacy_rows: column(batch, "dualrun_legacy_rows")?,
            new_rows: column(batch, "dualrun_new_rows")?,
            cells: verdicts.columns.iter().map(Cell::new).collect::<Result<_, _>>()?,
        })
    }

    /// The cells of an unexplained row.
    fn row(&self, row: usize, found: &mut Vec<UnexplainedCell>) -> Result<(), ExplainError> {
        let kind = self.verdicts.row(row);
        let cells = || self.verdicts.columns.iter().zip(&self.cells);
        match kind {
            Row::Ambiguous => {
                let mut cell = self.blank(row, KEY, CellKind::Ambiguous);
                cell.legacy_text = rows_of_key(self.legacy_rows, row);
                cell.new_text = rows_of_key(self.new_rows, row);
                found.push(cell);
            }
            Row::OnlyLegacy | Row::OnlyNew => {
                let is_legacy = kind == Row::OnlyLegacy;
                let presence = if is_legacy { CellKind::OnlyLegacy } else { CellKind::OnlyNew };
                let mut cell = self.blank(row, PRESENCE, presence);
                let text = |has: bool| Some(if has { "present" } else { "absent" }.to_owned());
                (cell.legacy_text, cell.new_text) = (text(is_legacy), text(!is_legacy));
                found.push(cell);
                let absent = self.absent(row, kind);
                for (column, values) in cells().filter(|(column, _)| column.is_measure) {
                    found.push(self.value(row, &absent, column, values)?);
                }
            }
            Row::Paired => {
                let absent = self.absent(row, kind);
                for (column, values) in cells().filter(|(column, _)| column.unexplained.value(row)) {
                    found.push(self.value(row, &absent, column, values)?);
                }
            }
        }
        Ok(())
    }

    fn value(
        &self,
        row: usize,
        absent: &Absent,
        column: &Compared<'_>,
        cell: &Cell,
    ) -> Result<UnexplainedCell, ExplainError> {
        let kind = if column.is_measure { CellKind::Measure } else { CellKind::Attribute };
        let mut found = self.blank(row, column.name, kind);
        found.legacy_text = cell.legacy.text(column.name, row)?;
        found.new_text = cell.new.text(column.name, row)?;
        if column.is_measure {
            found.legacy = cell.legacy.figure(row, absent.legacy);
            found.new = cell.new.figure(row, absent.new);
            let replay = |side: &Option<Side>, absent| side.as_ref().map(|side| side.figure(row, absent));
            found.with_fixes = replay(&cell.with_fixes, absent.with_fixes).unwrap_or(found.legacy);
            found.without_changes =
                replay(&cell.without_changes, absent.without_changes).unwrap_or(found.new);
            found.exact = cell.exact(row, absent);
        }
        Ok(found)
    }

    fn absent(&self, row: usize, kind: Row) -> Absent {
        let (legacy, new) = (kind == Row::OnlyNew, kind == Row::OnlyLegacy);
        Absent {
            legacy,
            new,
            with_fixes: self.lacks(row, legacy, |c| (c.with_fixes.as_ref(), &c.legacy)),
            without_changes: self.lacks(row, new, |c| (c.without_changes.as_ref(), &c.new)),
        }
    }

    /// Whether a replay lacks the row. A row that it lacks differs in every column and has a value in none. So does a
    /// row of nothing but nulls: that is what it is taken for where its own side has such a row.
    fn lacks(&self, row: usize, own_side_lacks: bool, of: impl Fn(&Cell) -> (Option<&Side>, &Side)) -> bool {
        let differs = self.verdicts.columns.iter().all(|column| column.cells.is_valid(row));
        let empty = self.cells.iter().all(|cell| of(cell).0.is_none_or(|replay| replay.is_null(row)));
        let has_value = || self.cells.iter().any(|cell| !of(cell).1.is_null(row));
        differs && empty && (own_side_lacks || has_value())
    }

    fn blank(&self, row: usize, column: &str, kind: CellKind) -> UnexplainedCell {
        let key: Vec<_> =
            self.key.iter().map(|texts| texts.is_valid(row).then(|| texts.value(row).to_owned())).collect();
        UnexplainedCell {
            customer: self.customer.and_then(|position| key[position].clone()),
            key,
            column: column.to_owned(),
            kind,
            legacy: None,
            new: None,
            without_changes: None,
            with_fixes: None,
            exact: None,
            legacy_text: None,
            new_text: None,
        }
    }
}

impl Cell {
    fn new(column: &Compared<'_>) -> Result<Self, ExplainError> {
        let side = |name: &str| {
            column.cells.column_by_name(name).map(|values| Side::new(column, values)).transpose()
        };
        let needed = |name: &str| side(name)?.ok_or_else(|| missing(column.name));
        Ok(Self {
            legacy: needed("legacy")?,
            new: needed("new")?,
            without_changes: side("without_changes")?,
            with_fixes: side("with_fixes")?,
        })
    }

    /// w(all) and v(∅) in units.
    fn exact(&self, row: usize, absent: &Absent) -> Option<Exact> {
        let of = |replay: &Option<Side>, replay_lacks, own: &Side, own_lacks| match replay {
            Some(side) => side.exact(row, replay_lacks),
            None => own.exact(row, own_lacks),
        };
        let (legacy, scale) = of(&self.with_fixes, absent.with_fixes, &self.legacy, absent.legacy)?;
        let (new, other) = of(&self.without_changes, absent.without_changes, &self.new, absent.new)?;
        (scale == other).then_some(Exact { legacy, new, scale })
    }
}

impl Side {
    fn new(column: &Compared<'_>, values: &ArrayRef) -> Result<Self, ExplainError> {
        let floats = column.is_measure.then(|| nearest_floats(values)).transpose();
        Ok(Self {
            values: values.clone(),
            nulls: values.logical_nulls(),
            floats: floats.map_err(|source| unreadable(column.name, "a number", source))?,
            units: column.is_measure.then(|| Units::new(values)).flatten(),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The nearest float: null is none, what is not finite is NaN, the figure of an absent row is 0.
    fn figure(&self, row: usize, absent: bool) -> Option<f64> {
        if absent {
            return Some(0.0);
        }
        let floats = self.floats.as_ref().filter(|_| !self.is_null(row))?;
        let value = floats.value(row);
        Some(if value.is_finite() { value } else { f64::NAN })
    }

    /// The same in units of the last digit, and how many digits there are.
    fn exact(&self, row: usize, absent: bool) -> Option<(i256, u32)> {
        let units = self.units.as_ref().filter(|_| absent || !self.is_null(row))?;
        Some((units.value(row, absent)?, units.scale()))
    }

    fn text(&self, column: &str, row: usize) -> Result<Option<String>, ExplainError> {
        if self.is_null(row) {
            return Ok(None);
        }
        value_text(&self.values, row).map_err(|source| unreadable(column, "text", source))
    }
}

/// The columns of texts: keys as they are, compared columns by their legacy values.
fn texts(batch: &RecordBatch) -> BTreeSet<String> {
    let is_text = |column: &ArrayRef| {
        let compared = column.as_struct_opt().and_then(|cells| cells.column_by_name("legacy"));
        match compared.unwrap_or(column).data_type() {
            DataType::Dictionary(_, values) => values.is_string(),
            DataType::RunEndEncoded(_, values) => values.data_type().is_string(),
            of => of.is_string(),
        }
    };
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    columns.filter(|(_, column)| is_text(column)).map(|(field, _)| field.name().clone()).collect()
}

/// How often a key occurs, as text.
fn rows_of_key(counts: &ArrayRef, row: usize) -> Option<String> {
    let counts = counts.as_primitive_opt::<UInt64Type>()?;
    counts.is_valid(row).then(|| counts.value(row).to_string())
}

fn strings(batch: &RecordBatch, name: &str) -> Result<StringArray, ExplainError> {
    casted(name, column(batch, name)?)
}

fn casted(name: &str, values: &ArrayRef) -> Result<StringArray, ExplainError> {
    if !can_cast_types(values.data_type(), &DataType::Utf8) {
        let texts = (0..values.len()).map(|row| value_text(values, row)).collect::<Result<_, _>>();
        return texts.map_err(|source| unreadable(name, "text", source));
    }
    let texts = cast(values, &DataType::Utf8).map_err(|source| unreadable(name, "text", source))?;
    texts.as_string_opt::<i32>().cloned().ok_or_else(|| missing(name))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ExplainError> {
    batch.column_by_name(name).ok_or_else(|| missing(name))
}

fn unreadable(column: &str, wanted: &'static str, source: arrow::error::ArrowError) -> ExplainError {
    ExplainError::Type { column: column.to_owned(), wanted, source }
}

fn missing(name: &str) -> ExplainError {
    ExplainError::MissingColumn(name.to_owned())
}
