//! The comparison against a slow oracle that holds all rows in maps, and the laws that must hold for any tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, HashMap};

use arrow::{
    array::{Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use dualrun_compare::Parts;
use dualrun_core::{Tolerance, Verdict, run::RowCounts};
use proptest::prelude::*;
use support::{Found, Setup, Split, array, table};

/// customer, key, measure, attribute.
type Row = (u8, Option<i64>, Option<f64>, Option<u8>);

/// Customer, the measure of both sides, the attribute, whether the new side has it too.
type Both = (u8, Option<f64>, Option<f64>, Option<u8>, bool);

/// Rows by key.
type Keyed = HashMap<(u8, Option<i64>), Vec<Row>>;

fn to_table(rows: &[Row]) -> RecordBatch {
    let letter = |c: u8| char::from(b'a' + c).to_string();
    table(vec![
        ("customer", array(rows.iter().map(|r| Some(letter(r.0))).collect::<StringArray>())),
        ("k", array(rows.iter().map(|r| r.1).collect::<Int64Array>())),
        ("v", array(rows.iter().map(|r| r.2).collect::<Float64Array>())),
        ("t", array(rows.iter().map(|r| r.3.map(letter)).collect::<StringArray>())),
    ])
}

fn run(tables: &[Vec<Row>], parts: Parts, tolerance: Tolerance, batch: usize) -> Found {
    run_split(tables, parts, tolerance, batch, Split::Ranges(1), false)
}

fn run_split(
    tables: &[Vec<Row>],
    parts: Parts,
    tolerance: Tolerance,
    batch: usize,
    split: Split,
    views: bool,
) -> Found {
    let tables: Vec<_> = tables.iter().map(|t| to_table(t)).collect();
    let setup = Setup {
        key: &["customer", "k"],
        customer: Some("customer"),
        tolerance,
        parts,
        batch,
        split,
        views,
        ..Setup::default()
    };
    setup.run(&tables)
}

/// What the oracle says of one customer.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    rows: RowCounts,
    measure: [u64; 5],
    attribute: [u64; 5],
    /// Totals of both sides, gross difference, gross unexplained, values that are not finite.
    sums: [f64; 4],
    not_finite: u64,
}

fn agree(a: Option<f64>, b: Option<f64>, tolerance: Tolerance) -> Option<bool> {
    match (a, b) {
        (None, None) => Some(true),
        (Some(a), Some(b)) if a.is_nan() && b.is_nan() => Some(true),
        (Some(a), Some(b)) if a == b => Some(true),
        (Some(a), Some(b)) if a.is_finite() && b.is_finite() => {
            let allowed = tolerance.absolute().max(tolerance.relative() * a.abs().max(b.abs()));
            ((a - b).abs() <= allowed).then_some(false)
        }
        _ => None,
    }
}

/// `Some(true)` equal, `Some(false)` within tolerance, `None` different or not known.
fn judge(
    parts: &Parts,
    ask: impl Fn(usize, usize) -> Option<bool>,
    known: impl Fn(usize, usize) -> bool,
) -> Verdict {
    let (u, sides) = (ask(parts.legacy_with, parts.new_without), ask(parts.legacy, parts.new));
    if u.is_none() {
        return Verdict::Unexplained;
    }
    match sides {
        Some(true) => return Verdict::Equal,
        Some(false) => return Verdict::WithinTolerance,
        None => {}
    }
    let still = |a: usize, b: usize| ask(a, b).is_some();
    let rejected = !still(parts.new, parts.new_accepted) || !still(parts.legacy_with, parts.legacy_accepted);
    let doubtful = !known(parts.new, parts.new_approved) || !known(parts.legacy_with, parts.legacy_approved);
    if rejected || doubtful {
        Verdict::Unexplained
    } else if still(parts.new, parts.new_approved) && still(parts.legacy_with, parts.legacy_approved) {
        Verdict::Explained
    } else {
        Verdict::Pending
    }
}

fn oracle(tables: &[Vec<Row>], parts: &Parts, tolerance: Tolerance) -> BTreeMap<u8, Expected> {
    let mut by_key: Vec<Keyed> = Vec::new();
    for rows in tables {
        let mut map = Keyed::new();
        rows.iter().for_each(|r| map.entry((r.0, r.1)).or_default().push(*r));
        by_key.push(map);
    }
    let mut keys: Vec<_> = by_key[parts.legacy].keys().chain(by_key[parts.new].keys()).copied().collect();
    keys.sort();
    keys.dedup();
    let finite = |v: Option<f64>| v.filter(|v| v.is_finite()).unwrap_or(0.0);
    let gap = |a: Option<f64>, b: Option<f64>| {
        if [a, b].iter().flatten().all(|v| v.is_finite()) { (finite(b) - finite(a)).abs() } else { 0.0 }
    };
    let mut result: BTreeMap<u8, Expected> = BTreeMap::new();
    for key in keys {
        let of = |relation: usize| by_key[relation].get(&key).map_or(&[][..], Vec::as_slice);
        let value = |relation: usize| of(relation).first().and_then(|r| r.2);
        let sum = |relation: usize| of(relation).iter().map(|r| finite(r.2)).sum::<f64>();
        let e = result.entry(key.0).or_default();
        let (l, n) = (of(parts.legacy), of(parts.new));
        e.rows.legacy += l.len() as u64;
        e.rows.new += n.len() as u64;
        if key.1.is_none() {
            e.rows.null_keys += (l.len() + n.len()) as u64;
        }
        e.sums[0] += sum(parts.legacy);
        e.sums[1] += sum(parts.new);
        e.not_finite += l.iter().chain(n).filter(|r| r.2.is_some_and(|v| !v.is_finite())).count() as u64;
        let known = |a: usize, b: usize| of(a).len() < 2 && of(b).len() < 2;
        let present = |a: usize, b: usize| of(a).is_empty() == of(b).is_empty();
        if l.len() > 1 || n.len() > 1 {
            e.rows.ambiguous_key.legacy += l.len() as u64;
            e.rows.ambiguous_key.new += n.len() as u64;
            e.sums[2] += (sum(parts.new) - sum(parts.legacy)).abs();
            e.sums[3] += (sum(parts.new_without) - sum(parts.legacy_with)).abs();
            continue;
        }
        e.sums[2] += gap(value(parts.legacy), value(parts.new));
        if known(parts.legacy_with, parts.new_without) {
            e.sums[3] += gap(value(parts.legacy_with), value(parts.new_without));
        }
        let measure = |a: usize, b: usize| {
            if known(a, b) && present(a, b) { agree(value(a), value(b), tolerance) } else { None }
        };
        let attribute = |a: usize, b: usize| {
            let same = of(a).first().map(|r| r.3) == of(b).first().map(|r| r.3);
            (known(a, b) && same).then_some(true)
        };
        if l.len() == 1 && n.len() == 1 {
            let verdicts = [judge(parts, measure, known), judge(parts, attribute, known)];
            e.measure[verdicts[0] as usize] += 1;
            e.attribute[verdicts[1] as usize] += 1;
            e.rows.paired += 1;
            e.rows.verdicts.add(verdicts[0].max(verdicts[1]));
        } else {
            let mut verdict = judge(parts, |a, b| present(a, b).then_some(true), |_, _| true);
            let u = (parts.legacy_with, parts.new_without);
            if measure(u.0, u.1).is_none() || attribute(u.0, u.1).is_none() {
                verdict = Verdict::Unexplained;
            }
            e.rows.only_legacy += l.len() as u64;
            e.rows.only_new += n.len() as u64;
            match verdict {
                Verdict::Explained => e.rows.one_sided.explained += 1,
                Verdict::Pending => e.rows.one_sided.pending += 1,
                _ => e.rows.one_sided.unexplained += 1,
            }
        }
    }
    result
}

fn found(found: &Found) -> BTreeMap<u8, Expected> {
    let of = |c: &dualrun_core::run::CustomerReport| {
        let counts = |i: usize| Verdict::ALL.map(|v| c.columns[i].verdicts.get(v));
        let m = &c.columns[0];
        let number = |f: &Option<dualrun_core::run::figures::Figure>| f.as_ref().unwrap().to_f64();
        let expected = Expected {
            rows: c.rows,
            measure: counts(0),
            attribute: counts(1),
            sums: [&m.legacy_total, &m.new_total, &m.gross_difference, &m.gross_unexplained].map(number),
            not_finite: m.not_finite,
        };
        (c.customer.as_ref().unwrap().as_bytes()[0] - b'a', expected)
    };
    found.comparison.customers.iter().map(of).collect()
}

/// Sums of quarters are exact, so that the oracle may add them in any order.
fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        8 => (-8i8..9).prop_map(|q| Some(f64::from(q) / 4.0)),
        1 => Just(None),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]).prop_map(Some),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    (0u8..3, prop::option::weighted(0.9, 0i64..6), value(), prop::option::weighted(0.8, 0u8..2))
}

