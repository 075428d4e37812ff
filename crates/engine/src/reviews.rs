//! Decisions about methodology changes, and what they make of runs that are recorded already.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dualrun_core::{ChangeId, Outcome, review::ReviewStatus};
use dualrun_explain::{Declared, Replay};
use dualrun_mapping::plan::{Change, Pipeline};
use dualrun_state::records::{ReviewRecord, RunFilter, RunRecord};
use dualrun_tracker::reviews::{self, Decision};
use jiff::civil::Date;

use crate::{
    assess::{self, Figures},
    context::Context,
    error::EngineError,
    evidence::Evidence,
    results::SideResult,
    run::{in_force, write_assessment},
};

/// What a decision brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The decision as it was recorded.
    pub review: ReviewRecord,
    /// Runs whose verdicts were given again: id, outcome before, outcome after.
    pub reassessed: Vec<(String, Outcome, Outcome)>,
    /// Runs whose evidence cannot be read, so that their verdicts are from before the decision: id and why.
    pub left: Vec<(String, String)>,
}

/// Where the changes of a pipeline stand in a night.
///
/// # Errors
/// The state database is away.
pub async fn declared(
    context: &Context,
    pipeline: &Pipeline,
    changes: &[&Change],
    as_of: Date,
) -> Result<Vec<Declared>, EngineError> {
    let reviews = context.state.reviews(None).await?;
    let nothing_broken = BTreeSet::new();
    Ok(changes
        .iter()
        .filter_map(|change| {
            let status = reviews::state(change, &reviews, as_of, &nothing_broken).status;
            Some(Declared { id: change.id.clone(), side: change.side_in(&pipeline.id)?, status })
        })
        .collect())
}

/// Records a decision and gives the verdicts of the runs that it touches again, from stored figures.
///
/// # Errors
/// An unknown change, a decision that the policy refuses, or stores that are away.
pub async fn decide(
    context: &Arc<Context>,
    change: &ChangeId,
    decision: Decision,
    reviewer: &str,
    reason: &str,
) -> Result<Decided, EngineError> {
    let Some(change) = context.project.change(change) else {
        return Err(EngineError::UnknownChange(change.to_string()));
    };
    let mut touched = Vec::new();
    for pipeline in &change.pipelines {
        let filter = RunFilter {
            pipeline: Some(pipeline.clone()),
            environment: Some(context.environment.clone()),
            ..Default::default()
        };
        touched.extend(context.state.runs(&filter).await?);
    }
    let seen = reviews::seen(&change.id, &touched);
    let policy = &context.project.settings.gates;
    let review = reviews::decide(change, decision, reviewer, reason, context.clock.now(), seen, policy)?;
    context.state.record_review(&review).await?;
    let (mut reassessed, mut left) = (Vec::new(), Vec::new());
    for run in touched {
        let Some(pipeline) = context.project.pipeline(&run.pipeline) else { continue };
        if !run.outcome.is_final() || !same_files(&run, pipeline) {
            continue;
        }
        let (id, before) = (run.id.to_string(), run.outcome);
        let recorded_at = run.recorded_at;
        let run = match reassess_if_reviewed(context, pipeline, run).await {
            Ok(run) => run,
            // Its verdicts stay as they are; a run of a later night calculates what the decision asks for.
            Err(EngineError::MissingReplay { .. }) => continue,
            // The decision stands; the run is told of, and the others are assessed.
            Err(error @ (EngineError::EvidenceBroken { .. } | EngineError::Evidence { .. })) => {
                left.push((id, error.chain()));
                continue;
            }
            Err(error) => return Err(error),
        };
        if run.recorded_at != recorded_at || run.outcome != before {
            reassessed.push((id, before, run.outcome));
        }
    }
    Ok(Decided { review, reassessed, left })
}

/// Gives the verdicts of a recorded run again where a decision was taken since.
///
/// # Errors
/// Evidence that is gone or changed, or stores that are away.
pub async fn reassess_if_reviewed(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    run: RunRecord,
) -> Result<RunRecord, EngineError> {
    let changes = in_force(context, pipeline, run.period);
    let declared = declared(context, pipeline, &changes, run.as_of).await?;
    let now: BTreeMap<String, ReviewStatus> = declared.iter().map(|d| (d.id.to_string(), d.status)).collect();
    if now == run.report.reviews {
        return Ok(run);
    }
    let evidence = Evidence::new(Arc::clone(&context.store), context.prefix.clone());
    let Some(mut manifest) = evidence.manifest(&run.evidence).await? else {
        let what = "has no manifest".to_owned();
        return Err(EngineError::EvidenceBroken { path: run.evidence, what });
    };
    let mut read: BTreeMap<String, Arc<SideResult>> = BTreeMap::new();
    let mut results = Vec::new();
    for entry in &manifest.results {
        let rows = match read.get(&entry.path) {
            Some(rows) => Arc::clone(rows),
            None => {
                let (schema, batches) = evidence.read_parquet(&entry.path, Some(&entry.sha256)).await?;
                let rows = Arc::new(SideResult { schema, batches, outside: 0 });
                read.insert(entry.path.clone(), Arc::clone(&rows));
                rows
            }
        };
        let on = entry.on.iter().filter_map(|id| id.parse().ok()).collect();
        results.push((Replay { side: entry.side, on }, rows));
    }
    let [moved_this_month, eligible_this_month] =
        crate::surroundings::moved_this_month(context, pipeline, run.period).await?;
    let figures = Figures {
        pipeline: pipeline.clone(),
        period: run.period,
        as_of: run.as_of,
        changes: changes.iter().map(|c| (*c).clone()).collect(),
        results,
        excluded: manifest.not_comparable.iter().cloned().collect(),
        nothing_comparable: false,
        factors: Vec::new(),
        neighbours: Vec::new(),
        moved_this_month,
        eligible_this_month,
        run_key: run.key.clone(),
    };
    let assessment = assess::assess(&context.runtime, &figures, &declared).await?;
    let mut report = run.report.clone();
    let fresh = assessment.report.clone();
    report.outcome = fresh.outcome;
    crate::unchanged::forget(&mut report);
    report.rows = fresh.rows;
    report.columns = fresh.columns;
    report.customers = fresh.customers;
    report.bridge = fresh.bridge;
    report.reviews = fresh.reviews;
    report.differences.rows = fresh.differences.rows;
    // What was named when the inputs were at hand stands; only what a rejection uncovered is new.
    if report.findings.is_empty() || fresh.findings.is_empty() {
        report.findings = fresh.findings;
    }
    let manifest_path = format!("{}/manifest.json", run.evidence);
    if let Some(known) = manifest.known.as_mut().filter(|known| known.content.is_some()) {
        // What was named before the decision stands beside its verdicts: the next night gives its own. Said before the
        // first file changes, so that no death in between leaves new verdicts under the old key.
        known.content = None;
        evidence.write_json(&manifest_path, &manifest).await?;
    }
    for file in write_assessment(&evidence, &run.evidence, &assessment, &report).await? {
        manifest.files.retain(|known| known.name != file.name);
        manifest.files.push(file);
    }
    evidence.write_json(&manifest_path, &manifest).await?;
    let at = context.clock.now();
    context.state.record_assessment(run.id, report.outcome, &report, at).await?;
    Ok(RunRecord { outcome: report.outcome, report, recorded_at: at, ..run })
}

fn same_files(run: &RunRecord, pipeline: &Pipeline) -> bool {
    run.hashes.mapping == pipeline.mapping_hash
        && run.hashes.legacy == pipeline.legacy.hash
        && run.hashes.new == pipeline.new.hash
}
