//! Two columns that changed places.

use std::collections::BTreeMap;

use super::{Detector, Facts, Group, Match};
use crate::cells::UnexplainedCell;

/// The new figure of one column is the legacy figure of another one of the same row, and the other way round.
pub(super) struct SwappedColumns;

impl Detector for SwappedColumns {
    fn name(&self) -> &'static str {
        "swapped_columns"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let mut by_partner: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, cell) in group.iter() {
            let same_row = facts.by_key.get(cell.key.as_slice()).into_iter().flatten();
            let others = same_row.filter_map(|other| group.cells.cells.get(*other));
            for other in others.filter(|o| o.column != cell.column && swapped(cell, o, facts)) {
                by_partner.entry(&other.column).or_default().push(row);
            }
        }
        let (partner, matched) = by_partner
            .into_iter()
            .reduce(|best, next| if next.1.len() > best.1.len() { next } else { best })?;
        let column = group.column;
        Match::some(format!("{column} holds {partner}, {partner} holds {column}"), matched)
    }
}

fn swapped(a: &UnexplainedCell, b: &UnexplainedCell, facts: &Facts<'_>) -> bool {
    match (a.pair(), b.pair()) {
        (Some((a_legacy, a_new)), Some((b_legacy, b_new))) => {
            (a_new - b_legacy).abs() <= facts.slack(&a.column, a_legacy, a_new)
                && (b_new - a_legacy).abs() <= facts.slack(&b.column, b_legacy, b_new)
                && a.units().zip(b.units()).is_none_or(|(a_units, b_units)| {
                    a_units.is_swapped(
                        b_units,
                        facts.allowed(&a.column, a_legacy, a_new),
                        facts.allowed(&b.column, b_legacy, b_new),
                    )
                })
        }
        _ => match (&a.legacy_text, &a.new_text, &b.legacy_text, &b.new_text) {
            (Some(al), Some(an), Some(bl), Some(bn)) => a.kind == b.kind && an == bl && bn == al,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn both_columns_must_hold_the_other() {
        let mut cells = empty();
        for (i, (a, b)) in [(1.0, 8.0), (3.0, 5.0)].into_iter().enumerate() {
            let key = ["a", "FR", ["1", "2"][i]];
            cells.cells.push(cell("vcpu", key, Some(a), Some(b)));
            cells.cells.push(cell("ram", key, Some(b), Some(a)));
        }
        let found = detect(&SwappedColumns, &cells).unwrap();
        assert_eq!((found.detail.as_str(), found.matched), ("vcpu holds ram, ram holds vcpu", vec![0, 2]));
        for i in [1, 3] {
            cells.cells[i].without_changes = Some(99.0);
        }
        assert_eq!(detect(&SwappedColumns, &cells), None);
    }

    #[test]
    fn figures_with_a_last_digit_are_those_of_the_other_column_to_that_digit() {
        let large = 10_i128.pow(20);
        let swapped = |off: i128| {
            let mut cells = decimals(&[(large, 2 * large + off), (2 * large, large)], 2);
            cells.cells[1].key = cells.cells[0].key.clone();
            cells.cells[1].column = "gb".into();
            detect(&SwappedColumns, &cells).map(|m| m.detail)
        };
        assert_eq!(swapped(0).as_deref(), Some("kwh holds gb, gb holds kwh"));
        assert_eq!(swapped(1), None);
    }
}
