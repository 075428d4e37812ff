//! Exact sums of many floats at once: a slice becomes a few floats with the same sum, to the last bit.
//!
//! Error-free vector transformation after S. M. Rump, T. Ogita and S. Oishi, *Accurate floating-point summation,
//! part I: faithful rounding*, SIAM J. Sci. Comput. 31 (2008), algorithm 3.2 (`ExtractVector`): against a large power of
//! two σ every value is cut into a multiple of ulp(σ), whose sum is exact, and a rest. Two cuts hold all bits of values
//! that lie within 32 binary orders of magnitude; what is left is cut again.

/// Values of one transformation. σ is chosen for this many.
const CHUNK: usize = 1024;
/// 2^11 ≥ CHUNK + 2, as the algorithm asks for.
const HEADROOM: i32 = 11;
/// Bits that one cut takes from the top: 53 bits of a float, less the headroom.
const CUT: i32 = 53 - HEADROOM;
/// Fewer values than this are passed on as they are.
const FEW: usize = 8;
/// Outside of these exponents σ would leave the range of normal floats.
const EXPONENTS: std::ops::RangeInclusive<i32> = -900..=1000;

/// Appends floats to `parts` whose exact sum is that of the finite values, and says how many are not finite.
pub(crate) fn exact_parts(values: &[f64], parts: &mut Vec<f64>) -> u64 {
    values.chunks(CHUNK).map(|chunk| chunk_parts(chunk, parts)).sum()
}

fn chunk_parts(values: &[f64], parts: &mut Vec<f64>) -> u64 {
    if values.len() < FEW {
        return one_by_one(values, parts);
    }
    let largest = magnitude(values);
    if largest == 0.0 {
        return values.iter().filter(|v| v.is_nan()).count() as u64;
    }
    // largest < 2^exponent
    let exponent = ((largest.to_bits() >> 52) as i32) - 1022;
    if !EXPONENTS.contains(&exponent) {
        return one_by_one(values, parts);
    }
    let sigma = power_of_two(exponent + HEADROOM);
    let below = power_of_two(exponent + HEADROOM - CUT);
    let (mut high, mut low) = ([0.0; 4], [0.0; 4]);
    // Bits of all rests: 0 or the sign bit where nothing is left.
    let mut left = [0u64; 4];
    let mut step = |lane: usize, value: f64| {
        let top = (sigma + value) - sigma;
        let rest = value - top;
        let next = (below + rest) - below;
        high[lane] += top;
        low[lane] += next;
        left[lane] |= (rest - next).to_bits();
    };
    let (quads, others) = values.as_chunks::<4>();
    for value in others {
        step(0, *value);
    }
    for quad in quads {
        for (lane, value) in quad.iter().enumerate() {
            step(lane, *value);
        }
    }
    let (high, low) = (high.iter().sum::<f64>(), low.iter().sum::<f64>());
    if high.is_nan() {
        return one_by_one(values, parts);
    }
    let mut rests = Vec::new();
    if left.iter().any(|bits| bits << 1 != 0) {
        rests = values
            .iter()
            .map(|value| {
                let rest = value - ((sigma + value) - sigma);
                rest - ((below + rest) - below)
            })
            .filter(|rest| *rest != 0.0)
            .collect();
        // Sizes that are far apart gain nothing by being cut again and again.
        if rests.len() > values.len() / FEW {
            return one_by_one(values, parts);
        }
    }
    parts.extend([high, low].into_iter().filter(|part| *part != 0.0));
    exact_parts(&rests, parts);
    0
}

/// The largest magnitude; NaN is passed over.
fn magnitude(values: &[f64]) -> f64 {
    let mut largest = [0.0f64; 4];
    let (quads, others) = values.as_chunks::<4>();
    let larger = |known: f64, value: f64| if value.abs() > known { value.abs() } else { known };
    for value in others {
        largest[0] = larger(largest[0], *value);
    }
    for quad in quads {
        for (known, value) in largest.iter_mut().zip(quad) {
            *known = larger(*known, *value);
        }
    }
    largest.into_iter().fold(0.0, f64::max)
}

fn one_by_one(values: &[f64], parts: &mut Vec<f64>) -> u64 {
    let before = parts.len();
    parts.extend(values.iter().copied().filter(|v| v.is_finite() && *v != 0.0));
    let zeros = values.iter().filter(|v| **v == 0.0).count();
    (values.len() - zeros - (parts.len() - before)) as u64
}

fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exact_sum::ExactSum;

    fn both(values: &[f64]) -> ((f64, u64), (f64, u64)) {
        let (mut fast, mut slow) = (ExactSum::default(), ExactSum::default());
        let not_finite = fast.extend(values);
        values.iter().for_each(|v| slow.add(*v));
        let expected = values.iter().filter(|v| !v.is_finite()).count() as u64;
        ((fast.value(), not_finite), (slow.value(), expected))
    }

    #[test]
    fn a_usual_column_becomes_two_floats() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.37 + 1e-6).collect();
        let mut parts = Vec::new();
        assert_eq!(exact_parts(&values, &mut parts), 0);
        assert!(parts.len() <= 2, "{parts:?}");
        let (fast, slow) = both(&values);
        assert_eq!(fast, slow);
    }

    #[test]
    fn extremes_are_summed_all_the_same() {
        for values in [
            vec![f64::MAX; 20],
            vec![5e-324; 3000],
            vec![0.0; 20],
            vec![f64::NAN; 20],
            [vec![f64::INFINITY, 1.0, f64::NAN], vec![-0.0; 20]].concat(),
            [vec![1e300, 1e-300, -1e300], vec![1.5; 20]].concat(),
        ] {
            let (fast, slow) = both(&values);
            assert_eq!(fast, slow, "{:?}", &values[..3]);
        }
    }

    proptest! {
        #[test]
        fn the_sum_is_the_same_to_the_last_bit(
            values in prop::collection::vec(prop_oneof![any::<f64>(), -1e6..1e6f64, Just(0.0)], 0..2500)
        ) {
            let (fast, slow) = both(&values);
            prop_assert_eq!((fast.0.to_bits(), fast.1), (slow.0.to_bits(), slow.1));
        }
    }
}
