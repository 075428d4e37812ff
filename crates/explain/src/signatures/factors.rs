//! Ratios and values of factor tables, sorted for look-up.

use std::collections::BTreeMap;

use crate::context::FactorTable;

/// At most this many ratios are kept: beyond it a ratio would fit some of them by chance.
const MOST: usize = 100_000;

/// Ratios of editions and values, each with where it stands.
#[derive(Debug, Default)]
pub(crate) struct FactorIndex {
    ratios: Vec<(f64, EditionRatio)>,
    values: Vec<(f64, Named)>,
    /// The values of each table and edition with their keys, ascending.
    editions: BTreeMap<(String, String), Vec<(f64, String)>>,
}

/// The factors of two keys of one edition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyRatio {
    pub(crate) table: String,
    pub(crate) edition: String,
    /// The key of the numerator: what the new calculation uses.
    pub(crate) new: String,
    /// The key of the denominator.
    pub(crate) legacy: String,
}

/// The value of one edition over the value of another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EditionRatio {
    pub(crate) table: String,
    pub(crate) key: String,
    /// The edition in the numerator: what the new calculation uses.
    pub(crate) new: String,
    /// The edition in the denominator.
    pub(crate) legacy: String,
}

/// A factor by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) table: String,
    pub(crate) key: String,
}

impl FactorIndex {
    pub(crate) fn new(tables: &[FactorTable]) -> Self {
        let mut index = Self::default();
        for table in tables {
            for factor in table.values.iter().filter(|f| f.value.is_finite() && f.value > 0.0) {
                let edition = index.editions.entry((table.name.clone(), factor.edition.clone())).or_default();
                edition.push((factor.value, factor.key.clone()));
            }
            let mut by_key: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
            for factor in table.values.iter().filter(|f| f.value.is_finite() && f.value != 0.0) {
                by_key.entry(&factor.key).or_default().push((&factor.edition, factor.value));
            }
            for (key, editions) in by_key {
                index.add(&table.name, key, &editions);
            }
        }
        index.ratios.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        index.values.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        index.values.dedup();
        for values in index.editions.values_mut() {
            values.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            values.dedup();
        }
        index
    }

    fn add(&mut self, table: &str, key: &str, editions: &[(&str, f64)]) {
        for (new, numerator) in editions {
            if self.values.len() < MOST && tells(*numerator) {
                self.values.push((*numerator, Named { table: table.into(), key: key.into() }));
            }
            for (legacy, denominator) in editions.iter().filter(|(legacy, _)| legacy != new) {
                let ratio = numerator / denominator;
                if self.ratios.len() < MOST && tells(ratio) {
                    let of = EditionRatio {
                        table: table.into(),
                        key: key.into(),
                        new: (*new).into(),
                        legacy: (*legacy).into(),
                    };
                    self.ratios.push((ratio, of));
                }
            }
        }
    }

    /// Edition ratios that lie within a relative window of a ratio.
    pub(crate) fn ratios(&self, ratio: f64, window: f64) -> impl Iterator<Item = &EditionRatio> {
        near(&self.ratios, ratio, window)
    }

    /// Factors whose value lies within a relative window of a ratio.
    pub(crate) fn values(&self, ratio: f64, window: f64) -> impl Iterator<Item = &Named> {
        near(&self.values, ratio, window)
    }

    /// The two keys of one kind whose factors have this ratio within one edition: none where several pairs have it, or
    /// where it is a ratio of small whole numbers.
    pub(crate) fn instead(&self, ratio: f64) -> Option<KeyRatio> {
        let mut found: Option<KeyRatio> = None;
        if ratio.is_nan() || ratio <= 0.0 || !speaks(1.5, 1.5 * ratio) {
            return None;
        }
        for ((table, edition), values) in &self.editions {
            for (value, legacy) in values {
                for new in near(values, value * ratio, 2e-9).filter(|new| kind(new) == kind(legacy)) {
                    let pair = KeyRatio {
                        table: table.clone(),
                        edition: edition.clone(),
                        new: new.clone(),
                        legacy: legacy.clone(),
                    };
                    match &found {
                        Some(other) if other.new != pair.new || other.legacy != pair.legacy => return None,
                        Some(_) => {}
                        None => found = Some(pair),
                    }
                }
            }
        }
        found
    }

    /// Whether no factor is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.ratios.is_empty()
    }
}

/// The part of a key that says of what kind its factor is.
fn kind(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(kind, _)| kind)
}

/// The first names of a list, and how many more there are.
pub(crate) fn some_of(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(3);
    let listed = names.into_iter().take(3).collect::<Vec<_>>().join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

/// How far the ratio of two figures may lie from the one of a table: float noise, and the tolerance of the column
/// while it stays small enough for a ratio to name its factor.
pub(crate) fn window(slack: f64, new: f64) -> f64 {
    1e-9 + (slack / new.abs()).min(1e-7)
}

/// Whether the ratio of two figures may name a factor: counts, and figures that stand in a ratio of small whole
/// numbers, fit the one or the other factor by chance.
pub(crate) fn speaks(legacy: f64, new: f64) -> bool {
    if legacy.fract() == 0.0 && new.fract() == 0.0 {
        return false;
    }
    let ratio = new / legacy;
    let whole = |x: f64| (x - x.round()).abs() <= 1e-7;
    ratio.is_finite() && !(1..=12).any(|n| whole(ratio * f64::from(n)) || whole(f64::from(n) / ratio))
}

/// So many rows with different figures must fit before a factor is named.
pub(crate) const LEAST: usize = 3;

fn near<T>(sorted: &[(f64, T)], ratio: f64, window: f64) -> impl Iterator<Item = &T> {
    let width = window * ratio.abs();
    let first = sorted.partition_point(|(value, _)| *value < ratio - width);
    sorted[first..].iter().take_while(move |(value, _)| *value <= ratio + width).map(|(_, of)| of)
}

/// A ratio of 1 would fit every cell that did not change.
fn tells(ratio: f64) -> bool {
    ratio.is_finite() && (ratio - 1.0).abs() > 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ratios_of_small_numbers_name_no_factor() {
        assert!(speaks(1.0, 1.135) && speaks(5.827, 5.827 * 1.58));
        assert!(!speaks(1000.0, 1135.0) && !speaks(2.5, 3.0) && !speaks(1.5, 2.0) && !speaks(3.0, 1.8));
        assert!(!speaks(0.0, 1.5) && !speaks(1.5, 0.0) && !speaks(1.5, f64::NAN));
    }
}
