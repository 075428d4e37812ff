use std::{convert::Infallible, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use dualrun_compare::spec::{CompareColumn, CompareKind};
use dualrun_core::{Tolerance, review::ReviewStatus};
use proptest::prelude::*;

use super::*;
use crate::replay::{Declared, verdicts};

type Row = (&'static str, &'static str, f64, &'static str);

const EVERYONE: &BTreeSet<Option<String>> = &BTreeSet::new();

fn spec() -> CompareSpec {
    let tolerance = Tolerance::new(1e-6, 1e-9).unwrap();
    CompareSpec {
        key: vec!["customer".into(), "region".into()],
        customer: Some("customer".into()),
        columns: vec![
            CompareColumn { name: "kwh".into(), kind: CompareKind::Measure { unit: None, tolerance } },
            CompareColumn { name: "source".into(), kind: CompareKind::Attribute },
        ],
    }
}

fn plan(new: &[&str], legacy: &[&str]) -> ReplayPlan {
    let declared =
        |id: &&str, side| Declared { id: id.parse().unwrap(), side, status: ReviewStatus::Approved };
    let new = new.iter().map(|id| declared(id, Side::New));
    let all: Vec<Declared> = new.chain(legacy.iter().map(|id| declared(id, Side::Legacy))).collect();
    verdicts(&all).with_sampled_split("key", 400)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let texts = |of: fn(&Row) -> &'static str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let figures = Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.2))) as ArrayRef;
    RecordBatch::try_from_iter([
        ("customer", texts(|r| r.0)),
        ("region", texts(|r| r.1)),
        ("kwh", figures),
        ("source", texts(|r| r.3)),
    ])
    .unwrap()
}

/// Splits results that `result` gives for a side and the changes that are on.
fn split_of(
    plan: &ReplayPlan,
    promised: &[Promised],
    flags: Option<&[(&str, &str, bool)]>,
    result: impl Fn(Side, &[&str]) -> Vec<Row>,
) -> SplitReport {
    let relations = plan
        .calculations
        .iter()
        .map(|c| {
            let on: Vec<&str> = c.on.iter().map(ChangeId::as_str).collect();
            let rows = result(c.side, &on);
            // Two batches, so that rows of one key stand at different places.
            let (head, tail) = rows.split_at(rows.len() / 2);
            Box::new(vec![Ok(batch(head)), Ok(batch(tail))].into_iter()) as Relation<Infallible>
        })
        .collect();
    let flags = flags.map(|rows| {
        let schema = Schema::new(vec![
            Field::new("customer", DataType::Utf8, false),
            Field::new("region", DataType::Utf8, false),
            Field::new("expect_0", DataType::Boolean, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.2)))),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        Box::new(std::iter::once(Ok(batch))) as Relation<Infallible>
    });
    let input = SplitInput { spec: &spec(), plan, relations, flags, promised, excluded: EVERYONE };
    let report = split(input).unwrap();
    assert!(report.conserved(), "{:?}", report.columns);
    report
}

fn effect<'a>(report: &'a SplitReport, change: &str, column: &str) -> &'a ChangeEffect {
    report.effect(&change.parse().unwrap(), column).unwrap()
}

#[test]
fn a_change_and_a_bug_in_one_cell_are_told_apart() {
    // The change takes off 30 %, the bug adds 10 to the new calculation.
    let report = split_of(&plan(&["MC-1"], &[]), &[], None, |side, on| match (side, on) {
        (Side::Legacy, _) => vec![("a", "FR", 100.0, "x")],
        (Side::New, []) => vec![("a", "FR", 110.0, "x")],
        (Side::New, _) => vec![("a", "FR", 80.0, "x")],
    });
    let moved = effect(&report, "MC-1", "kwh");
    assert_eq!((moved.effect.as_str(), moved.cells, moved.negative_cells), ("-30", 1, 1));
    let column = &report.columns[0];
    assert_eq!(
        (column.legacy_total.as_str(), column.new_total.as_str(), column.unexplained.as_str()),
        ("100", "80", "10")
    );
}

#[test]
fn a_bug_that_cancels_a_change_does_not_hide() {
    let report = split_of(&plan(&["MC-1"], &[]), &[], None, |side, on| match (side, on) {
        (Side::New, []) => vec![("a", "FR", 70.0, "x")],
        _ => vec![("a", "FR", 100.0, "x")],
    });
    assert_eq!(effect(&report, "MC-1", "kwh").effect.as_str(), "30");
    assert_eq!(report.columns[0].unexplained.as_str(), "-30");
}

