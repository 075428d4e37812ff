use proptest::prelude::*;

use super::*;

fn game(k: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-1e6..1e6f64, 1 << k)
}

fn any_game() -> impl Strategy<Value = Vec<f64>> {
    (0usize..=6).prop_flat_map(game)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6
}

#[test]
fn two_changes_that_multiply_share_their_interaction() {
    // v = 100 · a · b with a: 1 → 1.1 and b: 1 → 1.2
    let shares = shapley(&[100.0, 110.0, 120.0, 132.0]).unwrap();
    assert!(near(shares[0], 11.0) && near(shares[1], 21.0), "{shares:?}");
}

#[test]
fn no_change_has_no_share_and_a_wrong_length_is_refused() {
    assert_eq!(shapley(&[5.0]), Some(vec![]));
    assert_eq!(shapley(&[1.0, 2.0, 3.0]), None);
    assert_eq!(shapley(&[]), None);
    assert!(Exact::new(21).is_none());
}

#[test]
fn the_error_of_one_permutation_is_not_known() {
    assert!(estimate([1.0].into_iter()).standard_error.is_infinite());
    assert_eq!(estimate([2.0, 2.0].into_iter()), Estimate { share: 2.0, standard_error: 0.0 });
}

#[test]
fn a_sample_converges_and_its_error_shrinks() {
    let k = 7;
    // A product of factors: every subset interacts.
    let value =
        |mask: u64| (0..k).filter(|i| mask >> i & 1 == 1).map(|i| 1.0 + 0.1 * (i + 1) as f64).product();
    let exact = Exact::new(k).unwrap().shares(|mask| value(mask as u64));
    let few = Permutations::draw(k, 50, 7).estimate(value);
    let many = Permutations::draw(k, 5_000, 7).estimate(value);
    for i in 0..k {
        assert!(many[i].standard_error < few[i].standard_error);
        assert!((many[i].share - exact[i]).abs() <= 5.0 * many[i].standard_error, "{i}: {many:?} {exact:?}");
        assert!((few[i].share - exact[i]).abs() <= 5.0 * few[i].standard_error);
    }
}

proptest! {
    #[test]
    fn shares_sum_to_the_whole(values in any_game()) {
        let whole = values[values.len() - 1] - values[0];
        prop_assert!(near(shapley(&values).unwrap().iter().sum(), whole));
    }

    #[test]
    fn a_change_without_effect_has_exactly_no_share(values in game(4), idle in 0usize..4) {
        let values: Vec<f64> = (0..16).map(|mask: usize| values[mask & !(1 << idle)]).collect();
        prop_assert_eq!(shapley(&values).unwrap()[idle], 0.0);
    }

    #[test]
    fn changes_that_do_the_same_have_the_same_share(values in game(4)) {
        // Changes 0 and 1 are interchangeable: v depends on how many of them are on.
        let canonical = |mask: usize| if mask & 3 == 2 { mask ^ 3 } else { mask };
        let values: Vec<f64> = (0..16).map(|mask| values[canonical(mask)]).collect();
        let shares = shapley(&values).unwrap();
        prop_assert!(near(shares[0], shares[1]));
    }

    #[test]
    fn shares_are_linear(a in game(3), b in game(3), factor in -10.0..10.0f64) {
        let mixed: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + factor * b).collect();
        let (a, b, mixed) = (shapley(&a).unwrap(), shapley(&b).unwrap(), shapley(&mixed).unwrap());
        for i in 0..3 {
            prop_assert!(near(mixed[i], a[i] + factor * b[i]));
        }
    }

    #[test]
    fn sampled_shares_sum_to_the_whole_too(values in game(7), seed in any::<u64>()) {
        let shares = Permutations::draw(7, 20, seed).estimate(|mask| values[mask as usize]);
        let whole = values[127] - values[0];
        prop_assert!(near(shares.iter().map(|s| s.share).sum(), whole));
    }
}
