//! Differences of two numbers, and whether they agree under a tolerance.

use arrow::datatypes::i256;
use dualrun_core::Tolerance;

use super::{Class, Num, whole_sum::WholeSum};
use crate::{canonical::Number, exact_sum::ExactSum, verdict::Agreement};

/// Whether two values agree: of the same kind, and for finite ones no further apart than the tolerance. Nothing is
/// rounded where that could decide. Among integers and decimals a tolerance is the number that a person reads in it, so
/// that 0.1 is a tenth; among floats it is the float.
pub(crate) fn agreement(legacy: Num, new: Num, scale: i8, tolerance: Tolerance) -> Agreement {
    let class = legacy.class();
    if class != new.class() {
        return Agreement::Differs;
    }
    if class != Class::Finite || legacy == new {
        return Agreement::Equal;
    }
    if tolerance == Tolerance::EXACT {
        return Agreement::Differs;
    }
    let passes = match (legacy, new) {
        (Num::Float(l), Num::Float(n)) => floats_pass(tolerance, l, n),
        _ => numbers_pass(tolerance, legacy, new, scale),
    };
    if passes { Agreement::Within } else { Agreement::Differs }
}

/// Whether two finite floats lie no further apart than the tolerance.
pub(crate) fn floats_pass(tolerance: Tolerance, legacy: f64, new: f64) -> bool {
    let gap = (new - legacy).abs();
    let allowance = tolerance.allowance(legacy, new);
    // Rounding never changes an order, it only makes equal: both are the nearest floats of what is meant.
    if gap == allowance { exact_pass(tolerance, (legacy, 0.0), (new, 0.0)) } else { gap < allowance }
}

fn numbers_pass(tolerance: Tolerance, legacy: Num, new: Num, scale: i8) -> bool {
    let (Some(l), Some(n), Some(difference)) =
        (legacy.to_f64(scale), new.to_f64(scale), difference(legacy, new, scale))
    else {
        return false;
    };
    let (gap, allowance) = (difference.abs(), tolerance.allowance(l, n));
    if (gap - allowance).abs() > NEAR * allowance {
        return gap < allowance;
    }
    match (legacy, new) {
        (Num::Whole(l), Num::Whole(n)) => decimals_pass(tolerance, l, n, scale),
        _ => exact_pass(tolerance, parts(legacy), parts(new)),
    }
}

/// Further apart than this share, a rounded difference and a rounded allowance have the order of the exact ones: the two
/// sides, the relative tolerance and its product are each rounded once, by at most half of EPSILON.
const NEAR: f64 = 8.0 * f64::EPSILON;

/// The rule in exact arithmetic, for values that are sums of two floats.
#[cold]
fn exact_pass(tolerance: Tolerance, legacy: (f64, f64), new: (f64, f64)) -> bool {
    let mut over = magnitude_between(legacy, new);
    over.subtract(tolerance.absolute());
    // No difference exceeds twice the larger side.
    if over.value() <= 0.0 || tolerance.relative() >= 2.0 {
        return true;
    }
    let positive =
        |(nearest, rest): (f64, f64)| if nearest < 0.0 { (-nearest, -rest) } else { (nearest, rest) };
    let larger = if positive(new) > positive(legacy) { positive(new) } else { positive(legacy) };
    // The product and its rounding error stay within the range of floats: small values are multiplied by a power of two,
    // and of a tolerance above 1 the half is taken twice.
    let factor = if larger.0 < 1.0 { SMALL_FACTOR } else { 1.0 };
    let times = |(nearest, rest): (f64, f64)| (nearest * factor, rest * factor);
    let (part, twice) = if tolerance.relative() > 1.0 { (0.5, 2) } else { (1.0, 1) };
    let (relative, larger) = (tolerance.relative() * part, times(larger));
    let mut over = magnitude_between(times(legacy), times(new));
    for value in [larger.0, larger.1] {
        let product = relative * value;
        let error = relative.mul_add(value, -product);
        for _ in 0..twice {
            over.subtract(product);
            over.subtract(error);
        }
    }
    over.value() <= 0.0
}

/// 2^600. Values below 1 times this are far from both ends of the range of floats.
const SMALL_FACTOR: f64 = f64::from_bits((600 + 1023) << 52);

