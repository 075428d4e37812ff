//! Differences that cancel each other.

use std::collections::BTreeMap;

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match};
use crate::cells::{CellKind, UnexplainedCell};

/// Within a customer, or else over all customers, differences of both signs cancel: amounts went to the wrong
/// rows, but none was lost. Where no customer is known, over all rows.
pub(super) struct Offsetting;

/// Net over gross up to which differences of floats cancel.
const REST: f64 = 1e-9;

impl Detector for Offsetting {
    fn name(&self) -> &'static str {
        "offsetting"
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let mut customers: BTreeMap<&Option<String>, Vec<(usize, &UnexplainedCell)>> = BTreeMap::new();
        let mut everyone = Vec::new();
        for (row, cell) in group.iter().filter(|(_, cell)| cell.kind == CellKind::Measure) {
            let entry = (row, cell);
            customers.entry(&cell.customer).or_default().push(entry);
            everyone.push(entry);
        }
        let mut within: Vec<usize> =
            customers.into_values().filter(|cells| cancel(cells)).flatten().map(|(row, _)| row).collect();
        within.sort_unstable();
        let across: Vec<usize> =
            if cancel(&everyone) { everyone.iter().map(|(row, _)| *row).collect() } else { Vec::new() };
        if group.cells.customer.is_none() {
            Match::some("differences cancel", across)
        } else if within.len() >= across.len() {
            Match::some("differences cancel within each customer", within)
        } else {
            Match::some("differences cancel between customers", across)
        }
    }
}

fn cancel(cells: &[(usize, &UnexplainedCell)]) -> bool {
    let figures = || cells.iter().map(|(_, cell)| cell.unexplained());
    let net: f64 = figures().sum();
    let gross: f64 = figures().map(f64::abs).sum();
    let near = cells.len() > 1 && gross > 0.0 && net.abs() <= REST * gross;
    near && exact_net(cells).is_none_or(|net| net == i256::ZERO)
}

/// What is left of the differences, where all of them have the same last digit.
fn exact_net(cells: &[(usize, &UnexplainedCell)]) -> Option<i256> {
    let scale = cells.first()?.1.units()?.scale;
    cells.iter().try_fold(i256::ZERO, |net, (_, cell)| {
        let exact = cell.units().filter(|exact| exact.scale == scale)?;
        net.checked_add(exact.difference()?)
    })
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
        let large = 10_i128.pow(20);
        assert_eq!(detect(&Offsetting, &decimals(&[(0, large), (large, 1)], 2)), None);
    }

    #[test]
    fn nothing_is_said_of_customers_that_are_not_known() {
        let mut cells = kwh(&[(1.0, 4.0), (5.0, 2.0)]);
        cells.customer = None;
        cells.cells.iter_mut().for_each(|cell| cell.customer = None);
        assert_eq!(detect(&Offsetting, &cells).unwrap().detail, "differences cancel");
    }
}
