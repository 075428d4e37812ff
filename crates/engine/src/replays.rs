//! Calculates both sides and their replays, or takes them from evidence where nothing changed.

use std::{collections::BTreeMap, sync::Arc};

use dualrun_core::{
    ChangeId, Period,
    input::Side,
    run::{CalculationConsistency, CheckReport},
};
use dualrun_explain::{Declared, Replay, ReplayPlan, verdicts};
use dualrun_mapping::plan::{Change, Pipeline};
use dualrun_sources::CutOff;
use dualrun_state::records::CalculationRecord;
use sha2::{Digest, Sha256};

use crate::{
    calculate::{Calculator, Switches, hex},
    context::Context,
    error::EngineError,
    evidence::{Evidence, FileEntry, ResultEntry},
    fence::{Fence, side_index},
    inputs::Tables,
    results::{self, SideResult},
    task::Task,
};

/// Up to so many changes on a side are split every night: 2³ = 8 replays.
const SPLIT_EVERY_NIGHT: usize = 3;

/// The key in the metadata of a stored result under which the rows outside of the period are counted.
const OUTSIDE: &str = "dualrun.rows_outside";

/// What a note says of results that were not calculated again.
pub(crate) const REUSED: &str = "results were taken from earlier evidence";

/// Which calculations a run needs.
pub fn plan(declared: &[Declared], run_key: &str, split: bool) -> ReplayPlan {
    let plan = verdicts(declared);
    let few = Side::BOTH.iter().all(|side| plan.changes_on(*side) <= SPLIT_EVERY_NIGHT);
    if split || few { plan.with_split(run_key) } else { plan }
}

/// The results of a plan, in its order.
pub struct Calculated {
    /// One entry a calculation of the plan.
    pub results: Vec<CalculatedResult>,
    /// Files written into the run's folder.
    pub files: Vec<FileEntry>,
    /// The results that were not in the state database under the same path, to be recorded once the manifest stands.
    pub calculations: Vec<CalculationRecord>,
    /// Data checks of both sides.
    pub checks: Vec<CheckReport>,
    /// What was noticed.
    pub notes: Vec<String>,
    /// The states of servers that calculations saw.
    pub consistency: Vec<CalculationConsistency>,
}

impl Calculated {
    /// Whether neither the legacy nor the new result has a row.
    pub fn is_empty(&self, plan: &ReplayPlan) -> bool {
        let empty = |part: usize| self.results.get(part).is_none_or(|result| result.rows.rows() == 0);
        empty(plan.parts.legacy) && empty(plan.parts.new)
    }
}

/// One result.
pub struct CalculatedResult {
    /// Side and changes that were on.
    pub replay: Replay,
    /// Its rows.
    pub rows: Arc<SideResult>,
    /// Where it stands.
    pub entry: ResultEntry,
}

/// Everything that one side needs to calculate on its own task.
struct SideJob {
    context: Arc<Context>,
    pipeline: Pipeline,
    side: Side,
    period: Period,
    calculator: Calculator,
    /// Position in the plan, the replay, its switches, and the file name in the run's folder.
    wanted: Vec<(usize, Replay, Switches, String)>,
    identity: String,
    evidence: Evidence,
    folder: String,
}

#[derive(Default)]
struct SideDone {
    results: Vec<(usize, CalculatedResult)>,
    files: Vec<FileEntry>,
    calculations: Vec<CalculationRecord>,
    outside: u64,
    reused: u64,
    notes: Vec<String>,
    consistency: Option<CalculationConsistency>,
}

