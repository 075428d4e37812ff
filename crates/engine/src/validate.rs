//! The checks that need schemas: does every model fit its inputs, and does the result have the declared columns?

use dualrun_compare::{Aligner, common_for_result};
use dualrun_core::{Period, PipelineId, input::Side};
use dualrun_mapping::plan::Pipeline;

use crate::{calculate::Calculator, context::Context, error::EngineError, inputs::Tables};

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

/// Plans every model of a pipeline against schemas alone, runs nothing, and checks the columns of both results.
/// Types come from the declared shapes, and from the files of a recent period where they are at hand.
pub fn mistake(pipeline: &Pipeline, error: EngineError) -> Mistake {
    let (file, column) = match &error {
        EngineError::Model { file, .. } => (file.into(), None),
        EngineError::Compare {
            source: dualrun_compare::CompareError::MissingColumn { column, .. }, ..
        } => (pipeline.file.clone(), Some(column.clone())),
        _ => (pipeline.file.clone(), None),
    };
    Mistake { pipeline: pipeline.id.clone(), file, column, error }
}

/// All mistakes of a project that only schemas show.
///
/// # Errors
/// An input that is there and cannot be read.
pub async fn validate(context: &Context, period_of: impl Fn(&Pipeline) -> Option<Period>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for pipeline in &context.project.pipelines {
        let Some(period) = period_of(pipeline) else { continue };
        if let Err(error) = fits(context, pipeline, period).await {
            mistakes.push(mistake(pipeline, error));
        }
    }
    mistakes
}

async fn fits(context: &Context, pipeline: &Pipeline, period: Period) -> Result<(), EngineError> {
    let all = context.project.changes_of(&pipeline.id);
    let mut schemas = Vec::new();
    for side in Side::BOTH {
        let mut tables: Tables = crate::inputs::read_side(context, pipeline, side, period).await?;
        // Planning needs columns, not rows; an input without files and without a shape has none to check against.
        if tables.values().any(|t| t.schema.fields().is_empty()) {
            return Ok(());
        }
        for table in tables.values_mut() {
            let mut bare = (**table).clone();
            bare.batches.clear();
            *table = std::sync::Arc::new(bare);
        }
        let calculator = Calculator::new(&context.runtime, pipeline, side, period, tables)?;
        let switches = pipeline.switch_values(&all, &|_| true, side);
        let schema = calculator.schema(&switches).await?;
        let compare = |source| EngineError::Compare { pipeline: pipeline.id.to_string(), source };
        schemas.push(Aligner::new(&pipeline.align, side, schema).map_err(compare)?.schema());
    }
    let [legacy, new] = [&schemas[0], &schemas[1]];
    let mut result = pipeline.result.clone();
    if !result.compare_at.is_empty() {
        result.grain.clone_from(&result.compare_at);
    }
    common_for_result(legacy, new, &result)
        .map(|_| ())
        .map_err(|source| EngineError::Compare { pipeline: pipeline.id.to_string(), source })
}
