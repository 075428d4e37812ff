//! The changes of one side at work on one cell.

use crate::{
    replay::{Method, SideSplit},
    shapley::{Exact, Permutations, estimate},
};

/// How a cell is divided over the changes of a side.
pub(super) struct Divider {
    method: Way,
    /// Bit mask and replay of every subset at hand, the largest subsets first: the smallest set that is taken out
    /// of all changes comes first.
    subsets: Vec<(u64, usize)>,
    changes: usize,
    full: u64,
}

enum Way {
    All { exact: Exact, replays: Vec<usize> },
    Sampled { permutations: Permutations, replays: std::collections::BTreeMap<u64, usize> },
}

/// The shares of one cell.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// By change.
    pub(super) share: Vec<f64>,
    /// By change; 0 where all subsets are at hand.
    pub(super) error: Vec<f64>,
    /// By permutation, then change; empty where all subsets are at hand.
    pub(super) marginals: Vec<Vec<f64>>,
}

impl Divider {
    /// `None` where the side has no changes, or more than the exact formula can take.
    pub(super) fn new(side: &SideSplit) -> Option<Self> {
        let changes = side.changes.len();
        let (method, mut subsets): (Way, Vec<(u64, usize)>) = match &side.method {
            Method::AllSubsets { calculations } => (
                Way::All { exact: Exact::new(changes)?, replays: calculations.clone() },
                calculations.iter().enumerate().map(|(mask, replay)| (mask as u64, *replay)).collect(),
            ),
            Method::Sampled { permutations, calculations } => (
                Way::Sampled { permutations: permutations.clone(), replays: calculations.clone() },
                calculations.iter().map(|(mask, replay)| (*mask, *replay)).collect(),
            ),
        };
        subsets.sort_by_key(|(mask, _)| (std::cmp::Reverse(mask.count_ones()), std::cmp::Reverse(*mask)));
        let full = subsets.first().map_or(0, |(mask, _)| *mask);
        (changes > 0).then_some(Self { method, subsets, changes, full })
    }

    /// How many permutations are averaged; 0 where all subsets are at hand.
    pub(super) fn permutations(&self) -> usize {
        match &self.method {
            Way::All { .. } => 0,
            Way::Sampled { permutations, .. } => permutations.orders().len(),
        }
    }

    /// The largest magnitude among the replays of the side; `None` where they all agree, so that no change moved
    /// the cell.
    pub(super) fn moved(&self, figures: &[f64]) -> Option<f64> {
        let of = |(_, replay): &(u64, usize)| figures[*replay];
        let first = self.subsets.first().map(of)?;
        self.subsets
            .iter()
            .map(of)
            .any(|figure| figure != first)
            .then(|| self.subsets.iter().map(of).fold(0.0, |most: f64, figure| most.max(figure.abs())))
    }

    /// The share of every change in a cell, from its figure in every replay.
    pub(super) fn shares(&self, figures: &[f64]) -> Shares {
        match &self.method {
            Way::All { exact, replays } => Shares {
                share: exact.shares(|mask| figures[replays[mask]]),
                error: vec![0.0; self.changes],
                marginals: Vec::new(),
            },
            Way::Sampled { permutations, replays } => {
                let marginals =
                    permutations.marginals(|mask| replays.get(&mask).map_or(0.0, |replay| figures[*replay]));
                let estimates: Vec<_> =
                    (0..self.changes).map(|i| estimate(marginals.iter().map(|row| row[i]))).collect();
                Shares {
                    share: estimates.iter().map(|e| e.share).collect(),
                    error: estimates.iter().map(|e| e.standard_error).collect(),
                    marginals,
                }
            }
        }
    }

    /// The changes that bring or remove a row in some replay, as a bit mask.
    pub(super) fn presence(&self, present: &[bool]) -> u64 {
        let by_mask: std::collections::HashMap<u64, bool> = if self.agree(present) {
            return 0;
        } else {
            self.subsets.iter().map(|(mask, replay)| (*mask, present[*replay])).collect()
        };
        let acts = |change: usize| {
            by_mask.iter().any(|(mask, here)| {
                mask >> change & 1 == 0
                    && by_mask.get(&(mask | 1 << change)).is_some_and(|there| there != here)
            })
        };
        (0..self.changes).filter(|change| acts(*change)).fold(0, |mask, change| mask | 1 << change)
    }

    /// The smallest set of changes without which an attribute has the value of v(∅) again, as a bit mask; 0 where
    /// all changes together leave the value as it is.
    pub(super) fn smallest<T: PartialEq>(&self, values: &[T]) -> u64 {
        let without = self.subsets.iter().find(|(mask, _)| *mask == 0).map(|(_, replay)| &values[*replay]);
        let back = self.subsets.iter().find(|(_, replay)| Some(&values[*replay]) == without);
        back.map_or(0, |(mask, _)| self.full & !mask)
    }

    fn agree(&self, present: &[bool]) -> bool {
        let mut all = self.subsets.iter().map(|(_, replay)| present[*replay]);
        let first = all.next();
        all.all(|here| Some(here) == first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divider(changes: usize) -> Divider {
        let changes: Vec<_> = (0..changes).map(|i| format!("MC-{i}").parse().unwrap()).collect();
        let calculations = (0..1 << changes.len()).collect();
        Divider::new(&SideSplit { changes, method: Method::AllSubsets { calculations } }).unwrap()
    }

    #[test]
    fn the_smallest_set_that_brings_a_value_back_is_found() {
        // Change 1 alone decides.
        assert_eq!(divider(2).smallest(&["old", "old", "new", "new"]), 0b10);
        // Either change is enough to change it: both must be taken out.
        assert_eq!(divider(2).smallest(&["old", "new", "new", "new"]), 0b11);
        assert_eq!(divider(2).smallest(&["old", "new", "new", "old"]), 0);
    }

    #[test]
    fn a_change_brings_a_row_if_it_does_in_some_replay() {
        assert_eq!(divider(2).presence(&[false, true, false, true]), 0b01);
        assert_eq!(divider(2).presence(&[false, true, true, true]), 0b11);
        assert_eq!(divider(2).presence(&[true; 4]), 0);
    }

    #[test]
    fn a_cell_that_no_replay_moves_is_passed_over() {
        assert_eq!(divider(1).moved(&[5.0, 5.0]), None);
        assert_eq!(divider(1).moved(&[5.0, -7.0]), Some(7.0));
        assert!(
            Divider::new(&SideSplit {
                changes: vec![],
                method: Method::AllSubsets { calculations: vec![0] }
            })
            .is_none()
        );
    }
}
