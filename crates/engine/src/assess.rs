//! From stored figures to verdicts: compare, split, hold the promises, name what is left. Nothing is calculated, so
//! that a decision about a change turns yesterday's verdicts without running anything again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use dualrun_compare::{
    Common, CompareError, Comparison, Options, Relation, common_for_result, compare, conform,
    customers_batch, differences_schema, sort_batches,
};
use dualrun_core::{
    Outcome, Period, PeriodUnit,
    review::ReviewStatus,
    run::{
        BridgeEntry, ColumnKind, DifferencesReport, Promise, RowCounts, RunReport, SCHEMA, WORST_CUSTOMERS,
    },
};
use dualrun_explain::{
    CellReader, Cells, Declared, FactorTable, Neighbour, Replay, ReplayPlan,
    promise::{InForce, bridge, promised},
    split::SplitInput,
};
use dualrun_mapping::plan::{Change, Pipeline};
use jiff::civil::Date;

use crate::{calculate::Runtime, error::EngineError, flags, results::SideResult};

/// Everything that verdicts stand on.
#[derive(Clone)]
pub struct Figures {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The period.
    pub period: Period,
    /// The night.
    pub as_of: Date,
    /// The changes in force.
    pub changes: Vec<Change>,
    /// The results by side and changes that were on; legacy first, new second.
    pub results: Vec<(Replay, Arc<SideResult>)>,
    /// Customers whose activity inputs differ.
    pub excluded: BTreeSet<Option<String>>,
    /// Nothing can be compared: an activity input without customers differs.
    pub nothing_comparable: bool,
    /// Factor inputs, for the search of signatures.
    pub factors: Vec<FactorTable>,
    /// The same series in the period before, for the search of signatures.
    pub neighbours: Vec<Neighbour>,
    /// Changes that moved something earlier in the same month, as (change, column).
    pub moved_this_month: BTreeSet<(String, String)>,
    /// Changes that could have moved something earlier in the same month, as (change, column).
    pub eligible_this_month: BTreeSet<(String, String)>,
    /// The run key: the seed of sampled splits.
    pub run_key: String,
}

/// What is said of the figures.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// The report without ids, inputs, checks and paths.
    pub report: RunReport,
    /// The schema of the differences.
    pub differences_schema: SchemaRef,
    /// All cells that differ.
    pub differences: Vec<RecordBatch>,
    /// All customers.
    pub customers: RecordBatch,
}

/// A report that says nothing yet.
pub fn blank_report(outcome: Outcome) -> RunReport {
    RunReport {
        schema: SCHEMA.to_owned(),
        run_id: String::new(),
        pipeline: None,
        period: None,
        as_of: None,
        environment: None,
        run_key: None,
        outcome,
        failure: None,
        rows: RowCounts::default(),
        columns: Vec::new(),
        customers: Vec::new(),
        customers_total: 0,
        customers_path: None,
        inputs: Vec::new(),
        bridge: Vec::new(),
        findings: Vec::new(),
        checks: Vec::new(),
        differences: DifferencesReport::default(),
        reviews: BTreeMap::new(),
        notes: Vec::new(),
        unchanged_since: None,
        calculations: Vec::new(),
        load: None,
    }
}

/// Gives verdicts under the present reviews. A change whose promise breaks counts as not approved, which may turn
/// verdicts: they are given again then, once.
///
/// # Errors
/// Results that cannot be compared, or a promise whose condition does not fit them.
pub async fn assess(
    runtime: &Runtime,
    figures: &Figures,
    declared: &[Declared],
) -> Result<Assessment, EngineError> {
    let prepared = Prepared::new(figures)?;
    let flags = flags::flags(runtime, figures, &prepared.common).await?;
    let mut statuses: Vec<Declared> = declared.to_vec();
    let plan = prepared.plan(&statuses, &figures.run_key)?;
    let (bridge, notes) = prepared.split(figures, &plan, flags)?;
    let broken: BTreeSet<&str> =
        bridge.iter().filter(|e| e.promise == Promise::Broken).map(|e| e.change.as_str()).collect();
    for change in &mut statuses {
        if change.status == ReviewStatus::Approved && broken.contains(change.id.as_str()) {
            change.status = ReviewStatus::Proposed;
        }
    }
    let approved: BTreeSet<&str> =
        statuses.iter().filter(|c| c.status == ReviewStatus::Approved).map(|c| c.id.as_str()).collect();
    let bridge: Vec<BridgeEntry> = bridge
        .iter()
        .cloned()
        .map(|entry| BridgeEntry { approved: approved.contains(entry.change.as_str()), ..entry })
        .collect();
    let plan = prepared.plan(&statuses, &figures.run_key)?;
    let mut assessment = prepared.verdicts(figures, &plan)?;
    assessment.report.bridge = bridge;
    assessment.report.notes.extend(notes);
    assessment.report.reviews = declared.iter().map(|c| (c.id.to_string(), c.status)).collect();
    Ok(assessment)
}

