//! Where differences occur: the narrowest simple condition that holds for them and for few other rows.

use std::collections::BTreeMap;

use crate::{cells::Cells, context::Context};

/// A condition names at most this many values of a column.
const VALUES: usize = 3;

/// The chance that so many cells fall into a segment by accident, below which the segment is believed.
const CHANCE: f64 = 1e-3;

/// Above this share of all rows the differences are everywhere.
const EVERYWHERE: f64 = 0.95;

/// At least this share of the rows of a segment differ; else it says little of them.
const PURITY: f64 = 0.4;

/// A column that is split by values has at most this many of them.
pub(crate) const CARDINALITY: usize = 50;

/// The segment of some cells of one column as a SQL condition over the result: `region = 'FR'`, or `true` where
/// they are everywhere or no column tells them from other rows. `column_rows` are all unexplained cells of the
/// column. Where no totals are known nobody can say that the cells are everywhere: then it is what all of them share,
/// else what tells them from the other unexplained cells.
pub fn describe(cells: &Cells, context: &Context, column_rows: &[usize], matched: &[usize]) -> String {
    let mut best: Option<(f64, String)> = None;
    if matched.len() < 2 {
        return "true".into();
    }
    if context.totals.total() == 0
        && let Some(shared) = shared(cells, matched)
    {
        return shared;
    }
    for axis in candidates(cells, context) {
        let inside = by_value(cells, context, matched, axis);
        if inside.is_empty() || inside.len() > VALUES {
            continue;
        }
        let universe = universe(cells, context, column_rows, axis);
        let all: u64 = universe.values().sum();
        if inside.len() >= universe.len() || universe.len() > CARDINALITY || all == 0 {
            continue;
        }
        let rows: u64 = inside.keys().map(|value| universe.get(*value).copied().unwrap_or(0)).sum();
        let (matched, rows, all) = (matched.len() as f64, rows as f64, all as f64);
        if matched / all >= EVERYWHERE || (rows / all).powf(matched) > CHANCE {
            continue;
        }
        let purity = (matched / rows.max(matched)).min(1.0);
        if purity < PURITY {
            continue;
        }
        // A later column (customer, period) must tell clearly more than an earlier one.
        if best.as_ref().is_none_or(|(before, _)| purity > before * 1.05) {
            let values: Vec<&Option<String>> = inside.into_keys().collect();
            best = Some((purity, condition(axis.name(cells), &values)));
        }
    }
    best.map_or_else(|| "true".into(), |(_, condition)| condition)
}

/// The values of key columns that all cells have.
fn shared(cells: &Cells, rows: &[usize]) -> Option<String> {
    let keys = || rows.iter().filter_map(|row| cells.cells.get(*row)).map(|cell| &cell.key);
    let first = keys().next()?;
    let conditions: Vec<String> = (cells.key_columns.iter().zip(first).enumerate())
        .filter(|(i, (_, value))| keys().all(|key| key.get(*i) == Some(value)))
        .map(|(_, (name, value))| condition(name, &[value]))
        .collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

/// A column by whose values cells are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Axis<'a> {
    /// A key column, by its position.
    Key(usize),
    /// An attribute, as the legacy rows have it.
    Attribute(&'a str),
}

impl<'a> Axis<'a> {
    fn name(self, cells: &'a Cells) -> &'a str {
        match self {
            Self::Key(position) => &cells.key_columns[position],
            Self::Attribute(name) => name,
        }
    }
}

/// Key columns and attributes in the order in which they are tried: the customer and the period last.
pub(crate) fn candidates<'a>(cells: &Cells, context: &'a Context) -> Vec<Axis<'a>> {
    let rank = |position: &usize| {
        let name = cells.key_columns[*position].as_str();
        if context.period.as_deref() == Some(name) {
            2
        } else {
            usize::from(cells.customer.as_deref() == Some(name))
        }
    };
    let mut positions: Vec<usize> = (0..cells.key_columns.len()).collect();
    positions.sort_by_key(rank);
    let first = positions.iter().filter(|p| rank(p) == 0).count();
    let (facts, roles) = positions.split_at(first);
    let attributes = context.rows.attributes.iter().map(|name| Axis::Attribute(name));
    let keys = |positions: &[usize]| positions.iter().map(|p| Axis::Key(*p)).collect::<Vec<_>>();
    keys(facts).into_iter().chain(attributes).chain(keys(roles)).collect()
}

