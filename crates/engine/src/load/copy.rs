//! The copy of one input.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use arrow::{
    array::{RecordBatch, UInt32Array},
    compute::{filter_record_batch, take_record_batch},
};
use dualrun_core::{
    ExitCode, Period, PeriodUnit,
    load::{InputLoad, LoadMode, LoadOutcome, LoadedRows, Mark, Watermark},
};
use dualrun_lake::{LakeError, Merged, Rules, Spool, Stamp, Writer, merge, moved};
use dualrun_sources::{
    CutOff, DaysOf, ReadReport, Since,
    commits::{Commit, LoadState, Partition},
};
use futures::TryStreamExt;
use jiff::{Timestamp, civil::Date};
use uuid::Uuid;

use super::{
    LoadRequest, State, failure,
    target::Target,
    watermark::{Marks, days},
};
use crate::{
    context::{Context, InputRequest},
    error::EngineError,
    inputs,
    progress::Progress,
};

/// What became of one input.
pub(super) struct Copied {
    pub(super) report: InputLoad,
    /// The commit that readers see now; none where the table has none.
    pub(super) commit: Option<u64>,
    /// Why it failed.
    pub(super) error: Option<EngineError>,
}

/// Copies one input. Whatever happens to it stands in the answer.
pub(super) async fn copy(
    context: &Arc<Context>,
    target: &Target<'_>,
    request: &LoadRequest,
    state: &State,
    progress: &dyn Progress,
) -> Copied {
    let mut report = InputLoad {
        pipelines: target.pipelines.clone(),
        input: target.input.name.clone(),
        table: target.name.clone(),
        outcome: LoadOutcome::Failed,
        exit_code: ExitCode::Agree,
        mode: LoadMode::Full,
        rows: LoadedRows::default(),
        deletions_looked_for: false,
        partitions: Vec::new(),
        periods: Vec::new(),
        watermark: None,
        cut_off: None,
        consistency: None,
        state: None,
        same_state: None,
        commit: None,
        notes: Vec::new(),
        failure: None,
    };
    let (mut commit, mut failed) = (None, None);
    let done = attempt(context, target, request, state, progress, &mut report, &mut commit).await;
    (report.outcome, report.exit_code) = match done {
        Ok(LoadOutcome::Loaded) => (LoadOutcome::Loaded, ExitCode::Agree),
        Ok(outcome) => (outcome, ExitCode::Nothing),
        Err(error) if error.is_lost() => {
            report.notes.push(error.chain());
            (LoadOutcome::Held, ExitCode::Nothing)
        }
        Err(error) => {
            report.failure = Some(failure(context, &error));
            let code = error.exit_code();
            failed = Some(error);
            (LoadOutcome::Failed, code)
        }
    };
    if report.outcome != LoadOutcome::Loaded {
        report.partitions.clear();
        report.periods.clear();
    }
    Copied { report, commit, error: failed }
}

async fn attempt(
    context: &Arc<Context>,
    target: &Target<'_>,
    request: &LoadRequest,
    state: &State,
    progress: &dyn Progress,
    report: &mut InputLoad,
    visible: &mut Option<u64>,
) -> Result<LoadOutcome, EngineError> {
    let Some(_lock) = context.state.try_lock(&format!("load-{}", target.name)).await? else {
        report.notes.push("another process loads this table".to_owned());
        return Ok(LoadOutcome::Held);
    };
    let failed = |source: LakeError| EngineError::lake(&target.name, source);
    let place = context.inputs.location(target.to_source).map_err(|source| failed(source.into()))?;
    let stamp = Stamp { loaded_at: context.clock.now(), batch: Uuid::now_v7().to_string() };
    let mut writer = Writer::open(place.below(&target.layout.root), stamp).await.map_err(failed)?;
    *visible = writer.base().map(|base| base.number);
    let before = writer.base().and_then(|base| base.load.as_ref());
    if state.of_a_run && before.is_some_and(|load| load.cut_off > state.at) {
        // Rows of an older state would take the place of newer ones.
        writer.abandon().await;
        report.notes.push("another process copied a later state of it".to_owned());
        return Ok(LoadOutcome::Held);
    }
    let others = match writer.base() {
        Some(_) => Vec::new(),
        None => writer.of_others().await.map_err(failed)?,
    };
    let plan = Plan::new(target, writer.base(), request)?;
    report.mode = plan.mode;
    report.deletions_looked_for = plan.mode != LoadMode::Incremental;
    report.notes.extend(plan.note.clone());
    let copied = Copy { context, target, plan: &plan, state, progress }.run(&mut writer, report).await;
    let load = match copied {
        Ok(load) => load,
        Err(error) => {
            writer.abandon().await;
            return Err(error);
        }
    };
    let base_rows = writer.base().map_or(0, Commit::rows);
    if report.partitions.is_empty() {
        report.rows.total = base_rows;
        return Ok(LoadOutcome::NothingNew);
    }
    report.rows.total = load.rows.total;
    let (commit, left) = writer.commit(Some(load)).await.map_err(failed)?;
    report.commit = Some(commit.number);
    *visible = report.commit;
    report.notes.extend(note_others(&others));
    match left {
        0 => {}
        1 => report.notes.push(
            "1 file that is no longer part of the table could not be deleted; other readers may still see it"
                .to_owned(),
        ),
        _ => report.notes.push(format!(
            "{left} files that are no longer part of the table could not be deleted; other readers may still see them"
        )),
    }
    Ok(LoadOutcome::Loaded)
}

