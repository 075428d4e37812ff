//! The status of a project.

use std::fmt;

use dualrun_core::{
    ChangeId, Criticality, Outcome, PeriodUnit, Phase, PipelineId, Stage,
    run::{Promise, figures::Figure},
};
use dualrun_mapping::plan::{Applies, ChangeClass};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Gate, NightMark, ReviewState, RunLink, Streak, Transition};

/// How far a project is, what blocks it and on what evidence: schema `dualrun.status/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Always `dualrun.status/1`.
    pub schema: String,
    /// The project's title.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The day as of which it is told.
    pub as_of: Date,
    /// The project in numbers.
    pub totals: Totals,
    /// Phases 1 to 3, those that are planned or hold a pipeline.
    pub phases: Vec<PhaseStatus>,
    /// Pipelines by phase, then by id.
    pub pipelines: Vec<PipelineStatus>,
    /// Methodology changes in the order of their ids.
    pub changes: Vec<ChangeStatus>,
    /// What stands in the way, in sentences, the most harmful first.
    pub blockers: Vec<String>,
}

/// The project in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Pipelines.
    pub pipelines: u32,
    /// How many stand at each stage; every stage once, in order.
    pub stages: Vec<StageCount>,
    /// Pipelines at `parity` or beyond.
    pub at_parity: u32,
    /// Pipelines at `cut_over` or `retired`.
    pub migrated: u32,
    /// `migrated` over `pipelines`, 0 to 1; 0 where there is no pipeline.
    pub share_migrated: f64,
    /// Pipelines whose latest night was clean.
    pub clean: u32,
    /// Pipelines whose latest night was broken.
    pub broken: u32,
    /// Pipelines whose latest night gave no answer, or that never ran.
    pub unanswered: u32,
    /// Runs on record up to `as_of`.
    pub runs: u64,
    /// Nights with at least one run.
    pub nights: u32,
    /// Findings that are open.
    pub findings: u32,
    /// Changes whose approval holds.
    pub changes_approved: u32,
    /// Changes that wait for a decision.
    pub changes_proposed: u32,
    /// Changes that were rejected.
    pub changes_rejected: u32,
}

/// How many pipelines stand at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCount {
    /// The stage.
    pub stage: Stage,
    /// Pipelines.
    pub pipelines: u32,
}

/// One phase of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseStatus {
    /// 1, 2 or 3.
    pub number: Phase,
    /// The first planned day; none where no dates are set.
    pub start: Option<Date>,
    /// The last planned day.
    pub end: Option<Date>,
    /// Where `as_of` lies in the plan.
    pub timing: PhaseTiming,
    /// The share of the planned days that has passed, 0 to 1; none where no dates are set.
    pub elapsed: Option<f64>,
    /// Pipelines of the phase.
    pub pipelines: u32,
    /// How many stand at each stage; every stage once, in order.
    pub stages: Vec<StageCount>,
    /// Pipelines at `parity` or beyond.
    pub at_parity: u32,
    /// Pipelines at `cut_over` or `retired`.
    pub migrated: u32,
    /// `migrated` over `pipelines`, 0 to 1; 0 where there is no pipeline.
    pub share_migrated: f64,
}

/// Where a day lies in a phase of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseTiming {
    /// No dates are set.
    NotPlanned,
    /// It has not begun.
    Ahead,
    /// It runs.
    Running,
    /// Its last planned day has passed and every pipeline of it is migrated.
    Done,
    /// Its last planned day has passed and some pipeline of it is not migrated.
    Late,
}

impl PhaseTiming {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPlanned => "not_planned",
            Self::Ahead => "ahead",
            Self::Running => "running",
            Self::Done => "done",
            Self::Late => "late",
        }
    }
}

impl fmt::Display for PhaseTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// Its id.
    pub id: PipelineId,
    /// A title for people.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// The phase in which it moves.
    pub phase: Phase,
    /// Its stage.
    pub stage: Stage,
    /// The night of its latest change of stage; none where it stands where its mapping starts it.
    pub stage_since: Option<Date>,
    /// How much harm a wrong figure does.
    pub criticality: Criticality,
    /// `scope-1`, `scope-2`, `scope-3` or any other grouping of the project.
    pub scope: Option<String>,
    /// Daily or monthly results.
    pub period_unit: PeriodUnit,
    /// The outcome of its latest night, the worst of its periods; none where it never ran.
    pub last_outcome: Option<Outcome>,
    /// The runs of its latest night, by period.
    pub last_runs: Vec<RunLink>,
    /// Its last nights, oldest first, at most [`crate::status::HISTORY`].
    pub history: Vec<NightMark>,
    /// Clean nights in a row.
    pub streak: Streak,
    /// What the gate to `parity` asks for.
    pub gates: Vec<Gate>,
    /// The change of stage that the evidence asks for now.
    pub next: Option<Transition>,
    /// Unexplained differences of its latest night, the largest share first.
    pub findings: Vec<OpenFinding>,
    /// Methodology changes that are declared for it.
    pub changes: Vec<ChangeId>,
}

/// Unexplained differences with one signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenFinding {
    /// Stable over nights.
    pub id: String,
    /// `unit_scale`, `fan_out`, … or `unknown`.
    pub signature: String,
    /// The measure or attribute; `presence` for rows on one side only.
    pub column: String,
    /// Rows that it explains.
    pub rows: u64,
    /// Customers that it touches.
    pub customers: u64,
    /// One sentence, for example `new = 1000 × legacy`.
    pub detail: String,
    /// The segment as a SQL condition over the result; `true` where it is everywhere or no column tells where.
    pub segment: String,
    /// Its share of the gross unexplained difference of the column, 0 to 1.
    pub share_of_unexplained: f64,
    /// Its gross size Σ|U| in the unit of the column.
    pub gross: Option<Figure>,
    /// The first night on which a finding of this id was recorded.
    pub first_seen: Date,
    /// The run that found it.
    pub run: RunLink,
}

/// One methodology change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Its id.
    pub id: ChangeId,
    /// A title for people.
    pub title: String,
    /// What kind of change it is.
    pub class: ChangeClass,
    /// Who proposed it.
    pub owner: String,
    /// The first result day to which it applies.
    pub effective: Date,
    /// From the effective date, or all periods.
    pub applies: Applies,
    /// The pipelines that it concerns.
    pub pipelines: Vec<PipelineId>,
    /// Where its review stands.
    pub review: ReviewState,
    /// What it moved in the latest run of each pipeline.
    pub effects: Vec<ChangeEffect>,
}

/// What a change moved in one column of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeEffect {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The measure.
    pub column: String,
    /// Its unit, where declared.
    pub unit: Option<String>,
    /// Σφ over all customers.
    pub effect: Figure,
    /// Σφ over |Σ legacy|; none where legacy is 0.
    pub relative: Option<f64>,
    /// Cells that it moved.
    pub cells: u64,
    /// Rows that it brings or removes.
    pub rows: u64,
    /// Whether it did what its file promises.
    pub promise: Promise,
    /// Which sentence of the promise broke.
    pub broken: Vec<String>,
    /// Σφ that the latest decision was made on; none where nobody decided or it was not shown.
    pub seen: Option<Figure>,
    /// The run.
    pub run: RunLink,
}