/// Cells by their value in a column; nothing where the value of some cell is not known.
pub(crate) fn by_value<'a>(
    cells: &'a Cells,
    context: &'a Context,
    rows: &[usize],
    axis: Axis<'_>,
) -> BTreeMap<&'a Option<String>, Vec<usize>> {
    let mut values: BTreeMap<&Option<String>, Vec<usize>> = BTreeMap::new();
    for row in rows {
        let Some(cell) = cells.cells.get(*row) else { continue };
        let value = match axis {
            Axis::Key(position) => cell.key.get(position),
            Axis::Attribute(name) => context.rows.text(&cell.key, name),
        };
        let Some(value) = value else { return BTreeMap::new() };
        values.entry(value).or_default().push(*row);
    }
    values
}

fn universe<'a>(
    cells: &'a Cells,
    context: &'a Context,
    column_rows: &[usize],
    axis: Axis<'_>,
) -> BTreeMap<&'a Option<String>, u64> {
    let name = match axis {
        Axis::Key(position) => &cells.key_columns[position],
        Axis::Attribute(name) => name,
    };
    let values = context.totals.all_values(name);
    if values.is_empty() {
        let seen = by_value(cells, context, column_rows, axis);
        return seen.into_iter().map(|(value, rows)| (value, rows.len() as u64)).collect();
    }
    values.into_iter().map(|value| (value, context.totals.most(name, value))).collect()
}

fn condition(column: &str, values: &[&Option<String>]) -> String {
    let name = identifier(column);
    let literals: Vec<String> =
        values.iter().filter_map(|v| v.as_ref()).map(|v| format!("'{}'", v.replace('\'', "''"))).collect();
    let present = match literals.as_slice() {
        [] => None,
        [one] => Some(format!("{name} = {one}")),
        many => Some(format!("{name} IN ({})", many.join(", "))),
    };
    match (present, values.iter().any(|v| v.is_none())) {
        (Some(present), false) => present,
        (Some(present), true) => format!("({present} OR {name} IS NULL)"),
        (None, _) => format!("{name} IS NULL"),
    }
}

