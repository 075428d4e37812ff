//! The rows of the new models, kept period by period.
//!
//! A period is calculated again where something that its rows depend on is another than when they were written: the
//! files of its inputs, a model, a switch, the mapping. That is told from a hash beside the rows, so that a load that
//! died between the copy and the calculation is made good by the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::compute::filter_record_batch;
use dualrun_core::{
    ChangeId, ExitCode, Period,
    input::{InputDecl, Side},
    load::{Layout, StoreDecl, StoreOutcome, StoredModel},
};
use dualrun_lake::{FileWriter, LakeError, Stamp, Writer};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::{
    CutOff,
    commits::{Commit, Partition, newest_commit},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{LoadRequest, failure};
use crate::{
    calculate::{Calculator, Switches, hex},
    context::Context,
    error::EngineError,
    inputs::{self, Look, Tables, VERSION, days_around, read_side},
    progress::{Progress, Step},
    results::within,
    run::in_force,
};

/// Keeps the models of one pipeline, where its mapping says so: from servers as `cut` fixes them, or each period from
/// what they hold then. What happens to single models stands in the answer, beside why they failed.
pub(super) async fn store(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &LoadRequest,
    cut: Option<&Arc<CutOff>>,
    progress: &dyn Progress,
) -> (Vec<StoredModel>, Option<EngineError>) {
    let Some(declared) = &pipeline.new.store else { return (Vec::new(), None) };
    let mut tables = tables(pipeline, declared);
    let done = attempt(context, pipeline, declared, &mut tables, request, cut, progress).await;
    let mut failed = None;
    if let Err(error) = done {
        let held = error.is_lost();
        // Models that were committed before the failure stand.
        for model in tables.iter_mut().filter(|m| m.report.commit.is_none()) {
            model.report.periods.clear();
            model.report.rows = 0;
            model.report.outcome = if held { StoreOutcome::Held } else { StoreOutcome::Failed };
            model.report.exit_code = if held { ExitCode::Nothing } else { error.exit_code() };
            model.report.failure = (!held).then(|| failure(context, &error));
        }
        failed = (!held).then_some(error);
    }
    (tables.into_iter().map(|table| table.report).collect(), failed)
}

/// The table of one model.
struct Table {
    layout: Layout,
    report: StoredModel,
    /// Files that are gone or cut off: their periods are calculated again.
    lost: BTreeSet<String>,
    writer: Option<Writer>,
}

/// One table a model where the path names it, else the table of the result.
fn tables(pipeline: &Pipeline, declared: &StoreDecl) -> Vec<Table> {
    let models = pipeline.new.models();
    let kept = match (declared.path.contains("{model}"), models.last()) {
        (true, _) => models,
        (false, Some(result)) => std::slice::from_ref(result),
        (false, None) => &[],
    };
    let table = |name: &String| {
        // The plan was checked: the path is that of a folder.
        let layout = Layout::of(&declared.path.replace("{model}", name))?;
        let report = StoredModel {
            pipeline: pipeline.id.clone(),
            model: name.clone(),
            table: format!("{}:{}", declared.source, layout.root),
            outcome: StoreOutcome::NothingNew,
            exit_code: ExitCode::Nothing,
            periods: Vec::new(),
            unchanged: 0,
            rows: 0,
            commit: None,
            failure: None,
        };
        Some(Table { layout, report, lost: BTreeSet::new(), writer: None })
    };
    kept.iter().filter_map(|model| table(&model.name)).collect()
}

async fn attempt(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    declared: &StoreDecl,
    tables: &mut [Table],
    request: &LoadRequest,
    cut: Option<&Arc<CutOff>>,
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    let Some(_lock) = context.state.try_lock(&format!("store-{}", pipeline.id)).await? else {
        tables.iter_mut().for_each(|table| table.report.outcome = StoreOutcome::Held);
        return Ok(());
    };
    let Some(source) = context.project.settings.source.get(&declared.source) else { return Ok(()) };
    let stamp = Stamp { loaded_at: context.clock.now(), batch: Uuid::now_v7().to_string() };
    for table in tables.iter_mut() {
        let failed = |source: LakeError| EngineError::lake(&table.report.table, source);
        let place = context.inputs.location(source).map_err(|source| failed(source.into()))?;
        let place = place.below(&table.layout.root);
        let writer = Writer::open(place, stamp.clone()).await.map_err(failed)?;
        table.lost = writer.lost(|_| true).await.map_err(failed)?;
        table.writer = Some(writer);
    }
    let filled = fill(context, pipeline, tables, request, cut, progress).await;
    let mut result = filled;
    for table in tables.iter_mut() {
        let Some(writer) = table.writer.take() else { continue };
        if result.is_err() || table.report.periods.is_empty() {
            writer.abandon().await;
            continue;
        }
        match writer.commit(None).await {
            Ok((commit, _)) => {
                table.report.commit = Some(commit.number);
                table.report.outcome = StoreOutcome::Stored;
                table.report.exit_code = ExitCode::Agree;
            }
            Err(source) => {
                result = Err(EngineError::lake(&table.report.table, source));
            }
        }
    }
    result
}

/// Calculates the periods whose rows are not those of the present inputs and models.
async fn fill(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    tables: &mut [Table],
    request: &LoadRequest,
    cut: Option<&Arc<CutOff>>,
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    let mut inputs = Inputs::new(context, pipeline).await?;
    for period in periods(pipeline, &inputs, tables, request)? {
        let changes = in_force(context, pipeline, period);
        let on = |id: &ChangeId| changes.iter().any(|c| &c.id == id);
        let switches = pipeline.switch_values(&context.project.changes_of(&pipeline.id), &on, Side::New);
        let made_of = made_of(context, pipeline, &mut inputs, period, &switches).await?;
        let is_made = |table: &Table| {
            let known = table.writer.as_ref()?.partitions().get(&table.layout.folder(Some(period)))?;
            let whole = known.files.iter().all(|file| !table.lost.contains(&file.path));
            known.made_of.clone().filter(|_| whole)
        };
        let made = made_of.as_ref();
        if made.is_some() && tables.iter().all(|table| is_made(table).as_ref() == made) {
            tables.iter_mut().for_each(|table| table.report.unchanged += 1);
            continue;
        }
        progress.step(&pipeline.id, &period.to_string(), Step::Calculate);
        let cut = match cut {
            Some(cut) => Arc::clone(cut),
            None => Arc::new(inputs::cut_off(context, pipeline, &[Side::New]).await?),
        };
        let read = read_side(context, pipeline, Side::New, period, &cut, Look::Fenced).await?;
        let calculator = Calculator::new(&context.runtime, pipeline, Side::New, period, read)?.with_cut(cut);
        let mut models: BTreeMap<String, _> = BTreeMap::new();
        for (name, schema, batches) in calculator.models(&switches).await? {
            models.insert(name, (schema, batches));
        }
        for table in tables.iter_mut() {
            let Some((schema, batches)) = models.remove(&table.report.model) else { continue };
            let folder = table.layout.folder(Some(period));
            let failed = |source: LakeError| EngineError::lake(&table.report.table, source);
            let Some(writer) = &mut table.writer else { continue };
            let path = writer.new_file(&folder);
            let mut file = FileWriter::new(writer.table(), &path, &schema).map_err(failed)?;
            let mut rows = 0;
            for batch in &batches {
                // A model without the column of the period is kept as it was calculated for it.
                let kept = match batch.column_by_name(&pipeline.result.period.column) {
                    Some(_) => {
                        let inside =
                            within(batch, &pipeline.result.period, period, Side::New).map_err(|source| {
                                EngineError::Compare { pipeline: pipeline.id.to_string(), source }
                            })?;
                        filter_record_batch(batch, &inside).map_err(|error| failed(error.into()))?
                    }
                    None => batch.clone(),
                };
                if kept.num_rows() > 0 {
                    rows += kept.num_rows() as u64;
                    file.write(&kept).await.map_err(failed)?;
                }
            }
            let files = if rows > 0 { vec![file.finish().await.map_err(failed)?] } else { Vec::new() };
            let partition = Partition { period: Some(period), files, made_of: made_of.clone() };
            writer.replace(folder, Some(partition));
            table.report.periods.push(period);
            table.report.rows += rows;
        }
    }
    Ok(())
}

/// The inputs of the new side, and which of them are copies with commits.
struct Inputs<'a> {
    /// The newest commits of copies, by the name of the input.
    copies: BTreeMap<&'a str, (Layout, Option<Commit>)>,
    /// What other inputs say of themselves, by their places.
    others: BTreeMap<String, Option<String>>,
}

