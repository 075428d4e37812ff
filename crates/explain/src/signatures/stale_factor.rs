//! A factor of another edition.

use std::collections::BTreeMap;

use super::{
    Detector, Facts, Group, Match,
    factors::{EditionRatio, LEAST, some_of, speaks, window},
};

/// The ratio is that of two editions of one factor: the new calculation uses another edition than declared.
pub(super) struct StaleFactor;

/// Position and ratio of the rows that fit.
type Rows<'a> = Vec<(usize, &'a EditionRatio)>;

impl Detector for StaleFactor {
    fn name(&self) -> &'static str {
        "stale_factor"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        if facts.factors.is_empty() {
            return None;
        }
        // One pair of editions is looked for; each row may stand for another key of the table.
        let mut pairs: BTreeMap<(&str, &str, &str), Rows<'_>> = BTreeMap::new();
        for (row, legacy, new) in group.pairs().filter(|(_, legacy, new)| speaks(*legacy, *new)) {
            let width = window(facts.slack(group.column, legacy, new), new);
            for ratio in facts.factors.ratios(new / legacy, width) {
                let rows = pairs.entry((&ratio.table, &ratio.new, &ratio.legacy)).or_default();
                if rows.last().is_none_or(|(last, _)| *last != row) {
                    rows.push((row, ratio));
                }
            }
        }
        let ((table, new, legacy), rows) =
            pairs.into_iter().reduce(|best, next| if next.1.len() > best.1.len() { next } else { best })?;
        if rows.len() < LEAST {
            return None;
        }
        let keys = some_of(rows.iter().map(|(_, ratio)| ratio.key.as_str()).collect());
        let detail = format!("factor of edition {new} instead of {legacy} ({table}: {keys})");
        Match::some(detail, rows.into_iter().map(|(row, _)| row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::context::{Context, FactorTable, FactorValue};

    #[test]
    fn each_row_may_have_its_own_key_but_all_the_same_editions() {
        let value = |key: &str, edition: &str, value: f64| FactorValue {
            key: key.into(),
            edition: edition.into(),
            value,
        };
        let values = vec![
            value("FRA", "2023", 56.04),
            value("FRA", "2024", 44.18),
            value("DEU", "2023", 380.95),
            value("DEU", "2024", 342.06),
        ];
        let context =
            Context { factors: vec![FactorTable { name: "grid".into(), values }], ..Context::default() };
        let cells = kwh(&[(44.18 * 3.0, 56.04 * 3.0), (342.06 * 7.0, 380.95 * 7.0), (44.18, 56.04)]);
        let found = detect_in(&StaleFactor, &cells, &context).unwrap();
        assert_eq!(found.detail, "factor of edition 2023 instead of 2024 (grid: DEU, FRA)");
        assert_eq!(found.matched.len(), 3);
        // Beside the ratio, too few rows, and counts that stand in it.
        assert_eq!(detect_in(&StaleFactor, &kwh(&[(44.18, 56.05), (1.1, 2.4), (3.3, 3.4)]), &context), None);
        assert_eq!(detect_in(&StaleFactor, &kwh(&[(44.18, 56.04), (88.36, 112.08)]), &context), None);
        let counts = kwh(&[(4418.0, 5604.0), (8836.0, 11208.0), (13254.0, 16812.0)]);
        assert_eq!(detect_in(&StaleFactor, &counts, &context), None);
        assert_eq!(detect(&StaleFactor, &cells), None);
    }
}
