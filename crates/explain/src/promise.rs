//! Whether changes did what their files promise.

use std::collections::BTreeMap;

use dualrun_core::{
    ChangeId, PipelineId,
    review::ReviewStatus,
    run::{BridgeEntry, Promise, figures::Figure},
};
use dualrun_mapping::plan::{Bounds, Change, Direction, Expectation};

use crate::{
    signatures::counted,
    split::{ChangeEffect, CustomerEffect, PromiseEffect, Promised, SplitReport},
};

/// A change in force with the status of its review.
#[derive(Debug, Clone, Copy)]
pub struct InForce<'a> {
    /// The change.
    pub change: &'a Change,
    /// Where its review stands in its present form.
    pub status: ReviewStatus,
}

/// The promises of the changes in force for a pipeline, with the name `expect_<n>` of the flag column that the
/// caller has to fill where the condition is not `true`. The conditions in the order of the numbers are
/// `promised[n].1`. To be given to [`crate::split()`].
pub fn promised<'a>(pipeline: &PipelineId, changes: &[InForce<'a>]) -> Vec<(Promised, &'a Expectation)> {
    let mut promised = Vec::new();
    for in_force in changes {
        for expectation in expectations(pipeline, in_force.change) {
            let everywhere = expectation.condition.trim().eq_ignore_ascii_case("true");
            promised.push((
                Promised {
                    change: in_force.change.id.clone(),
                    measure: expectation.measure.clone(),
                    flag: (!everywhere).then(|| format!("expect_{}", promised.len())),
                },
                expectation,
            ));
        }
    }
    promised
}

/// The bridge from legacy to new: one entry for each change and column that it moved, or for which it promises
/// something. `promised` is what the split was given. A promise breaks where
///
/// - cells or rows outside of every `where` of the change for the measure moved;
/// - cells moved against the direction, beyond the tolerance;
/// - Σφ over |Σ legacy| of a customer with moved cells, both over the rows inside the `where`, lies out of bounds;
/// - nothing moved although rows lie inside the `where`, once the month is `closed`.
pub fn bridge(
    report: &SplitReport,
    promised: &[(Promised, &Expectation)],
    changes: &[InForce<'_>],
    closed: bool,
) -> Vec<BridgeEntry> {
    let status: BTreeMap<&ChangeId, ReviewStatus> =
        changes.iter().map(|c| (&c.change.id, c.status)).collect();
    report
        .effects
        .iter()
        .filter(|effect| effect.cells > 0 || effect.rows > 0 || !effect.promises.is_empty())
        .map(|effect| {
            let (promise, broken) = judge(effect, promised, closed);
            let legacy = report.columns.iter().find(|c| c.column == effect.column);
            BridgeEntry {
                change: effect.change.to_string(),
                column: effect.column.clone(),
                relative: legacy.and_then(|c| relative(effect.effect.to_f64(), c.legacy_total.to_f64())),
                effect: effect.effect.clone(),
                standard_error: effect.standard_error.map(Figure::from_f64),
                cells: effect.cells,
                rows: effect.rows,
                eligible_rows: effect.promises.iter().map(|p| p.eligible_rows).sum(),
                approved: status.get(&effect.change) == Some(&ReviewStatus::Approved),
                promise,
                broken,
            }
        })
        .collect()
}

fn expectations<'a>(pipeline: &PipelineId, change: &'a Change) -> impl Iterator<Item = &'a Expectation> {
    change.expectations.iter().filter(move |e| e.pipelines.contains(pipeline))
}

fn relative(effect: f64, legacy: f64) -> Option<f64> {
    (legacy != 0.0).then(|| effect / legacy.abs()).filter(|r| r.is_finite())
}

