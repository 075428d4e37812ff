//! Plays the scenario on a laid-out project: night after night, really computed.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use dualrun_core::{
    Outcome, Period, PipelineId,
    night::{NightReport, StageChange},
};
use dualrun_engine::{Clock, Context, NightRequest, RunRequest, Silent, nightly, reviews, run};
use dualrun_tracker::reviews::Decision;
use jiff::{Timestamp, ToSpan, civil::Date, civil::time, tz::TimeZone};

use crate::{
    error::DemoError,
    files::write_if_changed,
    scenario::{Approval, FIRST_NIGHT, Scenario, apply_bugs, scenario},
};

/// The pipeline that stands on real billing lines of September 2024, and looks at them at their true dates.
const REAL_INPUT: &str = "cloud-cost";
const REAL_INPUT_FIRST: Date = Date::constant(2024, 9, 1);
const REAL_INPUT_DAYS: i32 = 30;

/// A clock that stands at the night that is played.
#[derive(Debug)]
pub struct NightClock(Mutex<Timestamp>);

impl Default for NightClock {
    fn default() -> Self {
        let clock = Self(Mutex::new(Timestamp::UNIX_EPOCH));
        clock.set(FIRST_NIGHT);
        clock
    }
}

impl NightClock {
    /// Two o'clock in the night of this date, UTC.
    pub fn set(&self, night: Date) {
        if let Ok(at) = TimeZone::UTC.to_timestamp(night.to_datetime(time(2, 0, 0, 0))) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
        }
    }
}

impl Clock for NightClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened in one night.
#[derive(Debug, Clone)]
pub struct PlayedNight {
    /// Its date.
    pub date: Date,
    /// Changes that were approved before it ran.
    pub approved: Vec<String>,
    /// Whether a new calculation was changed before it ran.
    pub deployed: bool,
    /// What the nightly job said.
    pub report: NightReport,
}

/// What a played migration leaves.
pub struct Played {
    /// The project as it stands after the last night.
    pub context: Arc<Context>,
    /// The nights in order.
    pub nights: Vec<PlayedNight>,
    /// The scenario that was played.
    pub scenario: Scenario,
    /// Runs that were computed.
    pub runs: u64,
}

/// Opens the project in a folder as its files stand now.
pub type Opener<'a> = dyn Fn(&Path, Arc<dyn Clock>) -> Result<Arc<Context>, DemoError> + 'a;

/// Plays `nights` nights from the first one on. `each` is told of every night that is done.
///
/// # Errors
/// A project that cannot be opened or changed, or a night that cannot be recorded.
pub async fn play(
    dir: &Path,
    nights: u32,
    open: &Opener<'_>,
    each: &mut dyn FnMut(&PlayedNight),
) -> Result<Played, DemoError> {
    let scenario = scenario()?;
    let clock = Arc::new(NightClock::default());
    let mut context: Option<Arc<Context>> = None;
    let mut played = Vec::new();
    let mut runs = 0;
    for n in 0..nights {
        let Ok(date) = FIRST_NIGHT.checked_add(i64::from(n).days()) else { break };
        clock.set(date);
        let deployed = apply_bugs(dir, date)?;
        let opened = match context.take() {
            // Nothing was deployed: the files are the same.
            Some(context) if !deployed => context,
            _ => open(dir, Arc::<NightClock>::clone(&clock))?,
        };
        let approved = approve(&opened, &scenario.approvals, date).await?;
        let report = night(&opened, date).await?;
        runs += report.runs.iter().filter(|r| r.run_id.is_some()).count() as u64;
        let text = serde_json::to_string_pretty(&report).map_err(DemoError::json)?;
        write_if_changed(&dir.join(format!("nights/{date}.json")), text.as_bytes())?;
        let night = PlayedNight { date, approved, deployed, report };
        each(&night);
        played.push(night);
        context = Some(opened);
    }
    match context {
        Some(context) => Ok(Played { context, nights: played, scenario, runs }),
        None => Err(DemoError::NoNights),
    }
}

async fn approve(
    context: &Arc<Context>,
    approvals: &[Approval],
    date: Date,
) -> Result<Vec<String>, DemoError> {
    let mut approved = Vec::new();
    for approval in approvals.iter().filter(|a| a.night == date) {
        reviews::decide(context, &approval.change, Decision::Approve, &approval.reviewer, &approval.reason)
            .await?;
        approved.push(approval.change.to_string());
    }
    Ok(approved)
}

/// One night: every pipeline looks at the day before, the one on real input at its own day.
async fn night(context: &Arc<Context>, date: Date) -> Result<NightReport, DemoError> {
    let progress = Arc::new(Silent);
    let real = real_input_run(context, date).await?;
    let pipelines: Vec<PipelineId> = context
        .project
        .pipelines
        .iter()
        .map(|p| p.id.clone())
        .filter(|id| id.as_str() != REAL_INPUT)
        .collect();
    let day = date.yesterday().unwrap_or(date);
    let request = NightRequest { day, as_of: date, pipelines, load: false };
    let mut report = nightly(context, &request, progress).await?;
    if let Some(run) = real {
        report.runs.push(run);
        report.runs.sort_by(|a, b| (&a.pipeline, a.period).cmp(&(&b.pipeline, b.period)));
        let codes = report.runs.iter().filter(|r| r.enforced).map(|r| r.exit_code);
        report.exit_code = dualrun_core::ExitCode::of_many(codes);
    }
    Ok(report)
}

async fn real_input_run(
    context: &Arc<Context>,
    date: Date,
) -> Result<Option<dualrun_core::night::NightRun>, DemoError> {
    let Some(pipeline) = context.project.pipelines.iter().find(|p| p.id.as_str() == REAL_INPUT) else {
        return Ok(None);
    };
    let nights = (date - FIRST_NIGHT).get_days();
    let Ok(day) = REAL_INPUT_FIRST.checked_add(i64::from(nights % REAL_INPUT_DAYS).days()) else {
        return Ok(None);
    };
    let period = Period::day(day);
    let request =
        RunRequest { pipeline: pipeline.id.clone(), period, as_of: date, split: false, load: false };
    let answer = run(context, &request, &Silent).await?;
    Ok(Some(dualrun_engine::night::entry(&answer, period, true, &pipeline.id)))
}

/// What the last night says of each pipeline, for the last screen.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The outcome of its last run.
    pub outcome: Option<Outcome>,
    /// Its changes of stage in the course of the demo.
    pub stages: Vec<(Date, StageChange)>,
    /// How many nights ended with each outcome.
    pub outcomes: BTreeMap<Outcome, u32>,
}

/// Sums the nights up by pipeline.
pub fn standings(nights: &[PlayedNight]) -> Vec<Standing> {
    let mut standings: BTreeMap<PipelineId, Standing> = BTreeMap::new();
    for night in nights {
        for run in &night.report.runs {
            let standing = standings.entry(run.pipeline.clone()).or_insert_with(|| Standing {
                pipeline: run.pipeline.clone(),
                outcome: None,
                stages: Vec::new(),
                outcomes: BTreeMap::new(),
            });
            if let Some(outcome) = run.outcome {
                standing.outcome = Some(outcome);
                *standing.outcomes.entry(outcome).or_default() += 1;
            }
        }
        for change in &night.report.stages {
            if let Some(standing) = standings.get_mut(&change.pipeline) {
                standing.stages.push((night.date, change.clone()));
            }
        }
    }
    standings.into_values().collect()
}
