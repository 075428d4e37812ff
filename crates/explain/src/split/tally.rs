//! Counts and sums of the split over all rows.

use std::collections::{BTreeMap, HashMap};

use dualrun_compare::{
    exact_sum::ExactSum,
    spec::{CompareKind, CompareSpec, Parts},
};
use dualrun_core::{ChangeId, Tolerance, input::Side, run::figures::Figure};

use super::{
    ChangeEffect, ColumnSplit, CustomerEffect, PromiseEffect, Promised, SplitReport,
    rows::Row,
    side::{Divider, Shares},
    sum::Compensated,
};
use crate::{
    replay::{ReplayPlan, Split},
    shapley::estimate,
};

/// Float noise of one cell, in units of its largest figure: a sum of up to 2^6 weighted differences.
const NOISE: f64 = 256.0 * f64::EPSILON;

/// Everything that is counted.
pub(super) struct Tally {
    parts: Parts,
    /// By measure.
    measures: Vec<(String, Tolerance)>,
    attributes: Vec<String>,
    sides: Vec<SideTally>,
    totals: Vec<ColumnTally>,
    customers: Customers,
    /// By customer, then measure: Σ w(∅).
    legacy: Vec<Vec<Compensated>>,
    pub(super) ambiguous: u64,
    not_finite: u64,
}

struct SideTally {
    side: Side,
    changes: Vec<ChangeId>,
    divider: Divider,
    /// By change, then measure.
    effects: Vec<Vec<Effect>>,
    /// By change, then attribute: cells.
    attributes: Vec<Vec<u64>>,
}

#[derive(Default)]
struct ColumnTally {
    legacy: ExactSum,
    new: ExactSum,
    unexplained: ExactSum,
    residual: f64,
    bound: f64,
}

#[derive(Default)]
struct Effect {
    sum: ExactSum,
    /// By permutation.
    sampled: Vec<Compensated>,
    counts: Counts,
    outside: Counts,
    customers: HashMap<usize, Part>,
    promises: Vec<InPromise>,
}

struct InPromise {
    promise: usize,
    eligible: u64,
    counts: Counts,
    customers: HashMap<usize, Part>,
}

#[derive(Default, Clone, Copy)]
struct Part {
    effect: Compensated,
    legacy: Compensated,
    moved: u64,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    cells: u64,
    rows: u64,
    up: u64,
    down: u64,
}

/// What one change did to one cell.
#[derive(Default, Clone, Copy)]
struct Step {
    share: f64,
    moved: bool,
    up: bool,
    down: bool,
    row: bool,
}

/// Customers by number; rows of one customer often follow each other.
#[derive(Default)]
struct Customers {
    numbers: HashMap<Option<String>, usize>,
    last: Option<(Option<String>, usize)>,
}

impl Tally {
    pub(super) fn new(spec: &CompareSpec, plan: &ReplayPlan, split: &Split, promised: &[Promised]) -> Self {
        let mut measures = Vec::new();
        let mut attributes = Vec::new();
        for column in &spec.columns {
            match column.kind {
                CompareKind::Measure { tolerance, .. } => measures.push((column.name.clone(), tolerance)),
                CompareKind::Attribute => attributes.push(column.name.clone()),
            }
        }
        let side = |side: Side, of: &crate::replay::SideSplit| {
            let divider = Divider::new(of)?;
            let effects = of.changes.iter().map(|change| {
                measures
                    .iter()
                    .map(|(name, _)| Effect::new(change, name, promised, divider.permutations()))
                    .collect()
            });
            Some(SideTally {
                side,
                effects: effects.collect(),
                attributes: vec![vec![0; attributes.len()]; of.changes.len()],
                changes: of.changes.clone(),
                divider,
            })
        };
        let sides = [side(Side::New, &split.new), side(Side::Legacy, &split.legacy)];
        Self {
            parts: plan.parts,
            totals: measures.iter().map(|_| ColumnTally::default()).collect(),
            sides: sides.into_iter().flatten().collect(),
            measures,
            attributes,
            customers: Customers::default(),
            legacy: Vec::new(),
            ambiguous: 0,
            not_finite: 0,
        }
    }

