//! What a person may want to be told about a report beyond its figures.

use super::{ColumnKind, ColumnReport};

/// Columns that are listed on one side only and whose names differ in case alone: they are two columns, but rarely on
/// purpose. One sentence a pair.
pub fn columns_alike(columns: &[ColumnReport]) -> Vec<String> {
    let of = |kind| columns.iter().filter(move |c| c.kind == kind).map(|c| c.name.as_str());
    of(ColumnKind::LegacyOnly)
        .flat_map(|legacy| of(ColumnKind::NewOnly).map(move |new| (legacy, new)))
        .filter(|(legacy, new)| legacy.to_lowercase() == new.to_lowercase())
        .map(|(legacy, new)| {
            format!(
                "{legacy:?} and {new:?} differ in case only; to compare them, align: rule = \"rename\", side = \"legacy\", from = {legacy:?}, column = {new:?}"
            )
        })
        .collect()
}
