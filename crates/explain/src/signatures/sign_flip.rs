//! The sign turned round.

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match};

/// new = −legacy, for example a credit booked as a cost.
pub(super) struct SignFlip;

impl Detector for SignFlip {
    fn name(&self) -> &'static str {
        "sign_flip"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let fits = |legacy: f64, new: f64| {
            legacy != 0.0 && (new + legacy).abs() <= facts.slack(group.column, legacy, new)
        };
        let mut matched = group.matching(fits);
        matched.retain(|row| group.is_times(facts, *row, i256::MINUS_ONE, i256::ONE));
        Match::some("new = −legacy", matched)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn only_the_exact_opposite_fits() {
        assert_eq!(whole(&SignFlip, &[(2.0, -2.0), (-3.5, 3.5)]).as_deref(), Some("new = −legacy"));
        assert_eq!(whole(&SignFlip, &[(2.0, -2.0001)]), None);
        assert_eq!(whole(&SignFlip, &[(0.0, 0.0)]), None);
    }

    #[test]
    fn figures_with_a_last_digit_are_opposite_to_that_digit() {
        assert_eq!(whole(&SignFlip, &[(5e9, 1.0 - 5e9)]), None);
        let large = 10_i128.pow(20);
        assert_eq!(detect(&SignFlip, &decimals(&[(large, 1 - large)], 2)), None);
        assert_eq!(detect(&SignFlip, &decimals(&[(large, -large)], 2)).unwrap().matched, [0]);
    }
}
