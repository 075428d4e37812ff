//! Figures as exact text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A figure of a measure as text: an exact decimal for integers and decimals, the shortest text that reads back
/// to the same float for floats, or `NaN`, `inf`, `-inf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figure(pub String);

impl Figure {
    /// A float. −0 is written as 0.
    pub fn from_f64(value: f64) -> Self {
        let mut text = String::new();
        Self::write_f64(value, &mut text);
        Self(text)
    }

    /// Appends a float as [`Figure::from_f64`] has it.
    pub fn write_f64(value: f64, out: &mut String) {
        use fmt::Write;
        if value.is_nan() {
            out.push_str("NaN");
        } else if value.is_infinite() {
            out.push_str(if value > 0.0 { "inf" } else { "-inf" });
        } else {
            // Display of f64 never uses an exponent and always reads back to the same float. A String takes all texts.
            let _ = write!(out, "{}", value + 0.0);
        }
    }

    /// The nearest float; NaN where the text is not a number, which the constructors never write.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_back_to_themselves() {
        for value in [0.1, 1e-300, 1e300, -2.5, f64::MAX, 5e-324] {
            assert_eq!(Figure::from_f64(value).to_f64(), value);
        }
        assert_eq!(Figure::from_f64(-0.0).as_str(), "0");
        assert_eq!(Figure::from_f64(f64::NEG_INFINITY).as_str(), "-inf");
    }
}
