//! Which calculations a run needs: the result under the old method, the new result, and subsets of the changes.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_compare::spec::Parts;
use dualrun_core::{ChangeId, input::Side, review::ReviewStatus};

use crate::{
    identity::seed,
    shapley::{MAX_EXACT, Permutations},
};

/// A change that is in force in the period, with the side that it switches and where its review stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its id.
    pub id: ChangeId,
    /// The side whose calculation it switches.
    pub side: Side,
    /// Where its review stands, in its present form.
    pub status: ReviewStatus,
}

/// One calculation: a side with some of its changes switched on and the others at their legacy value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replay {
    /// The side.
    pub side: Side,
    /// The changes that are on. v(∅) and w(∅) have none.
    pub on: BTreeSet<ChangeId>,
}

/// The calculations of a run and what each of them is for. Equal sets of changes are one calculation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The calculations. Index 0 is w(∅), the legacy result; index 1 is v(all), the new result.
    pub calculations: Vec<Replay>,
    /// Which calculation plays which part in the comparison: positions in `calculations`.
    pub parts: Parts,
    /// The changes in force, in the order in which they were given.
    pub changes: Vec<Declared>,
    /// What the Shapley split reads; `None` where only verdicts are asked for.
    pub split: Option<Split>,
}

/// What the Shapley split reads: one entry a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The switches of the new calculation.
    pub new: SideSplit,
    /// The fixes in the legacy calculation.
    pub legacy: SideSplit,
}

/// The changes of one side, and which calculations their split reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideSplit {
    /// The changes; bit `i` of a mask stands for the change at position `i`.
    pub changes: Vec<ChangeId>,
    /// All subsets, or a sample.
    pub method: Method,
}

/// How the values of subsets are combined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Every subset was calculated: position in [`ReplayPlan::calculations`] by bit mask, 2^k of them.
    AllSubsets {
        /// By bit mask.
        calculations: Vec<usize>,
    },
    /// Only the subsets on the way of some permutations were calculated.
    Sampled {
        /// The orders in which changes are switched on.
        permutations: Permutations,
        /// Position in [`ReplayPlan::calculations`] by bit mask.
        calculations: BTreeMap<u64, usize>,
    },
}

/// How many permutations are drawn where nothing else is asked for.
pub const DEFAULT_PERMUTATIONS: usize = 200;

/// The most changes that one side may have in a split: subsets are bit masks.
pub const MAX_CHANGES: usize = 64;

/// The calculations that the verdicts need: v(∅), v(all), v(approved), v(all without the rejected), and the
/// same of the legacy side.
pub fn verdicts(changes: &[Declared]) -> ReplayPlan {
    let mut plan =
        ReplayPlan { calculations: Vec::new(), parts: Parts::PLAIN, changes: changes.to_vec(), split: None };
    let legacy = plan.index(Side::Legacy, BTreeSet::new());
    let new = plan.index(Side::New, plan.of(Side::New, |_| true));
    plan.parts = Parts {
        legacy,
        new,
        new_without: plan.index(Side::New, BTreeSet::new()),
        legacy_with: plan.index(Side::Legacy, plan.of(Side::Legacy, |_| true)),
        new_approved: plan.index(Side::New, plan.of(Side::New, approved)),
        legacy_approved: plan.index(Side::Legacy, plan.of(Side::Legacy, approved)),
        new_accepted: plan.index(Side::New, plan.of(Side::New, not_rejected)),
        legacy_accepted: plan.index(Side::Legacy, plan.of(Side::Legacy, not_rejected)),
    };
    plan
}

impl ReplayPlan {
    /// Adds the calculations of the Shapley split: all subsets of a side's changes up to six of them, above that
    /// those on the way of 200 permutations drawn from the run key. The caller decides whether a night is worth
    /// it; up to three changes it is.
    #[must_use]
    pub fn with_split(self, run_key: &str) -> Self {
        self.with_sampled_split(run_key, DEFAULT_PERMUTATIONS)
    }

    /// The same with another number of permutations (at least two, so that an error can be estimated). Changes
    /// of a side beyond [`MAX_CHANGES`] take no part: what they move stays undivided.
    #[must_use]
    pub fn with_sampled_split(mut self, run_key: &str, permutations: usize) -> Self {
        let new = self.side_split(Side::New, run_key, permutations.max(2));
        let legacy = self.side_split(Side::Legacy, run_key, permutations.max(2));
        self.split = Some(Split { new, legacy });
        self
    }

    /// The position of a calculation.
    pub fn position(&self, side: Side, on: &BTreeSet<ChangeId>) -> Option<usize> {
        self.calculations.iter().position(|c| c.side == side && &c.on == on)
    }

    /// How many changes a side has.
    pub fn changes_on(&self, side: Side) -> usize {
        self.changes.iter().filter(|c| c.side == side).count()
    }

