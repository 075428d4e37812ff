//! Shapley values: a fair share of a difference for each of several changes that act together.
//!
//! φᵢ = Σ over S without i of |S|! (k − |S| − 1)! / k! · (v(S ∪ i) − v(S)). The shares do not depend on an order,
//! and they sum to v(all) − v(∅). L. S. Shapley, "A value for n-person games", 1953. The sampled form averages
//! over random orders: Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based on
//! sampling", 2009.

use std::collections::BTreeSet;

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Up to this many changes all subsets are calculated.
pub const MAX_EXACT: usize = 6;

/// The weights of the exact formula for k changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    k: usize,
    /// By the size of S.
    weights: Vec<f64>,
}

impl Exact {
    /// For `k` changes; `None` above 20, where 2^k values are out of reach.
    pub fn new(k: usize) -> Option<Self> {
        if k > 20 {
            return None;
        }
        // |S|! (k − |S| − 1)! / k! = 1 / (k · C(k − 1, |S|)), which needs no factorials.
        let mut weights = Vec::with_capacity(k);
        let mut binomial = 1.0;
        for size in 0..k {
            weights.push(1.0 / (k as f64 * binomial));
            binomial = binomial * (k - 1 - size) as f64 / (size + 1) as f64;
        }
        Some(Self { k, weights })
    }

    /// The share of each change from v(S), which is asked for each bit mask `0..2^k`.
    pub fn shares(&self, value: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..self.k)
            .map(|i| {
                let without = (0..1usize << self.k).filter(|mask| mask >> i & 1 == 0);
                without
                    .map(|mask| {
                        let size = mask.count_ones() as usize;
                        self.weights[size] * (value(mask | 1 << i) - value(mask))
                    })
                    .sum()
            })
            .collect()
    }
}

/// The Shapley values of `values`, which holds v(S) by bit mask: 2^k entries for k changes. `None` where the
/// length is no power of two or above 2^20.
pub fn shapley(values: &[f64]) -> Option<Vec<f64>> {
    if !values.len().is_power_of_two() {
        return None;
    }
    Exact::new(values.len().trailing_zeros() as usize).map(|exact| exact.shares(|mask| values[mask]))
}

/// Random orders in which changes are switched on one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permutations {
    k: usize,
    orders: Vec<Vec<usize>>,
}

/// A share that was estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean over the permutations.
    pub share: f64,
    /// The standard deviation over the permutations, divided by the root of their number.
    pub standard_error: f64,
}

impl Permutations {
    /// Draws `n` orders of `k` changes (k ≤ 64). The same seed gives the same orders on every platform.
    pub fn draw(k: usize, n: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let orders = (0..n)
            .map(|_| {
                let mut order: Vec<usize> = (0..k).collect();
                order.shuffle(&mut random);
                order
            })
            .collect();
        Self { k, orders }
    }

    /// How many changes there are.
    pub fn changes(&self) -> usize {
        self.k
    }

    /// The orders.
    pub fn orders(&self) -> &[Vec<usize>] {
        &self.orders
    }

    /// The subsets that have to be calculated, as bit masks: every prefix of every order.
    pub fn masks(&self) -> BTreeSet<u64> {
        let mut masks = BTreeSet::from([0]);
        for order in &self.orders {
            let mut mask = 0;
            for change in order {
                mask |= 1 << change;
                masks.insert(mask);
            }
        }
        masks
    }

    /// What each change adds in each order: one row an order, one entry a change. `value` is asked for masks
    /// out of [`Permutations::masks`] only.
    pub fn marginals(&self, value: impl Fn(u64) -> f64) -> Vec<Vec<f64>> {
        self.orders
            .iter()
            .map(|order| {
                let mut added = vec![0.0; self.k];
                let (mut mask, mut before) = (0u64, value(0));
                for change in order {
                    mask |= 1 << change;
                    let after = value(mask);
                    added[*change] = after - before;
                    before = after;
                }
                added
            })
            .collect()
    }

    /// The estimated share of each change, with its error. The shares sum to v(all) − v(∅) as the exact ones do.
    pub fn estimate(&self, value: impl Fn(u64) -> f64) -> Vec<Estimate> {
        let marginals = self.marginals(value);
        (0..self.k).map(|i| estimate(marginals.iter().map(|row| row[i]))).collect()
    }
}

/// Mean and standard error of the mean of some marginals; the error of fewer than two is infinite.
pub fn estimate(marginals: impl Iterator<Item = f64> + Clone) -> Estimate {
    let n = marginals.clone().count() as f64;
    let share = marginals.clone().sum::<f64>() / n.max(1.0);
    let squares: f64 = marginals.map(|m| (m - share) * (m - share)).sum();
    let standard_error = if n < 2.0 { f64::INFINITY } else { (squares / (n - 1.0) / n).sqrt() };
    Estimate { share, standard_error }
}

#[cfg(test)]
mod tests;
