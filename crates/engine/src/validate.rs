//! The checks that need schemas: does every model fit its inputs, and does the result have the declared columns?

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::{datasource::MemTable, error::DataFusionError};
use dualrun_compare::{Aligner, CompareError, Fingerprinter, common_for_result};
use dualrun_core::{
    Period, PipelineId,
    input::{Role, Side},
};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::CutOff;

use crate::{
    calculate::{Calculator, queries_only},
    context::Context,
    error::EngineError,
    fence::side_index,
    inputs::{Look, Tables, read_side},
    unread::Unread,
};

/// A mistake that only schemas show.
#[derive(Debug)]
pub struct Mistake {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The file to look at, relative to the project.
    pub file: std::path::PathBuf,
    /// A column to point at, where one is meant.
    pub column: Option<String>,
    /// What is wrong.
    pub error: EngineError,
}

/// All mistakes of a project that only schemas show: every model is planned against the columns of its inputs, and
/// the result is held against the mapping, its checks and the promises of its changes. Nothing is run. Columns come
/// from the declared shapes, and from the files of the given period where they are at hand. Where only a shape tells them,
/// others may be there when the input is read: that one of them is missing is no mistake.
pub async fn validate(context: &Context, period_of: impl Fn(&Pipeline) -> Option<Period>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for pipeline in &context.project.pipelines {
        let Some(period) = period_of(pipeline) else { continue };
        let mut schemas = [None, None];
        for (schema, side) in schemas.iter_mut().zip(Side::BOTH) {
            match schema_of(context, pipeline, side, period).await {
                Ok(found) => *schema = found,
                Err(error) => mistakes.push(mistake(pipeline, error)),
            }
        }
        if let [Some(legacy), Some(new)] = &schemas {
            let result = pipeline.result.compared();
            if let Err(source) = common_for_result(legacy, new, &result) {
                mistakes.push(mistake(pipeline, compare_error(pipeline, source)));
            }
        }
        mistakes.extend(questions(context, pipeline, &schemas).await);
    }
    mistakes
}

/// The columns of a side's result; `None` where an input has neither files nor a shape, or only reading or running would
/// tell.
async fn schema_of(
    context: &Context,
    pipeline: &Pipeline,
    side: Side,
    period: Period,
) -> Result<Option<SchemaRef>, EngineError> {
    let cut = CutOff::default();
    let mut tables: Tables = read_side(context, pipeline, side, period, &cut, Look::Fenced).await?;
    if tables.values().any(|t| t.schema.fields().is_empty()) {
        return Ok(None);
    }
    let models = pipeline.calculation(side).planned().models();
    let unread = Unread::of(&tables, models);
    for input in pipeline.inputs.iter().filter(|i| i.role == Role::Activity) {
        if let Some(table) = tables.get(&input.name) {
            let customer = input.customer.as_deref();
            match Fingerprinter::new(&table.schema, &input.key, &input.columns, customer, input.fence) {
                Err(CompareError::MissingColumn { .. }) if unread.holds(&input.name) => {}
                Err(source) => {
                    return Err(EngineError::Fence { input: input.name.clone(), side, source });
                }
                Ok(_) => {}
            }
        }
    }
    // Planning needs columns, not rows.
    for table in tables.values_mut() {
        *table = Arc::new(table.bare(Arc::clone(&table.schema)));
    }
    let all = context.project.changes_of(&pipeline.id);
    let calculator = Calculator::new(&context.runtime, pipeline, side, period, tables)?;
    let schema = match calculator.schema(&pipeline.switch_values(&all, &|_| true, side)).await {
        Err(error) if unread.may_have(&error, models) => return Ok(None),
        schema => schema?,
    };
    let known = models.last().is_none_or(|result| !unread.holds(&result.name));
    let Some(schema) = schema.filter(|_| known) else { return Ok(None) };
    let aligned = Aligner::new(&pipeline.align, side, schema).map_err(|e| compare_error(pipeline, e))?;
    Ok(Some(aligned.schema()))
}

/// Data checks and conditions of promises that do not fit the result of their side, where its columns are known.
async fn questions(context: &Context, pipeline: &Pipeline, schemas: &[Option<SchemaRef>; 2]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for check in &pipeline.checks {
        let Some(schema) = &schemas[side_index(check.side)] else { continue };
        if let Err(source) = plan(context, schema, &check.sql).await {
            let error = EngineError::Check { name: check.name.clone(), side: check.side, source };
            mistakes.push(mistake(pipeline, error));
        }
    }
    let Some(schema) = &schemas[side_index(Side::New)] else { return mistakes };
    for change in context.project.changes_of(&pipeline.id) {
        for expectation in change.expectations.iter().filter(|e| e.pipelines.contains(&pipeline.id)) {
            let sql = format!("select coalesce(({}), false) from result", expectation.condition);
            if let Err(source) = plan(context, schema, &sql).await {
                let error = EngineError::Condition { change: change.id.to_string(), source };
                let column = Some(expectation.condition.clone());
                let file = change.file.clone();
                mistakes.push(Mistake { pipeline: pipeline.id.clone(), file, column, error });
            }
        }
    }
    mistakes
}

async fn plan(context: &Context, schema: &SchemaRef, sql: &str) -> Result<(), DataFusionError> {
    let session = context.runtime.session();
    session.register_table("result", Arc::new(MemTable::try_new(Arc::clone(schema), vec![vec![]])?))?;
    session.sql_with_options(sql, queries_only()).await?.create_physical_plan().await.map(|_| ())
}

fn compare_error(pipeline: &Pipeline, source: CompareError) -> EngineError {
    EngineError::Compare { pipeline: pipeline.id.to_string(), source }
}

fn mistake(pipeline: &Pipeline, error: EngineError) -> Mistake {
    let (file, column) = match &error {
        EngineError::Model { file, .. } => (file.into(), None),
        EngineError::Compare { source: CompareError::MissingColumn { column, .. }, .. }
        | EngineError::Compare { source: CompareError::ColumnCase { column, .. }, .. }
        | EngineError::Fence { source: CompareError::MissingColumn { column, .. }, .. } => {
            (pipeline.file.clone(), Some(column.clone()))
        }
        EngineError::Check { name, .. } => (pipeline.file.clone(), Some(name.clone())),
        _ => (pipeline.file.clone(), None),
    };
    Mistake { pipeline: pipeline.id.clone(), file, column, error }
}
