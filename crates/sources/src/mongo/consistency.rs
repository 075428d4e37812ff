//! Which state of the data was read, and how sure that is.

use std::fmt;

use bson::{Bson, Document, doc};

/// The state of the data that a reading asks for. Taken once for a run, so that all its readings see the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cut {
    /// As the server stood at this cluster time.
    Snapshot {
        /// Seconds since 1970, and the number of the operation within the second.
        cluster_time: (u32, u32),
    },
    /// Documents whose field is not greater than a value. A document without the field cannot be told and counts in.
    Watermark {
        /// A field that only grows, for example the time at which a document was written.
        field: String,
        /// The greatest value that is read.
        value: Bson,
    },
    /// Whatever stands there.
    #[default]
    None,
}

impl Cut {
    /// What the cut adds to a filter.
    pub(super) fn filter(&self) -> Document {
        match self {
            Self::Watermark { field, value } => {
                let mut filter = Document::new();
                filter.insert(field, doc! {"$not": {"$gt": value.clone()}});
                filter
            }
            Self::Snapshot { .. } | Self::None => Document::new(),
        }
    }
}

/// Which state of the data was read. `before` and `after` are how many documents fitted the filter; none where they
/// were not counted, or not in the time that a query has.
#[derive(Debug, Clone, PartialEq)]
pub enum Consistency {
    /// One state of the server: nothing that was written later was seen.
    Snapshot {
        /// Seconds since 1970, and the number of the operation within the second.
        cluster_time: (u32, u32),
    },
    /// Documents up to a value of a field that only grows. Later ones were not seen; a change of an older one may
    /// have been.
    Watermark {
        /// The field.
        field: String,
        /// The greatest value that was read.
        value: Bson,
        /// Documents before the reading.
        before: Option<u64>,
        /// Documents after it.
        after: Option<u64>,
    },
    /// Whatever stood there while it was read.
    CountOnly {
        /// Documents before the reading.
        before: Option<u64>,
        /// Documents after it.
        after: Option<u64>,
    },
}

/// How sure it is that a reading saw one state of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// It did not, or nothing is known.
    None,
    /// As many documents before, in between and after.
    Count,
    /// The same, of documents up to a watermark.
    Watermark,
    /// The server vouches for it.
    Snapshot,
}

impl Consistency {
    pub(super) fn new(cut: &Cut, before: Option<u64>, after: Option<u64>) -> Self {
        match cut.clone() {
            Cut::Snapshot { cluster_time } => Self::Snapshot { cluster_time },
            Cut::Watermark { field, value } => Self::Watermark { field, value, before, after },
            Cut::None => Self::CountOnly { before, after },
        }
    }

    /// How strong it is, given the rows that came; `None` where the result is not one row a document.
    pub fn strength(&self, rows: Option<u64>) -> Strength {
        let steady = |before: &Option<u64>, after: &Option<u64>| {
            before.is_some() && before == after && rows.is_none_or(|rows| Some(rows) == *before)
        };
        match self {
            Self::Snapshot { .. } => Strength::Snapshot,
            Self::Watermark { before, after, .. } if steady(before, after) => Strength::Watermark,
            Self::CountOnly { before, after } if steady(before, after) => Strength::Count,
            _ => Strength::None,
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts =
            |f: &mut fmt::Formatter<'_>, before: &Option<u64>, after: &Option<u64>| match (before, after) {
                (Some(before), Some(after)) => write!(f, "{before} documents before, {after} after"),
                _ => f.write_str("not counted"),
            };
        match self {
            Self::Snapshot { cluster_time: (seconds, number) } => {
                write!(f, "snapshot at cluster time {seconds}.{number}")
            }
            Self::Watermark { field, before, after, .. } => {
                write!(f, "up to a watermark of {field}, ")?;
                counts(f, before, after)
            }
            Self::CountOnly { before, after } => {
                f.write_str("no common state, ")?;
                counts(f, before, after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_keeps_documents_that_lack_the_field() {
        let cut = Cut::Watermark { field: "written".to_owned(), value: 5.into() };
        assert_eq!(cut.filter(), doc! {"written": {"$not": {"$gt": 5}}});
        assert_eq!(Cut::None.filter(), doc! {});
    }

    #[test]
    fn counts_that_differ_have_no_strength() {
        let counted = |before, after| Consistency::CountOnly { before, after };
        assert_eq!(counted(Some(3), Some(3)).strength(Some(3)), Strength::Count);
        assert_eq!(counted(Some(3), Some(3)).strength(None), Strength::Count);
        assert_eq!(counted(Some(3), Some(3)).strength(Some(2)), Strength::None);
        assert_eq!(counted(Some(3), Some(4)).strength(Some(3)), Strength::None);
        assert_eq!(counted(None, None).strength(Some(3)), Strength::None);
        let snapshot = Consistency::new(&Cut::Snapshot { cluster_time: (7, 1) }, None, None);
        assert_eq!(snapshot.strength(Some(1)), Strength::Snapshot);
        assert_eq!(snapshot.to_string(), "snapshot at cluster time 7.1");
    }

    #[test]
    fn the_words_hold_no_value() {
        let cut = Cut::Watermark { field: "written".to_owned(), value: "ACME".into() };
        let text = Consistency::new(&cut, Some(1), Some(2)).to_string();
        assert_eq!(text, "up to a watermark of written, 1 documents before, 2 after");
    }
}
