//! Values of a key column that one side does not have at all.

use super::{Detector, Facts, Group, Match, missing_customer::whole_values};

/// Every row with some value of a key column, for example a region, stands on one side only.
pub(super) struct MissingSegment;

impl Detector for MissingSegment {
    fn name(&self) -> &'static str {
        "missing_segment"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let customer = group.cells.customer.as_deref();
        let columns = group.cells.key_columns.iter().filter(|name| Some(name.as_str()) != customer);
        columns
            .filter_map(|name| {
                whole_values(group, facts, name, &format!("value of {name}"), &format!("values of {name}"))
            })
            // The first of the columns that explain most.
            .reduce(|best, next| if next.matched.len() > best.matched.len() { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use dualrun_core::input::Side;

    use super::{super::testing::*, *};
    use crate::{cells::CellKind, context::Context};

    #[test]
    fn a_region_without_any_row_is_missing_and_one_with_some_is_not() {
        let mut cells = empty();
        cells.cells.push(row(CellKind::OnlyLegacy, ["a", "FR", "1"]));
        cells.cells.push(row(CellKind::OnlyLegacy, ["b", "FR", "1"]));
        let mut context = Context::default();
        context.totals.add(Side::Legacy, "region", Some("FR"), 2);
        context.totals.add(Side::Legacy, "region", Some("DE"), 2);
        context.totals.add(Side::Legacy, "day", Some("1"), 4);
        let found = detect_in(&MissingSegment, &cells, &context).unwrap();
        assert_eq!(found.detail, "all rows of 1 of 2 values of region are missing in the new result");
        context.totals.add(Side::New, "region", Some("FR"), 1);
        assert_eq!(detect_in(&MissingSegment, &cells, &context), None);
    }
}