impl<'a> Inputs<'a> {
    async fn new(context: &Context, pipeline: &'a Pipeline) -> Result<Self, EngineError> {
        let mut copies = BTreeMap::new();
        for input in &pipeline.inputs {
            let (Some(_), Some(place)) = (&input.load, &input.new) else { continue };
            let (Some(source), Some(layout)) =
                (context.project.settings.source.get(&place.source), Layout::of(place.place()))
            else {
                continue;
            };
            let failed = |source| EngineError::Input { input: input.name.clone(), side: Side::New, source };
            let table = context.inputs.location(source).map_err(failed)?.below(&layout.root);
            let commit = newest_commit(&table).await.map_err(failed)?;
            copies.insert(input.name.as_str(), (layout, commit));
        }
        Ok(Self { copies, others: BTreeMap::new() })
    }

    /// What tells the rows of an input for a period from others; `None` where nobody can tell.
    async fn identity(
        &mut self,
        context: &Context,
        input: &InputDecl,
        period: Period,
    ) -> Result<Option<String>, EngineError> {
        if let Some((layout, commit)) = self.copies.get(input.name.as_str()) {
            let Some(commit) = commit else { return Ok(Some(String::new())) };
            let folders: BTreeSet<String> = days_around(period, input.margin.0)?
                .into_iter()
                .map(|day| layout.folder(layout.period(day)))
                .collect();
            let files = folders.iter().filter_map(|folder| commit.partitions.get(folder));
            // Their names are never used again.
            let names: Vec<&str> = files.flat_map(|p| &p.files).map(|file| file.path.as_str()).collect();
            return Ok(Some(names.join("\0")));
        }
        let cut = CutOff::default();
        let Some(request) = inputs::request(context, input, Side::New, period, &cut)? else {
            return Ok(Some(String::new()));
        };
        let key = format!("{}\0{:?}", input.name, request.places);
        if let Some(known) = self.others.get(&key) {
            return Ok(known.clone());
        }
        // Reading it will say what is wrong.
        let identity = context.inputs.identity(&request).await.ok().flatten();
        self.others.insert(key, identity.clone());
        Ok(identity)
    }
}

