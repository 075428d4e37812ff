//! What can be said of cells that no signature fits.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

use super::{Facts, Group, counted, figure};
use crate::cells::{CellKind, UnexplainedCell};

/// Direction, usual ratio and share of the rows; for attributes the values; for rows the side they stand on.
pub(crate) fn describe(group: &Group<'_>, facts: &Facts<'_>) -> String {
    let of = |kind: CellKind| group.iter().filter(|(_, cell)| cell.kind == kind).count();
    let said = if of(CellKind::Measure) > 0 {
        measures(group, facts)
    } else if of(CellKind::Attribute) > 0 {
        attributes(group)
    } else {
        rows(group, facts, of(CellKind::OnlyLegacy), of(CellKind::OnlyNew))
    };
    if said.is_empty() {
        "no known signature fits".into()
    } else {
        format!("no known signature fits: {said}")
    }
}

fn measures(group: &Group<'_>, facts: &Facts<'_>) -> String {
    let cells = || group.iter().map(|(_, cell)| cell).filter(|cell| cell.kind == CellKind::Measure);
    let pairs: Vec<(f64, f64)> = group.pairs().map(|(_, legacy, new)| (legacy, new)).collect();
    let count = |order| cells().filter(|cell| cell.order() == Some(order)).count();
    let mut said = Vec::new();
    said.extend(match (count(Ordering::Greater), count(Ordering::Less), cells().count()) {
        (0, 0, _) => None,
        (up, 0, of) => Some(format!("new is higher in {}", some(up, of))),
        (0, down, of) => Some(format!("new is lower in {}", some(down, of))),
        (up, down, of) if up + down == of => {
            Some(format!("new is higher in {up} and lower in {}", counted(down, "row", "rows")))
        }
        (up, down, of) => Some(format!("new is higher in {up} and lower in {down} of {of} rows")),
    });
    // Rows that have no two figures to hold against each other.
    let no_figure = |of: &dyn Fn(&UnexplainedCell) -> bool| cells().filter(|cell| of(cell)).count();
    for (n, what) in [
        (no_figure(&|c| c.with_fixes.is_none() && c.without_changes.is_some()), "legacy is null"),
        (no_figure(&|c| c.with_fixes.is_some() && c.without_changes.is_none()), "new is null"),
        (no_figure(&|c| c.with_fixes.is_none() && c.without_changes.is_none()), "both are null"),
        (
            no_figure(&|c| c.with_fixes.zip(c.without_changes).is_some() && c.pair().is_none()),
            "a side is not finite",
        ),
    ] {
        if n > 0 {
            said.push(format!("{what} in {}", counted(n, "row", "rows")));
        }
    }
    let differences = cells().filter(|cell| cell.pair().is_some()).map(UnexplainedCell::unexplained);
    let (net, gross) = differences.fold((0.0, 0.0), |(net, gross), u| (net + u, gross + f64::abs(u)));
    if gross > 0.0 && f64::abs(net) < 0.5 * gross {
        let left = 100.0 * f64::abs(net) / gross;
        let left = if left > 0.0 && left < 0.5 { "less than 1".to_owned() } else { format!("{left:.0}") };
        said.push(format!("they cancel but for {left} % of their size"));
    }
    let mut ratios: Vec<f64> = pairs.iter().map(|(l, n)| n / l).filter(|r| r.is_finite()).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios.get(((ratios.len() as f64 - 1.0) * share).round() as usize).copied();
    if let (Some(low), Some(high)) = (at(0.05), at(0.95)) {
        let (low, high) = (short(low), short(high));
        if low != high {
            said.push(format!("new ÷ legacy is mostly {low} to {high}"));
        } else if low != "1" {
            said.push(format!("new ÷ legacy is about {low}"));
        }
    }
    let total = facts.context.totals.total();
    if total > 0 {
        said.push(format!("{} of {total} rows", group.rows.len()));
    }
    said.join("; ")
}

