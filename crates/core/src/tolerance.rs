//! Tolerances: how far two figures may lie apart and still agree.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a pair of numbers is not a tolerance.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ToleranceError {
    /// Below zero.
    #[error("a tolerance must not be negative, found {0}")]
    Negative(f64),
    /// NaN or infinite: every or no difference would pass.
    #[error("a tolerance must be a finite number, found {0}")]
    NotFinite(f64),
}

/// A measure passes iff `|n − l| ≤ max(absolute, relative × max(|n|, |l|))`: symmetric in both sides, and
/// equality passes. The default is 0 and 0: exact.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Raw")]
pub struct Tolerance {
    absolute: f64,
    relative: f64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    absolute: f64,
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    relative: f64,
}

impl Tolerance {
    /// Exact: any difference is one.
    pub const EXACT: Self = Self { absolute: 0.0, relative: 0.0 };

    /// A tolerance in the unit of the measure and as a share of the larger side.
    ///
    /// # Errors
    /// A negative, NaN or infinite number.
    pub fn new(absolute: f64, relative: f64) -> Result<Self, ToleranceError> {
        for value in [absolute, relative] {
            if !value.is_finite() {
                return Err(ToleranceError::NotFinite(value));
            }
            if value < 0.0 {
                return Err(ToleranceError::Negative(value));
            }
        }
        // -0.0 passes both checks above and would print with its sign.
        Ok(Self { absolute: absolute + 0.0, relative: relative + 0.0 })
    }

    /// In the unit of the measure.
    pub fn absolute(self) -> f64 {
        self.absolute
    }

    /// As a share of the larger of the two magnitudes.
    pub fn relative(self) -> f64 {
        self.relative
    }

    /// The difference that is still allowed between two figures of these magnitudes.
    // Asked of every cell that differs, from another crate.
    #[inline]
    pub fn allowance(self, legacy: f64, new: f64) -> f64 {
        self.absolute.max(self.relative * legacy.abs().max(new.abs()))
    }

    /// Whether two finite floats agree. Callers decide NaN, infinities and null before.
    pub fn passes(self, legacy: f64, new: f64) -> bool {
        legacy == new || (new - legacy).abs() <= self.allowance(legacy, new)
    }
}

impl TryFrom<Raw> for Tolerance {
    type Error = ToleranceError;
    fn try_from(raw: Raw) -> Result<Self, ToleranceError> {
        Self::new(raw.absolute, raw.relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_symmetric_and_the_boundary_passes() {
        let tenth = Tolerance::new(0.0, 1.0 / 11.0).unwrap();
        assert_eq!(tenth.passes(100.0, 110.0), tenth.passes(110.0, 100.0));
        assert!(Tolerance::new(10.0, 0.0).unwrap().passes(100.0, 110.0));
        assert!(!Tolerance::new(9.999, 0.0).unwrap().passes(100.0, 110.0));
        assert!(Tolerance::EXACT.passes(0.0, -0.0));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        assert_eq!(Tolerance::new(-1.0, 0.0), Err(ToleranceError::Negative(-1.0)));
        assert!(matches!(Tolerance::new(0.0, f64::NAN), Err(ToleranceError::NotFinite(_))));
        assert!(Tolerance::new(f64::INFINITY, 0.0).is_err());
    }
}