/// The periods that may have rows: those that a partition of a copy reaches, and those that are kept already.
fn periods(
    pipeline: &Pipeline,
    inputs: &Inputs<'_>,
    tables: &[Table],
    request: &LoadRequest,
) -> Result<BTreeSet<Period>, EngineError> {
    let unit = pipeline.result.period.unit;
    let mut found = BTreeSet::new();
    let mut by_period = false;
    for input in &pipeline.inputs {
        let Some((layout, commit)) = inputs.copies.get(input.name.as_str()) else { continue };
        by_period |= layout.unit.is_some();
        let partitions = commit.iter().flat_map(|commit| commit.partitions.values());
        for partition in partitions.filter_map(|partition| partition.period) {
            // A row is read for every period whose margin holds its day.
            let days = days_around(partition, input.margin.0)?;
            found.extend(days.into_iter().map(|day| Period::containing(day, unit)));
        }
    }
    let kept = tables.iter().filter_map(|table| table.writer.as_ref());
    found.extend(
        kept.flat_map(|writer| writer.partitions().values()).filter_map(|partition| partition.period),
    );
    if let Some(wanted) = request.period {
        found.retain(|period| period.contains(wanted.start()) || wanted.contains(period.start()));
        if !by_period {
            found.insert(Period::containing(wanted.start(), unit));
        }
    } else if !by_period {
        found.insert(Period::containing(request.yesterday, unit));
    }
    Ok(found)
}

/// A hash over all that the rows of a period depend on; `None` where an input cannot tell its state.
async fn made_of(
    context: &Context,
    pipeline: &Pipeline,
    inputs: &mut Inputs<'_>,
    period: Period,
    switches: &Switches,
) -> Result<Option<String>, EngineError> {
    let calculator = Calculator::new(&context.runtime, pipeline, Side::New, period, Tables::new())?;
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for text in [VERSION, &period.to_string(), &pipeline.mapping_hash, &calculator.key(switches)] {
        add(text);
    }
    for input in pipeline.inputs.iter().filter(|input| input.on(Side::New).is_some()) {
        let Some(identity) = inputs.identity(context, input, period).await? else { return Ok(None) };
        add(&input.name);
        add(&identity);
    }
    Ok(Some(hex(&hash.finalize())))
}
