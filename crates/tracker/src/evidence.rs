//! The records that policies look at, and everything they say about one pipeline.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{ChangeId, Outcome, PipelineId, Stage};
use dualrun_mapping::plan::{Pipeline, Project};
use dualrun_state::records::{ReviewRecord, RunRecord, StageEvent};
use jiff::civil::Date;

use crate::{
    gates::{self, Situation},
    model::{Gate, ReviewState, RunLink, Streak, Transition},
    nights::{Night, nights},
    reviews, stages,
    streak::{Rules, present_hashes, streak},
};

/// What was recorded. Records of other environments or later nights may be among them and are passed over.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The environment that is asked about.
    pub environment: &'a str,
    /// The day as of which it is told.
    pub as_of: Date,
    /// Runs, in any order.
    pub runs: &'a [RunRecord],
    /// Reviews, in any order.
    pub reviews: &'a [ReviewRecord],
    /// Changes of stage, oldest first.
    pub stages: &'a [StageEvent],
}

impl<'a> Evidence<'a> {
    /// The runs of the environment up to `as_of`.
    pub fn runs(&self) -> impl Iterator<Item = &'a RunRecord> {
        let (environment, as_of) = (self.environment, self.as_of);
        self.runs.iter().filter(move |run| run.environment == environment && run.as_of <= as_of)
    }

    /// The runs of one pipeline.
    pub fn runs_of(&self, pipeline: &PipelineId) -> impl Iterator<Item = &'a RunRecord> {
        self.runs().filter(move |run| &run.pipeline == pipeline)
    }

    /// The latest change of stage of a pipeline.
    pub fn last_stage(&self, pipeline: &PipelineId) -> Option<&'a StageEvent> {
        self.stages.iter().rev().find(|event| {
            &event.pipeline == pipeline && event.environment == self.environment && event.as_of <= self.as_of
        })
    }

    /// Where every change of the project stands. `broken` are the changes whose promise counts as broken.
    pub fn reviews(&self, project: &Project, broken: &BTreeSet<ChangeId>) -> BTreeMap<ChangeId, ReviewState> {
        reviews::states(&project.changes, self.reviews, self.as_of, broken)
    }
}

/// Everything that is said about one pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment<'a> {
    /// Its stage: where its latest event moved it, or where its mapping starts it.
    pub stage: Stage,
    /// The night of that event.
    pub stage_since: Option<Date>,
    /// Its nights, oldest first.
    pub nights: Vec<Night<'a>>,
    /// Its clean nights in a row.
    pub streak: Streak,
    /// The gate to parity.
    pub gates: Vec<Gate>,
    /// The change of stage that the evidence asks for.
    pub next: Option<Transition>,
}

impl<'a> Assessment<'a> {
    /// The latest night with a run.
    pub fn last_night(&self) -> Option<&Night<'a>> {
        self.nights.iter().rev().find(|night| !night.runs.is_empty())
    }

    /// The outcome of the latest night with a run.
    pub fn last_outcome(&self) -> Option<Outcome> {
        self.last_night().and_then(Night::outcome)
    }

    /// The runs of the latest night, by period.
    pub fn last_runs(&self) -> Vec<RunLink> {
        self.last_night().map(|night| night.runs.iter().map(|run| link(run)).collect()).unwrap_or_default()
    }
}

/// Looks at one pipeline: nights, streak, gates and the change of stage that they ask for.
pub fn assess<'a>(project: &Project, pipeline: &Pipeline, evidence: &Evidence<'a>) -> Assessment<'a> {
    let policy = &project.settings.gates;
    let event = evidence.last_stage(&pipeline.id);
    let stage = event.map_or(pipeline.stage, |event| event.to);
    let stage_since = event.map(|event| event.as_of);
    let nights = nights(evidence.runs_of(&pipeline.id), evidence.as_of);
    let rules = Rules::of(pipeline, policy);
    let streak = streak(&nights, Some(&present_hashes(pipeline)), &rules, evidence.as_of);
    let broken =
        nights.iter().rev().find(|night| !night.runs.is_empty()).map(broken_promises).unwrap_or_default();
    let changes = project
        .changes_of(&pipeline.id)
        .into_iter()
        .map(|change| (change, reviews::state(change, evidence.reviews, evidence.as_of, &broken)));
    let gates = gates::gates(&Situation {
        pipeline,
        policy,
        nights: &nights,
        streak: &streak,
        changes: &changes.collect::<Vec<_>>(),
    });
    let next = stages::next(&pipeline.id, stage, stage_since, &gates, &streak, &nights);
    Assessment { stage, stage_since, nights, streak, gates, next }
}

/// The changes whose promise is broken in some run of a night.
pub(crate) fn broken_promises(night: &Night<'_>) -> BTreeSet<ChangeId> {
    night.runs.iter().flat_map(|run| reviews::broken_promises(&run.report)).collect()
}

pub(crate) fn link(run: &RunRecord) -> RunLink {
    RunLink { run: run.id, period: run.period, as_of: run.as_of }
}
