//! Rules on numbers.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Scalar, new_null_array},
    compute::{is_not_null, kernels::zip::zip},
    datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, Float64Type, i256},
    error::ArrowError,
};
use dualrun_core::unit::Ratio;

use crate::{
    canonical::{Number, widen},
    cast::{cast_to, strict},
    types,
};

/// A unit's factor, as it is applied to one column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Factor {
    /// Digits times an integer; the scale of the type says the rest.
    Digits(i256),
    /// Nearest float: times the numerator, then divided by the denominator.
    Float(f64, f64),
}

impl Factor {
    /// How a ratio is applied to a column, and the type that comes out. Integers and decimals stay exact where the ratio is
    /// a decimal fraction and the digits fit 76; otherwise they become floats.
    pub(super) fn new(ratio: Ratio, from: &DataType) -> (Self, DataType) {
        let float = (Self::Float(ratio.numerator as f64, ratio.denominator as f64), DataType::Float64);
        let (integer, scale) = match from {
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s)
                if *s >= 0 =>
            {
                (i32::from(*p) - i32::from(*s), i32::from(*s))
            }
            t if t.is_integer() => (20, 0),
            _ => return float,
        };
        let Some((multiplier, digits)) = decimal_fraction(ratio) else { return float };
        // The multiplier stands `digits` places behind the point, so that the product grows by what is left before it.
        let growth = i32::try_from(multiplier.to_string().len()).unwrap_or(i32::MAX) - digits;
        match types::decimal(integer + growth.max(0), scale + digits) {
            Some(to) => (Self::Digits(i256::from_i128(multiplier)), to),
            None => float,
        }
    }
}

/// numerator / denominator = multiplier / 10^digits, where such a number exists.
fn decimal_fraction(ratio: Ratio) -> Option<(i128, i32)> {
    let (mut rest, mut twos, mut fives) = (ratio.denominator, 0, 0);
    while rest % 2 == 0 {
        (rest, twos) = (rest / 2, twos + 1);
    }
    while rest % 5 == 0 {
        (rest, fives) = (rest / 5, fives + 1);
    }
    if rest != 1 {
        return None;
    }
    let digits = i32::max(twos, fives);
    let power = 10i128.checked_pow(u32::try_from(digits).ok()?)?;
    Some((ratio.numerator.checked_mul(power)? / ratio.denominator, digits))
}

pub(super) fn scale(array: &ArrayRef, factor: Factor, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match factor {
        Factor::Float(numerator, denominator) => {
            let floats = cast_to(array, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            Ok(Arc::new(floats.unary::<_, Float64Type>(|v| v * numerator / denominator)))
        }
        Factor::Digits(multiplier) => {
            let scale = crate::measure::scale_of(array.data_type());
            let digits = strict(array, &DataType::Decimal256(76, scale))?;
            let product = digits.as_primitive::<Decimal256Type>().try_unary::<_, Decimal256Type, _>(|v| {
                v.checked_mul(multiplier)
                    .ok_or_else(|| ArrowError::ComputeError("a product exceeds 256 bits".to_owned()))
            })?;
            narrow(product, to)
        }
    }
}

/// Digits as they are, under another precision and scale.
fn narrow(digits: Decimal256Array, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match to {
        DataType::Decimal128(p, s) => {
            let small = digits.iter().map(|v| match v {
                Some(v) => v.to_i128().map(Some).ok_or_else(too_long),
                None => Ok(None),
            });
            let small = small.collect::<Result<Decimal128Array, _>>()?.with_precision_and_scale(*p, *s)?;
            small.validate_decimal_precision(*p)?;
            Ok(Arc::new(small))
        }
        DataType::Decimal256(p, s) => {
            let digits = digits.with_precision_and_scale(*p, *s)?;
            digits.validate_decimal_precision(*p)?;
            Ok(Arc::new(digits))
        }
        _ => Err(too_long()),
    }
}

fn too_long() -> ArrowError {
    ArrowError::CastError("a number has too many digits".to_owned())
}

pub(super) fn null_is_zero(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let array = if array.data_type() == to { Arc::clone(array) } else { new_null_array(to, array.len()) };
    if array.null_count() == 0 {
        return Ok(array);
    }
    let zero: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![0]));
    let zero = strict(&zero, to)?;
    zip(&is_not_null(&array)?, &array, &Scalar::new(zero))
}

