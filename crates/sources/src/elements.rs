//! The elements of a raw document, one after the other.
//!
//! Every document is walked over, so that this loop must be inlined where it is used. The types that nearly all fields
//! have are read here; the others, and whatever is wrong with the bytes, are left to the `bson` crate, which says what
//! it is.

use bson::{DateTime, Decimal128, RawBinaryRef, RawBsonRef, RawDocument, oid::ObjectId, raw::RawIter};

use crate::value::Value;

/// The names and values of a document, or of the list that is stored as one.
pub(crate) struct Elements<'a> {
    document: &'a RawDocument,
    bytes: &'a [u8],
    /// Where the next element starts.
    at: usize,
    /// How many came.
    count: usize,
    ended: bool,
    /// The same by the library, and how many elements it has passed.
    library: Option<(RawIter<'a>, usize)>,
}

/// What is wrong with the bytes.
pub(crate) type Damage = Box<str>;

impl<'a> Elements<'a> {
    pub(crate) fn of(document: &'a RawDocument) -> Self {
        // The first four bytes are the length.
        Self { document, bytes: document.as_bytes(), at: 4, count: 0, ended: false, library: None }
    }

    /// The next element. Most documents have their fields in one order: where its name is the one that `guess` says,
    /// nobody has to look for its end or whether it is UTF-8, and it does not come back. `guess` was a name before.
    #[inline]
    pub(crate) fn next_guessed(
        &mut self,
        guess: Option<&str>,
    ) -> Option<Result<(Option<&'a str>, Value<'a>), Damage>> {
        if self.ended || (self.at + 1 == self.bytes.len() && self.bytes[self.at] == 0) {
            return None;
        }
        match self.usual(guess) {
            Some((name, value, next)) => {
                self.at = next;
                self.count += 1;
                Some(Ok((name, value)))
            }
            None => self.by_library().map(|element| element.map(|(name, value)| (Some(name), value))),
        }
    }

    /// Name, value and the start of the next element; none for what the library is to read.
    #[inline]
    fn usual(&self, guess: Option<&str>) -> Option<(Option<&'a str>, Value<'a>, usize)> {
        let start = self.at + 1;
        let rest = self.bytes.get(start..)?;
        let guessed =
            guess.filter(|guess| rest.get(guess.len()) == Some(&0) && rest.starts_with(guess.as_bytes()));
        let (name, length) = match guessed {
            Some(guess) => (None, guess.len()),
            None => {
                let length = rest.iter().position(|byte| *byte == 0)?;
                (Some(std::str::from_utf8(&rest[..length]).ok()?), length)
            }
        };
        let start = start + length + 1;
        let rest = self.bytes.get(start..)?;
        let (value, size) = match self.bytes[self.at] {
            0x01 => (RawBsonRef::Double(f64::from_le_bytes(*rest.first_chunk()?)), 8),
            0x02 => {
                let size = size(rest)?;
                let (0, text) = rest.get(4..4 + size)?.split_last()? else { return None };
                (RawBsonRef::String(std::str::from_utf8(text).ok()?), 4 + size)
            }
            0x03 => {
                let size = size(rest)?;
                (RawBsonRef::Document(RawDocument::from_bytes(rest.get(..size)?).ok()?), size)
            }
            0x04 => {
                let size = size(rest)?;
                let list = RawDocument::from_bytes(rest.get(..size)?).ok()?;
                return Some((name, Value::List(list), start + size));
            }
            0x05 => {
                let size = size(rest)?;
                // The old subtype has another length inside.
                let subtype = Some(*rest.get(4)?).filter(|subtype| *subtype != 2)?;
                let bytes = rest.get(5..5 + size)?;
                (RawBsonRef::Binary(RawBinaryRef { subtype: subtype.into(), bytes }), 5 + size)
            }
            0x07 => (RawBsonRef::ObjectId(ObjectId::from_bytes(*rest.first_chunk()?)), 12),
            0x08 => match rest.first()? {
                0 => (RawBsonRef::Boolean(false), 1),
                1 => (RawBsonRef::Boolean(true), 1),
                _ => return None,
            },
            0x09 => {
                (RawBsonRef::DateTime(DateTime::from_millis(i64::from_le_bytes(*rest.first_chunk()?))), 8)
            }
            0x0A => (RawBsonRef::Null, 0),
            0x10 => (RawBsonRef::Int32(i32::from_le_bytes(*rest.first_chunk()?)), 4),
            0x12 => (RawBsonRef::Int64(i64::from_le_bytes(*rest.first_chunk()?)), 8),
            0x13 => (RawBsonRef::Decimal128(Decimal128::from_bytes(*rest.first_chunk()?)), 16),
            _ => return None,
        };
        Some((name, Value::Bson(value), start + size))
    }

