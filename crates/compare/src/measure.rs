//! Numbers of a measure: exact differences, agreement under a tolerance, exact sums.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array, UInt64Array,
    },
    buffer::NullBuffer,
    datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, UInt64Type, i256},
};
use dualrun_core::{Tolerance, run::figures::Figure};

use crate::{
    canonical::Number, cast::decimal_to_f64, exact_sum::ExactSum, text::exact_text, verdict::Agreement,
};

/// A column of a measure in one of the common numeric types.
#[derive(Debug)]
pub(crate) enum Numbers {
    Int64(Int64Array),
    UInt64(UInt64Array),
    Float(Float64Array),
    Decimal128(Decimal128Array),
    Decimal256(Decimal256Array),
    Exact(Float64Array, Float64Array, Option<NullBuffer>),
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Num {
    Null,
    Float(f64),
    /// `nearest + rest`, see [`crate::types::exact_number`].
    Exact(f64, f64),
    /// An integer, or the digits of a decimal whose scale the column knows.
    Whole(i256),
}

impl Numbers {
    /// `None` where the type is not one of the common numeric types.
    pub(crate) fn new(array: &ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Int64 => Self::Int64(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive::<UInt64Type>().clone()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>().clone()),
            DataType::Decimal128(..) => Self::Decimal128(array.as_primitive::<Decimal128Type>().clone()),
            DataType::Decimal256(..) => Self::Decimal256(array.as_primitive::<Decimal256Type>().clone()),
            other if crate::types::is_exact_number(other) => {
                let part = |i: usize| array.as_struct().column(i).as_primitive::<Float64Type>().clone();
                Self::Exact(part(0), part(1), array.logical_nulls())
            }
            _ => return None,
        })
    }

    pub(crate) fn get(&self, row: usize) -> Num {
        macro_rules! of {
            ($array:expr, $wrap:expr) => {
                if $array.is_null(row) { Num::Null } else { $wrap($array.value(row)) }
            };
        }
        match self {
            Self::Int64(a) => of!(a, |v| Num::Whole(i256::from_i128(i128::from(v)))),
            Self::UInt64(a) => of!(a, |v| Num::Whole(i256::from_i128(i128::from(v)))),
            Self::Float(a) => of!(a, Num::Float),
            Self::Decimal128(a) => of!(a, |v| Num::Whole(i256::from_i128(v))),
            Self::Decimal256(a) => of!(a, Num::Whole),
            Self::Exact(nearest, rest, nulls) => match nulls {
                Some(nulls) if nulls.is_null(row) => Num::Null,
                _ => Num::Exact(nearest.value(row), rest.value(row)),
            },
        }
    }
}

/// The kinds of value that never agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Null,
    NotANumber,
    Infinite { negative: bool },
    Finite,
}

impl Num {
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Whole(_) => Class::Finite,
            Self::Float(v) | Self::Exact(v, _) if v.is_nan() => Class::NotANumber,
            Self::Float(v) | Self::Exact(v, _) if v.is_infinite() => Class::Infinite { negative: v < 0.0 },
            Self::Float(_) | Self::Exact(..) => Class::Finite,
        }
    }

    /// Null counts 0; `None` where the value is not finite.
    pub(crate) fn to_f64(self, scale: i8) -> Option<f64> {
        match self {
            Self::Null => Some(0.0),
            Self::Whole(v) => Some(decimal_to_f64(v, scale)),
            Self::Float(v) | Self::Exact(v, _) => v.is_finite().then_some(v),
        }
    }

    pub(crate) fn text(self, scale: i8) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Whole(v) => Some(Number::from_decimal(v, scale).to_string()),
            Self::Float(v) => Some(Figure::from_f64(v).0),
            Self::Exact(nearest, rest) => Some(exact_text(nearest, rest)),
        }
    }
}

/// Whether two values agree: of the same kind, and for finite ones no further apart than the tolerance.
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
        (Num::Float(l), Num::Float(n)) => tolerance.passes(l, n),
        _ => match (legacy.to_f64(scale), new.to_f64(scale), difference(legacy, new, scale)) {
            (Some(l), Some(n), Some(difference)) => difference.abs() <= tolerance.allowance(l, n),
            _ => false,
        },
    };
    if passes { Agreement::Within } else { Agreement::Differs }
}

