//! The forms in which the legacy platform wrote dates.

use bson::Bson;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rand::RngExt;

/// A form of a calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// A BSON date: midnight in Paris, which is the evening before in UTC.
    Instant,
    /// `2025-03-01`
    Iso,
    /// `01/03/2025`
    French,
    /// Milliseconds since 1970 of midnight in Paris.
    EpochMilliseconds,
}

impl DateForm {
    /// Mostly BSON dates, sometimes one of the other forms.
    pub(crate) fn any(rng: &mut impl RngExt) -> Self {
        match rng.random_range(0..10) {
            0..7 => Self::Instant,
            7 => Self::Iso,
            8 => Self::French,
            _ => Self::EpochMilliseconds,
        }
    }
}

/// A day in one of the forms.
pub(crate) fn date(day: Date, form: DateForm) -> Bson {
    match form {
        DateForm::Instant => Bson::DateTime(bson::DateTime::from_millis(paris_midnight(day))),
        DateForm::Iso => Bson::String(day.to_string()),
        DateForm::French => Bson::String(day.strftime("%d/%m/%Y").to_string()),
        DateForm::EpochMilliseconds => Bson::Int64(paris_midnight(day)),
    }
}

/// The first instant of a day in Paris, in milliseconds.
fn paris_midnight(day: Date) -> i64 {
    TimeZone::get("Europe/Paris")
        .and_then(|zone| day.to_zoned(zone))
        .map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
        .as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_in_paris_is_the_evening_before_in_utc() {
        let day = jiff::civil::date(2022, 3, 15);
        let Bson::DateTime(instant) = date(day, DateForm::Instant) else { panic!("not an instant") };
        assert_eq!(instant.try_to_rfc3339_string().unwrap(), "2022-03-14T23:00:00Z");
        assert_eq!(date(day, DateForm::French), Bson::from("15/03/2022"));
        assert_eq!(date(day, DateForm::EpochMilliseconds), Bson::Int64(1_647_298_800_000));
    }
}
