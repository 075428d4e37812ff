use std::path::PathBuf;

use dualrun_core::input::Side;
use dualrun_mapping::plan::{Applies, ChangeClass};

use super::*;
use crate::split::ColumnSplit;

fn pipeline() -> PipelineId {
    "web".parse().unwrap()
}

fn change(direction: Direction, relative: Option<Bounds>, condition: &str) -> Change {
    Change {
        id: "MC-1".parse().unwrap(),
        title: "t".into(),
        class: ChangeClass::Methodology,
        owner: "product".into(),
        effective: jiff::civil::date(2025, 1, 1),
        applies: Applies::FromEffective,
        reference: vec![],
        rationale: "r".into(),
        pipelines: vec![pipeline()],
        switches: vec![],
        expectations: vec![Expectation {
            pipelines: vec![pipeline()],
            measure: "kwh".into(),
            direction,
            relative,
            condition: condition.into(),
        }],
        hash: "h".into(),
        file: PathBuf::from("MC-1.toml"),
    }
}

fn part(cells: u64, up: u64, down: u64) -> PromiseEffect {
    PromiseEffect {
        promise: 0,
        eligible_rows: 40,
        cells,
        positive_cells: up,
        negative_cells: down,
        ..PromiseEffect::default()
    }
}

fn report(part: PromiseEffect, cells_outside: u64) -> SplitReport {
    let effect = ChangeEffect {
        change: "MC-1".parse().unwrap(),
        side: Side::New,
        column: "kwh".into(),
        effect: Figure::from_f64(-20.0),
        standard_error: None,
        cells: part.cells + cells_outside,
        positive_cells: part.positive_cells,
        negative_cells: part.negative_cells,
        rows: 0,
        cells_outside,
        rows_outside: 0,
        customers: BTreeMap::new(),
        promises: vec![part],
    };
    let column = ColumnSplit {
        column: "kwh".into(),
        legacy_total: Figure::from_f64(-100.0),
        new_total: Figure::from_f64(-120.0),
        unexplained: Figure::from_f64(0.0),
        residual: 0.0,
        residual_bound: 0.0,
    };
    SplitReport { effects: vec![effect], columns: vec![column], ..SplitReport::default() }
}

fn judged(change: &Change, report: &SplitReport, closed: bool) -> BridgeEntry {
    let in_force = [InForce { change, status: ReviewStatus::Approved }];
    bridge(report, &promised(&pipeline(), &in_force), &in_force, closed).remove(0)
}

fn customers(effects: &[(f64, f64)]) -> BTreeMap<Option<String>, CustomerEffect> {
    let customer = |(effect, legacy_total): &(f64, f64)| CustomerEffect {
        effect: *effect,
        legacy_total: *legacy_total,
        moved: 1,
    };
    effects.iter().enumerate().map(|(i, e)| (Some(format!("c{i}")), customer(e))).collect()
}

#[test]
fn a_change_that_does_what_it_says_keeps_its_promise() {
    let entry = judged(&change(Direction::Decrease, None, "true"), &report(part(4, 0, 4), 0), true);
    assert_eq!((entry.promise, entry.broken.len(), entry.approved), (Promise::Kept, 0, true));
    // Relative to the size of legacy, whatever its sign.
    assert_eq!((entry.effect.as_str(), entry.relative), ("-20", Some(-0.2)));
}

#[test]
fn rows_outside_of_the_condition_break_it() {
    let entry = judged(&change(Direction::Decrease, None, "region = 'FR'"), &report(part(4, 0, 4), 3), false);
    assert_eq!(entry.promise, Promise::Broken);
    assert_eq!(entry.broken, ["moved 3 cells of kwh outside of region = 'FR'"]);
}

#[test]
fn the_wrong_direction_breaks_it() {
    let entry = judged(&change(Direction::Decrease, None, "true"), &report(part(4, 1, 3), 0), false);
    assert_eq!(entry.broken, ["1 of 4 cells of kwh moved up, a decrease was promised"]);
    let entry = judged(&change(Direction::Increase, None, "true"), &report(part(4, 1, 3), 0), false);
    assert_eq!(entry.broken, ["3 of 4 cells of kwh moved down, an increase was promised"]);
    assert_eq!(
        judged(&change(Direction::Either, None, "true"), &report(part(4, 1, 3), 0), false).promise,
        Promise::Kept
    );
    let entry = judged(&change(Direction::None, None, "true"), &report(part(1, 1, 0), 0), false);
    assert_eq!(entry.broken, ["1 cell of kwh moved, none should"]);
}

#[test]
fn bounds_hold_for_each_customer_and_no_figure_of_one_is_told() {
    let bounds = Bounds { min: -0.7, max: -0.2 };
    let change = change(Direction::Decrease, Some(bounds), "true");
    let effects = [(-50.0, 100.0), (-20.0, 100.0), (-80.0, 100.0), (-10.0, 100.0), (-30.0, -100.0)];
    let part = PromiseEffect { customers: customers(&effects), ..part(5, 0, 5) };
    let entry = judged(&change, &report(part, 0), false);
    assert_eq!(entry.broken, ["kwh outside of −70 % to −20 % for 2 of 5 customers (1 below, 1 above)"]);
}

#[test]
fn any_effect_on_a_customer_without_legacy_figures_is_beyond_bounds() {
    let change = change(Direction::Increase, Some(Bounds { min: 0.0, max: 0.5 }), "true");
    let part = PromiseEffect { customers: customers(&[(3.0, 0.0)]), ..part(1, 1, 0) };
    let entry = judged(&change, &report(part, 0), false);
    assert_eq!(entry.broken, ["kwh outside of 0 % to 50 % for 1 of 1 customer (1 above)"]);
}

#[test]
fn nothing_moved_breaks_a_closed_month_only() {
    let change = change(Direction::Decrease, None, "region = 'FR'");
    let idle = report(part(0, 0, 0), 0);
    assert_eq!(judged(&change, &idle, false).promise, Promise::NotYetKnown);
    let entry = judged(&change, &idle, true);
    assert_eq!(entry.promise, Promise::Broken);
    assert_eq!(
        entry.broken,
        ["moved no cell of kwh in a closed month, though 40 rows lie inside of region = 'FR'"]
    );
    let nothing_to_move = PromiseEffect { eligible_rows: 0, ..part(0, 0, 0) };
    assert_eq!(judged(&change, &report(nothing_to_move, 0), true).promise, Promise::NotYetKnown);
}

#[test]
fn a_column_without_a_promise_is_listed_where_it_moved() {
    let change = change(Direction::Decrease, None, "true");
    let mut moved = report(part(4, 0, 4), 0);
    moved.effects[0].promises.clear();
    assert_eq!(judged(&change, &moved, true).promise, Promise::None);
    moved.effects[0].cells = 0;
    let in_force = [InForce { change: &change, status: ReviewStatus::Proposed }];
    assert!(bridge(&moved, &[], &in_force, true).is_empty());
}

#[test]
fn conditions_are_numbered_for_the_flags() {
    let (everywhere, some) =
        (change(Direction::Either, None, " TRUE "), change(Direction::Either, None, "region = 'FR'"));
    let in_force = [&everywhere, &some].map(|change| InForce { change, status: ReviewStatus::Proposed });
    let flags: Vec<_> = promised(&pipeline(), &in_force).into_iter().map(|(p, _)| p.flag).collect();
    assert_eq!(flags, [None, Some("expect_1".to_owned())]);
    assert!(promised(&"other".parse().unwrap(), &in_force).is_empty());
}
