//! How an input gets from its legacy place to its new one, and where the results of the new models are kept.

mod layout;
mod mark;
mod report;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use layout::{DEFAULT_PARTITION, Layout};
pub use mark::Mark;
pub use report::{
    InputLoad, LoadMode, LoadOutcome, LoadReport, LoadedRows, SCHEMA, StoreOutcome, StoredModel, Watermark,
};

/// How the rows of the legacy place of an input are copied to its new place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadDecl {
    /// The column that grows with every write to a row: an instant, a day or a number. A load reads the rows whose
    /// watermark is not below the last one and replaces those of the same `key`. Without a watermark every load reads
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// How far below the last watermark a load reads again, because a transaction may be committed later than the
    /// time that it writes says: `"90s"`, `"10m"`, `"2h"`, `"1d"`, or a number such as `"1000"` where the watermark is
    /// one. `"1h"` and `"10000"` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// Where the rows of the new models are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreDecl {
    /// A source of Parquet files named in `dualrun.toml`.
    pub source: String,
    /// A folder with `{day}` or `{month}`, as the pipeline has its periods: `gold/cloud/day={day}/`. With `{model}` in
    /// front of it every model is kept, without one only the result.
    pub path: String,
}

/// The pattern of overlaps.
pub const OVERLAP: &str = "^[1-9][0-9]{0,8}(s|m|h|d)?$";

/// How far below the last watermark is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = OVERLAP))]
pub enum Overlap {
    /// So many seconds, of instants and days.
    Time(u64),
    /// So much, of numbers.
    Number(i64),
}

impl Overlap {
    /// An hour, where nothing is declared.
    pub const DEFAULT_TIME: Duration = Duration::from_secs(3600);
    /// Ten thousand, where nothing is declared.
    pub const DEFAULT_NUMBER: i64 = 10_000;
}

impl TryFrom<String> for Overlap {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let seconds = match unit {
            "" => None,
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(86_400),
            _ => return Err(format!("{text:?} is not an overlap such as \"1h\"")),
        };
        match (number.parse::<u32>(), seconds) {
            (Ok(number @ 1..), Some(seconds)) => Ok(Self::Time(u64::from(number) * seconds)),
            (Ok(number @ 1..), None) => Ok(Self::Number(number.into())),
            _ => Err(format!("{text:?} is not an overlap such as \"1h\"")),
        }
    }
}

impl From<Overlap> for String {
    fn from(overlap: Overlap) -> String {
        match overlap {
            Overlap::Number(number) => number.to_string(),
            Overlap::Time(seconds) => match seconds {
                _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
                _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
                _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
                _ => format!("{seconds}s"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_read_and_written() {
        for (text, overlap, written) in [
            ("90s", Overlap::Time(90), "90s"),
            ("60m", Overlap::Time(3600), "1h"),
            ("48h", Overlap::Time(172_800), "2d"),
            ("1000", Overlap::Number(1000), "1000"),
        ] {
            assert_eq!(Overlap::try_from(text.to_owned()), Ok(overlap));
            assert_eq!(String::from(overlap), written);
        }
        for bad in ["", "0", "0s", "h", "-1h", "1w", "1.5h", "99999999999s"] {
            assert!(Overlap::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