    fn side_split(&mut self, side: Side, run_key: &str, permutations: usize) -> SideSplit {
        let changes: Vec<ChangeId> = self.of(side, |_| true).into_iter().take(MAX_CHANGES).collect();
        let k = changes.len();
        let subset = |mask: u64| -> BTreeSet<ChangeId> {
            changes.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, c)| c.clone()).collect()
        };
        let method = if k <= MAX_EXACT {
            let calculations = (0..1u64 << k).map(|mask| self.index(side, subset(mask))).collect();
            Method::AllSubsets { calculations }
        } else {
            let permutations = Permutations::draw(k, permutations, seed(run_key));
            let calculations =
                permutations.masks().into_iter().map(|mask| (mask, self.index(side, subset(mask)))).collect();
            Method::Sampled { permutations, calculations }
        };
        SideSplit { changes, method }
    }

    fn of(&self, side: Side, wanted: fn(ReviewStatus) -> bool) -> BTreeSet<ChangeId> {
        let chosen = self.changes.iter().filter(|c| c.side == side && wanted(c.status));
        chosen.map(|c| c.id.clone()).collect()
    }

    fn index(&mut self, side: Side, on: BTreeSet<ChangeId>) -> usize {
        if let Some(position) = self.position(side, &on) {
            return position;
        }
        self.calculations.push(Replay { side, on });
        self.calculations.len() - 1
    }
}

fn approved(status: ReviewStatus) -> bool {
    status == ReviewStatus::Approved
}

fn not_rejected(status: ReviewStatus) -> bool {
    status != ReviewStatus::Rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(id: &str, side: Side, status: ReviewStatus) -> Declared {
        Declared { id: id.parse().unwrap(), side, status }
    }

    fn many(k: usize) -> Vec<Declared> {
        (0..k).map(|i| declared(&format!("MC-{i:02}"), Side::New, ReviewStatus::Approved)).collect()
    }

    #[test]
    fn without_changes_two_calculations_are_enough() {
        let plan = verdicts(&[]);
        assert_eq!(plan.calculations.len(), 2);
        assert_eq!(plan.parts, Parts::PLAIN);
        assert_eq!(plan.clone().with_split("key").calculations, plan.calculations);
    }

    #[test]
    fn each_review_status_asks_for_its_own_calculation_and_equal_sets_are_one() {
        let changes = [
            declared("MC-1", Side::New, ReviewStatus::Approved),
            declared("MC-2", Side::New, ReviewStatus::Proposed),
            declared("MC-3", Side::New, ReviewStatus::Rejected),
            declared("FIX-1", Side::Legacy, ReviewStatus::Approved),
        ];
        let plan = verdicts(&changes);
        let on = |i: usize| -> Vec<&str> { plan.calculations[i].on.iter().map(ChangeId::as_str).collect() };
        let parts = plan.parts;
        assert_eq!((parts.legacy, parts.new), (0, 1));
        assert_eq!(on(parts.new), ["MC-1", "MC-2", "MC-3"]);
        assert_eq!(on(parts.new_approved), ["MC-1"]);
        assert_eq!(on(parts.new_accepted), ["MC-1", "MC-2"]);
        assert!(on(parts.new_without).is_empty());
        assert_eq!(on(parts.legacy_with), ["FIX-1"]);
        // w(all), w(approved) and w(all without the rejected) are the same calculation.
        assert_eq!((parts.legacy_approved, parts.legacy_accepted), (parts.legacy_with, parts.legacy_with));
        assert_eq!(plan.calculations.len(), 6);
    }

    #[test]
    fn the_split_of_three_changes_needs_eight_calculations() {
        let plan = verdicts(&many(3)).with_split("key");
        let Some(Split { new: SideSplit { method: Method::AllSubsets { calculations }, .. }, legacy }) =
            plan.split
        else {
            panic!("three changes are split exactly");
        };
        assert_eq!(calculations.len(), 8);
        assert_eq!(plan.calculations.len(), 9);
        assert_eq!(calculations[7], plan.parts.new);
        assert_eq!(calculations[0], plan.parts.new_without);
        assert_eq!(legacy.method, Method::AllSubsets { calculations: vec![0] });
    }

    #[test]
    fn above_six_changes_a_sample_is_drawn_from_the_run_key() {
        let one = verdicts(&many(9)).with_sampled_split("key", 10);
        assert_eq!(one, verdicts(&many(9)).with_sampled_split("key", 10));
        assert_ne!(one, verdicts(&many(9)).with_sampled_split("other", 10));
        let Some(Split { new: SideSplit { method: Method::Sampled { calculations, .. }, .. }, .. }) =
            one.split
        else {
            panic!("nine changes are sampled");
        };
        assert!(calculations.len() < 1 << 9);
        assert_eq!(calculations.get(&((1 << 9) - 1)), Some(&1));
    }
}