/// A table and relatives of it: most rows the same, some moved, dropped or doubled.
fn relatives(count: usize) -> impl Strategy<Value = Vec<Vec<Row>>> {
    prop::collection::vec(row(), 0..14).prop_flat_map(move |mut base| {
        base.sort_by_key(|r| (r.0, r.1));
        base.dedup_by_key(|r| (r.0, r.1));
        let relative = prop::collection::vec((0u8..12, value(), 0u8..2), base.len()).prop_map(move |moves| {
            let mut rows = Vec::new();
            for (row, (what, value, letter)) in base.iter().zip(moves) {
                match what {
                    0 => {}
                    1 => rows.extend([*row, *row]),
                    2 | 3 => rows.push((row.0, row.1, value, row.3)),
                    4 => rows.push((row.0, row.1, row.2, Some(letter))),
                    _ => rows.push(*row),
                }
            }
            rows
        });
        prop::collection::vec(relative, count)
    })
}

fn any_parts() -> impl Strategy<Value = Parts> {
    prop::array::uniform6(0usize..6).prop_map(|p| Parts {
        legacy: 0,
        new: 1,
        new_without: p[0],
        legacy_with: p[1],
        new_approved: p[2],
        legacy_approved: p[3],
        new_accepted: p[4],
        legacy_accepted: p[5],
    })
}

