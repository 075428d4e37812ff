//! The exact sum of the numbers of one column.

use super::{Num, PartSum, whole_sum::WholeSum};
use crate::{customers::Shown, exact_sum::ExactSum, types::is_exact_number};
use arrow::datatypes::DataType;

/// An exact sum of the numbers of one column.
#[derive(Debug, Clone)]
pub(crate) enum Sum {
    Float(ExactSum),
    /// Of integers beside floats: shown to the last digit where it is whole.
    Exact(ExactSum),
    Whole(WholeSum),
}

impl Sum {
    /// 0, for a column of this type.
    pub(crate) fn zero(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Self::Whole(WholeSum::default())
            }
            exact if is_exact_number(exact) => Self::Exact(ExactSum::default()),
            _ => Self::Float(ExactSum::default()),
        }
    }

    /// Back to 0.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Whole(sum) => *sum = WholeSum::default(),
            Self::Float(sum) | Self::Exact(sum) => sum.clear(),
        }
    }

    pub(crate) fn is_negative(&self) -> bool {
        match self {
            Self::Whole(sum) => sum.is_negative(),
            Self::Float(sum) | Self::Exact(sum) => sum.is_negative(),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Whole(sum) => sum.is_zero(),
            Self::Float(sum) | Self::Exact(sum) => sum.value() == 0.0,
        }
    }

    /// Adds what a part of the rows adds up to.
    pub(crate) fn absorb(&mut self, part: &PartSum) {
        match (self, part) {
            (Self::Whole(sum), PartSum::Whole(part)) => sum.merge(part, false),
            (Self::Float(sum) | Self::Exact(sum), PartSum::Float(part)) => {
                part.parts().iter().for_each(|v| sum.add(*v))
            }
            _ => {}
        }
    }

    /// Adds a value or its negative; null and values that are not finite add nothing.
    pub(crate) fn add(&mut self, value: Num, negative: bool) {
        let signed = |v: f64| if negative { -v } else { v };
        match (self, value) {
            (Self::Whole(sum), Num::Whole(v)) => sum.add_signed(v, negative),
            (Self::Float(sum) | Self::Exact(sum), Num::Float(v)) => sum.add(signed(v)),
            (Self::Float(sum) | Self::Exact(sum), Num::Exact(nearest, rest)) => {
                sum.add(signed(nearest));
                sum.add(signed(rest));
            }
            _ => {}
        }
    }

    /// Adds another sum, or takes it away.
    pub(crate) fn merge(&mut self, other: &Self, negative: bool) {
        match (self, other) {
            (Self::Whole(sum), Self::Whole(other)) => sum.merge(other, negative),
            (Self::Float(sum), Self::Float(other)) | (Self::Exact(sum), Self::Exact(other)) => {
                sum.merge(other, negative)
            }
            _ => {}
        }
    }

    pub(crate) fn to_f64(&self, scale: i8) -> f64 {
        match self {
            Self::Whole(sum) => sum.to_f64(scale),
            Self::Float(sum) | Self::Exact(sum) => sum.value(),
        }
    }

    pub(crate) fn shown(&self, scale: i8) -> Shown<'static> {
        match self {
            // Most differences of most runs are none.
            Self::Whole(sum) if sum.is_zero() => Shown::ZERO,
            Self::Whole(sum) => Shown::Whole(sum.number(scale).to_string()),
            Self::Float(sum) => Shown::Float(sum.value()),
            Self::Exact(sum) => match whole(sum) {
                Some(whole) => Shown::Whole(whole.to_string()),
                None => Shown::Float(sum.value()),
            },
        }
    }
}

/// A whole number of which the nearest float is another one.
fn whole(sum: &ExactSum) -> Option<i128> {
    let parts = sum.to_parts();
    // Below 2^126 the parts, each smaller than the one before, fit.
    let fits = |part: &f64| part.fract() == 0.0 && part.abs() < 2f64.powi(126);
    (parts.len() > 1 && parts.iter().all(fits)).then(|| parts.iter().map(|part| *part as i128).sum())
}
