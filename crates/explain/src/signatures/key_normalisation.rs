//! Texts of keys or attributes that are the same but for blanks, case, composition of accents or zero padding.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

use super::{Detector, Facts, Group, Match};
use crate::cells::{CellKind, UnexplainedCell};

/// Rows on one side only pair up once their keys are normalised; or both values of an attribute become equal.
pub(super) struct KeyNormalisation;

/// Rows of the legacy side and of the new side.
type Sides = (Vec<usize>, Vec<usize>);

type Rule = (&'static str, fn(&str) -> String);

/// From the mildest rule to all of them together.
const RULES: [Rule; 8] = [
    ("leading or trailing blanks", |text| text.trim().to_owned()),
    ("case", fold),
    ("composed or decomposed accents", |text| text.nfc().collect()),
    ("invisible or special blanks", blanks),
    ("zero padding", padding),
    ("blanks and case", |text| fold(&blanks(text))),
    ("the digits before the last nine, as telephone prefixes do", telephone),
    ("several of blanks, case, accents and zero padding", all),
];

impl Detector for KeyNormalisation {
    fn name(&self) -> &'static str {
        "key_normalisation"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, _: &Facts<'_>) -> Option<Match> {
        let mut best: Option<Match> = None;
        for (name, rule) in RULES {
            let mut matched = rows(group, rule);
            matched.extend(attributes(group, rule));
            matched.sort_unstable();
            if matched.len() > best.as_ref().map_or(0, |b| b.matched.len()) {
                let columns = differing(group, &matched);
                best = Match::some(format!("{columns} differs by {name}"), matched);
            }
        }
        best
    }
}

/// Rows of both sides whose normalised keys are equal and occur once on each side.
fn rows(group: &Group<'_>, rule: fn(&str) -> String) -> Vec<usize> {
    let mut by_key: HashMap<Vec<Option<String>>, Sides> = HashMap::new();
    let is_text: Vec<bool> =
        group.cells.key_columns.iter().map(|name| group.cells.texts.contains(name)).collect();
    for (row, cell) in group.iter() {
        let normal = || {
            let parts = cell.key.iter().zip(&is_text);
            parts
                .map(|(part, text)| if *text { part.as_deref().map(rule) } else { part.clone() })
                .collect::<Vec<_>>()
        };
        match cell.kind {
            CellKind::OnlyLegacy => by_key.entry(normal()).or_default().0.push(row),
            CellKind::OnlyNew => by_key.entry(normal()).or_default().1.push(row),
            _ => {}
        }
    }
    // Several spellings of one side may fall together into one key of the other.
    by_key
        .into_values()
        .filter(|(l, n)| !l.is_empty() && !n.is_empty())
        .flat_map(|(l, n)| [l, n].concat())
        .collect()
}

fn attributes(group: &Group<'_>, rule: fn(&str) -> String) -> Vec<usize> {
    if !group.cells.texts.contains(group.column) {
        return Vec::new();
    }
    let equal = |cell: &UnexplainedCell| match (&cell.legacy_text, &cell.new_text) {
        (Some(legacy), Some(new)) => legacy != new && rule(legacy) == rule(new),
        _ => false,
    };
    group
        .iter()
        .filter(|(_, cell)| cell.kind == CellKind::Attribute && equal(cell))
        .map(|(row, _)| row)
        .collect()
}

