//! How far a project is.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{Phase, Stage, review::ReviewStatus};
use dualrun_mapping::plan::{Change, Pipeline, Project};
use jiff::civil::Date;

use crate::{
    evidence::{Assessment, Evidence, assess, broken_promises, link},
    model::{
        ChangeEffect, ChangeStatus, NightAnswer, OpenFinding, PhaseStatus, PhaseTiming, PipelineStatus,
        ReviewState, StageCount, Status, Totals,
    },
    nights::Night,
};

mod blockers;

/// The schema of [`Status`].
pub const SCHEMA: &str = "dualrun.status/1";

/// How many nights the history of a pipeline shows.
pub const HISTORY: usize = 60;

/// The status of a project on a day.
pub fn status(project: &Project, evidence: &Evidence<'_>) -> Status {
    let assessed: Vec<(&Pipeline, Assessment<'_>)> =
        project.pipelines.iter().map(|pipeline| (pipeline, assess(project, pipeline, evidence))).collect();
    let broken: BTreeSet<_> =
        assessed.iter().filter_map(|(_, a)| a.last_night()).flat_map(broken_promises).collect();
    let mut reviews = evidence.reviews(project, &broken);
    let changes: Vec<ChangeStatus> = project
        .changes
        .iter()
        .filter_map(|change| {
            let review = reviews.remove(&change.id)?;
            Some(change_status(change, review, &assessed))
        })
        .collect();
    let mut pipelines: Vec<PipelineStatus> =
        assessed.iter().map(|(pipeline, a)| pipeline_status(project, pipeline, a)).collect();
    pipelines.sort_by(|a, b| (a.phase, &a.id).cmp(&(b.phase, &b.id)));
    let phases = phases(project, &pipelines, evidence.as_of);
    let blockers = blockers::blockers(&pipelines, &changes, &phases);
    Status {
        schema: SCHEMA.to_owned(),
        project: project.settings.project.name.clone(),
        environment: evidence.environment.to_owned(),
        as_of: evidence.as_of,
        totals: totals(&pipelines, &changes, evidence),
        phases,
        pipelines,
        changes,
        blockers,
    }
}

fn pipeline_status(project: &Project, pipeline: &Pipeline, assessment: &Assessment<'_>) -> PipelineStatus {
    let nights = &assessment.nights;
    let history = nights.iter().skip(nights.len().saturating_sub(HISTORY)).map(Night::mark).collect();
    PipelineStatus {
        id: pipeline.id.clone(),
        title: pipeline.title.clone(),
        owner: pipeline.owner.clone(),
        phase: pipeline.phase,
        stage: assessment.stage,
        stage_since: assessment.stage_since,
        criticality: pipeline.criticality,
        scope: pipeline.scope.clone(),
        period_unit: pipeline.result.period.unit,
        last_outcome: assessment.last_outcome(),
        last_runs: assessment.last_runs(),
        history,
        streak: assessment.streak.clone(),
        gates: assessment.gates.clone(),
        next: assessment.next.clone(),
        findings: findings(assessment),
        changes: project.changes_of(&pipeline.id).into_iter().map(|change| change.id.clone()).collect(),
    }
}

/// The findings of the latest night. One that several periods show stands once, as the latest period shows it.
fn findings(assessment: &Assessment<'_>) -> Vec<OpenFinding> {
    let mut first_seen: BTreeMap<&str, Date> = BTreeMap::new();
    for night in &assessment.nights {
        for finding in night.runs.iter().flat_map(|run| &run.report.findings) {
            first_seen.entry(&finding.id).or_insert(night.date);
        }
    }
    let mut open: BTreeMap<&str, OpenFinding> = BTreeMap::new();
    for run in assessment.last_night().map(|night| night.runs.as_slice()).unwrap_or_default() {
        for finding in &run.report.findings {
            let shown = OpenFinding {
                id: finding.id.clone(),
                signature: finding.signature.clone(),
                column: finding.column.clone(),
                rows: finding.rows,
                customers: finding.customers,
                detail: finding.detail.clone(),
                segment: finding.segment.clone(),
                share_of_unexplained: finding.share_of_unexplained,
                gross: finding.gross.clone(),
                first_seen: first_seen.get(finding.id.as_str()).copied().unwrap_or(run.as_of),
                run: link(run),
            };
            open.insert(&finding.id, shown);
        }
    }
    let mut open: Vec<OpenFinding> = open.into_values().collect();
    open.sort_by(|a, b| {
        b.share_of_unexplained.total_cmp(&a.share_of_unexplained).then_with(|| a.id.cmp(&b.id))
    });
    open
}

/// What a change moved in the latest run of each pipeline whose bridge names it.
fn change_status(
    change: &Change,
    review: ReviewState,
    assessed: &[(&Pipeline, Assessment<'_>)],
) -> ChangeStatus {
    let names = |run: &dualrun_state::records::RunRecord| {
        run.report.bridge.iter().any(|entry| entry.change == change.id.as_str())
    };
    let mut effects = Vec::new();
    for (pipeline, assessment) in assessed {
        let mut runs = assessment.nights.iter().rev().flat_map(|night| night.runs.iter().rev());
        let Some(run) = runs.find(|run| names(run)) else { continue };
        for entry in run.report.bridge.iter().filter(|entry| entry.change == change.id.as_str()) {
            let column = run.report.columns.iter().find(|column| column.name == entry.column);
            let seen = review.last.as_ref().and_then(|last| last.seen.get(pipeline.id.as_str()));
            effects.push(ChangeEffect {
                pipeline: pipeline.id.clone(),
                column: entry.column.clone(),
                unit: column.and_then(|column| column.unit.clone()),
                effect: entry.effect.clone(),
                relative: entry.relative,
                cells: entry.cells,
                rows: entry.rows,
                promise: entry.promise,
                broken: entry.broken.clone(),
                seen: seen
                    .and_then(|columns| columns.get(&entry.column))
                    .map(|figure| dualrun_core::run::figures::Figure(figure.clone())),
                run: link(run),
            });
        }
    }
    ChangeStatus {
        id: change.id.clone(),
        title: change.title.clone(),
        class: change.class,
        owner: change.owner.clone(),
        effective: change.effective,
        applies: change.applies,
        pipelines: change.pipelines.clone(),
        review,
        effects,
    }
}

fn phases(project: &Project, pipelines: &[PipelineStatus], as_of: Date) -> Vec<PhaseStatus> {
    let phases = [Phase::Validation, Phase::Main, Phase::Final].into_iter();
    phases
        .filter_map(|number| {
            let plan = project.settings.phases.iter().find(|phase| phase.number == number);
            let members: Vec<_> = pipelines.iter().filter(|p| p.phase == number).collect();
            if plan.is_none() && members.is_empty() {
                return None;
            }
            let total = count(members.len());
            let migrated = count(members.iter().filter(|p| p.stage >= Stage::CutOver).count());
            let dates = plan.map(|plan| (plan.start, plan.end));
            Some(PhaseStatus {
                number,
                start: dates.map(|(start, _)| start),
                end: dates.map(|(_, end)| end),
                timing: timing(dates, as_of, migrated == total),
                elapsed: dates.map(|(start, end)| elapsed(start, end, as_of)),
                pipelines: total,
                stages: stages(members.iter().map(|p| p.stage)),
                at_parity: count(members.iter().filter(|p| p.stage >= Stage::Parity).count()),
                migrated,
                share_migrated: share(migrated, total),
            })
        })
        .collect()
}

fn timing(dates: Option<(Date, Date)>, as_of: Date, migrated: bool) -> PhaseTiming {
    match dates {
        None => PhaseTiming::NotPlanned,
        Some((start, _)) if as_of < start => PhaseTiming::Ahead,
        Some((_, end)) if as_of <= end => PhaseTiming::Running,
        Some(_) if migrated => PhaseTiming::Done,
        Some(_) => PhaseTiming::Late,
    }
}

/// Of the planned days, the last included, the share that has begun.
fn elapsed(start: Date, end: Date, as_of: Date) -> f64 {
    let days = |from: Date, to: Date| f64::from((to - from).get_days() + 1);
    if as_of < start {
        0.0
    } else if as_of >= end {
        1.0
    } else {
        (days(start, as_of) / days(start, end)).clamp(0.0, 1.0)
    }
}

fn totals(pipelines: &[PipelineStatus], changes: &[ChangeStatus], evidence: &Evidence<'_>) -> Totals {
    let total = count(pipelines.len());
    let migrated = count(pipelines.iter().filter(|p| p.stage >= Stage::CutOver).count());
    let last = |p: &PipelineStatus| {
        p.history.iter().rev().find(|mark| mark.answer != NightAnswer::Missing).map(|mark| mark.answer)
    };
    let answered = |answer| count(pipelines.iter().filter(|p| last(p) == Some(answer)).count());
    let (clean, broken) = (answered(NightAnswer::Clean), answered(NightAnswer::Broken));
    let reviewed = |status| count(changes.iter().filter(|c| c.review.status == status).count());
    let nights: BTreeSet<Date> = evidence.runs().map(|run| run.as_of).collect();
    Totals {
        pipelines: total,
        stages: stages(pipelines.iter().map(|p| p.stage)),
        at_parity: count(pipelines.iter().filter(|p| p.stage >= Stage::Parity).count()),
        migrated,
        share_migrated: share(migrated, total),
        clean,
        broken,
        unanswered: total.saturating_sub(clean).saturating_sub(broken),
        runs: evidence.runs().count() as u64,
        nights: count(nights.len()),
        findings: pipelines.iter().map(|p| count(p.findings.len())).sum(),
        changes_approved: reviewed(ReviewStatus::Approved),
        changes_proposed: reviewed(ReviewStatus::Proposed),
        changes_rejected: reviewed(ReviewStatus::Rejected),
    }
}

fn stages(of: impl Iterator<Item = Stage> + Clone) -> Vec<StageCount> {
    let at = |stage: Stage| count(of.clone().filter(|s| *s == stage).count());
    Stage::ALL.iter().map(|stage| StageCount { stage: *stage, pipelines: at(*stage) }).collect()
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