    /// Adds one key.
    pub(super) fn add(&mut self, row: &Row) {
        let customer = self.customers.number(&row.customer);
        if self.legacy.len() <= customer {
            self.legacy.resize(customer + 1, vec![Compensated::default(); self.measures.len()]);
        }
        let presence: Vec<u64> = self.sides.iter().map(|side| side.divider.presence(&row.present)).collect();
        for (measure, figures) in row.figures.iter().enumerate() {
            if figures.iter().any(|figure| !figure.is_finite()) {
                self.not_finite += 1;
                continue;
            }
            let legacy = figures[self.parts.legacy];
            self.legacy[customer][measure].add(legacy);
            let tolerance = self.measures[measure].1;
            let mut divided = 0.0;
            for (side, rows) in self.sides.iter_mut().zip(&presence) {
                divided += side.add(measure, figures, tolerance, *rows, &Place { customer, legacy, row });
            }
            self.totals[measure].add(figures, &self.parts, divided);
        }
        for side in &mut self.sides {
            for (attribute, texts) in row.texts.iter().enumerate() {
                // A row that a replay lacks has no attribute there: presence speaks for it.
                if !row.present.iter().all(|present| *present) {
                    continue;
                }
                let set = side.divider.smallest(texts);
                for (change, counts) in side.attributes.iter_mut().enumerate() {
                    counts[attribute] += set >> change & 1;
                }
            }
        }
    }

    pub(super) fn finish(self) -> SplitReport {
        let Self { measures, attributes, sides, totals, customers, legacy, ambiguous, not_finite, .. } = self;
        let names = customers.names();
        let columns = measures.iter().zip(totals).map(|((name, _), total)| total.finish(name)).collect();
        let mut effects = Vec::new();
        for side in sides {
            let of_side = side.changes.iter().zip(side.effects).zip(side.attributes);
            for ((change, by_measure), by_attribute) in of_side {
                for (i, (effect, (name, _))) in by_measure.into_iter().zip(&measures).enumerate() {
                    effects.push(effect.finish(change, side.side, name, &names, &legacy, i));
                }
                for (cells, name) in by_attribute.into_iter().zip(&attributes).filter(|(cells, _)| *cells > 0)
                {
                    let none = Effect::default();
                    let effect = none.finish(change, side.side, name, &[], &[], 0);
                    effects.push(ChangeEffect { cells, ..effect });
                }
            }
        }
        SplitReport { effects, columns, ambiguous, not_finite }
    }
}

/// The row to which a cell belongs.
struct Place<'a> {
    customer: usize,
    legacy: f64,
    row: &'a Row,
}

impl SideTally {
    /// Adds one cell; answers with Σφ over the side's changes.
    fn add(
        &mut self,
        measure: usize,
        figures: &[f64],
        tolerance: Tolerance,
        rows: u64,
        place: &Place<'_>,
    ) -> f64 {
        let moved = self.divider.moved(figures);
        let shares = moved.map_or_else(Shares::default, |_| self.divider.shares(figures));
        let magnitude = moved.unwrap_or(0.0);
        let floor = tolerance.allowance(magnitude, magnitude);
        for (change, effects) in self.effects.iter_mut().enumerate() {
            let share = shares.share.get(change).copied().unwrap_or(0.0);
            let error = shares.error.get(change).copied().unwrap_or(0.0);
            let beyond = share != 0.0 && share.abs() > floor;
            let certain = beyond && share.abs() > 3.0 * error;
            let step = Step {
                share,
                moved: beyond,
                up: certain && share > 0.0,
                down: certain && share < 0.0,
                row: rows >> change & 1 == 1,
            };
            effects[measure].add(step, place);
            for (sum, marginals) in effects[measure].sampled.iter_mut().zip(&shares.marginals) {
                sum.add(marginals[change]);
            }
        }
        shares.share.iter().sum()
    }
}

impl Effect {
    fn new(change: &ChangeId, measure: &str, promised: &[Promised], permutations: usize) -> Self {
        let of_change =
            promised.iter().enumerate().filter(|(_, p)| &p.change == change && p.measure == measure);
        let promises = of_change
            .map(|(promise, _)| InPromise {
                promise,
                eligible: 0,
                counts: Counts::default(),
                customers: HashMap::new(),
            })
            .collect();
        Self { promises, sampled: vec![Compensated::default(); permutations], ..Self::default() }
    }

