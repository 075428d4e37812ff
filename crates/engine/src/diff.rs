//! Compares any two relations, with no project at all.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use dualrun_compare::{
    Aligner, Common, CompareError, Options, common_for_diff, common_for_result, types::is_number,
};
use dualrun_core::{
    Outcome, RunId, Tolerance,
    align::AlignRule,
    input,
    result::ResultDecl,
    run::{RunReport, WORST_CUSTOMERS},
};
use dualrun_explain::{CellReader, Cells};
use dualrun_sources::{
    Format, InputTable, ParquetScan, exact_beside, is_live, open_scan, read_live_relation, read_relation,
    relation_format, without_credentials,
};
use dualrun_stream::{Compared, Request, Side, StreamError, Way, compare_sides};
use uuid::Uuid;

pub use dualrun_stream::{Limits, OutputFiles, Watch};

use crate::{
    assess::{conformed, has_unexplained, one_sided_columns, report_of},
    error::EngineError,
};

/// Parquet with no more rows than this is read at once and sorted in memory.
const SMALL_ROWS: u64 = 1 << 17;

/// Rows of differences in which signatures are looked for: a pattern shows in far fewer.
const SAMPLE_ROWS: u64 = 4_000;

/// What to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// A file, a folder, or the URL of one, of a table or of a collection.
    pub legacy: String,
    /// The same for the new side.
    pub new: String,
    /// The columns that make a row unique.
    pub key: Vec<String>,
    /// The column that names the customer.
    pub customer: Option<String>,
    /// The tolerance of every numeric column.
    pub tolerance: Tolerance,
    /// The declared result and its normalisations, in place of key, customer and tolerance.
    pub declared: Option<Declared>,
    /// Where differences and customers are written.
    pub outputs: Option<OutputFiles>,
    /// Write no more rows of differences than this.
    pub max_differences: Option<u64>,
    /// Threads, memory, spill folder.
    pub limits: Limits,
}

/// What a mapping says of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Grain, measures and attributes.
    pub result: ResultDecl,
    /// Normalisations in order.
    pub align: Vec<AlignRule>,
}

/// Compares two relations. Column types are checked before a row is compared.
///
/// # Errors
/// A relation that cannot be read, a key or customer column that is missing, types without a common lossless one, a file
/// that cannot be written.
pub async fn diff(
    request: &DiffRequest,
    base: &Path,
    watch: Arc<dyn Watch + Send + Sync>,
) -> Result<RunReport, EngineError> {
    let failed = |source| EngineError::Compare { pipeline: "diff".into(), source };
    let mut notes = Vec::new();
    let sides = open_both(request, base, &*watch, &mut notes).await?;
    let rules = |side: input::Side, opened: &Opened| -> Result<Option<Aligner>, CompareError> {
        let Some(declared) = &request.declared else { return Ok(None) };
        Aligner::new(&declared.align, side, opened.schema()).map(Some)
    };
    let aligners = [
        rules(input::Side::Legacy, &sides[0]).map_err(failed)?,
        rules(input::Side::New, &sides[1]).map_err(failed)?,
    ];
    let schema = |n: usize| aligners[n].as_ref().map_or_else(|| sides[n].schema(), Aligner::schema);
    let (legacy, new) = (schema(0), schema(1));
    let common = match &request.declared {
        Some(declared) => common_for_result(&legacy, &new, &declared.result),
        None => {
            let customer = request.customer.as_deref();
            common_for_diff(&legacy, &new, &request.key, customer, request.tolerance)
        }
    }
    .map_err(failed)?;
    for (name, opened) in ["legacy", "new"].into_iter().zip(&sides) {
        notes.extend(opened.notes(name));
    }
    let scans: Vec<(input::Side, ParquetScan)> = input::Side::BOTH
        .into_iter()
        .zip(&sides)
        .filter_map(|(side, opened)| Some((side, opened.scan()?.clone())))
        .collect();
    let names = [request.legacy.clone(), request.new.clone()];
    let options = Options {
        max_differences: request.max_differences,
        worst_customers: Some(WORST_CUSTOMERS),
        ..Options::default()
    };
    let (task_common, outputs, limits) = (common.clone(), request.outputs.clone(), request.limits.clone());
    let compared = tokio::task::spawn_blocking(move || {
        let [legacy, new] = sides;
        let [legacy_rules, new_rules] = aligners;
        let legacy = legacy.side(input::Side::Legacy, legacy_rules, &task_common)?;
        let new = new.side(input::Side::New, new_rules, &task_common)?;
        let runtime = tokio::runtime::Handle::current();
        let confirm = || {
            let mut scans = scans.iter();
            scans.try_for_each(|(side, scan)| {
                runtime.block_on(scan.verify()).map_err(|source| StreamError::Read { side: *side, source })
            })
        };
        let wanted = Request {
            common: &task_common,
            options: &options,
            outputs: outputs.as_ref(),
            sample: SAMPLE_ROWS,
            limits: &limits,
            watch: &*watch,
            confirm: &confirm,
        };
        compare_sides(&legacy, &new, &wanted).map_err(|error| failed_stream(error, &names))
    })
    .await
    .map_err(|_| EngineError::Cancelled)??;
    let mut report = report_of(&compared.comparison);
    report.run_id = RunId(Uuid::now_v7()).to_string();
    // A mapping says which columns stand on one side on purpose; without one every such column is a difference.
    let one_sided = request.declared.is_none() && one_sided_columns(&report) > 0;
    if has_unexplained(&report.rows) || one_sided {
        report.outcome = Outcome::Differs;
    }
    if let Some(outputs) = &request.outputs {
        report.differences.path = Some(outputs.differences.display().to_string());
        report.customers_path = outputs.customers.as_ref().map(|path| path.display().to_string());
    }
    report.notes.extend(notes);
    if let Way::Partitioned { spilled } = compared.way
        && spilled > 0
    {
        report.notes.push(format!(
            "the sides are not sorted by the key: {} MB went through the spill folder",
            spilled.div_ceil(1_000_000)
        ));
    }
    name_findings(&common, &compared, &mut report)?;
    Ok(report)
}

