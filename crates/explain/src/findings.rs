//! Findings: unexplained cells put together by column, signature and segment.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::datatypes::i256;
use dualrun_compare::exact_sum::ExactSum;
use dualrun_core::run::{Finding, FindingSample, figures::Figure};

use self::follow::link;
use crate::{
    cells::{CellKind, Cells, exact::to_text},
    context::Context,
    identity::short_id,
    segment,
    signatures::{ALL, Detector, Facts, Group, UNKNOWN, unknown},
};

/// A signature names a group when at least this share of its cells fit.
const FIT: f64 = 0.95;

/// A pattern that is not narrow needs this many cells to name a part of a column.
const LEAST: usize = 3;

/// A narrow pattern among other cells is named from this share of them on.
const PART: f64 = 0.05;

/// A large group is tried on about this many of its cells first.
const SAMPLE: usize = 500;

/// The share of a sample below which the whole group cannot fit: far below [`FIT`], so that chance decides nothing.
const SAMPLE_FIT: f64 = 0.85;

/// How often what is left of a column is looked at again.
const ROUNDS: usize = 8;

/// Cells with one signature, before they are counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) signature: &'static str,
    pub(crate) detail: String,
    pub(crate) rows: Vec<usize>,
}

/// A column and what its cells are named.
#[derive(Debug)]
pub(crate) struct Searched<'a> {
    pub(crate) group: Group<'a>,
    /// Σ|U| of the column, with the rows on one side only.
    pub(crate) whole: f64,
    pub(crate) named: Vec<Named>,
}

/// Names the unexplained cells, the finding with the largest share first. Every cell is part of exactly one
/// finding; what no detector fits is `unknown`. The figures of a row on one side only are left to the finding of
/// the row's presence.
pub fn findings(cells: &Cells, context: &Context) -> Vec<Finding> {
    let facts = Facts::new(cells, context);
    let mut columns: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, cell) in cells.cells.iter().enumerate() {
        columns.entry(&cell.column).or_default().push(row);
    }
    // The figures of a row that one side lacks differ because of that: the finding of the row speaks for them.
    let one_sided: HashSet<&[Option<String>]> = cells
        .cells
        .iter()
        .filter(|cell| matches!(cell.kind, CellKind::OnlyLegacy | CellKind::OnlyNew))
        .map(|cell| cell.key.as_slice())
        .collect();
    let mut groups = Vec::new();
    for (column, mut rows) in columns {
        let whole = gross(cells, &rows);
        rows.retain(|row| {
            let cell = &cells.cells[*row];
            cell.kind != CellKind::Measure || !one_sided.contains(cell.key.as_slice())
        });
        let group = Group { cells, column, rows };
        let named = search(&group, &facts);
        groups.push(Searched { group, whole, named });
    }
    link(&mut groups, &facts);
    let mut findings = Vec::new();
    let mut ids = BTreeSet::new();
    for Searched { group, whole, named } in groups {
        for named in named {
            findings.push(finding(&group, context, named, whole, &mut ids));
        }
    }
    findings.sort_by(|a, b| {
        b.share_of_unexplained
            .total_cmp(&a.share_of_unexplained)
            .then_with(|| b.rows.cmp(&a.rows))
            .then_with(|| (&a.column, &a.signature, &a.segment).cmp(&(&b.column, &b.signature, &b.segment)))
    });
    findings
}

/// The signatures of one column: of all its cells, else of the segments in which cells are alike, else of the part
/// that a narrow pattern fits; then the same for what is left.
pub(crate) fn search(group: &Group<'_>, facts: &Facts<'_>) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut left = group.clone();
    for _ in 0..ROUNDS {
        if left.rows.is_empty() {
            break;
        }
        let round = match whole(&left, facts, 1) {
            Some(named) => vec![named],
            // Rows of both sides stand beside each other: what tells of rows looks at one side.
            None if left
                .iter()
                .any(|(_, cell)| matches!(cell.kind, CellKind::OnlyLegacy | CellKind::OnlyNew)) =>
            {
                part(&left, facts).map(|p| vec![p]).or_else(|| by_segments(&left, facts)).unwrap_or_default()
            }
            None => {
                by_segments(&left, facts).or_else(|| part(&left, facts).map(|p| vec![p])).unwrap_or_default()
            }
        };
        if round.is_empty() {
            break;
        }
        let taken: HashSet<usize> = round.iter().flat_map(|named| named.rows.iter().copied()).collect();
        left.rows.retain(|row| !taken.contains(row));
        for named in round {
            merge(&mut found, named);
        }
    }
    if !left.rows.is_empty() {
        let detail = unknown::describe(&left, facts);
        found.push(Named { signature: UNKNOWN, detail, rows: left.rows });
    }
    found
}

/// The first detector that fits nearly all cells. One that is not narrow needs `least` of them.
fn whole(group: &Group<'_>, facts: &Facts<'_>, least: usize) -> Option<Named> {
    let enough = (FIT * group.rows.len() as f64).ceil() as usize;
    let sample = sample(group);
    ALL.iter()
        .filter(|d| d.narrow() || group.rows.len() >= least)
        .filter(|d| match &sample {
            Some(sample) if d.local() => d
                .detect(sample, facts)
                .is_some_and(|found| found.matched.len() as f64 >= SAMPLE_FIT * sample.rows.len() as f64),
            _ => true,
        })
        .find_map(|d| named(*d, group, facts).filter(|named| named.rows.len() >= enough))
}

