//! A join that multiplies rows.

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match, NOISE, figure};

/// The ratio is a small integer on every row; rows may have different ones.
pub(super) struct FanOut;

/// Beyond this a ratio says nothing: every large number is near an integer.
const MOST: f64 = 100.0;

impl Detector for FanOut {
    fn name(&self) -> &'static str {
        "fan_out"
    }

    fn narrow(&self) -> bool {
        true
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let of = |up: bool| -> (Vec<usize>, Vec<f64>) {
            let mut multiples = Vec::new();
            let mut matched = Vec::new();
            for (row, legacy, new) in group.pairs() {
                let (small, large) = if up { (legacy, new) } else { (new, legacy) };
                let multiple = (large / small).round();
                let slack = facts.slack(group.column, legacy, new).min(1e-6 * large.abs());
                if (2.0..=MOST).contains(&multiple)
                    && is_multiple(group, facts, row, multiple, up)
                    && (large - multiple * small).abs() <= slack.max(NOISE * large.abs())
                {
                    matched.push(row);
                    multiples.push(multiple);
                }
            }
            multiples.sort_by(f64::total_cmp);
            multiples.dedup();
            (matched, multiples)
        };
        let (up, down) = (of(true), of(false));
        if let Some(partial) = partial(group, facts, up.0.len()) {
            return Some(partial);
        }
        if up.0.len() >= down.0.len() {
            Match::some(format!("new = {} × legacy", joined(&up.1)), up.0)
        } else {
            Match::some(format!("legacy = {} × new", joined(&down.1)), down.0)
        }
    }
}

/// Some of what is added up was multiplied: half of the rows and more, `whole` of them, are a whole multiple, and all
/// others lie between legacy and the same multiple.
fn partial(group: &Group<'_>, facts: &Facts<'_>, whole: usize) -> Option<Match> {
    let mut multiple = 0.0f64;
    let (mut exact, mut between, mut matched) = (0usize, 0usize, Vec::new());
    for (row, legacy, new) in group.pairs() {
        let ratio = new / legacy;
        let nearest = ratio.round();
        if (2.0..=MOST).contains(&nearest)
            && is_multiple(group, facts, row, nearest, true)
            && (new - nearest * legacy).abs() <= facts.slack(group.column, legacy, new)
        {
            multiple = multiple.max(nearest);
            exact += 1;
            matched.push((row, nearest, true));
        } else {
            between += 1;
            matched.push((row, ratio, false));
        }
    }
    matched.retain(|(_, ratio, whole)| *ratio > 1.0 && (*whole || *ratio < multiple));
    let all = group.rows.len();
    if matched.len() < all || between == 0 || exact != whole || exact < LEAST || 2 * exact < all {
        return None;
    }
    let detail = format!(
        "new = {} × legacy in {exact} of {all} rows, less than that in the others: some of what is added up counts \
         several times",
        if multiple > 2.0 { format!("2 to {}", figure(multiple)) } else { figure(multiple) },
    );
    Match::some(detail, matched.into_iter().map(|(row, ..)| row).collect())
}

/// Whether the large figure is this multiple of the small one to half a unit of its last digit.
fn is_multiple(group: &Group<'_>, facts: &Facts<'_>, row: usize, multiple: f64, up: bool) -> bool {
    let multiple = i256::from(multiple as i64);
    let (numerator, denominator) = if up { (multiple, i256::ONE) } else { (i256::ONE, multiple) };
    group.is_times(facts, row, numerator, denominator)
}

/// So many rows are whole multiples before others are taken for parts of them.
const LEAST: usize = 3;

fn joined(multiples: &[f64]) -> String {
    match multiples {
        [one] => figure(*one),
        [one, other] => format!("{} or {}", figure(*one), figure(*other)),
        [least, .., most] => format!("{} to {}", figure(*least), figure(*most)),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn whole_multiples_fit_even_where_they_differ() {
        assert_eq!(whole(&FanOut, &[(1.1, 2.2), (7.0, 14.0)]).as_deref(), Some("new = 2 × legacy"));
        assert_eq!(
            whole(&FanOut, &[(1.0, 2.0), (1.0, 3.0), (5.0, 25.0)]).as_deref(),
            Some("new = 2 to 5 × legacy")
        );
        assert_eq!(whole(&FanOut, &[(6.0, 3.0)]).as_deref(), Some("legacy = 2 × new"));
    }

    #[test]
    fn rows_of_which_a_part_is_multiplied_lie_between() {
        let pairs = [(1.0, 2.0), (3.5, 7.0), (2.2, 4.4), (4.0, 5.3)];
        assert_eq!(
            whole(&FanOut, &pairs).as_deref(),
            Some(
                "new = 2 × legacy in 3 of 4 rows, less than that in the others: some of what is added up counts \
                 several times"
            )
        );
        // One row below legacy, or too few whole multiples.
        assert_eq!(whole(&FanOut, &[(1.0, 2.0), (3.5, 7.0), (2.2, 4.4), (4.0, 3.3)]), None);
        assert_eq!(whole(&FanOut, &[(1.0, 2.0), (3.5, 7.0), (2.2, 3.4), (4.0, 5.3)]), None);
    }

    #[test]
    fn a_ratio_beside_an_integer_does_not_fit() {
        assert_eq!(whole(&FanOut, &[(1.0, 2.001)]), None);
        assert_eq!(whole(&FanOut, &[(1.0, 1.5)]), None);
        assert_eq!(whole(&FanOut, &[(1.0, -2.0)]), None);
        assert_eq!(whole(&FanOut, &[(0.0, 2.0)]), None);
    }

    #[test]
    fn figures_with_a_last_digit_fit_to_that_digit() {
        assert_eq!(whole(&FanOut, &[(1e9, 2e9 + 1.0)]), None);
        assert_eq!(whole(&FanOut, &[(5e9 + 0.25, 1e10 + 1.5)]), None);
        let large = 10_i128.pow(20);
        assert_eq!(detect(&FanOut, &decimals(&[(large, large * 2 + 1)], 2)), None);
        assert_eq!(detect(&FanOut, &decimals(&[(large, large * 3)], 2)).unwrap().detail, "new = 3 × legacy");
    }
}
