//! Periods: the day or the month that a result covers.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a period, or a period has no bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Neither `YYYY-MM-DD` nor `YYYY-MM`.
    #[error("{0:?} is neither a day (2025-03-01) nor a month (2025-03)")]
    Syntax(String),
    /// The day or month is beyond the years that the calendar knows.
    #[error("{0} lies outside of the calendar")]
    Range(String),
    /// No such time zone.
    #[error("unknown time zone {0:?}")]
    TimeZone(String),
}

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodUnit {
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

/// One day or one month of the calendar. It has no time zone; [`Period::instants`] asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    start: Date,
    unit: PeriodUnit,
}

impl Period {
    /// The given day.
    pub fn day(date: Date) -> Self {
        Self { start: date, unit: PeriodUnit::Day }
    }

    /// The month that holds the given day.
    pub fn month_of(date: Date) -> Self {
        Self { start: date.first_of_month(), unit: PeriodUnit::Month }
    }

    /// The period of this unit that holds the given day.
    pub fn containing(date: Date, unit: PeriodUnit) -> Self {
        match unit {
            PeriodUnit::Day => Self::day(date),
            PeriodUnit::Month => Self::month_of(date),
        }
    }

    /// Day or month.
    pub fn unit(self) -> PeriodUnit {
        self.unit
    }

    /// The first day.
    pub fn start(self) -> Date {
        self.start
    }

    /// The day after the last one.
    ///
    /// # Errors
    /// At the end of the calendar (year 9999).
    pub fn end(self) -> Result<Date, PeriodError> {
        let span = match self.unit {
            PeriodUnit::Day => 1.day(),
            PeriodUnit::Month => 1.month(),
        };
        self.start.checked_add(span).map_err(|_| PeriodError::Range(self.to_string()))
    }

    /// The period that follows.
    ///
    /// # Errors
    /// At the end of the calendar.
    pub fn next(self) -> Result<Self, PeriodError> {
        Ok(Self { start: self.end()?, unit: self.unit })
    }

    /// The period before.
    ///
    /// # Errors
    /// At the start of the calendar.
    pub fn previous(self) -> Result<Self, PeriodError> {
        let day = self.start.yesterday().map_err(|_| PeriodError::Range(self.to_string()))?;
        Ok(Self::containing(day, self.unit))
    }

    /// Whether the day lies in the period.
    pub fn contains(self, date: Date) -> bool {
        Self::containing(date, self.unit) == self
    }

    /// All days of the period in order.
    ///
    /// # Errors
    /// At the end of the calendar.
    pub fn days(self) -> Result<Vec<Date>, PeriodError> {
        let end = self.end()?;
        Ok(self.start.series(1.day()).take_while(|day| *day < end).collect())
    }

    /// The half-open range of instants `[start, end)` of the period in a time zone. A day at a change of
    /// clocks has 23 or 25 hours.
    ///
    /// # Errors
    /// At the ends of the calendar.
    pub fn instants(self, zone: &TimeZone) -> Result<(Timestamp, Timestamp), PeriodError> {
        let instant = |date: Date| {
            date.to_zoned(zone.clone())
                .map(|z| z.timestamp())
                .map_err(|_| PeriodError::Range(self.to_string()))
        };
        Ok((instant(self.start)?, instant(self.end()?)?))
    }
}

/// The time zone of this name in the bundled IANA database.
///
/// # Errors
/// An unknown name.
pub fn time_zone(name: &str) -> Result<TimeZone, PeriodError> {
    TimeZone::get(name).map_err(|_| PeriodError::TimeZone(name.to_owned()))
}

impl FromStr for Period {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let syntax = || PeriodError::Syntax(text.to_owned());
        let well_formed = |shape: &str| {
            text.len() == shape.len()
                && text
                    .bytes()
                    .zip(shape.bytes())
                    .all(|(t, s)| if s == b'0' { t.is_ascii_digit() } else { t == s })
        };
        if well_formed("0000-00-00") {
            text.parse().map(Self::day).map_err(|_| syntax())
        } else if well_formed("0000-00") {
            format!("{text}-01").parse().map(Self::month_of).map_err(|_| syntax())
        } else {
            Err(syntax())
        }
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;
    fn try_from(text: String) -> Result<Self, PeriodError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> String {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            PeriodUnit::Day => f.pad(&self.start.to_string()),
            PeriodUnit::Month => f.pad(&format!("{:04}-{:02}", self.start.year(), self.start.month())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_told_apart_by_their_text() {
        let day: Period = "2025-03-31".parse().unwrap();
        let month: Period = "2025-03".parse().unwrap();
        assert_eq!((day.unit(), day.to_string()), (PeriodUnit::Day, "2025-03-31".into()));
        assert_eq!((month.unit(), month.to_string()), (PeriodUnit::Month, "2025-03".into()));
        assert_eq!(day.next().unwrap().to_string(), "2025-04-01");
        assert_eq!(month.previous().unwrap().to_string(), "2025-02");
        assert_eq!(month.days().unwrap().len(), 31);
        for bad in ["2025-3-1", "2025", "2025-13", "2025-02-30", "", "20250301", "yesterday"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_at_a_change_of_clocks_has_23_or_25_hours() {
        let paris = time_zone("Europe/Paris").unwrap();
        let hours = |text: &str| {
            let (start, end) = text.parse::<Period>().unwrap().instants(&paris).unwrap();
            (end.as_second() - start.as_second()) / 3600
        };
        assert_eq!((hours("2025-03-29"), hours("2025-03-30"), hours("2025-10-26")), (24, 23, 25));
        assert!(time_zone("Europe/Lutetia").is_err());
    }
}
