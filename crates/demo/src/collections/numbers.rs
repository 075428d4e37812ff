//! The forms in which the legacy platform wrote numbers and ids.

use bson::{Bson, Decimal128, oid::ObjectId};
use rand::RngExt;

/// An exact decimal; text where the digits do not fit one.
pub(crate) fn decimal(digits: &str) -> Bson {
    digits.parse::<Decimal128>().map_or_else(|_| Bson::String(digits.to_owned()), Bson::Decimal128)
}

/// A whole number as float, integer, text or exact decimal.
pub(crate) fn whole(rng: &mut impl RngExt, number: i64) -> Bson {
    match rng.random_range(0..10) {
        0 => Bson::Int64(number),
        1 => Bson::String(number.to_string()),
        2 => decimal(&format!("{number}.0")),
        3 => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
        _ => Bson::Double(number as f64),
    }
}

/// Digits in groups of three, apart by narrow no-break spaces.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// An id drawn by chance.
pub(crate) fn object_id(rng: &mut impl RngExt) -> ObjectId {
    ObjectId::from_bytes(rng.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_apart_by_narrow_spaces() {
        assert_eq!(grouped(184_320), "184\u{202f}320");
        assert_eq!(grouped(-1_200), "-1\u{202f}200");
        assert_eq!(grouped(12), "12");
    }

    #[test]
    fn decimals_stay_exact() {
        assert!(matches!(decimal("5.5200000000"), Bson::Decimal128(_)));
        assert_eq!(decimal("five"), Bson::String("five".to_owned()));
    }
}
