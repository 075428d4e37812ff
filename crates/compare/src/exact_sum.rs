//! Exact sums of floats: every bit is kept, so that order, partitioning and parallelism never change a sum.
//!
//! A fixed-point accumulator over the whole range of a 64-bit float, after U. Kulisch, *Computer Arithmetic and
//! Validity* (2nd ed., 2013), chapter 8. Only the limbs that were touched are stored.

use crate::exact_slice::exact_parts;

/// Bits of one limb; limbs are 64 bits wide, so that 2^30 additions fit before carries are moved on.
const LIMB_BITS: usize = 32;
const MASK: i64 = (1 << LIMB_BITS) - 1;
const MAX_ADDS: u32 = 1 << 30;

/// An exact sum of finite floats.
#[derive(Debug, Clone, Default)]
pub struct ExactSum {
    /// Index of `limbs[0]`; limb i counts units of 2^(32·i − 1074).
    low: usize,
    limbs: Vec<i64>,
    adds: u32,
}

impl ExactSum {
    /// Adds a value. Values that are not finite are left out: the caller counts them.
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        if exponent == 0x7ff || (exponent == 0 && fraction == 0) {
            return;
        }
        let (mantissa, position) =
            if exponent == 0 { (fraction, 0) } else { (fraction | (1 << 52), exponent - 1) };
        let limb = position / LIMB_BITS;
        let wide = u128::from(mantissa) << (position % LIMB_BITS);
        let start = self.reach(limb, limb + 3);
        for (i, slot) in self.limbs[start..start + 3].iter_mut().enumerate() {
            let part = (wide >> (i * LIMB_BITS)) as i64 & MASK;
            *slot += if value < 0.0 { -part } else { part };
        }
        self.count(1);
    }

    /// Adds the finite values of a slice and says how many are not finite. Faster than one by one, unless their sizes differ
    /// by more than 32 binary orders of magnitude.
    pub fn extend(&mut self, values: &[f64]) -> u64 {
        let mut parts = Vec::new();
        let not_finite = exact_parts(values, &mut parts);
        parts.iter().for_each(|part| self.add(*part));
        not_finite
    }

    /// Back to 0, keeping the room.
    pub fn clear(&mut self) {
        // Mostly few limbs, and mostly 0: cheaper looked at than filled.
        self.limbs.iter_mut().filter(|limb| **limb != 0).for_each(|limb| *limb = 0);
        self.adds = 0;
    }

    /// Floats whose exact sum this is; several where one cannot hold all bits.
    pub fn to_parts(&self) -> Vec<f64> {
        let mut rest = self.clone();
        let mut parts = Vec::new();
        loop {
            // A sum beyond the range of a float is taken away in the largest pieces that there are.
            let part = rest.value().clamp(-f64::MAX, f64::MAX);
            if part == 0.0 {
                return parts;
            }
            parts.push(part);
            rest.subtract(part);
        }
    }

    /// Adds the negative of a value.
    pub fn subtract(&mut self, value: f64) {
        self.add(-value);
    }

    /// Adds another sum, or takes it away.
    pub fn merge(&mut self, other: &Self, negative: bool) {
        if other.limbs.is_empty() {
            return;
        }
        let mut other = other.clone();
        other.carry();
        self.carry();
        let start = self.reach(other.low, other.low + other.limbs.len());
        for (slot, limb) in self.limbs[start..].iter_mut().zip(&other.limbs) {
            *slot += if negative { -limb } else { *limb };
        }
        self.count(2);
    }

    /// The float nearest to the sum, ties to even; infinite beyond the range of a float.
    pub fn value(&self) -> f64 {
        let Some(used) = self.limbs.iter().rposition(|limb| *limb != 0).map(|top| top + 1) else {
            return 0.0;
        };
        // Sums of values of like size have few limbs: they need no memory of their own.
        let (mut few, mut many) = ([0; 8], Vec::new());
        let limbs = if used < few.len() {
            &mut few[..=used]
        } else {
            many.resize(used + 1, 0);
            &mut many
        };
        let negative = magnitude(&self.limbs[..used], limbs);
        let Some(top) = limbs.iter().rposition(|l| *l != 0) else { return 0.0 };
        // The highest 128 bits hold more than a mantissa, wherever in its limb the first bit stands.
        let limb = |below: usize| top.checked_sub(below).map_or(0, |i| limbs[i] as u128);
        let window = limb(0) << 96 | limb(1) << 64 | limb(2) << 32 | limb(3);
        let zeros = window.leading_zeros();
        let highest = (self.low + top) * LIMB_BITS + 31 - zeros as usize;
        // The lowest bit that a float of this size holds.
        let lowest = highest.saturating_sub(52);
        let kept = (highest - lowest + 1) as u32;
        let mut mantissa = (window << zeros >> (128 - kept)) as u64;
        let rest = window << zeros << kept;
        if rest >> 127 == 1 {
            let sticky = rest << 1 != 0 || limbs[..top.saturating_sub(3)].iter().any(|l| *l != 0);
            mantissa += u64::from(sticky || mantissa & 1 == 1);
        }
        // A mantissa below 2^53 at position 0 is its own bit pattern; each position more is one exponent more, and a
        // carry out of the mantissa moves into the exponent by itself.
        let bits = ((lowest as u64) << 52) + mantissa;
        let value = if bits >= f64::INFINITY.to_bits() { f64::INFINITY } else { f64::from_bits(bits) };
        if negative { -value } else { value }
    }

    /// Whether the sum is below zero.
    pub fn is_negative(&self) -> bool {
        magnitude(&self.limbs, &mut vec![0; self.limbs.len() + 1])
    }

    fn count(&mut self, adds: u32) {
        self.adds += adds;
        if self.adds >= MAX_ADDS {
            self.carry();
        }
    }

    /// Moves carries up, so that every limb but the highest is in 0..2^32. The highest keeps the sign.
    fn carry(&mut self) {
        self.adds = 0;
        let Some((top, rest)) = self.limbs.split_last_mut() else { return };
        *top += carry_out(rest);
        let high = *top >> LIMB_BITS;
        if high != 0 && high != -1 {
            *top &= MASK;
            self.limbs.push(high);
        }
    }

    /// Makes room for limbs `from..to` and gives the position of `from`.
    fn reach(&mut self, from: usize, to: usize) -> usize {
        if self.limbs.is_empty() {
            self.low = from;
        }
        if from < self.low {
            self.limbs.splice(0..0, std::iter::repeat_n(0, self.low - from));
            self.low = from;
        }
        if to > self.low + self.limbs.len() {
            self.limbs.resize(to - self.low, 0);
        }
        from - self.low
    }
}

