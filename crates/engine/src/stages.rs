//! Moves pipelines on their evidence, and tells where the project stands: the tracker's policies over what the state
//! database holds.

use dualrun_core::night::StageChange;
use dualrun_state::records::{ReviewRecord, RunFilter, RunRecord, StageEvent};
use dualrun_tracker::{
    Evidence, assess,
    model::{Readiness, Status},
};
use jiff::civil::Date;

use crate::{context::Context, error::EngineError};

/// Everything that the policies look at.
struct Recorded {
    runs: Vec<RunRecord>,
    reviews: Vec<ReviewRecord>,
    stages: Vec<StageEvent>,
}

impl Recorded {
    async fn load(context: &Context) -> Result<Self, EngineError> {
        let filter = RunFilter { environment: Some(context.environment.clone()), ..Default::default() };
        Ok(Self {
            runs: context.state.runs(&filter).await?,
            reviews: context.state.reviews(None).await?,
            stages: context.state.stage_events(&context.environment, None).await?,
        })
    }

    fn evidence<'a>(&'a self, context: &'a Context, as_of: Date) -> Evidence<'a> {
        Evidence {
            environment: &context.environment,
            as_of,
            runs: &self.runs,
            reviews: &self.reviews,
            stages: &self.stages,
        }
    }
}

/// Moves every pipeline whose gates or broken evidence ask for it, and records each move with its runs.
///
/// # Errors
/// The state database is away.
pub async fn advance(context: &Context, as_of: Date) -> Result<Vec<StageChange>, EngineError> {
    let recorded = Recorded::load(context).await?;
    let evidence = recorded.evidence(context, as_of);
    let mut changes = Vec::new();
    for pipeline in &context.project.pipelines {
        let Some(next) = assess(&context.project, pipeline, &evidence).next else { continue };
        let event = next.event(&context.environment, as_of, context.clock.now());
        context.state.record_stage(&event).await?;
        changes.push(StageChange {
            pipeline: event.pipeline,
            from: event.from,
            to: event.to,
            reason: event.reason,
        });
    }
    Ok(changes)
}

/// The status of the project; as of the latest recorded night where no day is given.
///
/// # Errors
/// The state database is away.
pub async fn status(context: &Context, as_of: Option<Date>) -> Result<Status, EngineError> {
    let recorded = Recorded::load(context).await?;
    let as_of = as_of.unwrap_or_else(|| latest(context, &recorded));
    Ok(dualrun_tracker::status(&context.project, &recorded.evidence(context, as_of)))
}

/// The readiness report; as of the latest recorded night where no day is given.
///
/// # Errors
/// The state database is away.
pub async fn readiness(context: &Context, as_of: Option<Date>) -> Result<Readiness, EngineError> {
    let recorded = Recorded::load(context).await?;
    let as_of = as_of.unwrap_or_else(|| latest(context, &recorded));
    Ok(dualrun_tracker::readiness(&context.project, &recorded.evidence(context, as_of)))
}

fn latest(context: &Context, recorded: &Recorded) -> Date {
    let today = || context.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    recorded.runs.iter().map(|run| run.as_of).max().unwrap_or_else(today)
}
