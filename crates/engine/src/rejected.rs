//! What a rejected change moves is unexplained by decision, not by a bug: it is told apart from the search of
//! signatures, which would look for a cause that is known.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{
    review::ReviewStatus,
    run::{Finding, figures::Figure},
};
use dualrun_explain::{Cells, Declared, cells::CellKind};
use dualrun_mapping::plan::Pipeline;
use sha2::{Digest, Sha256};

use crate::calculate::hex;

/// Takes the cells out of `cells` that differ by rejected changes only: without all declared changes the sides agree
/// within tolerance. One finding a column.
pub(crate) fn take(cells: &mut Cells, changes: &[Declared], pipeline: &Pipeline) -> Vec<Finding> {
    let rejected: Vec<String> =
        changes.iter().filter(|c| c.status == ReviewStatus::Rejected).map(|c| c.id.to_string()).collect();
    if rejected.is_empty() {
        return Vec::new();
    }
    let mut moved: BTreeMap<String, (u64, BTreeSet<Option<String>>, f64)> = BTreeMap::new();
    cells.cells.retain(|cell| {
        let tolerance = pipeline.result.measures.get(&cell.column).map(|m| m.tolerance);
        let (Some(tolerance), Some((legacy, new)), CellKind::Measure) = (tolerance, cell.pair(), cell.kind)
        else {
            return true;
        };
        if !tolerance.passes(legacy, new) {
            return true;
        }
        let size = (cell.new.unwrap_or(0.0) - cell.legacy.unwrap_or(0.0)).abs();
        let (rows, customers, gross) = moved.entry(cell.column.clone()).or_default();
        *rows += 1;
        customers.insert(cell.customer.clone());
        *gross += if size.is_finite() { size } else { 0.0 };
        false
    });
    let names = rejected.join(", ");
    moved
        .into_iter()
        .map(|(column, (rows, customers, gross))| Finding {
            id: hex(&Sha256::digest(format!("{}\0{column}\0rejected_change\0{names}", pipeline.id))[..6]),
            signature: "rejected_change".to_owned(),
            detail: format!("moved by a rejected change ({names}); without it the sides agree"),
            segment: "true".to_owned(),
            column,
            rows,
            customers: if cells.customer.is_some() { customers.len() as u64 } else { 0 },
            sample: None,
            // Nothing of it is U: its size is what the change moves.
            share_of_unexplained: 0.0,
            gross: Some(Figure::from_f64(gross)),
        })
        .collect()
}
