//! Figures of integers and decimals as they are: the nearest float hides differences in their last digits.

use std::cmp::Ordering;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal256Array, Float64Array},
    compute::cast,
    datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, i256},
};
use dualrun_compare::types::is_exact_number;

/// The pair of a cell, w(all) and v(∅), in units of the last digit of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    /// w(all).
    pub legacy: i256,
    /// v(∅).
    pub new: i256,
    /// Digits after the point.
    pub scale: u32,
}

/// Beyond this not every whole number is a float.
const WHOLE: f64 = 9_007_199_254_740_992.0;

impl Exact {
    /// A pair of floats that are whole numbers: they are as exact as integers.
    pub(crate) fn of_whole(legacy: f64, new: f64) -> Option<Self> {
        let whole = |v: f64| (v.fract() == 0.0 && v.abs() < WHOLE).then_some(i256::from_i128(v as i128));
        Some(Self { legacy: whole(legacy)?, new: whole(new)?, scale: 0 })
    }

    /// How new lies to legacy.
    pub(crate) fn order(self) -> Ordering {
        self.new.cmp(&self.legacy)
    }

    /// new − legacy.
    pub(crate) fn difference(self) -> Option<i256> {
        self.new.checked_sub(self.legacy)
    }

    /// The same with the sides changed.
    pub(crate) fn turned(self) -> Self {
        Self { legacy: self.new, new: self.legacy, ..self }
    }

    /// Whether new is legacy × `numerator` ÷ `denominator`, to half a unit of the last digit or what is `allowed`.
    pub(crate) fn is_times(self, numerator: i256, denominator: i256, allowed: f64) -> bool {
        let off = || {
            let (new, expected) = (self.new.checked_mul(denominator)?, self.legacy.checked_mul(numerator)?);
            let off = new.checked_sub(expected)?.checked_abs()?;
            let half = off.checked_mul(i256::from(2_i8))? <= denominator.checked_abs()?;
            Some(half || to_f64(off, self.scale) <= allowed * to_f64(denominator, 0).abs())
        };
        off().unwrap_or(false)
    }

    /// Whether each new figure is the legacy one of the other pair, but for what is allowed.
    pub(crate) fn is_swapped(self, other: Self, allowed: f64, allowed_other: f64) -> bool {
        let same = |new: i256, scale: u32, legacy: i256, of: u32, allowed: f64| {
            let wide = |units: i256, zeros: u32| units.checked_mul(i256::from(10_i8).checked_pow(zeros)?);
            let off = || {
                let most = scale.max(of);
                let off = wide(new, most - scale)?.checked_sub(wide(legacy, most - of)?)?.checked_abs()?;
                Some(off == i256::ZERO || to_f64(off, most) <= allowed)
            };
            off().unwrap_or(false)
        };
        same(self.new, self.scale, other.legacy, other.scale, allowed)
            && same(other.new, other.scale, self.legacy, self.scale, allowed_other)
    }

    /// Whether the ratio of new to legacy is that of another pair, to half a unit of the last digit or what is
    /// `allowed`.
    pub(crate) fn has_ratio_of(self, other: Self, allowed: f64) -> bool {
        self.is_times(other.new, other.legacy, allowed)
    }

    /// Whether the new figure is a multiple of 10^−`digit`.
    pub(crate) fn on_grid(self, digit: i32) -> bool {
        let zeros = i64::from(self.scale) - i64::from(digit);
        let Some(zeros) = u32::try_from(zeros).ok().filter(|z| *z > 0) else { return true };
        match i256::from(10_i8).checked_pow(zeros) {
            Some(unit) => self.new.checked_rem(unit) == Some(i256::ZERO),
            None => self.new == i256::ZERO,
        }
    }

    /// Whether the new figure is this float.
    pub(crate) fn is_float(self, value: f64) -> bool {
        parse(&format!("{value:.*}", self.scale as usize)) == Some(self.new)
    }
}

/// The nearest float of a number of units.
pub(crate) fn to_f64(units: i256, scale: u32) -> f64 {
    // Both operands are exact below these bounds, so that one division rounds once.
    match units.to_i128() {
        Some(small) if (small.unsigned_abs() as f64) < WHOLE && scale <= 22 => {
            small as f64 / 10f64.powi(scale as i32)
        }
        _ => format!("{units}e-{scale}").parse().unwrap_or(f64::NAN),
    }
}