/// Evenly spaced cells of a large group.
fn sample<'a>(group: &Group<'a>) -> Option<Group<'a>> {
    let step = group.rows.len() / SAMPLE;
    (step > 1).then(|| Group { rows: group.rows.iter().step_by(step).copied().collect(), ..group.clone() })
}

/// The key column by whose values most cells find a signature.
fn by_segments(group: &Group<'_>, facts: &Facts<'_>) -> Option<Vec<Named>> {
    let mut best: Option<(usize, Vec<Named>)> = None;
    for axis in segment::candidates(group.cells, facts.context) {
        let values = segment::by_value(group.cells, facts.context, &group.rows, axis);
        if !(2..=segment::CARDINALITY).contains(&values.len()) {
            continue;
        }
        let mut found = Vec::new();
        for rows in values.into_values() {
            let part = Group { rows, ..group.clone() };
            if let Some(named) = whole(&part, facts, LEAST) {
                merge(&mut found, named);
            }
        }
        let explained: usize = found.iter().map(|named| named.rows.len()).sum();
        if explained > best.as_ref().map_or(0, |(most, _)| *most) {
            best = Some((explained, found));
        }
    }
    best.map(|(_, found)| found)
}

/// The first narrow pattern that fits a part of the cells.
fn part(group: &Group<'_>, facts: &Facts<'_>) -> Option<Named> {
    let enough = LEAST.max((PART * group.rows.len() as f64).ceil() as usize);
    let sample = sample(group);
    ALL.iter()
        .filter(|detector| detector.narrow())
        .filter(|d| sample.as_ref().is_none_or(|sample| !d.local() || d.detect(sample, facts).is_some()))
        .find_map(|detector| named(*detector, group, facts).filter(|named| named.rows.len() >= enough))
}

fn named(detector: &dyn Detector, group: &Group<'_>, facts: &Facts<'_>) -> Option<Named> {
    let found = detector.detect(group, facts)?;
    Some(Named { signature: detector.name(), detail: found.detail, rows: found.matched })
}

/// Segments with the same signature and detail are one finding.
pub(crate) fn merge(found: &mut Vec<Named>, named: Named) {
    match found.iter_mut().find(|f| f.signature == named.signature && f.detail == named.detail) {
        Some(same) => {
            same.rows.extend(named.rows);
            same.rows.sort_unstable();
        }
        None => found.push(named),
    }
}

fn finding(
    group: &Group<'_>,
    context: &Context,
    named: Named,
    whole: f64,
    ids: &mut BTreeSet<String>,
) -> Finding {
    let segment = segment::describe(group.cells, context, &group.rows, &named.rows);
    let cells = || named.rows.iter().filter_map(|row| group.cells.cells.get(*row));
    let rows: HashSet<_> = cells().map(|cell| &cell.key).collect();
    let customers: HashSet<_> = cells().map(|cell| &cell.customer).collect();
    let measure = cells().any(|cell| cell.kind == CellKind::Measure);
    let gross = gross(group.cells, &named.rows);
    let share = if whole > 0.0 { gross / whole } else { named.rows.len() as f64 / group.rows.len() as f64 };
    let mut id = short_id(&[&context.pipeline, group.column, named.signature, &segment]);
    if !ids.insert(id.clone()) {
        // The same signature twice in one segment: only the detail tells them apart.
        id = short_id(&[&context.pipeline, group.column, named.signature, &segment, &named.detail]);
        ids.insert(id.clone());
    }
    Finding {
        id,
        signature: named.signature.into(),
        detail: named.detail,
        segment,
        column: group.column.into(),
        rows: rows.len() as u64,
        customers: if group.cells.customer.is_some() { customers.len() as u64 } else { 0 },
        sample: group
            .cells
            .truncated()
            .then_some(FindingSample { cells: group.cells.cells.len() as u64, of: group.cells.total }),
        share_of_unexplained: share,
        gross: measure
            .then(|| exact_gross(group.cells, &named.rows).unwrap_or_else(|| Figure::from_f64(gross))),
    }
}

/// Σ|U| of integers and decimals to the last digit; `None` for other figures.
fn exact_gross(cells: &Cells, rows: &[usize]) -> Option<Figure> {
    let cells =
        || rows.iter().filter_map(|row| cells.cells.get(*row)).filter(|c| c.kind == CellKind::Measure);
    let scale = cells().next()?.exact?.scale;
    let sum = cells().try_fold(i256::ZERO, |sum, cell| {
        let exact = cell.exact.filter(|exact| exact.scale == scale)?;
        sum.checked_add(exact.difference()?.checked_abs()?)
    })?;
    Some(Figure(to_text(sum, scale)))
}

/// Σ|U|.
pub(crate) fn gross(cells: &Cells, rows: &[usize]) -> f64 {
    let mut sum = ExactSum::default();
    for cell in rows.iter().filter_map(|row| cells.cells.get(*row)) {
        sum.add(cell.unexplained().abs());
    }
    sum.value()
}

mod follow;

#[cfg(test)]
mod tests;
