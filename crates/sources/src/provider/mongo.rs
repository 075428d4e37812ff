//! Filters in the query language of MongoDB. Each gives at least the rows that are wanted, and the query engine applies it
//! again.
//!
//! A comparison there stays within one type, while a column here may be made of several: a number may have been written as
//! a text, an id as a text or an ObjectId. Beside the comparison within the type that is read as it is, documents with
//! any other type that could be converted are asked for. Missing and null fields are null here, and no comparison wants
//! them. Numbers there are compared with one float more on both sides, because a rule may round them; a day has two days
//! more, because it is one of a time zone. Texts under the rules of a language are not compared there at all.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use datafusion::common::ScalarValue;

use super::filters::{Compare, Dialect, Like, Pushed, Sure, text};
use crate::{
    LiveRequest, ServerSession, SourceError,
    mongo::MongoTypes,
    rules::{Kind, Member, Ty},
};

/// The columns of a collection, as filters see them.
pub(super) struct Collection {
    pub(super) types: MongoTypes,
    columns: BTreeMap<String, Kind>,
    collation: bool,
}

/// Types of values that may become something else than null.
const TYPES: [&str; 19] = [
    "double",
    "string",
    "object",
    "array",
    "binData",
    "objectId",
    "bool",
    "date",
    "regex",
    "dbPointer",
    "javascript",
    "symbol",
    "javascriptWithScope",
    "int",
    "timestamp",
    "long",
    "decimal",
    "minKey",
    "maxKey",
];

const NUMBERS: [&str; 4] = ["double", "int", "long", "decimal"];

const DAY: i64 = 86_400_000;

impl Collection {
    pub(super) async fn open(
        session: &ServerSession,
        request: &LiveRequest,
    ) -> Result<(SchemaRef, Self), SourceError> {
        let types = session.types(request).await?;
        let (source, _) = session
            .mongo(&request.name)
            .ok_or_else(|| SourceError::Config("the source is not a MongoDB server".into()))?;
        let collation = source.has_collation(&request.name).await?;
        Ok((types.schema().clone(), Self::new(types, collation)))
    }

    fn new(types: MongoTypes, collation: bool) -> Self {
        // A path or an operator would be read into other names.
        let askable = |name: &str| !name.is_empty() && !name.contains(['.', '\0']) && !name.starts_with('$');
        let columns = types.members(askable).into_iter().filter_map(|member| match member.ty {
            Ty::Leaf(leaf) => Some((member.name, leaf.kind)),
            _ => None,
        });
        Self { columns: columns.collect(), types, collation }
    }

    /// The fields that columns of these names are made of.
    pub(super) fn fields(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        let made = |member: &Member| {
            names.contains(&member.name) || (member.missing && names.contains(&member.missing_name()))
        };
        self.types.members(|_| true).into_iter().filter(made).map(|member| member.name).collect()
    }

    fn kind(&self, column: &str) -> Option<Kind> {
        self.columns.get(column).copied()
    }

    /// Documents that meet one of the conditions on a field, or hold another type than the expected ones there.
    fn either(column: &str, conditions: Vec<Bson>, expected: &[&str]) -> Document {
        let others: Vec<Bson> =
            TYPES.iter().filter(|name| !expected.contains(name)).map(|name| (*name).into()).collect();
        let mut ways: Vec<Bson> = conditions.into_iter().map(|way| doc! {column: way}.into()).collect();
        ways.push(doc! {column: {"$type": others}}.into());
        doc! {"$or": ways}
    }

    fn equal_texts(column: &str, texts: &[&str]) -> Document {
        let ids: Vec<Option<ObjectId>> = texts.iter().map(|text| object_id(text)).collect();
        let mut values: Vec<Bson> = texts.iter().map(|text| (*text).into()).collect();
        // An ObjectId is read as its digits: it is looked up rather than all of them.
        let expected: &[&str] =
            if ids.iter().all(Option::is_some) { &["string", "objectId"] } else { &["string"] };
        values.extend(ids.into_iter().flatten().map(Bson::from));
        Self::either(column, vec![doc! {"$in": values}.into()], expected)
    }
}

