//! Sixty-four pairs of floats at once, in loops that the compiler makes vector instructions of.

use dualrun_core::Tolerance;

/// Rows that are compared at once.
pub(super) const CHUNK: usize = 64;
/// Values that go side by side, each with its own maximum: one maximum for all would have to wait for itself.
const LANES: usize = 4;
/// Times what is not finite it is NaN.
const NONE: f64 = 0.0;

/// What a chunk of pairs says, where every value is finite and no difference lies so near to what is allowed that it has to
/// be computed exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// Pairs of two different values.
    pub(super) differing: usize,
    /// Pairs beyond tolerance.
    pub(super) beyond: usize,
    /// The largest |new − legacy|.
    pub(super) largest: f64,
    /// The largest |new − legacy| ÷ max(|legacy|, |new|).
    pub(super) relative: f64,
}

/// Whether all pairs are the same bits.
pub(super) fn is_same(legacy: &[f64], new: &[f64]) -> bool {
    legacy.iter().zip(new).fold(true, |same, (l, n)| same & (l.to_bits() == n.to_bits()))
}

/// Looks at all pairs. Fewer than [`CHUNK`] are filled up with pairs that agree.
pub(super) fn look(legacy: &[f64], new: &[f64], tolerance: Tolerance) -> Option<Seen> {
    match (legacy.as_array(), new.as_array()) {
        (Some(legacy), Some(new)) => all(legacy, new, tolerance),
        _ => {
            let (mut filled, mut other) = ([0.0; CHUNK], [0.0; CHUNK]);
            filled[..legacy.len()].copy_from_slice(legacy);
            other[..new.len()].copy_from_slice(new);
            all(&filled, &other, tolerance)
        }
    }
}

/// |new − legacy| of each pair.
pub(super) fn gaps(legacy: &[f64], new: &[f64]) -> [f64; CHUNK] {
    let mut gaps = [0.0; CHUNK];
    for (gap, (l, n)) in gaps.iter_mut().zip(legacy.iter().zip(new)) {
        *gap = (n - l).abs();
    }
    gaps
}

fn all(legacy: &[f64; CHUNK], new: &[f64; CHUNK], tolerance: Tolerance) -> Option<Seen> {
    let (absolute, share) = (tolerance.absolute(), tolerance.relative());
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    let (mut differing, mut beyond, mut near) = ([0u64; LANES], [0u64; LANES], [0u64; LANES]);
    let (mut largest, mut relative) = ([0.0f64; LANES], [0.0f64; LANES]);
    // 0 as long as every value is finite.
    let mut nothing = [0.0f64; LANES];
    for (l, n) in legacy.as_chunks::<LANES>().0.iter().zip(new.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let (l, n) = (l[lane], n[lane]);
            let gap = (n - l).abs();
            let size = larger(l.abs(), n.abs());
            let allowed = larger(absolute, share * size);
            differing[lane] += u64::from(l != n);
            beyond[lane] += u64::from(gap > allowed);
            near[lane] += u64::from((l != n) & (gap == allowed));
            largest[lane] = larger(gap, largest[lane]);
            // NaN, 0 of 0, is larger than nothing.
            relative[lane] = larger(gap / size, relative[lane]);
            nothing[lane] += NONE * l + NONE * n;
        }
    }
    let sum = |lanes: [u64; LANES]| lanes.iter().sum::<u64>() as usize;
    let most = |lanes: [f64; LANES]| lanes.into_iter().fold(0.0, f64::max);
    let largest = most(largest);
    // The difference of two finite floats may exceed their range.
    let is_sure = nothing.iter().sum::<f64>() == 0.0 && sum(near) == 0 && largest.is_finite();
    is_sure.then(|| Seen {
        differing: sum(differing),
        beyond: sum(beyond),
        largest,
        relative: most(relative),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![-1e6..1e6f64, any::<f64>(), Just(0.0), Just(-0.0), Just(1.0), Just(1.5)]
    }

    proptest! {
        #[test]
        fn says_what_single_pairs_say(
            pairs in prop::collection::vec((value(), value(), any::<bool>()), 1..=CHUNK),
            absolute in prop_oneof![Just(0.0), Just(0.5), 0.0..10.0f64],
            share in prop_oneof![Just(0.0), 0.0..1.0f64],
        ) {
            let tolerance = Tolerance::new(absolute, share).unwrap();
            let legacy: Vec<f64> = pairs.iter().map(|(l, ..)| *l).collect();
            let new: Vec<f64> = pairs.iter().map(|(l, n, same)| if *same { *l } else { *n }).collect();
            let both = || legacy.iter().copied().zip(new.iter().copied());
            let unsure = both().any(|(l, n)| {
                let gap = (n - l).abs();
                !gap.is_finite() || (l != n && gap == tolerance.allowance(l, n))
            });
            let expected = (!unsure).then(|| Seen {
                differing: both().filter(|(l, n)| l != n).count(),
                beyond: both().filter(|(l, n)| (n - l).abs() > tolerance.allowance(*l, *n)).count(),
                largest: both().map(|(l, n)| (n - l).abs()).fold(0.0, f64::max),
                relative: both().map(|(l, n)| (n - l).abs() / l.abs().max(n.abs())).fold(0.0, f64::max),
            });
            prop_assert_eq!(look(&legacy, &new, tolerance), expected);
        }
    }
}