/// Results in the schema of the comparison, sorted by its key.
struct Prepared<'a> {
    figures: &'a Figures,
    common: Common,
    relations: Vec<Arc<Vec<RecordBatch>>>,
}

impl<'a> Prepared<'a> {
    fn new(figures: &'a Figures) -> Result<Self, EngineError> {
        let failed = |source| failed(figures, source);
        let (Some((_, legacy)), Some((_, new))) = (figures.results.first(), figures.results.get(1)) else {
            return Err(EngineError::NotConserved("a run without two results".into()));
        };
        let result = figures.pipeline.result.compared();
        let common = common_for_result(&legacy.schema, &new.schema, &result).map_err(failed)?;
        let mut relations = Vec::with_capacity(figures.results.len());
        let mut known: Vec<(*const SideResult, Arc<Vec<RecordBatch>>)> = Vec::new();
        for (_, rows) in &figures.results {
            let at = Arc::as_ptr(rows);
            if let Some((_, sorted)) = known.iter().find(|(pointer, _)| *pointer == at) {
                relations.push(Arc::clone(sorted));
                continue;
            }
            let sorted = Arc::new(conformed(&rows.batches, &common).map_err(failed)?);
            known.push((at, Arc::clone(&sorted)));
            relations.push(sorted);
        }
        Ok(Self { figures, common, relations })
    }

    /// The plan over the stored results: every calculation that it asks for must stand among them.
    fn plan(&self, declared: &[Declared], run_key: &str) -> Result<ReplayPlan, EngineError> {
        // Whatever the run was asked for: where the results of all subsets stand, the differences are split.
        let split = crate::replays::plan(declared, run_key, true);
        if split.calculations.iter().all(|replay| self.position(replay).is_some()) {
            return Ok(split);
        }
        let verdicts = dualrun_explain::verdicts(declared);
        match verdicts.calculations.iter().find(|replay| self.position(replay).is_none()) {
            None => Ok(verdicts),
            Some(replay) => {
                let on: Vec<String> = replay.on.iter().map(ToString::to_string).collect();
                Err(EngineError::MissingReplay { side: replay.side, on: on.join(", ") })
            }
        }
    }

    fn position(&self, replay: &Replay) -> Option<usize> {
        self.figures.results.iter().position(|(known, _)| known == replay)
    }

    fn relation(&self, replay: &Replay, without_excluded: bool) -> Relation<CompareError> {
        let batches = self.position(replay).map(|n| Arc::clone(&self.relations[n])).unwrap_or_default();
        let excluded = if without_excluded { self.figures.excluded.clone() } else { BTreeSet::new() };
        let customer = self.common.spec.customer.clone();
        Box::new((0..batches.len()).map(move |n| keep(&batches[n], customer.as_deref(), &excluded)))
    }

    fn split(
        &self,
        figures: &Figures,
        plan: &ReplayPlan,
        flags: Option<Vec<RecordBatch>>,
    ) -> Result<(Vec<BridgeEntry>, Vec<String>), EngineError> {
        if plan.split.is_none() || plan.changes.is_empty() || figures.nothing_comparable {
            return Ok((Vec::new(), Vec::new()));
        }
        let in_force: Vec<InForce<'_>> = figures
            .changes
            .iter()
            .filter_map(|change| {
                let declared = plan.changes.iter().find(|d| d.id == change.id)?;
                Some(InForce { change, status: declared.status })
            })
            .collect();
        let promises = promised(&figures.pipeline.id, &in_force);
        let flat: Vec<_> = promises.iter().map(|(promised, _)| promised.clone()).collect();
        let flags: Option<Relation<CompareError>> =
            flags.map(|batches| Box::new(batches.into_iter().map(Ok)) as Relation<CompareError>);
        let input = SplitInput {
            spec: &self.common.spec,
            plan,
            relations: plan.calculations.iter().map(|replay| self.relation(replay, false)).collect(),
            flags,
            promised: &flat,
            excluded: &figures.excluded,
        };
        let report = dualrun_explain::split(input)
            .map_err(|source| EngineError::Explain { pipeline: figures.pipeline.id.to_string(), source })?;
        let closed = figures.period.unit() == PeriodUnit::Month;
        let mut entries = bridge(&report, &promises, &in_force, closed);
        close_month(figures, &mut entries);
        let mut notes = Vec::new();
        if !report.conserved() {
            notes.push("the split of the differences leaves more than float noise".to_owned());
        }
        if report.not_finite > 0 {
            notes.push(format!(
                "{} cells with a figure that is not finite were not divided",
                report.not_finite
            ));
        }
        Ok((entries, notes))
    }

