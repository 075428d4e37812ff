//! Whether the files of one relation have the same columns.
//!
//! A file of a relation that nobody declared may lack a column because its writer lost it: rows with null there would hide
//! that.

use arrow::datatypes::Schema;

use crate::{SourceError, read::RowFile};

/// The columns of files that have rows, each with its name.
///
/// # Errors
/// [`SourceError::ColumnLacks`] for the first column that one of two files has.
pub(crate) fn same_columns<'a>(
    files: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>,
) -> Result<(), SourceError> {
    let mut files = files.into_iter();
    let Some((first, columns)) = files.next() else { return Ok(()) };
    for (file, others) in files {
        let lacks = |has: &str, column: &&str, lacks: &str| SourceError::ColumnLacks {
            column: (*column).to_owned(),
            has: has.into(),
            lacks: lacks.into(),
        };
        if let Some(column) = columns.iter().find(|column| !others.contains(*column)) {
            return Err(lacks(first, column, file));
        }
        if let Some(column) = others.iter().find(|column| !columns.contains(*column)) {
            return Err(lacks(file, column, first));
        }
    }
    Ok(())
}

/// As [`same_columns`], of files that were read.
///
/// # Errors
/// As there.
pub(crate) fn rows_have_same_columns(rows: &[RowFile]) -> Result<(), SourceError> {
    let schemas: Vec<_> =
        rows.iter().filter_map(|file| Some((&*file.label, file.batches.first()?.schema()))).collect();
    same_columns(schemas.iter().map(|(label, schema)| (*label, names(schema))))
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_that_a_file_lacks_is_named_with_both_files() {
        let told = |files: &[(&'static str, &[&'static str])]| {
            let files = files.iter().map(|(name, columns)| (*name, columns.to_vec()));
            same_columns(files).map_err(|error| error.to_string())
        };
        assert_eq!(told(&[]), Ok(()));
        assert_eq!(told(&[("1", &["a", "b"]), ("2", &["b", "a"])]), Ok(()));
        let lacks = |column, has, lacks| Err(format!("column {column:?} is in {has} but not in {lacks}"));
        assert_eq!(told(&[("1", &["a", "b"]), ("2", &["a"])]), lacks("b", "1", "2"));
        assert_eq!(told(&[("1", &["a"]), ("2", &["a"]), ("3", &["a", "b"])]), lacks("b", "3", "1"));
    }
}