/// An error of a side names its relation.
fn failed_stream(error: StreamError, names: &[String; 2]) -> EngineError {
    match error {
        StreamError::Read { side, source } => {
            unreadable(&names[usize::from(side == input::Side::New)], source)
        }
        StreamError::Compare(source) => EngineError::Compare { pipeline: "diff".into(), source },
        other => EngineError::Stream(other),
    }
}

/// A side as it was opened.
enum Opened {
    Scan(ParquetScan),
    Table(InputTable),
}

impl Opened {
    fn schema(&self) -> SchemaRef {
        match self {
            Self::Scan(scan) => Arc::clone(scan.schema()),
            Self::Table(table) => Arc::clone(&table.schema),
        }
    }

    fn scan(&self) -> Option<&ParquetScan> {
        match self {
            Self::Scan(scan) => Some(scan),
            Self::Table(_) => None,
        }
    }

    /// What did not fit while it was read.
    fn notes(&self, side: &str) -> Vec<String> {
        let Self::Table(table) = self else { return Vec::new() };
        let misfits = table.report.misfits.iter();
        misfits
            .map(|misfit| {
                format!(
                    "{} {side} values of {} are {} instead of {}, first in {}",
                    misfit.count, misfit.field, misfit.found, misfit.expected, misfit.first_file
                )
            })
            .collect()
    }

    /// Rows for the comparison; those of a table are normalised and sorted.
    fn side(self, side: input::Side, aligner: Option<Aligner>, common: &Common) -> Result<Side, EngineError> {
        let failed = |source| EngineError::Compare { pipeline: "diff".into(), source };
        match self {
            Self::Scan(scan) => Ok(Side::scan(side, scan, aligner)),
            Self::Table(mut table) => {
                if let Some(aligner) = aligner {
                    for batch in &mut table.batches {
                        *batch = aligner.apply(batch).map_err(failed)?;
                    }
                }
                let sorted = conformed(&table.batches, common).map_err(failed)?;
                Ok(Side::memory(side, Arc::clone(&common.schema), sorted))
            }
        }
    }
}

fn key(request: &DiffRequest) -> Vec<String> {
    request.declared.as_ref().map_or_else(|| request.key.clone(), |declared| declared.result.grain.clone())
}

fn name_findings(common: &Common, compared: &Compared, report: &mut RunReport) -> Result<(), EngineError> {
    let explain = |source| EngineError::Explain { pipeline: "diff".into(), source };
    let spec = &common.spec;
    let numeric =
        |name: &String| common.schema.field_with_name(name).is_ok_and(|field| is_number(field.data_type()));
    let attributes = spec.columns.iter().filter(|c| c.kind == dualrun_compare::CompareKind::Attribute);
    let mut reader = CellReader::new(&spec.key, spec.customer.as_deref())
        .attributes(attributes.map(|c| c.name.clone()).filter(numeric));
    for batch in &compared.sample {
        reader.push(batch).map_err(explain)?;
    }
    let mut cells: Cells = reader.finish();
    cells.total = cells.total.max(unexplained_cells(report));
    if cells.truncated() {
        report.notes.push(format!(
            "signatures were looked for in {} of {} unexplained cells, which are evenly spaced over all of them",
            cells.cells.len(),
            cells.total
        ));
    }
    report.findings = dualrun_explain::findings(&cells, &dualrun_explain::Context::default());
    Ok(())
}

