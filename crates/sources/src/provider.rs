//! Tables and collections of servers as tables of the query engine: the server is asked for the columns and rows that a
//! query needs, and for no others.
//!
//! A filter goes to the server as far as its answer is known to be that of the query engine. Where the server may give
//! more rows (MongoDB compares within one type only, and a rule of the shape reads values of several), the query engine
//! applies the filter again; where it may give fewer, the filter stays here. `EXPLAIN` shows what is sent.

mod filters;
mod kept;
mod mongo;
mod postgres;
mod scan;

use std::{collections::BTreeSet, fmt, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    error::{DataFusionError, Result},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
};

use self::{
    filters::{Sure, push},
    mongo::Collection,
    postgres::Table,
    scan::{Reading, ServerScan},
};
use crate::{LiveRequest, ServerSession, SourceError, live::Part};

pub(crate) use self::kept::kept;

/// A table or collection of a server, in the state that its session sees.
pub struct ServerTable {
    session: Arc<ServerSession>,
    request: Arc<LiveRequest>,
    schema: SchemaRef,
    columns: Columns,
}

/// How filters on the columns are told to the server.
enum Columns {
    Postgres(Table),
    Mongo(Collection),
}

impl fmt::Debug for ServerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTable")
            .field("server", &self.session.server())
            .field("name", &self.request.name)
            .finish_non_exhaustive()
    }
}

impl ServerTable {
    /// The table that a request names; more rows than those of its days may come. A collection whose types are not all
    /// declared is read once to learn them; nothing of it is kept.
    ///
    /// # Errors
    /// What the server or the way to it does.
    pub async fn open(session: Arc<ServerSession>, request: LiveRequest) -> Result<Self, SourceError> {
        let (schema, columns) = if session.postgres().is_some() {
            let (schema, table) = Table::open(&session, &request).await?;
            (schema, Columns::Postgres(table))
        } else {
            let (schema, collection) = Collection::open(&session, &request).await?;
            (schema, Columns::Mongo(collection))
        };
        Ok(Self { session, request: Arc::new(request), schema, columns })
    }

    /// How sure it is that the server's answer to a filter is the one of the query engine; none where it is not asked.
    fn sure(&self, filter: &Expr) -> Option<Sure> {
        match &self.columns {
            Columns::Postgres(table) => push(table, filter).map(|pushed| pushed.sure),
            Columns::Mongo(collection) => push(collection, filter).map(|pushed| pushed.sure),
        }
    }
}

#[async_trait]
impl TableProvider for ServerTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.sure(filter) {
            Some(Sure::Same | Sure::True) => TableProviderFilterPushDown::Exact,
            Some(Sure::Over) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => Arc::clone(&self.schema),
        };
        let names: BTreeSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut part = Part {
            columns: projection.is_some().then_some(names),
            limit: limit.map(|rows| rows as u64),
            ..Part::default()
        };
        for filter in filters {
            match &self.columns {
                Columns::Postgres(table) => part.sql.extend(push(table, filter).map(|pushed| pushed.filter)),
                Columns::Mongo(collection) => {
                    if let Some(pushed) = push(collection, filter) {
                        part.filter = crate::mongo::and(part.filter, pushed.filter);
                    }
                }
            }
        }
        if let Columns::Mongo(collection) = &self.columns {
            part.types = Some(collection.types.clone());
            part.columns = part.columns.map(|names| collection.fields(names));
        }
        let shown = shown(&self.request.name, &schema, &part);
        let reading =
            Reading { session: Arc::clone(&self.session), request: Arc::clone(&self.request), part };
        Ok(Arc::new(ServerScan::new(reading, schema, shown)))
    }
}

/// What a scan asks for, in words of the server.
fn shown(name: &str, schema: &Schema, part: &Part) -> String {
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut shown = format!("{name}, columns=[{}]", columns.join(", "));
    if !part.sql.is_empty() {
        shown.push_str(&format!(", where={}", part.sql.join(" AND ")));
    }
    if !part.filter.is_empty() {
        shown.push_str(&format!(", filter={}", part.filter));
    }
    if let Some(limit) = part.limit {
        shown.push_str(&format!(", limit={limit}"));
    }
    shown
}

/// An error of a source within a query.
fn external(error: SourceError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
