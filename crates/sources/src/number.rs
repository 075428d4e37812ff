//! Numbers in text and in BSON Decimal128, exact.

/// A number with its exact decimal value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Finite(Decimal),
    NaN,
    Infinity { negative: bool },
}

/// ± digits × 10^exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    pub(crate) digits: u128,
    pub(crate) exponent: i32,
}

impl Number {
    /// The nearest float.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Finite(decimal) => decimal.to_f64(),
            Self::NaN => f64::NAN,
            Self::Infinity { negative: false } => f64::INFINITY,
            Self::Infinity { negative: true } => f64::NEG_INFINITY,
        }
    }

    /// The exact decimal, none for what is not finite.
    pub(crate) fn finite(self) -> Option<Decimal> {
        match self {
            Self::Finite(decimal) => Some(decimal),
            _ => None,
        }
    }

    /// Plain decimal text without an exponent and without trailing zeros.
    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Finite(decimal) => decimal.to_text(),
            Self::NaN => "NaN".to_owned(),
            Self::Infinity { negative: false } => "inf".to_owned(),
            Self::Infinity { negative: true } => "-inf".to_owned(),
        }
    }

    /// Decodes the 16 little-endian bytes of a Decimal128 in binary integer decimal form (IEEE 754-2008 §3.5.2). A
    /// coefficient beyond 34 digits is not canonical and means 0.
    pub(crate) fn from_decimal128(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let high = (bits >> 64) as u64;
        let negative = high >> 63 == 1;
        match (high >> 58) & 0x1f {
            0x1f => return Self::NaN,
            0x1e => return Self::Infinity { negative },
            _ => {}
        }
        let (biased, coefficient) = if (high >> 61) & 3 == 3 {
            ((high >> 47) & 0x3fff, 0)
        } else {
            ((high >> 49) & 0x3fff, bits & ((1 << 113) - 1))
        };
        let digits = if coefficient >= 10u128.pow(34) { 0 } else { coefficient };
        Self::Finite(Decimal { negative, digits, exponent: biased as i32 - 6176 })
    }
}

impl Decimal {
    pub(crate) fn integer(value: i128) -> Self {
        Self { negative: value < 0, digits: value.unsigned_abs(), exponent: 0 }
    }

    /// An Arrow decimal: `unscaled` × 10^-scale.
    pub(crate) fn scaled(unscaled: i128, scale: i8) -> Self {
        Self { exponent: -i32::from(scale), ..Self::integer(unscaled) }
    }

    /// The shortest decimal that reads back as the float; none for what is not finite.
    pub(crate) fn shortest(value: f64) -> Option<Self> {
        value.is_finite().then(|| parse(&format!("{value:e}"))).flatten()
    }

    /// The value × 10^scale where that is a whole number of at most `precision` digits.
    pub(crate) fn unscaled(self, precision: u8, scale: i8) -> Option<i128> {
        let shift = i64::from(self.exponent) + i64::from(scale);
        let digits = if shift >= 0 {
            times_ten(self.digits, shift)?
        } else {
            let mut digits = self.digits;
            for _ in 0..(-shift).min(40) {
                if digits == 0 {
                    break;
                }
                if !digits.is_multiple_of(10) {
                    return None;
                }
                digits /= 10;
            }
            digits
        };
        self.signed(digits, precision)
    }

    /// The value × 10^scale, rounded half away from zero.
    pub(crate) fn unscaled_rounded(self, precision: u8, scale: i8) -> Option<i128> {
        let shift = i64::from(self.exponent) + i64::from(scale);
        if shift >= 0 {
            return self.unscaled(precision, scale);
        }
        let cut = u32::try_from(-shift).unwrap_or(u32::MAX);
        let digits = match 10u128.checked_pow(cut) {
            Some(unit) => self.digits / unit + u128::from(self.digits % unit >= unit.div_ceil(2)),
            None => 0,
        };
        self.signed(digits, precision)
    }

    /// The value as an integer where it has no fraction and fits.
    pub(crate) fn to_i64(self) -> Option<i64> {
        self.unscaled(38, 0)?.try_into().ok()
    }