/// new − legacy, computed without rounding and then brought to the nearest float. Null counts 0; `None` where a side
/// is not finite.
pub(crate) fn difference(legacy: Num, new: Num, scale: i8) -> Option<f64> {
    match (legacy, new) {
        (Num::Float(l), Num::Float(n)) => (l.is_finite() && n.is_finite()).then_some(n - l),
        // 76 digits and their difference fit in 256 bits.
        (Num::Whole(l), Num::Whole(n)) => Some(decimal_to_f64(n.wrapping_sub(l), scale)),
        (Num::Null, n) => n.to_f64(scale),
        (l, Num::Null) => l.to_f64(scale).map(|v| -v),
        (l, n) => {
            l.to_f64(scale)?;
            n.to_f64(scale)?;
            let mut sum = Sum::of(n);
            sum.add(n, false)?;
            sum.add(l, true)?;
            Some(sum.to_f64(scale))
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

/// An exact sum of the numbers of one column.
#[derive(Debug, Clone)]
pub(crate) enum Sum {
    Float(ExactSum),
    Whole(i256),
}

impl Sum {
    /// 0, for a column of this type.
    pub(crate) fn zero(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Self::Whole(i256::ZERO)
            }
            _ => Self::Float(ExactSum::default()),
        }
    }

    fn of(value: Num) -> Self {
        match value {
            Num::Whole(_) => Self::Whole(i256::ZERO),
            _ => Self::Float(ExactSum::default()),
        }
    }

    /// Adds a value or its negative; null and values that are not finite add nothing. `None` on overflow.
    pub(crate) fn add(&mut self, value: Num, negative: bool) -> Option<()> {
        let signed = |v: f64| if negative { -v } else { v };
        match (self, value) {
            (Self::Whole(sum), Num::Whole(v)) => {
                *sum = if negative { sum.checked_sub(v)? } else { sum.checked_add(v)? };
            }
            (Self::Float(sum), Num::Float(v)) => sum.add(signed(v)),
            (Self::Float(sum), Num::Exact(nearest, rest)) => {
                sum.add(signed(nearest));
                sum.add(signed(rest));
            }
            _ => {}
        }
        Some(())
    }

    /// Adds |new − legacy|, without rounding.
    pub(crate) fn add_gap(&mut self, legacy: Num, new: Num) -> Option<()> {
        let finite = |v: Num| matches!(v.class(), Class::Null | Class::Finite);
        if !finite(legacy) || !finite(new) {
            return Some(());
        }
        let mut gap = match self {
            Self::Whole(_) => Self::Whole(i256::ZERO),
            Self::Float(sum) => {
                // The sign of a rounded difference is the sign of the difference.
                if let (Num::Float(l), Num::Float(n)) = (legacy, new) {
                    let (small, large) = if n < l { (n, l) } else { (l, n) };
                    sum.add(large);
                    sum.subtract(small);
                    return Some(());
                }
                Self::Float(ExactSum::default())
            }
        };
        gap.add(new, false)?;
        gap.add(legacy, true)?;
        self.merge_magnitude(&gap)
    }

    /// Adds another sum, or takes it away.
    pub(crate) fn merge(&mut self, other: &Self, negative: bool) -> Option<()> {
        match (self, other) {
            (Self::Whole(sum), Self::Whole(v)) => {
                *sum = if negative { sum.checked_sub(*v)? } else { sum.checked_add(*v)? };
            }
            (Self::Float(sum), Self::Float(other)) => sum.merge(other, negative),
            _ => {}
        }
        Some(())
    }

    /// Adds the absolute value of another sum.
    pub(crate) fn merge_magnitude(&mut self, other: &Self) -> Option<()> {
        let negative = match other {
            Self::Whole(v) => v.is_negative(),
            Self::Float(sum) => sum.is_negative(),
        };
        self.merge(other, negative)
    }

    pub(crate) fn to_f64(&self, scale: i8) -> f64 {
        match self {
            Self::Whole(v) => decimal_to_f64(*v, scale),
            Self::Float(sum) => sum.value(),
        }
    }

    pub(crate) fn figure(&self, scale: i8) -> Figure {
        match self {
            Self::Whole(v) => Figure(Number::from_decimal(*v, scale).to_string()),
            Self::Float(sum) => Figure::from_f64(sum.value()),
        }
    }
}

/// Digits behind the point of a type; 0 for what is not a decimal.
pub(crate) fn scale_of(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}
