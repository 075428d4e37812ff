//! Fences a run: are the activity inputs of both sides the same facts, customer by customer?

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use dualrun_compare::fingerprint::Fingerprinter;
use dualrun_core::{
    Fingerprint,
    input::{FenceStrength, InputDecl, Role, Side},
    run::{FenceDifference, InputReport, PerSide, SideConsistency},
};
use dualrun_mapping::plan::Pipeline;
use sha2::{Digest, Sha256};

use crate::{calculate::hex, error::EngineError, evidence::FenceSummary, input::Input, inputs::Tables};

/// How many customers that are not comparable are named in a report.
const NAMED: usize = 10;

/// What the fence found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fence {
    /// One entry an input.
    pub inputs: Vec<InputReport>,
    /// Customers whose activity inputs differ.
    pub excluded: BTreeSet<Option<String>>,
    /// Customers in any activity input that names them.
    pub customers: BTreeSet<Option<String>>,
    /// An activity input without customers differs: nothing can be compared.
    pub nothing_comparable: bool,
    /// SHA-256 (hex) over all rows of all inputs of each side, legacy first.
    pub fingerprints: [String; 2],
}

impl Fence {
    /// What a manifest keeps of it.
    pub fn summary(&self) -> FenceSummary {
        FenceSummary {
            fingerprints: self.fingerprints.clone(),
            customers: self.customers.len() as u64,
            excluded: self.excluded.len() as u64,
            nothing_comparable: self.nothing_comparable,
        }
    }
}

/// Compares the inputs of both sides.
///
/// # Errors
/// A key or column of the fence that the input does not have.
pub fn fence(pipeline: &Pipeline, legacy: &Tables, new: &Tables) -> Result<Fence, EngineError> {
    let mut found = Fence {
        inputs: Vec::new(),
        excluded: BTreeSet::new(),
        customers: BTreeSet::new(),
        nothing_comparable: false,
        fingerprints: [String::new(), String::new()],
    };
    let mut hashes = [Sha256::new(), Sha256::new()];
    for input in &pipeline.inputs {
        let tables = [legacy.get(&input.name), new.get(&input.name)];
        let names = [customer_names(pipeline, input, legacy)?, customer_names(pipeline, input, new)?];
        for (hash, table) in hashes.iter_mut().zip(tables) {
            if let Some(table) = table {
                hash.update(format!("{}={}\0", input.name, whole(pipeline, table)?));
            }
        }
        let tables = tables.map(|table| table.map(AsRef::as_ref));
        let report = match input.role {
            Role::Factor => factor(pipeline, input, tables)?,
            Role::Activity => activity(input, tables, &names, &mut found)?,
        };
        found.inputs.push(report);
    }
    found.fingerprints = hashes.map(|hash| hex(&hash.finalize()));
    Ok(found)
}

fn activity(
    input: &InputDecl,
    tables: [Option<&Input>; 2],
    names: &[BTreeMap<String, String>; 2],
    found: &mut Fence,
) -> Result<InputReport, EngineError> {
    let mut report = blank(input, input.fence.as_str(), tables);
    let [Some(legacy), Some(new)] = tables else { return Ok(report) };
    let sides = [
        as_in_results(per_customer(input, Side::Legacy, legacy)?, &names[0]),
        as_in_results(per_customer(input, Side::New, new)?, &names[1]),
    ];
    report.legacy = Some(total(&sides[0]).to_string());
    report.new = Some(total(&sides[1]).to_string());
    let names: BTreeSet<&Option<String>> = sides.iter().flat_map(BTreeMap::keys).collect();
    for name in names {
        let [legacy, new] = [&sides[0], &sides[1]].map(|side| side.get(name).copied().unwrap_or_default());
        if input.customer.is_some() {
            found.customers.insert(name.clone());
        }
        if legacy == new {
            continue;
        }
        report.comparable = false;
        report.customers_not_comparable += 1;
        if report.not_comparable.len() < NAMED {
            report.not_comparable.push(FenceDifference {
                customer: name.clone(),
                legacy_rows: legacy.rows,
                new_rows: new.rows,
            });
        }
        if input.customer.is_some() {
            found.excluded.insert(name.clone());
        } else {
            found.nothing_comparable = true;
        }
    }
    Ok(report)
}

fn factor(
    pipeline: &Pipeline,
    input: &InputDecl,
    tables: [Option<&Input>; 2],
) -> Result<InputReport, EngineError> {
    let mut report = blank(input, "edition", tables);
    let mut editions = [None, None];
    for (edition, table) in editions.iter_mut().zip(tables) {
        if let Some(table) = table {
            let named = input.edition.as_deref().and_then(|column| latest(table, column));
            let fingerprint = whole(pipeline, table)?;
            *edition = Some(match named {
                Some(named) => format!("{named} ({fingerprint})"),
                None => fingerprint.to_string(),
            });
        }
    }
    [report.legacy, report.new] = editions;
    Ok(report)
}

