//! In which rows the conditions of promises hold.

use std::sync::Arc;

use arrow::{
    compute::cast,
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};
use datafusion::{datasource::MemTable, error::DataFusionError};
use dualrun_compare::{Common, sort_batches};
use dualrun_core::review::ReviewStatus;
use dualrun_explain::promise::{InForce, promised};

use crate::{
    assess::Figures,
    calculate::{Runtime, queries_only},
    error::EngineError,
};

/// The keys of all rows with one boolean column for each condition that is not `true`, sorted by the key; `None`
/// where there is no such condition. Rows of the new result say for themselves; rows that only the legacy result
/// has are asked there.
///
/// # Errors
/// A condition that does not fit the result.
pub(crate) async fn flags(
    runtime: &Runtime,
    figures: &Figures,
    common: &Common,
) -> Result<Option<Vec<RecordBatch>>, EngineError> {
    let in_force: Vec<InForce<'_>> =
        figures.changes.iter().map(|change| InForce { change, status: ReviewStatus::Proposed }).collect();
    let promises = promised(&figures.pipeline.id, &in_force);
    let conditions: Vec<(&str, &str, &str)> = promises
        .iter()
        .filter_map(|(p, expectation)| {
            Some((p.flag.as_deref()?, expectation.condition.as_str(), p.change.as_str()))
        })
        .collect();
    let (Some((_, legacy)), Some((_, new))) = (figures.results.first(), figures.results.get(1)) else {
        return Ok(None);
    };
    if conditions.is_empty() {
        return Ok(None);
    }
    let run = async {
        let session = runtime.session();
        for (name, rows) in [("legacy_rows", legacy), ("new_rows", new)] {
            let table = MemTable::try_new(Arc::clone(&rows.schema), vec![rows.batches.clone()])?;
            session.register_table(name, Arc::new(table))?;
        }
        let quoted: Vec<String> =
            common.spec.key.iter().map(|k| format!("\"{}\"", k.replace('"', "\"\""))).collect();
        let keys = quoted.join(", ");
        let held: Vec<String> = conditions
            .iter()
            .map(|(flag, condition, _)| format!("coalesce(({condition}), false) as {flag}"))
            .collect();
        let held = held.join(", ");
        let same: Vec<String> =
            quoted.iter().map(|k| format!("(n.{k} is not distinct from l.{k})")).collect();
        let sql = format!(
            "select {keys}, {held} from new_rows union all \
             select {keys}, {held} from legacy_rows l where not exists (select 1 from new_rows n where {})",
            same.join(" and ")
        );
        let frame = match session.sql_with_options(&sql, queries_only()).await {
            Ok(frame) => frame,
            // The legacy result may lack a column that the condition speaks of.
            Err(_) => {
                let sql = format!("select {keys}, {held} from new_rows");
                session.sql_with_options(&sql, queries_only()).await?
            }
        };
        frame.collect().await
    };
    let batches: Vec<RecordBatch> = run.await.map_err(|source: DataFusionError| EngineError::Condition {
        change: conditions.iter().map(|c| c.2).collect::<Vec<_>>().join(", "),
        source,
    })?;
    let compare = |source| EngineError::Compare { pipeline: figures.pipeline.id.to_string(), source };
    let mut conformed = Vec::with_capacity(batches.len());
    for batch in &batches {
        conformed.push(with_common_keys(batch, common).map_err(|e| compare(e.into()))?);
    }
    sort_batches(&conformed, &common.spec.key).map(Some).map_err(compare)
}

fn with_common_keys(batch: &RecordBatch, common: &Common) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let wanted = match common.schema.field_with_name(field.name()) {
            Ok(known) if common.spec.key.contains(field.name()) => known.data_type().clone(),
            _ => DataType::Boolean,
        };
        columns.push(cast(column, &wanted)?);
        fields.push(Field::new(field.name(), wanted, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
