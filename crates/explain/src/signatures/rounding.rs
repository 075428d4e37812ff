//! Figures rounded to a decimal digit.

use std::cmp::Ordering;

use super::{Detector, Exact, Facts, Group, Match, figure};
use crate::cells::exact::to_f64;

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
        let (side, unit, matched) = finest(group, |pair, digit, unit| {
            pair.is_short(digit, unit, on_grid)
                && !pair.turned().is_short(digit, unit, on_grid)
                && pair.off().abs() <= 0.5 * unit * (1.0 + 1e-9)
        })?;
        // Any one pair of figures fits some digit.
        if matched.len() < LEAST {
            return None;
        }
        let fits = group.pairs().filter(|(row, ..)| matched.binary_search(row).is_ok());
        let toward = if side == "new" { Ordering::Greater } else { Ordering::Less };
        let up = fits.filter(|(row, ..)| group.cells.cells[*row].order() == Some(toward)).count();
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

/// The unit (10^−digit) and the side for which `fits(pair, digit, unit)` holds most often; the finest of those.
/// At least one short figure must not be 0: figures that are 0 throughout are dropped rather than rounded.
pub(super) fn finest(
    group: &Group<'_>,
    fits: impl Fn(Sides, i32, f64) -> bool,
) -> Option<(&'static str, f64, Vec<usize>)> {
    let mut best: Option<(&'static str, f64, Vec<usize>)> = None;
    for digit in DIGITS.rev() {
        let unit: f64 = if digit >= 0 { 1.0 / 10f64.powi(digit) } else { 10f64.powi(-digit) };
        for side in ["new", "legacy"] {
            let found: Vec<(usize, Sides)> =
                sides(group, side).filter(|(_, pair)| fits(*pair, digit, unit)).collect();
            let some_left = found.iter().any(|(_, pair)| pair.short != 0.0);
            let matched: Vec<usize> = found.into_iter().map(|(row, _)| row).collect();
            if some_left && matched.len() > best.as_ref().map_or(0, |b| b.2.len()) {
                best = Some((side, unit, matched));
            }
        }
    }
    best
}

/// A pair with the side that lost digits and the other one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    pub(super) exact: f64,
    pub(super) short: f64,
    /// Both without rounding, the short one as the new one.
    units: Option<Exact>,
}

impl Sides {
    /// Whether the short figure is a whole multiple of the unit (10^−digit); `near` tells it of floats.
    pub(super) fn is_short(self, digit: i32, unit: f64, near: impl Fn(f64, f64) -> bool) -> bool {
        self.units.map_or_else(|| near(self.short, unit), |units| units.on_grid(digit))
    }

    /// exact − short.
    pub(super) fn off(self) -> f64 {
        let units = self.units.and_then(|units| Some(to_f64(units.turned().difference()?, units.scale)));
        units.unwrap_or(self.exact - self.short)
    }

    pub(super) fn turned(self) -> Self {
        Self { exact: self.short, short: self.exact, units: self.units.map(Exact::turned) }
    }
}

/// The pairs of a group where `side` is the one that lost digits.
pub(super) fn sides<'a>(group: &'a Group<'_>, side: &'a str) -> impl Iterator<Item = (usize, Sides)> + 'a {
    group.pairs().map(move |(row, exact, short)| {
        let pair = Sides { exact, short, units: group.exact(row) };
        (row, if side == "new" { pair } else { pair.turned() })
    })
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
    fn decimals_have_digits_where_floats_have_none() {
        let large = 10_i128.pow(16);
        assert_eq!(
            detect(&Rounding, &decimals(&[(large + 234, large + 233), (large + 678, large + 681)], 3)),
            None
        );
        let rounded = decimals(&[(large + 234, large + 230), (large + 678, large + 680)], 3);
        assert_eq!(detect(&Rounding, &rounded).unwrap().detail, "new is rounded to 0.01");
    }

    #[test]
    fn many_figures_that_only_go_down_are_not_rounded() {
        let down = [(1.3, 1.0), (2.4, 2.0), (3.1, 3.0), (4.2, 4.0), (5.4, 5.0)];
        assert_eq!(whole(&Rounding, &down), None);
        assert_eq!(whole(&Rounding, &down[..2]).as_deref(), Some("new is rounded or cut to 1"));
    }
}
