//! Going on after a given `_id`, of any type.
//!
//! A comparison of the query language stays within the type of its operand, while a sort goes through all types in
//! one order. What follows a value is therefore what is greater within its type, then all later types.

use bson::{Bson, Document, doc};

/// The types that an `_id` can have, in the order in which a sort puts them, with the names for `$type`. Those of one
/// entry are compared with each other. <https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/>
const ORDER: [&[&str]; 14] = [
    &["minKey"],
    &["null"],
    &["int", "long", "double", "decimal"],
    &["symbol", "string"],
    &["object"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
    &["dbPointer"],
    &["javascript"],
    &["javascriptWithScope"],
    &["maxKey"],
];

/// Where a reading by `_id` stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Position {
    last: Option<Bson>,
    /// Whether all of the last one's type were read.
    type_done: bool,
    asked: Asked,
}

/// What a query asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Asked {
    /// All that is left.
    #[default]
    Rest,
    /// What is left of one type.
    Type,
}

impl Position {
    /// A document with this `_id` was read.
    pub(super) fn read(&mut self, id: Bson) {
        self.last = Some(id);
        self.type_done = false;
    }

    /// The filter of the next query; none where nothing can follow.
    pub(super) fn filter(&mut self) -> Option<Document> {
        self.asked = Asked::Rest;
        let Some(last) = &self.last else { return Some(Document::new()) };
        if self.type_done || single(last) {
            let types: Vec<&str> = ORDER[(place(last) + 1).min(ORDER.len())..].concat();
            return (!types.is_empty()).then(|| doc! {"_id": {"$type": types}});
        }
        self.asked = Asked::Type;
        // Nothing is greater than NaN, but all other numbers come after it.
        Some(match is_nan(last) {
            true => doc! {"_id": {"$type": "number", "$ne": Bson::Double(f64::NAN)}},
            false => doc! {"_id": {"$gt": last.clone()}},
        })
    }

    /// The last query was read to its end. Whether another one is needed.
    pub(super) fn exhausted(&mut self) -> bool {
        self.type_done = true;
        self.asked == Asked::Type
    }
}

fn is_nan(id: &Bson) -> bool {
    match id {
        Bson::Double(value) => value.is_nan(),
        Bson::Decimal128(value) => value.to_string().ends_with("NaN"),
        _ => false,
    }
}

/// Two filters at once.
pub(crate) fn and(one: Document, other: Document) -> Document {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other,
        (_, true) => one,
        _ => doc! {"$and": [one, other]},
    }
}

fn place(id: &Bson) -> usize {
    match id {
        Bson::MinKey => 0,
        Bson::Null | Bson::Undefined => 1,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 2,
        Bson::String(_) | Bson::Symbol(_) => 3,
        Bson::Document(_) => 4,
        Bson::Binary(_) => 5,
        Bson::ObjectId(_) => 6,
        Bson::Boolean(_) => 7,
        Bson::DateTime(_) => 8,
        Bson::Timestamp(_) => 9,
        Bson::DbPointer(_) => 10,
        Bson::JavaScriptCode(_) => 11,
        Bson::JavaScriptCodeWithScope(_) => 12,
        // Arrays and regular expressions cannot be an `_id`.
        _ => 13,
    }
}

/// Whether the type has one value only.
fn single(id: &Bson) -> bool {
    matches!(place(id), 0 | 1 | 13)
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn within_a_type_first_then_the_later_types() {
        let mut position = Position::default();
        assert_eq!(position.filter(), Some(doc! {}));
        assert!(!position.exhausted(), "all was asked for");
        let id = ObjectId::parse_str("65f000000000000000000001").unwrap();
        position.read(id.into());
        assert_eq!(position.filter(), Some(doc! {"_id": {"$gt": id}}));
        assert!(position.exhausted());
        let types = ["bool", "date", "timestamp", "dbPointer", "javascript", "javascriptWithScope", "maxKey"];
        assert_eq!(position.filter(), Some(doc! {"_id": {"$type": types.to_vec()}}));
        assert!(!position.exhausted(), "these were all that is left");
        position.read(true.into());
        assert_eq!(position.filter(), Some(doc! {"_id": {"$gt": true}}));
    }

    #[test]
    fn numbers_follow_nan_and_types_follow_null() {
        let mut position = Position::default();
        position.read(Bson::Double(f64::NAN));
        assert!(position.filter().unwrap().to_string().contains("\"number\""));
        position.read(Bson::Null);
        let filter = position.filter().unwrap().to_string();
        assert!(filter.contains("\"int\"") && !filter.contains("\"null\""), "{filter}");
        position.read(Bson::MaxKey);
        assert_eq!(position.filter(), None);
    }

    #[test]
    fn filters_are_joined_without_losing_one() {
        assert_eq!(and(doc! {}, doc! {"a": 1}), doc! {"a": 1});
        assert_eq!(and(doc! {"a": 1}, doc! {}), doc! {"a": 1});
        let both = and(doc! {"_id": 1}, doc! {"_id": {"$gt": 0}});
        assert_eq!(both, doc! {"$and": [{"_id": 1}, {"_id": {"$gt": 0}}]});
    }
}