    fn verdicts(&self, figures: &Figures, plan: &ReplayPlan) -> Result<Assessment, EngineError> {
        let failed = |source| failed(figures, source);
        let mut differences: Vec<RecordBatch> = Vec::new();
        let options = Options { excluded: figures.excluded.clone(), ..Options::default() };
        let relations: Vec<Relation<CompareError>> = if figures.nothing_comparable {
            plan.calculations.iter().map(|_| Box::new(std::iter::empty()) as Relation<CompareError>).collect()
        } else {
            plan.calculations.iter().map(|replay| self.relation(replay, false)).collect()
        };
        let comparison =
            compare(&self.common, plan.parts, relations, &options, &mut differences).map_err(failed)?;
        comparison.rows.conserved().map_err(EngineError::NotConserved)?;
        let customers = customers_batch(&comparison.customers).map_err(failed)?;
        let mut report = report_of(&comparison);
        report.outcome = outcome(figures, &comparison);
        self.find(figures, plan, &differences, &mut report)?;
        Ok(Assessment {
            report,
            differences_schema: differences_schema(&self.common, &plan.parts),
            differences,
            customers,
        })
    }

    /// Names what is unexplained.
    fn find(
        &self,
        figures: &Figures,
        plan: &ReplayPlan,
        differences: &[RecordBatch],
        report: &mut RunReport,
    ) -> Result<(), EngineError> {
        let explain = |source| EngineError::Explain { pipeline: figures.pipeline.id.to_string(), source };
        let spec = &self.common.spec;
        let mut reader = CellReader::new(&spec.key, spec.customer.as_deref())
            .attributes(figures.pipeline.result.attributes.keys().cloned());
        for batch in differences {
            reader.push(batch).map_err(explain)?;
        }
        let mut cells: Cells = reader.finish();
        report.findings = crate::rejected::take(&mut cells, &plan.changes, &figures.pipeline);
        if cells.cells.is_empty() {
            return Ok(());
        }
        let mut context = dualrun_explain::Context {
            pipeline: figures.pipeline.id.to_string(),
            period: Some(figures.pipeline.result.period.column.clone()),
            factors: figures.factors.clone(),
            neighbours: figures.neighbours.clone(),
            ..Default::default()
        };
        for (name, measure) in &figures.pipeline.result.measures {
            context.tolerances.insert(name.clone(), measure.tolerance);
        }
        let result = &figures.pipeline.result;
        context.rows.attributes = result.attributes.keys().cloned().collect();
        let mut counted = spec.key.clone();
        counted.extend(context.rows.attributes.iter().cloned());
        let columns: Vec<String> = result.measures.keys().chain(result.attributes.keys()).cloned().collect();
        let wanted: HashSet<&[Option<String>]> = cells.cells.iter().map(|cell| cell.key.as_slice()).collect();
        for (side, part) in [
            (dualrun_core::input::Side::Legacy, plan.parts.legacy_with),
            (dualrun_core::input::Side::New, plan.parts.new_without),
        ] {
            if let Some(replay) = plan.calculations.get(part) {
                for batch in self.relation(replay, true) {
                    let batch = batch.map_err(|source| failed(figures, source))?;
                    let present: Vec<String> =
                        counted.iter().filter(|name| batch.column_by_name(name).is_some()).cloned().collect();
                    context.totals.count(side, &batch, &present).map_err(explain)?;
                    if side == dualrun_core::input::Side::Legacy {
                        context.rows.keep(&batch, &spec.key, &columns, &wanted).map_err(explain)?;
                    }
                }
            }
        }
        report.findings.splice(0..0, dualrun_explain::findings(&cells, &context));
        report.notes.extend(cells.note());
        Ok(())
    }
}

