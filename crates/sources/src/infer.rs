//! The types of undeclared fields, from all documents of an input, and the types of all fields in the end.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field};
use bson::{RawBsonRef, RawDocument};
use dualrun_core::shape::FieldType;

use crate::{
    SourceError,
    rules::{Declared, Kind, Member, Ty, leaf},
    scalar::Scalar,
    value::{Form, Value},
};

/// Levels of documents and lists that are followed. MongoDB stores at most 100.
const MAX_DEPTH: usize = 128;

const BOOLEAN: u16 = 1;
const INTEGER: u16 = 1 << 1;
const FLOAT: u16 = 1 << 2;
const DECIMAL: u16 = 1 << 3;
const TEXT: u16 = 1 << 4;
const INSTANT: u16 = 1 << 5;
const DAY: u16 = 1 << 6;
const OTHER: u16 = 1 << 7;

/// Everything that was seen at one place.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    scalars: u16,
    /// Widest decimal: digits before and behind the point.
    width: (u32, u32),
    fields: Option<BTreeMap<String, Seen>>,
    element: Option<Box<Seen>>,
}

impl Seen {
    /// Takes a document in; tells what is wrong with its bytes. Every byte of it is looked at.
    pub(crate) fn document(&mut self, document: &RawDocument) -> Result<(), String> {
        self.members(document, 0)
    }

    /// Takes an Arrow type in.
    pub(crate) fn data_type(data_type: &DataType) -> Self {
        let mut seen = Self::default();
        match data_type {
            DataType::Null => {}
            DataType::Boolean => seen.scalars = BOOLEAN,
            t if t.is_integer() && *t != DataType::UInt64 => seen.scalars = INTEGER,
            DataType::UInt64 => seen.decimal(20, 0),
            DataType::Float32 | DataType::Float64 => seen.scalars = FLOAT,
            DataType::Decimal128(p, s) => {
                let scale = u32::from(s.max(&0).unsigned_abs());
                seen.decimal(u32::from(*p).saturating_sub(scale), scale);
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {
                seen.scalars = TEXT
            }
            DataType::Timestamp(..) => seen.scalars = INSTANT,
            DataType::Date32 => seen.scalars = DAY,
            DataType::List(field) | DataType::LargeList(field) => {
                seen.element = Some(Box::new(Self::data_type(field.data_type())));
            }
            DataType::Struct(fields) => {
                seen.fields = Some(Self::arrow_fields(fields.iter().map(AsRef::as_ref)))
            }
            _ => seen.scalars = OTHER,
        }
        seen
    }

    /// Takes the fields of an Arrow schema or struct in.
    pub(crate) fn arrow_fields<'a>(fields: impl Iterator<Item = &'a Field>) -> BTreeMap<String, Self> {
        fields.map(|f| (f.name().clone(), Self::data_type(f.data_type()))).collect()
    }

    /// The fields of the documents that were taken in.
    pub(crate) fn fields(&self) -> Option<&BTreeMap<String, Self>> {
        self.fields.as_ref()
    }

    fn members(&mut self, document: &RawDocument, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let fields = self.fields.get_or_insert_default();
        for entry in document {
            let (name, value) = entry.map_err(|e| e.to_string())?;
            let name = name.as_str();
            if !fields.contains_key(name) {
                fields.insert(name.to_owned(), Self::default());
            }
            if let Some(field) = fields.get_mut(name) {
                field.value(value, depth + 1).map_err(|e| in_field(name, e))?;
            }
        }
        Ok(())
    }

    fn value(&mut self, value: RawBsonRef<'_>, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        match value {
            RawBsonRef::Document(document) => return self.members(document, depth),
            RawBsonRef::Array(array) => {
                let element = self.element.get_or_insert_default();
                for value in array {
                    element.value(value.map_err(|e| e.to_string())?, depth + 1)?;
                }
                return Ok(());
            }
            RawBsonRef::JavaScriptCodeWithScope(code) => Self::default().members(code.scope, depth)?,
            _ => {}
        }
        if let Form::Scalar(scalar) = Value::Bson(value).form() {
            self.scalar(scalar);
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: Scalar<'_>) {
        match scalar {
            Scalar::Boolean(_) => self.scalars |= BOOLEAN,
            Scalar::Integer(_) => {
                self.scalars |= INTEGER;
                self.width.0 = self.width.0.max(19);
            }
            Scalar::Float(_) => self.scalars |= FLOAT,
            Scalar::Number(number) => {
                let (whole, fraction) = number.finite().map(|d| d.width()).unwrap_or_default();
                self.decimal(whole, fraction);
            }
            Scalar::Text(_) | Scalar::ObjectId(_) | Scalar::Uuid(_) | Scalar::Bytes(_) => {
                self.scalars |= TEXT
            }
            Scalar::Instant(_) | Scalar::Civil(_) => self.scalars |= INSTANT,
            Scalar::Day(_) => self.scalars |= DAY,
            Scalar::Other => self.scalars |= OTHER,
        }
    }

    fn decimal(&mut self, whole: u32, fraction: u32) {
        self.scalars |= DECIMAL;
        self.width = (self.width.0.max(whole), self.width.1.max(fraction));
    }

