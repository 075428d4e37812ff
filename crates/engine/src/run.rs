//! One run: fence, calculate, align, compare, explain, record.

mod attempt;
mod side;

use std::{collections::BTreeSet, sync::Arc};

use dualrun_core::{
    ChangeId, ExitCode, Outcome, Period, PipelineId, RunId,
    input::{Role, Side},
    load::LoadReport,
    run::RunReport,
};
use dualrun_mapping::plan::{Change, Pipeline};
use dualrun_sources::CutOff;
use dualrun_state::records::RunRecord;
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    anew::Breaks,
    assess::{self, Figures},
    calculate::hex,
    context::Context,
    error::EngineError,
    evidence::{Evidence, FenceSummary, Known},
    fence::fence,
    inputs::{Look, Tables, lend_columns, read_side},
    load::{Within, all_loaded, compare_states},
    progress::{Progress, Step},
    record::{consistency_notes, coverage, finish_report, misfit_notes, record, record_failure, write},
    replays, reviews, surroundings,
    task::Task,
    unchanged,
};

pub use self::side::{SideReport, run_side};
pub use crate::record::write_assessment;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The day or month.
    pub period: Period,
    /// The night.
    pub as_of: Date,
    /// Split the differences over the changes even where that takes more than the eight replays of three changes.
    pub split: bool,
    /// Load the inputs that declare it, and keep the models of the new side, in the state in which the run reads.
    pub load: bool,
}

/// What a run says.
#[derive(Debug, Clone, PartialEq)]
pub struct RunAnswer {
    /// The report; none where there was nothing to do.
    pub report: Option<RunReport>,
    /// What the process should answer for this run alone.
    pub code: ExitCode,
    /// Whether the run was recorded before, and nothing was calculated.
    pub repeated: bool,
    /// Customers that are not comparable.
    pub not_comparable: u64,
    /// Why there was nothing to do, or why a decision does not show yet.
    pub notes: Vec<String>,
}

impl RunAnswer {
    fn nothing(note: &str) -> Self {
        Self {
            report: None,
            code: ExitCode::Nothing,
            repeated: false,
            not_comparable: 0,
            notes: vec![note.to_owned()],
        }
    }

    /// The answer that a report stands for.
    pub fn of(report: RunReport, repeated: bool) -> Self {
        let checks = report.checks.iter().all(|c| c.passed);
        let code = if checks || report.outcome == Outcome::Failed {
            ExitCode::of_outcome(report.outcome)
        } else {
            ExitCode::Differs
        };
        let not_comparable = report.inputs.iter().map(|i| i.customers_not_comparable).max().unwrap_or(0);
        Self { report: Some(report), code, repeated, not_comparable, notes: Vec::new() }
    }
}

/// Runs one pipeline for one period, or answers with what is recorded for the same run key. A run that cannot be
/// carried out is recorded as failed, and the same command tries again.
///
/// # Errors
/// What kept the run from being carried out.
pub async fn run(
    context: &Arc<Context>,
    request: &RunRequest,
    progress: &dyn Progress,
) -> Result<RunAnswer, EngineError> {
    run_and_tell(context, request, progress, &mut None).await
}

