//! Cells that no declared change accounts for, in memory.

use arrow::{
    array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};

use crate::error::ExplainError;

/// How many unexplained cells are looked at: signatures show in far fewer.
pub const CAP: usize = 200_000;

/// The column name under which rows on one side only are reported.
pub const PRESENCE: &str = "presence";

/// What is unexplained about a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellKind {
    /// A number.
    Measure,
    /// A value that is compared for equality.
    Attribute,
    /// The row stands on the legacy side only.
    OnlyLegacy,
    /// The row stands on the new side only.
    OnlyNew,
    /// The key occurs more than once on a side.
    Ambiguous,
}

/// One unexplained cell.
#[derive(Debug, Clone, PartialEq)]
pub struct UnexplainedCell {
    /// The values of the key columns as text, in the order of [`Cells::key_columns`].
    pub key: Vec<Option<String>>,
    /// The customer as the results name it.
    pub customer: Option<String>,
    /// The column; [`PRESENCE`] for rows, `key` for keys that occur twice.
    pub column: String,
    /// What is unexplained about it.
    pub kind: CellKind,
    /// w(∅), of a measure.
    pub legacy: Option<f64>,
    /// v(all), of a measure.
    pub new: Option<f64>,
    /// v(∅): the new figure under the old method.
    pub without_changes: Option<f64>,
    /// w(all): the legacy figure with all declared fixes.
    pub with_fixes: Option<f64>,
    /// The legacy value as text.
    pub legacy_text: Option<String>,
    /// The new value as text.
    pub new_text: Option<String>,
}

impl UnexplainedCell {
    /// U = v(∅) − w(all); an absent or null figure counts 0, one that is not finite leaves 0.
    pub fn unexplained(&self) -> f64 {
        let u = self.without_changes.unwrap_or(0.0) - self.with_fixes.unwrap_or(0.0);
        if u.is_finite() { u } else { 0.0 }
    }

    /// w(all) and v(∅) where both are finite numbers: the pair in which a bug shows without the declared
    /// changes.
    pub fn pair(&self) -> Option<(f64, f64)> {
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
        Some((finite(self.with_fixes)?, finite(self.without_changes)?))
    }
}

/// Unexplained cells of one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cells {
    /// The names of the key columns.
    pub key_columns: Vec<String>,
    /// The column that names the customer, where it is part of the key.
    pub customer: Option<String>,
    /// At most [`CAP`] of them.
    pub cells: Vec<UnexplainedCell>,
    /// How many there were before the cap.
    pub total: u64,
}

impl Cells {
    /// Whether some cells were left out.
    pub fn truncated(&self) -> bool {
        self.total > self.cells.len() as u64
    }

    /// What is said of cells that were left out.
    pub fn note(&self) -> Option<String> {
        let seen = self.cells.len();
        let total = self.total;
        self.truncated()
            .then(|| format!("signatures were looked for in the first {seen} of {total} unexplained cells"))
    }
}

/// Reads the unexplained cells out of stored differences ([`dualrun_compare::differences_schema`]). Those with
/// another verdict are passed over.
///
/// # Errors
/// A column that is missing or has a type that cannot be read.
pub fn cells_from_differences(
    batches: &[RecordBatch],
    key: &[String],
    customer: Option<&str>,
) -> Result<Cells, ExplainError> {
    let mut cells = Cells {
        key_columns: key.to_vec(),
        // The differences hold the key columns only.
        customer: customer.filter(|c| key.iter().any(|k| k == c)).map(str::to_owned),
        ..Cells::default()
    };
    let customer = customer.filter(|_| cells.customer.is_some());
    for batch in batches {
        let columns = Columns::new(batch, key, customer)?;
        for row in 0..batch.num_rows() {
            if text(&columns.verdict, row).as_deref() != Some("unexplained") {
                continue;
            }
            cells.total += 1;
            if cells.cells.len() < CAP {
                cells.cells.push(columns.cell(row));
            }
        }
    }
    Ok(cells)
}

