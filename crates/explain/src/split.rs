//! How much each declared change moved: every difference divided over the changes by their Shapley values.
//!
//! Per cell `n − l = Σφ(new side) + U + Σφ(legacy side)`, where the new side's shares divide v(all) − v(∅), the
//! legacy side's w(all) − w(∅), and U = v(∅) − w(all). A row that a replay lacks counts 0 there. The relations of
//! all replays are read once, side by side.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_compare::{
    KeyedMerge,
    spec::{CompareSpec, Relation},
};
use dualrun_core::{ChangeId, input::Side, run::figures::Figure};

use crate::{
    error::ExplainError,
    replay::ReplayPlan,
    split::{rows::Reader, tally::Tally},
};

mod rows;
mod side;
mod sum;
mod tally;

/// What is split.
pub struct SplitInput<'a, E> {
    /// Key, customer and columns of the comparison.
    pub spec: &'a CompareSpec,
    /// A plan with its split.
    pub plan: &'a ReplayPlan,
    /// One relation for each calculation of the plan, sorted by the key, in the schema of the comparison.
    pub relations: Vec<Relation<E>>,
    /// The same keys with boolean columns, sorted alike: in which rows the conditions of promises hold.
    pub flags: Option<Relation<E>>,
    /// The promises that are checked.
    pub promised: &'a [Promised],
    /// Customers that are not comparable: their rows are passed over.
    pub excluded: &'a BTreeSet<Option<String>>,
}

/// One promise: which rows a change may move in one measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// The change.
    pub change: ChangeId,
    /// The measure.
    pub measure: String,
    /// The boolean column of [`SplitInput::flags`] that is true inside the promise's `where`; `None` where the
    /// condition is `true`. A row without flags, and a null flag, lie outside.
    pub flag: Option<String>,
}

/// What the changes moved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SplitReport {
    /// By change, in the order of the plan (new side first), and column. Attributes only where they were moved.
    pub effects: Vec<ChangeEffect>,
    /// The measures as a whole, in the order of the comparison.
    pub columns: Vec<ColumnSplit>,
    /// Keys that occur more than once in a replay: their cells are not divided.
    pub ambiguous: u64,
    /// Cells with a figure that is not finite in some replay: not divided.
    pub not_finite: u64,
}

/// One measure over all rows whose cells were divided.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSplit {
    /// The measure.
    pub column: String,
    /// Σ w(∅).
    pub legacy_total: Figure,
    /// Σ v(all).
    pub new_total: Figure,
    /// ΣU.
    pub unexplained: Figure,
    /// Σ|n − l − Σφ − U|: float noise of the division.
    pub residual: f64,
    /// What float noise may amount to in this column; a larger residual is a defect.
    pub residual_bound: f64,
}

/// What one change moved in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeEffect {
    /// The change.
    pub change: ChangeId,
    /// The side that it switches.
    pub side: Side,
    /// The measure or attribute.
    pub column: String,
    /// Σφ.
    pub effect: Figure,
    /// The standard error of Σφ; `None` where all subsets were calculated.
    pub standard_error: Option<f64>,
    /// Cells that it moved: |φ| beyond the tolerance at the size of the figures, any φ ≠ 0 where that is 0. Of an
    /// attribute: cells that the smallest set of changes that brings the old value back has it in.
    pub cells: u64,
    /// Cells that it moved up (beyond three standard errors where φ is an estimate).
    pub positive_cells: u64,
    /// Cells that it moved down.
    pub negative_cells: u64,
    /// Rows that it brings or removes in some replay.
    pub rows: u64,
    /// Cells that it moved outside of the `where` of all its promises for the measure; 0 without a promise.
    pub cells_outside: u64,
    /// Rows that it brings or removes there.
    pub rows_outside: u64,
    /// By customer, those with rows only.
    pub customers: BTreeMap<Option<String>, CustomerEffect>,
    /// Its promises for the measure, in the order in which they were given.
    pub promises: Vec<PromiseEffect>,
}

/// What one change moved in one column of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CustomerEffect {
    /// Σφ.
    pub effect: f64,
    /// Σ w(∅).
    pub legacy_total: f64,
    /// Cells that it moved.
    pub moved: u64,
}

/// What one change moved inside the `where` of one promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromiseEffect {
    /// Position in [`SplitInput::promised`].
    pub promise: usize,
    /// Rows in which the condition holds.
    pub eligible_rows: u64,
    /// Cells that it moved there.
    pub cells: u64,
    /// Rows that it brings or removes there.
    pub rows: u64,
    /// Cells that it moved up there.
    pub positive_cells: u64,
    /// Cells that it moved down there.
    pub negative_cells: u64,
    /// By customer, over the rows in which the condition holds.
    pub customers: BTreeMap<Option<String>, CustomerEffect>,
}

impl SplitReport {
    /// The effect of a change on a column.
    pub fn effect(&self, change: &ChangeId, column: &str) -> Option<&ChangeEffect> {
        self.effects.iter().find(|e| &e.change == change && e.column == column)
    }

    /// Whether the shares of every column sum to its difference, but for float noise.
    pub fn conserved(&self) -> bool {
        self.columns.iter().all(|c| c.residual <= c.residual_bound)
    }
}

/// Divides the differences of all replays over the changes of the plan.
///
/// # Errors
/// A plan without a split, a wrong number of relations, a relation that cannot be read or is not sorted, and a
/// column that is missing or no number.
pub fn split<E>(input: SplitInput<'_, E>) -> Result<SplitReport, ExplainError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let SplitInput { spec, plan, mut relations, flags, promised, excluded } = input;
    let split = plan.split.as_ref().ok_or(ExplainError::NoSplit)?;
    if relations.len() != plan.calculations.len() {
        return Err(ExplainError::Relations { expected: plan.calculations.len(), found: relations.len() });
    }
    let calculations = relations.len();
    let has_flags = flags.is_some();
    relations.extend(flags);
    let mut reader = Reader::new(spec, promised, calculations, has_flags);
    let mut tally = Tally::new(spec, plan, split, promised);
    let mut merge = KeyedMerge::new(relations, &spec.key);
    while let Some(group) = merge.next_group() {
        let group = group.map_err(|e| ExplainError::Merge(Box::new(e)))?;
        let mut replays = group.rows.iter().take(calculations);
        if replays.clone().any(|rows| rows.len() > 1) {
            tally.ambiguous += 1;
            continue;
        }
        // A key that only has flags belongs to no result.
        if replays.all(Vec::is_empty) {
            continue;
        }
        let row = reader.read(&group)?;
        if spec.customer.is_none() || !excluded.contains(&row.customer) {
            tally.add(row);
        }
    }
    Ok(tally.finish())
}

#[cfg(test)]
mod tests;
