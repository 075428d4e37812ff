//! Lines that one side does not add up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Detector, Facts, Group, Match};
use crate::cells::{CellKind, UnexplainedCell};

/// A column that counts what is added up is lower in every row. Where an amount of the same rows is higher all the
/// same, what is missing sums to a negative amount.
pub(super) struct MissingLines;

/// At least this share of the rows fits.
const FIT: f64 = 0.95;

/// Fewer rows are no pattern.
const LEAST: usize = 3;

impl Detector for MissingLines {
    fn name(&self) -> &'static str {
        "missing_lines"
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        if group.pairs().all(|(_, legacy, new)| whole(legacy) && whole(new)) {
            counts(group, facts)
        } else {
            amounts(group, facts)
        }
    }
}

/// The column itself is a count.
fn counts(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let matched = group.matching(|legacy, new| new >= 0.0 && new < legacy);
    if matched.len() < LEAST || (matched.len() as f64) < FIT * group.rows.len() as f64 {
        return None;
    }
    let lost = |row: &usize| group.cells.cells.get(*row).and_then(UnexplainedCell::pair).map(|(l, n)| l - n);
    let most = matched.iter().filter_map(lost).fold(0.0, f64::max);
    // Amounts that rise while the count falls.
    let mut risen: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &matched {
        for (other, (legacy, new)) in beside(group, facts, *row) {
            if !(whole(legacy) && whole(new)) {
                let seen = risen.entry(&other.column).or_default();
                seen.0 += usize::from(new > legacy);
                seen.1 += 1;
            }
        }
    }
    let credits = risen.into_iter().find(|(_, (up, all))| *up >= LEAST && *up as f64 >= FIT * *all as f64);
    let more = credits.map_or_else(String::new, |(column, (up, _))| {
        format!("; {column} is higher in {up} of these rows: what is missing there sums to a negative amount, as credits do")
    });
    let column = group.column;
    Match::some(format!("new counts up to {most} {column} fewer in each of these rows{more}"), matched)
}

/// The column is an amount; a count of the same row falls.
fn amounts(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let counts = count_columns(group);
    if counts.is_empty() {
        return None;
    }
    let mut by_count: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (row, legacy, new) in group.pairs() {
        for (other, (before, after)) in beside(group, facts, row) {
            if counts.contains(other.column.as_str()) && after >= 0.0 && after < before {
                let seen = by_count.entry(&other.column).or_default();
                if new > legacy { seen.0.push(row) } else { seen.1.push(row) }
            }
        }
    }
    let (count, (up, down)) = by_count.into_iter().reduce(|best, next| {
        let size = |of: &(&str, (Vec<usize>, Vec<usize>))| of.1.0.len().max(of.1.1.len());
        if size(&next) > size(&best) { next } else { best }
    })?;
    let enough = |rows: &[usize]| rows.len() >= LEAST && rows.len() as f64 >= FIT * group.rows.len() as f64;
    if enough(&up) {
        let detail = format!(
            "new is higher although it counts fewer {count}: what is missing sums to a negative amount, as credits do"
        );
        Match::some(detail, up)
    } else if enough(&down) {
        Match::some(format!("new is lower where it counts fewer {count}"), down)
    } else {
        None
    }
}

/// The other measures of the same row, with w(all) and v(∅).
fn beside<'a>(
    group: &'a Group<'_>,
    facts: &'a Facts<'_>,
    row: usize,
) -> impl Iterator<Item = (&'a UnexplainedCell, (f64, f64))> + 'a {
    let cell = group.cells.cells.get(row);
    let same = cell.and_then(|cell| facts.by_key.get(cell.key.as_slice())).into_iter().flatten();
    same.filter_map(|other| group.cells.cells.get(*other))
        .filter(|other| other.kind == CellKind::Measure && other.column != group.column)
        .filter_map(|other| Some((other, other.pair()?)))
}

/// The measures of which all unexplained figures are counts.
fn count_columns<'a>(group: &Group<'a>) -> BTreeSet<&'a str> {
    // Columns are few and cells many, so that a list is searched.
    let mut columns: Vec<(&str, bool)> = Vec::new();
    for cell in group.cells.cells.iter().filter(|cell| cell.kind == CellKind::Measure) {
        let counts = || cell.pair().is_none_or(|(legacy, new)| whole(legacy) && whole(new));
        match columns.iter_mut().find(|(name, _)| *name == cell.column) {
            Some((_, known)) => *known = *known && counts(),
            None => columns.push((&cell.column, counts())),
        }
    }
    columns.into_iter().filter(|(_, counts)| *counts).map(|(name, _)| name).collect()
}

fn whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() < 9e15
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{cells::Cells, context::Context};

    fn cells(rows: &[(f64, f64, f64, f64)]) -> Cells {
        let mut cells = empty();
        for (i, (lines, fewer, amount, other)) in rows.iter().enumerate() {
            let key = [format!("c{i}"), "2025-01".to_owned()];
            cells.cells.push(cell("lines", [&key[0], "FR", &key[1]], Some(*lines), Some(*fewer)));
            cells.cells.push(cell("amount", [&key[0], "FR", &key[1]], Some(*amount), Some(*other)));
        }
        cells
    }

    fn said(cells: &Cells, column: &str) -> Option<String> {
        let rows = (0..cells.cells.len()).filter(|i| cells.cells[*i].column == column).collect();
        let context = Context::default();
        MissingLines.detect(&Group { cells, column, rows }, &Facts::new(cells, &context)).map(|m| m.detail)
    }

    const CREDITS: [(f64, f64, f64, f64); 3] =
        [(33.0, 31.0, 4235.5, 4292.2), (28.0, 27.0, 3042.2, 3116.9), (6.0, 5.0, 741.3, 759.7)];

    #[test]
    fn fewer_lines_with_a_higher_amount_lack_credits() {
        let cells = cells(&CREDITS);
        assert_eq!(
            said(&cells, "lines").as_deref(),
            Some(
                "new counts up to 2 lines fewer in each of these rows; amount is higher in 3 of these rows: what is \
                 missing there sums to a negative amount, as credits do"
            )
        );
        assert_eq!(
            said(&cells, "amount").as_deref(),
            Some(
                "new is higher although it counts fewer lines: what is missing sums to a negative amount, as credits do"
            )
        );
    }

    #[test]
    fn lower_amounts_are_said_without_credits_and_mixed_counts_are_nothing() {
        let lower = cells(&CREDITS.map(|(lines, fewer, amount, _)| (lines, fewer, amount, amount - 7.1)));
        assert_eq!(
            said(&lower, "lines").as_deref(),
            Some("new counts up to 2 lines fewer in each of these rows")
        );
        assert_eq!(said(&lower, "amount").as_deref(), Some("new is lower where it counts fewer lines"));
        let mut mixed = CREDITS;
        mixed[1].1 = 30.0;
        assert_eq!((said(&cells(&mixed), "lines"), said(&cells(&mixed), "amount")), (None, None));
        assert_eq!(said(&cells(&CREDITS[..2]), "lines"), None);
        // Figures with digits after the point count nothing.
        let shares = CREDITS.map(|(lines, fewer, amount, other)| (lines + 0.5, fewer, amount, other));
        assert_eq!((said(&cells(&shares), "lines"), said(&cells(&shares), "amount")), (None, None));
    }
}