#[test]
fn changes_of_both_sides_share_the_difference() {
    // New: × 1.1 and × 1.2 interact; legacy: a fix takes off 5.
    let report = split_of(&plan(&["MC-1", "MC-2"], &["FIX-1"]), &[], None, |side, on| {
        let figure = match side {
            Side::Legacy => 105.0 - 5.0 * on.len() as f64,
            Side::New => on.iter().fold(100.0, |f, id| f * if *id == "MC-1" { 1.1 } else { 1.2 }),
        };
        vec![("a", "FR", figure, "x"), ("b", "FR", figure, "x")]
    });
    let of = |change| effect(&report, change, "kwh").effect.to_f64();
    assert!((of("MC-1") - 22.0).abs() < 1e-9 && (of("MC-2") - 42.0).abs() < 1e-9);
    assert_eq!(of("FIX-1"), -10.0);
    assert_eq!(report.columns[0].unexplained.as_str(), "0");
    let customer = effect(&report, "FIX-1", "kwh").customers[&Some("a".into())];
    assert_eq!(customer, CustomerEffect { effect: -5.0, legacy_total: 105.0, moved: 1 });
}

#[test]
fn a_change_without_effect_moves_nothing() {
    let report = split_of(&plan(&["MC-1", "MC-2"], &[]), &[], None, |_, on| {
        vec![("a", "FR", if on.contains(&"MC-1") { 0.1 + 0.2 } else { 0.1 }, "x")]
    });
    let idle = effect(&report, "MC-2", "kwh");
    assert_eq!((idle.effect.as_str(), idle.cells, idle.rows), ("0", 0, 0));
    assert_eq!(effect(&report, "MC-1", "kwh").cells, 1);
}

#[test]
fn rows_outside_of_the_promise_are_counted_apart() {
    let promised =
        [Promised { change: "MC-1".parse().unwrap(), measure: "kwh".into(), flag: Some("expect_0".into()) }];
    let flags = [("a", "DE", false), ("a", "FR", true), ("b", "FR", true)];
    let report = split_of(&plan(&["MC-1"], &[]), &promised, Some(&flags), |_, on| {
        let factor = if on.is_empty() { 1.0 } else { 0.5 };
        // The row without flags lies outside as well.
        vec![
            ("a", "DE", 10.0 * factor, "x"),
            ("a", "FR", 20.0 * factor, "x"),
            ("b", "FR", 40.0, "x"),
            ("b", "US", 80.0 * factor, "x"),
        ]
    });
    let moved = effect(&report, "MC-1", "kwh");
    assert_eq!((moved.cells, moved.cells_outside), (3, 2));
    let inside = &moved.promises[0];
    assert_eq!((inside.eligible_rows, inside.cells, inside.negative_cells), (2, 1, 1));
    let expected = CustomerEffect { effect: -10.0, legacy_total: 20.0, moved: 1 };
    assert_eq!(inside.customers[&Some("a".into())], expected);
    assert_eq!(inside.customers[&Some("b".into())].moved, 0);
}

#[test]
fn rows_that_a_change_brings_or_removes_are_counted() {
    let report = split_of(&plan(&["MC-1", "MC-2"], &[]), &[], None, |_, on| {
        let mut rows = vec![("a", "DE", 1.0, "x")];
        if on.contains(&"MC-1") {
            rows.push(("a", "FR", 5.0, "x"));
        }
        rows
    });
    let brings = effect(&report, "MC-1", "kwh");
    assert_eq!((brings.rows, brings.cells, brings.effect.as_str()), (1, 1, "5"));
    assert_eq!(effect(&report, "MC-2", "kwh").rows, 0);
}

#[test]
fn an_attribute_is_moved_by_the_smallest_set_that_brings_it_back() {
    let report = split_of(&plan(&["MC-1", "MC-2"], &[]), &[], None, |_, on| {
        vec![("a", "DE", 1.0, if on.contains(&"MC-2") { "new" } else { "old" })]
    });
    assert_eq!(effect(&report, "MC-2", "source").cells, 1);
    assert!(report.effect(&"MC-1".parse().unwrap(), "source").is_none());
}

