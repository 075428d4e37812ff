//! Numbers of a measure, and what is done with them: exact differences, agreement under a tolerance, exact sums.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array, UInt64Array,
    },
    buffer::NullBuffer,
    datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, UInt64Type, i256},
};
use dualrun_core::run::figures::Figure;

use crate::{canonical::Number, cast::decimal_to_f64, text::exact_text};

mod agreement;
mod part_sum;
mod sum;
mod whole_sum;

pub(crate) use agreement::{agreement, difference, floats_pass, relative};
pub(crate) use part_sum::PartSum;
pub(crate) use sum::Sum;

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

    fn nulls(&self) -> Option<&NullBuffer> {
        let nulls = match self {
            Self::Int64(a) => a.nulls(),
            Self::UInt64(a) => a.nulls(),
            Self::Float(a) => a.nulls(),
            Self::Decimal128(a) => a.nulls(),
            Self::Decimal256(a) => a.nulls(),
            Self::Exact(_, _, nulls) => nulls.as_ref(),
        };
        nulls.filter(|nulls| nulls.null_count() > 0)
    }

    /// The floats of these rows, where the column is of floats without nulls.
    pub(crate) fn floats(&self, at: usize, length: usize) -> Option<&[f64]> {
        match self {
            Self::Float(a) if a.null_count() == 0 => Some(&a.values()[at..at + length]),
            _ => None,
        }
    }

    /// Whether both hold the same bits and nulls in all of these rows.
    pub(crate) fn same(&self, at: usize, other: &Self, other_at: usize, length: usize) -> bool {
        match (self.nulls(), other.nulls()) {
            (None, None) => {}
            (a, b) => {
                let null = |nulls: Option<&NullBuffer>, row: usize| nulls.is_some_and(|n| n.is_null(row));
                // What stands below a null is arbitrary, so that rows are looked at one by one.
                return (0..length).all(|i| {
                    let (x, y) = (null(a, at + i), null(b, other_at + i));
                    x == y && (x || self.same_value(at + i, other, other_at + i))
                });
            }
        }
        let (a, b) = (at..at + length, other_at..other_at + length);
        match (self, other) {
            (Self::Int64(x), Self::Int64(y)) => x.values()[a] == y.values()[b],
            (Self::UInt64(x), Self::UInt64(y)) => x.values()[a] == y.values()[b],
            (Self::Float(x), Self::Float(y)) => same_bits(&x.values()[a], &y.values()[b]),
            (Self::Decimal128(x), Self::Decimal128(y)) => x.values()[a] == y.values()[b],
            (Self::Decimal256(x), Self::Decimal256(y)) => x.values()[a] == y.values()[b],
            (Self::Exact(x, rest, _), Self::Exact(y, other_rest, _)) => {
                same_bits(&x.values()[a.clone()], &y.values()[b.clone()])
                    && same_bits(&rest.values()[a], &other_rest.values()[b])
            }
            _ => false,
        }
    }

    fn same_value(&self, row: usize, other: &Self, other_row: usize) -> bool {
        match (self, other) {
            (Self::Float(x), Self::Float(y)) => x.value(row).to_bits() == y.value(other_row).to_bits(),
            _ => self.get(row) == other.get(other_row),
        }
    }

    /// Adds the finite values of these rows to a sum and says how many are not finite.
    pub(crate) fn add_to(&self, at: usize, length: usize, sum: &mut PartSum) -> u64 {
        let rows = at..at + length;
        if self.nulls().is_none() {
            match (self, &mut *sum) {
                (Self::Float(a), PartSum::Float(parts)) => return parts.extend(&a.values()[rows]),
                (Self::Exact(nearest, rest, _), PartSum::Float(parts)) => {
                    parts.extend(&rest.values()[rows.clone()]);
                    return parts.extend(&nearest.values()[rows]);
                }
                (Self::Int64(a), PartSum::Whole(total)) => {
                    // 2^64 values of 64 bits fit in 128.
                    let part: i128 = a.values()[rows].iter().map(|v| i128::from(*v)).sum();
                    total.add(i256::from_i128(part));
                    return 0;
                }
                (Self::UInt64(a), PartSum::Whole(total)) => {
                    // Fewer than 2^63 rows are in memory.
                    let part: i128 = a.values()[rows].iter().map(|v| i128::from(*v)).sum();
                    total.add(i256::from_i128(part));
                    return 0;
                }
                (Self::Decimal128(a), PartSum::Whole(total)) => {
                    // The lower and the upper 64 bits apart, so that neither sum can overflow.
                    let (mut low, mut high) = (0u128, 0i128);
                    for value in &a.values()[rows] {
                        low += u128::from(*value as u64);
                        high += value >> 64;
                    }
                    total.add(i256::from_i128(high) << 64);
                    total.add(i256::from_parts(low, 0));
                    return 0;
                }
                (Self::Decimal256(a), PartSum::Whole(total)) => {
                    a.values()[rows].iter().for_each(|value| total.add(*value));
                    return 0;
                }
                _ => {}
            }
        }
        let mut not_finite = 0;
        for row in rows {
            let value = self.get(row);
            not_finite += u64::from(!value.is_summed());
            sum.add(value, false);
        }
        not_finite
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

    /// Whether the value enters sums: null counts 0, what is not finite is left out.
    pub(crate) fn is_summed(self) -> bool {
        matches!(self.class(), Class::Null | Class::Finite)
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

/// Whether two slices of floats hold the same bits, so that a NaN is the same as itself.
fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).fold(true, |same, (x, y)| same & (x.to_bits() == y.to_bits()))
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
