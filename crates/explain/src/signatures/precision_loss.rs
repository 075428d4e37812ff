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
        let on = |new_is_narrow: bool| -> (Vec<usize>, bool) {
            let (mut matched, mut same) = (Vec::new(), true);
            for (row, legacy, new) in group.pairs() {
                let (exact, narrow) = if new_is_narrow { (legacy, new) } else { (new, legacy) };
                let units = group.exact(row).map(|e| if new_is_narrow { e } else { e.turned() });
                if narrowed(exact, narrow) && units.is_none_or(|units| units.is_float(narrow)) {
                    same &= is_cast(exact, narrow);
                    matched.push(row);
                }
            }
            (matched, same)
        };
        let (new, legacy) = (on(true), on(false));
        let ((matched, same), one, other) =
            if new.0.len() >= legacy.0.len() { (new, "new", "legacy") } else { (legacy, "legacy", "new") };
        let detail = if same {
            format!("{one} = {other} as float32")
        } else {
            format!("{one} is a float32 and at most 4.8e-7 of its size beside {other}")
        };
        Match::some(detail, matched)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the loss is what is looked for")]
fn narrowed(exact: f64, narrow: f64) -> bool {
    let representable = f64::from(narrow as f32) == narrow && f64::from(exact as f32) != exact;
    // A few units in the last place: sums and products in float32 add up such errors.
    let near = (narrow - exact).abs() <= 4.0 * f64::from(f32::EPSILON) * exact.abs();
    // A short decimal such as 100.25 is a float32 as well; it is the work of rounding.
    let short = (narrow * 1e4).fract() == 0.0;
    representable && near && (is_cast(exact, narrow) || !short)
}

#[expect(clippy::cast_possible_truncation, reason = "the loss is what is looked for")]
fn is_cast(exact: f64, narrow: f64) -> bool {
    f64::from(exact as f32) == narrow
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
        // One of the floats beside it, as sums of float32 are.
        let beside = f64::from(0.1f32.next_up());
        assert_eq!(
            whole(&PrecisionLoss, &[lost(1234.567), (0.1, beside)]).as_deref(),
            Some("new is a float32 and at most 4.8e-7 of its size beside legacy")
        );
        assert_eq!(whole(&PrecisionLoss, &[(0.1234567, 0.12)]), None);
        assert_eq!(whole(&PrecisionLoss, &[(100.25001, 100.25)]), None);
        assert_eq!(whole(&PrecisionLoss, &[(0.1, 0.1 + 1e-9)]), None);
    }

    #[test]
    fn an_integer_beyond_the_floats_is_no_float32() {
        let (exact, narrow) = ((1_i128 << 60) + 12_345, 1_i128 << 60);
        let said = |new: i128| detect(&PrecisionLoss, &decimals(&[(exact, new)], 0)).map(|m| m.detail);
        assert_eq!(said(narrow).as_deref(), Some("new = legacy as float32"));
        assert_eq!(said(narrow + 1), None);
    }
}
