//! The nightly job: every pipeline that is due, each run once, the stages moved by what was found.

use std::sync::Arc;

use dualrun_core::{
    ExitCode, Outcome, Period, PeriodUnit, PipelineId, Stage,
    load::LoadReport,
    night::{NightReport, NightRun},
    run::Failure,
};
use dualrun_mapping::plan::Pipeline;
use dualrun_state::records::NightRecord;
use futures::{StreamExt, stream};
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::{
    calculate::hex,
    context::Context,
    error::EngineError,
    progress::Progress,
    run::{RunAnswer, RunRequest, run_and_tell},
    stages,
};

/// What to do in a night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightRequest {
    /// The day whose results are looked at. A monthly pipeline looks at the last month that this day closes.
    pub day: Date,
    /// The night itself.
    pub as_of: Date,
    /// Only these pipelines; all that are due where empty.
    pub pipelines: Vec<PipelineId>,
    /// Every run loads its inputs and keeps its models in the state in which it reads.
    pub load: bool,
}

/// Runs a night. A night that ended with agreement or differences answers with what was recorded; anything else
/// is tried again, and every run that is done already is not done twice.
///
/// # Errors
/// The state database is away. What happens to single pipelines stands in the report.
pub async fn nightly(
    context: &Arc<Context>,
    request: &NightRequest,
    progress: Arc<dyn Progress>,
) -> Result<NightReport, EngineError> {
    let Some(_lock) = context.state.try_lock(&format!("night-{}", context.environment)).await? else {
        let mut report =
            NightReport::empty(request.day, request.as_of, &context.environment, ExitCode::Nothing);
        report.failure = Some(Failure {
            stage: "plan".to_owned(),
            message: "another process holds the nightly job of this environment".to_owned(),
            hint: Some("wait for it; the same command answers with what it recorded".to_owned()),
            retryable: true,
        });
        return Ok(report);
    };
    let due = due(context, request).await?;
    let key = night_key(context, request, &due);
    if let Some(report) = recorded(context, &key).await? {
        return Ok(report);
    }
    let mut record = NightRecord {
        key,
        as_of: request.as_of,
        environment: context.environment.clone(),
        code: None,
        started_at: context.clock.now(),
        finished_at: None,
        result: None,
    };
    context.state.record_night(&record).await?;

    progress.begin(due.len() as u64);
    let at_once = usize::from(context.project.settings.limits.pipelines_at_once.max(1));
    let mut runs: Vec<NightRun> = stream::iter(due.iter().cloned())
        .map(|(pipeline, period, enforced)| {
            let (context, progress) = (Arc::clone(context), Arc::clone(&progress));
            let run = RunRequest { pipeline, period, as_of: request.as_of, split: false, load: request.load };
            async move { one(context, run, enforced, progress).await }
        })
        .buffer_unordered(at_once)
        .collect()
        .await;
    runs.sort_by(|a, b| (&a.pipeline, a.period).cmp(&(&b.pipeline, b.period)));

    let stages = stages::advance(context, request.as_of).await?;
    let code = ExitCode::of_many(runs.iter().filter(|r| r.enforced).map(|r| r.exit_code));
    let report = NightReport {
        unchanged: runs.iter().filter(|run| run.unchanged).count() as u64,
        runs,
        stages,
        ..NightReport::empty(request.day, request.as_of, &context.environment, code)
    };
    record.code = Some(code);
    record.finished_at = Some(context.clock.now());
    record.result = serde_json::to_string(&report).ok();
    context.state.record_night(&record).await?;
    Ok(report)
}

/// The runs of a night: the period of the day and those that are looked at again.
///
/// # Errors
/// An unknown pipeline, or the state database is away.
pub async fn due(
    context: &Context,
    request: &NightRequest,
) -> Result<Vec<(PipelineId, Period, bool)>, EngineError> {
    for id in &request.pipelines {
        if context.project.pipeline(id).is_none() {
            return Err(EngineError::UnknownPipeline(id.clone()));
        }
    }
    let mut due = Vec::new();
    for pipeline in &context.project.pipelines {
        if !request.pipelines.is_empty() && !request.pipelines.contains(&pipeline.id) {
            continue;
        }
        let stage = context.state.stage(&context.environment, &pipeline.id).await?.unwrap_or(pipeline.stage);
        if matches!(stage, Stage::Planned | Stage::Retired) {
            continue;
        }
        let enforced = pipeline.enforce.unwrap_or(stage != Stage::Building);
        due.extend(periods(pipeline, request.day)?.into_iter().map(|p| (pipeline.id.clone(), p, enforced)));
    }
    Ok(due)
}

