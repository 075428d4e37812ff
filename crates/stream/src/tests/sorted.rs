//! Rows in the order of their keys, in ranges of any size.

use proptest::prelude::*;

use super::support::{Case, Row, cases, sides, table, tables};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn ranges_find_what_one_pass_finds(
        (legacy, new) in tables(),
        case in cases(),
        size in prop::sample::select(vec![1u64, 10, 100]),
        threads in prop::sample::select(vec![1usize, 2, 7]),
        batch in prop::sample::select(vec![1usize, 13, 1000]),
    ) {
        let (legacy, new) = (case.sorted(&table(&legacy)), case.sorted(&table(&new)));
        let expected = case.expected(&legacy, &new);
        let found = case.ranges(&sides(&legacy, &new, batch), size, threads).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rows_out_of_order_are_noticed_or_do_no_harm(
        (legacy, new) in tables(),
        size in prop::sample::select(vec![1u64, 10, 100]),
    ) {
        let case = Case::new(&["customer", "site"], Some("customer"));
        let (legacy, new) = (table(&legacy), table(&new));
        match case.ranges(&sides(&legacy, &new, 50), size, 2) {
            Ok(found) => prop_assert_eq!(found, case.expected(&legacy, &new)),
            Err(error) => prop_assert!(error.is_unsorted(), "{error:?}"),
        }
    }
}

fn check(legacy: &[Row], new: &[Row]) {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let (legacy, new) = (case.sorted(&table(legacy)), case.sorted(&table(new)));
    let expected = case.expected(&legacy, &new);
    for size in [100, 1000, 50_000] {
        let found = case.ranges(&sides(&legacy, &new, 700), size, 2).unwrap();
        assert_eq!(found, expected);
    }
}

fn row(customer: &str, site: usize) -> Row {
    (Some(customer.to_owned()), Some(site as i64), Some(site as f64), None)
}

#[test]
fn sides_of_very_different_size() {
    let large: Vec<Row> = (0..20_000).map(|i| row(&format!("{:03}", i / 50), i)).collect();
    let small: Vec<Row> = large.iter().skip(17).step_by(4001).cloned().collect();
    check(&large, &small);
    check(&small, &large);
    check(&large, &[]);
    check(&[], &large);
}

#[test]
fn duplicates_across_the_places_where_ranges_would_end() {
    let twice: Vec<Row> = (0..10_000).map(|i| row("a", i / 700)).collect();
    let once: Vec<Row> = (0..20).map(|i| row("a", i)).collect();
    check(&twice, &once);
    check(&once, &twice);
    check(&twice, &twice);
}

#[test]
fn one_side_begins_where_the_other_ends() {
    let low: Vec<Row> = (0..9_000).map(|i| row("a", i)).collect();
    let high: Vec<Row> = (8_999..20_000).map(|i| row("a", i)).collect();
    check(&low, &high);
    check(&high, &low);
}