/// Whether a sum is negative. Writes the limbs of its absolute value, each in 0..2^32, and one more for what is above them.
fn magnitude(limbs: &[i64], absolute: &mut [i64]) -> bool {
    let count = limbs.len();
    absolute[..count].copy_from_slice(limbs);
    absolute[count] = carry_out(&mut absolute[..count]);
    let negative = absolute[count] < 0;
    if negative {
        absolute.iter_mut().zip(limbs).for_each(|(slot, limb)| *slot = -limb);
        absolute[count] = carry_out(&mut absolute[..count]);
    }
    negative
}

fn carry_out(limbs: &mut [i64]) -> i64 {
    let mut carry = 0;
    for limb in limbs {
        let sum = *limb + carry;
        *limb = sum & MASK;
        carry = sum >> LIMB_BITS;
    }
    carry
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|v| sum.add(*v));
        sum.value()
    }

    #[test]
    fn nothing_is_lost() {
        assert_eq!(sum(&[1e308, 1.0, -1e308]), 1.0);
        assert_eq!(sum(&[1e308, 1e308, -1e308]), 1e308);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]), 1e-323);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[-1.0, 1e-300]), -1.0);
        // Halfway between two floats: the even one, and the upper one as soon as anything lies above.
        assert_eq!(sum(&[9007199254740992.0, 1.0]), 9007199254740992.0);
        assert_eq!(sum(&[9007199254740992.0, 1.0, 5e-324]), 9007199254740994.0);
    }

    /// The sum as an integer number of 2^-60, which holds these values exactly.
    fn oracle(values: &[(i64, i32)]) -> f64 {
        let total: i128 = values.iter().map(|(m, e)| i128::from(*m) << (e + 60)).sum();
        total as f64 / 2f64.powi(60)
    }

    proptest! {
        #[test]
        fn equals_integer_arithmetic(values in prop::collection::vec((-(1i64 << 40)..1i64 << 40, -60i32..20), 0..40)) {
            let floats: Vec<f64> = values.iter().map(|(m, e)| *m as f64 * 2f64.powi(*e)).collect();
            prop_assert_eq!(sum(&floats), oracle(&values));
        }

        #[test]
        fn order_and_parts_do_not_matter(mut values in prop::collection::vec(any::<f64>(), 0..30), cut in 0usize..30) {
            values.retain(|v| v.is_finite());
            let whole = sum(&values);
            let cut = cut.min(values.len());
            let mut parts = ExactSum::default();
            values[cut..].iter().rev().for_each(|v| parts.add(*v));
            let mut head = ExactSum::default();
            values[..cut].iter().for_each(|v| head.subtract(*v));
            parts.merge(&head, true);
            prop_assert_eq!(whole.to_bits(), parts.value().to_bits());
            let mut nothing = parts.clone();
            nothing.merge(&parts, true);
            prop_assert_eq!(nothing.value(), 0.0);
        }
    }
}
