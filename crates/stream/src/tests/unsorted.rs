//! Rows in any order.

use proptest::prelude::*;

use super::support::{Case, Row, cases, limits, nothing_gathered, sides, table, tables};
use crate::{Limits, Request, Way, compare_sides, spill::Sizes};

fn sizes(held: u64, part_bytes: u64, stretch_rows: u64, parts: usize) -> Sizes {
    Sizes { held, part_bytes, stretch_rows, parts, waiting_bytes: 3000, dictionary_bytes: 100 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn parts_find_what_sorted_rows_find(
        (legacy, new) in tables(),
        case in cases(),
        held in prop::sample::select(vec![0, 20_000, u64::MAX]),
        part_bytes in prop::sample::select(vec![1, 3_000, 20_000, u64::MAX]),
        stretch_rows in prop::sample::select(vec![7u64, 100, 1000]),
        parts in prop::sample::select(vec![1usize, 3, 20]),
        threads in prop::sample::select(vec![1usize, 2, 7]),
        batch in prop::sample::select(vec![1usize, 13, 1000]),
    ) {
        let (legacy, new) = (table(&legacy), table(&new));
        let expected = case.expected(&legacy, &new);
        let sides = sides(&legacy, &new, batch);
        let (found, spilled) = case.parts(&sides, sizes(held, part_bytes, stretch_rows, parts), threads).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(spilled > 0, held == 0 && legacy.num_rows() + new.num_rows() > 0 || spilled > 0);
        prop_assert!(held < u64::MAX || spilled == 0);
    }
}

fn rows(count: usize, row: impl Fn(usize) -> Row) -> Vec<Row> {
    // A step without a common factor visits every row once, in no order of the key.
    (0..count).map(|i| row(i * 7919 % count)).collect()
}

/// Compares with parts of 20 kB on two threads, all of them on disk.
fn check(case: &Case, legacy: &[Row], new: &[Row]) {
    let (legacy, new) = (table(legacy), table(new));
    let (found, spilled) = case.parts(&sides(&legacy, &new, 1000), sizes(0, 20_000, 5000, 8), 2).unwrap();
    assert_eq!(found, case.expected(&legacy, &new));
    assert!(spilled > 0);
}

#[test]
fn one_giant_customer_among_small_ones() {
    let row = |shift: f64| {
        move |i: usize| {
            let customer =
                if i.is_multiple_of(10) { format!("small {}", i % 300) } else { "giant".to_owned() };
            (Some(customer), Some(i as i64), Some(i as f64 + if i % 100 == 7 { shift } else { 0.0 }), None)
        }
    };
    check(
        &Case::new(&["customer", "site"], Some("customer")),
        &rows(20_000, row(0.0)),
        &rows(19_999, row(1.0)),
    );
}

#[test]
fn every_row_its_own_customer() {
    let row = |i: usize| (Some(format!("customer number {i}")), Some(1), Some(i as f64), None);
    check(&Case::new(&["customer", "site"], Some("customer")), &rows(20_000, row), &rows(19_998, row));
}

#[test]
fn one_key_with_very_many_rows() {
    let row = |i: usize| {
        let site = if i.is_multiple_of(4) { i as i64 } else { -1 };
        (Some("a".to_owned()), Some(site), Some(i as f64), None)
    };
    let case = Case::new(&["customer", "site"], Some("customer"));
    check(&case, &rows(20_000, row), &rows(10_001, row));
    // The other side has the key once.
    check(&case, &rows(20_000, row), &[row(1), row(4)]);
}

#[test]
fn several_keys_that_cannot_be_told_apart_by_their_order_values() {
    // A part is compared key by key where it is too large and split no further.
    let row = |i: usize| (Some("a".to_owned()), Some((i % 5) as i64), Some(i as f64), None);
    let (legacy, new) = (table(&rows(3000, row)), table(&rows(1501, row)));
    let case = Case::new(&["site"], None);
    let (found, _) = case.parts(&sides(&legacy, &new, 100), sizes(0, 1, 100, 1), 2).unwrap();
    assert_eq!(found, case.expected(&legacy, &new));
}

#[test]
fn no_rows_at_all() {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let (found, spilled) = case.parts(&sides(&table(&[]), &table(&[]), 1), sizes(0, 1, 1, 3), 2).unwrap();
    assert_eq!(found.comparison, nothing_gathered(&case));
    assert_eq!(spilled, 0);
}

#[test]
fn rows_out_of_order_are_noticed_and_compared_all_the_same() {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let row = |i: usize| (Some(format!("{}", i % 50)), Some(i as i64), Some(i as f64), None);
    let (legacy, new) = (table(&rows(5000, row)), table(&rows(4999, row)));
    let (common, options) = (case.common(), case.options());
    for (memory, is_spilled) in [(1 << 30, false), (1, true)] {
        let limits: Limits = limits(2, memory);
        let request = Request {
            common: &common,
            options: &options,
            outputs: None,
            sample: u64::MAX,
            limits: &limits,
            watch: &super::support::Progress::default(),
            confirm: &|| Ok(()),
        };
        let (l, n) = sides(&legacy, &new, 300);
        let found = compare_sides(&l, &n, &request).unwrap();
        assert!(matches!(found.way, Way::Partitioned { spilled } if (spilled > 0) == is_spilled));
        let expected = case.expected(&legacy, &new);
        assert_eq!(found.comparison, expected.comparison);
        assert_eq!(case.in_order(&found.sample), expected.differences);
    }
}
