//! `numeric` in PostgreSQL's binary form as decimals, exactly.
//!
//! The form (`numeric_send` in the server's `numeric.c`): four 16-bit words (number of digits, weight, sign, display
//! scale), then the digits to base 10,000; the first is worth 10,000 to the power of the weight.

use arrow::datatypes::i256;

use super::decode::Bad;

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0x0000;

/// The digits of a finite number.
pub(super) struct Digits<'a> {
    /// Two bytes each, most significant first, no zeros at the end.
    groups: &'a [u8],
    /// The power of ten of the last digit of the last group.
    exponent: i32,
    negative: bool,
}

impl<'a> Digits<'a> {
    pub(super) fn parse(field: &'a [u8]) -> Result<Self, Bad> {
        let (head, mut groups) = field.split_first_chunk::<8>().ok_or(Bad::Malformed)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let count = usize::from(word(0));
        let weight = i32::from(word(2).cast_signed());
        let negative = match word(4) {
            POSITIVE => false,
            NEGATIVE => true,
            // NaN, and the infinities of PostgreSQL 14.
            _ => return Err(Bad::NotFinite),
        };
        if groups.len() != count * 2 {
            return Err(Bad::Malformed);
        }
        let mut last = weight - i32::from(word(0).cast_signed()) + 1;
        while let Some(shorter) = groups.strip_suffix(&[0, 0]) {
            groups = shorter;
            last += 1;
        }
        Ok(Self { groups, exponent: last * 4, negative })
    }

    /// The number times 10 to the power of `scale`, with fewer than `precision` + 1 digits.
    pub(super) fn to_i128(&self, precision: u8, scale: u8) -> Result<i128, Bad> {
        let value = self.magnitude(scale)?.ok_or(Bad::TooLarge)?;
        let value = i128::try_from(value).map_err(|_| Bad::TooLarge)?;
        match POWERS.get(usize::from(precision)) {
            Some(limit) if value.cast_unsigned() >= *limit => Err(Bad::TooLarge),
            _ => Ok(if self.negative { -value } else { value }),
        }
    }

    /// As [`Self::to_i128`], for up to 76 digits.
    pub(super) fn to_i256(&self, precision: u8, scale: u8) -> Result<i256, Bad> {
        let value = match self.magnitude(scale)? {
            // Below 2^127 the halves need no care for the sign.
            Some(value) if i128::try_from(value).is_ok() => i256::from_parts(value, 0),
            _ => self.wide_magnitude(scale)?,
        };
        let limit = i256::from_i128(10).checked_pow(u32::from(precision)).ok_or(Bad::TooLarge)?;
        match value {
            value if value >= limit => Err(Bad::TooLarge),
            value if self.negative => value.checked_neg().ok_or(Bad::TooLarge),
            value => Ok(value),
        }
    }

    /// The absolute value at a scale; none where it needs more than 128 bits.
    fn magnitude(&self, scale: u8) -> Result<Option<u128>, Bad> {
        let Some((rest, last, power, cut)) = self.parts(scale)? else { return Ok(Some(0)) };
        if self.groups.len() <= 4 && power <= 2 {
            // The usual number: at most 18 digits in all.
            let high = rest.chunks_exact(2).fold(0u64, |acc, g| acc * 10_000 + group(g));
            let value = high * SMALL[4 - cut] + last / SMALL[cut];
            return Ok(Some(u128::from(value * SMALL[power])));
        }
        let mut value = 0u128;
        for digits in rest.chunks_exact(2) {
            let Some(next) = value.checked_mul(10_000).and_then(|v| v.checked_add(u128::from(group(digits))))
            else {
                return Ok(None);
            };
            value = next;
        }
        let Some(power) = POWERS.get(power) else { return Ok(None) };
        Ok(value
            .checked_mul(u128::from(SMALL[4 - cut]))
            .and_then(|v| v.checked_add(u128::from(last / SMALL[cut])))
            .and_then(|v| v.checked_mul(*power)))
    }

    fn wide_magnitude(&self, scale: u8) -> Result<i256, Bad> {
        let Some((rest, last, power, cut)) = self.parts(scale)? else { return Ok(i256::ZERO) };
        let wide = |value: u64| i256::from_parts(u128::from(value), 0);
        let power = u32::try_from(power).map_err(|_| Bad::TooLarge)?;
        let mut value = i256::ZERO;
        for digits in rest.chunks_exact(2) {
            value = value
                .checked_mul(wide(10_000))
                .and_then(|v| v.checked_add(wide(group(digits))))
                .ok_or(Bad::TooLarge)?;
        }
        value
            .checked_mul(wide(SMALL[4 - cut]))
            .and_then(|v| v.checked_add(wide(last / SMALL[cut])))
            .and_then(|v| v.checked_mul(wide(10).checked_pow(power)?))
            .ok_or(Bad::TooLarge)
    }

