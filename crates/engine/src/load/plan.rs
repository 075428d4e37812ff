//! What loads would read, told from the commits of the copies and nothing else.

use std::time::Duration;

use dualrun_core::{
    load::{LoadMode, Watermark},
    plan::PlannedLoad,
};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::{
    CutOff, Since, SourceError,
    commits::{Commit, newest_commit},
    without_credentials,
};

use super::{LoadRequest, copy::Plan, target, target::Target};
use crate::{
    context::{Context, InputRequest, Place},
    error::EngineError,
};

/// A look at the plan does not wait longer for a store.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the copy of one input would be.
pub struct PlannedCopy<'a> {
    /// For people; what it costs is for others to say.
    pub planned: PlannedLoad,
    /// What is asked of the source, and since when; none where that is not known.
    pub asked: Option<(InputRequest<'a>, Option<Since>)>,
}

/// The copies that a load of some pipelines would make. Only commits are read; with `offline` none of a store in the
/// network.
///
/// # Errors
/// Two pipelines that fill one table in different ways, and what else keeps a load from being planned.
pub async fn planned<'a>(
    context: &'a Context,
    pipelines: &[&'a Pipeline],
    request: &LoadRequest,
    cut: &'a CutOff,
    offline: bool,
) -> Result<Vec<PlannedCopy<'a>>, EngineError> {
    let mut copies = Vec::new();
    for target in target::targets(context, pipelines)? {
        let mut planned = blank(&target);
        let asked = match seen(context, &target, offline).await {
            Ok(base) => Some(fill(&mut planned, &target, base.as_ref(), request, cut)?),
            Err(why) => {
                planned.notes.push(why);
                None
            }
        };
        copies.push(PlannedCopy { planned, asked });
    }
    Ok(copies)
}

fn blank(target: &Target<'_>) -> PlannedLoad {
    let separator = if target.from_source.kind.is_server() { '#' } else { '/' };
    let url = without_credentials(&target.from_source.url);
    PlannedLoad {
        pipelines: target.pipelines.clone(),
        input: target.input.name.clone(),
        source: target.from.source.clone(),
        place: format!("{url}{separator}{}", target.from.place()),
        table: target.name.clone(),
        mode: None,
        watermark: None,
        last: None,
        rows_now: 0,
        partitions_now: 0,
        partitions: None,
        load: None,
        notes: Vec::new(),
    }
}

/// The newest commit of a copy, or why it is not known.
async fn seen(context: &Context, target: &Target<'_>, offline: bool) -> Result<Option<Commit>, String> {
    let away = |error: &SourceError| format!("the copy could not be asked: {}", dualrun_core::chain(error));
    let place = context.inputs.location(target.to_source).map_err(|error| away(&error))?;
    let place = place.below(&target.layout.root);
    if offline && place.display.contains("://") {
        return Err("the copy is not asked (--offline): what has been loaded is not known".to_owned());
    }
    match tokio::time::timeout(PATIENCE, newest_commit(&place)).await {
        Ok(base) => base.map_err(|error| away(&error)),
        Err(_) => Err(format!("the copy did not answer within {} s", PATIENCE.as_secs())),
    }
}

fn fill<'a>(
    planned: &mut PlannedLoad,
    target: &Target<'a>,
    base: Option<&Commit>,
    request: &LoadRequest,
    cut: &'a CutOff,
) -> Result<(InputRequest<'a>, Option<Since>), EngineError> {
    let plan = Plan::new(target, base, request)?;
    planned.mode = Some(plan.mode);
    planned.notes.extend(plan.note.clone());
    planned.watermark = target.load.watermark.clone().map(|column| Watermark {
        column,
        from: plan.since.as_ref().map(|since| since.mark),
        to: plan.before,
    });
    if let Some(base) = base {
        planned.last = base.load.as_ref().map(|load| load.cut_off);
        planned.rows_now = base.rows();
        planned.partitions_now = base.partitions.len() as u64;
    }
    let asked = plan.asked(target, cut);
    planned.partitions = match plan.mode {
        LoadMode::Incremental => None,
        LoadMode::Full => Some(base.iter().flat_map(|base| base.partitions.keys().cloned()).collect()),
        LoadMode::Period => {
            let days = plan
                .days()
                .map(|(first, end)| first.series(jiff::ToSpan::days(1)).take_while(move |d| *d < end));
            let mut folders: Vec<String> = days
                .into_iter()
                .flatten()
                .map(|day| target.layout.folder(target.layout.period(day)))
                .collect();
            folders.dedup();
            Some(folders)
        }
    };
    if let (Some(Place { url, path }), false) = (asked.places.first(), target.from_source.kind.is_server()) {
        planned.place = format!("{}/{path}", without_credentials(url));
    }
    Ok((asked, plan.since))
}