/// Calculates a plan: both sides at once, the replays of a side one after the other on shared models.
///
/// # Errors
/// A model that fails, a result that does not align, or a store that refuses.
#[expect(clippy::too_many_arguments, reason = "the calculation stands on everything that came before it")]
pub async fn calculate(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    period: Period,
    tables: [Tables; 2],
    cut: &Arc<CutOff>,
    fence: &Fence,
    plan: &ReplayPlan,
    changes: &[&Change],
    evidence: &Evidence,
    folder: &str,
) -> Result<Calculated, EngineError> {
    let all = context.project.changes_of(&pipeline.id);
    let mut tasks = Vec::new();
    for (side, tables) in Side::BOTH.into_iter().zip(tables) {
        let calculator =
            Calculator::new(&context.runtime, pipeline, side, period, tables)?.with_cut(Arc::clone(cut));
        let mut wanted = Vec::new();
        for (position, replay) in plan.calculations.iter().enumerate().filter(|(_, r)| r.side == side) {
            debug_assert!(replay.on.iter().all(|id| changes.iter().any(|c| &c.id == id)));
            let switches = pipeline.switch_values(&all, &|id| replay.on.contains(id), side);
            let name = match (position, side) {
                (p, _) if p == plan.parts.legacy => "legacy.parquet".to_owned(),
                (p, _) if p == plan.parts.new => "new.parquet".to_owned(),
                (p, side) => format!("replay-{side}-{p:02}.parquet"),
            };
            wanted.push((position, replay.clone(), switches, name));
        }
        let job = SideJob {
            context: Arc::clone(context),
            pipeline: pipeline.clone(),
            side,
            period,
            calculator,
            wanted,
            identity: format!(
                "{}\0{}\0{side}\0{period}\0{}\0{}",
                context.environment,
                pipeline.id,
                fence.fingerprints[side_index(side)],
                pipeline.mapping_hash
            ),
            evidence: evidence.clone(),
            folder: folder.to_owned(),
        };
        tasks.push(Task::spawn(job.run()));
    }
    let mut results = Vec::new();
    let (mut files, mut calculations, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut consistency = Vec::new();
    for (side, task) in Side::BOTH.into_iter().zip(tasks) {
        let done = task.await.map_err(|_| EngineError::Cancelled)??;
        results.extend(done.results);
        files.extend(done.files);
        calculations.extend(done.calculations);
        notes.extend(done.notes);
        consistency.extend(done.consistency);
        if done.outside > 0 {
            notes.push(format!("{} {side} rows lie outside of the period and were left out", done.outside));
        }
        if done.reused > 0 {
            notes.push(format!("{} {side} {REUSED}", done.reused));
        }
    }
    results.sort_by_key(|(position, _)| *position);
    let results: Vec<CalculatedResult> = results.into_iter().map(|(_, result)| result).collect();
    let mut checks = Vec::new();
    for (side, part) in [(Side::Legacy, plan.parts.legacy), (Side::New, plan.parts.new)] {
        if let Some(result) = results.get(part) {
            checks.extend(results::check(&context.runtime, &pipeline.checks, side, &result.rows).await?);
        }
    }
    Ok(Calculated { results, files, calculations, checks, notes, consistency })
}

/// What tells the states of results that already stand somewhere, with all changes on and with none; empty where both
/// sides are calculated. They are part of the run key: other results are another run.
///
/// # Errors
/// Results that are not there.
pub async fn versions(
    context: &Context,
    pipeline: &Pipeline,
    period: Period,
    changes: &[&Change],
    cut: &Arc<CutOff>,
) -> Result<Vec<String>, EngineError> {
    let all = context.project.changes_of(&pipeline.id);
    let mut versions = Vec::new();
    for side in Side::BOTH {
        let calculator = Calculator::new(&context.runtime, pipeline, side, period, Tables::new())?
            .with_cut(Arc::clone(cut));
        for on in [true, false] {
            let in_force = |id: &ChangeId| on && changes.iter().any(|c| &c.id == id);
            let switches = pipeline.switch_values(&all, &in_force, side);
            versions.extend(calculator.version(&switches).await?);
        }
    }
    Ok(versions)
}

impl SideJob {
    async fn run(self) -> Result<SideDone, EngineError> {
        let mut done = SideDone::default();
        // Replays whose switches do not reach the result are the same result.
        let mut known: BTreeMap<String, (Arc<SideResult>, ResultEntry)> = BTreeMap::new();
        let share = self.wanted.len() > 1;
        for (position, replay, switches, name) in &self.wanted {
            let key = self.key(switches);
            let path = format!("{}/{name}", self.folder);
            let named = matches!(name.as_str(), "legacy.parquet" | "new.parquet");
            let (rows, mut entry) = match known.get(&key) {
                Some((rows, entry)) if !named => (Arc::clone(rows), entry.clone()),
                Some((rows, _)) => {
                    let rows = Arc::clone(rows);
                    let entry = self.store(&rows, &path, &mut done).await?;
                    (rows, entry)
                }
                None => match self.reuse(&key, named.then_some(path.as_str()), &mut done).await? {
                    Some(found) => found,
                    None => {
                        let (schema, batches) = self.calculator.calculate(switches, share).await?;
                        let runtime = &self.context.runtime;
                        let rows =
                            results::finish(runtime, &self.pipeline, self.side, self.period, schema, batches)
                                .await?;
                        let rows = Arc::new(rows);
                        let entry = self.store(&rows, &path, &mut done).await?;
                        (rows, entry)
                    }
                },
            };
            if named {
                done.outside = rows.outside;
            }
            entry.on = replay.on.iter().map(ToString::to_string).collect();
            let first = known.insert(key.clone(), (Arc::clone(&rows), entry.clone())).is_none();
            if first && !self.calculator.may_change_unseen() {
                let record = CalculationRecord {
                    key,
                    pipeline: self.pipeline.id.clone(),
                    side: self.side,
                    path: entry.path.clone(),
                    rows: entry.rows,
                    hash: entry.sha256.clone(),
                };
                done.calculations.push(record);
            }
            done.results.push((*position, CalculatedResult { replay: replay.clone(), rows, entry }));
        }
        done.notes = self.calculator.notes();
        done.consistency = self.calculator.consistency();
        Ok(done)
    }

    /// What makes a result: everything that its rows depend on.
    fn key(&self, switches: &Switches) -> String {
        let mut hash = Sha256::new();
        hash.update(self.identity.as_bytes());
        hash.update(self.calculator.key(switches).as_bytes());
        hex(&hash.finalize())
    }

    async fn store(
        &self,
        rows: &SideResult,
        path: &str,
        done: &mut SideDone,
    ) -> Result<ResultEntry, EngineError> {
        let mut metadata = rows.schema.metadata().clone();
        metadata.insert(OUTSIDE.to_owned(), rows.outside.to_string());
        let schema = Arc::new(rows.schema.as_ref().clone().with_metadata(metadata));
        let file = self.evidence.write_parquet(path, &schema, &rows.batches).await?;
        let entry = ResultEntry {
            side: self.side,
            on: Vec::new(),
            path: path.to_owned(),
            rows: rows.rows(),
            sha256: file.sha256.clone(),
        };
        done.files.push(file);
        Ok(entry)
    }

    /// A result of an earlier run. Files that are gone or changed are calculated again.
    async fn reuse(
        &self,
        key: &str,
        copy_to: Option<&str>,
        done: &mut SideDone,
    ) -> Result<Option<(Arc<SideResult>, ResultEntry)>, EngineError> {
        if self.calculator.may_change_unseen() {
            // What is there now counts, not what was there in an earlier run.
            return Ok(None);
        }
        let Some(record) = self.context.state.calculation(key).await? else { return Ok(None) };
        let read = self.evidence.read_parquet(&record.path, Some(&record.hash)).await;
        let (schema, batches) = match read {
            Ok(read) => read,
            Err(
                EngineError::EvidenceBroken { .. }
                | EngineError::Evidence { source: object_store::Error::NotFound { .. }, .. },
            ) => {
                self.context.state.forget_calculation(key).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut path = record.path.clone();
        if let Some(to) = copy_to {
            self.evidence.copy(&record.path, to).await?;
            path = to.to_owned();
            let bytes = self.evidence.size(to).await?;
            let name = to.rsplit('/').next().unwrap_or(to).to_owned();
            done.files.push(FileEntry { name, bytes, sha256: record.hash.clone() });
        }
        done.reused += 1;
        let outside = schema.metadata().get(OUTSIDE).and_then(|n| n.parse().ok()).unwrap_or(0);
        let rows = Arc::new(SideResult { schema, batches, outside });
        let entry =
            ResultEntry { side: self.side, on: Vec::new(), path, rows: record.rows, sha256: record.hash };
        Ok(Some((rows, entry)))
    }
}
