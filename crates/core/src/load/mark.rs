//! Values of a watermark.

use std::fmt;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
};
use serde::{Deserialize, Serialize};

use super::Overlap;

/// A value of a column that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// An instant.
    Instant(Timestamp),
    /// A date and time without a zone.
    Local(DateTime),
    /// A day.
    Day(Date),
    /// A number.
    Number(i64),
}

impl Mark {
    /// The value from which on is read again. `None` where the overlap is not one of such a value; at the ends of the
    /// calendar the value itself.
    pub fn minus(self, overlap: Option<Overlap>) -> Option<Self> {
        let seconds = match overlap {
            Some(Overlap::Time(seconds)) => Some(seconds),
            Some(Overlap::Number(_)) => None,
            None => Some(Overlap::DEFAULT_TIME.as_secs()),
        };
        let seconds = seconds.map(|s| i64::try_from(s).unwrap_or(i64::MAX));
        Some(match self {
            Self::Instant(at) => Self::Instant(at.checked_sub(seconds?.seconds()).unwrap_or(at)),
            Self::Local(at) => Self::Local(at.checked_sub(seconds?.seconds()).unwrap_or(at)),
            Self::Day(day) => {
                let days = seconds?.div_euclid(86_400) + i64::from(seconds? % 86_400 > 0);
                Self::Day(day.checked_sub(days.days()).unwrap_or(day))
            }
            Self::Number(number) => Self::Number(number.saturating_sub(match overlap {
                Some(Overlap::Number(overlap)) => overlap,
                Some(Overlap::Time(_)) => return None,
                None => Overlap::DEFAULT_NUMBER,
            })),
        })
    }

    /// Where it lies beyond the time at which a reading began: that time. Rows that are stamped later than they were
    /// read must not hide those that are written until then.
    #[must_use]
    pub fn no_later_than(self, now: Timestamp) -> Self {
        let utc = now.to_zoned(jiff::tz::TimeZone::UTC);
        match self {
            Self::Instant(at) => Self::Instant(at.min(now)),
            // Nobody says of which zone it is: a day on either side.
            Self::Local(at) => {
                Self::Local(at.min(utc.datetime().checked_add(1.day()).unwrap_or(utc.datetime())))
            }
            Self::Day(day) => Self::Day(day.min(utc.date().tomorrow().unwrap_or(utc.date()))),
            number @ Self::Number(_) => number,
        }
    }

    /// The larger one; `None` where the two cannot be compared.
    pub fn max(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Instant(a), Self::Instant(b)) => Self::Instant(a.max(b)),
            (Self::Local(a), Self::Local(b)) => Self::Local(a.max(b)),
            (Self::Day(a), Self::Day(b)) => Self::Day(a.max(b)),
            (Self::Number(a), Self::Number(b)) => Self::Number(a.max(b)),
            _ => return None,
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(at) => at.fmt(f),
            Self::Local(at) => at.fmt(f),
            Self::Day(day) => day.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Mark {
        Mark::Instant(text.parse().unwrap())
    }

    #[test]
    fn what_may_be_committed_later_is_read_again() {
        assert_eq!(instant("2025-03-01T12:00:00Z").minus(None), Some(instant("2025-03-01T11:00:00Z")));
        let minute = Some(Overlap::Time(60));
        assert_eq!(instant("2025-03-01T00:00:30Z").minus(minute), Some(instant("2025-02-28T23:59:30Z")));
        // A part of a day is a day.
        let day = Mark::Day("2025-03-01".parse().unwrap());
        assert_eq!(day.minus(minute), Some(Mark::Day("2025-02-28".parse().unwrap())));
        assert_eq!(Mark::Number(50).minus(Some(Overlap::Number(60))), Some(Mark::Number(-10)));
        assert_eq!(Mark::Number(50).minus(minute), None);
        assert_eq!(day.minus(Some(Overlap::Number(5))), None);
    }

    #[test]
    fn a_stamp_of_the_future_hides_nothing() {
        let now = "2025-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(instant("2099-01-01T00:00:00Z").no_later_than(now), Mark::Instant(now));
        let earlier = instant("2025-03-01T11:00:00Z");
        assert_eq!(earlier.no_later_than(now), earlier);
        let day = Mark::Day("2099-01-01".parse().unwrap()).no_later_than(now);
        assert_eq!(day, Mark::Day("2025-03-02".parse().unwrap()));
    }

    #[test]
    fn marks_are_kept_as_json() {
        for mark in [instant("2025-03-01T12:00:00.000001Z"), Mark::Number(7)] {
            let text = serde_json::to_string(&mark).unwrap();
            assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), mark);
        }
        assert_eq!(serde_json::to_string(&Mark::Number(7)).unwrap(), "{\"number\":7}");
    }
}