/// Files that stood there before dualrun wrote: the first commit does not name them.
fn note_others(others: &[String]) -> Option<String> {
    let first = others.first()?;
    Some(match others.len() {
        1 => format!("1 file that stood there before is no longer read as part of the table: {first}"),
        n => format!(
            "{n} files that stood there before are no longer read as part of the table, for example {first}"
        ),
    })
}

/// What is read, and what it replaces.
pub(super) struct Plan {
    pub(super) mode: LoadMode,
    pub(super) since: Option<Since>,
    /// The days that are read whole, the first and the one after the last.
    days: Option<(Date, Date)>,
    /// Whether the legacy files lie by day, so that no load reads all of them.
    by_day: bool,
    /// The watermark that all is loaded up to.
    pub(super) before: Option<Mark>,
    pub(super) note: Option<String>,
}

impl Plan {
    pub(super) fn new(
        target: &Target<'_>,
        base: Option<&Commit>,
        request: &LoadRequest,
    ) -> Result<Self, EngineError> {
        let state = base.and_then(|base| base.load.as_ref());
        let before = state.and_then(|s| s.watermark.as_ref()).and_then(|w| w.to);
        let origin = format!("{}/{}", target.from_source.url, target.from.place());
        let daily = origin.contains("{day}");
        let by_day = daily || origin.contains("{month}");
        let wanted = match request.period {
            None if by_day => Some(Period::day(request.yesterday)),
            period => period,
        };
        if let Some(period) = wanted {
            let not_by_day = || EngineError::NotByDay { table: target.name.clone() };
            let unit = target.layout.unit.ok_or_else(not_by_day)?;
            if daily && unit == PeriodUnit::Month {
                // The files of some days of a month say nothing of its other days.
                return Err(not_by_day());
            }
            // Whole partitions are replaced.
            let first = Period::containing(period.start(), unit).start();
            let last = period.end()?.yesterday().unwrap_or(first);
            let end = Period::containing(last, unit).end()?;
            let days = Some((first, end));
            return Ok(Self { mode: LoadMode::Period, since: None, days, by_day, before, note: None });
        }
        let full = |note: Option<String>| Self {
            mode: LoadMode::Full,
            since: None,
            days: None,
            by_day,
            before: None,
            note,
        };
        let Some(column) = &target.load.watermark else { return Ok(full(None)) };
        let Some(state) = state.filter(|_| !request.full) else { return Ok(full(None)) };
        if state.from != target.origin() {
            return Ok(full(Some(format!("it was copied from {} before: everything is read", state.from))));
        }
        let same_column = state.watermark.as_ref().is_some_and(|w| &w.column == column);
        let Some(mark) = before.filter(|_| same_column) else { return Ok(full(None)) };
        let Some(from) = mark.minus(target.load.overlap) else {
            return Err(EngineError::Overlap { table: target.name.clone() });
        };
        let since = Some(Since { column: column.clone(), mark: from });
        Ok(Self { mode: LoadMode::Incremental, since, days: None, by_day, before, note: None })
    }

    /// What is asked of the source, beside what was written since.
    pub(super) fn asked<'a>(&self, target: &Target<'a>, cut: &'a CutOff) -> InputRequest<'a> {
        let days: Vec<Date> = match self.days {
            Some((first, end)) => first.series(jiff::ToSpan::days(1)).take_while(|day| *day < end).collect(),
            None => vec![Date::ZERO],
        };
        let wanted = match (self.days, &target.input.time) {
            (Some((first, end)), Some(column)) => Some(DaysOf { column: column.clone(), first, end }),
            _ => None,
        };
        InputRequest {
            source: target.from_source,
            places: inputs::expand(&target.from_source.url, target.from.place(), &days),
            shape: &target.input.shape,
            days: wanted,
            cut,
        }
    }