/// The same; `loaded` is given what became of the load, where one was asked for, also if the run fails.
///
/// # Errors
/// What kept the run from being carried out.
pub async fn run_and_tell(
    context: &Arc<Context>,
    request: &RunRequest,
    progress: &dyn Progress,
    loaded: &mut Option<LoadReport>,
) -> Result<RunAnswer, EngineError> {
    let Some(pipeline) = context.project.pipeline(&request.pipeline) else {
        return Err(EngineError::UnknownPipeline(request.pipeline.clone()));
    };
    if pipeline.result.period.unit != request.period.unit() {
        let expected = match pipeline.result.period.unit {
            dualrun_core::PeriodUnit::Day => "day",
            dualrun_core::PeriodUnit::Month => "month",
        };
        return Err(EngineError::PeriodUnit {
            pipeline: pipeline.id.clone(),
            expected,
            period: request.period.to_string(),
        });
    }
    let last_day = request.period.end()?.yesterday().unwrap_or(request.period.start());
    if request.as_of < last_day {
        return Err(EngineError::NotOver { period: request.period.to_string(), as_of: request.as_of });
    }
    let name = format!("run-{}-{}-{}-{}", context.environment, pipeline.id, request.period, request.as_of);
    let Some(_lock) = context.state.try_lock(&name).await? else {
        return Ok(RunAnswer::nothing("another process holds this run"));
    };
    match attempt::attempt(context, pipeline, request, progress, loaded).await {
        Ok(mut answer) => {
            // A report that was recorded before may have another load, or none.
            if let (Some(report), Some(load)) = (&mut answer.report, &loaded) {
                report.load = Some(load.clone());
            }
            Ok(answer)
        }
        Err(error) => {
            let load = loaded.clone();
            // Best effort: where the state database itself is away, the exit code has to do.
            if let Err(record) = record_failure(context, pipeline, request, &error, load).await {
                tracing::warn!(pipeline = %pipeline.id, error = %record.chain(), "the failed attempt is not recorded");
            }
            Err(error)
        }
    }
}

/// What is to be run, and where its evidence goes.
struct Subject<'a> {
    context: &'a Arc<Context>,
    pipeline: &'a Pipeline,
    request: &'a RunRequest,
    changes: &'a [&'a Change],
    evidence: &'a Evidence,
    progress: &'a dyn Progress,
}

/// What an attempt stands on.
struct On<'a> {
    listed: Option<&'a str>,
    /// The servers in one state each.
    cut: &'a Arc<CutOff>,
    /// How often a reading broke off before.
    breaks: Breaks,
    /// What was loaded in the same state.
    within: Option<&'a Within>,
}