fn judge(
    effect: &ChangeEffect,
    promised: &[(Promised, &Expectation)],
    closed: bool,
) -> (Promise, Vec<String>) {
    let promises: Vec<(&PromiseEffect, &Expectation)> =
        effect.promises.iter().filter_map(|p| promised.get(p.promise).map(|(_, e)| (p, *e))).collect();
    if promises.is_empty() {
        return (Promise::None, Vec::new());
    }
    let mut broken: Vec<String> = outside(effect, &promises).into_iter().collect();
    let mut waiting = false;
    for (part, expectation) in &promises {
        broken.extend(direction(part, expectation));
        broken.extend(bounds(part, expectation));
        match idle(part, expectation) {
            Some(sentence) if closed && part.eligible_rows > 0 => broken.push(sentence),
            Some(_) => waiting = true,
            None => {}
        }
    }
    let promise = match (broken.is_empty(), waiting) {
        (false, _) => Promise::Broken,
        (true, true) => Promise::NotYetKnown,
        (true, false) => Promise::Kept,
    };
    (promise, broken)
}

fn outside(effect: &ChangeEffect, promises: &[(&PromiseEffect, &Expectation)]) -> Option<String> {
    if effect.cells_outside == 0 && effect.rows_outside == 0 {
        return None;
    }
    let conditions: Vec<&str> = promises.iter().map(|(_, e)| e.condition.trim()).collect();
    let mut what = Vec::new();
    if effect.cells_outside > 0 {
        what.push(format!("moved {}", number(effect.cells_outside, "cell", "cells")));
    }
    if effect.rows_outside > 0 {
        what.push(format!("brought or removed {}", number(effect.rows_outside, "row", "rows")));
    }
    Some(format!("{} of {} outside of {}", what.join(" and "), effect.column, conditions.join(" or ")))
}

fn direction(part: &PromiseEffect, expectation: &Expectation) -> Option<String> {
    let measure = &expectation.measure;
    let (wrong, moved) = match expectation.direction {
        Direction::Increase => (part.negative_cells, "moved down"),
        Direction::Decrease => (part.positive_cells, "moved up"),
        Direction::Either => (0, ""),
        Direction::None => {
            let cells = number(part.cells, "cell", "cells");
            return (part.cells > 0).then(|| format!("{cells} of {measure} moved, none should"));
        }
    };
    let should = if expectation.direction == Direction::Increase { "an increase" } else { "a decrease" };
    (wrong > 0).then(|| {
        format!(
            "{} of {} of {measure} {moved}, {should} was promised",
            wrong,
            number(part.cells, "cell", "cells")
        )
    })
}

/// Customers are counted, their figures are not shown: the sentence goes to logs and notifications.
fn bounds(part: &PromiseEffect, expectation: &Expectation) -> Option<String> {
    let Bounds { min, max } = expectation.relative?;
    let moved: Vec<&CustomerEffect> = part.customers.values().filter(|c| c.moved > 0).collect();
    // Nothing on the legacy side: any effect is beyond every bound.
    let share =
        |c: &CustomerEffect| relative(c.effect, c.legacy_total).unwrap_or(f64::INFINITY.copysign(c.effect));
    let slack = |bound: f64| 1e-9 * bound.abs();
    let below = moved.iter().filter(|c| share(c) < min - slack(min)).count();
    let above = moved.iter().filter(|c| share(c) > max + slack(max)).count();
    let side = match (below, above) {
        (0, 0) => return None,
        (below, 0) => format!("{below} below"),
        (0, above) => format!("{above} above"),
        (below, above) => format!("{below} below, {above} above"),
    };
    let customers = counted(moved.len(), "customer", "customers");
    Some(format!(
        "{} outside of {} to {} for {} of {customers} ({side})",
        expectation.measure,
        percent(min),
        percent(max),
        below + above
    ))
}

/// What is said where nothing moved at all; a promise that nothing moves is kept by that.
fn idle(part: &PromiseEffect, expectation: &Expectation) -> Option<String> {
    let still = part.cells == 0 && part.rows == 0 && expectation.direction != Direction::None;
    let rows = if part.eligible_rows == 1 { "row lies" } else { "rows lie" };
    still.then(|| {
        format!(
            "moved no cell of {} in a closed month, though {} {rows} inside of {}",
            expectation.measure,
            part.eligible_rows,
            expectation.condition.trim()
        )
    })
}

fn number(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

fn percent(share: f64) -> String {
    let rounded = (share * 1e4).round() / 1e2;
    if rounded < 0.0 { format!("−{} %", -rounded) } else { format!("{rounded} %") }
}

#[cfg(test)]
mod tests;
