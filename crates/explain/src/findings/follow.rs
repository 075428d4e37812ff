//! Columns that move with another one: derived figures inherit the bug of the figure they are made of.

use std::collections::HashMap;

use super::{FIT, LEAST, Named, Searched, gross, merge, search};
use crate::signatures::{Facts, Group, UNKNOWN};

/// Renames what is said of columns whose ratio of new to legacy is, row by row, that of another column: they have its
/// cause. The column that is named best, and among those the one with the most rows and the shortest figures, leads.
/// Nothing changes where both say the same already.
pub(super) fn link(columns: &mut [Searched<'_>], facts: &Facts<'_>) {
    let mut order: Vec<usize> =
        (0..columns.len()).filter(|i| columns[*i].group.pairs().count() >= LEAST).collect();
    order.sort_by(|a, b| rank(&columns[*b]).cmp(&rank(&columns[*a])).then_with(|| a.cmp(b)));
    let mut followers = vec![false; columns.len()];
    for (position, lead) in order.iter().enumerate() {
        if followers[*lead] {
            continue;
        }
        for other in &order[position + 1..] {
            if followers[*other] {
                continue;
            }
            if let Some(named) = follow(&columns[*lead], &columns[*other], facts) {
                columns[*other].named = named;
                followers[*other] = true;
            }
        }
    }
}

/// Whether the column is named, its rows, and how short its figures are.
fn rank(column: &Searched<'_>) -> (u8, usize, std::cmp::Reverse<usize>) {
    let named =
        column.named.iter().filter(|n| n.signature != UNKNOWN).map(|n| gross(column.group.cells, &n.rows));
    let share = named.sum::<f64>() / gross(column.group.cells, &column.group.rows).max(f64::MIN_POSITIVE);
    // Tenths: which of two nearly equal shares is larger says nothing.
    let tenths = (share * 10.0).round().clamp(0.0, 10.0) as u8;
    let figures: Vec<usize> =
        column.group.pairs().take(100).map(|(_, l, n)| l.to_string().len() + n.to_string().len()).collect();
    let length = figures.iter().sum::<usize>() * 10 / figures.len().max(1);
    (tenths, column.group.rows.len(), std::cmp::Reverse(length))
}

/// What the cells of `column` are named where they move with `lead`.
fn follow(lead: &Searched<'_>, column: &Searched<'_>, facts: &Facts<'_>) -> Option<Vec<Named>> {
    let name = lead.group.column;
    let cells = &column.group.cells.cells;
    let leading: HashMap<&[Option<String>], (usize, f64, f64)> =
        lead.group.pairs().map(|(row, l, n)| (cells[row].key.as_slice(), (row, l, n))).collect();
    let named_by: HashMap<usize, &Named> =
        lead.named.iter().flat_map(|named| named.rows.iter().map(move |row| (*row, named))).collect();
    let mut moved: Vec<(usize, &Named, f64)> = Vec::new();
    for (row, legacy, new) in column.group.pairs().filter(|(_, legacy, _)| *legacy != 0.0) {
        let Some((at, l, n)) = leading.get(cells[row].key.as_slice()).filter(|(_, l, _)| *l != 0.0) else {
            continue;
        };
        let ratio = n / l;
        let noise = 1e-9 * new.abs().max(legacy.abs());
        // The tolerance of the column counts only as far as it is small beside the difference.
        let near = noise.max(facts.slack(column.group.column, legacy, new)).min(1e-2 * (new - legacy).abs());
        let exact = || {
            let allowed = facts.allowed(column.group.column, legacy, new);
            let units = cells[row].units().zip(cells[*at].units());
            units.is_none_or(|(own, leading)| own.has_ratio_of(leading, allowed))
        };
        if (new - ratio * legacy).abs() <= near && exact() {
            moved.push((row, *named_by.get(at)?, ratio));
        }
    }
    let fits = moved.len() >= LEAST && moved.len() as f64 >= FIT * column.group.rows.len() as f64;
    if !fits || !tells(&moved, &column.named) {
        return None;
    }
    let mut found: Vec<Named> = Vec::new();
    for (row, of, _) in &moved {
        let detail = if of.signature == UNKNOWN {
            format!("moves with {name}, by the same ratio in each row")
        } else {
            format!("moves with {name}, by the same ratio in each row ({}: {})", of.signature, of.detail)
        };
        merge(&mut found, Named { signature: of.signature, detail, rows: vec![*row] });
    }
    let rest: Vec<usize> = column
        .group
        .rows
        .iter()
        .filter(|row| moved.binary_search_by_key(row, |(r, ..)| r).is_err())
        .copied()
        .collect();
    if !rest.is_empty() {
        for named in search(&Group { rows: rest, ..column.group.clone() }, facts) {
            merge(&mut found, named);
        }
    }
    Some(found)
}

/// One ratio on all rows would be shared by columns that have nothing else in common, and what is said of both in the
/// same words needs no link.
fn tells(moved: &[(usize, &Named, f64)], own: &[Named]) -> bool {
    let same = |named: &Named| {
        moved.iter().all(|(_, of, _)| of.signature == named.signature && of.detail == named.detail)
    };
    if let [one] = own
        && one.signature != UNKNOWN
        && same(one)
    {
        return false;
    }
    let first = moved.first().map_or(1.0, |(.., ratio)| *ratio);
    moved.iter().any(|(.., ratio)| (ratio - first).abs() > 1e-6 * first.abs())
}

#[cfg(test)]
mod tests {
    use crate::{
        cells::Cells,
        context::Context,
        findings,
        signatures::testing::{cell, decimals, empty},
    };

    /// `gb` as given, `kwh` = 0.392 × `gb`, with `off` on the new figure of one row.
    fn cells(pairs: &[(f64, f64)], off: f64) -> Cells {
        let mut cells = empty();
        for (i, (legacy, new)) in pairs.iter().enumerate() {
            let key = [format!("c{i}"), "2025-03-01".to_owned()];
            let extra = if i == 0 { off } else { 0.0 };
            cells.cells.push(cell("gb", [&key[0], "FR", &key[1]], Some(*legacy), Some(*new)));
            let derived = (Some(legacy * 0.392), Some(new * 0.392 + extra));
            cells.cells.push(cell("kwh", [&key[0], "FR", &key[1]], derived.0, derived.1));
        }
        cells.total = cells.cells.len() as u64;
        cells
    }

    fn said(cells: &Cells, column: &str) -> Vec<(String, String)> {
        let found = findings(cells, &Context::default());
        found
            .into_iter()
            .filter(|f| f.column == column)
            .map(|f| (f.signature.to_string(), f.detail))
            .collect()
    }

    const CUT: [(f64, f64); 5] = [(1.9, 1.0), (7.2, 7.0), (3.6, 3.0), (9.3, 9.0), (4.8, 4.0)];

    #[test]
    fn a_derived_column_has_the_signature_of_its_source() {
        assert_eq!(
            said(&cells(&CUT, 0.0), "kwh"),
            [(
                "truncation".to_owned(),
                "moves with gb, by the same ratio in each row (truncation: new is cut at 1)".to_owned()
            )]
        );
    }

    #[test]
    fn a_column_that_moves_otherwise_stays_alone() {
        let found = said(&cells(&CUT, 0.4), "kwh");
        assert!(found.iter().all(|(_, detail)| !detail.contains("moves with")), "{found:?}");
    }

    #[test]
    fn figures_with_a_last_digit_move_alike_to_that_digit() {
        let pairs = [(3, 10), (7, 5), (5, 9), (11, 2), (9, 31)];
        let cells = |off: i128| {
            let large = 10_i128.pow(20);
            let of = |factor: i128, off: i128| {
                decimals(&pairs.map(|(legacy, new)| (legacy * factor * large, new * factor * large + off)), 2)
            };
            let (mut cells, mut derived) = (of(1, 0), of(2, off));
            derived.cells.iter_mut().for_each(|cell| cell.column = "kg".into());
            cells.cells.append(&mut derived.cells);
            cells
        };
        let moves = |off| {
            let all = cells(off);
            ["kg", "kwh"]
                .iter()
                .any(|c| said(&all, c).iter().any(|(_, detail)| detail.contains("moves with")))
        };
        assert!(moves(0) && !moves(1));
    }

    #[test]
    fn a_link_is_said_even_where_neither_is_named() {
        let pairs = [(10.0, 10.1), (20.0, 19.3), (7.0, 7.31), (9.0, 8.7)];
        assert_eq!(
            said(&cells(&pairs, 0.0), "kwh"),
            [("unknown".to_owned(), "moves with gb, by the same ratio in each row".to_owned())]
        );
    }

    #[test]
    fn the_same_words_need_no_link() {
        let pairs = CUT.map(|(legacy, _)| (legacy, legacy * 1.37));
        assert_eq!(
            said(&cells(&pairs, 0.0), "kwh"),
            [("constant_ratio".to_owned(), "new = 1.37 × legacy".to_owned())]
        );
    }
}