#[test]
fn many_changes_are_sampled_and_the_error_is_told() {
    let names: Vec<String> = (0..8).map(|i| format!("MC-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = split_of(&plan(&names, &[]), &[], None, |_, on| {
        let figure = on.iter().fold(100.0, |f, id| f * (1.0 + 0.01 * (id.as_bytes()[3] - b'0') as f64));
        vec![("a", "DE", figure, "x"), ("b", "FR", 2.0 * figure, "x")]
    });
    let values: Vec<f64> = (0..256usize)
        .map(|mask| (0..8).filter(|i| mask >> i & 1 == 1).fold(300.0, |f, i| f * (1.0 + 0.01 * i as f64)))
        .collect();
    let exact = crate::shapley::shapley(&values).unwrap();
    for (i, name) in names.iter().enumerate() {
        let sampled = effect(&report, name, "kwh");
        let error = sampled.standard_error.unwrap();
        assert!(
            (sampled.effect.to_f64() - exact[i]).abs() <= 5.0 * error + 1e-9,
            "{name}: {sampled:?} {exact:?}"
        );
        assert!(i == 0 || (error > 0.0 && sampled.positive_cells == 2));
    }
    // The factor of MC-0 is 1.
    assert_eq!(
        (effect(&report, "MC-0", "kwh").cells, effect(&report, "MC-0", "kwh").effect.as_str()),
        (0, "0")
    );
}

#[test]
fn keys_that_occur_twice_and_figures_that_are_not_finite_are_counted_apart() {
    let report = split_of(&plan(&["MC-1"], &[]), &[], None, |_, on| {
        let mut rows = vec![("a", "DE", 1.0, "x"), ("a", "FR", f64::NAN, "x")];
        if !on.is_empty() {
            rows.insert(0, rows[0]);
        }
        rows
    });
    assert_eq!((report.ambiguous, report.not_finite), (1, 1));
    assert_eq!(effect(&report, "MC-1", "kwh").effect.as_str(), "0");
}

#[test]
fn customers_that_are_not_comparable_are_passed_over() {
    let plan = plan(&["MC-1"], &[]);
    let relations = (0..3)
        .map(|i| {
            let rows = [("a", "DE", 1.0 + f64::from(i), "x"), ("b", "DE", 5.0, "x")];
            Box::new(std::iter::once(Ok(batch(&rows)))) as Relation<Infallible>
        })
        .collect();
    let excluded = BTreeSet::from([Some("a".to_owned())]);
    let input =
        SplitInput { spec: &spec(), plan: &plan, relations, flags: None, promised: &[], excluded: &excluded };
    let report = split(input).unwrap();
    assert_eq!(report.columns[0].legacy_total.as_str(), "5");
    assert_eq!(effect(&report, "MC-1", "kwh").cells, 0);
}

#[test]
fn a_plan_for_verdicts_only_cannot_be_split() {
    let declared =
        [Declared { id: "MC-1".parse().unwrap(), side: Side::New, status: ReviewStatus::Proposed }];
    let run = |plan: &ReplayPlan| {
        let relations: Vec<Relation<Infallible>> = Vec::new();
        split(SplitInput { spec: &spec(), plan, relations, flags: None, promised: &[], excluded: EVERYONE })
    };
    assert!(matches!(run(&verdicts(&declared)), Err(ExplainError::NoSplit)));
    assert!(matches!(
        run(&verdicts(&declared).with_split("key")),
        Err(ExplainError::Relations { expected: 3, found: 0 })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn shares_and_the_unexplained_part_sum_to_the_difference(
        figures in proptest::collection::vec(-1e6..1e6f64, 10),
    ) {
        let plan = plan(&["MC-1", "MC-2", "MC-3"], &["FIX-1"]);
        let index = |side: Side, on: &[&str]| match side {
            Side::New => on.iter().map(|id| 1 << (id.as_bytes()[3] - b'1')).sum::<usize>(),
            Side::Legacy => 8 + on.len(),
        };
        // `split_of` checks that every cell is conserved.
        let report = split_of(&plan, &[], None, |side, on| vec![("a", "FR", figures[index(side, on)], "x")]);
        let whole = figures[7] - figures[8];
        let parts: f64 = report.effects.iter().map(|e| e.effect.to_f64()).sum();
        prop_assert!((whole - parts - report.columns[0].unexplained.to_f64()).abs() < 1e-6);
    }
}
