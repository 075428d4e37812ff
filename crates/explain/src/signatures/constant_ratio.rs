//! One ratio on all rows.

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match, NOISE};
use crate::cells::exact::to_f64;

/// new = r × legacy with the same r everywhere.
pub(super) struct ConstantRatio;

/// Ratios that have a name: binary and decimal units (IEC 80000-13), calendar constants, usual value-added tax,
/// short ton and pound (NIST SP 811), carbon to carbon dioxide.
const NAMED: [(f64, &str); 13] = [
    (1.024, "KiB and kB"),
    (1.048576, "MiB and MB"),
    (1.073741824, "GiB and GB"),
    (1.099511627776, "TiB and TB"),
    (366.0 / 365.0, "366 and 365 days"),
    (365.0 / 360.0, "365 and 360 days"),
    (366.0 / 360.0, "366 and 360 days"),
    (8_760.0 / 8_640.0, "8760 and 8640 hours"),
    (8_784.0 / 8_760.0, "8784 and 8760 hours"),
    (1.2, "20 % value-added tax"),
    (1.0 / 0.907_184_74, "short tons and tonnes"),
    (1.0 / 0.453_592_37, "pounds and kilograms"),
    (44.0 / 12.0, "carbon and carbon dioxide"),
];

impl Detector for ConstantRatio {
    fn name(&self) -> &'static str {
        "constant_ratio"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        if let Some(found) = partial(group, facts) {
            return Some(found);
        }
        let ratio = group.median(|legacy, new| (legacy != 0.0).then_some(new / legacy))?;
        if ratio == 0.0 || (ratio - 1.0).abs() < 1e-12 {
            return None;
        }
        let matched = group.matching(|legacy, new| {
            // Noise of the figures must not swallow the difference itself.
            let off = (new - legacy).abs();
            let near = facts.slack(group.column, legacy, new).min(1e-3 * off).max(1e-6 * off);
            legacy != 0.0 && (new - ratio * legacy).abs() <= near
        });
        let (shown, matched) = group.by_ratio(facts, ratio, &matched);
        // Any two figures have a ratio: it takes three of different size to call it constant.
        if matched.len() < 3 || !group.distinct(&matched, 2) {
            return None;
        }
        if !tells(group, ratio, &matched) {
            return None;
        }
        let name = name(ratio).map(|name| format!(" ({name})"));
        let name = name.or_else(|| {
            let pair = facts.factors.instead(ratio)?;
            Some(format!(" (as {} ÷ {} in {}, {})", pair.new, pair.legacy, pair.table, pair.edition))
        });
        Match::some(format!("new = {shown} × legacy{}", name.unwrap_or_default()), matched)
    }
}

/// Whether figures are far enough apart to tell the ratio from the whole number beside it and an offset: 5000000001 is
/// no multiple of 1.0000000002 because 5000000000 stands in the legacy result.
fn tells(group: &Group<'_>, ratio: f64, rows: &[usize]) -> bool {
    let beside = (ratio - ratio.round()).abs();
    if beside <= NOISE * ratio.abs() || beside > 1e-3 {
        return true;
    }
    let (mut least, mut most, mut unit) = (f64::INFINITY, f64::NEG_INFINITY, 0.0f64);
    for row in rows {
        let Some((legacy, new)) = group.cells.cells[*row].pair() else { continue };
        (least, most) = (least.min(legacy), most.max(legacy));
        let digit = group.exact(*row).map(|exact| to_f64(i256::ONE, exact.scale));
        unit = unit.max(digit.unwrap_or(NOISE * legacy.abs().max(new.abs())));
    }
    beside * (most - least) >= 2.0 * unit
}

/// What a ratio, or its inverse, is known for.
fn name(ratio: f64) -> Option<&'static str> {
    let is = |named: f64| (ratio / named - 1.0).abs() < 1e-7 || (ratio * named - 1.0).abs() < 1e-7;
    NAMED.iter().find(|(named, _)| is(*named)).map(|(_, name)| *name)
}