    pub(crate) fn to_f64(self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// Digits before and behind the point of the plain form without trailing zeros.
    pub(crate) fn width(self) -> (u32, u32) {
        let (digits, exponent) = self.stripped();
        let length = digits.checked_ilog10().map_or(0, |log| i64::from(log) + 1);
        let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        (count(length + i64::from(exponent)), count(-i64::from(exponent)))
    }

    /// Whether some float is exactly this number.
    pub(crate) fn is_exact_f64(self) -> bool {
        let (digits, exponent) = self.stripped();
        // A float is an integer of 53 bits times a power of two: powers of two do not matter, those of five do.
        let odd = if digits == 0 { 0 } else { digits >> digits.trailing_zeros() };
        let fives = 5u128.checked_pow(exponent.unsigned_abs());
        let odd = if exponent >= 0 {
            fives.and_then(|f| odd.checked_mul(f))
        } else {
            fives.filter(|f| odd.is_multiple_of(*f)).map(|f| odd / f)
        };
        odd.is_some_and(|odd| odd < 1 << f64::MANTISSA_DIGITS)
    }

    /// Whether the shortest text of the nearest float is this number, so that no two such numbers become one float.
    pub(crate) fn is_short_f64(self) -> bool {
        let (digits, exponent) = self.stripped();
        // Fifteen digits always survive (`f64::DIGITS`).
        (digits < 10u128.pow(f64::DIGITS) && exponent.unsigned_abs() < 290)
            || Self::shortest(self.to_f64()).is_some_and(|short| short.same(self))
    }

    /// Whether both are the same number.
    pub(crate) fn same(self, other: Self) -> bool {
        let (mine, theirs) = (self.stripped(), other.stripped());
        mine == theirs && (mine.0 == 0 || self.negative == other.negative)
    }

    /// Digits and exponent without trailing zeros.
    fn stripped(self) -> (u128, i32) {
        let (mut digits, mut exponent) = (self.digits, self.exponent);
        if digits == 0 {
            return (0, 0);
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent = exponent.saturating_add(1);
        }
        (digits, exponent)
    }

    fn to_text(self) -> String {
        if self.digits == 0 {
            return "0".to_owned();
        }
        let mut digits = self.digits.to_string();
        let mut exponent = i64::from(self.exponent);
        while digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        let length = digits.len() as i64;
        let body = if exponent >= 0 {
            digits + &"0".repeat(usize::try_from(exponent).unwrap_or(0))
        } else if -exponent < length {
            let (whole, fraction) = digits.split_at(usize::try_from(length + exponent).unwrap_or(0));
            format!("{whole}.{fraction}")
        } else {
            format!("0.{}{digits}", "0".repeat(usize::try_from(-exponent - length).unwrap_or(0)))
        };
        if self.negative { format!("-{body}") } else { body }
    }

    fn signed(self, digits: u128, precision: u8) -> Option<i128> {
        let fits = 10u128.checked_pow(u32::from(precision)).is_none_or(|limit| digits < limit);
        let value = i128::try_from(digits).ok().filter(|_| fits)?;
        Some(if self.negative { -value } else { value })
    }
}

/// Reads a number in text after [`plain`]; digits beyond 38 that are not zero make it none.
pub(crate) fn parse(plain: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (plain, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut digits = 0u128;
    for c in whole.chars().chain(fraction.chars()) {
        digits = digits.checked_mul(10)?.checked_add(u128::from(c.to_digit(10)?))?;
    }
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    Some(Decimal { negative, digits, exponent })
}

/// A number in text as `[-]digits[.digits][e±digits]`: spaces of any kind are left out, the decimal mark becomes a
/// point, a minus sign of typesetters becomes a hyphen. None where the text is no number; currency signs and marks
/// between thousands stay and make it none.
pub(crate) fn plain(text: &str, mark: char) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Zero width space, word joiner and byte order mark are no white space to Unicode.
            c if c.is_whitespace() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}') => {}
            '\u{2212}' => plain.push('-'),
            c if c == mark => plain.push('.'),
            '.' => return None,
            c => plain.push(c),
        }
    }
    is_number(&plain).then_some(plain)
}

fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let unsigned = |t: &str| t.strip_prefix(['-', '+']).unwrap_or(t).to_owned();
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let mantissa = unsigned(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    let exponent_ok = exponent.map(unsigned).is_none_or(|e| !e.is_empty() && all_digits(&e));
    whole.len() + fraction.len() > 0 && all_digits(whole) && all_digits(fraction) && exponent_ok
}

fn times_ten(digits: u128, count: i64) -> Option<u128> {
    if digits == 0 {
        return Some(0);
    }
    digits.checked_mul(10u128.checked_pow(u32::try_from(count).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        parse(&plain(text, '.').unwrap()).unwrap()
    }

    #[test]
    fn all_34_digits_of_a_decimal128_are_kept() {
        for text in ["1234567890123456789012345678901234", "-1.234567890123456789012345678901234", "1E-12"] {
            let bson: bson::Decimal128 = text.parse().unwrap();
            let number = Number::from_decimal128(bson.bytes());
            assert_eq!(number.to_text(), decimal(text).to_text(), "{text}");
        }
        let nan: bson::Decimal128 = "NaN".parse().unwrap();
        assert_eq!(Number::from_decimal128(nan.bytes()), Number::NaN);
        let inf: bson::Decimal128 = "-Infinity".parse().unwrap();
        assert_eq!(Number::from_decimal128(inf.bytes()), Number::Infinity { negative: true });
    }

    #[test]
    fn spaces_of_any_kind_and_the_decimal_mark_are_read() {
        assert_eq!(plain("1\u{202F}234,50", ',').unwrap(), "1234.50");
        assert_eq!(plain("\u{2212}1\u{A0}000.5", '.').unwrap(), "-1000.5");
        for wrong in ["", "-", "1.234,5", "€ 5", "12 EUR", "1e", "0x10", "NaN", "1.2.3"] {
            assert_eq!(plain(wrong, '.'), None, "{wrong}");
        }
        assert_eq!(plain("1.5", ','), None);
    }

    #[test]
    fn a_scale_that_would_lose_digits_does_not_fit() {
        assert_eq!(decimal("1.10").unscaled(38, 4), Some(11000));
        assert_eq!(decimal("1e-12").unscaled(38, 10), None);
        assert_eq!(decimal("1e-12").unscaled_rounded(38, 10), Some(0));
        assert_eq!(decimal("-0.00000000005").unscaled_rounded(38, 10), Some(-1));
        assert_eq!(decimal("999.99").unscaled(5, 2), Some(99999));
        assert_eq!(decimal("1000.00").unscaled(5, 2), None);
        assert_eq!(decimal("1e400").unscaled(38, 0), None);
        assert_eq!(decimal("12.0").to_i64(), Some(12));
        assert_eq!(decimal("12.5").to_i64(), None);
    }

    #[test]
    fn text_is_plain_and_short() {
        assert_eq!(decimal("1.500e3").to_text(), "1500");
        assert_eq!(decimal("-0.00120").to_text(), "-0.0012");
        assert_eq!(decimal("0.1").to_f64(), 0.1);
        assert_eq!(Decimal::shortest(0.1 + 0.2).unwrap().to_text(), "0.30000000000000004");
        for (text, width) in [("120.25", (3, 2)), ("0.00120", (0, 4)), ("1e5", (6, 0)), ("0", (0, 0))] {
            assert_eq!(decimal(text).width(), width, "{text}");
        }
        assert_eq!(decimal("1e2000000000").width(), (2_000_000_001, 0));
    }

    #[test]
    fn numbers_that_floats_hold_are_told_from_others() {
        for exact in
            ["0", "-1.5", "9007199254740992", "9007199254740994", "1e22", "100000000000000000000", "0.125"]
        {
            assert!(decimal(exact).is_exact_f64() && decimal(exact).to_f64().is_finite(), "{exact}");
        }
        for other in ["0.1", "9007199254740993", "-18446744073709551615", "1e23", "1e-30", "1e400"] {
            assert!(!decimal(other).is_exact_f64(), "{other}");
        }
        for short in ["0.1", "0.30000000000000004", "1e23", "-2e-300"] {
            assert!(decimal(short).is_short_f64(), "{short}");
        }
        for long in ["0.10000000000000001", "9007199254740993", "1e400", "1e-400"] {
            assert!(!decimal(long).is_short_f64(), "{long}");
        }
    }
}
