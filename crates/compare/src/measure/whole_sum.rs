//! Exact sums of integers of up to 256 bits.

use arrow::datatypes::i256;

use crate::{canonical::Number, cast::decimal_to_f64};

/// An exact sum of integers, or of the digits of decimals of one scale: `low + carry × 2^256`. No number of rows
/// overflows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WholeSum {
    low: i256,
    /// 0 unless the sum exceeds 256 bits.
    carry: i128,
}

/// Limbs of 32 bits that hold `low` and `carry`.
const LIMBS: usize = 12;
/// The largest power of ten in a limb.
const BILLION: u64 = 1_000_000_000;

impl WholeSum {
    /// to − from.
    pub(crate) fn between(from: i256, to: i256) -> Self {
        let mut sum = Self { low: to, carry: 0 };
        sum.subtract(from);
        sum
    }

    pub(crate) fn add(&mut self, value: i256) {
        self.low = self.low.checked_add(value).unwrap_or_else(|| {
            self.carry += if value.is_negative() { -1 } else { 1 };
            self.low.wrapping_add(value)
        });
    }

    pub(crate) fn subtract(&mut self, value: i256) {
        self.low = self.low.checked_sub(value).unwrap_or_else(|| {
            self.carry += if value.is_negative() { 1 } else { -1 };
            self.low.wrapping_sub(value)
        });
    }

    /// Adds a value, or takes it away.
    pub(crate) fn add_signed(&mut self, value: i256, negative: bool) {
        if negative {
            self.subtract(value);
        } else {
            self.add(value);
        }
    }

    /// Adds another sum, or takes it away.
    pub(crate) fn merge(&mut self, other: &Self, negative: bool) {
        self.add_signed(other.low, negative);
        self.carry += if negative { -other.carry } else { other.carry };
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn is_negative(&self) -> bool {
        // |low| is at most 2^255, so that it decides only where nothing was carried.
        if self.carry == 0 { self.low.is_negative() } else { self.carry < 0 }
    }

    /// The nearest float, where the digits have this scale.
    pub(crate) fn to_f64(self, scale: i8) -> f64 {
        if self.carry == 0 {
            return decimal_to_f64(self.low, scale);
        }
        let size = format!("{}e{}", self.digits(), -i32::from(scale)).parse().unwrap_or(f64::NAN);
        if self.is_negative() { -size } else { size }
    }

    pub(crate) fn number(&self, scale: i8) -> Number {
        if self.carry == 0 {
            return Number::from_decimal(self.low, scale);
        }
        Number::finite(self.is_negative(), self.digits(), -i32::from(scale))
    }

    /// The decimal digits of the absolute value.
    fn digits(&self) -> String {
        let mut limbs = self.magnitude();
        let mut groups = Vec::new();
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0;
            for limb in limbs.iter_mut().rev() {
                let value = rest << 32 | u64::from(*limb);
                *limb = (value / BILLION) as u32;
                rest = value % BILLION;
            }
            groups.push(rest);
        }
        let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
        digits.trim_start_matches('0').to_owned()
    }

    /// The absolute value, lowest limb first.
    fn magnitude(&self) -> [u32; LIMBS] {
        let (bits, high) = self.low.to_parts();
        // In two's complement a negative `low` borrows from what stands above it.
        let top = self.carry - i128::from(self.low.is_negative());
        let words = [bits, high as u128, top as u128];
        let mut limbs: [u32; LIMBS] = std::array::from_fn(|i| (words[i / 4] >> (i % 4 * 32)) as u32);
        if self.is_negative() {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
            }
        }
        limbs
    }
}

#[cfg(test)]
mod tests {
    use bigdecimal::num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn big(value: i256) -> BigInt {
        value.to_string().parse().unwrap()
    }

    fn value() -> impl Strategy<Value = i256> {
        let wide = any::<(u128, i128)>().prop_map(|(low, high)| i256::from_parts(low, high));
        let edge = prop::sample::select(vec![i256::MAX, i256::MIN, i256::ZERO, i256::ONE, i256::MINUS_ONE]);
        prop_oneof![2 => wide, 2 => edge, 1 => any::<i128>().prop_map(i256::from_i128)]
    }

    proptest! {
        #[test]
        fn no_sum_overflows(values in prop::collection::vec((value(), any::<bool>()), 0..40), scale in -3i8..40) {
            let (mut sum, mut half) = (WholeSum::default(), WholeSum::default());
            let mut expected = BigInt::from(0);
            for (i, (value, negative)) in values.iter().enumerate() {
                let part = if i % 2 == 0 { &mut sum } else { &mut half };
                if *negative { part.subtract(*value) } else { part.add(*value) }
                expected += if *negative { -big(*value) } else { big(*value) };
            }
            let mut less = sum;
            sum.merge(&half, false);
            prop_assert_eq!(sum.number(0).to_string(), expected.to_string());
            prop_assert_eq!(sum.is_zero(), expected == BigInt::from(0));
            prop_assert_eq!(sum.is_negative(), expected < BigInt::from(0));
            prop_assert_eq!(sum.to_f64(scale), format!("{expected}e{}", -i32::from(scale)).parse::<f64>().unwrap());
            less.merge(&sum, true);
            half.merge(&less, false);
            prop_assert!(half.is_zero());
        }

        #[test]
        fn the_difference_of_any_two_is_exact(a in value(), b in value()) {
            let difference = WholeSum::between(a, b);
            prop_assert_eq!(difference.number(0).to_string(), (big(b) - big(a)).to_string());
        }
    }
}
