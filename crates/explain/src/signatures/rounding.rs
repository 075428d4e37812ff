//! Figures rounded to a decimal digit.

use super::{Detector, Facts, Group, Match, figure};

/// One side is the other one rounded to a digit: never further off than half a unit of it.
pub(super) struct Rounding;

/// Digits after the point that are looked at, the finest first; −3 is thousands.
pub(super) const DIGITS: std::ops::RangeInclusive<i32> = -3..=9;

impl Detector for Rounding {
    fn name(&self) -> &'static str {
        "rounding"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let (side, unit, matched) = finest(group, |exact, short, unit| {
            on_grid(short, unit)
                && !on_grid(exact, unit)
                && (short - exact).abs() <= 0.5 * unit * (1.0 + 1e-9)
        })?;
        // Any one pair of figures fits some digit.
        if matched.len() < LEAST {
            return None;
        }
        let fits = group.pairs().filter(|(row, ..)| matched.binary_search(row).is_ok());
        let up = fits.filter(|(_, legacy, new)| (new > legacy) == (side == "new")).count();
        let detail = if up > 0 && up < matched.len() {
            format!("{side} is rounded to {}", figure(unit))
        } else if matched.len() < MANY {
            format!("{side} is rounded or cut to {}", figure(unit))
        } else {
            // Rounding goes up as often as down.
            return None;
        };
        Match::some(detail, matched)
    }
}

/// One figure does not tell rounding from chance.
const LEAST: usize = 2;

/// So many figures that all moved in one direction were not rounded.
pub(super) const MANY: usize = 5;

/// The unit (10^−digit) and the side for which `fits(exact, short, unit)` holds most often; the finest of those.
/// At least one short figure must not be 0: figures that are 0 throughout are dropped rather than rounded.
pub(super) fn finest(
    group: &Group<'_>,
    fits: impl Fn(f64, f64, f64) -> bool,
) -> Option<(&'static str, f64, Vec<usize>)> {
    let mut best: Option<(&'static str, f64, Vec<usize>)> = None;
    for digit in DIGITS.rev() {
        let unit: f64 = if digit >= 0 { 1.0 / 10f64.powi(digit) } else { 10f64.powi(-digit) };
        for side in ["new", "legacy"] {
            let order = |legacy: f64, new: f64| if side == "new" { (legacy, new) } else { (new, legacy) };
            let matched = group.matching(|legacy, new| {
                let (exact, short) = order(legacy, new);
                fits(exact, short, unit)
            });
            let some_left = group
                .pairs()
                .any(|(row, legacy, new)| order(legacy, new).1 != 0.0 && matched.binary_search(&row).is_ok());
            if some_left && matched.len() > best.as_ref().map_or(0, |b| b.2.len()) {
                best = Some((side, unit, matched));
            }
        }
    }
    best
}

/// Whether a figure is a whole multiple of the unit, but for float noise.
pub(super) fn on_grid(value: f64, unit: f64) -> bool {
    let steps = value / unit;
    // Beyond 2^53 steps every float lies on the grid, which says nothing.
    steps.abs() < 9e15 && (steps - steps.round()).abs() <= 4.0 * f64::EPSILON * steps.abs()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn the_digit_is_named() {
        let cells = [(1.234, 1.23), (2.678, 2.68), (0.456, 0.46)];
        assert_eq!(whole(&Rounding, &cells).as_deref(), Some("new is rounded to 0.01"));
        let turned: Vec<_> = cells.iter().map(|(l, n)| (*n, *l)).collect();
        assert_eq!(whole(&Rounding, &turned).as_deref(), Some("legacy is rounded to 0.01"));
        assert_eq!(
            whole(&Rounding, &[(1234.5, 1000.0), (5678.9, 6000.0)]).as_deref(),
            Some("new is rounded to 1000")
        );
    }

    #[test]
    fn more_than_half_a_unit_is_not_rounding() {
        assert_eq!(whole(&Rounding, &[(1.236, 1.23), (2.678, 2.66)]), None);
        assert_eq!(whole(&Rounding, &[(0.3, 0.0), (0.4, 0.0)]), None);
    }

    #[test]
    fn many_figures_that_only_go_down_are_not_rounded() {
        let down = [(1.3, 1.0), (2.4, 2.0), (3.1, 3.0), (4.2, 4.0), (5.4, 5.0)];
        assert_eq!(whole(&Rounding, &down), None);
        assert_eq!(whole(&Rounding, &down[..2]).as_deref(), Some("new is rounded or cut to 1"));
    }
}
