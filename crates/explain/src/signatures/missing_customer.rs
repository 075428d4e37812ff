//! Customers that one side does not have at all.

use std::collections::BTreeMap;

use dualrun_core::input::Side;

use super::{Detector, Facts, Group, Match, counted};
use crate::cells::CellKind;

/// Every row of a customer stands on one side only.
pub(super) struct MissingCustomer;

impl Detector for MissingCustomer {
    fn name(&self) -> &'static str {
        "missing_customer"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let column = group.cells.customer.as_deref()?;
        whole_values(group, facts, column, "customer", "customers")
    }
}

/// The values of a key column all of whose rows stand on one side only; the side with more of them is named.
pub(super) fn whole_values(
    group: &Group<'_>,
    facts: &Facts<'_>,
    column: &str,
    one: &str,
    many: &str,
) -> Option<Match> {
    let position = group.cells.key_columns.iter().position(|name| name == column)?;
    let mut best: Option<Match> = None;
    for (kind, side, missing) in [
        (CellKind::OnlyLegacy, Side::Legacy, "the new result"),
        (CellKind::OnlyNew, Side::New, "the legacy result"),
    ] {
        let mut rows: BTreeMap<&Option<String>, Vec<usize>> = BTreeMap::new();
        for (row, cell) in group.iter().filter(|(_, cell)| cell.kind == kind) {
            rows.entry(cell.key.get(position)?).or_default().push(row);
        }
        let totals = &facts.context.totals;
        rows.retain(|value, rows| {
            let total = totals.rows(side, column, value);
            // Beyond the cap not all rows of a value are at hand; then it is left to the other side's count.
            let complete = rows.len() as u64 == total || group.cells.truncated();
            total > 0 && complete && totals.rows(other(side), column, value) == 0
        });
        let values = rows.len();
        // A side that has nothing of this column at all is missing as a whole, not by its values.
        if values == 0 || totals.all_values(column).len() <= values {
            continue;
        }
        let mut matched: Vec<usize> = rows.into_values().flatten().collect();
        matched.sort_unstable();
        if matched.len() > best.as_ref().map_or(0, |b| b.matched.len()) {
            let what = format!("{values} of {}", counted(totals.all_values(column).len(), one, many));
            best = Match::some(format!("all rows of {what} are missing in {missing}"), matched);
        }
    }
    best
}

fn other(side: Side) -> Side {
    match side {
        Side::Legacy => Side::New,
        Side::New => Side::Legacy,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::context::Context;

    #[test]
    fn all_rows_of_a_customer_must_be_gone() {
        let mut cells = empty();
        cells.cells.push(row(CellKind::OnlyLegacy, ["a", "FR", "1"]));
        cells.cells.push(row(CellKind::OnlyLegacy, ["a", "DE", "1"]));
        let mut context = Context::default();
        context.totals.add(Side::Legacy, "customer", Some("a"), 2);
        context.totals.add(Side::Legacy, "customer", Some("b"), 5);
        let found = detect_in(&MissingCustomer, &cells, &context).unwrap();
        assert_eq!(found.detail, "all rows of 1 of 2 customers are missing in the new result");
        assert_eq!(found.matched, [0, 1]);
        context.totals.add(Side::Legacy, "customer", Some("a"), 1);
        assert_eq!(detect_in(&MissingCustomer, &cells, &context), None);
    }
}