/// A number of units as a plain decimal without trailing zeros.
pub(crate) fn to_text(units: i256, scale: u32) -> String {
    let digits = format!("{:0>width$}", units.wrapping_abs().to_string(), width = scale as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let part = part.trim_end_matches('0');
    let sign = if units.is_negative() { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// The digits of a plain decimal as one number.
fn parse(text: &str) -> Option<i256> {
    text.replace('.', "").parse().ok()
}

/// A plain decimal as numerator and denominator.
pub(crate) fn fraction(text: &str) -> Option<(i256, i256)> {
    let digits = text.split_once('.').map_or(0, |(_, part)| part.len());
    Some((parse(text)?, i256::from(10_i8).checked_pow(u32::try_from(digits).ok()?)?))
}

/// The values of one side, as far as they have an exact form.
#[derive(Debug)]
pub(super) enum Units {
    Decimal(Decimal256Array, u32),
    /// The nearest floats and what is left.
    Parts(Float64Array, Float64Array),
}

impl Units {
    /// `None` for floats.
    pub(super) fn new(values: &ArrayRef) -> Option<Self> {
        let of = values.data_type();
        if is_exact_number(of) {
            let part = |i: usize| Some(values.as_struct_opt()?.columns().get(i)?.as_primitive_opt()?.clone());
            return Some(Self::Parts(part(0)?, part(1)?));
        }
        let scale = match of {
            DataType::Decimal32(_, s)
            | DataType::Decimal64(_, s)
            | DataType::Decimal128(_, s)
            | DataType::Decimal256(_, s) => (*s).max(0),
            of if of.is_integer() => 0,
            _ => return None,
        };
        let wide = cast(values, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale)).ok()?;
        let wide = wide.as_primitive_opt::<Decimal256Type>()?.clone();
        Some(Self::Decimal(wide, u32::try_from(scale).ok()?))
    }

    /// The units of a row; 0 where the row is absent, `None` where its value is null or has no whole units.
    pub(super) fn value(&self, row: usize, absent: bool) -> Option<i256> {
        if absent {
            return Some(i256::ZERO);
        }
        match self {
            Self::Decimal(values, _) => values.is_valid(row).then(|| values.value(row)),
            Self::Parts(nearest, rest) => {
                let whole = |v: &Float64Array| {
                    let value = v.is_valid(row).then(|| v.value(row))?;
                    (value.fract() == 0.0 && value.abs() < 1e30).then_some(i256::from_i128(value as i128))
                };
                whole(nearest)?.checked_add(whole(rest)?)
            }
        }
    }

    pub(super) fn scale(&self) -> u32 {
        match self {
            Self::Decimal(_, scale) => *scale,
            Self::Parts(..) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(legacy: i128, new: i128, scale: u32) -> Exact {
        Exact { legacy: i256::from_i128(legacy), new: i256::from_i128(new), scale }
    }

    #[test]
    fn products_are_told_to_half_a_unit() {
        let times = |e: Exact, n: i64, d: i64| e.is_times(i256::from(n), i256::from(d), 0.0);
        let large = 10_i128.pow(30);
        assert!(times(exact(large, -large, 2), -1, 1) && !times(exact(large, 1 - large, 2), -1, 1));
        assert!(times(exact(1500, 2, 0), 1, 1000) && !times(exact(1400, 2, 0), 1, 1000));
        assert!(exact(500, 1003, 2).is_times(i256::from(2), i256::ONE, 0.03));
        assert!(!exact(500, 1003, 2).is_times(i256::from(2), i256::ONE, 0.02));
        // Beyond 256 bits nothing is claimed.
        let huge = Exact { legacy: i256::MAX, new: i256::MAX, scale: 0 };
        assert!(!times(huge, 2, 2));
    }

    #[test]
    fn digits_are_told_where_floats_have_none() {
        let long = exact(0, 12_345_678_901_234_567_890_123, 3);
        assert!(long.on_grid(3) && !long.on_grid(2));
        assert!(exact(0, 4_000, 3).on_grid(0) && !exact(0, 4_000, 3).on_grid(-1));
        assert!(
            exact(0, 125, 3).is_float(0.125) && !exact(0, (1 << 60) + 1, 0).is_float((1u64 << 60) as f64)
        );
    }

    #[test]
    fn units_have_a_text_and_a_float() {
        let said = |units: i128, scale| {
            (to_text(i256::from_i128(units), scale), to_f64(i256::from_i128(units), scale))
        };
        assert_eq!(said(-1_050, 3), ("-1.05".into(), -1.05));
        assert_eq!(said(1, 18), ("0.000000000000000001".into(), 1e-18));
        assert_eq!(said(10_i128.pow(20) + 1, 0), ("100000000000000000001".into(), 1e20));
        assert_eq!(fraction("1.05"), Some((i256::from(105), i256::from(100))));
        assert_eq!(fraction("-2"), Some((i256::from(-2), i256::ONE)));
    }

    #[test]
    fn only_whole_floats_are_exact() {
        assert_eq!(Exact::of_whole(2.0, -3.0), Some(exact(2, -3, 0)));
        assert_eq!(
            (Exact::of_whole(2.5, 3.0), Exact::of_whole(1e16, 3.0), Exact::of_whole(f64::NAN, 3.0)),
            (None, None, None)
        );
    }
}
