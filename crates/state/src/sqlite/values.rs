//! Values between records and columns.

use std::{fmt::Display, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::StateError;

/// Reads a text, or says which record holds something unreadable. The text itself is not repeated.
pub(super) fn parse<T: FromStr<Err: Display>>(
    text: &str,
    record: &str,
    field: &str,
) -> Result<T, StateError> {
    text.parse().map_err(|e| corrupt(record, &format!("{field}: {e}")))
}

/// As [`parse`], where null is none.
pub(super) fn parse_option<T: FromStr<Err: Display>>(
    text: Option<&str>,
    record: &str,
    field: &str,
) -> Result<Option<T>, StateError> {
    text.map(|text| parse(text, record, field)).transpose()
}

/// Reads JSON text.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, record: &str, field: &str) -> Result<T, StateError> {
    serde_json::from_str(text).map_err(|e| corrupt(record, &format!("{field}: {e}")))
}

/// Writes JSON text.
pub(super) fn to_json(value: &impl Serialize, record: &str) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|e| corrupt(record, &e.to_string()))
}

/// A count as SQLite keeps it.
pub(super) fn to_integer(count: u64, record: &str) -> Result<i64, StateError> {
    i64::try_from(count).map_err(|_| corrupt(record, &format!("{count} is more than SQLite can count")))
}

/// A count as it was kept.
pub(super) fn from_integer(count: i64, record: &str) -> Result<u64, StateError> {
    u64::try_from(count).map_err(|_| corrupt(record, &format!("{count} is not a count")))
}

pub(super) fn corrupt(record: &str, reason: &str) -> StateError {
    StateError::CorruptRecord { record: record.to_owned(), reason: reason.to_owned() }
}