impl Dialect for Collection {
    type Filter = Document;

    fn compare(&self, column: &str, compare: Compare, value: &ScalarValue) -> Option<Pushed<Document>> {
        if compare == Compare::NotEqual {
            return None;
        }
        let within = |low: Bson, high: Bson| range(compare, low, high);
        let filter = match (self.kind(column)?, value) {
            (Kind::Integer, ScalarValue::Int64(Some(value))) => {
                Self::either(column, vec![within((*value).into(), (*value).into())], &NUMBERS)
            }
            (Kind::Float, ScalarValue::Float64(Some(value))) if !value.is_nan() => {
                let bounds = within(value.next_down().into(), value.next_up().into());
                let nan: bson::Decimal128 = "NaN".parse().ok()?;
                // Here it is greater or less than all numbers, by its sign.
                let ways = vec![bounds, f64::NAN.into(), nan.into()];
                Self::either(column, ways, &NUMBERS)
            }
            (Kind::Decimal { .. }, ScalarValue::Decimal128(Some(value), _, scale)) => {
                let unit = 10f64.powi(-i32::from(*scale));
                let near = *value as f64 * unit;
                let low = (near - unit).next_down().next_down().next_down();
                let high = (near + unit).next_up().next_up().next_up();
                Self::either(column, vec![within(low.into(), high.into())], &NUMBERS)
            }
            (Kind::Boolean, ScalarValue::Boolean(Some(value))) if compare == Compare::Equal => {
                Self::either(column, vec![(*value).into()], &["bool"])
            }
            (Kind::Date, ScalarValue::Date32(Some(days))) => {
                let at = i64::from(*days) * DAY;
                let [low, high] = [at - 2 * DAY, at + 3 * DAY].map(|at| DateTime::from_millis(at).into());
                Self::either(column, vec![within(low, high)], &["date"])
            }
            (Kind::Timestamp, ScalarValue::TimestampMicrosecond(Some(at), Some(_))) => {
                let at = at.div_euclid(1000);
                let [low, high] = [at, at.checked_add(1)?].map(|at| DateTime::from_millis(at).into());
                Self::either(column, vec![within(low, high)], &["date"])
            }
            (Kind::Text, value) if !self.collation => {
                let value = text(value).filter(|text| !text.contains('\0'))?;
                if compare == Compare::Equal {
                    Self::equal_texts(column, &[value])
                } else {
                    Self::either(column, vec![within(value.into(), value.into())], &["string"])
                }
            }
            _ => return None,
        };
        Some(Pushed::new(filter, Sure::Over))
    }

    fn one_of(&self, column: &str, values: &[&ScalarValue]) -> Option<Pushed<Document>> {
        if self.kind(column)? == Kind::Text {
            let texts: Vec<&str> = values.iter().map(|value| text(value)).collect::<Option<_>>()?;
            if self.collation || texts.iter().any(|text| text.contains('\0')) {
                return None;
            }
            return Some(Pushed::new(Self::equal_texts(column, &texts), Sure::Over));
        }
        let one =
            |value: &&ScalarValue| self.compare(column, Compare::Equal, value).map(|pushed| pushed.filter);
        let ways: Vec<Document> = values.iter().map(one).collect::<Option<_>>()?;
        (!ways.is_empty()).then(|| Pushed::new(doc! {"$or": ways}, Sure::Over))
    }

    fn like(&self, _: &str, _: &Like<'_>) -> Option<Pushed<Document>> {
        None
    }

    fn null(&self, column: &str, null: bool) -> Option<Pushed<Document>> {
        // A value that does not fit is null here only.
        self.kind(column).filter(|_| !null)?;
        // A list that holds null counts as null there.
        let some = doc! {"$or": [{column: {"$ne": Bson::Null}}, {column: {"$type": "array"}}]};
        Some(Pushed::new(some, Sure::Over))
    }

