//! Null on one side, 0 on the other.

use super::{Detector, Facts, Group, Match};
use crate::cells::CellKind;

/// A missing figure became 0, or a 0 became missing.
pub(super) struct NullAsZero;

impl Detector for NullAsZero {
    fn name(&self) -> &'static str {
        "null_as_zero"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let of = |null_is_legacy: bool| -> Vec<usize> {
            group
                .iter()
                .filter(|(_, cell)| cell.kind == CellKind::Measure)
                .filter(|(_, cell)| match (cell.with_fixes, cell.without_changes) {
                    (None, Some(new)) => null_is_legacy && new == 0.0,
                    (Some(legacy), None) => !null_is_legacy && legacy == 0.0,
                    _ => false,
                })
                .map(|(row, _)| row)
                .collect()
        };
        let (legacy_null, new_null) = (of(true), of(false));
        if legacy_null.len() >= new_null.len() {
            Match::some("new = 0 where legacy is null", legacy_null)
        } else {
            Match::some("new is null where legacy = 0", new_null)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn null_against_zero_fits_and_null_against_a_number_does_not() {
        let mut cells = empty();
        cells.cells.push(cell("kwh", ["a", "FR", "1"], None, Some(0.0)));
        assert_eq!(detect(&NullAsZero, &cells).unwrap().detail, "new = 0 where legacy is null");
        cells.cells[0] = cell("kwh", ["a", "FR", "1"], Some(0.0), None);
        assert_eq!(detect(&NullAsZero, &cells).unwrap().detail, "new is null where legacy = 0");
        cells.cells[0] = cell("kwh", ["a", "FR", "1"], None, Some(0.1));
        assert_eq!(detect(&NullAsZero, &cells), None);
    }
}
