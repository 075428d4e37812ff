//! Verdicts from replays: U decides first, then rejected, approved and pending changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use dualrun_compare::Parts;
use dualrun_core::Tolerance;
use support::{Found, Setup, kv};

type Rows<'a> = &'a [(&'a str, f64)];

/// Relations: 0 legacy w(∅), 1 new v(all), 2 v(∅), 3 v(approved), 4 v(without the rejected).
fn replay(legacy: Rows, new: Rows, without: Rows, approved: Rows, accepted: Rows) -> Found {
    let parts = Parts { new_without: 2, new_approved: 3, new_accepted: 4, ..Parts::PLAIN };
    let tolerance = Tolerance::new(0.001, 0.0).unwrap();
    Setup { parts, tolerance, ..Setup::default() }.run(&[legacy, new, without, approved, accepted].map(kv))
}

/// One cell in each relation.
fn cell(legacy: f64, new: f64, without: f64, approved: f64, accepted: f64) -> Found {
    replay(&[("a", legacy)], &[("a", new)], &[("a", without)], &[("a", approved)], &[("a", accepted)])
}

const EQUAL: [u64; 5] = [1, 0, 0, 0, 0];
const WITHIN: [u64; 5] = [0, 1, 0, 0, 0];
const EXPLAINED: [u64; 5] = [0, 0, 1, 0, 0];
const PENDING: [u64; 5] = [0, 0, 0, 1, 0];
const UNEXPLAINED: [u64; 5] = [0, 0, 0, 0, 1];

#[test]
fn a_change_and_a_bug_that_cancel_are_unexplained() {
    let found = cell(10.0, 10.0, 12.0, 10.0, 10.0);
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(
        (found.cell_numbers("v", "legacy"), found.cell_numbers("v", "new")),
        (vec![Some(10.0)], vec![Some(10.0)])
    );
    assert_eq!(found.cell_numbers("v", "without_changes"), [Some(12.0)]);
    assert_eq!(found.cell_numbers("v", "with_fixes"), [Some(10.0)]);
    assert_eq!(found.comparison.columns[0].gross_unexplained.as_ref().unwrap().as_str(), "2");
    assert_eq!(found.comparison.columns[0].gross_difference.as_ref().unwrap().as_str(), "0");
}

#[test]
fn a_bug_beside_a_large_change_is_found_with_its_size() {
    let found = cell(100.0, 51.0, 101.0, 51.0, 51.0);
    assert_eq!(found.counts("v"), UNEXPLAINED);
    assert_eq!(found.cell_numbers("v", "without_changes"), [Some(101.0)]);
    assert_eq!(found.comparison.columns[0].gross_unexplained.as_ref().unwrap().as_str(), "1");
}

#[test]
fn approved_pending_and_rejected_changes() {
    assert_eq!(cell(10.0, 20.0, 10.0, 20.0, 20.0).counts("v"), EXPLAINED);
    assert_eq!(cell(10.0, 20.0, 10.0, 10.0, 20.0).counts("v"), PENDING);
    assert_eq!(cell(10.0, 20.0, 10.0, 15.0, 20.0).counts("v"), PENDING);
    assert_eq!(cell(10.0, 20.0, 10.0, 10.0, 10.0).counts("v"), UNEXPLAINED);
    assert_eq!(cell(10.0, 10.0, 10.0, 10.0, 10.0).counts("v"), EQUAL);
    assert_eq!(cell(10.0, 10.0005, 10.0, 10.0, 10.0).counts("v"), WITHIN);
    // U within tolerance does not stand in the way.
    assert_eq!(cell(10.0, 20.0, 10.0005, 20.0, 20.0).counts("v"), EXPLAINED);
}

#[test]
fn an_undefined_replay_is_no_explanation() {
    assert_eq!(cell(10.0, 20.0, f64::NAN, 20.0, 20.0).counts("v"), UNEXPLAINED);
    assert_eq!(cell(10.0, 10.0, f64::NAN, 10.0, 10.0).counts("v"), UNEXPLAINED);
    let twice = [("a", 10.0), ("a", 10.0)];
    let (l, n) = ([("a", 10.0)], [("a", 20.0)]);
    assert_eq!(replay(&l, &n, &twice, &n, &n).counts("v"), UNEXPLAINED);
    assert_eq!(replay(&l, &n, &l, &twice, &n).counts("v"), UNEXPLAINED);
    // A replay that the verdict does not need.
    assert_eq!(replay(&l, &l, &l, &twice, &twice).counts("v"), EQUAL);
}

#[test]
fn a_fix_on_the_legacy_side_explains() {
    let parts = Parts { legacy_with: 2, legacy_approved: 2, legacy_accepted: 2, ..Parts::PLAIN };
    let of = |fixed: f64| {
        let tables = [10.0, 20.0, fixed].map(|v| kv(&[("a", v)]));
        Setup { parts, ..Setup::default() }.run(&tables).counts("v")
    };
    assert_eq!(of(20.0), EXPLAINED);
    assert_eq!(of(19.0), UNEXPLAINED);
    let pending = Parts { legacy_approved: 0, ..parts };
    let tables = [10.0, 20.0, 20.0].map(|v| kv(&[("a", v)]));
    assert_eq!(Setup { parts: pending, ..Setup::default() }.run(&tables).counts("v"), PENDING);
}

#[test]
fn presence_is_a_cell() {
    let row = [("x", 5.0)];
    let one_sided = |found: &Found| {
        let o = found.comparison.rows.one_sided;
        [o.explained, o.pending, o.unexplained]
    };
    // A change brings the row.
    assert_eq!(one_sided(&replay(&[], &row, &[], &row, &row)), [1, 0, 0]);
    assert_eq!(one_sided(&replay(&[], &row, &[], &[], &row)), [0, 1, 0]);
    assert_eq!(one_sided(&replay(&[], &row, &[], &[], &[])), [0, 0, 1]);
    // The row is there under the old method too: a bug.
    assert_eq!(one_sided(&replay(&[], &row, &row, &row, &row)), [0, 0, 1]);
    // A change removes the row.
    assert_eq!(one_sided(&replay(&row, &[], &row, &[], &[])), [1, 0, 0]);
    assert_eq!(one_sided(&replay(&row, &[], &row, &row, &[])), [0, 1, 0]);
    // Under the old method the row is back, with another value.
    assert_eq!(one_sided(&replay(&row, &[], &[("x", 6.0)], &[], &[])), [0, 0, 1]);
}

#[test]
fn a_paired_row_that_the_old_method_lacks_is_unexplained() {
    let row = [("x", 5.0)];
    assert_eq!(replay(&row, &row, &[], &row, &row).counts("v"), UNEXPLAINED);
    // A key of a replay alone is no row of the run.
    let found = replay(&row, &row, &[("w", 1.0), ("x", 5.0)], &row, &row);
    assert_eq!((found.counts("v"), found.comparison.rows.legacy), (EQUAL, 1));
}

#[test]
fn a_one_sided_row_carries_its_measures_for_the_split() {
    let found = replay(&[], &[("x", 5.0)], &[], &[("x", 5.0)], &[("x", 5.0)]);
    assert_eq!(found.texts("dualrun_row"), [Some("only_new".to_owned())]);
    assert_eq!(found.texts("dualrun_verdict"), [Some("explained".to_owned())]);
    assert_eq!(
        (found.cell_numbers("v", "legacy"), found.cell_numbers("v", "new")),
        (vec![None], vec![Some(5.0)])
    );
    assert_eq!(found.cell_texts("v", "verdict"), [Some("explained".to_owned())]);
    assert_eq!(found.comparison.columns[0].gross_unexplained.as_ref().unwrap().as_str(), "0");
}
