//! A night on which nothing changed: the verdicts of an earlier night are carried over to a run of its own, without
//! reading inputs, calculating or comparing.
//!
//! Whether something changed is told from the listing of the input files, and from a key over everything else that a
//! report depends on. Any doubt is answered by the usual way.

use std::sync::Arc;

use dualrun_core::{
    ChangeId, Outcome, PeriodUnit, RunId,
    input::Side,
    load::LoadReport,
    run::{RunReport, UnchangedSince},
};
use dualrun_explain::Declared;
use dualrun_mapping::plan::{Change, Engine, Pipeline};
use dualrun_state::records::{RunFilter, RunRecord};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    calculate::hex,
    context::Context,
    error::EngineError,
    evidence::{Evidence, FileEntry, Known, Manifest, ResultEntry},
    inputs::VERSION,
    progress::{Progress, Step},
    record::{coverage, identify, record},
    replays::{self, REUSED},
    reviews,
    run::{RunAnswer, RunRequest, Standing, run_key, standing},
    surroundings::{self, Moved},
};

/// So many runs of a period are looked at, the newest first. It is nearly always the newest, and a record is large;
/// where attempts or runs of other files came after it, more are worth it. Beyond that there is the usual way.
const LOOKED_AT: [u32; 2] = [1, 8];

/// How the note begins that names the night whose verdicts stand.
const NOTE: &str = "nothing changed since the night of ";

/// The files of an assessment and of the two results stand in every run's own folder. Replays stay where they are, as
/// they do wherever results are used again.
const COPIED: [&str; 4] = ["legacy.parquet", "new.parquet", "differences.parquet", "customers.parquet"];

/// Words of SQL whose answer is another one each time: the clock and chance.
const VOLATILE: [&str; 10] = [
    "now",
    "today",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "random",
    "rand",
    "uuid",
];

/// An earlier run on the same input files.
pub(crate) struct Earlier {
    run: RunRecord,
    manifest: Manifest,
    known: Known,
}