fn tolerances() -> impl Strategy<Value = Tolerance> {
    prop::sample::select(vec![(0.0, 0.0), (0.25, 0.0), (0.0, 0.5), (0.5, 0.125)])
        .prop_map(|(a, r)| Tolerance::new(a, r).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn verdict_by_verdict(tables in relatives(6), parts in any_parts(), tolerance in tolerances()) {
        prop_assert_eq!(found(&run(&tables, parts, tolerance, 3)), oracle(&tables, &parts, tolerance));
    }

    #[test]
    fn order_and_batches_change_nothing(
        tables in relatives(6),
        parts in any_parts(),
        tolerance in tolerances(),
        batch in 1usize..5,
        turn in 0usize..14,
    ) {
        let one = run(&tables, parts, tolerance, usize::MAX);
        let turned: Vec<Vec<Row>> = tables
            .iter()
            .map(|t| {
                let mut t = t.clone();
                let by = turn.min(t.len());
                t.rotate_left(by);
                t
            })
            .collect();
        let other = run(&turned, parts, tolerance, batch);
        prop_assert_eq!(&one.comparison, &other.comparison);
        prop_assert_eq!(one.texts("dualrun_verdict"), other.texts("dualrun_verdict"));
    }

    #[test]
    fn partitions_change_nothing(
        tables in relatives(6),
        parts in any_parts(),
        tolerance in tolerances(),
        batch in prop::sample::select(vec![1usize, 3, 8192]),
        ways in prop::sample::select(vec![Split::Ranges(2), Split::Ranges(7), Split::Hash(2), Split::Hash(7)]),
        views in any::<bool>(),
    ) {
        let one = run(&tables, parts, tolerance, usize::MAX);
        prop_assert_eq!(found(&one), oracle(&tables, &parts, tolerance));
        let other = run_split(&tables, parts, tolerance, batch, ways, views);
        prop_assert_eq!(&one.comparison, &other.comparison);
    }

    #[test]
    fn swapping_sides_mirrors(tables in relatives(2), tolerance in tolerances()) {
        let ahead = run(&tables, Parts::PLAIN, tolerance, 4);
        let back = run(&[tables[1].clone(), tables[0].clone()], Parts::PLAIN, tolerance, 4);
        let (a, b) = (&ahead.comparison, &back.comparison);
        prop_assert_eq!(a.rows.verdicts, b.rows.verdicts);
        prop_assert_eq!((a.rows.only_legacy, a.rows.ambiguous_key.legacy), (b.rows.only_new, b.rows.ambiguous_key.new));
        for (x, y) in a.columns.iter().zip(&b.columns) {
            prop_assert_eq!(x.verdicts, y.verdicts);
            prop_assert_eq!((&x.legacy_total, &x.gross_difference), (&y.new_total, &y.gross_difference));
        }
        prop_assert_eq!(ahead.cell_texts("v", "legacy"), back.cell_texts("v", "new"));
        prop_assert_eq!(ahead.cell_texts("t", "new"), back.cell_texts("t", "legacy"));
    }

    #[test]
    fn a_wider_tolerance_never_adds_a_difference(
        tables in relatives(2),
        narrow in (0u8..4, 0u8..4),
        wider in (0u8..4, 0u8..4),
    ) {
        let of = |(a, r): (u8, u8)| Tolerance::new(f64::from(a) / 4.0, f64::from(r) / 4.0).unwrap();
        let few = run(&tables, Parts::PLAIN, of((narrow.0 + wider.0, narrow.1 + wider.1)), 4);
        let many = run(&tables, Parts::PLAIN, of(narrow), 4);
        prop_assert!(few.comparison.differences <= many.comparison.differences);
        prop_assert!(few.counts("v")[4] <= many.counts("v")[4]);
    }

    #[test]
    fn exactly_the_injected_differences_are_found(
        values in prop::collection::vec(-1000i32..1000, 1..200),
        picks in prop::collection::btree_set(0usize..200, 0..40),
        batch in 1usize..50,
    ) {
        let legacy: Vec<Row> =
            values.iter().zip(0i64..).map(|(v, k)| (0, Some(k), Some(f64::from(*v)), Some(0))).collect();
        let mut new = legacy.clone();
        let injected: Vec<usize> = picks.into_iter().filter(|p| *p < new.len()).collect();
        for (at, pick) in injected.iter().enumerate() {
            match at % 3 {
                0 => new[*pick].2 = new[*pick].2.map(|v| v + 0.001),
                1 => new[*pick].2 = None,
                _ => new[*pick].3 = Some(1),
            }
        }
        let found = run(&[legacy, new], Parts::PLAIN, Tolerance::EXACT, batch);
        prop_assert_eq!(found.comparison.differences, injected.len() as u64);
        prop_assert_eq!(found.comparison.rows.verdicts.unexplained, injected.len() as u64);
    }

    /// Long stretches of differences are copied column by column, short ones row by row.
    #[test]
    fn many_differences_at_once_are_those_of_one_at_a_time(
        rows in prop::collection::vec((0u8..3, value(), value(), prop::option::of(0u8..2), any::<bool>()), 100..400),
        without in any::<bool>(),
    ) {
        let of = |pick: fn(&Both) -> (Option<f64>, Option<u8>)| {
            let keyed = rows.iter().enumerate();
            let table = keyed.map(|(k, row)| {
                let (v, t) = pick(row);
                (row.0, Some(k as i64), v, t)
            });
            table.collect::<Vec<Row>>()
        };
        let legacy = of(|r| (r.1, r.3));
        let new = of(|r| (r.2, if r.4 { r.3 } else { None }));
        let parts = if without { Parts { new_without: 2, ..Parts::PLAIN } } else { Parts::PLAIN };
        let tables = [legacy.clone(), new, legacy];
        let tolerance = Tolerance::new(0.25, 0.0).unwrap();
        let at_once = run(&tables, parts, tolerance, usize::MAX);
        let one_by_one = run(&tables, parts, tolerance, 40);
        prop_assert_eq!(&at_once.comparison, &one_by_one.comparison);
        let whole = |found: &Found| {
            arrow::compute::concat_batches(&found.differences[0].schema(), &found.differences).unwrap()
        };
        if at_once.comparison.differences > 0 {
            let (a, b) = (whole(&at_once), whole(&one_by_one));
            for (x, y) in a.columns().iter().zip(b.columns()) {
                prop_assert_eq!(format!("{x:?}"), format!("{y:?}"));
            }
        }
    }
    /// Where an intended change moves every row of a customer, its columns are judged and stored as a whole.
    #[test]
    fn whole_columns_are_judged_as_single_cells_are(
        rows in prop::collection::vec(
            (0u8..3, -1e3..1e3f64, prop::sample::select(vec![0.0, 0.1, 0.25, 1.0, -3.0])),
            100..600,
        ),
        moved in prop::sample::select(vec![0u8, 1, 2, 3]),
        absolute in prop::sample::select(vec![0.0, 0.25]),
    ) {
        let mut rows = rows;
        rows.sort_by_key(|row| row.0);
        let of = |new: bool| {
            let keyed = rows.iter().enumerate();
            let shift = |row: &(u8, f64, f64)| match moved {
                0 => 1.5,
                1 => row.2,
                2 if row.0 == 1 => -2.0,
                3 => 1.5 * row.1,
                _ => 0.0,
            };
            let table = keyed.map(|(k, row)| {
                let value = if new { row.1 + shift(row) } else { row.1 };
                (row.0, Some(k as i64), Some(value), Some(0))
            });
            table.collect::<Vec<Row>>()
        };
        let tables = [of(false), of(true)];
        let tolerance = Tolerance::new(absolute, 0.0).unwrap();
        let at_once = run(&tables, Parts::PLAIN, tolerance, usize::MAX);
        let one_by_one = run(&tables, Parts::PLAIN, tolerance, 1);
        prop_assert_eq!(&at_once.comparison, &one_by_one.comparison);
        prop_assert_eq!(found(&at_once), found(&one_by_one));
    }
}
