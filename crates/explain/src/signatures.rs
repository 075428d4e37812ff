//! Signatures of known kinds of bugs, one detector each.
//!
//! A detector looks at a group of unexplained cells of one column and says which of them its pattern fits. It
//! compares w(all) with v(∅): declared changes are out of both.

use std::collections::HashMap;

use arrow::datatypes::i256;

use crate::{
    cells::{
        CellKind, Cells, UnexplainedCell,
        exact::{Exact, fraction},
    },
    context::Context,
};

mod constant_offset;
mod constant_ratio;
mod duplicate_rows;
mod factor_twice;
mod factors;
mod fan_out;
mod key_normalisation;
mod missing_customer;
mod missing_lines;
mod missing_segment;
mod null_as_zero;
mod offsetting;
mod period_shift;
mod precision_loss;
mod rounding;
mod sign_flip;
mod stale_factor;
mod swapped_columns;
mod truncation;
mod unit_scale;
pub(crate) mod unknown;

#[cfg(test)]
pub(crate) mod testing;

pub(crate) use factors::FactorIndex;

/// The signature of cells that no detector fits.
pub const UNKNOWN: &str = "unknown";

/// What adding and multiplying floats in another order leaves, relative to the figure.
const NOISE: f64 = 1e-12;

/// The cells that a detector looks at.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// All unexplained cells of the run.
    pub cells: &'a Cells,
    /// The column that is looked at.
    pub column: &'a str,
    /// Positions in `cells.cells`, ascending.
    pub rows: Vec<usize>,
}

/// What detectors know beside the group.
#[derive(Debug)]
pub struct Facts<'a> {
    /// As it was given.
    pub context: &'a Context,
    pub(crate) factors: FactorIndex,
    /// Positions of the cells of one result row, by its key.
    pub(crate) by_key: HashMap<&'a [Option<String>], Vec<usize>>,
}

/// What a detector found.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// One sentence, for example `new = 1000 × legacy`.
    pub detail: String,
    /// Positions in `cells.cells` that fit, ascending.
    pub matched: Vec<usize>,
}

/// One kind of bug.
pub trait Detector: Sync {
    /// The name of the signature in reports.
    fn name(&self) -> &'static str;

    /// The cells of the group that the pattern fits; `None` where too few do to say so.
    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match>;

    /// Whether a match of some cells only, among others that do not fit, is trusted: the pattern is so narrow
    /// that cells do not fit it by chance.
    fn narrow(&self) -> bool {
        false
    }

    /// Whether a cell fits or not whatever other cells there are, so that a sample tells about the group.
    fn local(&self) -> bool {
        false
    }
}

/// All detectors, the most specific first.
pub const ALL: [&dyn Detector; 19] = [
    &duplicate_rows::DuplicateRows,
    &key_normalisation::KeyNormalisation,
    &missing_customer::MissingCustomer,
    &missing_segment::MissingSegment,
    &null_as_zero::NullAsZero,
    &swapped_columns::SwappedColumns,
    &sign_flip::SignFlip,
    &unit_scale::UnitScale,
    &period_shift::PeriodShift,
    &fan_out::FanOut,
    &missing_lines::MissingLines,
    &stale_factor::StaleFactor,
    &factor_twice::FactorTwice,
    &precision_loss::PrecisionLoss,
    &rounding::Rounding,
    &truncation::Truncation,
    &constant_ratio::ConstantRatio,
    &constant_offset::ConstantOffset,
    &offsetting::Offsetting,
];

impl<'a> Facts<'a> {
    /// Prepares what the detectors look up.
    pub fn new(cells: &'a Cells, context: &'a Context) -> Self {
        let mut by_key: HashMap<&[Option<String>], Vec<usize>> = HashMap::new();
        for (row, cell) in cells.cells.iter().enumerate() {
            by_key.entry(&cell.key).or_default().push(row);
        }
        Self { context, factors: FactorIndex::new(&context.factors), by_key }
    }

    /// How far a figure may lie from what a pattern predicts: float noise, and what the tolerance of the column
    /// allows as long as that is small beside the difference itself.
    pub(crate) fn slack(&self, column: &str, legacy: f64, new: f64) -> f64 {
        NOISE * new.abs() + self.allowed(column, legacy, new)
    }

    /// What the tolerance of the column allows, as long as that is small beside the difference itself.
    pub(crate) fn allowed(&self, column: &str, legacy: f64, new: f64) -> f64 {
        let allowed = self.context.tolerances.get(column).map_or(0.0, |t| t.allowance(legacy, new));
        allowed.min(1e-3 * (new - legacy).abs())
    }
}