/// The key columns in which paired rows differ: those whose values of the two sides are not the same set.
fn differing(group: &Group<'_>, matched: &[usize]) -> String {
    let cells = || matched.iter().filter_map(|row| group.cells.cells.get(*row));
    if cells().any(|cell| cell.kind == CellKind::Attribute) {
        return group.column.to_owned();
    }
    let values = |i: usize, kind: CellKind| {
        let mut values: Vec<_> = cells().filter(|c| c.kind == kind).filter_map(|c| c.key.get(i)).collect();
        values.sort();
        values.dedup();
        values
    };
    let names: Vec<&str> = group
        .cells
        .key_columns
        .iter()
        .enumerate()
        .filter(|(i, _)| values(*i, CellKind::OnlyLegacy) != values(*i, CellKind::OnlyNew))
        .map(|(_, name)| name.as_str())
        .collect();
    if names.is_empty() { "the key".into() } else { names.join(", ") }
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Without zero-width characters, with every run of white space (no-break spaces too) as one blank.
fn blanks(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}'))
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of nothing but digits without the zeros before them; any other text as it is.
fn padding(text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.trim_start_matches('0') {
        "" if is_number => "0".to_owned(),
        bare if is_number => bare.to_owned(),
        _ => text.to_owned(),
    }
}

/// The last nine digits of a text of digits and the signs between them; any other text as it is.
fn telephone(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = text.chars().all(|c| c.is_ascii_digit() || "+ -./()\u{a0}".contains(c));
    if number && digits.len() > 9 { digits[digits.len() - 9..].to_owned() } else { text.to_owned() }
}

fn all(text: &str) -> String {
    padding(&fold(&blanks(&text.nfkc().collect::<String>())))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn pair(legacy: &str, new: &str) -> Option<Match> {
        let mut cells = empty();
        cells.cells.push(row(CellKind::OnlyLegacy, ["a", legacy, "1"]));
        cells.cells.push(row(CellKind::OnlyNew, ["a", new, "1"]));
        detect(&KeyNormalisation, &cells)
    }

    #[test]
    fn each_kind_of_spelling_is_named() {
        for (legacy, new, detail) in [
            ("eu-west-1", "eu-west-1 ", "region differs by leading or trailing blanks"),
            ("EU-West-1", "eu-west-1", "region differs by case"),
            ("Île", "I\u{302}le", "region differs by composed or decomposed accents"),
            ("a b", "a\u{a0}b", "region differs by invisible or special blanks"),
            ("007", "7", "region differs by zero padding"),
            ("EU-West-1", "eu-west-1 ", "region differs by blanks and case"),
            (
                "+33612345678",
                "+0612345678",
                "region differs by the digits before the last nine, as telephone prefixes do",
            ),
            (" 07", "7\u{a0}", "region differs by several of blanks, case, accents and zero padding"),
        ] {
            let found = pair(legacy, new).unwrap();
            assert_eq!((found.detail.as_str(), found.matched.len()), (detail, 2));
        }
    }

    #[test]
    fn another_name_is_not_another_spelling() {
        assert_eq!(pair("eu-west-1", "eu-west-2"), None);
        assert_eq!(pair("70", "7"), None);
        // Zeros tell numbers with a point, and parts of a name, from each other.
        assert_eq!(
            (pair("1.05", "1.5"), pair("eu-west-01", "eu-west-1"), pair("000", "")),
            (None, None, None)
        );
        assert_eq!(pair("+33612345678", "+33612345679"), None);
        assert_eq!(pair("a33612345678", "0612345678"), None);
    }

    #[test]
    fn only_texts_have_spellings() {
        let mut cells = empty();
        cells.texts.remove("region");
        for (legacy, new) in [("007", "7"), ("1123456789", "2123456789")] {
            cells.cells =
                vec![row(CellKind::OnlyLegacy, ["a", legacy, "1"]), row(CellKind::OnlyNew, ["a", new, "1"])];
            assert_eq!(detect(&KeyNormalisation, &cells), None);
        }
        let mut attribute = cell("taken_at", ["a", "FR", "1"], None, None);
        (attribute.kind, attribute.legacy_text, attribute.new_text) =
            (CellKind::Attribute, Some("007".to_owned()), Some("7".to_owned()));
        cells.cells = vec![attribute];
        assert_eq!(detect(&KeyNormalisation, &cells), None);
        cells.texts.insert("taken_at".into());
        assert_eq!(detect(&KeyNormalisation, &cells).unwrap().detail, "taken_at differs by zero padding");
    }

    #[test]
    fn an_attribute_may_differ_by_spelling_too() {
        let mut cells = empty();
        let text = |t: &str| Some(t.to_owned());
        let mut attribute = cell("source", ["a", "FR", "1"], None, None);
        (attribute.kind, attribute.legacy_text, attribute.new_text) =
            (CellKind::Attribute, text("ADEME"), text("ademe"));
        cells.cells.push(attribute);
        assert_eq!(detect(&KeyNormalisation, &cells).unwrap().detail, "source differs by case");
        cells.cells[0].new_text = text("EPA");
        assert_eq!(detect(&KeyNormalisation, &cells), None);
    }
}
