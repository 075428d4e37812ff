//! One side alone, for `run --side`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dualrun_core::{ChangeId, Period, PipelineId, input::Side};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::CutOff;

use super::{RunRequest, in_force};
use crate::{
    calculate::Calculator,
    context::Context,
    error::EngineError,
    inputs::{Look, cut_off, read_side},
    load::all_loaded,
    record::calculation_note,
    results,
};

/// Result totals of one side alone, for `run --side`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SideReport {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The period.
    pub period: Period,
    /// The side.
    pub side: Side,
    /// Rows in the period.
    pub rows: u64,
    /// Sum of each measure as exact text.
    pub totals: BTreeMap<String, String>,
    /// Data checks of the side.
    pub checks: Vec<dualrun_core::run::CheckReport>,
    /// What was noticed.
    pub notes: Vec<String>,
}

/// Calculates one side alone: nothing is fenced, compared or recorded.
///
/// # Errors
/// What kept the side from being calculated.
pub async fn run_side(
    context: &Arc<Context>,
    request: &RunRequest,
    side: Side,
) -> Result<SideReport, EngineError> {
    let Some(pipeline) = context.project.pipeline(&request.pipeline) else {
        return Err(EngineError::UnknownPipeline(request.pipeline.clone()));
    };
    let cut = Arc::new(cut_off(context, pipeline, &[side]).await?);
    let report = side_report(context, pipeline, request, side, &cut).await;
    cut.release().await;
    report
}

async fn side_report(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &RunRequest,
    side: Side,
    cut: &Arc<CutOff>,
) -> Result<SideReport, EngineError> {
    let tables = read_side(context, pipeline, side, request.period, cut, Look::AsNeeded).await?;
    if side == Side::New {
        all_loaded(context, pipeline, None, &tables).await?;
    }
    let calculator =
        Calculator::new(&context.runtime, pipeline, side, request.period, tables)?.with_cut(Arc::clone(cut));
    let changes = in_force(context, pipeline, request.period);
    let on: BTreeSet<&ChangeId> = match side {
        // The legacy platform computes what it computes today; the new one under all its changes.
        Side::Legacy => BTreeSet::new(),
        Side::New => changes.iter().map(|c| &c.id).collect(),
    };
    let all = context.project.changes_of(&pipeline.id);
    let switches = pipeline.switch_values(&all, &|id| on.contains(id), side);
    let (schema, batches) = calculator.calculate(&switches, false).await?;
    let result = results::finish(&context.runtime, pipeline, side, request.period, schema, batches).await?;
    let checks = results::check(&context.runtime, &pipeline.checks, side, &result).await?;
    let measures: Vec<&String> = pipeline.result.measures.keys().collect();
    let totals = results::totals(&context.runtime, &result, &measures).await?;
    let mut notes = calculator.notes();
    notes.extend(calculator.consistency().as_ref().map(calculation_note));
    if result.outside > 0 {
        notes.push(format!("{} rows lie outside of the period and were left out", result.outside));
    }
    Ok(SideReport {
        pipeline: pipeline.id.clone(),
        period: request.period,
        side,
        rows: result.rows(),
        totals,
        checks,
        notes,
    })
}