impl<'a> Group<'a> {
    /// The cells with their positions.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a UnexplainedCell)> + '_ {
        self.rows.iter().filter_map(|row| self.cells.cells.get(*row).map(|cell| (*row, cell)))
    }

    /// Position, w(all) and v(∅) of the measures that are finite on both sides.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
        self.iter()
            .filter(|(_, cell)| cell.kind == CellKind::Measure)
            .filter_map(|(row, cell)| cell.pair().map(|(legacy, new)| (row, legacy, new)))
    }

    /// The cells that `fits` holds for.
    fn matching(&self, fits: impl Fn(f64, f64) -> bool) -> Vec<usize> {
        self.pairs().filter(|(_, legacy, new)| fits(*legacy, *new)).map(|(row, ..)| row).collect()
    }

    /// The figures of a pair without rounding; `None` for floats that are no whole numbers.
    fn exact(&self, row: usize) -> Option<Exact> {
        self.cells.cells.get(row)?.units()
    }

    /// Whether new = legacy × `numerator` ÷ `denominator` to half a unit of the last digit. Floats have no last digit:
    /// of them this says nothing.
    fn is_times(&self, facts: &Facts<'_>, row: usize, numerator: i256, denominator: i256) -> bool {
        self.exact(row).zip(self.cells.cells[row].pair()).is_none_or(|(exact, (legacy, new))| {
            exact.is_times(numerator, denominator, facts.allowed(self.column, legacy, new))
        })
    }

    /// Those of the cells in which new = ratio × legacy to half a unit of the last digit, and the ratio as text: with so
    /// many digits that it tells the ratio from 1 and brings these figures about.
    fn by_ratio(&self, facts: &Facts<'_>, ratio: f64, rows: &[usize]) -> (String, Vec<usize>) {
        let mut best = (figure(ratio), Vec::new());
        for digits in [9, 12, 15, 17] {
            let text = significant(ratio, digits);
            let shown: f64 = text.parse().unwrap_or(ratio);
            if (shown - ratio).abs() > 1e-6 * (ratio - 1.0).abs() {
                continue;
            }
            let fits = |row: &usize| fraction(&text).is_none_or(|(n, d)| self.is_times(facts, *row, n, d));
            let found: Vec<usize> = rows.iter().copied().filter(fits).collect();
            if best.1.is_empty() || found.len() > best.1.len() {
                best = (text, found);
            }
            if best.1.len() == rows.len() {
                break;
            }
        }
        best
    }

    /// The median of what `of` gives for the pairs; `None` where it gives nothing.
    fn median(&self, of: impl Fn(f64, f64) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> =
            self.pairs().filter_map(|(_, legacy, new)| of(legacy, new)).filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// Whether these cells have at least `least` different legacy figures.
    fn distinct(&self, rows: &[usize], least: usize) -> bool {
        let mut values: Vec<u64> =
            rows.iter().filter_map(|row| self.cells.cells.get(*row)?.with_fixes).map(f64::to_bits).collect();
        values.sort_unstable();
        values.dedup();
        values.len() >= least
    }
}

impl Match {
    /// A match, unless no cell fits.
    fn some(detail: impl Into<String>, matched: Vec<usize>) -> Option<Self> {
        (!matched.is_empty()).then(|| Self { detail: detail.into(), matched })
    }
}

/// A figure for people: at most nine significant digits, no exponent for usual sizes.
fn figure(value: f64) -> String {
    significant(value, 9)
}

/// The same with at most so many significant digits.
fn significant(value: f64, digits: usize) -> String {
    let rounded: f64 = format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-6..1e15).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        format!("{rounded}")
    }
}

/// A count with its noun.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_names_are_unique() {
        assert_eq!(figure(1.073741824), "1.07374182");
        assert_eq!(figure(1000.0000000000001), "1000");
        assert_eq!(figure(1e-9), "1e-9");
        let mut names: Vec<_> = ALL.iter().map(|d| d.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    proptest::proptest! {
        #[test]
        fn matches_are_cells_of_the_group_in_order_and_once(
            figures in proptest::collection::vec((-1e3..1e3f64, -1e3..1e3f64, 0u8..4), 0..40),
            every in 1usize..4,
        ) {
            let mut cells = testing::empty();
            for (i, (legacy, new, kind)) in figures.iter().enumerate() {
                let key = [format!("c{}", i % 5), format!("2025-03-{:02}", i % 28 + 1)];
                // Some cells fit a pattern, most do not.
                let new = match kind { 0 => legacy * 1000.0, 1 => -legacy, 2 => legacy.round(), _ => *new };
                cells.cells.push(testing::cell("kwh", [&key[0], "FR", &key[1]], Some(*legacy), Some(new)));
            }
            let context = Context { period: Some("day".into()), ..Context::default() };
            let facts = Facts::new(&cells, &context);
            let rows: Vec<usize> = (0..figures.len()).step_by(every).collect();
            let group = Group { cells: &cells, column: "kwh", rows: rows.clone() };
            for found in ALL.iter().filter_map(|detector| detector.detect(&group, &facts)) {
                proptest::prop_assert!(!found.matched.is_empty());
                proptest::prop_assert!(found.matched.is_sorted_by(|a, b| a < b), "{found:?}");
                proptest::prop_assert!(found.matched.iter().all(|row| rows.contains(row)));
            }
        }
    }
}
