//! How a server among the sources is reached and spared.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the connection to a server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Not at all.
    Disable,
    /// Encrypted; the certificate is not looked at, which is said loudly.
    Require,
    /// Encrypted; the certificate is signed by a known authority, for whatever name. Of `postgres` only.
    VerifyCa,
    /// Encrypted; the certificate is signed by a known authority, and for this server.
    VerifyFull,
}

/// Which members of a replica set answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadPreference {
    /// Only the primary.
    Primary,
    /// The primary, a secondary where there is none.
    PrimaryPreferred,
    /// Only secondaries.
    Secondary,
    /// Secondaries, the primary where there is none.
    SecondaryPreferred,
    /// Whoever answers fastest.
    Nearest,
}

/// The pattern of times, as [`Span`] reads them.
pub(crate) const SPAN: &str = "^[1-9][0-9]{0,6}(ms|s|min)$";

/// A time such as `"30s"`: milliseconds, seconds or minutes. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = SPAN))]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            _ => 0,
        };
        let millis = number.parse::<u32>().map_or(0, |number| u64::from(number) * millis);
        if millis == 0 {
            return Err(format!("{text:?} is not a time such as \"30s\""));
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        let millis = span.0.as_millis();
        match millis {
            _ if millis.is_multiple_of(60_000) => format!("{}min", millis / 60_000),
            _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
            _ => format!("{millis}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, millis, written) in
            [("30s", 30_000, "30s"), ("250ms", 250, "250ms"), ("120s", 120_000, "2min")]
        {
            let span = Span::try_from(text.to_owned()).unwrap();
            assert_eq!((span.0.as_millis(), String::from(span).as_str()), (millis, written));
        }
        for bad in ["", "30", "s", "0s", "-1s", "1h", "99999999999s"] {
            assert!(Span::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
