//! Digits cut off.

use super::{Detector, Facts, Group, Match, figure, rounding};

/// One side is the other one cut at a digit, towards zero or down, as integer division does; or it is a sum of
/// figures that were cut: a whole multiple of the digit's unit, and below or nearer to 0 throughout.
pub(super) struct Truncation;

/// At least this share of the figures of the exact side has digits below the unit: else there was nothing to cut.
const CUT: f64 = 0.3;

/// A sum of cut figures lies at most this many units below: further off the unit is not what made the difference.
const UNITS: f64 = 1_000.0;

impl Detector for Truncation {
    fn name(&self) -> &'static str {
        "truncation"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let mut best: Option<Match> = None;
        // The coarsest unit says most.
        for digit in rounding::DIGITS {
            let unit: f64 = if digit >= 0 { 1.0 / 10f64.powi(digit) } else { 10f64.powi(-digit) };
            for side in ["new", "legacy"] {
                let found = cut(group, side, digit, unit);
                if let Some(found) =
                    found.filter(|f| f.matched.len() > best.as_ref().map_or(0, |b| b.matched.len()))
                {
                    best = Some(found);
                }
            }
        }
        best
    }
}

fn cut(group: &Group<'_>, side: &str, digit: i32, unit: f64) -> Option<Match> {
    let (mut matched, mut fine, mut far, mut left) = (Vec::new(), 0usize, 0.0f64, false);
    let (mut below, mut nearer) = (true, true);
    for (row, pair) in rounding::sides(group, side) {
        let off = pair.off();
        // Towards zero, or down.
        let direction = off > 0.0 || pair.exact < 0.0;
        if direction && off != 0.0 && off.abs() <= UNITS * unit && pair.is_short(digit, unit, on_grid) {
            matched.push(row);
            fine += usize::from(!pair.turned().is_short(digit, unit, on_grid));
            far = far.max(off.abs() / unit);
            left |= pair.short != 0.0;
            below &= off > 0.0;
            nearer &= pair.short.abs() < pair.exact.abs() && pair.short * pair.exact >= 0.0;
        }
    }
    let enough = fine as f64 >= CUT * matched.len() as f64 && fine > 0;
    // Few figures that lie within half a unit may as well be rounded.
    let sure = far > 0.5 || matched.len() >= rounding::MANY;
    if !left || !enough || !sure {
        return None;
    }
    let unit = figure(unit);
    if far < 1.0 && fine == matched.len() {
        return Match::some(format!("{side} is cut at {unit}"), matched);
    }
    // A sum of cut figures is only told from other losses by several rows.
    let other = if side == "new" { "legacy" } else { "new" };
    let place = match (below, nearer) {
        (true, _) => "below",
        (false, true) => "nearer to 0 than",
        (false, false) => return None,
    };
    let detail = format!(
        "{side} is a whole multiple of {unit} and {place} {other}, which is not always one, by up to {}: as where \
         figures are cut before they are added up",
        figure((far * 1_000.0 - 1e-6).ceil() / 1_000.0 * unit.parse::<f64>().unwrap_or(1.0)),
    );
    (matched.len() >= rounding::MANY).then(|| Match::some(detail, matched)).flatten()
}

/// Whether a sum of multiples of the unit is one itself, but for the noise of adding floats.
fn on_grid(value: f64, unit: f64) -> bool {
    let steps = value / unit;
    steps.abs() < 1e9 && (steps - steps.round()).abs() <= 1e-10 * steps.abs().max(1.0)
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

    const SUMS: [(f64, f64); 6] =
        [(1392.5, 1392.0), (2270.0, 2269.0), (64.88, 64.0), (428.75, 427.0), (75.36, 75.0), (9.1, 6.0)];

    #[test]
    fn sums_of_cut_figures_are_whole_and_below() {
        assert_eq!(
            whole(&Truncation, &SUMS).as_deref(),
            Some(
                "new is a whole multiple of 1 and below legacy, which is not always one, by up to 3.1: as where \
                 figures are cut before they are added up"
            )
        );
    }

    #[test]
    fn negative_sums_of_cut_figures_lie_above() {
        let turned = SUMS.map(|(legacy, new)| (-legacy, -new));
        assert_eq!(
            whole(&Truncation, &turned).as_deref(),
            Some(
                "new is a whole multiple of 1 and nearer to 0 than legacy, which is not always one, by up to 3.1: as \
                 where figures are cut before they are added up"
            )
        );
        // Some below and some above have no one direction.
        let mut mixed = turned;
        mixed[0].1 = -1394.0;
        assert_eq!(whole(&Truncation, &mixed), None);
    }

    #[test]
    fn decimals_have_digits_where_floats_have_none() {
        let large = 10_i128.pow(12);
        assert_eq!(
            detect(&Truncation, &decimals(&[(large + 90, large + 5), (large + 310, large + 205)], 2)),
            None
        );
        let cut = decimals(&[(large + 90, large), (large + 310, large + 300)], 2);
        assert_eq!(detect(&Truncation, &cut).unwrap().detail, "new is cut at 1");
    }

    #[test]
    fn whole_figures_of_another_cause_are_not_cut() {
        // Few rows, one that rises, counts on both sides, and losses far beyond the unit.
        assert_eq!(whole(&Truncation, &SUMS[1..5]), None);
        let mut risen = SUMS;
        risen[0].1 = 1393.0;
        assert_eq!(whole(&Truncation, &risen), None);
        let counts = SUMS.map(|(legacy, new)| (f64::ceil(legacy), new));
        assert_eq!(whole(&Truncation, &counts), None);
        assert_eq!(whole(&Truncation, &SUMS.map(|(legacy, new)| (legacy + 5_000.5, new))), None);
    }
}
