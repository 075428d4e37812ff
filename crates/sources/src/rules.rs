//! The declared shape as a tree, and the types that columns get.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, TimeUnit};
use dualrun_core::shape::{FieldRules, FieldType, Shape};
use jiff::tz::TimeZone;

use crate::{SourceError, instant::Clock};

/// What is declared at one place of a document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub(crate) rules: Option<FieldRules>,
    pub(crate) fields: BTreeMap<String, Declared>,
    pub(crate) element: Option<Box<Declared>>,
    /// Whether a column of a table that is null in every row has no type; it is text otherwise.
    pub(crate) untyped_nulls: bool,
}

impl Declared {
    /// Of a relation that nobody declared: what is null everywhere takes the type of the other side.
    pub(crate) fn nothing() -> Self {
        Self { untyped_nulls: true, ..Self::default() }
    }

    /// Reads the paths of a shape; `a.b` goes into a document, `a[].b` into the elements of a list.
    pub(crate) fn of(shape: &Shape) -> Result<Self, SourceError> {
        let mut root = Self::default();
        for (path, field) in &shape.0 {
            let mut place = &mut root;
            for part in path.split('.') {
                let name = part.trim_end_matches("[]");
                if name.is_empty() || name.contains(['[', ']']) {
                    return Err(SourceError::Config(format!("{path:?} is not a path of a field")));
                }
                place = place.fields.entry(name.to_owned()).or_default();
                for _ in 0..(part.len() - name.len()) / 2 {
                    place = place.element.get_or_insert_default();
                }
            }
            let rules = field.rules();
            // Wrong rules are told even where no document comes.
            leaf(path, &rules)?;
            place.rules = Some(rules);
        }
        Ok(root)
    }
}

impl Declared {
    /// Whether the type is known without looking at a value. The fields of a document are known only where no other
    /// than the declared ones count (`only_declared`).
    pub(crate) fn typed(&self, only_declared: bool) -> bool {
        let field = self.rules.as_ref().map(|r| r.field);
        match (field, &self.element) {
            (None | Some(FieldType::List), Some(element)) => element.typed(only_declared),
            (Some(FieldType::List), None) => false,
            (None | Some(FieldType::Document), _) => {
                only_declared
                    && !self.fields.is_empty()
                    && self.fields.values().all(|f| f.typed(only_declared))
            }
            _ => true,
        }
    }
}

/// The type of a column.
#[derive(Debug, Clone)]
pub(crate) enum Ty {
    Leaf(Leaf),
    List(Box<Ty>),
    /// Members sorted by name.
    Document(Vec<Member>),
}

/// A field of a document.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    /// Whether a column says that the field is absent.
    pub(crate) missing: bool,
}

impl Member {
    pub(crate) fn missing_name(&self) -> String {
        format!("{}_missing", self.name)
    }
}

/// A scalar type with the rules for reading it.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) kind: Kind,
    pub(crate) clock: Clock,
    pub(crate) mark: char,
}

/// A scalar type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Float,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Boolean,
    Date,
    Timestamp,
    Json,
    /// Of a column that is null everywhere.
    Null,
}

impl Kind {
    pub(crate) fn plain(self) -> Ty {
        Ty::Leaf(Leaf { kind: self, clock: Clock::utc(), mark: '.' })
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Boolean => "boolean".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Json => "json".to_owned(),
            Self::Null => "null".to_owned(),
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Null => DataType::Null,
        }
    }
}

impl Ty {
    /// The Arrow type. Every field may be null; elements of lists are called `item`.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Leaf(leaf) => leaf.kind.data_type(),
            Self::List(element) => DataType::List(Arc::new(Field::new_list_field(element.data_type(), true))),
            Self::Document(members) => DataType::Struct(fields(members).into()),
        }
    }
}

/// The Arrow fields of members, sorted by name.
pub(crate) fn fields(members: &[Member]) -> Vec<Field> {
    let mut fields = Vec::with_capacity(members.len());
    for member in members {
        fields.push(Field::new(&member.name, member.ty.data_type(), true));
        if member.missing {
            fields.push(Field::new(member.missing_name(), DataType::Boolean, true));
        }
    }
    fields
}

/// The scalar type of a declared field, none for lists and documents.
pub(crate) fn leaf(path: &str, rules: &FieldRules) -> Result<Option<Leaf>, SourceError> {
    let wrong = |what: String| Err(SourceError::Config(format!("field {path:?}: {what}")));
    let precision = rules.precision.unwrap_or(38);
    let scale = rules.scale.unwrap_or(10.min(precision));
    if !(1..=38).contains(&precision) || scale > precision {
        return wrong(format!(
            "decimal({precision},{scale}) is not possible: 1 to 38 digits, the scale among them"
        ));
    }
    let mark = rules.decimal_mark.unwrap_or('.');
    if !matches!(mark, '.' | ',') {
        return wrong(format!("{mark:?} is not a decimal mark; it is \".\" or \",\""));
    }
    let zone = match &rules.time_zone {
        None => TimeZone::UTC,
        Some(name) => match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => return wrong(format!("{name:?} is not a time zone")),
        },
    };
    let kind = match rules.field {
        FieldType::Text => Kind::Text,
        FieldType::Integer => Kind::Integer,
        FieldType::Float => Kind::Float,
        FieldType::Decimal => Kind::Decimal { precision, scale: scale.cast_signed() },
        FieldType::Boolean => Kind::Boolean,
        FieldType::Date => Kind::Date,
        FieldType::Timestamp => Kind::Timestamp,
        FieldType::Json => Kind::Json,
        FieldType::List | FieldType::Document => return Ok(None),
    };
    Ok(Some(Leaf { kind, clock: Clock { zone, formats: rules.formats.clone() }, mark }))
}
