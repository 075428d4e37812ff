//! Loads: what changed at the legacy places of inputs is copied to their new ones, and the models of the new side are
//! calculated again for the periods that this reached.
//!
//! A load of an input reads rows as they come, keeps those whose watermark is not below the last one, and gives them to
//! `lake` by partition. The new watermark is the largest that was seen, but never later than the time at which the
//! reading began; the next load reads again from a while below it. A row that is read twice is recognised by its key.

mod copy;
mod loaded;
mod plan;
mod store;
mod target;
mod watermark;
mod within;

use std::{collections::BTreeMap, sync::Arc};

use dualrun_core::{
    ExitCode, Period, PipelineId,
    load::{InputLoad, LoadReport, StoredModel},
    run::Failure,
};
use dualrun_mapping::{plan::Pipeline, settings::SourceSettings};
use dualrun_sources::{CutOff, SourceError};
use jiff::{Timestamp, civil::Date};

use crate::{anew::Breaks, context::Context, error::EngineError, night, progress::Progress};

pub(crate) use loaded::all_loaded;
pub use plan::{PlannedCopy, planned};
pub(crate) use within::{Turns, Within, compare_states, within};

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
    let targets = target::targets(context, &pipelines)?;
    report.inputs = copies(context, &targets, request, progress).await;
    for pipeline in &pipelines {
        // Rows of inputs that could not be copied are those of before: what is calculated from them stands.
        let failed = report.inputs.iter().any(|i| i.failure.is_some() && i.pipelines.contains(&pipeline.id));
        if failed {
            continue;
        }
        report.models.extend(models(context, pipeline, request, progress).await);
    }
    report.exit_code = code(&report);
    Ok(report)
}

/// Copies one table after the other: a source is asked for one at a time. Where the state of a server is lost, the table
/// that was being read begins anew from another one, in which the tables after it are read too.
async fn copies(
    context: &Arc<Context>,
    targets: &[target::Target<'_>],
    request: &LoadRequest,
    progress: &dyn Progress,
) -> Vec<InputLoad> {
    let mut state = State::now(context, targets).await;
    let mut reports: Vec<InputLoad> = Vec::new();
    for target in targets {
        let mut breaks = Breaks::default();
        let mut report = loop {
            let copied = copy::copy(context, target, request, &state, progress).await;
            let Some(error) = copied.error else { break copied.report };
            if !breaks.again(&error, state.reached, progress).await {
                break copied.report;
            }
            state.cut.release().await;
            state = State::now(context, targets).await;
        };
        if let Some(note) = breaks.note() {
            report.notes.push(match reports.is_empty() {
                true => note,
                false => format!("{note}: the tables that were copied before are of an earlier state"),
            });
        }
        reports.push(report);
    }
    // What is calculated asks the servers itself, which are lent to one at a time.
    state.cut.release().await;
    reports
}

/// Keeps the models of a pipeline, anew where the state of a server is lost while they are calculated.
async fn models(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &LoadRequest,
    progress: &dyn Progress,
) -> Vec<StoredModel> {
    let mut breaks = Breaks::default();
    loop {
        let (models, error) = store::store(context, pipeline, request, None, progress).await;
        let Some(error) = error else { return models };
        let reached = !matches!(error, EngineError::Servers { .. });
        if !breaks.again(&error, reached, progress).await {
            return models;
        }
    }
}

/// How a failure reads in a report. What is read for a fence in a run, is read for the load here.
fn failure(context: &Context, error: &EngineError) -> Failure {
    let mut failure = night::failure(context, error);
    if failure.stage == "fence" {
        failure.stage = "load".to_owned();
    }
    failure
}

fn code(report: &LoadReport) -> ExitCode {
    let codes = report.inputs.iter().map(|i| i.exit_code).chain(report.models.iter().map(|m| m.exit_code));
    ExitCode::of_many(codes)
}

/// The state of the servers that all tables of a load are copied from, and the time before it was taken.
struct State {
    at: Timestamp,
    cut: Arc<CutOff>,
    /// Whether all servers answered.
    reached: bool,
    /// Whether a run reads the same state afterwards.
    of_a_run: bool,
}

impl State {
    async fn now(context: &Context, targets: &[target::Target<'_>]) -> Self {
        let at = context.clock.now();
        let cut = cut_off(context, targets).await;
        Self { at, reached: cut.is_ok(), cut: Arc::new(cut.unwrap_or_default()), of_a_run: false }
    }
}

/// One state of each server for all tables. A server that is away fails the tables that stand on it, not the others: each
/// reading connects by itself then.
async fn cut_off(context: &Context, targets: &[target::Target<'_>]) -> Result<CutOff, SourceError> {
    let mut sources: BTreeMap<&str, (&SourceSettings, Vec<String>)> = BTreeMap::new();
    for target in targets {
        let asked = sources.entry(&target.from.source).or_insert((target.from_source, Vec::new()));
        asked.1.push(target.from.place().to_owned());
    }
    let sources: Vec<_> = sources.into_values().collect();
    context.inputs.cut_off(&sources).await
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
