//! Rules on texts.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, StringArray},
    datatypes::DataType,
    error::ArrowError,
};
use unicode_normalization::UnicodeNormalization;

use super::times;
use crate::{cast::cast_to, text::value_text};

/// What is done to a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    Trim,
    Lower,
    Upper,
    Nfc,
    StripZeros,
    PadZeros(usize),
    StripNul,
    EmptyIsNull,
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        _ => false,
    }
}

pub(super) fn edit(array: &ArrayRef, edit: &Edit) -> Result<ArrayRef, ArrowError> {
    let texts = cast_to(array, &DataType::Utf8)?;
    let done: StringArray = texts.as_string::<i32>().iter().map(|t| t.and_then(|t| one(t, *edit))).collect();
    Ok(Arc::new(done))
}

fn one(text: &str, edit: Edit) -> Option<Cow<'_, str>> {
    Some(match edit {
        Edit::Trim => text.trim_matches(is_blank).into(),
        Edit::Lower => text.to_lowercase().into(),
        Edit::Upper => text.to_uppercase().into(),
        Edit::Nfc => text.nfc().collect::<String>().into(),
        Edit::StripZeros => match text.trim_start_matches('0') {
            // A text of zeros alone is the number 0.
            "" if !text.is_empty() => "0".into(),
            rest => rest.into(),
        },
        Edit::PadZeros(width) => {
            let length = text.chars().count();
            format!("{}{text}", "0".repeat(width.saturating_sub(length))).into()
        }
        Edit::StripNul if text.contains('\0') => text.replace('\0', "").into(),
        Edit::StripNul => text.into(),
        Edit::EmptyIsNull if text.is_empty() => return None,
        Edit::EmptyIsNull => text.into(),
    })
}

/// White space, and the characters without width that copies from web pages and spreadsheets bring along.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// Replaces values that the table names. A column that is not text is matched by the text of its values and cast back.
pub(super) fn map(
    array: &ArrayRef,
    values: &BTreeMap<String, String>,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let texts = if is_text(array.data_type()) { cast_to(array, &DataType::Utf8)? } else { Arc::clone(array) };
    let mapped = (0..array.len())
        .map(|row| {
            let text = value_text(&texts, row)?;
            Ok(text.map(|t| values.get(&t).cloned().unwrap_or(t)))
        })
        .collect::<Result<StringArray, ArrowError>>()?;
    let mapped: ArrayRef = Arc::new(mapped);
    match to {
        DataType::Timestamp(..) => times::to_instants(&mapped, &jiff::tz::TimeZone::UTC, to),
        _ => cast_to(&mapped, to),
    }
}
