//! Compares any two relations, with no project at all.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::record_batch::RecordBatch;
use dualrun_compare::{
    Aligner, Common, CompareError, Options, Parts, Relation, common_for_diff, common_for_result, compare,
    customers_batch, differences_schema,
};
use dualrun_core::{
    Outcome, RunId, Tolerance, align::AlignRule, input::Side, result::ResultDecl, run::RunReport,
};
use dualrun_explain::cells_from_differences;
use dualrun_sources::{
    Format, InputTable, exact_beside, read_relation, relation_format, without_credentials,
};
use uuid::Uuid;

use crate::{
    assess::{conformed, has_unexplained, one_sided_columns, report_of},
    error::EngineError,
};

/// What to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// A file, a folder or an URL.
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
}

/// What a mapping says of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Grain, measures and attributes.
    pub result: ResultDecl,
    /// Normalisations in order.
    pub align: Vec<AlignRule>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct DiffAnswer {
    /// The report.
    pub report: RunReport,
    /// All cells that differ.
    pub differences: Vec<RecordBatch>,
    /// The schema of the differences.
    pub schema: arrow::datatypes::SchemaRef,
    /// All customers, where a customer column was named.
    pub customers: Option<RecordBatch>,
}

/// Compares two relations. Column types are checked before a row is compared.
///
/// # Errors
/// A relation that cannot be read, a key or customer column that is missing, types without a common lossless one.
pub async fn diff(request: &DiffRequest, base: &Path) -> Result<DiffAnswer, EngineError> {
    let [mut legacy, mut new] = read_both(request, base).await?;
    let failed = |source| EngineError::Compare { pipeline: "diff".into(), source };
    let common = match &request.declared {
        Some(declared) => {
            align(&mut legacy, &declared.align, Side::Legacy).map_err(failed)?;
            align(&mut new, &declared.align, Side::New).map_err(failed)?;
            common_for_result(&legacy.schema, &new.schema, &declared.result).map_err(failed)?
        }
        None => {
            let customer = request.customer.as_deref();
            common_for_diff(&legacy.schema, &new.schema, &request.key, customer, request.tolerance)
                .map_err(failed)?
        }
    };
    let customer = common.spec.customer.clone();
    let mut differences: Vec<RecordBatch> = Vec::new();
    let mut relations: Vec<Relation<CompareError>> = Vec::new();
    for table in [&legacy, &new] {
        let sorted = conformed(&table.batches, &common).map_err(failed)?;
        relations.push(Box::new(sorted.into_iter().map(Ok)));
    }
    let comparison =
        compare(&common, Parts::PLAIN, relations, &Options::default(), &mut differences).map_err(failed)?;
    let customers =
        customer.as_ref().map(|_| customers_batch(&comparison.customers)).transpose().map_err(failed)?;
    let mut report = report_of(&comparison);
    report.run_id = RunId(Uuid::now_v7()).to_string();
    // A mapping says which columns stand on one side on purpose; without one every such column is a difference.
    let one_sided = request.declared.is_none() && one_sided_columns(&report) > 0;
    if has_unexplained(&report.rows) || one_sided {
        report.outcome = Outcome::Differs;
    }
    if customer.is_none() {
        report.customers.clear();
    }
    for (side, table) in [("legacy", &legacy), ("new", &new)] {
        for misfit in &table.report.misfits {
            report.notes.push(format!(
                "{} {side} values of {} are {} instead of {}, first in {}",
                misfit.count, misfit.field, misfit.found, misfit.expected, misfit.first_file
            ));
        }
    }
    name_findings(&common, &differences, &mut report)?;
    Ok(DiffAnswer { report, differences, schema: differences_schema(&common), customers })
}

fn key(request: &DiffRequest) -> Vec<String> {
    request.declared.as_ref().map_or_else(|| request.key.clone(), |declared| declared.result.grain.clone())
}

/// Normalises a relation by the rules of its side.
fn align(table: &mut InputTable, rules: &[AlignRule], side: Side) -> Result<(), CompareError> {
    let aligner = Aligner::new(rules, side, Arc::clone(&table.schema))?;
    for batch in &mut table.batches {
        *batch = aligner.apply(batch)?;
    }
    table.schema = aligner.schema();
    Ok(())
}

fn name_findings(
    common: &Common,
    differences: &[RecordBatch],
    report: &mut RunReport,
) -> Result<(), EngineError> {
    let explain = |source| EngineError::Explain { pipeline: "diff".into(), source };
    let spec = &common.spec;
    let cells = cells_from_differences(differences, &spec.key, spec.customer.as_deref()).map_err(explain)?;
    report.findings = dualrun_explain::findings(&cells, &dualrun_explain::Context::default());
    Ok(())
}

/// CSV has no types of its own: it takes those of the other side. Of two CSV files both are inferred, keys as text.
async fn read_both(request: &DiffRequest, base: &Path) -> Result<[InputTable; 2], EngineError> {
    let names = [&request.legacy, &request.new];
    let failed =
        |relation: &String, source| EngineError::Relation { relation: without_credentials(relation), source };
    let options = BTreeMap::new();
    let mut csv = [false, false];
    for (flag, name) in csv.iter_mut().zip(names) {
        let format = relation_format(name, base, &options).await.map_err(|source| failed(name, source))?;
        *flag = format == Format::Csv;
    }
    let text = if csv == [true, true] { key(request) } else { Vec::new() };
    let one = async |n: usize, hint: Option<&arrow::datatypes::Schema>| {
        let name = names[n];
        read_relation(name, base, &options, hint, &text).await.map_err(|source| failed(name, source))
    };
    let [mut legacy, mut new] = match csv {
        [true, false] => {
            let new = one(1, None).await?;
            let legacy = one(0, Some(&new.schema)).await?;
            [legacy, new]
        }
        [false, true] => {
            let legacy = one(0, None).await?;
            let new = one(1, Some(&legacy.schema)).await?;
            [legacy, new]
        }
        _ => [one(0, None).await?, one(1, None).await?],
    };
    for (n, source) in [
        (0, exact_beside(&mut legacy, &new.report.exact_numbers)),
        (1, exact_beside(&mut new, &legacy.report.exact_numbers)),
    ] {
        source.map_err(|source| failed(names[n], source))?;
    }
    Ok([legacy, new])
}