/// How many cells, presences and keys are unexplained, at least.
fn unexplained_cells(report: &RunReport) -> u64 {
    let measures = report.columns.iter().filter(|c| c.legacy_total.is_some()).count() as u64;
    let cells: u64 = report.columns.iter().map(|c| c.verdicts.unexplained).sum();
    cells + report.rows.one_sided.unexplained * (1 + measures)
}

/// CSV has no types of its own: it takes those of the other side. Of two CSV files both are inferred, keys as text.
/// Parquet is opened, and read when it is compared. What stands on a server is read once, and `notes` say how sure it is
/// that it is one state of the data.
async fn open_both(
    request: &DiffRequest,
    base: &Path,
    watch: &(dyn Watch + Send + Sync),
    notes: &mut Vec<String>,
) -> Result<[Opened; 2], EngineError> {
    let names = [&request.legacy, &request.new];
    let options = BTreeMap::new();
    let mut formats = [None; 2];
    for (format, name) in formats.iter_mut().zip(names).filter(|(_, name)| !is_live(name)) {
        let found = relation_format(name, base, &options).await;
        *format = Some(found.map_err(|source| unreadable(name, source))?);
    }
    let csv = formats.map(|format| format == Some(Format::Csv));
    let text = if csv == [true; 2] { key(request) } else { Vec::new() };
    let mut read = async |n: usize, hint: Option<&Schema>| -> Result<Opened, EngineError> {
        let failed = |source| unreadable(names[n], source);
        if formats[n].is_none() {
            let live = read_live_relation(names[n], &request.limits.spill).await.map_err(failed)?;
            let side = input::Side::BOTH[n];
            live.warnings.iter().for_each(|warning| watch.warning(&format!("{side} side: {warning}")));
            let consistency = live.table.report.consistency.iter();
            notes.extend(
                consistency.map(|said| format!("the {side} side was read from a server: {}", said.detail)),
            );
            return Ok(Opened::Table(live.table));
        }
        if formats[n] == Some(Format::Parquet)
            && let Some(scan) = open_scan(names[n], base, &options).await.map_err(failed)?
            && scan.rows() > SMALL_ROWS
        {
            return Ok(Opened::Scan(scan));
        }
        let table = read_relation(names[n], base, &options, hint, &text).await.map_err(failed)?;
        Ok(Opened::Table(table))
    };
    let [mut legacy, mut new] = match csv {
        [true, false] => {
            let new = read(1, None).await?;
            let legacy = read(0, Some(&new.schema())).await?;
            [legacy, new]
        }
        [false, true] => {
            let legacy = read(0, None).await?;
            let new = read(1, Some(&legacy.schema())).await?;
            [legacy, new]
        }
        _ => [read(0, None).await?, read(1, None).await?],
    };
    let exact = |opened: &Opened| match opened {
        Opened::Table(table) => table.report.exact_numbers.clone(),
        Opened::Scan(_) => Vec::new(),
    };
    let (of_legacy, of_new) = (exact(&legacy), exact(&new));
    beside(&mut legacy, &of_new, names[0], base).await?;
    beside(&mut new, &of_legacy, names[1], base).await?;
    Ok([legacy, new])
}

/// Makes decimals of floats that stand beside exact numbers of the other side. They need all values, so that Parquet is
/// read into memory for it.
async fn beside(opened: &mut Opened, exact: &[String], name: &str, base: &Path) -> Result<(), EngineError> {
    let failed = |source| unreadable(name, source);
    let schema = opened.schema();
    let is_float =
        |column: &String| schema.field_with_name(column).is_ok_and(|f| f.data_type() == &DataType::Float64);
    if !exact.iter().any(is_float) {
        return Ok(());
    }
    if let Opened::Scan(_) = opened {
        *opened =
            Opened::Table(read_relation(name, base, &BTreeMap::new(), None, &[]).await.map_err(failed)?);
    }
    match opened {
        Opened::Table(table) => exact_beside(table, exact).map_err(failed),
        Opened::Scan(_) => Ok(()),
    }
}

fn unreadable(relation: &str, source: dualrun_sources::SourceError) -> EngineError {
    EngineError::Relation { relation: without_credentials(relation), source }
}
