//! Keys that occur more than once on a side.

use super::{Detector, Facts, Group, Match, counted};
use crate::cells::CellKind;

/// A key is ambiguous: a result has several rows for it.
pub(super) struct DuplicateRows;

impl Detector for DuplicateRows {
    fn name(&self) -> &'static str {
        "duplicate_rows"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let matched: Vec<usize> =
            group.iter().filter(|(_, cell)| cell.kind == CellKind::Ambiguous).map(|(row, _)| row).collect();
        let cells = group.iter().map(|(_, cell)| cell).filter(|cell| cell.kind == CellKind::Ambiguous);
        let occurs = if matched.len() == 1 { "occurs" } else { "occur" };
        let keys = counted(matched.len(), "key", "keys");
        // The text of an ambiguous key is its number of rows.
        let several =
            |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok()).is_some_and(|n: u64| n > 1);
        let (mut legacy, mut new, mut both) = (0, 0, 0);
        for cell in cells {
            match (several(&cell.legacy_text), several(&cell.new_text)) {
                (true, true) => both += 1,
                (true, false) => legacy += 1,
                (false, true) => new += 1,
                (false, false) => {}
            }
        }
        let places =
            [(legacy, "in the legacy result"), (new, "in the new result"), (both, "in both results")];
        let place = match places.iter().find(|(n, _)| *n == matched.len()) {
            Some((_, place)) => format!(" {place}"),
            None => {
                let some = places.iter().filter(|(n, _)| *n > 0);
                let said: Vec<String> = some.map(|(n, place)| format!("{n} {place}")).collect();
                if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) }
            }
        };
        Match::some(format!("{keys} {occurs} more than once{place}"), matched)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn ambiguous_keys_fit_and_missing_rows_do_not() {
        let mut cells = empty();
        cells.cells.push(row(CellKind::Ambiguous, ["a", "FR", "1"]));
        cells.cells.push(row(CellKind::OnlyNew, ["b", "FR", "1"]));
        (cells.cells[0].legacy_text, cells.cells[0].new_text) = (Some("1".into()), Some("2".into()));
        let found = detect(&DuplicateRows, &cells).unwrap();
        assert_eq!(
            (found.matched, found.detail.as_str()),
            (vec![0], "1 key occurs more than once in the new result")
        );
        cells.cells.remove(0);
        assert_eq!(detect(&DuplicateRows, &cells), None);
    }

    #[test]
    fn keys_are_counted_where_they_occur() {
        let mut cells = empty();
        for (key, legacy, new) in [("a", "2", "1"), ("b", "1", "2"), ("c", "2", "3")] {
            let mut cell = row(CellKind::Ambiguous, [key, "FR", "1"]);
            (cell.legacy_text, cell.new_text) = (Some(legacy.into()), Some(new.into()));
            cells.cells.push(cell);
        }
        let said = |cells: &crate::cells::Cells| detect(&DuplicateRows, cells).unwrap().detail;
        assert_eq!(
            said(&cells),
            "3 keys occur more than once: 1 in the legacy result, 1 in the new result, 1 in both results"
        );
        cells.cells.pop();
        assert_eq!(said(&cells), "2 keys occur more than once: 1 in the legacy result, 1 in the new result");
        cells.cells.drain(..1);
        cells.cells[0].legacy_text = Some("3".into());
        assert_eq!(said(&cells), "1 key occurs more than once in both results");
    }
}