struct Columns {
    key: Vec<StringArray>,
    customer: Option<StringArray>,
    column: StringArray,
    kind: StringArray,
    difference_kind: StringArray,
    verdict: StringArray,
    side: StringArray,
    legacy: StringArray,
    new: StringArray,
    legacy_value: Float64Array,
    new_value: Float64Array,
    without_changes: Float64Array,
    with_fixes: Float64Array,
}

impl Columns {
    fn new(batch: &RecordBatch, key: &[String], customer: Option<&str>) -> Result<Self, ExplainError> {
        Ok(Self {
            key: key.iter().map(|name| strings(batch, name)).collect::<Result<_, _>>()?,
            customer: customer.map(|name| strings(batch, name)).transpose()?,
            column: strings(batch, "column")?,
            kind: strings(batch, "kind")?,
            difference_kind: strings(batch, "difference_kind")?,
            verdict: strings(batch, "verdict")?,
            side: strings(batch, "side")?,
            legacy: strings(batch, "legacy")?,
            new: strings(batch, "new")?,
            legacy_value: floats(batch, "legacy_value")?,
            new_value: floats(batch, "new_value")?,
            without_changes: floats(batch, "without_changes")?,
            with_fixes: floats(batch, "with_fixes")?,
        })
    }

    fn cell(&self, row: usize) -> UnexplainedCell {
        let kind = kind(text(&self.kind, row).as_deref(), text(&self.side, row).as_deref());
        // As floats both null and what is not finite are null; the kind of the difference tells which it was.
        let difference = text(&self.difference_kind, row).unwrap_or_default();
        let (legacy_null, new_null) = (difference.starts_with("null_vs_"), difference.ends_with("_vs_null"));
        let figure = |column: &Float64Array, null: bool| match number(column, row) {
            _ if kind != CellKind::Measure => None,
            Some(figure) => Some(figure),
            None => (!null).then_some(f64::NAN),
        };
        UnexplainedCell {
            key: self.key.iter().map(|column| text(column, row)).collect(),
            customer: self.customer.as_ref().and_then(|column| text(column, row)),
            column: text(&self.column, row).unwrap_or_default(),
            kind,
            legacy: figure(&self.legacy_value, legacy_null),
            new: figure(&self.new_value, new_null),
            without_changes: figure(&self.without_changes, new_null),
            with_fixes: figure(&self.with_fixes, legacy_null),
            legacy_text: text(&self.legacy, row),
            new_text: text(&self.new, row),
        }
    }
}

fn kind(kind: Option<&str>, side: Option<&str>) -> CellKind {
    match (kind, side) {
        (Some("measure"), _) => CellKind::Measure,
        (Some("presence"), Some("new" | "only_new")) => CellKind::OnlyNew,
        (Some("presence"), _) => CellKind::OnlyLegacy,
        (Some("ambiguous" | "ambiguous_key"), _) => CellKind::Ambiguous,
        _ => CellKind::Attribute,
    }
}

fn text(column: &StringArray, row: usize) -> Option<String> {
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

fn number(column: &Float64Array, row: usize) -> Option<f64> {
    (!column.is_null(row)).then(|| column.value(row))
}

fn strings(batch: &RecordBatch, name: &str) -> Result<StringArray, ExplainError> {
    let array = casted(batch, name, &DataType::Utf8, "text")?;
    array.as_any().downcast_ref::<StringArray>().cloned().ok_or_else(|| missing(name))
}

fn floats(batch: &RecordBatch, name: &str) -> Result<Float64Array, ExplainError> {
    let array = casted(batch, name, &DataType::Float64, "a number")?;
    array.as_any().downcast_ref::<Float64Array>().cloned().ok_or_else(|| missing(name))
}

fn casted(
    batch: &RecordBatch,
    name: &str,
    to: &DataType,
    wanted: &'static str,
) -> Result<ArrayRef, ExplainError> {
    let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
    cast(column, to).map_err(|source| ExplainError::Type { column: name.to_owned(), wanted, source })
}

fn missing(name: &str) -> ExplainError {
    ExplainError::MissingColumn(name.to_owned())
}

#[cfg(test)]
mod tests;