fn some(n: usize, of: usize) -> String {
    match (n, of) {
        (1, 1) => "the one row".into(),
        (n, of) if n == of => format!("all {n} rows"),
        (n, of) => format!("{n} of {of} rows"),
    }
}

/// Four significant digits.
fn short(value: f64) -> String {
    figure(format!("{value:.3e}").parse().unwrap_or(value))
}

fn attributes(group: &Group<'_>) -> String {
    let mut pairs: BTreeMap<(Cow<'_, str>, Cow<'_, str>), usize> = BTreeMap::new();
    for (_, cell) in group.iter() {
        let pair = (shown(&cell.legacy_text), shown(&cell.new_text));
        *pairs.entry(pair).or_default() += 1;
    }
    let kinds = pairs.len();
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut said: Vec<String> = pairs
        .into_iter()
        .take(3)
        .map(|((legacy, new), n)| format!("{legacy} became {new} in {}", counted(n, "row", "rows")))
        .collect();
    if kinds > 3 {
        said.push(format!("{} other pairs", kinds - 3));
    }
    said.join("; ")
}

/// Null, or the text; in quotes where it could be taken for null or for nothing.
fn shown(text: &Option<String>) -> Cow<'_, str> {
    let Some(text) = text else { return Cow::Borrowed("null") };
    if text.is_empty() || text.trim() != text || text.eq_ignore_ascii_case("null") || text.starts_with('\'') {
        Cow::Owned(format!("'{}'", text.replace('\'', "''")))
    } else {
        Cow::Borrowed(text)
    }
}

fn rows(group: &Group<'_>, facts: &Facts<'_>, only_legacy: usize, only_new: usize) -> String {
    let mut said = Vec::new();
    for (n, side) in [(only_legacy, "legacy"), (only_new, "new")] {
        if n > 0 {
            let stand = if n == 1 { "stands" } else { "stand" };
            said.push(format!("{} {stand} in the {side} result only", counted(n, "row", "rows")));
        }
    }
    // What the measures of these rows have in common.
    let mut signs: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (_, cell) in group.iter() {
        let same = facts.by_key.get(cell.key.as_slice()).into_iter().flatten();
        let measures = same.filter_map(|i| group.cells.cells.get(*i)).filter(|c| c.kind == CellKind::Measure);
        for measure in measures {
            let value = one_side(measure, cell.kind);
            let seen = signs.entry(&measure.column).or_default();
            seen.0 += usize::from(value < 0.0);
            seen.1 += usize::from(value == 0.0);
            seen.2 += 1;
        }
    }
    for (column, (negative, zero, seen)) in signs {
        if negative == seen {
            said.push(format!("{column} is negative in {}", if seen == 1 { "it" } else { "all of them" }));
        } else if negative >= 2 && 2 * negative > seen {
            said.push(format!("{column} is negative in {negative} of {seen}"));
        } else if zero == seen {
            said.push(format!("{column} is 0 in {}", if seen == 1 { "it" } else { "all of them" }));
        }
    }
    said.join("; ")
}

