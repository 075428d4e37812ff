//! The part of a table or collection that a query needs.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::{
    SourceError,
    infer::{self, Seen},
    mongo::MongoTypes,
    read::RowShaper,
    rules::{Declared, Member},
    unify,
};

/// What of a table or collection is read; by default all of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// Columns by name; none: all.
    pub(crate) columns: Option<BTreeSet<String>>,
    /// Conditions for PostgreSQL.
    pub(crate) sql: Vec<String>,
    /// A filter for MongoDB.
    pub(crate) filter: bson::Document,
    /// The types of the columns of MongoDB, where they are known.
    pub(crate) types: Option<MongoTypes>,
    /// At most so many rows, whichever.
    pub(crate) limit: Option<u64>,
}

/// The columns of a table under the rules of a shape.
#[derive(Debug, Clone)]
pub(crate) struct ShapedColumns {
    /// Columns that are read by a rule.
    pub(crate) members: Vec<Member>,
    /// Columns that stay as they are.
    pub(crate) rest: Vec<Field>,
}

impl ShapedColumns {
    /// Of a table whose columns come in this schema.
    pub(crate) fn new(raw: &SchemaRef, declared: &Declared) -> Result<Self, SourceError> {
        let fields = plain(raw);
        let seen = fields.iter().filter(|f| declared.fields.contains_key(f.name()));
        let seen = seen.map(|f| (f.name().clone(), Seen::data_type(f.data_type()))).collect();
        let members = infer::members(&declared.fields, Some(&seen), "")?;
        let mut rest: Vec<Field> =
            fields.iter().filter(|f| !declared.fields.contains_key(f.name())).cloned().collect();
        rest.retain(|field| !members.iter().any(|m| m.missing && m.missing_name() == *field.name()));
        for field in &mut rest {
            if field.data_type() == &DataType::Null {
                field.set_data_type(DataType::Utf8);
            }
        }
        Ok(Self { members, rest })
    }

    /// Those that are needed for columns of these names.
    pub(crate) fn only(mut self, wanted: &BTreeSet<String>) -> Self {
        self.members
            .retain(|m| wanted.contains(&m.name) || (m.missing && wanted.contains(&m.missing_name())));
        self.rest.retain(|field| wanted.contains(field.name()));
        self
    }

    /// The columns of the table that they are made of.
    pub(crate) fn raw(&self, raw: &SchemaRef) -> Vec<String> {
        let mut names: BTreeSet<String> = self.rest.iter().map(|field| field.name().clone()).collect();
        for member in &self.members {
            names.insert(member.name.clone());
            names.extend(member.missing.then(|| member.missing_name()));
        }
        raw.fields().iter().map(|field| field.name().clone()).filter(|name| names.contains(name)).collect()
    }

    pub(crate) fn shaper(self) -> RowShaper {
        RowShaper::new(&self.members, self.rest, true)
    }
}

/// The columns of a table in plain types.
pub(crate) fn plain(raw: &SchemaRef) -> Vec<Field> {
    let plain = |f: &Arc<Field>| Field::new(f.name(), unify::normal(f.data_type()), true);
    raw.fields().iter().map(plain).collect()
}

/// The same as a schema.
pub(crate) fn plain_schema(raw: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(plain(raw)))
}