/// Of the rows at least this many, and this share, have the named ratio itself where others have a part of it.
const EXACT: usize = 5;
const EXACT_SHARE: f64 = 0.1;

/// Of the other rows at least this share lies between the ratio and 1, and nearly all on its side of 1: credits in a
/// sum may carry it beyond.
const BETWEEN: f64 = 0.7;
const SIDE: f64 = 0.95;

/// A ratio with a name on a part of what is added up: some rows have it, and the others lie between it and 1. Counts
/// have such ratios by chance and are left out.
fn partial(group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
    let ratios: Vec<(usize, f64, f64)> = group
        .pairs()
        .filter(|(_, legacy, new)| *legacy != 0.0 && (legacy.fract() != 0.0 || new.fract() != 0.0))
        .map(|(row, legacy, new)| (row, new / legacy, facts.slack(group.column, legacy, new) / legacy.abs()))
        .collect();
    let (mut best, mut extreme, mut shown) = (0usize, 1.0f64, String::new());
    for candidate in NAMED.iter().flat_map(|(named, _)| [*named, 1.0 / named]) {
        let near =
            |(_, ratio, slack): &&(usize, f64, f64)| (ratio - candidate).abs() <= slack.max(1e-7 * candidate);
        let rows: Vec<usize> = ratios.iter().filter(near).map(|(row, ..)| *row).collect();
        let (text, rows) = group.by_ratio(facts, candidate, &rows);
        let exact = rows.len();
        if exact > best {
            (best, extreme, shown) = (exact, candidate, text);
        }
    }
    let all = group.rows.len();
    let others = all - best;
    if best < EXACT || others == 0 || (best as f64) < EXACT_SHARE * all as f64 {
        return None;
    }
    let side: Vec<usize> = ratios
        .iter()
        .filter(|(_, ratio, _)| (*ratio < 1.0) == (extreme < 1.0))
        .map(|(row, ..)| *row)
        .collect();
    let inside =
        |ratio: f64| ratio > extreme.min(1.0) * (1.0 - 1e-7) && ratio < extreme.max(1.0) * (1.0 + 1e-7);
    let between = ratios.iter().filter(|(_, ratio, _)| inside(*ratio)).count() - best.min(all);
    if (side.len() as f64) < SIDE * all as f64 || (between as f64) < BETWEEN * others as f64 {
        return None;
    }
    group.distinct(&side, EXACT).then_some(())?;
    let name = name(extreme)?;
    let detail = format!(
        "new = {shown} × legacy ({name}) in {best} of {all} rows, between that and legacy in {between} others: it holds for \
         some of what is added up"
    );
    Match::some(detail, side)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn times(ratio: f64) -> [(f64, f64); 4] {
        [1.0, 2.5, 7.0, 11.3].map(|legacy| (legacy, legacy * ratio))
    }

    #[test]
    fn one_ratio_fits_and_known_ones_have_a_name() {
        assert_eq!(whole(&ConstantRatio, &times(1.37)).as_deref(), Some("new = 1.37 × legacy"));
        assert_eq!(
            whole(&ConstantRatio, &times(1.073741824)).as_deref(),
            Some("new = 1.07374182 × legacy (GiB and GB)")
        );
        assert_eq!(
            whole(&ConstantRatio, &times(365.0 / 366.0)).as_deref(),
            Some("new = 0.99726776 × legacy (366 and 365 days)")
        );
    }

    #[test]
    fn a_named_ratio_on_a_part_of_what_is_added_up_is_said() {
        let mut pairs: Vec<(f64, f64)> =
            (0..6).map(|i| (10.1 + f64::from(i), (10.1 + f64::from(i)) / 1.2)).collect();
        pairs.extend([(7.31, 7.02), (9.77, 8.5)]);
        assert_eq!(
            whole(&ConstantRatio, &pairs).as_deref(),
            Some(
                "new = 0.833333333 × legacy (20 % value-added tax) in 6 of 8 rows, between that and legacy in 2 \
                 others: it holds for some of what is added up"
            )
        );
        // A row beyond the ratio, a ratio without a name, and counts.
        let mut beyond = pairs.clone();
        beyond[7].1 = 8.0;
        assert_eq!(whole(&ConstantRatio, &beyond), None);
        let nameless: Vec<_> =
            pairs.iter().map(|(l, n)| (*l, if n * 1.2 == *l { l / 1.21 } else { *n })).collect();
        assert_eq!(whole(&ConstantRatio, &nameless), None);
        let counts: Vec<_> =
            (1..8).map(|i| (f64::from(i) * 6.0, f64::from(i) * 5.0)).chain([(9.0, 8.0)]).collect();
        assert_eq!(whole(&ConstantRatio, &counts), None);
    }

    #[test]
    fn the_factors_of_two_keys_are_named_where_only_they_have_the_ratio() {
        use crate::context::{Context, FactorTable, FactorValue};
        let value = |key: &str, value: f64| FactorValue { key: key.into(), edition: "2022".into(), value };
        let table = |values| Context {
            factors: vec![FactorTable { name: "grid".into(), values }],
            ..Context::default()
        };
        let said = |context: &Context| {
            let cells = kwh(&[1.1, 2.5, 7.0].map(|legacy| (legacy, legacy * 436.43 / 257.639)));
            detect_in(&ConstantRatio, &cells, context).map(|m| m.detail)
        };
        let mut context = table(vec![value("GBR", 257.639), value("WORLD", 436.43), value("FRA", 84.817)]);
        assert_eq!(
            said(&context).as_deref(),
            Some("new = 1.69395938 × legacy (as WORLD ÷ GBR in grid, 2022)")
        );
        // Two pairs with the same ratio name nothing.
        context.factors[0].values.push(value("EARTH", 436.43));
        assert_eq!(said(&context).as_deref(), Some("new = 1.69395938 × legacy"));
    }

    #[test]
    fn figures_with_a_last_digit_have_the_ratio_to_that_digit() {
        let large = 10_i128.pow(17);
        let varying: Vec<_> = (0..8).map(|i| (large + i, large + i + 2_000 + i % 3 - 1)).collect();
        assert_eq!(detect(&ConstantRatio, &decimals(&varying, 2)), None);
        let varying: Vec<_> = (0..8).map(|i| (1e12 + f64::from(i), 1e12 + 2e4 + f64::from(i * i))).collect();
        assert_eq!(whole(&ConstantRatio, &varying), None);
        // An offset on figures of nearly one size.
        let near = [0, 1, 2, 3, 4].map(|i| (5e9 + f64::from(977 * i), -5e9 - f64::from(977 * i) + 1.0));
        assert_eq!(whole(&ConstantRatio, &near), None);
        let near = near.map(|(legacy, new)| (legacy + 0.25, new + 0.5));
        assert_eq!(whole(&ConstantRatio, &near), None);
        // The text tells the ratio from 1, and is what brings the figures about.
        let million = 10_i128.pow(6);
        let near_one = |i: i128| ((large + i * million) * million, (large + i * million) * (million + 1));
        let cells = decimals(&[near_one(1), near_one(2), near_one(3)], 2);
        assert_eq!(detect(&ConstantRatio, &cells).unwrap().detail, "new = 1.000001 × legacy");
        let gib = |i: i128| (million.pow(3) * i, 1_073_741_824 * i * 10_i128.pow(9));
        let cells = decimals(&[gib(1), gib(2), gib(3)], 2);
        assert_eq!(detect(&ConstantRatio, &cells).unwrap().detail, "new = 1.073741824 × legacy (GiB and GB)");
    }

    #[test]
    fn a_ratio_that_varies_or_few_rows_do_not_fit() {
        assert_eq!(whole(&ConstantRatio, &[(1.0, 1.37), (2.0, 2.75), (3.0, 4.0), (4.0, 5.5)]), None);
        assert_eq!(whole(&ConstantRatio, &times(1.37)[..2]), None);
        assert_eq!(whole(&ConstantRatio, &[(1.0, 1.37); 5]), None);
    }
}
