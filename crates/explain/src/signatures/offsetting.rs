//! Differences that cancel each other.

use std::collections::BTreeMap;

use super::{Detector, Facts, Group, Match};
use crate::cells::CellKind;

/// Within a customer, or else over all customers, differences of both signs cancel: amounts went to the wrong
/// rows, but none was lost.
pub(super) struct Offsetting;

/// Net over gross up to which differences cancel.
const REST: f64 = 1e-6;

impl Detector for Offsetting {
    fn name(&self) -> &'static str {
        "offsetting"
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let mut customers: BTreeMap<&Option<String>, Vec<(usize, f64)>> = BTreeMap::new();
        let mut everyone = Vec::new();
        for (row, cell) in group.iter().filter(|(_, cell)| cell.kind == CellKind::Measure) {
            let entry = (row, cell.unexplained());
            customers.entry(&cell.customer).or_default().push(entry);
            everyone.push(entry);
        }
        let mut within: Vec<usize> =
            customers.into_values().filter(|cells| cancel(cells)).flatten().map(|(row, _)| row).collect();
        within.sort_unstable();
        let across: Vec<usize> =
            if cancel(&everyone) { everyone.iter().map(|(row, _)| *row).collect() } else { Vec::new() };
        if within.len() >= across.len() {
            Match::some("differences cancel within each customer", within)
        } else {
            Match::some("differences cancel between customers", across)
        }
    }
}

fn cancel(cells: &[(usize, f64)]) -> bool {
    let net: f64 = cells.iter().map(|(_, u)| u).sum();
    let gross: f64 = cells.iter().map(|(_, u)| u.abs()).sum();
    cells.len() > 1 && gross > 0.0 && net.abs() <= REST * gross
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn amounts_on_the_wrong_rows_cancel() {
        let found = whole(&Offsetting, &[(1.0, 4.0), (5.0, 2.0)]);
        assert_eq!(found.as_deref(), Some("differences cancel between customers"));
        let mut cells = empty();
        for (region, legacy, new) in [("FR", 1.0, 2.5), ("DE", 9.0, 7.5)] {
            cells.cells.push(cell("kwh", ["a", region, "1"], Some(legacy), Some(new)));
        }
        assert_eq!(detect(&Offsetting, &cells).unwrap().detail, "differences cancel within each customer");
    }

    #[test]
    fn an_amount_that_is_lost_does_not_cancel() {
        assert_eq!(whole(&Offsetting, &[(1.0, 4.0), (5.0, 2.1)]), None);
        assert_eq!(whole(&Offsetting, &[(1.0, 4.0)]), None);
    }
}