/// Brings rows of a result to the schema of a comparison, sorted.
///
/// # Errors
/// A column that is missing or does not cast.
pub(crate) fn conformed(batches: &[RecordBatch], common: &Common) -> Result<Vec<RecordBatch>, CompareError> {
    let batches = batches.iter().map(|b| conform(b, common)).collect::<Result<Vec<_>, _>>()?;
    sort_batches(&batches, &common.spec.key)
}

/// The report of a comparison without outcome, ids and inputs.
pub(crate) fn report_of(comparison: &Comparison) -> RunReport {
    let mut report = blank_report(Outcome::Agrees);
    report.rows = comparison.rows;
    report.columns.clone_from(&comparison.columns);
    report.customers_total = comparison.customers_total;
    report.customers = comparison.customers.iter().take(WORST_CUSTOMERS).cloned().collect();
    report.differences.rows = comparison.differences;
    report.differences.truncated = comparison.truncated;
    let excluded = comparison.excluded_rows;
    if excluded.legacy + excluded.new > 0 {
        report.notes.push(format!(
            "{} legacy and {} new rows of customers that are not comparable were left out",
            excluded.legacy, excluded.new
        ));
    }
    for column in comparison.columns.iter().filter(|c| c.not_finite > 0) {
        report.notes.push(format!(
            "{} values of {} are not finite and left out of its sums",
            column.not_finite, column.name
        ));
    }
    report
}

/// Whether rows or keys are left unexplained.
pub(crate) fn has_unexplained(rows: &RowCounts) -> bool {
    let ambiguous = rows.ambiguous_key.legacy + rows.ambiguous_key.new;
    rows.verdicts.unexplained + rows.one_sided.unexplained + ambiguous > 0
}

fn outcome(figures: &Figures, comparison: &Comparison) -> Outcome {
    let rows = &comparison.rows;
    if has_unexplained(rows) {
        Outcome::Differs
    } else if figures.nothing_comparable || !figures.excluded.is_empty() {
        Outcome::NotComparable
    } else if rows.verdicts.pending + rows.one_sided.pending > 0 {
        Outcome::ReviewPending
    } else {
        Outcome::Agrees
    }
}

/// On the last day of a month: a change that moved nothing on any day of it, although there were rows that it may
/// move, broke its promise.
fn close_month(figures: &Figures, entries: &mut [BridgeEntry]) {
    let day = figures.period.start();
    if figures.period.unit() == PeriodUnit::Month || day.last_of_month() != day {
        return;
    }
    for entry in entries.iter_mut().filter(|e| e.promise == Promise::NotYetKnown) {
        let cell = (entry.change.clone(), entry.column.clone());
        if figures.moved_this_month.contains(&cell) {
            entry.promise = Promise::Kept;
        } else if entry.eligible_rows > 0 || figures.eligible_this_month.contains(&cell) {
            entry.promise = Promise::Broken;
            entry.broken.push(format!(
                "it moved nothing in {} although rows that it may move exist",
                Period::month_of(day)
            ));
        }
    }
}

fn keep(
    batch: &RecordBatch,
    customer: Option<&str>,
    excluded: &BTreeSet<Option<String>>,
) -> Result<RecordBatch, CompareError> {
    let column = customer.filter(|_| !excluded.is_empty()).and_then(|name| batch.column_by_name(name));
    let Some(column) = column else { return Ok(batch.clone()) };
    let texts = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)?;
    let texts = arrow::array::AsArray::as_string::<i32>(&texts);
    let mask: arrow::array::BooleanArray =
        texts.iter().map(|text| Some(!excluded.contains(&text.map(str::to_owned)))).collect();
    Ok(arrow::compute::filter_record_batch(batch, &mask)?)
}

fn failed(figures: &Figures, source: CompareError) -> EngineError {
    EngineError::Compare { pipeline: figures.pipeline.id.to_string(), source }
}

/// The columns of a report that stand on one side only and were not declared so.
pub(crate) fn one_sided_columns(report: &RunReport) -> usize {
    report.columns.iter().filter(|c| matches!(c.kind, ColumnKind::LegacyOnly | ColumnKind::NewOnly)).count()
}
