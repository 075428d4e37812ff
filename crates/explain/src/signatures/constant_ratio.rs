//! One ratio on all rows.

use super::{Detector, Facts, Group, Match, figure};

/// new = r × legacy with the same r everywhere.
pub(super) struct ConstantRatio;

/// Ratios that have a name: binary and decimal units (IEC 80000-13), calendar constants, usual value-added tax,
/// short ton and pound (NIST SP 811), carbon to carbon dioxide.
const NAMED: [(f64, &str); 13] = [
    (1.024, "KiB and kB"),
    (1.048576, "MiB and MB"),
    (1.073741824, "GiB and GB"),
    (1.099511627776, "TiB and TB"),
    (366.0 / 365.0, "366 and 365 days"),
    (365.0 / 360.0, "365 and 360 days"),
    (366.0 / 360.0, "366 and 360 days"),
    (8_760.0 / 8_640.0, "8760 and 8640 hours"),
    (8_784.0 / 8_760.0, "8784 and 8760 hours"),
    (1.2, "20 % value-added tax"),
    (1.0 / 0.907_184_74, "short tons and tonnes"),
    (1.0 / 0.453_592_37, "pounds and kilograms"),
    (44.0 / 12.0, "carbon and carbon dioxide"),
];

impl Detector for ConstantRatio {
    fn name(&self) -> &'static str {
        "constant_ratio"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let ratio = group.median(|legacy, new| (legacy != 0.0).then_some(new / legacy))?;
        if ratio == 0.0 || (ratio - 1.0).abs() < 1e-12 {
            return None;
        }
        let matched = group.matching(|legacy, new| {
            let near = facts.slack(group.column, legacy, new).max(1e-6 * (new - legacy).abs());
            legacy != 0.0 && (new - ratio * legacy).abs() <= near
        });
        // Any two figures have a ratio: it takes three of different size to call it constant.
        if matched.len() < 3 || !group.distinct(&matched, 2) {
            return None;
        }
        let name = NAMED
            .iter()
            .find(|(named, _)| (ratio / named - 1.0).abs() < 1e-7 || (ratio * named - 1.0).abs() < 1e-7)
            .map(|(_, name)| format!(" ({name})"));
        Match::some(format!("new = {} × legacy{}", figure(ratio), name.unwrap_or_default()), matched)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn times(ratio: f64) -> [(f64, f64); 4] {
        [1.0, 2.5, 7.0, 11.3].map(|legacy| (legacy, legacy * ratio))
    }

    #[test]
    fn one_ratio_fits_and_known_ones_have_a_name() {
        assert_eq!(whole(&ConstantRatio, &times(1.37)).as_deref(), Some("new = 1.37 × legacy"));
        assert_eq!(
            whole(&ConstantRatio, &times(1.073741824)).as_deref(),
            Some("new = 1.07374182 × legacy (GiB and GB)")
        );
        assert_eq!(
            whole(&ConstantRatio, &times(365.0 / 366.0)).as_deref(),
            Some("new = 0.99726776 × legacy (366 and 365 days)")
        );
    }

    #[test]
    fn a_ratio_that_varies_or_few_rows_do_not_fit() {
        assert_eq!(whole(&ConstantRatio, &[(1.0, 1.37), (2.0, 2.75), (3.0, 4.0), (4.0, 5.5)]), None);
        assert_eq!(whole(&ConstantRatio, &times(1.37)[..2]), None);
        assert_eq!(whole(&ConstantRatio, &[(1.0, 1.37); 5]), None);
    }
}