/// The newest final run of the same pipeline, period and environment, where it stood on the same input files.
///
/// # Errors
/// A store that is away.
pub(crate) async fn earlier(
    context: &Context,
    request: &RunRequest,
    evidence: &Evidence,
    inputs: &str,
) -> Result<Option<Earlier>, EngineError> {
    for limit in LOOKED_AT {
        let filter = RunFilter {
            pipeline: Some(request.pipeline.clone()),
            environment: Some(context.environment.clone()),
            period: Some(request.period),
            limit: Some(limit),
            ..Default::default()
        };
        let runs = context.state.runs(&filter).await?.into_iter();
        let runs = runs.filter(|run| run.outcome.is_final() && run.as_of <= request.as_of);
        let Some(run) = runs.max_by_key(|run| (run.as_of, run.recorded_at)) else { continue };
        let manifest = match evidence.manifest(&run.evidence).await {
            Ok(manifest) => manifest,
            Err(EngineError::EvidenceBroken { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(manifest) = manifest else { continue };
        if let Some(known) = manifest.known.clone().filter(|known| known.inputs == inputs) {
            return Ok(Some(Earlier { run, manifest, known }));
        }
    }
    Ok(None)
}

/// The answer that an earlier run on the same input files allows: what is recorded for the same run key, or a run of
/// its own for this night with the verdicts of the earlier one. `None` where the usual way has to be gone.
///
/// # Errors
/// A store that is away, or evidence that a decision cannot be applied to.
#[expect(clippy::too_many_arguments, reason = "an answer stands on everything that a run stands on")]
pub(crate) async fn answer(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &RunRequest,
    changes: &[&Change],
    evidence: &Evidence,
    earlier: Earlier,
    load: Option<&LoadReport>,
    progress: &dyn Progress,
) -> Result<Option<RunAnswer>, EngineError> {
    let fence = &earlier.known.fence;
    // Results that already stand somewhere have versions of their own. Where they cannot be told, the usual way says why.
    let Ok(versions) = replays::versions(context, pipeline, request.period, changes, &Arc::default()).await
    else {
        return Ok(None);
    };
    let key = run_key(context, pipeline, request, &fence.fingerprints, changes, &versions);
    match standing(context, pipeline, request, evidence, &key, fence).await? {
        Standing::Answered(answer) => return Ok(Some(*answer)),
        Standing::WithoutEvidence(_) => return Ok(None),
        Standing::New => {}
    }
    let declared = reviews::declared(context, pipeline, changes, request.as_of).await?;
    let moved = surroundings::moved_this_month(context, pipeline, request.period).await?;
    let now = content(context, pipeline, request, &fence.fingerprints, changes, &versions, &declared, &moved);
    if now.is_none() || now != earlier.known.content || !can_stand(&earlier.run.report) {
        return Ok(None);
    }
    if !evidence.is_whole(&earlier.run.evidence, &earlier.manifest).await? {
        return Ok(None);
    }
    progress.step(&pipeline.id, &request.period.to_string(), Step::Record);
    match carry_over(context, pipeline, request, evidence, &key, &earlier, load).await {
        // It was cleared away meanwhile.
        Err(EngineError::Evidence { source: object_store::Error::NotFound { .. }, .. }) => Ok(None),
        run => Ok(Some(RunAnswer::of(run?.report, false))),
    }
}

/// SHA-256 (hex) over everything that a report depends on, beside its night and its id. `None` where a check or the
/// condition of a promise asks the clock or chance.
#[expect(clippy::too_many_arguments, reason = "a report depends on all of it")]
pub(crate) fn content(
    context: &Context,
    pipeline: &Pipeline,
    request: &RunRequest,
    fingerprints: &[String; 2],
    changes: &[&Change],
    versions: &[String],
    declared: &[Declared],
    moved: &Moved,
) -> Option<String> {
    let checks = pipeline.checks.iter().map(|check| &check.sql);
    let conditions = changes.iter().flat_map(|change| &change.expectations).map(|e| &e.condition);
    if checks.chain(conditions).any(|sql| is_volatile(sql)) {
        return None;
    }
    // Nobody knows what a server answers before it is asked.
    let asks_a_server =
        |side| matches!(pipeline.calculation(side).engine, Engine::Postgres(_) | Engine::Mongodb(_));
    if Side::BOTH.into_iter().any(asks_a_server) {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(VERSION);
    // The run key of one fixed night: inputs, mapping, calculations, switches and the files of the changes.
    let fixed = RunRequest { as_of: request.period.start(), ..request.clone() };
    add(&run_key(context, pipeline, &fixed, fingerprints, changes, versions));
    add(if request.split || request.period.unit() == PeriodUnit::Month { "split" } else { "verdicts" });
    let statuses: Vec<(&ChangeId, &str)> = declared.iter().map(|d| (&d.id, d.status.as_str())).collect();
    add(&statuses.len().to_string());
    for (id, status) in statuses {
        add(id.as_str());
        add(status);
    }
    for cells in moved {
        add(&cells.len().to_string());
        for (change, column) in cells {
            add(change);
            add(column);
        }
    }
    Some(hex(&hash.finalize()))
}

/// Takes back what a report says of an earlier night: its verdicts are its own now.
pub(crate) fn forget(report: &mut RunReport) {
    report.unchanged_since = None;
    report.notes.retain(|note| !note.starts_with(NOTE));
}

/// Whether the verdicts of a report need no second look. What is unexplained is looked at every night, also because
/// other nights help to name it; a split over a sample of the subsets is drawn for each run anew.
fn can_stand(report: &RunReport) -> bool {
    matches!(report.outcome, Outcome::Agrees | Outcome::ReviewPending)
        && report.findings.is_empty()
        && report.checks.iter().all(|check| check.passed)
        && report.bridge.iter().all(|entry| entry.standard_error.is_none())
}

/// Makes the run: evidence copied within the store, its own report, the manifest last, then the record.
async fn carry_over(
    context: &Context,
    pipeline: &Pipeline,
    request: &RunRequest,
    evidence: &Evidence,
    key: &str,
    earlier: &Earlier,
    load: Option<&LoadReport>,
) -> Result<RunRecord, EngineError> {
    evidence.sweep(&pipeline.id, request.period, request.as_of).await?;
    let run_id = RunId(Uuid::now_v7());
    let folder = Evidence::run_folder(&pipeline.id, request.period, request.as_of, run_id);
    let from = &earlier.run.evidence;
    let copied = |name: &str| COPIED.contains(&name);
    let mut files: Vec<FileEntry> = Vec::with_capacity(COPIED.len() + 1);
    for file in earlier.manifest.files.iter().filter(|file| copied(&file.name)) {
        evidence.copy(&format!("{from}/{}", file.name), &format!("{folder}/{}", file.name)).await?;
        files.push(file.clone());
    }
    let moved_along = |entry: &ResultEntry| {
        let own = entry.path.rsplit_once('/').filter(|(of, name)| of == from && copied(name));
        own.map_or_else(|| entry.path.clone(), |(_, name)| format!("{folder}/{name}"))
    };
    let results = earlier.manifest.results.iter();
    let results = results.map(|entry| ResultEntry { path: moved_along(entry), ..entry.clone() }).collect();

    let mut report = earlier.run.report.clone();
    identify(&mut report, context, request, run_id, key);
    report.load = load.cloned();
    report.customers_path = Some(format!("{folder}/customers.parquet"));
    report.differences.path = Some(format!("{folder}/differences.parquet"));
    let since = report.unchanged_since.take().unwrap_or_else(|| UnchangedSince {
        as_of: earlier.run.as_of.to_string(),
        run_id: earlier.run.id.to_string(),
    });
    forget(&mut report);
    report.notes.retain(|note| !note.ends_with(REUSED));
    report.notes.push(format!("{NOTE}{} (run {}), whose verdicts stand", since.as_of, since.run_id));
    report.unchanged_since = Some(since);
    files.push(evidence.write_json(&format!("{folder}/run.json"), &report).await?);

    let manifest = Manifest { run_id, run_key: key.to_owned(), files, results, ..earlier.manifest.clone() };
    evidence.write_json(&format!("{folder}/manifest.json"), &manifest).await?;
    let customers = coverage(&earlier.known.fence, &report);
    let record = record(context, pipeline, request, run_id, key.to_owned(), folder, report, customers);
    context.state.record_run(&record).await?;
    Ok(record)
}

/// Whether a piece of SQL has a word that asks the clock or chance. A column of that name only costs the usual way.
fn is_volatile(sql: &str) -> bool {
    let is_sign = |c: char| !(c.is_alphanumeric() || c == '_');
    sql.split(is_sign).any(|word| VOLATILE.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::is_volatile;

    #[test]
    fn the_clock_is_recognised_in_any_case_and_not_within_other_words() {
        assert!(is_volatile("select count(*) from result where day < NOW() - interval '3 days'"));
        assert!(is_volatile("day > current_date"));
        assert!(!is_volatile("known and uuid_of_meter is null and nowhere"));
    }
}
