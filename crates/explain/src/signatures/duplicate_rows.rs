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
        let occurs = if matched.len() == 1 { "occurs" } else { "occur" };
        let keys = counted(matched.len(), "key", "keys");
        // The text of an ambiguous key is its number of rows.
        let several =
            |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok()).is_some_and(|n: u64| n > 1);
        let cells =
            || group.iter().filter(|(row, _)| matched.binary_search(row).is_ok()).map(|(_, cell)| cell);
        let place = match (cells().any(|c| several(&c.legacy_text)), cells().any(|c| several(&c.new_text))) {
            (true, false) => "in the legacy result",
            (false, true) => "in the new result",
            _ => "in both results",
        };
        Match::some(format!("{keys} {occurs} more than once {place}"), matched)
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
}