    /// Whether all rows of a partition are read, so that those that are not among them go.
    pub(super) fn replaces(&self, period: Option<Period>) -> bool {
        match (self.mode, self.days) {
            (LoadMode::Full, _) => true,
            (LoadMode::Period, Some((first, end))) => {
                period.is_some_and(|p| first <= p.start() && p.start() < end)
            }
            _ => false,
        }
    }

    /// The days that are read whole; none where everything is, or what changed.
    pub(super) fn days(&self) -> Option<(Date, Date)> {
        self.days
    }
}

struct Copy<'a, 'b> {
    context: &'a Arc<Context>,
    target: &'a Target<'b>,
    plan: &'a Plan,
    state: &'a State,
    progress: &'a dyn Progress,
}

impl Copy<'_, '_> {
    /// Reads the source, and writes the partitions that it reaches.
    async fn run(&self, writer: &mut Writer, report: &mut InputLoad) -> Result<LoadState, EngineError> {
        let cut_off = self.state.at;
        report.cut_off = Some(cut_off);
        let (spool, read, largest) = self.read(report).await?;
        report.consistency = read.consistency.as_ref().map(|seen| seen.detail.clone());
        report.state.clone_from(&read.consistency);
        report.notes.extend(read.misfits.iter().map(|m| {
            format!(
                "{} values of {} are {} instead of {} and became null",
                m.count, m.field, m.found, m.expected
            )
        }));
        if let Some(first) = read.missing_files.first() {
            let more = match read.missing_files.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} others"),
            };
            report.notes.push(format!("the source has no {first}{more}"));
        }
        report.watermark = self.watermark(largest, cut_off);
        let replaced = writer.partitions().values().filter(|p| self.plan.replaces(p.period));
        let rows: u64 = replaced.map(Partition::rows).sum();
        // Days of which there is no file are not days without a row.
        let nothing_there = self.plan.mode == LoadMode::Full || !read.missing_files.is_empty();
        if report.rows.read == 0 && rows > 0 && nothing_there {
            return Err(EngineError::EmptySource { table: self.target.name.clone(), rows });
        }
        self.partitions(writer, &spool, read.missing_files.is_empty(), report)
            .await
            .map_err(|source| self.failed(source))?;
        let mut rows = report.rows;
        rows.total = writer.partitions().values().map(Partition::rows).sum();
        Ok(LoadState {
            from: self.target.origin(),
            mode: self.plan.mode,
            watermark: report.watermark.clone(),
            cut_off,
            consistency: report.consistency.clone(),
            rows,
        })
    }

    /// Rows by partition, what is said of the reading, and the largest watermark.
    async fn read(&self, report: &mut InputLoad) -> Result<(Spool, ReadReport, Option<Mark>), EngineError> {
        let (target, plan) = (self.target, self.plan);
        let input = |source| EngineError::Input {
            input: target.input.name.clone(),
            side: dualrun_core::input::Side::Legacy,
            source,
        };
        let asked = plan.asked(target, &self.state.cut);
        let mut rows = self.context.inputs.changes(&asked, plan.since.clone()).await.map_err(input)?;
        let mut spool = Spool::new(self.context.runtime.scratch(), rows.schema());
        let mut largest: Option<Mark> = None;
        while let Some(batch) = rows.try_next().await.map_err(input)? {
            let batch = self.wanted(&batch, &mut largest).map_err(input)?;
            report.rows.read += batch.num_rows() as u64;
            self.split(&batch, &mut spool)?;
            self.progress.load(&target.name, report.rows.read);
        }
        Ok((spool, rows.report(), largest))
    }

    /// The rows that are not below the watermark. A source may give more.
    fn wanted(
        &self,
        batch: &RecordBatch,
        largest: &mut Option<Mark>,
    ) -> Result<RecordBatch, dualrun_sources::SourceError> {
        let Some(column) = &self.target.load.watermark else { return Ok(batch.clone()) };
        let marks = Marks::of(batch, column)?;
        *largest = match (*largest, marks.max()) {
            (Some(known), Some(mark)) => known.max(mark),
            (known, mark) => known.or(mark),
        };
        match &self.plan.since {
            Some(since) => Ok(filter_record_batch(batch, &marks.since(since.mark)?)?),
            None => Ok(batch.clone()),
        }
    }

    /// Puts rows to those of their partition.
    fn split(&self, batch: &RecordBatch, spool: &mut Spool) -> Result<(), EngineError> {
        let target = self.target;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (Some(_), Some(column)) = (target.layout.unit, &target.input.time) else {
            return spool.push(None, batch.clone()).map_err(|source| self.failed(source));
        };
        let days = days(batch, column, &target.zone).map_err(|source| self.failed(source.into()))?;
        let mut parts: BTreeMap<Option<Period>, Vec<u32>> = BTreeMap::new();
        for (row, day) in (0..).zip(days) {
            let within = |(first, end): (Date, Date)| day.is_some_and(|day| first <= day && day < end);
            if self.plan.days.is_none_or(within) {
                parts.entry(day.and_then(|day| target.layout.period(day))).or_default().push(row);
            }
        }
        for (partition, rows) in parts {
            let whole = rows.len() == batch.num_rows();
            let part = match whole {
                true => batch.clone(),
                false => take_record_batch(batch, &UInt32Array::from(rows))
                    .map_err(|error| self.failed(error.into()))?,
            };
            spool.push(partition, part).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn watermark(&self, largest: Option<Mark>, cut_off: Timestamp) -> Option<Watermark> {
        let column = self.target.load.watermark.clone()?;
        let from = self.plan.since.as_ref().map(|since| since.mark);
        let seen = largest.map(|mark| mark.no_later_than(cut_off));
        let to = match (self.plan.mode, self.plan.before, seen) {
            // Some days say nothing of what was written elsewhere.
            (LoadMode::Period, before, _) => before,
            (_, Some(before), Some(seen)) => before.max(seen),
            (_, before, seen) => seen.or(before),
        };
        Some(Watermark { column, from, to })
    }

    /// Writes what changed, partition by partition.
    async fn partitions(
        &self,
        writer: &mut Writer,
        spool: &Spool,
        all_there: bool,
        report: &mut InputLoad,
    ) -> Result<(), LakeError> {
        let layout = &self.target.layout;
        let key = self.target.load.watermark.is_some().then_some(self.target.input.key.as_slice());
        // A day without a file is not a day without a row.
        let replaced =
            |period| self.plan.replaces(period) && (all_there || spool.partition(period).is_some());
        // What is replaced whole does not need the files that are lost.
        let lost = writer.lost(|partition| replaced(partition.period)).await?;
        match lost.len() {
            0 => {}
            1 => report.notes.push("1 file of the table was lost: its partition is written anew".to_owned()),
            n => report
                .notes
                .push(format!("{n} files of the table were lost: their partitions are written anew")),
        }
        let mut there = writer.partitions().clone();
        let mut damaged: BTreeSet<String> = BTreeSet::new();
        for (folder, partition) in &mut there {
            let before = partition.files.len();
            partition.files.retain(|file| !lost.contains(&file.path));
            if partition.files.len() < before {
                damaged.insert(folder.clone());
            }
        }
        let evicted = match (self.plan.mode, key) {
            // All partitions of a full load are looked at anyway.
            (LoadMode::Full, _) | (_, None) => BTreeMap::new(),
            (_, Some(key)) => {
                // Others who read the table want one type of a column in all files. Where a load of all cannot give it,
                // days are written as they come.
                let held = |period| !self.plan.by_day && !replaced(period);
                moved(writer.table(), &there, spool, key, layout, held).await?
            }
        };
        let mut folders: BTreeMap<String, Option<Period>> =
            spool.partitions().map(|(period, _)| (layout.folder(period), period)).collect();
        for (folder, partition) in &there {
            if replaced(partition.period) || evicted.contains_key(folder) {
                folders.insert(folder.clone(), partition.period);
            }
        }
        let nothing = HashSet::new();
        let mut periods: BTreeSet<Period> = BTreeSet::new();
        for (folder, period) in folders {
            let files = there.get(&folder).map(|p| p.files.as_slice()).unwrap_or_default();
            let rules =
                Rules { key, replace: replaced(period), evict: evicted.get(&folder).unwrap_or(&nothing) };
            let path = writer.new_file(&folder);
            let stamp = writer.stamp().clone();
            let new = spool.partition(period);
            let Merged { files, rows, touched } =
                merge(writer.table(), files, new, spool.schema(), &rules, &stamp, &path).await?;
            report.rows.added += rows.added;
            report.rows.changed += rows.changed;
            report.rows.unchanged += rows.unchanged;
            report.rows.moved += rows.moved;
            report.rows.removed += rows.removed;
            if !touched && !damaged.contains(&folder) {
                continue;
            }
            let partition = Partition { period, files, made_of: None };
            writer.replace(folder.clone(), (!partition.files.is_empty()).then_some(partition));
            report.partitions.push(folder);
            periods.extend(period);
        }
        report.periods = periods.into_iter().collect();
        Ok(())
    }

    fn failed(&self, source: LakeError) -> EngineError {
        EngineError::lake(&self.target.name, source)
    }
}
