//! A join that multiplies rows.

use super::{Detector, Facts, Group, Match, figure};

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
                    && (large - multiple * small).abs() <= slack.max(1e-9 * large.abs())
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
        if up.0.len() >= down.0.len() {
            Match::some(format!("new = {} × legacy", joined(&up.1)), up.0)
        } else {
            Match::some(format!("legacy = {} × new", joined(&down.1)), down.0)
        }
    }
}

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
    fn a_ratio_beside_an_integer_does_not_fit() {
        assert_eq!(whole(&FanOut, &[(1.0, 2.001)]), None);
        assert_eq!(whole(&FanOut, &[(1.0, 1.5)]), None);
        assert_eq!(whole(&FanOut, &[(1.0, -2.0)]), None);
        assert_eq!(whole(&FanOut, &[(0.0, 2.0)]), None);
    }
}
