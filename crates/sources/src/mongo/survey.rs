//! What an answer of the server holds, before it is decoded.

use bson::{Bson, Document, RawBsonRef, RawDocument};
use mongodb::raw_batch_cursor::RawBatch;

use super::MongoFault;
use crate::{elements::Elements, value::Value};

/// So many documents are read whole, to see whether they have other fields than those that are wanted.
pub(super) const LOOK_ROWS: u64 = 100;

/// Which fields documents have, as far as they were read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    OnlyWanted,
    Others,
}

impl Seen {
    /// After so many documents were looked at in which no others were seen, unless it says so.
    pub(super) fn after_look(self, rows: u64) -> Self {
        match self {
            Self::Nothing if rows > 0 => Self::OnlyWanted,
            known => known,
        }
    }
}

/// What an answer holds.
#[derive(Debug)]
pub(super) struct Survey {
    /// Its documents.
    pub(super) count: u64,
    /// The `_id` of the last one.
    pub(super) last: Option<Bson>,
    /// Whether a document has another field than the wanted ones. Every document is looked at as long as nothing was seen,
    /// then the last of each answer.
    pub(super) others: bool,
}

impl Survey {
    /// Without `wanted` nobody looks at fields.
    ///
    /// # Errors
    /// A damaged answer.
    pub(super) fn of(batch: &RawBatch, wanted: Option<&Document>, seen: Seen) -> Result<Self, MongoFault> {
        let documents = batch.doc_slices();
        let documents = documents.map_err(|_| MongoFault::Reply("an answer without documents".to_owned()))?;
        let documents = RawDocument::from_bytes(documents.as_bytes()).map_err(damaged)?;
        survey(documents, wanted, seen)
    }
}

/// The documents come as a list, which is stored as a document.
fn survey(documents: &RawDocument, wanted: Option<&Document>, seen: Seen) -> Result<Survey, MongoFault> {
    let has_others = |document| match wanted.filter(|_| seen != Seen::Others) {
        Some(wanted) => others(document, wanted),
        None => Ok(false),
    };
    let (mut count, mut last, mut others) = (0, None, false);
    for element in Elements::of(documents) {
        let (_, Value::Bson(RawBsonRef::Document(document))) = element.map_err(damaged)? else {
            return Err(MongoFault::Reply("something else than a document".to_owned()));
        };
        count += 1;
        last = Some(document);
        if seen == Seen::Nothing {
            others |= has_others(document)?;
        }
    }
    let id = match last {
        Some(document) => {
            others |= has_others(document)?;
            document.get("_id").map_err(damaged)?
        }
        None => None,
    };
    Ok(Survey { count, last: id.map(Bson::try_from).transpose().map_err(damaged)?, others })
}

fn others(document: &RawDocument, wanted: &Document) -> Result<bool, MongoFault> {
    for element in Elements::of(document) {
        let (name, _) = element.map_err(damaged)?;
        if !wanted.contains_key(name) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn damaged<E>(_: E) -> MongoFault {
    MongoFault::Reply("a damaged answer".to_owned())
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, doc};

    use super::*;

    fn surveyed(documents: &[Document], seen: Seen) -> Survey {
        let places = (0..documents.len()).map(|place| place.to_string());
        let list: Document = places.zip(documents.iter().cloned().map(Bson::from)).collect();
        let raw = RawDocumentBuf::try_from(&list).unwrap();
        survey(&raw, Some(&doc! {"_id": 1, "a": 1}), seen).unwrap()
    }

    #[test]
    fn other_fields_are_seen_in_every_document_first_and_in_the_last_one_later() {
        let only = doc! {"_id": 1, "a": 2};
        let other = doc! {"_id": 2, "a": 2, "b": 3};
        let found = surveyed(&[only.clone(), doc! {"_id": 7}], Seen::Nothing);
        assert_eq!((found.count, found.last, found.others), (2, Some(Bson::Int32(7)), false));
        assert!(surveyed(&[other.clone(), only.clone()], Seen::Nothing).others);
        assert!(!surveyed(&[other.clone(), only.clone()], Seen::OnlyWanted).others);
        assert!(surveyed(&[only, other.clone()], Seen::OnlyWanted).others);
        assert!(!surveyed(&[other], Seen::Others).others, "it is known");
        let none = surveyed(&[], Seen::Nothing);
        assert_eq!((none.count, none.last, none.others), (0, None, false));
    }

    #[test]
    fn nothing_is_known_of_documents_that_are_not_there() {
        assert_eq!(Seen::Nothing.after_look(0), Seen::Nothing);
        assert_eq!(Seen::Nothing.after_look(3), Seen::OnlyWanted);
        assert_eq!(Seen::Others.after_look(3), Seen::Others);
    }
}
