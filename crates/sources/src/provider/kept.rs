//! Rows that were put aside as a table.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    datasource::{
        MemTable,
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::Result,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
};

use crate::{KeptRows, SourceError};

/// The table of rows that were put aside. It holds them as long as it stands.
struct KeptTable {
    inner: Arc<dyn TableProvider>,
    _rows: Arc<KeptRows>,
}

pub(crate) fn kept(rows: &Arc<KeptRows>) -> Result<Arc<dyn TableProvider>, SourceError> {
    let failed = |error| SourceError::Config(format!("the rows are not a table: {error}"));
    let schema = Arc::clone(rows.schema());
    let Some(file) = rows.file() else {
        let batches = rows.in_memory().unwrap_or_default().to_vec();
        return Ok(Arc::new(MemTable::try_new(schema, vec![batches]).map_err(failed)?));
    };
    let url = url::Url::from_file_path(file)
        .map_err(|()| SourceError::Config(format!("{}: not an absolute path", file.display())))?;
    let url = ListingTableUrl::parse(url.as_str()).map_err(failed)?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
    let inner = Arc::new(ListingTable::try_new(config).map_err(failed)?);
    Ok(Arc::new(KeptTable { inner, _rows: Arc::clone(rows) }))
}

impl fmt::Debug for KeptTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptTable").finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for KeptTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.scan(state, projection, filters, limit).await
    }
}
