//! Counts and sums of some rows of one customer, on their way into the tallies.

use arrow::datatypes::DataType;
use dualrun_core::{Tolerance, Verdict, VerdictCounts};

use crate::{
    measure::{Num, PartSum, agreement, floats_pass, relative, scale_of},
    order::Order,
    schema::Common,
    spec::{CompareColumn, CompareKind},
    verdict::Agreement,
};

/// What some rows say of one column.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Cells of paired rows.
    pub(crate) verdicts: VerdictCounts,
    /// None for an attribute.
    pub(crate) figures: Option<SegmentFigures>,
    /// |new − legacy| of the cell that differs most and the position of its row; no figure of an attribute.
    pub(crate) largest: Option<(Option<f64>, usize)>,
    /// The positions of further cells that differ as much; none are kept where rows come in the order of their keys.
    pub(crate) tied: Option<Vec<usize>>,
}

/// The sums of a measure.
#[derive(Debug)]
pub(crate) struct SegmentFigures {
    /// Σ legacy.
    pub(crate) legacy: PartSum,
    /// Σ new − Σ legacy. Most cells are the same on both sides, and add nothing.
    pub(crate) delta: PartSum,
    pub(crate) gross: PartSum,
    pub(crate) unexplained: PartSum,
    pub(crate) max_relative: f64,
    /// Values that are not finite. Those of both sides are counted with legacy, so that a correction may be negative.
    pub(crate) not_finite: i64,
    /// Some cell lies beyond tolerance.
    pub(crate) beyond: bool,
    pub(crate) tolerance: Tolerance,
    pub(crate) scale: i8,
}

impl Segment {
    /// One segment a compared column.
    pub(crate) fn all(common: &Common, order: Order) -> Vec<Self> {
        let segment = |column: &CompareColumn| Self {
            verdicts: VerdictCounts::default(),
            figures: match column.kind {
                CompareKind::Measure { tolerance, .. } => {
                    let field = common.schema.field_with_name(&column.name).ok();
                    field.map(|field| SegmentFigures::new(field.data_type(), tolerance))
                }
                CompareKind::Attribute => None,
            },
            largest: None,
            tied: (order != Order::Key).then(Vec::new),
        };
        common.spec.columns.iter().map(segment).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.verdicts = VerdictCounts::default();
        self.largest = None;
        if let Some(tied) = &mut self.tied {
            tied.clear();
        }
        if let Some(figures) = &mut self.figures {
            figures.clear();
        }
    }

    /// Takes note of a cell beyond tolerance. Of equal ones the one with the smallest key will stay: the first where rows
    /// come in the order of their keys.
    pub(crate) fn stored(&mut self, magnitude: Option<f64>, position: usize) {
        if self.largest.is_none_or(|(known, _)| magnitude > known) {
            self.largest = Some((magnitude, position));
            if let Some(tied) = &mut self.tied {
                tied.clear();
            }
        } else if let (Some(tied), Some((known, _))) = (&mut self.tied, self.largest)
            && known == magnitude
        {
            tied.push(position);
        }
    }

    /// Whether a cell beyond tolerance with this |new − legacy| would be taken note of.
    pub(crate) fn may_store(&self, magnitude: f64) -> bool {
        self.largest.is_none_or(|(known, _)| {
            Some(magnitude) > known || (self.tied.is_some() && Some(magnitude) == known)
        })
    }

    pub(crate) fn scale(&self) -> i8 {
        self.figures.as_ref().map_or(0, |figures| figures.scale)
    }
}

impl SegmentFigures {
    fn new(data_type: &DataType, tolerance: Tolerance) -> Self {
        let zero = PartSum::zero(data_type);
        Self {
            legacy: zero.clone(),
            delta: zero.clone(),
            gross: zero.clone(),
            unexplained: zero,
            max_relative: 0.0,
            not_finite: 0,
            beyond: false,
            tolerance,
            scale: scale_of(data_type),
        }
    }

    fn clear(&mut self) {
        self.legacy.clear();
        self.delta.clear();
        self.gross.clear();
        self.unexplained.clear();
        self.max_relative = 0.0;
        self.not_finite = 0;
        self.beyond = false;
    }

    /// Adds the values of one side.
    pub(crate) fn total(&mut self, is_new: bool, value: Num) {
        self.not_finite += i64::from(!value.is_summed());
        if is_new {
            self.delta.add(value, false);
        } else {
            self.legacy.add(value, false);
            self.delta.add(value, true);
        }
    }

    /// A paired cell whose legacy value was added to Σ legacy, and counted, for both sides.
    pub(crate) fn corrected(&mut self, legacy: Num, new: Num) {
        self.not_finite += i64::from(!new.is_summed()) - i64::from(!legacy.is_summed());
        self.delta.add(new, false);
        self.delta.add(legacy, true);
    }

    /// Takes note of the relative difference of a paired cell, and of whether it lies beyond tolerance.
    pub(crate) fn paired(&mut self, legacy: Num, new: Num, agreement: Agreement) {
        if agreement != Agreement::Equal
            && let Some(relative) = relative(legacy, new, self.scale)
        {
            self.max_relative = self.max_relative.max(relative);
        }
        self.beyond |= agreement == Agreement::Differs;
    }

    /// Takes note of whether a row on one side only lies beyond tolerance; the other side counts 0.
    pub(crate) fn one_sided(&mut self, legacy: Num, new: Num) {
        let zero = |v: Num, other: Num| match (v, other) {
            (Num::Null, Num::Whole(_)) => Num::Whole(arrow::datatypes::i256::ZERO),
            (Num::Null, Num::Float(_)) => Num::Float(0.0),
            (Num::Null, Num::Exact(..)) => Num::Exact(0.0, 0.0),
            (v, _) => v,
        };
        let (l, n) = (zero(legacy, new), zero(new, legacy));
        self.beyond |= agreement(l, n, self.scale, self.tolerance) == Agreement::Differs;
    }

    /// Two finite floats that are not equal: their verdict where no change is declared.
    pub(crate) fn floats(&mut self, legacy: f64, new: f64) -> (Verdict, f64) {
        let gap = (new - legacy).abs();
        let larger = legacy.abs().max(new.abs());
        // The difference of two finite floats may exceed their range, their ratio never does.
        let relative = if gap.is_finite() { gap / larger } else { (new / larger - legacy / larger).abs() };
        self.max_relative = self.max_relative.max(relative);
        self.delta.float(new);
        self.delta.float(-legacy);
        self.gross.add_float_gap(legacy, new);
        if floats_pass(self.tolerance, legacy, new) {
            (Verdict::WithinTolerance, gap)
        } else {
            self.beyond = true;
            (Verdict::Unexplained, gap)
        }
    }
}
