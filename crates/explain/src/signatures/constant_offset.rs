//! One difference on all rows.

use super::{Detector, Facts, Group, Match, figure};

/// new = legacy + d with the same d everywhere.
pub(super) struct ConstantOffset;

impl Detector for ConstantOffset {
    fn name(&self) -> &'static str {
        "constant_offset"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let offset = group.median(|legacy, new| Some(new - legacy))?;
        if offset == 0.0 {
            return None;
        }
        let matched = group.matching(|legacy, new| {
            let noise = 1e-9 * (legacy.abs().max(new.abs()) + offset.abs());
            // Noise of the figures must not swallow the offset itself.
            let near = noise
                .min(1e-3 * offset.abs())
                .max(facts.slack(group.column, legacy, new).min(1e-3 * offset.abs()));
            (new - legacy - offset).abs() <= near
        });
        if matched.len() < 3 || !group.distinct(&matched, 2) {
            return None;
        }
        let (sign, size) = if offset < 0.0 { ("−", -offset) } else { ("+", offset) };
        Match::some(format!("new = legacy {sign} {}", figure(size)), matched)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn one_offset_fits_and_a_varying_one_does_not() {
        assert_eq!(
            whole(&ConstantOffset, &[(1.0, 3.5), (10.0, 12.5), (0.0, 2.5)]).as_deref(),
            Some("new = legacy + 2.5")
        );
        assert_eq!(
            whole(&ConstantOffset, &[(1.0, 0.5), (10.0, 9.5), (4.0, 3.5)]).as_deref(),
            Some("new = legacy − 0.5")
        );
        assert_eq!(whole(&ConstantOffset, &[(1.0, 3.5), (10.0, 12.6), (0.0, 2.4)]), None);
        assert_eq!(whole(&ConstantOffset, &[(1.0, 3.5), (1.0, 3.5), (1.0, 3.5)]), None);
    }
}