    /// Whole numbers beside floats are floats, beside decimals decimals, anything beside text is text; every other
    /// mixture is kept as JSON. A field that was null in all documents is text.
    fn kind(&self) -> Kind {
        let only = |kinds: u16| self.scalars & !kinds == 0;
        if self.scalars == 0 {
            Kind::Text
        } else if only(BOOLEAN) {
            Kind::Boolean
        } else if only(INTEGER) {
            Kind::Integer
        } else if only(INTEGER | FLOAT | DECIMAL) {
            if self.scalars & FLOAT != 0 { Kind::Float } else { self.decimal_kind() }
        } else if only(DAY) {
            Kind::Date
        } else if only(DAY | INSTANT) {
            Kind::Timestamp
        } else if self.scalars & TEXT != 0 && self.scalars & OTHER == 0 {
            Kind::Text
        } else {
            Kind::Json
        }
    }

    /// 38 digits, ten of them behind the point where the values leave that open; text where 38 are not enough.
    fn decimal_kind(&self) -> Kind {
        let (whole, fraction) = self.width;
        let scale = if whole.saturating_add(fraction.max(10)) <= 38 { fraction.max(10) } else { fraction };
        match i8::try_from(scale) {
            Ok(scale) if whole.saturating_add(fraction) <= 38 => Kind::Decimal { precision: 38, scale },
            _ => Kind::Text,
        }
    }
}

/// The members of a document: every declared and every seen field, sorted by name.
pub(crate) fn members(
    declared: &BTreeMap<String, Declared>,
    seen: Option<&BTreeMap<String, Seen>>,
    path: &str,
) -> Result<Vec<Member>, SourceError> {
    let mut names: BTreeSet<&String> = declared.keys().collect();
    names.extend(seen.into_iter().flat_map(BTreeMap::keys));
    let mut members = Vec::with_capacity(names.len());
    for name in &names {
        let path = if path.is_empty() { (*name).clone() } else { format!("{path}.{name}") };
        let rules = declared.get(*name);
        let missing = rules.and_then(|d| d.rules.as_ref()).is_some_and(|r| r.missing);
        let ty = resolve(rules, seen.and_then(|s| s.get(*name)), &path)?;
        members.push(Member { name: (*name).clone(), ty, missing });
    }
    // A field that is called like the column of another field's absence stands for that column: a copy in Parquet
    // has it from the documents.
    let taken: BTreeSet<String> = members.iter().filter(|m| m.missing).map(Member::missing_name).collect();
    members.retain(|m| !taken.contains(&m.name));
    Ok(members)
}

fn resolve(declared: Option<&Declared>, seen: Option<&Seen>, path: &str) -> Result<Ty, SourceError> {
    let empty = Declared::default();
    let declared = declared.unwrap_or(&empty);
    let field_type = declared.rules.as_ref().map(|r| r.field);
    if let Some(rules) = &declared.rules
        && let Some(leaf) = leaf(path, rules)?
    {
        return Ok(Ty::Leaf(leaf));
    }
    let seen_list = seen.is_some_and(|s| s.element.is_some());
    let seen_document = seen.is_some_and(|s| s.fields.is_some());
    let seen_scalar = seen.is_some_and(|s| s.scalars != 0);
    if field_type == Some(FieldType::List) || declared.element.is_some() {
        return list(declared, seen, path);
    }
    if field_type == Some(FieldType::Document) || !declared.fields.is_empty() {
        return document(declared, seen, path);
    }
    match (seen_list, seen_document, seen_scalar) {
        (true, _, false) => list(declared, seen, path),
        (false, true, false) => document(declared, seen, path),
        (false, false, _) => Ok(seen.map_or(Kind::Text, Seen::kind).plain()),
        _ => Ok(Kind::Json.plain()),
    }
}

/// A value that is no list counts as a list of one, so its type goes into that of the elements.
fn list(declared: &Declared, seen: Option<&Seen>, path: &str) -> Result<Ty, SourceError> {
    let mut elements = Seen::default();
    if let Some(seen) = seen {
        elements = seen.element.as_deref().cloned().unwrap_or_default();
        elements.merge(&Seen { element: None, ..seen.clone() });
    }
    let path = format!("{path}[]");
    Ok(Ty::List(Box::new(resolve(declared.element.as_deref(), Some(&elements), &path)?)))
}

/// A document without any field would be a column without columns, which Parquet cannot hold: it stays JSON.
fn document(declared: &Declared, seen: Option<&Seen>, path: &str) -> Result<Ty, SourceError> {
    let members = members(&declared.fields, seen.and_then(|s| s.fields.as_ref()), path)?;
    Ok(if members.is_empty() { Kind::Json.plain() } else { Ty::Document(members) })
}

impl Seen {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.scalars |= other.scalars;
        self.width = (self.width.0.max(other.width.0), self.width.1.max(other.width.1));
        if let Some(fields) = &other.fields {
            let mine = self.fields.get_or_insert_default();
            for (name, seen) in fields {
                mine.entry(name.clone()).or_default().merge(seen);
            }
        }
        if let Some(element) = &other.element {
            self.element.get_or_insert_default().merge(element);
        }
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