    /// All groups but the last, the last, the power of ten to multiply by, and how many digits of the last group
    /// are zeros beyond the scale. None: the number is 0.
    #[allow(clippy::type_complexity)]
    fn parts(&self, scale: u8) -> Result<Option<(&[u8], u64, usize, usize)>, Bad> {
        let Some((rest, last)) = self.groups.split_last_chunk::<2>() else { return Ok(None) };
        let last = u64::from(u16::from_be_bytes(*last));
        let power = self.exponent + i32::from(scale);
        // The last group is not 0, so a digit of it stands beyond the scale.
        if power < -3 {
            return Err(Bad::TooManyDigits);
        }
        let cut = usize::try_from(-power).unwrap_or(0);
        if !last.is_multiple_of(SMALL[cut]) {
            return Err(Bad::TooManyDigits);
        }
        Ok(Some((rest, last, usize::try_from(power).unwrap_or(0), cut)))
    }
}

fn group(digits: &[u8]) -> u64 {
    u64::from(u16::from_be_bytes([digits[0], digits[1]]))
}

const SMALL: [u64; 5] = [1, 10, 100, 1000, 10_000];

/// The powers of ten that 128 bits hold.
const POWERS: [u128; 39] = {
    let mut powers = [1u128; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The binary form of decimal text, as the server sends it.
    pub(crate) fn encode(text: &str) -> Vec<u8> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let groups = |t: &str| -> Vec<u16> {
            t.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect()
        };
        let (mut digits, mut weight) = (groups(&whole), i32::try_from(whole.len() / 4).unwrap() - 1);
        digits.extend(groups(&padded));
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            weight = 0;
        }
        let sign = if negative { NEGATIVE } else { POSITIVE };
        let head = [
            u16::try_from(digits.len()).unwrap(),
            i16::try_from(weight).unwrap().cast_unsigned(),
            sign,
            u16::try_from(fraction.len()).unwrap(),
        ];
        head.iter().chain(&digits).flat_map(|w| w.to_be_bytes()).collect()
    }

    fn narrow(text: &str, precision: u8, scale: u8) -> Result<i128, Bad> {
        Digits::parse(&encode(text)).and_then(|d| d.to_i128(precision, scale))
    }

    fn wide(text: &str, precision: u8, scale: u8) -> Result<String, Bad> {
        Digits::parse(&encode(text)).and_then(|d| d.to_i256(precision, scale)).map(|v| v.to_string())
    }

    #[test]
    fn numbers_come_out_exactly_at_the_scale_of_their_column() {
        assert_eq!(narrow("0", 10, 2), Ok(0));
        assert_eq!(narrow("1.10", 10, 2), Ok(110));
        assert_eq!(narrow("-0.0001", 10, 4), Ok(-1));
        assert_eq!(narrow("123456789.123456789", 38, 9), Ok(123_456_789_123_456_789));
        assert_eq!(narrow("10000000000000000000", 38, 0), Ok(10_i128.pow(19)));
        let digits = "9".repeat(20) + "." + &"9".repeat(18);
        assert_eq!(narrow(&digits, 38, 18), Ok(10_i128.pow(38) - 1));
        let digits = "9".repeat(38) + "." + &"9".repeat(38);
        assert_eq!(wide(&digits, 76, 38), Ok("9".repeat(76)));
        assert_eq!(wide("-0.5", 76, 38), Ok(format!("-5{}", "0".repeat(37))));
    }

    #[test]
    fn a_digit_that_does_not_fit_is_an_error_and_never_rounded() {
        assert_eq!(narrow("0.001", 10, 2), Err(Bad::TooManyDigits));
        assert_eq!(narrow("0.00000001", 10, 2), Err(Bad::TooManyDigits));
        assert_eq!(narrow("1000", 3, 0), Err(Bad::TooLarge));
        assert_eq!(narrow(&"9".repeat(39), 38, 0), Err(Bad::TooLarge));
        assert_eq!(wide(&format!("0.{}1", "0".repeat(38)), 76, 38), Err(Bad::TooManyDigits));
        assert_eq!(wide(&format!("1{}", "0".repeat(38)), 76, 38), Err(Bad::TooLarge));
        assert_eq!(wide(&format!("1{}", "0".repeat(300)), 76, 38), Err(Bad::TooLarge));
    }

    #[test]
    fn nan_and_infinity_are_told_apart_from_numbers() {
        for sign in [0xC000u16, 0xD000, 0xF000] {
            let field: Vec<u8> = [0, 0, sign, 0].iter().flat_map(|w: &u16| w.to_be_bytes()).collect();
            assert_eq!(Digits::parse(&field).err(), Some(Bad::NotFinite));
        }
        assert_eq!(Digits::parse(&[0, 1, 0]).err(), Some(Bad::Malformed));
        assert_eq!(Digits::parse(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1]).err(), Some(Bad::Malformed));
    }

    proptest! {
        #[test]
        fn every_decimal_survives(value in any::<i128>(), scale in 0u8..=38) {
            let value = value % 10_i128.pow(38);
            let digits = format!("{:0>1$}", value.unsigned_abs(), usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let text = format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" });
            prop_assert_eq!(narrow(&text, 38, scale), Ok(value));
            prop_assert_eq!(wide(&text, 76, 38), Ok((i256::from_i128(value).wrapping_mul(
                i256::from_i128(10).wrapping_pow(u32::from(38 - scale)))).to_string()));
        }
    }
}