/// |new − legacy|.
fn magnitude_between(legacy: (f64, f64), new: (f64, f64)) -> ExactSum {
    let mut difference = ExactSum::default();
    [new.0, new.1, -legacy.0, -legacy.1].into_iter().for_each(|v| difference.add(v));
    let mut magnitude = ExactSum::default();
    magnitude.merge(&difference, difference.is_negative());
    magnitude
}

/// The rule in exact arithmetic, for the digits of decimals; a tolerance is the decimal that a person reads in it.
#[cold]
fn decimals_pass(tolerance: Tolerance, legacy: i256, new: i256, scale: i8) -> bool {
    let gap = WholeSum::between(legacy, new).number(scale);
    if size(&gap) <= size(&Number::from_f64(tolerance.absolute())) {
        return true;
    }
    let (legacy, new) = (Number::from_decimal(legacy, scale), Number::from_decimal(new, scale));
    let larger = if size(&new) > size(&legacy) { new } else { legacy };
    size(&gap) <= size(&product(&Number::from_f64(tolerance.relative()), &larger))
}

/// |a × b|.
fn product(a: &Number, b: &Number) -> Number {
    let (Number::Finite { digits: x, exponent: ex, .. }, Number::Finite { digits: y, exponent: ey, .. }) =
        (a, b)
    else {
        return Number::Nan;
    };
    // One decimal digit a place, highest first.
    let mut places = vec![0u32; x.len() + y.len()];
    for (i, p) in x.bytes().enumerate() {
        for (j, q) in y.bytes().enumerate() {
            places[i + j + 1] += u32::from(p - b'0') * u32::from(q - b'0');
        }
    }
    let mut carry = 0;
    for place in places.iter_mut().rev() {
        let value = *place + carry;
        (*place, carry) = (value % 10, value / 10);
    }
    let digits: String = places.iter().filter_map(|place| char::from_digit(*place, 10)).collect();
    Number::finite(false, digits.trim_start_matches('0').to_owned(), ex + ey - places.len() as i32)
}

/// What absolute values are ordered by; none where the number is not finite.
fn size(number: &Number) -> Option<(bool, i32, &str)> {
    match number {
        Number::Finite { digits, exponent, .. } => Some((!digits.is_empty(), *exponent, digits)),
        Number::Nan | Number::Infinite { .. } => None,
    }
}

/// A float as a sum of two.
fn parts(value: Num) -> (f64, f64) {
    match value {
        Num::Float(v) => (v, 0.0),
        Num::Exact(nearest, rest) => (nearest, rest),
        Num::Null | Num::Whole(_) => (0.0, 0.0),
    }
}

/// new − legacy, computed without rounding and then brought to the nearest float. Null counts 0; `None` where a side
/// is not finite.
pub(crate) fn difference(legacy: Num, new: Num, scale: i8) -> Option<f64> {
    match (legacy, new) {
        (Num::Float(l), Num::Float(n)) => (l.is_finite() && n.is_finite()).then_some(n - l),
        (Num::Whole(l), Num::Whole(n)) => Some(WholeSum::between(l, n).to_f64(scale)),
        (Num::Null, n) => n.to_f64(scale),
        (l, Num::Null) => l.to_f64(scale).map(|v| -v),
        (l, n) => {
            l.to_f64(scale)?;
            n.to_f64(scale)?;
            let mut sum = ExactSum::default();
            let (l, n) = (parts(l), parts(n));
            [n.0, n.1, -l.0, -l.1].into_iter().for_each(|v| sum.add(v));
            Some(sum.value())
        }
    }
}

/// |n − l| / max(|n|, |l|); `None` where both are 0 or one is not finite.
pub(crate) fn relative(legacy: Num, new: Num, scale: i8) -> Option<f64> {
    let (l, n) = (legacy.to_f64(scale)?, new.to_f64(scale)?);
    let larger = l.abs().max(n.abs());
    if larger == 0.0 {
        return None;
    }
    let difference = difference(legacy, new, scale)?.abs();
    // The difference of two finite floats may exceed their range, their ratio never does.
    Some(if difference.is_finite() { difference / larger } else { (n / larger - l / larger).abs() })
}

#[cfg(test)]
mod tests;