fn blank(input: &InputDecl, fence: &str, tables: [Option<&Input>; 2]) -> InputReport {
    let count =
        |of: fn(&Input) -> u64| PerSide { legacy: tables[0].map_or(0, of), new: tables[1].map_or(0, of) };
    InputReport {
        name: input.name.clone(),
        role: input.role,
        fence: fence.to_owned(),
        comparable: true,
        customers_not_comparable: 0,
        not_comparable: Vec::new(),
        rows: count(|t| t.report.rows),
        legacy: None,
        new: None,
        misfits: count(|t| t.report.misfit_documents),
        consistency: Side::BOTH
            .into_iter()
            .zip(tables)
            .filter_map(|(side, table)| {
                let consistency = table?.report.consistency.clone()?;
                Some(SideConsistency { side, consistency })
            })
            .collect(),
    }
}

fn per_customer(
    input: &InputDecl,
    side: Side,
    table: &Input,
) -> Result<BTreeMap<Option<String>, Fingerprint>, EngineError> {
    if table.schema.fields().is_empty() {
        // No file on this side: no schema either.
        return Ok(BTreeMap::new());
    }
    if let Some(prints) = &table.prints {
        return Ok(prints.customers.clone());
    }
    let mut prints = printer(input, side, &table.schema)?;
    for batch in table.batches() {
        let failed = |source| EngineError::Fence { input: input.name.clone(), side, source };
        prints.update(batch).map_err(failed)?;
    }
    Ok(prints.finish())
}

/// Makes the fingerprints of what the fence of an input compares.
pub(crate) fn printer(
    input: &InputDecl,
    side: Side,
    schema: &SchemaRef,
) -> Result<Fingerprinter, EngineError> {
    let failed = |source| EngineError::Fence { input: input.name.clone(), side, source };
    let customer = input.customer.as_deref();
    Fingerprinter::new(schema, &input.key, &input.columns, customer, input.fence).map_err(failed)
}

/// An error in the fingerprint of whole rows.
pub(crate) fn compare(pipeline: &Pipeline, source: dualrun_compare::CompareError) -> EngineError {
    EngineError::Compare { pipeline: pipeline.id.to_string(), source }
}

/// The names that the results use, by the names that the input uses; empty where they are the same.
fn customer_names(
    pipeline: &Pipeline,
    input: &InputDecl,
    tables: &Tables,
) -> Result<BTreeMap<String, String>, EngineError> {
    let Some(map) = &input.customer_map else { return Ok(BTreeMap::new()) };
    let Some(table) = tables.get(&map.input) else { return Ok(BTreeMap::new()) };
    let missing = |column: &str| EngineError::Compare {
        pipeline: pipeline.id.to_string(),
        source: dualrun_compare::CompareError::MissingColumn {
            side: None,
            column: format!("{}.{column}", map.input),
        },
    };
    let mut names = BTreeMap::new();
    for batch in table.batches() {
        let text = |name: &str| {
            let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
            arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).map_err(|_| missing(name))
        };
        let (from, to) = (text(&map.from)?, text(&map.to)?);
        let (from, to) = (
            arrow::array::AsArray::as_string::<i32>(&from).iter(),
            arrow::array::AsArray::as_string::<i32>(&to).iter(),
        );
        names.extend(from.zip(to).filter_map(|(from, to)| Some((from?.to_owned(), to?.to_owned()))));
    }
    Ok(names)
}

/// Fingerprints under the names of the results; a customer that the map does not know keeps its own name.
fn as_in_results(
    prints: BTreeMap<Option<String>, Fingerprint>,
    names: &BTreeMap<String, String>,
) -> BTreeMap<Option<String>, Fingerprint> {
    let mut mapped: BTreeMap<Option<String>, Fingerprint> = BTreeMap::new();
    for (customer, print) in prints {
        let customer = customer.map(|own| names.get(&own).cloned().unwrap_or(own));
        *mapped.entry(customer).or_default() += print;
    }
    mapped
}

/// A fingerprint over all columns of all rows.
fn whole(pipeline: &Pipeline, table: &Input) -> Result<Fingerprint, EngineError> {
    let columns: Vec<String> = table.schema.fields().iter().map(|f| f.name().clone()).collect();
    if columns.is_empty() {
        return Ok(Fingerprint::default());
    }
    if let Some(prints) = &table.prints {
        return Ok(prints.whole);
    }
    let failed = |source| compare(pipeline, source);
    let mut prints =
        Fingerprinter::new(&table.schema, &columns, &[], None, FenceStrength::Content).map_err(failed)?;
    for batch in table.batches() {
        prints.update(batch).map_err(failed)?;
    }
    Ok(total(&prints.finish()))
}

fn total(per_customer: &BTreeMap<Option<String>, Fingerprint>) -> Fingerprint {
    let mut sum = Fingerprint::default();
    per_customer.values().for_each(|print| sum += *print);
    sum
}

/// The latest edition that a factor table names.
fn latest(table: &Input, column: &str) -> Option<String> {
    let mut latest: Option<String> = None;
    for batch in table.batches() {
        let texts =
            arrow::compute::cast(batch.column_by_name(column)?, &arrow::datatypes::DataType::Utf8).ok()?;
        let texts = arrow::array::AsArray::as_string::<i32>(&texts);
        latest = latest.into_iter().chain(texts.iter().flatten().map(str::to_owned)).max();
    }
    latest
}

/// The side of an index of [`Fence::fingerprints`].
pub fn side_index(side: Side) -> usize {
    match side {
        Side::Legacy => 0,
        Side::New => 1,
    }
}
