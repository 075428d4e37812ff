//! Cells that no declared change accounts for, in memory.

pub(crate) mod exact;
mod reader;

use std::{cmp::Ordering, collections::BTreeSet};

use self::exact::Exact;

pub use reader::CellReader;
#[cfg(test)]
pub(crate) use reader::cells_from_differences;

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
    /// w(all) and v(∅) of integers and decimals where neither is null.
    pub exact: Option<Exact>,
    /// The legacy value as text.
    pub legacy_text: Option<String>,
    /// The new value as text.
    pub new_text: Option<String>,
}

impl UnexplainedCell {
    /// U = v(∅) − w(all); an absent or null figure counts 0, one that is not finite leaves 0.
    pub fn unexplained(&self) -> f64 {
        if let Some((exact, difference)) = self.exact.and_then(|e| Some((e, e.difference()?))) {
            return exact::to_f64(difference, exact.scale);
        }
        let u = self.without_changes.unwrap_or(0.0) - self.with_fixes.unwrap_or(0.0);
        if u.is_finite() { u } else { 0.0 }
    }

    /// w(all) and v(∅) where both are finite numbers: the pair in which a bug shows without the declared
    /// changes.
    pub fn pair(&self) -> Option<(f64, f64)> {
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
        Some((finite(self.with_fixes)?, finite(self.without_changes)?))
    }

    /// The pair without rounding: of integers, decimals, and floats that are whole numbers.
    pub(crate) fn units(&self) -> Option<Exact> {
        self.exact.or_else(|| self.pair().and_then(|(legacy, new)| Exact::of_whole(legacy, new)))
    }

    /// How the new figure of a pair lies to the legacy one.
    pub(crate) fn order(&self) -> Option<Ordering> {
        let (legacy, new) = self.pair()?;
        self.exact.map_or_else(|| new.partial_cmp(&legacy), |exact| Some(exact.order()))
    }
}

/// Unexplained cells of one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cells {
    /// The names of the key columns.
    pub key_columns: Vec<String>,
    /// The column that names the customer, where it is part of the key.
    pub customer: Option<String>,
    /// The columns that hold text.
    pub texts: BTreeSet<String>,
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

#[cfg(test)]
mod tests;
