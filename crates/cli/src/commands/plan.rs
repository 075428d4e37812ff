//! `dualrun plan`: what would run, and with what load on the servers.

use std::sync::Arc;

use dualrun_core::{
    ExitCode, Period, PeriodUnit, PipelineId,
    input::Side,
    plan::{PlanReport, PlannedAsk, PlannedLoad, PlannedRead, PlannedRun},
};
use dualrun_engine::{Context, LoadRequest, NightRequest, Place, inputs, load as engine_load, night};
use dualrun_mapping::plan::{Engine, Pipeline};
use dualrun_report::text;
use dualrun_sources::{CutOff, without_credentials};

use crate::{
    args::{Global, PlanArgs},
    commands::{today, yesterday},
    error::CliError,
    output::Output,
    project,
};

mod load;

use load::Loads;

pub(crate) async fn run(global: &Global, args: &PlanArgs, output: &Output) -> Result<ExitCode, CliError> {
    let context = project::look(global)?;
    let request = NightRequest {
        day: args.period.unwrap_or_else(yesterday),
        as_of: today(),
        pipelines: Vec::new(),
        load: false,
    };
    let due = night::due(&context, &request).await?;
    let mut loads = Loads::new(&context, &global.project, args.offline);
    let mut runs = Vec::new();
    for (id, period, enforced) in &due {
        let Some(pipeline) = context.project.pipeline(id) else { continue };
        runs.push(planned(&context, pipeline, *period, *enforced, &mut loads).await?);
    }
    let copies = copies(&context, &due, &request, args.offline, &mut loads).await?;
    let report = PlanReport {
        schema: "dualrun.plan/1".to_owned(),
        period: request.day.to_string(),
        runs,
        servers: loads.close().await,
        loads: copies,
    };
    output.text_or_json(&report, |style| text::plan(&report, style))?;
    Ok(if due.is_empty() { ExitCode::Nothing } else { ExitCode::Agree })
}

/// What a load of the pipelines that are due would read beforehand.
async fn copies(
    context: &Arc<Context>,
    due: &[(PipelineId, Period, bool)],
    night: &NightRequest,
    offline: bool,
    loads: &mut Loads<'_>,
) -> Result<Vec<PlannedLoad>, CliError> {
    let is_due = |pipeline: &&Pipeline| due.iter().any(|(id, _, _)| *id == pipeline.id);
    let pipelines: Vec<&Pipeline> = context.project.pipelines.iter().filter(is_due).collect();
    let request = LoadRequest { pipelines: Vec::new(), period: None, full: false, yesterday: night.day };
    let cut = CutOff::default();
    let mut planned = Vec::new();
    for copy in engine_load::planned(context, &pipelines, &request, &cut, offline).await? {
        let mut load = copy.planned;
        if let Some((asked, since)) = copy.asked {
            load.load = loads.of_copy(&load.source, &asked, since).await;
        }
        planned.push(load);
    }
    Ok(planned)
}

async fn planned(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    period: Period,
    enforced: bool,
    loads: &mut Loads<'_>,
) -> Result<PlannedRun, CliError> {
    let changes = context.project.changes_of(&pipeline.id);
    let in_force: Vec<_> = changes.iter().filter(|c| c.in_force(period.start())).collect();
    let (cut, mut reads) = (CutOff::default(), Vec::new());
    for input in &pipeline.inputs {
        for side in Side::BOTH {
            let Some(request) = inputs::request(context, input, side, period, &cut)? else { continue };
            let source = input.on(side).map(|place| place.source.clone()).unwrap_or_default();
            let separator = if request.source.kind.is_server() { '#' } else { '/' };
            let named = |p: &Place| format!("{}{separator}{}", without_credentials(&p.url), p.path);
            let places = request.places.iter().map(named).collect();
            let load = loads.of_input(&source, &request).await;
            reads.push(PlannedRead { input: input.name.clone(), side, source, places, load });
        }
    }
    let (mut asks, mut notes) = (Vec::new(), Vec::new());
    for side in Side::BOTH {
        let calculation = pipeline.calculation(side);
        notes.extend(calculation.note.clone());
        let Some(source) = calculation.engine.source() else { continue };
        if !context.project.settings.source.get(source).is_some_and(|source| source.kind.is_server()) {
            continue;
        }
        let of_side = in_force.iter().filter(|change| change.side_in(&pipeline.id) == Some(side)).count();
        let load = loads.of_calculation(pipeline, side, period).await?;
        loads.again(source, &load, replays(of_side) as u64);
        asks.push(PlannedAsk {
            side,
            engine: calculation.engine.as_str().to_owned(),
            source: source.to_owned(),
            place: match &calculation.engine {
                Engine::Postgres(query) => query.file.display().to_string(),
                Engine::Mongodb(pipeline) => pipeline.file.display().to_string(),
                Engine::Relation(relation) => relation.place.place().to_owned(),
                Engine::Sql(_) | Engine::Command(_) => String::new(),
            },
            times: replays(of_side),
            load,
        });
    }
    Ok(PlannedRun {
        pipeline: pipeline.id.clone(),
        period,
        enforced,
        often: match pipeline.result.period.unit {
            PeriodUnit::Day => "every night".to_owned(),
            PeriodUnit::Month => "every night, the last closed month".to_owned(),
        },
        looks_back: pipeline.result.period.recompute,
        changes_in_force: in_force.len(),
        // One calculation a side, and its replays of the new one.
        calculations: 1 + replays(in_force.len()),
        reads,
        asks,
        notes,
    })
}

/// With k changes in force a side is calculated 2^k times for k up to 3.
fn replays(changes: usize) -> usize {
    if changes <= 3 { 1 << changes } else { 3 }
}