    fn truth(&self, column: &str) -> Option<Pushed<Document>> {
        self.compare(column, Compare::Equal, &ScalarValue::Boolean(Some(true)))
    }

    fn and(&self, filters: [Document; 2]) -> Document {
        doc! {"$and": filters.to_vec()}
    }

    fn or(&self, filters: [Document; 2]) -> Document {
        doc! {"$or": filters.to_vec()}
    }

    fn not(&self, filter: Document) -> Document {
        // Never asked for: nothing is [`Sure::Same`].
        doc! {"$nor": [filter]}
    }
}

/// The values that may be wanted, bounds included.
fn range(compare: Compare, low: Bson, high: Bson) -> Bson {
    match compare {
        Compare::Equal | Compare::NotEqual => doc! {"$gte": low, "$lte": high},
        Compare::Less | Compare::LessOrEqual => doc! {"$lte": high},
        Compare::Greater | Compare::GreaterOrEqual => doc! {"$gte": low},
    }
    .into()
}

/// The id whose digits a text has.
fn object_id(text: &str) -> Option<ObjectId> {
    let digits = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    (text.len() == 24 && text.bytes().all(digits)).then(|| ObjectId::parse_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{Expr, col, lit};

    use super::{super::filters::push, *};
    fn filter(collation: bool, filter: &Expr) -> Option<Document> {
        let member =
            |name: &str, kind: Kind| Member { name: name.to_owned(), ty: kind.plain(), missing: false };
        let members = vec![
            member("_id", Kind::Text),
            member("a.b", Kind::Text),
            member("hours", Kind::Float),
            member("lines", Kind::Integer),
            member("tags", Kind::Json),
        ];
        let collection = Collection::new(MongoTypes::of(members), collation);
        let pushed = push(&collection, filter)?;
        assert_eq!(pushed.sure, Sure::Over, "the query engine asks again");
        Some(pushed.filter)
    }

    #[test]
    fn other_types_that_could_be_converted_come_too() {
        let asked = filter(false, &col("lines").gt(lit(5i64))).unwrap();
        let ways = asked.get_array("$or").unwrap();
        assert_eq!(ways[0], doc! {"lines": {"$gte": 5i64}}.into());
        let others = ways[1].as_document().unwrap().get_document("lines").unwrap();
        let others = others.get_array("$type").unwrap();
        assert!(others.contains(&"string".into()) && others.contains(&"array".into()), "{others:?}");
        assert!(!others.contains(&"int".into()) && !others.contains(&"null".into()), "{others:?}");
    }

    #[test]
    fn an_id_is_looked_up_as_text_and_as_object_id() {
        let digits = "65f000000000000000000001";
        let asked = filter(false, &col("_id").eq(lit(digits))).unwrap();
        let ways = asked.get_array("$or").unwrap();
        let id = ObjectId::parse_str(digits).unwrap();
        assert_eq!(ways[0], doc! {"_id": {"$in": [digits, id]}}.into());
        assert!(!ways[1].to_string().contains("objectId"), "{}", ways[1]);
        let other = filter(false, &col("_id").eq(lit("x"))).unwrap();
        assert!(other.to_string().contains("objectId"), "its digits may be the text");
    }

    #[test]
    fn what_cannot_be_said_there_stays_here() {
        for asked in [
            col("a.b").eq(lit("x")),
            col("tags").eq(lit("x")),
            col("hours").eq(lit(f64::NAN)),
            col("hours").not_eq(lit(1.0)),
            col("hours").is_null(),
            !col("lines").gt(lit(5i64)),
            col("_id").like(lit("a%")),
        ] {
            assert_eq!(filter(false, &asked), None, "{asked}");
        }
        assert_eq!(filter(true, &col("_id").eq(lit("x"))), None, "texts by the rules of a language");
        let part = filter(true, &col("_id").eq(lit("x")).and(col("lines").gt(lit(5i64))));
        assert!(part.is_some(), "a part of it can be said");
    }
}