/// The newest period that is complete at the end of `day`, and the `recompute` ones before it, newest first.
fn periods(pipeline: &Pipeline, day: Date) -> Result<Vec<Period>, EngineError> {
    let mut period = match pipeline.result.period.unit {
        PeriodUnit::Day => Period::day(day),
        PeriodUnit::Month if day.last_of_month() == day => Period::month_of(day),
        PeriodUnit::Month => Period::month_of(day).previous()?,
    };
    let mut periods = vec![period];
    for _ in 0..pipeline.result.period.recompute {
        period = period.previous()?;
        periods.push(period);
    }
    Ok(periods)
}

async fn one(
    context: Arc<Context>,
    request: RunRequest,
    enforced: bool,
    progress: Arc<dyn Progress>,
) -> NightRun {
    let (pipeline, period, mut loaded) = (request.pipeline.clone(), request.period, None);
    let answer = run_and_tell(&context, &request, progress.as_ref(), &mut loaded).await;
    let mut entry = match answer {
        Ok(answer) => entry(&answer, period, enforced, &pipeline),
        Err(error) => NightRun {
            pipeline: pipeline.clone(),
            period,
            run_id: None,
            outcome: Some(Outcome::Failed),
            exit_code: error.exit_code(),
            enforced,
            failure: Some(failure(&context, &error)),
            customers_not_comparable: 0,
            failed_checks: Vec::new(),
            findings: Vec::new(),
            notes: Vec::new(),
            unchanged: false,
            load: None,
        },
    };
    entry.load = loaded;
    progress.done(&pipeline, &period.to_string(), entry.outcome.map_or("nothing to do", Outcome::as_str));
    entry
}

/// The entry of a run in the result of its night.
pub fn entry(answer: &RunAnswer, period: Period, enforced: bool, pipeline: &PipelineId) -> NightRun {
    let report = answer.report.as_ref();
    NightRun {
        pipeline: pipeline.clone(),
        period,
        run_id: report.map(|r| r.run_id.clone()),
        outcome: report.map(|r| r.outcome),
        exit_code: answer.code,
        enforced,
        failure: None,
        customers_not_comparable: answer.not_comparable,
        failed_checks: report
            .map(|r| {
                r.checks.iter().filter(|c| !c.passed).map(|c| format!("{} ({})", c.name, c.side)).collect()
            })
            .unwrap_or_default(),
        findings: report.map(|r| r.findings.clone()).unwrap_or_default(),
        notes: report.map(|r| r.notes.clone()).unwrap_or_else(|| answer.notes.clone()),
        unchanged: report.is_some_and(|r| r.unchanged_since.is_some()),
        load: report.and_then(|r| r.load.clone()),
    }
}

/// A failure as a report says it.
pub fn failure(context: &Context, error: &EngineError) -> Failure {
    Failure {
        stage: error.stage().to_owned(),
        message: (context.mask)(&error.chain()),
        hint: error.hint(),
        retryable: error.retryable(),
    }
}

/// The same night is the same day, night and files of all pipelines that are due.
fn night_key(context: &Context, request: &NightRequest, due: &[(PipelineId, Period, bool)]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\0{}\0{}\0", context.environment, request.day, request.as_of));
    if request.load {
        // A night without one left the new side as it was.
        hash.update("load\0");
    }
    for (id, period, enforced) in due {
        hash.update(format!("{id}\0{period}\0{enforced}\0"));
        if let Some(pipeline) = context.project.pipeline(id) {
            for part in [&pipeline.mapping_hash, &pipeline.legacy.hash, &pipeline.new.hash] {
                hash.update(part.as_bytes());
            }
        }
        for change in context.project.changes_of(id) {
            hash.update(change.hash.as_bytes());
        }
    }
    hex(&hash.finalize())
}

async fn recorded(context: &Context, key: &str) -> Result<Option<NightReport>, EngineError> {
    let Some(night) = context.state.night(key).await? else { return Ok(None) };
    // A review may have ended, a file may have arrived, a server may be back: those answers are asked for again.
    if !matches!(night.code, Some(ExitCode::Agree | ExitCode::Differs)) {
        return Ok(None);
    }
    let report = night.result.as_deref().and_then(|text| serde_json::from_str::<NightReport>(text).ok());
    // The worst pipeline gives the code of the night, and one that waits may stand behind it.
    let finished = |run: &NightRun| {
        let held = run.load.as_ref().is_some_and(LoadReport::is_held);
        !held && matches!(run.outcome, None | Some(Outcome::Agrees | Outcome::Differs))
    };
    let report = report.filter(|report| report.runs.iter().all(finished));
    Ok(report.map(|report| NightReport { repeated: true, ..report }))
}
