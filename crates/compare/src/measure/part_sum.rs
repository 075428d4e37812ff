//! The exact sum of a part of the rows, cheap to add to.

use arrow::datatypes::DataType;

use super::{Num, Sum, whole_sum::WholeSum};
use crate::exact_slice::exact_parts;

/// The sum of a part of the rows, on its way into the sums of a customer and of the run.
#[derive(Debug, Clone)]
pub(crate) enum PartSum {
    Float(Parts),
    Whole(WholeSum),
}

/// Floats whose exact sum is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    parts: Vec<f64>,
}

/// So many floats are kept before they are added up exactly.
const KEPT: usize = 512;

impl Parts {
    /// Finite floats with this sum.
    pub(super) fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// Adds the finite values and says how many are not finite.
    pub(super) fn extend(&mut self, values: &[f64]) -> u64 {
        self.make_room();
        exact_parts(values, &mut self.parts)
    }

    fn push(&mut self, value: f64) {
        self.make_room();
        self.parts.push(value);
    }

    fn make_room(&mut self) {
        if self.parts.len() >= KEPT {
            let mut fewer = Vec::with_capacity(KEPT);
            exact_parts(&self.parts, &mut fewer);
            self.parts = fewer;
        }
    }
}

impl PartSum {
    /// 0, for a column of this type.
    pub(crate) fn zero(data_type: &DataType) -> Self {
        match Sum::zero(data_type) {
            Sum::Whole(zero) => Self::Whole(zero),
            Sum::Float(_) | Sum::Exact(_) => Self::Float(Parts::default()),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Float(parts) => parts.parts.clear(),
            Self::Whole(sum) => *sum = WholeSum::default(),
        }
    }

    /// Adds a value or its negative; null and what is not finite add nothing.
    pub(crate) fn add(&mut self, value: Num, negative: bool) {
        let signed = |v: f64| if negative { -v } else { v };
        match (self, value) {
            (Self::Whole(sum), Num::Whole(v)) => sum.add_signed(v, negative),
            (Self::Float(parts), Num::Float(v)) if v.is_finite() => parts.push(signed(v)),
            (Self::Float(parts), Num::Exact(nearest, rest)) if nearest.is_finite() => {
                parts.push(signed(nearest));
                parts.push(signed(rest));
            }
            _ => {}
        }
    }

    /// Adds |new − legacy|, without rounding; nothing where one is not finite.
    pub(crate) fn add_gap(&mut self, legacy: Num, new: Num) {
        if !legacy.is_summed() || !new.is_summed() || legacy == new {
            return;
        }
        if let (Num::Float(l), Num::Float(n)) = (legacy, new) {
            self.add_float_gap(l, n);
            return;
        }
        let mut gap = match self {
            Self::Whole(_) => Sum::Whole(WholeSum::default()),
            Self::Float(_) => Sum::Float(Default::default()),
        };
        gap.add(new, false);
        gap.add(legacy, true);
        self.add_magnitude(&gap);
    }

    /// Adds |new − legacy| of two finite floats.
    pub(crate) fn add_float_gap(&mut self, legacy: f64, new: f64) {
        // The sign of a rounded difference is the sign of the difference.
        let (small, large) = if new < legacy { (new, legacy) } else { (legacy, new) };
        self.float(large);
        self.float(-small);
    }

    /// Finite floats with this sum; none of whole numbers.
    pub(crate) fn float_parts(&self) -> Option<&[f64]> {
        match self {
            Self::Float(parts) => Some(parts.parts()),
            Self::Whole(_) => None,
        }
    }

    /// Adds a finite float.
    pub(crate) fn float(&mut self, value: f64) {
        if let Self::Float(parts) = self {
            parts.push(value);
        }
    }

    /// Adds finite floats.
    pub(crate) fn floats(&mut self, values: &[f64]) {
        if let Self::Float(parts) = self {
            parts.extend(values);
        }
    }

    /// Adds the absolute value of a sum.
    pub(crate) fn add_magnitude(&mut self, sum: &Sum) {
        self.add_sum(sum, sum.is_negative());
    }

    /// Adds a sum or its negative.
    pub(crate) fn add_sum(&mut self, sum: &Sum, negative: bool) {
        match (self, sum) {
            (Self::Whole(total), Sum::Whole(sum)) => total.merge(sum, negative),
            (Self::Float(parts), Sum::Float(sum)) => {
                for part in sum.to_parts() {
                    parts.push(if negative { -part } else { part });
                }
            }
            _ => {}
        }
    }
}
