//! Days and instants in text, as instants and as epoch milliseconds.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::strtime,
    tz::TimeZone,
};

/// How a field reads days and instants.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// The zone of a text without an offset, and of the day of an instant.
    pub(crate) zone: TimeZone,
    /// Forms in strftime words, tried after ISO 8601.
    pub(crate) formats: Vec<String>,
}

/// A point in time as it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// Microseconds since 1970 UTC.
    Instant(i128),
    /// A local date and time without an offset.
    Civil(DateTime),
}

impl Clock {
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC, formats: Vec::new() }
    }

    /// Reads a text in ISO 8601, then in the declared forms.
    pub(crate) fn parse(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        iso(text).or_else(|| self.formats.iter().find_map(|format| with_format(format, text)))
    }

    /// Microseconds since 1970 UTC.
    pub(crate) fn micros(&self, moment: Moment) -> Option<i64> {
        match moment {
            Moment::Instant(micros) => i64::try_from(micros).ok(),
            Moment::Civil(civil) => {
                Some(self.zone.to_ambiguous_zoned(civil).compatible().ok()?.timestamp().as_microsecond())
            }
        }
    }

    /// Days since 1970-01-01.
    pub(crate) fn day(&self, moment: Moment) -> Option<i32> {
        let date = match moment {
            Moment::Instant(micros) => {
                let instant = Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
                self.zone.to_datetime(instant).date()
            }
            Moment::Civil(civil) => civil.date(),
        };
        Some(epoch_day(date))
    }
}

/// The civil time that stands `micros` after 1970-01-01T00:00, for timestamps without a zone.
pub(crate) fn civil(micros: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_microsecond(micros).ok()?))
}

/// The civil day that stands `days` after 1970-01-01.
pub(crate) fn civil_day(days: i32) -> Option<Date> {
    Some(civil(i64::from(days).checked_mul(86_400_000_000)?)?.date())
}

/// Text of an instant: ISO 8601 in UTC.
pub(crate) fn text(micros: i128) -> Option<String> {
    Some(Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?.to_string())
}

/// ISO 8601: with an offset an instant, otherwise local.
pub(crate) fn iso(text: &str) -> Option<Moment> {
    // Anything else is cheaper to refuse here than by two parsers.
    if !text.as_bytes().first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+')) {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Moment::Instant(i128::from(instant.as_microsecond())));
    }
    text.parse::<DateTime>().ok().map(Moment::Civil)
}

/// Digits of the fraction of a second in ISO 8601, without trailing zeros.
pub(crate) fn fraction_digits(text: &str) -> usize {
    let Some(at) = text.find(['.', ',']) else { return 0 };
    let digits = &text[at + 1..];
    let digits = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    digits.trim_end_matches('0').len()
}

fn with_format(format: &str, text: &str) -> Option<Moment> {
    let parts = strtime::parse(format, text).ok()?;
    if let Ok(instant) = parts.to_timestamp() {
        return Some(Moment::Instant(i128::from(instant.as_microsecond())));
    }
    let civil = parts
        .to_datetime()
        .or_else(|_| parts.to_date().map(|d| d.to_datetime(jiff::civil::Time::midnight())));
    civil.ok().map(Moment::Civil)
}

fn epoch_day(date: Date) -> i32 {
    // Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    let (year, month, day) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str, formats: &[&str]) -> Clock {
        Clock {
            zone: TimeZone::get(zone).unwrap(),
            formats: formats.iter().map(|f| (*f).to_owned()).collect(),
        }
    }

    #[test]
    fn a_day_is_read_in_the_zone() {
        let paris = clock("Europe/Paris", &["%d/%m/%Y", "%d/%m/%Y %H:%M %z"]);
        let day = |text: &str| paris.day(paris.parse(text).unwrap()).unwrap();
        let first = 20148;
        for text in [
            "2025-03-01",
            "2025-02-28T23:30:00Z",
            "2025-03-01T00:30:00+01:00",
            "2025-03-01 12:00",
            "01/03/2025",
            "28/02/2025 23:30 +0000",
        ] {
            assert_eq!(day(text), first, "{text}");
        }
        assert_eq!(civil_day(first).unwrap().to_string(), "2025-03-01");
        assert!(paris.parse("yesterday").is_none());
        assert!(paris.parse("2025-13-01").is_none());
        assert!(paris.parse("31/02/2025").is_none());
    }

    #[test]
    fn a_text_without_an_offset_is_local() {
        let paris = clock("Europe/Paris", &[]);
        let micros = paris.micros(paris.parse("2025-03-30T03:30:00").unwrap()).unwrap();
        assert_eq!(text(i128::from(micros)).unwrap(), "2025-03-30T01:30:00Z");
        assert_eq!(Clock::utc().micros(Moment::Instant(i128::MAX)), None);
        assert_eq!(Clock::utc().day(Moment::Instant(i128::from(i64::MAX))), None);
    }

    #[test]
    fn days_before_1970_count_down() {
        assert_eq!(epoch_day(jiff::civil::date(1970, 1, 1)), 0);
        assert_eq!(epoch_day(jiff::civil::date(1969, 12, 31)), -1);
        assert_eq!(epoch_day(jiff::civil::date(2000, 2, 29)), 11016);
    }
}
