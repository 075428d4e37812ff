//! Units of measures and their exact conversions.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The unit of a measure, for example `kWh` or `kgCO2e`.
///
/// Units of the table below convert within their dimension. Any other text is a unit of its own, which
/// converts to nothing but itself: a payroll may count `FTE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Unit(String);

/// A conversion factor as an exact fraction: target = source × numerator / denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// The number to multiply by.
    pub numerator: i128,
    /// The number to divide by; never 0.
    pub denominator: i128,
}

impl Ratio {
    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Unit {
    /// The unit of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name of the unit.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The factor that turns a figure in this unit into one in `target`, or `None` where the two measure
    /// different things.
    pub fn ratio_to(&self, target: &Unit) -> Option<Ratio> {
        if self == target {
            return Some(Ratio { numerator: 1, denominator: 1 });
        }
        let (from, to) = (known(&self.0)?, known(&target.0)?);
        (from.dimension == to.dimension).then(|| reduce(from.size, to.size))
    }
}

impl FromStr for Unit {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Energy,
    Emission,
    Mass,
    Data,
    Time,
    Power,
    Share,
}

struct Known {
    name: &'static str,
    dimension: Dimension,
    /// In the smallest unit of its dimension (joule, milligram, byte, millisecond, milliwatt, ppm).
    size: i128,
}

const fn unit(name: &'static str, dimension: Dimension, size: i128) -> Known {
    Known { name, dimension, size }
}

const GRAM: i128 = 1_000;
const WATT: i128 = 1_000;

/// SI and IEC prefixes; 1 Wh = 3600 J exactly (SI brochure, 9th edition, table 8).
const UNITS: &[Known] = &[
    unit("J", Dimension::Energy, 1),
    unit("kJ", Dimension::Energy, 1_000),
    unit("MJ", Dimension::Energy, 1_000_000),
    unit("GJ", Dimension::Energy, 1_000_000_000),
    unit("Wh", Dimension::Energy, 3_600),
    unit("kWh", Dimension::Energy, 3_600_000),
    unit("MWh", Dimension::Energy, 3_600_000_000),
    unit("GWh", Dimension::Energy, 3_600_000_000_000),
    unit("gCO2e", Dimension::Emission, GRAM),
    unit("kgCO2e", Dimension::Emission, 1_000 * GRAM),
    unit("tCO2e", Dimension::Emission, 1_000_000 * GRAM),
    unit("MTCO2e", Dimension::Emission, 1_000_000 * GRAM),
    unit("ktCO2e", Dimension::Emission, 1_000_000_000 * GRAM),
    unit("mg", Dimension::Mass, 1),
    unit("g", Dimension::Mass, GRAM),
    unit("kg", Dimension::Mass, 1_000 * GRAM),
    unit("t", Dimension::Mass, 1_000_000 * GRAM),
    unit("B", Dimension::Data, 1),
    unit("kB", Dimension::Data, 1_000),
    unit("MB", Dimension::Data, 1_000_000),
    unit("GB", Dimension::Data, 1_000_000_000),
    unit("TB", Dimension::Data, 1_000_000_000_000),
    unit("KiB", Dimension::Data, 1 << 10),
    unit("MiB", Dimension::Data, 1 << 20),
    unit("GiB", Dimension::Data, 1 << 30),
    unit("TiB", Dimension::Data, 1 << 40),
    unit("ms", Dimension::Time, 1),
    unit("s", Dimension::Time, 1_000),
    unit("min", Dimension::Time, 60_000),
    unit("h", Dimension::Time, 3_600_000),
    unit("d", Dimension::Time, 86_400_000),
    unit("mW", Dimension::Power, 1),
    unit("W", Dimension::Power, WATT),
    unit("kW", Dimension::Power, 1_000 * WATT),
    unit("MW", Dimension::Power, 1_000_000 * WATT),
    unit("ppm", Dimension::Share, 1),
    unit("%", Dimension::Share, 10_000),
    unit("1", Dimension::Share, 1_000_000),
];

fn known(name: &str) -> Option<&'static Known> {
    UNITS.iter().find(|u| u.name == name)
}

fn reduce(numerator: i128, denominator: i128) -> Ratio {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Ratio { numerator: numerator / a, denominator: denominator / a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_exact_fractions() {
        let ratio =
            |a: &str, b: &str| Unit::new(a).ratio_to(&Unit::new(b)).map(|r| (r.numerator, r.denominator));
        assert_eq!(ratio("Wh", "kWh"), Some((1, 1000)));
        assert_eq!(ratio("MTCO2e", "kgCO2e"), Some((1000, 1)));
        assert_eq!(ratio("GiB", "GB"), Some((2_097_152, 1_953_125)));
        assert_eq!(ratio("kWh", "kgCO2e"), None);
        assert_eq!(ratio("FTE", "FTE"), Some((1, 1)));
        assert_eq!(ratio("FTE", "h"), None);
    }
}
