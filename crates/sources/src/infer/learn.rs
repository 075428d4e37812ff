//! What documents have at each place, while they come one after another.

use std::collections::HashMap;

use bson::{RawBsonRef, RawDocument};

use super::Seen;
use crate::{
    elements::Elements,
    value::{Form, Value},
};

/// Levels of documents and lists that are followed. MongoDB stores at most 100.
const MAX_DEPTH: usize = 128;

/// Everything that was seen at one place so far. It becomes a [`Seen`].
#[derive(Debug, Default)]
pub(crate) struct Learner {
    scalars: Seen,
    /// Whether a document was there, perhaps one without fields.
    document: bool,
    fields: Vec<(String, Learner)>,
    index: HashMap<String, usize>,
    /// The field that was the n-th one of the last documents: most documents have their fields in one order.
    order: Vec<usize>,
    element: Option<Box<Learner>>,
}

impl Learner {
    /// Takes a document in; tells what is wrong with its bytes. Every byte of it is looked at.
    pub(crate) fn document(&mut self, document: &RawDocument) -> Result<(), String> {
        self.members(document, 0)
    }

    /// All that was seen.
    pub(crate) fn finish(self) -> Seen {
        let fields = self.fields.into_iter().map(|(name, learner)| (name, learner.finish()));
        Seen {
            fields: self.document.then(|| fields.collect()),
            element: self.element.map(|element| Box::new(element.finish())),
            ..self.scalars
        }
    }

    fn members(&mut self, document: &RawDocument, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.document = true;
        let mut elements = Elements::of(document);
        for place in 0.. {
            let guess = self.order.get(place).and_then(|i| Some((*i, self.fields.get(*i)?.0.as_str())));
            let Some(element) = elements.next_guessed(guess.map(|(_, name)| name)) else { break };
            let (name, value) = element?;
            let i = match (name, guess) {
                (None, Some((i, _))) => i,
                (name, _) => self.find(place, name.unwrap_or_default()),
            };
            if let Some((name, field)) = self.fields.get_mut(i) {
                field.value(value, depth + 1).map_err(|e| in_field(name, e))?;
            }
        }
        Ok(())
    }

    /// The field of a name, which is the n-th one of its document where another one was there in the last documents.
    fn find(&mut self, place: usize, name: &str) -> usize {
        let i = match self.index.get(name) {
            Some(i) => *i,
            None => {
                let i = self.fields.len();
                self.fields.push((name.to_owned(), Self::default()));
                self.index.insert(name.to_owned(), i);
                i
            }
        };
        self.order.resize(self.order.len().max(place + 1), usize::MAX);
        self.order[place] = i;
        i
    }

    fn value(&mut self, value: Value<'_>, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        match value {
            Value::Bson(RawBsonRef::Document(document)) => return self.members(document, depth),
            Value::List(list) => {
                let element = self.element.get_or_insert_default();
                for entry in Elements::of(list) {
                    element.value(entry?.1, depth + 1)?;
                }
                return Ok(());
            }
            Value::Bson(RawBsonRef::JavaScriptCodeWithScope(code)) => {
                Self::default().members(code.scope, depth)?;
            }
            _ => {}
        }
        if let Form::Scalar(scalar) = value.form() {
            self.scalars.scalar(scalar);
        }
        Ok(())
    }
}

fn in_field(name: &str, error: String) -> String {
    // The innermost field is enough; a name is data and stays short.
    if error.contains("field") {
        error
    } else {
        format!("field {:?}: {error}", name.chars().take(40).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, RawDocumentBuf, doc};

    use super::*;
    use crate::infer::members;

    fn learn(documents: &[Document]) -> Seen {
        let mut learner = Learner::default();
        for document in documents {
            learner.document(&RawDocumentBuf::try_from(document).unwrap()).unwrap();
        }
        learner.finish()
    }

    /// The columns with their types.
    fn columns(documents: &[Document]) -> Vec<String> {
        let seen = learn(documents);
        let members = members(&Default::default(), seen.fields(), "").unwrap();
        members.iter().map(|m| format!("{} {:?}", m.name, m.ty.data_type())).collect()
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let one = [doc! {"a": 1, "b": "x", "c": {"d": true}}, doc! {"a": 1.5}, doc! {"b": 1, "c": [2]}];
        let other = [
            doc! {"b": 1, "c": [2]},
            doc! {"c": {"d": true}, "a": 1, "b": "x"},
            doc! {"a": 1.5},
            doc! {"b": "y", "a": 2},
        ];
        assert_eq!(columns(&one), columns(&other));
        assert_eq!(columns(&one).len(), 3);
    }

    #[test]
    fn a_field_that_comes_twice_is_one() {
        let mut bytes = RawDocumentBuf::new();
        bytes.append(bson::cstr!("a"), 1);
        bytes.append(bson::cstr!("a"), "x");
        let mut learner = Learner::default();
        learner.document(&bytes).unwrap();
        assert_eq!(learner.finish().fields().unwrap().len(), 1);
    }

    #[test]
    fn an_empty_document_is_known_from_none() {
        let seen = learn(&[doc! {"a": {}, "b": null}]);
        let fields = seen.fields().unwrap();
        assert!(fields["a"].fields.is_some() && fields["b"].fields.is_none());
        assert!(Learner::default().finish().fields().is_none());
    }

    #[test]
    fn a_damaged_document_names_its_field() {
        let mut bytes = RawDocumentBuf::try_from(&doc! {"a": {"wrong": "text"}}).unwrap().into_bytes();
        let at = bytes.windows(4).position(|w| w == b"text").unwrap();
        bytes[at] = 0xff;
        let document = RawDocument::from_bytes(&bytes).unwrap();
        let error = Learner::default().document(document).unwrap_err();
        assert!(error.contains("field"), "{error}");
    }
}
