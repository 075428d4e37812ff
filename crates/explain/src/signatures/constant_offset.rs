//! One difference on all rows.

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match, NOISE, figure};
use crate::cells::exact::{to_f64, to_text};

/// new = legacy + d with the same d everywhere.
pub(super) struct ConstantOffset;

impl Detector for ConstantOffset {
    fn name(&self) -> &'static str {
        "constant_offset"
    }

    fn local(&self) -> bool {
        true
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let offset = group.median(|legacy, new| Some(new - legacy))?;
        if offset == 0.0 {
            return None;
        }
        let matched = group.matching(|legacy, new| {
            let size = legacy.abs().max(new.abs()) + offset.abs();
            // Noise of the figures must not swallow the offset itself, but floats have no further digits.
            let near = (NOISE * size)
                .min(1e-6 * offset.abs())
                .max(4.0 * f64::EPSILON * size)
                .max(facts.allowed(group.column, legacy, new))
                .min(1e-3 * offset.abs());
            (new - legacy - offset).abs() <= near
        });
        let (size, matched) = match exact(group, facts, &matched) {
            Some((difference, scale, matched)) => (to_text(difference.wrapping_abs(), scale), matched),
            None => (figure(offset.abs()), matched),
        };
        if matched.len() < 3 || !group.distinct(&matched, 2) {
            return None;
        }
        let sign = if offset < 0.0 { "−" } else { "+" };
        Match::some(format!("new = legacy {sign} {size}"), matched)
    }
}

/// Where all figures have a last digit: the difference that lies in the middle, its digits after the point, and the
/// cells that have it to that digit or what is allowed.
fn exact(group: &Group<'_>, facts: &Facts<'_>, rows: &[usize]) -> Option<(i256, u32, Vec<usize>)> {
    let differences = rows
        .iter()
        .map(|row| {
            let exact = group.exact(*row)?;
            Some((*row, exact.difference()?, exact.scale))
        })
        .collect::<Option<Vec<_>>>()?;
    let scale = differences.first()?.2;
    let mut sorted: Vec<i256> = differences.iter().map(|(_, difference, _)| *difference).collect();
    sorted.sort_unstable();
    let middle = *sorted.get(sorted.len() / 2)?;
    let fits = |row: usize, difference: i256| {
        let allowed = || {
            let (legacy, new) = group.cells.cells[row].pair()?;
            let off = difference.checked_sub(middle)?.checked_abs()?;
            Some(to_f64(off, scale) <= facts.allowed(group.column, legacy, new))
        };
        difference == middle || allowed().unwrap_or(false)
    };
    let same_scale = differences.iter().all(|(.., s)| *s == scale);
    let matched = differences.iter().filter(|(row, difference, _)| fits(*row, *difference));
    same_scale.then(|| (middle, scale, matched.map(|(row, ..)| *row).collect()))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn one_offset_fits_and_a_varying_one_does_not() {
        assert_eq!(
            whole(&ConstantOffset, &[(1.0, 3.5), (10.0, 12.5), (0.0, 2.5)]).as_deref(),
            Some("new = legacy + 2.5")
        );
        assert_eq!(
            whole(&ConstantOffset, &[(1.0, 0.5), (10.0, 9.5), (4.0, 3.5)]).as_deref(),
            Some("new = legacy − 0.5")
        );
        assert_eq!(whole(&ConstantOffset, &[(1.0, 3.5), (10.0, 12.6), (0.0, 2.4)]), None);
        assert_eq!(whole(&ConstantOffset, &[(1.0, 3.5), (1.0, 3.5), (1.0, 3.5)]), None);
    }

    #[test]
    fn figures_with_a_last_digit_have_the_offset_to_that_digit() {
        let varying: Vec<_> = (0..7).map(|i| (1e15 + f64::from(i), 1e15 + 1e4 + f64::from(3 * i))).collect();
        assert_eq!(whole(&ConstantOffset, &varying), None);
        let fractions: Vec<_> =
            (0..7).map(|i| (1e12 + 0.5 + f64::from(i), 1e12 + 2000.75 + f64::from(i + i % 3))).collect();
        assert!(detect(&ConstantOffset, &kwh(&fractions)).is_none_or(|m| m.matched.len() < 4));
        let large = 10_i128.pow(17);
        let moved = |by: i128| [1, 2, 3].map(|i| (large * i, large * i + by));
        let said = |by| detect(&ConstantOffset, &decimals(&moved(by), 2)).unwrap().detail;
        assert_eq!(said(12_345_678_901), "new = legacy + 123456789.01");
        assert_eq!(said(-12_345_678_901), "new = legacy − 123456789.01");
    }
}
