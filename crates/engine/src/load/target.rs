//! The tables that a load writes: one for all inputs that name the same place.

use dualrun_core::{
    PipelineId,
    input::{InputDecl, InputRef},
    load::{Layout, LoadDecl},
    period::time_zone,
};
use dualrun_mapping::{plan::Pipeline, settings::SourceSettings};
use jiff::tz::TimeZone;

use crate::{context::Context, error::EngineError};

/// A table that an input is copied to.
pub(super) struct Target<'a> {
    /// The pipelines that read it.
    pub(super) pipelines: Vec<PipelineId>,
    pub(super) input: &'a InputDecl,
    pub(super) load: &'a LoadDecl,
    pub(super) from: &'a InputRef,
    pub(super) from_source: &'a SourceSettings,
    pub(super) to_source: &'a SourceSettings,
    pub(super) layout: Layout,
    /// The zone in which an instant belongs to a day.
    pub(super) zone: TimeZone,
    /// The source and folder, for people.
    pub(super) name: String,
}

/// The tables of these pipelines, in the order of their names.
///
/// # Errors
/// Two pipelines that fill one table in different ways.
pub(super) fn targets<'a>(
    context: &'a Context,
    pipelines: &[&'a Pipeline],
) -> Result<Vec<Target<'a>>, EngineError> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    for pipeline in pipelines {
        for input in &pipeline.inputs {
            let Some(target) = target(context, pipeline, input)? else { continue };
            match targets.iter_mut().find(|known| known.name == target.name) {
                None => targets.push(target),
                Some(known) if known.is_filled_as(&target) => known.pipelines.extend(target.pipelines),
                Some(known) => {
                    let of = |target: &Target<'_>| target.pipelines.first().map(ToString::to_string);
                    return Err(EngineError::TwoLoads {
                        table: known.name.clone(),
                        first: of(known).unwrap_or_default(),
                        second: of(&target).unwrap_or_default(),
                    });
                }
            }
        }
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(targets)
}

fn target<'a>(
    context: &'a Context,
    pipeline: &Pipeline,
    input: &'a InputDecl,
) -> Result<Option<Target<'a>>, EngineError> {
    let (Some(load), Some(from), Some(to)) = (&input.load, &input.legacy, &input.new) else {
        return Ok(None);
    };
    let source = |name: &str| context.project.settings.source.get(name);
    // The plan was checked: the sources are declared, and the new place is a folder.
    let (Some(from_source), Some(to_source)) = (source(&from.source), source(&to.source)) else {
        return Ok(None);
    };
    let Some(layout) = Layout::of(to.place()) else { return Ok(None) };
    Ok(Some(Target {
        pipelines: vec![pipeline.id.clone()],
        input,
        load,
        from,
        from_source,
        to_source,
        name: format!("{}:{}", to.source, layout.root),
        layout,
        zone: time_zone(&pipeline.result.period.time_zone)?,
    }))
}

impl Target<'_> {
    /// The legacy place, as it is kept with the copy.
    pub(super) fn origin(&self) -> String {
        format!("{}:{}", self.from.source, self.from.place())
    }

    fn is_filled_as(&self, other: &Target<'_>) -> bool {
        let (a, b) = (self.input, other.input);
        let same_zone = self.layout.unit.is_none() || self.zone == other.zone;
        (&a.legacy, &a.new, &a.load, &a.key, &a.time, &a.shape)
            == (&b.legacy, &b.new, &b.load, &b.key, &b.time, &b.shape)
            && same_zone
    }
}