/// The type of a column after rounding: a decimal gets room for a carry (9.99 becomes 10.0), a short float widens.
/// `None` where there is nothing to round, an error where values are no numbers.
pub(super) fn rounded(from: &DataType) -> Result<Option<DataType>, ()> {
    Ok(match from {
        t if t.is_integer() => None,
        t if t.is_floating() => Some(DataType::Float64),
        DataType::Null => None,
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            let (p, s) = (i32::from(*p), i32::from(*s));
            let widest = i32::from(DECIMAL256_MAX_PRECISION);
            Some(types::decimal((p - s + 1).min(widest - s.max(0)), s.max(0)).ok_or(())?)
        }
        _ => return Err(()),
    })
}

/// Rounds half away from zero. Decimals by their digits; floats by the shortest decimal text that reads back to them, so
/// that 1.005 becomes 1.01 as a person expects.
pub(super) fn round(array: &ArrayRef, digits: u8, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type().is_floating() {
        let floats = widen(array)?;
        return Ok(Arc::new(floats.unary::<_, Float64Type>(|v| Number::from_f64(v).rounded(digits, v))));
    }
    let scale = crate::measure::scale_of(to);
    let wide = strict(array, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale))?;
    let done =
        wide.as_primitive::<Decimal256Type>().unary::<_, Decimal256Type>(|v| round_digits(v, scale, digits));
    narrow(done, to)
}

fn round_digits(value: i256, scale: i8, digits: u8) -> i256 {
    let drop = i32::from(scale) - i32::from(digits);
    let Ok(drop) = u32::try_from(drop) else { return value };
    let Some(unit) = i256::from_i128(10).checked_pow(drop) else { return i256::ZERO };
    let rest = value.wrapping_rem(unit);
    let down = value.wrapping_sub(rest);
    // |rest| ≥ unit − |rest| is |rest| ≥ unit / 2 without a fraction.
    let size = rest.wrapping_abs();
    if size < unit.wrapping_sub(size) || drop == 0 {
        down
    } else if value.is_negative() {
        down.wrapping_sub(unit)
    } else {
        down.wrapping_add(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero() {
        let round = |v: i128, s: i8, d: u8| round_digits(i256::from_i128(v), s, d).to_i128();
        assert_eq!(round(1_005, 3, 2), Some(1_010));
        assert_eq!(round(-1_005, 3, 2), Some(-1_010));
        assert_eq!(round(1_004, 3, 2), Some(1_000));
        assert_eq!(round(1_005, 3, 5), Some(1_005));
        let float = |v: f64, d: u8| Number::from_f64(v).rounded(d, v);
        assert_eq!(
            [float(1.005, 2), float(-2.675, 2), float(0.4, 0), float(0.5, 0)],
            [1.01, -2.68, 0.0, 1.0]
        );
        assert_eq!([float(9.99, 1), float(1e300, 2), float(0.04, 1)], [10.0, 1e300, 0.0]);
        assert!(float(f64::NAN, 2).is_nan());
    }

    #[test]
    fn decimal_fractions_are_found() {
        let of = |n, d| decimal_fraction(Ratio { numerator: n, denominator: d });
        assert_eq!(of(1, 1000), Some((1, 3)));
        assert_eq!(of(2_097_152, 1_953_125), Some((1_073_741_824, 9)));
        assert_eq!(of(1, 3), None);
        assert_eq!(of(1000, 1), Some((1000, 0)));
    }
}
