//! Parameters of calculations and their values.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Any text.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A 64-bit float.
    Float,
    /// True or false.
    Boolean,
    /// A calendar day.
    Date,
    /// An instant in UTC.
    Timestamp,
}

/// A typed value that is bound to a calculation, never spliced into its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum ParameterValue {
    /// Text.
    Text(String),
    /// Integer.
    Integer(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Boolean(bool),
    /// Day.
    Date(Date),
    /// Instant.
    Timestamp(Timestamp),
}

/// Why a text does not fit a parameter's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of type {expected}")]
pub struct ParameterError {
    /// The text that was given.
    pub text: String,
    /// The declared type.
    pub expected: &'static str,
}

impl ParameterType {
    /// The name used in mapping files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }

    /// Reads a value of this type from text.
    ///
    /// # Errors
    /// The text does not have this type.
    pub fn parse(self, text: &str) -> Result<ParameterValue, ParameterError> {
        let value = match self {
            Self::Text => Some(ParameterValue::Text(text.to_owned())),
            Self::Integer => text.parse().ok().map(ParameterValue::Integer),
            Self::Float => text.parse::<f64>().ok().filter(|v| v.is_finite()).map(ParameterValue::Float),
            Self::Boolean => text.parse().ok().map(ParameterValue::Boolean),
            Self::Date => text.parse().ok().map(ParameterValue::Date),
            Self::Timestamp => text.parse().ok().map(ParameterValue::Timestamp),
        };
        value.ok_or_else(|| ParameterError { text: text.to_owned(), expected: self.as_str() })
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(v) => f.write_str(v),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Boolean(v) => write!(f, "{v}"),
            Self::Date(v) => write!(f, "{v}"),
            Self::Timestamp(v) => write!(f, "{v}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_must_have_the_declared_type() {
        assert_eq!(ParameterType::Integer.parse("4"), Ok(ParameterValue::Integer(4)));
        assert!(ParameterType::Float.parse("NaN").is_err());
        assert_eq!(ParameterType::Date.parse("2025-02-30").unwrap_err().expected, "date");
    }
}
