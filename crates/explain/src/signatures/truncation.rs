//! Digits cut off.

use super::{Detector, Facts, Group, Match, figure, rounding};

/// One side is the other one cut at a digit, towards zero or down, as integer division does.
pub(super) struct Truncation;

impl Detector for Truncation {
    fn name(&self) -> &'static str {
        "truncation"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        rounding::finest(group, |exact, short, unit| {
            let off = exact - short;
            // Towards zero, or down.
            let direction = off > 0.0 || exact < 0.0;
            rounding::on_grid(short, unit) && !rounding::on_grid(exact, unit) && direction && off.abs() < unit
        })
        .map(|(side, unit, matched)| Match { detail: format!("{side} is cut at {}", figure(unit)), matched })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn floor_and_towards_zero_both_fit() {
        assert_eq!(
            whole(&Truncation, &[(1.9, 1.0), (7.2, 7.0), (0.6, 0.0)]).as_deref(),
            Some("new is cut at 1")
        );
        assert_eq!(whole(&Truncation, &[(-1.9, -1.0), (-7.2, -8.0)]).as_deref(), Some("new is cut at 1"));
        assert_eq!(whole(&Truncation, &[(1.239, 1.23)]).as_deref(), Some("new is cut at 0.01"));
    }

    #[test]
    fn a_figure_that_went_up_was_not_cut() {
        assert_eq!(whole(&Truncation, &[(1.9, 2.0), (7.2, 7.0)]), None);
        assert_eq!(whole(&Truncation, &[(1.9, 0.7)]), None);
    }
}
