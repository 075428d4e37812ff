//! The types of a collection, learnt once, so that many readings of it can stream.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use dualrun_core::shape::Shape;

use super::{FindRequest, MongoFault, MongoSource, ReadOptions, decode::Plan};
use crate::{
    SourceError,
    rules::{self, Declared, Member},
};

/// The columns of a collection with their types, as a reading of all its documents gives them.
#[derive(Debug, Clone)]
pub struct MongoTypes {
    schema: SchemaRef,
    members: Arc<Vec<Member>>,
}

impl MongoTypes {
    /// The columns, sorted by name; every one may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Of columns that a test names.
    #[cfg(all(test, feature = "datafusion"))]
    pub(crate) fn of(members: Vec<Member>) -> Self {
        Self::new(members)
    }

    pub(super) fn new(members: Vec<Member>) -> Self {
        Self { schema: Arc::new(Schema::new(rules::fields(&members))), members: Arc::new(members) }
    }

    /// The wanted columns.
    pub(crate) fn members(&self, wanted: impl Fn(&str) -> bool) -> Vec<Member> {
        self.members.iter().filter(|m| wanted(&m.name)).cloned().collect()
    }
}

impl MongoSource {
    /// Learns the types of all columns from the documents that fit a filter; nothing is asked of the server where the
    /// shape declares all there is to know of `request.fields`. Given to a [`FindRequest`] over the same cut, every
    /// reading streams, whatever its fields, and has these types. A value that came later and does not fit is null
    /// and counted.
    pub async fn types(
        &self,
        collection: &str,
        request: FindRequest,
        shape: &Shape,
        read: &ReadOptions,
    ) -> Result<MongoTypes, SourceError> {
        let mut declared = Declared::of(shape)?;
        declared.untyped_nulls = read.untyped_nulls;
        let place = self.place(collection);
        let plan = Plan {
            place: place.clone(),
            collection: collection.into(),
            declared,
            fields: request.fields.clone(),
            types: None,
            read: read.clone(),
        };
        if plan.streams() {
            return plan.known();
        }
        let query = Self::query(request, &plan.declared, read);
        let (answers, _fetching) = self.fetch(collection, query, true, read).await?;
        let learnt = tokio::task::spawn_blocking(move || plan.learn(answers)).await;
        learnt.unwrap_or_else(|_| Err(SourceError::mongo(&place, MongoFault::Stopped)))
    }
}
