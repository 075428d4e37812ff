//! Loads: what changed at the legacy places of inputs is copied to their new ones, and the models of the new side are
//! calculated again for the periods that this reached.
//!
//! A load of an input reads rows as they come, keeps those whose watermark is not below the last one, and gives them to
//! `lake` by partition. The new watermark is the largest that was seen, but never later than the time at which the
//! reading began; the next load reads again from a while below it. A row that is read twice is recognised by its key.

mod copy;
mod store;
mod target;
mod watermark;

use std::sync::Arc;

use dualrun_core::{
    ExitCode, Period, PipelineId,
    load::{LoadReport, StoredModel},
};
use dualrun_mapping::plan::Pipeline;
use jiff::civil::Date;

use crate::{context::Context, error::EngineError, progress::Progress};

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// Only inputs and models of these pipelines; of all where empty.
    pub pipelines: Vec<PipelineId>,
    /// Only this day or month: its partitions are read whole, and the watermark stays.
    pub period: Option<Period>,
    /// Everything is read, whatever the watermark; what is gone at the source goes from the copy.
    pub full: bool,
    /// The last day whose files can be complete, where the legacy files of an input lie by day and no period is given.
    pub yesterday: Date,
}

/// Carries out a load. What happens to single inputs and models stands in the report; one that fails keeps no other
/// from being loaded.
///
/// # Errors
/// An unknown pipeline.
pub async fn load(
    context: &Arc<Context>,
    request: &LoadRequest,
    progress: &dyn Progress,
) -> Result<LoadReport, EngineError> {
    let pipelines = chosen(context, request)?;
    let mut report = LoadReport::empty(&context.environment, ExitCode::Nothing);
    for target in target::targets(context, &pipelines)? {
        // Another one after the other: a source is asked for one table at a time.
        report.inputs.push(copy::copy(context, &target, request, progress).await);
    }
    for pipeline in &pipelines {
        // Rows of inputs that could not be copied are those of before: what is calculated from them stands.
        let failed = report.inputs.iter().any(|i| i.failure.is_some() && i.pipelines.contains(&pipeline.id));
        if failed {
            continue;
        }
        let stored: Vec<StoredModel> = store::store(context, pipeline, request, progress).await;
        report.models.extend(stored);
    }
    let codes = report.inputs.iter().map(|i| i.exit_code).chain(report.models.iter().map(|m| m.exit_code));
    report.exit_code = ExitCode::of_many(codes);
    Ok(report)
}

fn chosen<'a>(context: &'a Context, request: &LoadRequest) -> Result<Vec<&'a Pipeline>, EngineError> {
    for id in &request.pipelines {
        if context.project.pipeline(id).is_none() {
            return Err(EngineError::UnknownPipeline(id.clone()));
        }
    }
    let wanted = |p: &&Pipeline| request.pipelines.is_empty() || request.pipelines.contains(&p.id);
    Ok(context.project.pipelines.iter().filter(wanted).collect())
}
