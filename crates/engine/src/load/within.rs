//! A load within a run: the tables are copied in the very state of the servers in which the run then reads them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use dualrun_core::{
    ExitCode,
    load::{InputLoad, LoadOutcome, LoadReport},
    run::{CutKind, CutStrength},
};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::{CutOff, commits::newest_commit};
use jiff::{Timestamp, civil::Date};
use tokio::sync::OwnedMutexGuard;

use super::{LoadRequest, State, code, copy, store, target};
use crate::{context::Context, error::EngineError, inputs::Tables, progress::Progress};

/// Loads of this process that fill one table come one after the other, so that none of them takes an older state than
/// the one before.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    tables: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The tables whose turn it is, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _tables: Vec<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else fills the tables of a pipeline. Taken before the states of the servers.
    ///
    /// # Errors
    /// A time zone that nobody knows.
    pub(crate) async fn of(&self, context: &Context, pipeline: &Pipeline) -> Result<Turn, EngineError> {
        // In the order of their names: two loads never wait for each other.
        let mut names: Vec<String> =
            target::targets(context, &[pipeline])?.into_iter().map(|target| target.name).collect();
        names.push(format!("store-{}", pipeline.id));
        names.sort();
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            let table = {
                let mut known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(known.entry(name).or_default())
            };
            tables.push(table.lock_owned().await);
        }
        Ok(Turn { _tables: tables })
    }
}

/// What a run has loaded.
#[derive(Debug, Default)]
pub(crate) struct Within {
    /// The table of each input, and the commit that the load left it at.
    copies: Vec<(String, Option<u64>)>,
}

/// Copies the inputs of a pipeline that declare it, and keeps the models of its new side, all in one state of the servers
/// that was taken after `at`. `told` is given what became of them, whatever happens.
///
/// # Errors
/// [`EngineError::Held`] where another process was faster; otherwise the first load that failed.
pub(crate) async fn within(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    last_day: Date,
    (at, cut): (Timestamp, &Arc<CutOff>),
    progress: &dyn Progress,
    told: &mut Option<LoadReport>,
) -> Result<Within, EngineError> {
    let request = LoadRequest {
        pipelines: vec![pipeline.id.clone()],
        period: None,
        full: false,
        // The files of a day that the run reads.
        yesterday: last_day,
    };
    let state = State { at, cut: Arc::clone(cut), reached: true, of_a_run: true };
    let report = told.insert(LoadReport::empty(&context.environment, ExitCode::Nothing));
    let mut within = Within::default();
    for target in target::targets(context, &[pipeline])? {
        let copied = copy::copy(context, &target, &request, &state, progress).await;
        let outcome = copied.report.outcome;
        report.inputs.push(copied.report);
        report.exit_code = code(report);
        if let Some(error) = copied.error {
            return Err(EngineError::Load { what: target.name, source: Box::new(error) });
        }
        if outcome == LoadOutcome::Held {
            return Err(EngineError::Held { table: target.name });
        }
        within.copies.push((target.name, copied.commit));
    }
    let (models, error) = store::store(context, pipeline, &request, Some(cut), progress).await;
    report.models = models;
    report.exit_code = code(report);
    let stored = match error {
        Some(error) => {
            let what = format!("the models of {}", pipeline.id);
            Err(EngineError::Load { what, source: Box::new(error) })
        }
        None => Ok(()),
    };
    within.undisturbed(context, pipeline, stored).await?;
    Ok(within)
}

impl Within {
    /// What came of reading the copies, where it was what the load left: nobody has committed since. Who does so deletes
    /// the files of before, so that reading them may fail.
    ///
    /// # Errors
    /// [`EngineError::Held`] where somebody has; that of the reading; or a store that is away.
    pub(crate) async fn undisturbed<T>(
        &self,
        context: &Context,
        pipeline: &Pipeline,
        read: Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        match (read, self.overtaken(context, pipeline).await) {
            (Err(_), Err(held @ EngineError::Held { .. })) => Err(held),
            (Err(error), _) => Err(error),
            (Ok(read), overtaken) => overtaken.map(|()| read),
        }
    }

    async fn overtaken(&self, context: &Context, pipeline: &Pipeline) -> Result<(), EngineError> {
        for target in target::targets(context, &[pipeline])? {
            let Some((_, left)) = self.copies.iter().find(|(name, _)| *name == target.name) else { continue };
            let failed = |source: dualrun_sources::SourceError| EngineError::lake(&target.name, source);
            let place = context.inputs.location(target.to_source).map_err(failed)?;
            let now = newest_commit(&place.below(&target.layout.root)).await.map_err(failed)?;
            if now.map(|commit| commit.number) != *left {
                return Err(EngineError::Held { table: target.name });
            }
        }
        Ok(())
    }
}

/// Says of each copy how sure it is that the run read its source in the same state.
pub(crate) fn compare_states(report: &mut LoadReport, legacy: &Tables) {
    report.inputs.iter_mut().for_each(|copy| compare_state(copy, legacy));
}

fn compare_state(copy: &mut InputLoad, legacy: &Tables) {
    let (input, table) = (&copy.input, &copy.table);
    let read = legacy.get(input).and_then(|read| read.report.consistency.as_ref());
    let (strength, sentence) = match (&copy.state, read) {
        (Some(copied), Some(read)) => {
            let (weaker, mut strength) = match copied.strength <= read.strength {
                true => (copied, copied.strength),
                false => (read, read.strength),
            };
            if copied.cut != read.cut || (copied.cut == CutKind::Snapshot && copied.detail != read.detail) {
                strength = CutStrength::None;
            }
            let said = match strength {
                CutStrength::Snapshot => {
                    format!("{input} was copied to {table} and read by both calculations in one state")
                }
                CutStrength::Watermark | CutStrength::Count => format!(
                    "{input} was copied to {table} and read by both calculations up to one mark (strength: {})",
                    strength.as_str()
                ),
                CutStrength::None => format!(
                    "nothing vouches that {input} was copied to {table} in the state that was read afterwards"
                ),
            };
            (strength, format!("{said}: {}", weaker.detail))
        }
        _ => (
            CutStrength::None,
            format!(
                "{input} was copied to {table} and read afterwards from the same files, which nobody holds fast; \
                 the fence shows what changed in between"
            ),
        ),
    };
    copy.same_state = Some(strength);
    copy.notes.push(sentence);
}