/// An attempt on servers in one state each.
async fn attempt_on(
    subject: &Subject<'_>,
    on: &On<'_>,
    loaded: &mut Option<LoadReport>,
) -> Result<RunAnswer, EngineError> {
    let Subject { context, pipeline, request, changes, evidence, progress } = *subject;
    let On { listed, cut, breaks, within } = *on;
    let period = request.period.to_string();
    let read = read_both(context, pipeline, request.period, cut).await;
    let [legacy, new] = match within {
        Some(within) => within.undisturbed(context, pipeline, read).await?,
        None => read?,
    };
    if within.is_none() {
        all_loaded(context, pipeline, Some(&legacy), &new).await?;
    }
    if let Some(load) = loaded {
        compare_states(load, &legacy);
    }
    if Side::BOTH.iter().all(|side| pipeline.calculation(*side).engine.source().is_none()) {
        // What was read is kept here: nobody needs to wait for the calculations.
        cut.release().await;
    }
    if nothing_to_read(pipeline, [&legacy, &new]) {
        return Ok(RunAnswer::nothing("no input files on either side"));
    }
    let fence = fence(pipeline, &legacy, &new)?;
    let versions = replays::versions(context, pipeline, request.period, changes, cut).await?;
    let key = run_key(context, pipeline, request, &fence.fingerprints, changes, &versions);
    // A final run whose evidence is gone is calculated again, under its own id.
    let again = match standing(context, pipeline, request, evidence, &key, &fence.summary()).await? {
        Standing::Answered(answer) => return Ok(*answer),
        Standing::WithoutEvidence(run) => Some(run),
        Standing::New => None,
    };
    evidence.sweep(&pipeline.id, request.period, request.as_of).await?;

    progress.step(&pipeline.id, &period, Step::Calculate);
    let run_id = again.as_ref().map_or_else(|| RunId(Uuid::now_v7()), |run| run.id);
    let folder = Evidence::run_folder(&pipeline.id, request.period, request.as_of, run_id);
    let declared = reviews::declared(context, pipeline, changes, request.as_of).await?;
    let plan = replays::plan(
        &declared,
        &key,
        request.split || request.period.unit() == dualrun_core::PeriodUnit::Month,
    );
    let calculated = replays::calculate(
        context,
        pipeline,
        request.period,
        [legacy.clone(), new.clone()],
        cut,
        &fence,
        &plan,
        changes,
        evidence,
        &folder,
    )
    .await?;
    cut.release().await;

    if fence.excluded.is_empty() && !fence.nothing_comparable && calculated.is_empty(&plan) {
        // Nothing was compared: that is no agreement, and no night to count on.
        evidence.sweep(&pipeline.id, request.period, request.as_of).await?;
        let mut answer = RunAnswer::nothing("no rows in this period on either side");
        answer.notes.extend(calculated.notes);
        return Ok(answer);
    }

    progress.step(&pipeline.id, &period, Step::Compare);
    let moved = surroundings::moved_this_month(context, pipeline, request.period).await?;
    let known = listed.map(|inputs| Known {
        inputs: inputs.to_owned(),
        content: unchanged::content(
            context,
            pipeline,
            request,
            &fence.fingerprints,
            changes,
            &versions,
            &declared,
            &moved,
        ),
        fence: fence.summary(),
    });
    let [moved_this_month, eligible_this_month] = moved;
    let figures = Figures {
        pipeline: pipeline.clone(),
        period: request.period,
        as_of: request.as_of,
        changes: changes.iter().map(|c| (*c).clone()).collect(),
        results: calculated.results.iter().map(|r| (r.replay.clone(), Arc::clone(&r.rows))).collect(),
        excluded: fence.excluded.clone(),
        nothing_comparable: fence.nothing_comparable,
        factors: surroundings::factor_tables(pipeline, [&legacy, &new]),
        neighbours: surroundings::neighbours(context, pipeline, request.period, evidence).await?,
        moved_this_month,
        eligible_this_month,
        run_key: key.clone(),
    };
    let assessment = assess::assess(&context.runtime, &figures, &declared).await?;

    progress.step(&pipeline.id, &period, Step::Record);
    let mut report =
        finish_report(context, request, run_id, &key, &folder, fence.clone(), &calculated, &assessment);
    report.notes.extend(misfit_notes([&legacy, &new]));
    report.notes.extend(consistency_notes([&legacy, &new]));
    report.load.clone_from(loaded);
    report.notes.extend(breaks.note());
    write(evidence, &folder, run_id, &key, &fence, known, &calculated, &assessment, &report).await?;
    // Only what stands under a manifest may be used again: a folder without one is swept.
    for calculation in &calculated.calculations {
        context.state.record_calculation(calculation).await?;
    }
    if again.is_some() {
        let at = context.clock.now();
        context.state.record_assessment(run_id, report.outcome, &report, at).await?;
        return Ok(RunAnswer::of(report, false));
    }
    let coverage = coverage(&fence.summary(), &report);
    let record = record(context, pipeline, request, run_id, key, folder, report, coverage);
    context.state.record_run(&record).await?;
    Ok(RunAnswer::of(record.report, false))
}

/// What is there already of a run.
pub(crate) enum Standing {
    /// It is recorded.
    Answered(Box<RunAnswer>),
    /// It is recorded, and its evidence is gone.
    WithoutEvidence(Box<RunRecord>),
    /// Nothing that counts.
    New,
}