fn one_side(measure: &UnexplainedCell, kind: CellKind) -> f64 {
    let side = if kind == CellKind::OnlyNew { measure.without_changes } else { measure.with_fixes };
    side.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use dualrun_core::input::Side;

    use super::{super::testing::*, *};
    use crate::{cells::Cells, context::Context};

    fn said(cells: &Cells, context: &Context) -> String {
        let column = &cells.cells[0].column;
        let rows = (0..cells.cells.len()).filter(|i| cells.cells[*i].column == *column).collect();
        describe(&Group { cells, column, rows }, &Facts::new(cells, context))
    }

    #[test]
    fn direction_ratio_and_share_of_the_rows_are_said() {
        let mut context = Context::default();
        context.totals.add(Side::Legacy, "region", Some("FR"), 10);
        assert_eq!(
            said(&kwh(&[(10.0, 9.0), (20.0, 18.5), (7.0, 6.1)]), &context),
            "no known signature fits: new is lower in all 3 rows; new ÷ legacy is mostly 0.8714 to 0.925; 3 of 10 rows"
        );
        assert_eq!(
            said(&kwh(&[(10.0, 9.0), (20.0, 21.0)]), &Context::default()),
            "no known signature fits: new is higher in 1 and lower in 1 row; they cancel but for 0 % of their size; \
             new ÷ legacy is mostly 0.9 to 1.05"
        );
    }

    #[test]
    fn the_direction_is_that_of_the_figures_and_not_of_their_floats() {
        let said = |pairs: &[(i128, i128)], scale| said(&decimals(pairs, scale), &Context::default());
        let two_53 = 1_i128 << 53;
        assert_eq!(said(&[(two_53, two_53 + 1)], 0), "no known signature fits: new is higher in the one row");
        let long = 12_345_678_901_234_567_890_123_456_789_012_345_678;
        assert_eq!(
            said(&[(long, long + 1), (long, long - 1)], 18),
            "no known signature fits: new is higher in 1 and lower in 1 row; they cancel but for 0 % of their size"
        );
    }

    #[test]
    fn rows_without_two_figures_are_said() {
        let mut cells = kwh(&[(1.5, 2.5), (2.7, 2.9), (1.0, 7.7), (1.0, 1.0), (3.3, 1.0), (5.1, 9.1)]);
        cells.cells[2].with_fixes = None;
        cells.cells[3].with_fixes = Some(f64::NAN);
        cells.cells[4].without_changes = None;
        assert_eq!(
            said(&cells, &Context::default()),
            "no known signature fits: new is higher in 3 of 6 rows; legacy is null in 1 row; new is null in 1 row; \
             a side is not finite in 1 row; new ÷ legacy is mostly 1.074 to 1.784"
        );
        cells.cells[0].without_changes = Some(1.0);
        assert!(said(&cells, &Context::default()).contains("new is higher in 2 and lower in 1 of 6 rows;"));
    }

    #[test]
    fn texts_that_look_like_null_have_quotes() {
        let shown = |text: &str| shown(&Some(text.to_owned())).into_owned();
        assert_eq!(
            (super::shown(&None).as_ref(), shown("null").as_str(), shown("").as_str()),
            ("null", "'null'", "''")
        );
        assert_eq!(
            (shown(" x").as_str(), shown("'a'").as_str(), shown("it's").as_str()),
            ("' x'", "'''a'''", "it's")
        );
    }

    #[test]
    fn values_of_attributes_are_said() {
        let mut cells = empty();
        for (legacy, new) in [("GB", None), ("GB", None), ("GR", Some("XX"))] {
            let mut attribute = cell("country", ["a", "FR", "1"], None, None);
            attribute.kind = CellKind::Attribute;
            (attribute.legacy_text, attribute.new_text) = (Some(legacy.into()), new.map(Into::into));
            cells.cells.push(attribute);
        }
        assert_eq!(
            said(&cells, &Context::default()),
            "no known signature fits: GB became null in 2 rows; GR became XX in 1 row"
        );
    }

    #[test]
    fn rows_say_on_which_side_they_stand_and_what_they_have_in_common() {
        let mut cells = empty();
        cells.cells.push(row(CellKind::OnlyLegacy, ["a", "FR", "1"]));
        cells.cells.push(row(CellKind::OnlyLegacy, ["b", "FR", "1"]));
        cells.cells.push(cell("amount", ["a", "FR", "1"], Some(-7.5), Some(0.0)));
        cells.cells.push(cell("amount", ["b", "FR", "1"], Some(-1.0), Some(0.0)));
        assert_eq!(
            said(&cells, &Context::default()),
            "no known signature fits: 2 rows stand in the legacy result only; amount is negative in all of them"
        );
        cells.cells[3].with_fixes = Some(1.0);
        assert_eq!(
            said(&cells, &Context::default()),
            "no known signature fits: 2 rows stand in the legacy result only"
        );
    }
}
