//! Values that do not fit the type of their field: counted, with the place of the first.

use std::{collections::BTreeMap, sync::Arc};

/// Values of one field that did not fit, of one found type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The path of the field, for example `lines[].kwh`.
    pub field: String,
    /// The type that the field has, for example `decimal(38,10)`.
    pub expected: String,
    /// The type of the value, for example `string`, `object`, `int64`.
    pub found: &'static str,
    /// How many values.
    pub count: u64,
    /// The file of the first.
    pub first_file: String,
    /// Where the first stands: the byte offset of its document in the decompressed BSON, the line of JSON and CSV
    /// (from 1), the row of Parquet (from 0), the number of the document of a live collection (from 0).
    pub first_offset: u64,
}

/// Adds the misfits of a part of a reading to those of other parts.
pub(crate) fn add(all: &mut Vec<Misfit>, more: Vec<Misfit>) {
    for misfit in more {
        match all.iter_mut().find(|m| m.field == misfit.field && m.found == misfit.found) {
            Some(known) => known.count += misfit.count,
            None => all.push(misfit),
        }
    }
}

/// How many there are of a kind, and where the first stands.
#[derive(Debug)]
struct First {
    count: u64,
    file: Arc<str>,
    offset: u64,
}

/// Counts misfits row by row.
#[derive(Debug, Default)]
pub(crate) struct Misfits {
    found: BTreeMap<(String, String, &'static str), First>,
    file: Arc<str>,
    offset: u64,
    row_counted: bool,
    rows: u64,
    damaged: bool,
}

impl Misfits {
    /// The next row starts.
    pub(crate) fn row(&mut self, file: &Arc<str>, offset: u64) {
        // Threads share the name: counting its owners for every row would make them wait for each other.
        if !Arc::ptr_eq(&self.file, file) {
            self.file = Arc::clone(file);
        }
        self.offset = offset;
        self.row_counted = false;
    }

    pub(crate) fn add(&mut self, field: &str, expected: &str, found: &'static str) {
        if !self.row_counted {
            self.row_counted = true;
            self.rows += 1;
        }
        self.found
            .entry((field.to_owned(), expected.to_owned(), found))
            .or_insert_with(|| First { count: 0, file: Arc::clone(&self.file), offset: self.offset })
            .count += 1;
    }

    /// The bytes of the row are not what they should be.
    pub(crate) fn damaged(&mut self) {
        self.damaged = true;
    }

    /// Whether the bytes of some row were not what they should be.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Takes in those of other rows.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.damaged |= other.damaged;
        for (what, theirs) in other.found {
            match self.found.get_mut(&what) {
                Some(mine) => {
                    mine.count += theirs.count;
                    if theirs.offset < mine.offset {
                        (mine.file, mine.offset) = (theirs.file, theirs.offset);
                    }
                }
                None => _ = self.found.insert(what, theirs),
            }
        }
    }

    /// The misfits by field, and the number of rows that have any.
    pub(crate) fn finish(self) -> (Vec<Misfit>, u64) {
        let misfits = self.found.into_iter().map(|((field, expected, found), first)| Misfit {
            field,
            expected,
            found,
            count: first.count,
            first_file: first.file.to_string(),
            first_offset: first.offset,
        });
        (misfits.collect(), self.rows)
    }
}