    #[cold]
    fn by_library(&mut self) -> Option<Result<(&'a str, Value<'a>), Damage>> {
        let document = self.document;
        let (library, passed) = self.library.get_or_insert_with(|| (document.iter_elements(), 0));
        let element = library.nth(self.count - *passed);
        *passed = self.count + 1;
        let read = element.map(|element| {
            let element = element?;
            Ok::<_, bson::error::Error>((element.key().as_str(), element.value()?, element.size()))
        });
        match read {
            Some(Ok((name, value, size))) => {
                self.at += 1 + name.len() + 1 + size;
                self.count += 1;
                Some(Ok((name, Value::Bson(value))))
            }
            Some(Err(error)) => {
                self.ended = true;
                Some(Err(error.to_string().into()))
            }
            None => {
                self.ended = true;
                None
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(&'a str, Value<'a>), Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Without a guess every name comes.
        self.next_guessed(None).map(|element| element.map(|(name, value)| (name.unwrap_or_default(), value)))
    }
}

fn size(bytes: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, RawDocumentBuf, doc, spec::BinarySubtype};
    use proptest::prelude::*;

    use super::*;

    /// What the library makes of the same bytes: elements, then whether something is wrong.
    fn by_library(document: &RawDocument) -> (Vec<(String, String)>, bool) {
        let mut found = Vec::new();
        for element in document.iter_elements() {
            let Ok(element) = element else { return (found, true) };
            match element.value() {
                Ok(value) => found.push((element.key().to_string(), format!("{value:?}"))),
                Err(_) => return (found, true),
            }
        }
        (found, false)
    }

    fn walked(document: &RawDocument) -> (Vec<(String, String)>, bool) {
        let mut found = Vec::new();
        for element in Elements::of(document) {
            let Ok((name, value)) = element else { return (found, true) };
            let shown = match value {
                Value::Bson(value) => format!("{value:?}"),
                // The library alone can make a list of it.
                Value::List(list) => {
                    let same = document.iter_elements().flatten().find_map(|element| match element.value() {
                        Ok(RawBsonRef::Array(array)) if array.as_bytes() == list.as_bytes() => Some(array),
                        _ => None,
                    });
                    format!("{:?}", RawBsonRef::Array(same.expect("the same bytes")))
                }
                Value::Cell(..) => unreachable!("no array of Arrow"),
            };
            found.push((name.to_owned(), shown));
        }
        (found, false)
    }

    fn sample() -> Document {
        let binary = |subtype| Bson::Binary(bson::Binary { subtype, bytes: vec![1, 2, 3] });
        doc! {
            "double": 1.5, "text": "é", "": "", "nested": {"a": 1}, "list": [1, "x", [2]], "none": [],
            "binary": binary(BinarySubtype::Generic), "old": binary(BinarySubtype::BinaryOld),
            "uuid": binary(BinarySubtype::UuidOld), "id": ObjectId::from_bytes([7; 12]), "yes": true, "no": false,
            "at": DateTime::from_millis(-1), "null": null, "regex": Bson::RegularExpression(bson::Regex {
                pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() }),
            "code": Bson::JavaScriptCode("f()".to_owned()), "symbol": Bson::Symbol("s".to_owned()), "int": 7,
            "stamp": bson::Timestamp { time: 1, increment: 2 }, "long": 1i64 << 60,
            "decimal": "1.10".parse::<Decimal128>().unwrap(), "low": Bson::MinKey, "high": Bson::MaxKey,
            "scoped": Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
                code: "g()".to_owned(), scope: doc! {"x": 1} }),
            "last": "after all of them",
        }
    }

    #[test]
    fn a_name_that_was_guessed_does_not_come_back() {
        let raw = RawDocumentBuf::try_from(&doc! {"a": 1, "ab": 2, "é": 3, "": 4}).unwrap();
        let names = |guesses: [&str; 5]| {
            let mut elements = Elements::of(&raw);
            guesses.map(|guess| elements.next_guessed(Some(guess)).map(|element| element.unwrap().0))
        };
        assert_eq!(names(["a", "ab", "é", "", "a"]), [Some(None), Some(None), Some(None), Some(None), None]);
        let all = [Some(Some("a")), Some(Some("ab")), Some(Some("é")), Some(Some("")), None];
        assert_eq!(names(["ab", "a", "e", "a", ""]), all);
    }

    #[test]
    fn every_type_is_as_the_library_reads_it() {
        let raw = RawDocumentBuf::try_from(&sample()).unwrap();
        let (found, damaged) = walked(&raw);
        assert_eq!((found.len(), damaged), (sample().len(), false));
        assert_eq!(walked(&raw), by_library(&raw));
        let empty = RawDocumentBuf::new();
        assert_eq!(walked(&empty), (vec![], false));
    }

    proptest! {
        /// Damage is found by both or by neither, at the same element, and nothing panics.
        #[test]
        fn damaged_bytes_are_as_the_library_reads_them(
            hits in proptest::collection::vec((4usize..600, any::<u8>()), 0..4), cut in 0usize..40
        ) {
            let mut bytes = RawDocumentBuf::try_from(&sample()).unwrap().into_bytes();
            for (at, byte) in hits {
                let at = at % bytes.len();
                if at >= 4 {
                    bytes[at] = byte;
                }
            }
            let length = bytes.len() - cut;
            bytes.truncate(length);
            bytes[..4].copy_from_slice(&i32::try_from(length).unwrap().to_le_bytes());
            bytes[length - 1] = 0;
            let document = RawDocument::from_bytes(&bytes).unwrap();
            prop_assert_eq!(walked(document), by_library(document));
        }
    }
}
