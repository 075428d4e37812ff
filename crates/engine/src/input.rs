//! The rows of one input of one side, wherever they are kept.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use datafusion::{
    catalog::TableProvider,
    error::{DataFusionError, Result},
    execution::context::SessionContext,
    logical_expr::Expr,
};
use dualrun_core::Fingerprint;
use dualrun_sources::{InputTable, KeptRows, ReadReport};

/// An input of one side for one period.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its columns.
    pub schema: SchemaRef,
    /// Where its rows come from, and what did not fit.
    pub report: ReadReport,
    pub(crate) rows: Rows,
    /// Of rows that went by and are not looked at again.
    pub(crate) prints: Option<Prints>,
}

/// Where rows are.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// Put aside: in memory, or in a file.
    Kept(Arc<KeptRows>),
    /// On a server, which is asked for those that a model needs.
    Live { table: Arc<dyn TableProvider>, within: Option<Expr> },
}

/// What the fence wants to know of rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prints {
    /// Over all columns of all rows.
    pub(crate) whole: Fingerprint,
    /// By customer, over what the fence of the input compares.
    pub(crate) customers: BTreeMap<Option<String>, Fingerprint>,
}

impl From<InputTable> for Input {
    fn from(table: InputTable) -> Self {
        let rows = Arc::new(KeptRows::held(Arc::clone(&table.schema), table.batches));
        Self { schema: table.schema, report: table.report, rows: Rows::Kept(rows), prints: None }
    }
}

impl Input {
    /// The rows that are in memory; none where they are elsewhere.
    pub(crate) fn batches(&self) -> &[RecordBatch] {
        match &self.rows {
            Rows::Kept(rows) => rows.in_memory().unwrap_or_default(),
            Rows::Live { .. } => &[],
        }
    }

    /// The same columns, or others, without a row.
    pub(crate) fn bare(&self, schema: SchemaRef) -> Self {
        let rows = Arc::new(KeptRows::held(Arc::clone(&schema), Vec::new()));
        Self { schema, rows: Rows::Kept(rows), ..self.clone() }
    }

    /// The rows that are put aside; none where they are on a server.
    pub(crate) fn kept(&self) -> Option<&Arc<KeptRows>> {
        match &self.rows {
            Rows::Kept(rows) => Some(rows),
            Rows::Live { .. } => None,
        }
    }

    /// The table that models read.
    pub(crate) fn provider(&self, session: &SessionContext) -> Result<Arc<dyn TableProvider>> {
        let failed = |error| DataFusionError::External(Box::new(error));
        match &self.rows {
            Rows::Kept(rows) => rows.provider().map_err(failed),
            Rows::Live { table, within: None } => Ok(Arc::clone(table)),
            Rows::Live { table, within: Some(within) } => {
                Ok(session.read_table(Arc::clone(table))?.filter(within.clone())?.into_view())
            }
        }
    }
}
