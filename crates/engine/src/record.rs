//! What is kept of a run: its report, its evidence, its record in the state database.

use dualrun_core::{
    Outcome, RunId,
    input::Side,
    load::LoadReport,
    run::{CalculationConsistency, RunReport},
};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::Misfit;
use dualrun_state::records::{CustomerCoverage, Hashes, RunRecord};
use uuid::Uuid;

use crate::{
    assess::{self, Assessment},
    context::Context,
    error::EngineError,
    evidence::{Evidence, FenceSummary, FileEntry, Known, MANIFEST_SCHEMA, Manifest, ResultEntry},
    fence::Fence,
    inputs::Tables,
    night::failure,
    replays::Calculated,
    run::RunRequest,
};

/// How many customers were compared, of those with a row on either side or in an activity input.
pub(crate) fn coverage(fence: &FenceSummary, report: &RunReport) -> CustomerCoverage {
    let total = report.customers_total.max(fence.customers);
    if fence.nothing_comparable {
        return CustomerCoverage { total: total.max(1), compared: 0 };
    }
    CustomerCoverage { total, compared: total.saturating_sub(fence.excluded) }
}

/// The record of a run for the state database.
#[expect(clippy::too_many_arguments, reason = "a record is the sum of what the run found")]
pub(crate) fn record(
    context: &Context,
    pipeline: &Pipeline,
    request: &RunRequest,
    id: RunId,
    key: String,
    evidence: String,
    report: RunReport,
    customers: CustomerCoverage,
) -> RunRecord {
    RunRecord {
        id,
        key,
        pipeline: pipeline.id.clone(),
        period: request.period,
        as_of: request.as_of,
        environment: context.environment.clone(),
        outcome: report.outcome,
        recorded_at: context.clock.now(),
        hashes: Hashes {
            mapping: pipeline.mapping_hash.clone(),
            legacy: pipeline.legacy.hash.clone(),
            new: pipeline.new.hash.clone(),
        },
        checks_passed: report.checks.iter().all(|c| c.passed),
        customers,
        evidence,
        report,
    }
}

/// Records an attempt that could not be carried out.
///
/// # Errors
/// The state database is away.
pub(crate) async fn record_failure(
    context: &Context,
    pipeline: &Pipeline,
    request: &RunRequest,
    error: &EngineError,
    load: Option<LoadReport>,
) -> Result<(), EngineError> {
    let id = RunId(Uuid::now_v7());
    let key = format!("failed-{}-{}-{}-{}", context.environment, pipeline.id, request.period, request.as_of);
    let mut report = assess::blank_report(Outcome::Failed);
    report.failure = Some(failure(context, error));
    report.load = load;
    identify(&mut report, context, request, id, &key);
    let record =
        record(context, pipeline, request, id, key, String::new(), report, CustomerCoverage::default());
    context.state.record_run(&record).await?;
    Ok(())
}

/// Says in a report whose run it is.
pub(crate) fn identify(
    report: &mut RunReport,
    context: &Context,
    request: &RunRequest,
    id: RunId,
    key: &str,
) {
    report.run_id = id.to_string();
    report.pipeline = Some(request.pipeline.to_string());
    report.period = Some(request.period.to_string());
    report.as_of = Some(request.as_of.to_string());
    report.environment = Some(context.environment.clone());
    report.run_key = Some(key.to_owned());
}

/// The report of a run: what was assessed, with what the fence and the calculations found.
#[expect(clippy::too_many_arguments, reason = "the report is the sum of what the stages found")]
pub(crate) fn finish_report(
    context: &Context,
    request: &RunRequest,
    id: RunId,
    key: &str,
    folder: &str,
    fence: Fence,
    calculated: &Calculated,
    assessment: &Assessment,
) -> RunReport {
    let mut report = assessment.report.clone();
    identify(&mut report, context, request, id, key);
    report.inputs = fence.inputs;
    report.checks = calculated.checks.clone();
    report.calculations.clone_from(&calculated.consistency);
    report.notes.extend(calculated.notes.iter().cloned());
    report.notes.extend(calculated.consistency.iter().map(calculation_note));
    report.customers_path = Some(format!("{folder}/customers.parquet"));
    report.differences.path = Some(format!("{folder}/differences.parquet"));
    report
}

/// Writes what is still to be written into the folder of a run, the manifest last.
///
/// # Errors
/// The store refuses.
#[expect(clippy::too_many_arguments, reason = "the manifest is the sum of what was written")]
pub(crate) async fn write(
    evidence: &Evidence,
    folder: &str,
    run_id: RunId,
    key: &str,
    fence: &Fence,
    known: Option<Known>,
    calculated: &Calculated,
    assessment: &Assessment,
    report: &RunReport,
) -> Result<(), EngineError> {
    let mut files = calculated.files.clone();
    files.extend(write_assessment(evidence, folder, assessment, report).await?);
    let results: Vec<ResultEntry> = calculated.results.iter().map(|r| r.entry.clone()).collect();
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA.to_owned(),
        run_id,
        run_key: key.to_owned(),
        files,
        results,
        not_comparable: fence.excluded.iter().cloned().collect(),
        known,
    };
    evidence.write_json(&format!("{folder}/manifest.json"), &manifest).await?;
    Ok(())
}

/// Writes what an assessment says: differences, customers and the report.
///
/// # Errors
/// The store refuses.
pub async fn write_assessment(
    evidence: &Evidence,
    folder: &str,
    assessment: &Assessment,
    report: &RunReport,
) -> Result<Vec<FileEntry>, EngineError> {
    let differences = &assessment.differences;
    let customers = std::slice::from_ref(&assessment.customers);
    Ok(vec![
        evidence
            .write_parquet(
                &format!("{folder}/differences.parquet"),
                &assessment.differences_schema,
                differences,
            )
            .await?,
        evidence
            .write_parquet(&format!("{folder}/customers.parquet"), &assessment.customers.schema(), customers)
            .await?,
        evidence.write_json(&format!("{folder}/run.json"), report).await?,
    ])
}

/// What a report says of values that do not fit their declared type, input by input.
pub(crate) fn misfit_notes(sides: [&Tables; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, tables) in Side::BOTH.into_iter().zip(sides) {
        for (name, table) in tables {
            let misfits = table.report.misfits.iter();
            notes.extend(misfits.map(|m| misfit_note(side, &format!("{name}.{}", m.field), m)));
        }
    }
    notes
}

/// For each input that was read from a server: which state of the data, and how sure that is.
pub(crate) fn consistency_notes(sides: [&Tables; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, tables) in Side::BOTH.into_iter().zip(sides) {
        for (name, table) in tables {
            let said = table.report.consistency.iter();
            notes.extend(said.map(|said| format!("{side} {name} was read from a server: {}", said.detail)));
        }
    }
    notes
}

/// The same for a calculation that a server made, or whose results it holds.
pub(crate) fn calculation_note(said: &CalculationConsistency) -> String {
    let (side, engine, detail) = (said.side, &said.engine, &said.consistency.detail);
    match engine.as_str() {
        "relation" => format!("the {side} results were read from a server: {detail}"),
        _ => format!("the {side} results were calculated on a server ({engine}): {detail}"),
    }
}

/// One sentence on the values of a field that do not fit.
pub(crate) fn misfit_note(side: Side, field: &str, misfit: &Misfit) -> String {
    let values = if misfit.count == 1 { "value" } else { "values" };
    let are = if misfit.count == 1 { "is" } else { "are" };
    format!(
        "{} {side} {values} of {field} {are} {} instead of {}, first in {}",
        misfit.count, misfit.found, misfit.expected, misfit.first_file
    )
}
