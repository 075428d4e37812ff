//! The sign turned round.

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
        Match::some("new = −legacy", group.matching(fits))
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
}
