//! The types of undeclared fields, from all documents of an input, and the types of all fields in the end.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field};
use dualrun_core::shape::FieldType;

use crate::{
    SourceError,
    number::Decimal,
    rules::{Declared, Kind, Member, Ty, leaf},
    scalar::Scalar,
};

mod learn;

pub(crate) use learn::Learner;

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
    /// Widest number, floats by their shortest text: digits before and behind the point.
    width: (u32, u32),
    /// Whether some whole number or decimal is not exactly a float.
    inexact: bool,
    /// Whether some of these is whole.
    inexact_whole: bool,
    /// Whether some of these is not the shortest text of a float either.
    long: bool,
    /// Whether some number is not finite.
    special: bool,
    fields: Option<BTreeMap<String, Seen>>,
    element: Option<Box<Seen>>,
}

impl Seen {
    /// Takes an Arrow type in.
    pub(crate) fn data_type(data_type: &DataType) -> Self {
        let mut seen = Self::default();
        match data_type {
            DataType::Null => {}
            DataType::Boolean => seen.scalars = BOOLEAN,
            t if t.is_integer() && *t != DataType::UInt64 => {
                seen.scalars = INTEGER;
                seen.width = (19, 0);
            }
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

    /// The fields that are decimals because a float would round a whole number.
    pub(crate) fn exact_numbers(&self) -> Vec<String> {
        let exact =
            |s: &Self| s.inexact_whole && s.scalars & FLOAT != 0 && matches!(s.kind(), Kind::Decimal { .. });
        let fields = self.fields.iter().flatten();
        fields.filter(|(_, seen)| exact(seen)).map(|(name, _)| name.clone()).collect()
    }

    fn scalar(&mut self, scalar: Scalar<'_>) {
        match scalar {
            Scalar::Boolean(_) => self.scalars |= BOOLEAN,
            Scalar::Integer(value) => {
                self.scalars |= INTEGER;
                let size = value.unsigned_abs();
                self.width.0 = self.width.0.max(size.checked_ilog10().map_or(0, |log| log + 1));
                if size > 1 << f64::MANTISSA_DIGITS && !Decimal::integer(i128::from(value)).is_exact_f64() {
                    self.inexact = true;
                    self.inexact_whole = true;
                    self.long = true;
                }
            }
            Scalar::Float(value) => self.float(value),
            Scalar::Number(number) => match number.finite() {
                Some(decimal) => {
                    let (whole, fraction) = decimal.width();
                    self.decimal(whole, fraction);
                    if !decimal.is_exact_f64() {
                        self.inexact = true;
                        self.inexact_whole = self.inexact_whole || fraction == 0;
                        self.long = self.long || !decimal.is_short_f64();
                    }
                }
                None => {
                    self.scalars |= DECIMAL;
                    self.special = true;
                }
            },
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

    fn float(&mut self, value: f64) {
        self.scalars |= FLOAT;
        if !value.is_finite() {
            self.special = true;
            return;
        }
        let (whole, fraction) = self.width;
        // Wider than any decimal already.
        if whole.saturating_add(fraction) > 38 {
            return;
        }
        // A number of few digits that is not wider than those before is known without its text.
        let unit = 10f64.powi(fraction.min(22).cast_signed());
        let scaled = (value * unit).round();
        let narrow = scaled.abs() < (1u64 << f64::MANTISSA_DIGITS) as f64 && scaled / unit == value;
        if narrow && value.abs() < 10f64.powi(whole.cast_signed()) {
            return;
        }
        let (w, f) = Decimal::shortest(value).map(Decimal::width).unwrap_or((u32::MAX, 0));
        self.width = (whole.max(w), fraction.max(f));
    }

    /// Whole numbers beside decimals are decimals, anything beside text is text; every other mixture but that of
    /// numbers is kept as JSON. A field that was null in all documents is text.
    fn kind(&self) -> Kind {
        let only = |kinds: u16| self.scalars & !kinds == 0;
        if self.scalars == 0 {
            Kind::Text
        } else if only(BOOLEAN) {
            Kind::Boolean
        } else if only(INTEGER) {
            Kind::Integer
        } else if only(INTEGER | FLOAT | DECIMAL) {
            self.number_kind()
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

    /// Numbers beside floats are floats where each is exactly one, and decimals otherwise. Only floats hold what is not
    /// finite: there the shortest text of a float is exact enough. What fits neither is text.
    fn number_kind(&self) -> Kind {
        if self.special {
            if self.long { Kind::Text } else { Kind::Float }
        } else if self.scalars & FLOAT != 0 && !self.inexact {
            Kind::Float
        } else {
            self.decimal_kind()
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

/// Takes the type of text from the columns that were null in all documents.
pub(crate) fn untyped(members: &mut [Member], seen: Option<&BTreeMap<String, Seen>>) {
    for member in members {
        let null = |s: &Seen| s.scalars == 0 && s.fields.is_none() && s.element.is_none();
        if seen.and_then(|s| s.get(&member.name)).is_some_and(null) {
            member.ty = Kind::Null.plain();
        }
    }
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
    /// The same without the fields of documents that are not declared where any is.
    pub(crate) fn only(&self, declared: &Declared) -> Self {
        let mut only = self.clone();
        // A document that is no list counts as a list of one.
        let inner = declared.element.as_deref().unwrap_or(declared);
        if let Some(fields) = only.fields.as_mut().filter(|_| !inner.fields.is_empty()) {
            fields.retain(|name, _| inner.fields.contains_key(name));
            for (name, seen) in fields {
                if let Some(declared) = inner.fields.get(name) {
                    *seen = seen.only(declared);
                }
            }
        }
        if let (Some(element), Some(declared)) = (&mut only.element, &declared.element) {
            **element = element.only(declared);
        }
        only
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.scalars |= other.scalars;
        self.width = (self.width.0.max(other.width.0), self.width.1.max(other.width.1));
        self.inexact |= other.inexact;
        self.inexact_whole |= other.inexact_whole;
        self.long |= other.long;
        self.special |= other.special;
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
