//! Figures that went through 32-bit floats.

use super::{Detector, Facts, Group, Match};

/// One side is the other one after a detour over float32.
pub(super) struct PrecisionLoss;

impl Detector for PrecisionLoss {
    fn name(&self) -> &'static str {
        "precision_loss"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let new = group.matching(narrowed);
        let legacy = group.matching(|legacy, new| narrowed(new, legacy));
        if new.len() >= legacy.len() {
            Match::some("new = legacy as float32", new)
        } else {
            Match::some("legacy = new as float32", legacy)
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the loss is what is looked for")]
fn narrowed(exact: f64, narrow: f64) -> bool {
    let representable = f64::from(narrow as f32) == narrow && f64::from(exact as f32) != exact;
    // A few units in the last place: sums and products in float32 add up such errors.
    let near = (narrow - exact).abs() <= 4.0 * f64::from(f32::EPSILON) * exact.abs();
    // A short decimal such as 100.25 is a float32 as well; it is the work of rounding.
    let short = (narrow * 1e4).fract() == 0.0;
    representable && near && (f64::from(exact as f32) == narrow || !short)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn float32_fits_on_either_side_and_rounding_does_not() {
        let lost = |x: f64| (x, f64::from(x as f32));
        assert_eq!(
            whole(&PrecisionLoss, &[lost(0.1), lost(1234.567)]).as_deref(),
            Some("new = legacy as float32")
        );
        let gained = |x: f64| (f64::from(x as f32), x);
        assert_eq!(whole(&PrecisionLoss, &[gained(0.1)]).as_deref(), Some("legacy = new as float32"));
        assert_eq!(whole(&PrecisionLoss, &[(0.1234567, 0.12)]), None);
        assert_eq!(whole(&PrecisionLoss, &[(100.25001, 100.25)]), None);
        assert_eq!(whole(&PrecisionLoss, &[(0.1, 0.1 + 1e-9)]), None);
    }
}
