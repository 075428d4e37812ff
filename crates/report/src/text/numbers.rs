//! Numbers for people: short, and never so rounded that something reads as nothing.

use dualrun_core::run::figures::Figure;

/// A count in groups of three: 1 234 567.
pub(crate) fn count(n: u64) -> String {
    grouped(&n.to_string())
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A figure with at least six significant digits, where it has as many. The exact text stands in the JSON.
pub fn figure(figure: &Figure) -> String {
    match figure.as_str().parse() {
        Ok(value) => number(value),
        Err(_) => figure.as_str().to_owned(),
    }
}

/// A figure with its sign.
pub(crate) fn signed(figure: &Figure) -> String {
    plus(figure.to_f64(), self::figure(figure))
}

/// A share as a percentage: `12.30 %`. What is not 0 never reads as 0, and what is not all never as 100.
pub(crate) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let size = value.abs();
    if value == 0.0 {
        "0 %".to_owned()
    } else if !value.is_finite() || size == 100.0 {
        format!("{value} %")
    } else if size < 0.0001 {
        format!("{} %", scientific(value, 1))
    } else if size < 0.01 {
        format!("{value:.4} %")
    } else if (99.995..100.0).contains(&size) {
        // 99.995 would round up to 100.
        format!("{}99.99 %", if value < 0.0 { "-" } else { "" })
    } else if size >= 1e6 {
        format!("{} %", number(value))
    } else {
        format!("{value:.2} %")
    }
}

/// A share as a percentage with its sign.
pub(crate) fn signed_percent(share: f64) -> String {
    plus(share, percent(share))
}

/// Figures that stand under each other and add up: all with the same decimals, so many that the largest shows six
/// significant digits, and the smallest that is not 0 three. `None` where no common number of decimals is readable.
pub(crate) fn aligned(values: &[f64]) -> Option<Vec<String>> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let sizes = values.iter().map(|value| value.abs()).filter(|size| *size > 0.0);
    let (smallest, largest) =
        sizes.fold((f64::INFINITY, 0.0_f64), |(low, high), s| (low.min(s), high.max(s)));
    if largest == 0.0 {
        return Some(values.iter().map(|_| "0".to_owned()).collect());
    }
    let decimals = (2 - magnitude(smallest)).max(5 - magnitude(largest));
    let decimals = usize::try_from(decimals).unwrap_or(0);
    let digits = usize::try_from(magnitude(largest).max(0)).unwrap_or(0) + decimals;
    (digits <= 15).then(|| values.iter().map(|value| fixed(value + 0.0, decimals)).collect())
}

/// A decimal with all its digits, in groups of three before the point; `None` where it is no plain decimal or longer
/// than `width`.
pub(crate) fn exact(text: &str, width: usize) -> Option<String> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || fraction.is_some_and(|part| !digits(part)) {
        return None;
    }
    let text = fraction.map_or_else(|| grouped(whole), |fraction| format!("{}.{fraction}", grouped(whole)));
    (text.len() <= width).then_some(text)
}

/// The text with a plus before what is above 0.
pub(crate) fn plus(value: f64, text: String) -> String {
    if value > 0.0 { format!("+{text}") } else { text }
}

fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = magnitude(value);
    // From 15 digits on a float shows digits that it does not have.
    if !(-5..15).contains(&magnitude) {
        return scientific(value, 5);
    }
    let decimals = usize::try_from(5 - magnitude).unwrap_or(0);
    let text = fixed(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The power of ten of a value that is finite and not 0.
fn magnitude(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&text),
    }
}

/// `1.5e-7`, without zeros at the end of the mantissa.
fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// Digits, perhaps with a minus before them, in groups of three.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        figure(&Figure(text.into()))
    }

    #[test]
    fn counts_stand_in_groups() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([counted(1, "row"), counted(0, "row"), counted(2, "row")], ["1 row", "0 rows", "2 rows"]);
    }

    #[test]
    fn figures_are_short_and_never_nothing() {
        let cases = [
            ("709.5513345", "709.551"),
            ("1234567.891", "1 234 568"),
            ("-1234567.891", "-1 234 568"),
            ("0.00001234", "0.00001234"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.0000001", "1e-7"),
            ("-0.00000012345678", "-1.23457e-7"),
            ("999999.5", "1 000 000"),
            ("999999.4", "999 999"),
            ("999.9999", "1 000"),
            ("1000000000000000", "1e15"),
            ("123456789012345", "123 456 789 012 345"),
            ("1e300", "1e300"),
            ("NaN", "NaN"),
            ("-inf", "-inf"),
            ("abc", "abc"),
        ];
        for (exact, shown) in cases {
            assert_eq!(of(exact), shown, "{exact}");
        }
    }

    #[test]
    fn signs_stand_before_what_is_not_zero() {
        let of = |text: &str| signed(&Figure(text.into()));
        assert_eq!([of("2.5"), of("-2.5"), of("-0"), of("0.0000001")], ["+2.5", "-2.5", "0", "+1e-7"]);
        assert_eq!([signed_percent(0.01), signed_percent(-0.0)], ["+1.00 %", "0 %"]);
    }

    #[test]
    fn percentages_never_reach_nothing_or_everything_by_rounding() {
        let cases = [
            (0.0, "0 %"),
            (-0.0, "0 %"),
            (-0.452, "-45.20 %"),
            (0.000_099, "0.0099 %"),
            (1e-9, "1e-7 %"),
            (2.2e-16, "2.2e-14 %"),
            (0.999_99, "99.99 %"),
            (-0.999_999, "-99.99 %"),
            (1.0, "100 %"),
            (1e9, "100 000 000 000 %"),
            (f64::INFINITY, "inf %"),
        ];
        for (share, shown) in cases {
            assert_eq!(percent(share), shown, "{share}");
        }
    }

    #[test]
    fn exact_decimals_keep_their_digits() {
        let of = |text: &str| exact(text, 14);
        assert_eq!(of("-1234567.125"), Some("-1 234 567.125".into()));
        assert_eq!([of("0"), of("0.5"), of("007")], ["0", "0.5", "007"].map(|t| Some(t.to_owned())));
        assert_eq!(
            [of("12345678.1250"), of("1e5"), of("NaN"), of(""), of("1."), of("-")],
            [const { None }; 6]
        );
    }

    #[test]
    fn figures_that_add_up_share_their_decimals() {
        assert_eq!(aligned(&[1234.5, -0.25, 0.0]).unwrap(), ["1 234.500", "-0.250", "0.000"]);
        assert_eq!(aligned(&[120_000.0, 4_000.0]).unwrap(), ["120 000", "4 000"]);
        assert_eq!(aligned(&[0.0, -0.0]).unwrap(), ["0", "0"]);
        assert_eq!(aligned(&[1e12, 1e-9]), None);
        assert_eq!(aligned(&[f64::NAN]), None);
    }
}
