//! A factor applied once more on one side.

use std::collections::BTreeMap;

use super::{
    Detector, Facts, Group, Match,
    factors::{Named, some_of, window},
    figure,
};

/// The ratio is the value of a known factor, for example a PUE that the input already holds. The other way round
/// the new calculation does not apply it at all.
pub(super) struct FactorTwice;

/// Position, factor and ratio of the rows that fit.
type Rows<'a> = Vec<(usize, &'a Named, f64)>;

impl Detector for FactorTwice {
    fn name(&self) -> &'static str {
        "factor_twice"
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
        let mut tables: BTreeMap<(&str, bool), Rows<'_>> = BTreeMap::new();
        for (row, legacy, new) in group.pairs().filter(|(_, legacy, new)| *legacy != 0.0 && *new != 0.0) {
            let width = window(facts.slack(group.column, legacy, new), new);
            for (more, ratio) in [(true, new / legacy), (false, legacy / new)] {
                for factor in facts.factors.values(ratio, width) {
                    let rows = tables.entry((&factor.table, more)).or_default();
                    if rows.last().is_none_or(|(last, ..)| *last != row) {
                        rows.push((row, factor, ratio));
                    }
                }
            }
        }
        let ((table, more), rows) =
            tables.into_iter().reduce(|best, next| if next.1.len() > best.1.len() { next } else { best })?;
        let sign = if more { "×" } else { "÷" };
        let keys = some_of(rows.iter().map(|(_, factor, _)| factor.key.as_str()).collect());
        let first = rows.first().map_or(1.0, |(.., ratio)| *ratio);
        let one = rows.iter().all(|(.., ratio)| (ratio / first - 1.0).abs() < 1e-6);
        let detail = if one {
            format!("new = legacy {sign} {} ({keys})", figure(first))
        } else {
            format!("new = legacy {sign} the factor of its row ({table}: {keys})")
        };
        Match::some(detail, rows.into_iter().map(|(row, ..)| row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::context::{Context, FactorTable, FactorValue};

    fn context() -> Context {
        let value = |key: &str, value: f64| FactorValue { key: key.into(), edition: "2024".into(), value };
        let values = vec![value("pue/aws/fleet", 1.135), value("pue/site/lyon", 1.58)];
        Context { factors: vec![FactorTable { name: "pue".into(), values }], ..Context::default() }
    }

    fn said(pairs: &[(f64, f64)]) -> Option<String> {
        detect_in(&FactorTwice, &kwh(pairs), &context()).map(|m| m.detail)
    }

    #[test]
    fn the_factor_is_named() {
        let once_more = said(&[(2.0, 2.0 * 1.135), (7.7, 7.7 * 1.135)]);
        assert_eq!(once_more.as_deref(), Some("new = legacy × 1.135 (pue/aws/fleet)"));
        assert_eq!(said(&[(1.58, 1.0)]).as_deref(), Some("new = legacy ÷ 1.58 (pue/site/lyon)"));
        assert_eq!(
            said(&[(1.0, 1.135), (1.0, 1.58)]).as_deref(),
            Some("new = legacy × the factor of its row (pue: pue/aws/fleet, pue/site/lyon)")
        );
    }

    #[test]
    fn a_ratio_beside_every_factor_does_not_fit() {
        assert_eq!(said(&[(1.0, 1.136)]), None);
    }
}