    fn add(&mut self, step: Step, place: &Place<'_>) {
        let mut inside_some = false;
        for promise in self.promises.iter_mut().filter(|p| place.row.inside[p.promise]) {
            inside_some = true;
            promise.eligible += 1;
            promise.counts.add(step);
            let part = promise.customers.entry(place.customer).or_default();
            part.legacy.add(place.legacy);
            part.add(step);
        }
        if step.share == 0.0 && !step.row {
            return;
        }
        self.sum.add(step.share);
        self.counts.add(step);
        if !inside_some && !self.promises.is_empty() {
            self.outside.add(step);
        }
        self.customers.entry(place.customer).or_default().add(step);
    }

    fn finish(
        self,
        change: &ChangeId,
        side: Side,
        column: &str,
        names: &[Option<String>],
        legacy: &[Vec<Compensated>],
        measure: usize,
    ) -> ChangeEffect {
        let customers = legacy.iter().enumerate().map(|(number, totals)| {
            let part = self.customers.get(&number).copied().unwrap_or_default();
            let legacy_total = totals[measure].value();
            let name = names.get(number).cloned().flatten();
            (name, CustomerEffect { effect: part.effect.value(), legacy_total, moved: part.moved })
        });
        let standard_error = (!self.sampled.is_empty()).then(|| {
            // By linearity the error of the sum is that of the sums over the same permutations.
            estimate(self.sampled.iter().map(|sum| sum.value())).standard_error
        });
        ChangeEffect {
            change: change.clone(),
            side,
            column: column.to_owned(),
            effect: Figure::from_f64(self.sum.value()),
            standard_error,
            cells: self.counts.cells,
            positive_cells: self.counts.up,
            negative_cells: self.counts.down,
            rows: self.counts.rows,
            cells_outside: self.outside.cells,
            rows_outside: self.outside.rows,
            customers: customers.collect(),
            promises: self.promises.into_iter().map(|promise| promise.finish(names)).collect(),
        }
    }
}

impl InPromise {
    fn finish(self, names: &[Option<String>]) -> PromiseEffect {
        let customers: BTreeMap<Option<String>, CustomerEffect> = self
            .customers
            .into_iter()
            .map(|(number, part)| {
                let effect = CustomerEffect {
                    effect: part.effect.value(),
                    legacy_total: part.legacy.value(),
                    moved: part.moved,
                };
                (names.get(number).cloned().flatten(), effect)
            })
            .collect();
        PromiseEffect {
            promise: self.promise,
            eligible_rows: self.eligible,
            cells: self.counts.cells,
            rows: self.counts.rows,
            positive_cells: self.counts.up,
            negative_cells: self.counts.down,
            customers,
        }
    }
}

impl Part {
    fn add(&mut self, step: Step) {
        self.effect.add(step.share);
        self.moved += u64::from(step.moved);
    }
}

impl Counts {
    fn add(&mut self, step: Step) {
        self.cells += u64::from(step.moved);
        self.rows += u64::from(step.row);
        self.up += u64::from(step.up);
        self.down += u64::from(step.down);
    }
}

impl ColumnTally {
    fn add(&mut self, figures: &[f64], parts: &Parts, divided: f64) {
        let (legacy, new) = (figures[parts.legacy], figures[parts.new]);
        let unexplained = figures[parts.new_without] - figures[parts.legacy_with];
        self.legacy.add(legacy);
        self.new.add(new);
        self.unexplained.add(unexplained);
        self.residual += ((new - legacy) - divided - unexplained).abs();
        self.bound += NOISE * figures.iter().fold(0.0, |most: f64, figure| most.max(figure.abs()));
    }

    fn finish(self, column: &str) -> ColumnSplit {
        ColumnSplit {
            column: column.to_owned(),
            legacy_total: Figure::from_f64(self.legacy.value()),
            new_total: Figure::from_f64(self.new.value()),
            unexplained: Figure::from_f64(self.unexplained.value()),
            residual: self.residual,
            residual_bound: self.bound,
        }
    }
}

impl Customers {
    fn number(&mut self, name: &Option<String>) -> usize {
        if let Some((last, number)) = &self.last
            && last == name
        {
            return *number;
        }
        let next = self.numbers.len();
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        self.last = Some((name.clone(), number));
        number
    }

    fn names(self) -> Vec<Option<String>> {
        let mut names = vec![None; self.numbers.len()];
        for (name, number) in self.numbers {
            names[number] = name;
        }
        names
    }
}
