//! A factor applied once more on one side.

use std::collections::BTreeMap;

use super::{
    Detector, Facts, Group, Match,
    factors::{LEAST, Named, some_of, speaks, window},
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
        let by_row = within_rows(group, facts);
        if facts.factors.is_empty()
            || by_row.as_ref().is_some_and(|found| found.matched.len() == group.rows.len())
        {
            return by_row;
        }
        let by_table = from_tables(group, facts);
        match (&by_row, &by_table) {
            (Some(row), Some(table)) if row.matched.len() >= table.matched.len() => by_row,
            (_, Some(_)) => by_table,
            _ => by_row,
        }
    }
}

/// The ratio is that of this column to another one of the same legacy row: the factor that stands between the two.
fn within_rows(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let mut best: Option<Match> = None;
    for other in facts.context.tolerances.keys().filter(|name| *name != group.column) {
        for more in [true, false] {
            let (mut matched, mut factors) = (Vec::new(), Vec::new());
            for (row, legacy, new) in group.pairs().filter(|(_, legacy, new)| *legacy != 0.0 && *new != 0.0) {
                let Some(beside) =
                    group.cells.cells.get(row).and_then(|c| facts.context.rows.figure(&c.key, other))
                else {
                    continue;
                };
                let factor = legacy / beside;
                let expected = if more { legacy * factor } else { beside };
                let slack = facts.slack(group.column, legacy, new);
                if factor.is_finite() && (factor - 1.0).abs() > 1e-6 && (new - expected).abs() <= slack {
                    matched.push(row);
                    factors.push(factor);
                }
            }
            factors.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (factors.first(), factors.last()) else { continue };
            if matched.len() < LEAST || !group.distinct(&matched, LEAST) {
                continue;
            }
            let range = if most / least - 1.0 < 1e-6 {
                figure(*least)
            } else {
                format!("{} to {}", short(*least), short(*most))
            };
            let column = group.column;
            let detail = if more {
                format!(
                    "new = legacy × ({column} ÷ {other}) of its row ({range}): what stands between the two is applied twice"
                )
            } else {
                format!(
                    "new = {other} of its row: what stands between it and {column} ({range}) is not applied"
                )
            };
            if matched.len() > best.as_ref().map_or(0, |b| b.matched.len()) {
                best = Match::some(detail, matched);
            }
        }
    }
    best
}

/// Four digits: a range is no place for more.
fn short(value: f64) -> String {
    figure(format!("{value:.3e}").parse().unwrap_or(value))
}

fn from_tables(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let mut tables: BTreeMap<(&str, bool), Rows<'_>> = BTreeMap::new();
    for (row, legacy, new) in group.pairs().filter(|(_, legacy, new)| speaks(*legacy, *new)) {
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
    if rows.len() < LEAST {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

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
        let once_more = said(&[2.0, 7.7, 8.1].map(|legacy| (legacy, legacy * 1.135)));
        assert_eq!(once_more.as_deref(), Some("new = legacy × 1.135 (pue/aws/fleet)"));
        let not_at_all = said(&[1.1, 2.3, 7.7].map(|legacy| (legacy * 1.58, legacy)));
        assert_eq!(not_at_all.as_deref(), Some("new = legacy ÷ 1.58 (pue/site/lyon)"));
        assert_eq!(
            said(&[(1.0, 1.135), (1.0, 1.58), (2.0, 3.16)]).as_deref(),
            Some("new = legacy × the factor of its row (pue: pue/aws/fleet, pue/site/lyon)")
        );
    }

    #[test]
    fn a_ratio_beside_every_factor_does_not_fit() {
        assert_eq!(said(&[(1.0, 1.136), (2.0, 2.272), (3.0, 3.408)]), None);
        // Too few rows, and counts that stand in the ratio of a factor.
        assert_eq!(said(&[(1.0, 1.135), (2.0, 2.27)]), None);
        assert_eq!(said(&[(1000.0, 1135.0), (2000.0, 2270.0), (3000.0, 3405.0)]), None);
    }

    /// Rows of servers with their own overhead: kwh = pue × kwh_it.
    fn servers(bug: impl Fn(f64, f64) -> f64) -> Option<String> {
        let rows = [(5.827, 1.58), (5.092, 1.62), (12.903, 1.4), (3.3, 1.35)];
        let cells = kwh(&rows.map(|(it, pue)| (it * pue, bug(it, pue))));
        let mut context = Context::default();
        context.tolerances.insert("kwh_it".into(), dualrun_core::Tolerance::EXACT);
        let text = |of: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..rows.len()).map(of)))
        };
        let batch = RecordBatch::try_from_iter([
            ("customer", text(&|i| format!("c{i}"))),
            ("region", text(&|_| "FR".into())),
            ("day", text(&|_| "2025-03-01".into())),
            ("kwh_it", text(&|i| rows[i].0.to_string())),
        ])
        .unwrap();
        let wanted = cells.cells.iter().map(|cell| cell.key.as_slice()).collect();
        context.rows.keep(&batch, &cells.key_columns, &["kwh_it".into()], &wanted).unwrap();
        detect_in(&FactorTwice, &cells, &context).map(|m| m.detail)
    }

    #[test]
    fn the_factor_between_two_columns_of_the_row_is_seen() {
        assert_eq!(
            servers(|it, pue| it * pue * pue).as_deref(),
            Some(
                "new = legacy × (kwh ÷ kwh_it) of its row (1.35 to 1.62): what stands between the two is applied twice"
            )
        );
        assert_eq!(
            servers(|it, _| it).as_deref(),
            Some("new = kwh_it of its row: what stands between it and kwh (1.35 to 1.62) is not applied")
        );
        assert_eq!(servers(|it, pue| it * pue * 1.58), None);
        assert_eq!(servers(|it, pue| it * pue * pue * 1.001), None);
    }
}
