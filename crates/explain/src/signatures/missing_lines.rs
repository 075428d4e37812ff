//! Lines that one side does not add up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Detector, Facts, Group, Match};
use crate::cells::{CellKind, UnexplainedCell};

/// A column that counts what is added up is lower in every row, and an amount of the same rows moves as well. Where it
/// is higher, what is missing sums to a negative amount, as credits do: that is for the reader to say, the figures do
/// not show what a column counts.
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

/// The column itself is a count. Prices and years are whole numbers too: what tells a count of what is added up is an
/// amount of the same rows that moves as well, and not by the same ratio.
fn counts(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let matched = group.matching(|legacy, new| new >= 0.0 && new < legacy);
    if matched.len() < LEAST || (matched.len() as f64) < FIT * group.rows.len() as f64 {
        return None;
    }
    let mut most = 0.0f64;
    let mut amounts: BTreeMap<&str, Beside> = BTreeMap::new();
    for row in &matched {
        let Some(count) = group.cells.cells.get(*row).and_then(UnexplainedCell::pair) else { continue };
        most = most.max(count.0 - count.1);
        for (other, amount) in beside(group, facts, *row) {
            if !(whole(amount.0) && whole(amount.1)) {
                amounts.entry(&other.column).or_default().add(count, amount);
            }
        }
    }
    amounts.retain(|_, seen| seen.all >= LEAST && !seen.in_step);
    if amounts.is_empty() {
        return None;
    }
    let risen =
        amounts.into_iter().find(|(_, seen)| seen.up >= LEAST && seen.up as f64 >= FIT * seen.all as f64);
    let more = risen.map_or_else(String::new, |(column, seen)| {
        format!("; {column} is higher in {} of these rows", seen.up)
    });
    Match::some(format!("new is lower in each of these rows, by whole numbers up to {most}{more}"), matched)
}

/// What an amount does where a count of the same row falls.
struct Beside {
    up: usize,
    all: usize,
    /// It moves by the ratio of the count throughout.
    in_step: bool,
}

impl Default for Beside {
    fn default() -> Self {
        Self { up: 0, all: 0, in_step: true }
    }
}

impl Beside {
    fn add(&mut self, count: (f64, f64), amount: (f64, f64)) {
        self.up += usize::from(amount.1 > amount.0);
        self.all += 1;
        let expected = amount.0 * count.1 / count.0;
        self.in_step &= (amount.1 - expected).abs() <= 1e-6 * expected.abs();
    }
}

/// The column is an amount; a count of the same row falls.
fn amounts(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let counts = count_columns(group);
    if counts.is_empty() {
        return None;
    }
    let mut by_count: BTreeMap<&str, (Vec<usize>, Vec<usize>, Beside)> = BTreeMap::new();
    for (row, legacy, new) in group.pairs() {
        for (other, (before, after)) in beside(group, facts, row) {
            if counts.contains(other.column.as_str()) && after >= 0.0 && after < before {
                let (up, down, seen) = by_count.entry(&other.column).or_default();
                if new > legacy {
                    up.push(row)
                } else {
                    down.push(row)
                }
                seen.add((before, after), (legacy, new));
            }
        }
    }
    by_count.retain(|_, (.., seen)| !seen.in_step);
    let (count, (up, down, _)) = by_count.into_iter().reduce(|best, next| {
        let size = |of: &(&str, (Vec<usize>, Vec<usize>, Beside))| of.1.0.len().max(of.1.1.len());
        if size(&next) > size(&best) { next } else { best }
    })?;
    let enough = |rows: &[usize]| rows.len() >= LEAST && rows.len() as f64 >= FIT * group.rows.len() as f64;
    if enough(&up) {
        Match::some(format!("new is higher where {count} is lower by a whole number"), up)
    } else if enough(&down) {
        Match::some(format!("new is lower where {count} is lower by a whole number"), down)
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
    fn fewer_lines_with_a_higher_amount_are_said() {
        let cells = cells(&CREDITS);
        assert_eq!(
            said(&cells, "lines").as_deref(),
            Some(
                "new is lower in each of these rows, by whole numbers up to 2; amount is higher in 3 of these rows"
            )
        );
        assert_eq!(
            said(&cells, "amount").as_deref(),
            Some("new is higher where lines is lower by a whole number")
        );
    }

    #[test]
    fn whole_numbers_without_an_amount_that_moves_otherwise_are_no_counts() {
        let years = kwh(&[(2001.0, 2000.0), (2005.0, 2003.0), (2010.0, 2009.0)]);
        assert_eq!(said(&years, "kwh"), None);
        // A price, and what it makes of quantities.
        let prices = cells(&[(10.0, 9.0, 25.5, 22.95), (20.0, 15.0, 10.2, 7.65), (8.0, 6.0, 4.4, 3.3)]);
        assert_eq!((said(&prices, "lines"), said(&prices, "amount")), (None, None));
    }

    #[test]
    fn lower_amounts_and_mixed_counts() {
        let lower = cells(&CREDITS.map(|(lines, fewer, amount, _)| (lines, fewer, amount, amount - 7.1)));
        assert_eq!(
            said(&lower, "lines").as_deref(),
            Some("new is lower in each of these rows, by whole numbers up to 2")
        );
        assert_eq!(
            said(&lower, "amount").as_deref(),
            Some("new is lower where lines is lower by a whole number")
        );
        let mut mixed = CREDITS;
        mixed[1].1 = 30.0;
        assert_eq!((said(&cells(&mixed), "lines"), said(&cells(&mixed), "amount")), (None, None));
        assert_eq!(said(&cells(&CREDITS[..2]), "lines"), None);
        // Figures with digits after the point count nothing.
        let shares = CREDITS.map(|(lines, fewer, amount, other)| (lines + 0.5, fewer, amount, other));
        assert_eq!((said(&cells(&shares), "lines"), said(&cells(&shares), "amount")), (None, None));
    }
}
