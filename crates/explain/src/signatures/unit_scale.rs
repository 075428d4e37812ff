//! A unit taken for another one.

use super::{Detector, Facts, Group, Match, NOISE, figure, fraction};

/// The ratio is a power of ten, or one of the factors between units of time and energy.
pub(super) struct UnitScale;

/// Beside powers of ten: s/min, s/h, s/day, MJ/kWh and J/kWh.
const SCALES: [f64; 5] = [60.0, 3_600.0, 86_400.0, 3.6, 3_600_000.0];

impl Detector for UnitScale {
    fn name(&self) -> &'static str {
        "unit_scale"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let powers = (1..=12).map(|exponent| 10f64.powi(exponent));
        let mut best: Option<Match> = None;
        for scale in powers.chain(SCALES) {
            for (up, detail) in [
                (true, format!("new = {} × legacy", figure(scale))),
                (false, format!("new = legacy ÷ {}", figure(scale))),
            ] {
                let mut matched = group.matching(|legacy, new| {
                    let expected = if up { legacy * scale } else { legacy / scale };
                    // Relative to the larger side: where the smaller one was rounded, its last digit tells little.
                    let noise = NOISE * new.abs();
                    let allowed = facts.slack(group.column, legacy, new).min(1e-6 * new.abs());
                    legacy != 0.0 && (new - expected).abs() <= noise.max(allowed)
                });
                if let Some((n, d)) = fraction(&scale.to_string()) {
                    let (n, d) = if up { (n, d) } else { (d, n) };
                    matched.retain(|row| group.is_times(facts, *row, n, d));
                }
                if matched.len() > best.as_ref().map_or(0, |b| b.matched.len()) {
                    best = Match::some(detail, matched);
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn powers_of_ten_and_known_units_fit() {
        assert_eq!(whole(&UnitScale, &[(1.5, 1500.0), (0.1, 100.0)]).as_deref(), Some("new = 1000 × legacy"));
        assert_eq!(whole(&UnitScale, &[(1500.0, 1.5)]).as_deref(), Some("new = legacy ÷ 1000"));
        assert_eq!(whole(&UnitScale, &[(2.0, 7200.0)]).as_deref(), Some("new = 3600 × legacy"));
    }

    #[test]
    fn nearly_a_thousand_is_not_a_unit() {
        assert_eq!(whole(&UnitScale, &[(1.5, 1500.01)]), None);
        assert_eq!(whole(&UnitScale, &[(1.0, 7.0)]), None);
        assert_eq!(whole(&UnitScale, &[(0.0, 0.0)]), None);
    }

    #[test]
    fn figures_with_a_last_digit_fit_to_that_digit() {
        assert_eq!(whole(&UnitScale, &[(1e12, 1e15 + 7.0)]), None);
        let large = 10_i128.pow(20);
        assert_eq!(detect(&UnitScale, &decimals(&[(large, large * 1000 + 1)], 2)), None);
        assert_eq!(
            detect(&UnitScale, &decimals(&[(large + 1, large / 1000)], 2)).unwrap().detail,
            "new = legacy ÷ 1000"
        );
    }
}