fn identifier(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use dualrun_core::input::Side;

    use super::*;
    use crate::signatures::testing::{cell, empty};

    fn cells(keys: &[[&str; 3]]) -> Cells {
        let mut cells = empty();
        cells.cells.extend(keys.iter().map(|key| cell("kwh", *key, Some(1.0), Some(2.0))));
        cells
    }

    fn context() -> Context {
        let mut context = Context { period: Some("day".into()), ..Context::default() };
        for (column, value, rows) in [
            ("region", "FR", 10),
            ("region", "DE", 90),
            ("customer", "a", 50),
            ("customer", "b", 50),
            ("day", "1", 100),
        ] {
            context.totals.add(Side::Legacy, column, Some(value), rows);
        }
        context
    }

    #[test]
    fn a_segment_is_named_where_chance_is_out_of_question() {
        let keys = [["a", "FR", "1"], ["a", "FR", "1"], ["b", "FR", "1"], ["b", "FR", "1"]];
        let found = cells(&keys);
        assert_eq!(describe(&found, &context(), &[0, 1, 2, 3], &[0, 1, 2, 3]), "region = 'FR'");
        // Two cells of a region with half of the rows are no evidence.
        assert_eq!(describe(&found, &context(), &[0, 1], &[0]), "true");
        let mut even = context();
        even.totals.add(Side::Legacy, "region", Some("FR"), 80);
        assert_eq!(describe(&found, &even, &[0, 1, 2, 3], &[0, 1, 2, 3]), "true");
    }

    #[test]
    fn without_totals_all_that_is_shared_is_said() {
        let found = cells(&[["a", "FR", "1"], ["b", "FR", "1"], ["b", "DE", "1"], ["a", "DE", "2"]]);
        let said = |rows: &[usize]| describe(&found, &Context::default(), rows, rows);
        assert_eq!(said(&[0, 1]), "region = 'FR' AND day = '1'");
        assert_eq!(said(&[0, 1, 2]), "day = '1'");
        assert_eq!((said(&[0, 1, 2, 3]), said(&[0])), ("true".to_owned(), "true".to_owned()));
    }

    #[test]
    fn without_totals_the_other_unexplained_cells_stand_for_the_rows() {
        let mut keys: Vec<[String; 3]> =
            (0..78).map(|i| ["a".to_owned(), ["DE", "US"][i % 2].to_owned(), i.to_string()]).collect();
        keys.extend([["a", "FR", "1"], ["b", "IE", "2"]].map(|key| key.map(str::to_owned)));
        let keys: Vec<[&str; 3]> = keys.iter().map(|key| key.each_ref().map(String::as_str)).collect();
        let found = cells(&keys);
        let all: Vec<usize> = (0..80).collect();
        let context = Context::default();
        assert_eq!(describe(&found, &context, &all, &[78, 79]), "region IN ('FR', 'IE')");
        assert_eq!(describe(&found, &context, &all, &all), "true");
    }

    #[test]
    fn attributes_of_the_legacy_rows_tell_segments_too() {
        use arrow::array::{ArrayRef, RecordBatch, StringArray};
        let keys = [["a", "r1", "1"], ["b", "r2", "1"], ["c", "r3", "1"], ["d", "r4", "1"]];
        let found = cells(&keys);
        let column = |of: &dyn Fn(usize) -> &'static str| -> ArrayRef {
            std::sync::Arc::new(StringArray::from_iter_values((0..4).map(of)))
        };
        let batch = RecordBatch::try_from_iter([
            ("customer", column(&|i| keys[i][0])),
            ("region", column(&|i| keys[i][1])),
            ("day", column(&|i| keys[i][2])),
            ("country", column(&|i| if i < 2 { "GB" } else { "GR" })),
        ])
        .unwrap();
        let mut context = Context::default();
        context.rows.attributes = vec!["country".into()];
        let wanted = found.cells.iter().map(|cell| cell.key.as_slice()).collect();
        context.rows.keep(&batch, &found.key_columns, &["country".into()], &wanted).unwrap();
        for (value, rows) in [("GB", 3), ("GR", 3), ("FR", 94)] {
            context.totals.add(Side::Legacy, "country", Some(value), rows);
        }
        let all = [0, 1, 2, 3];
        assert_eq!(describe(&found, &context, &all, &all), "country IN ('GB', 'GR')");
        // Most rows of the two countries do not differ; or the row of a cell is not known.
        let mut impure = context.clone();
        impure.totals.add(Side::Legacy, "country", Some("GB"), 10);
        assert_eq!(describe(&found, &impure, &all, &all), "true");
        let mut strange = found.clone();
        strange.cells[0].key[0] = Some("z".into());
        assert_eq!(describe(&strange, &context, &all, &all), "true");
    }

    #[test]
    fn text_is_quoted_as_sql_wants_it() {
        assert_eq!(condition("Region", &[&Some("l'Aquila".into())]), "\"Region\" = 'l''Aquila'");
        assert_eq!(condition("region", &[&None]), "region IS NULL");
        assert_eq!(
            condition("region", &[&None, &Some("a".into()), &Some("b".into())]),
            "(region IN ('a', 'b') OR region IS NULL)"
        );
    }
}