/// Looks for the run of a key, and gives its verdicts again where a decision was taken since.
///
/// # Errors
/// A store that is away, or evidence that a decision cannot be applied to.
pub(crate) async fn standing(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &RunRequest,
    evidence: &Evidence,
    key: &str,
    fence: &FenceSummary,
) -> Result<Standing, EngineError> {
    if let Some(run) = context.state.run_by_key(key).await? {
        if !run.outcome.is_final() {
            return Ok(Standing::New);
        }
        if evidence.manifest(&run.evidence).await?.is_none() {
            return Ok(Standing::WithoutEvidence(Box::new(run)));
        }
        let answer = match reviews::reassess_if_reviewed(context, pipeline, run.clone()).await {
            Ok(run) => RunAnswer::of(run.report, true),
            Err(error @ EngineError::MissingReplay { .. }) => {
                let notes = error.hint().into_iter().map(|hint| format!("{error}; {hint}")).collect();
                RunAnswer { notes, ..RunAnswer::of(run.report, true) }
            }
            Err(error) => return Err(error),
        };
        return Ok(Standing::Answered(Box::new(answer)));
    }
    let found = evidence.find_by_key(&pipeline.id, request.period, request.as_of, key).await?;
    let Some((folder, manifest)) = found else { return Ok(Standing::New) };
    // The process died after the manifest and before the state database: the run exists, it is only unknown.
    let Some(report) = evidence.report(&folder).await? else { return Ok(Standing::New) };
    let coverage = coverage(fence, &report);
    let key = key.to_owned();
    let record = record(context, pipeline, request, manifest.run_id, key, folder, report, coverage);
    context.state.record_run(&record).await?;
    Ok(Standing::Answered(Box::new(RunAnswer::of(record.report, true))))
}

/// Reads the inputs of both sides at the same time.
async fn read_both(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    period: Period,
    cut: &Arc<CutOff>,
) -> Result<[Tables; 2], EngineError> {
    let spawn = |side| {
        let (context, pipeline, cut) = (Arc::clone(context), pipeline.clone(), Arc::clone(cut));
        Task::spawn(async move { read_side(&context, &pipeline, side, period, &cut, Look::Fenced).await })
    };
    let (legacy, new) = (spawn(Side::Legacy), spawn(Side::New));
    let legacy = legacy.await.map_err(|_| EngineError::Cancelled)?;
    let new = new.await.map_err(|_| EngineError::Cancelled)?;
    let mut sides = [legacy?, new?];
    lend_columns(&mut sides);
    Ok(sides)
}

/// Whether no activity input has a file on either side: the period is not there yet, or never was.
fn nothing_to_read(pipeline: &Pipeline, sides: [&Tables; 2]) -> bool {
    let activity = pipeline.inputs.iter().filter(|i| i.role == Role::Activity);
    let mut tables = activity.flat_map(|i| sides.iter().filter_map(|side| side.get(&i.name)));
    let mut any = false;
    let empty = tables.all(|table| {
        any = true;
        table.report.files.is_empty()
    });
    any && empty
}

/// The changes that are in force in a period, in the order of their ids.
pub fn in_force<'a>(context: &'a Context, pipeline: &Pipeline, period: Period) -> Vec<&'a Change> {
    let changes = context.project.changes_of(&pipeline.id);
    changes.into_iter().filter(|c| c.in_force(period.start()) && c.side_in(&pipeline.id).is_some()).collect()
}

/// What makes a run idempotent.
pub(crate) fn run_key(
    context: &Context,
    pipeline: &Pipeline,
    request: &RunRequest,
    fingerprints: &[String; 2],
    changes: &[&Change],
    versions: &[String],
) -> String {
    let on: BTreeSet<&ChangeId> = changes.iter().map(|c| &c.id).collect();
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(pipeline.id.as_str());
    add(&request.period.to_string());
    add(&request.as_of.to_string());
    add(&context.environment);
    fingerprints.iter().for_each(|f| add(f));
    add(&pipeline.mapping_hash);
    add(&pipeline.legacy.hash);
    add(&pipeline.new.hash);
    let all = context.project.changes_of(&pipeline.id);
    for side in Side::BOTH {
        for (name, value) in pipeline.switch_values(&all, &|id| on.contains(id), side) {
            add(&format!("{side}.{name}={value}"));
        }
    }
    for change in changes {
        add(change.id.as_str());
        // The promise is part of the run: other bounds are another question.
        add(&change.hash);
    }
    versions.iter().for_each(|version| add(version));
    hex(&hash.finalize())
}
