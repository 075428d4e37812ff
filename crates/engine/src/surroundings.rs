//! What the search for signatures may know beside the cells: factors with their editions, the period before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type},
    record_batch::RecordBatch,
};
use dualrun_compare::common_for_result;
use dualrun_core::{
    Outcome,
    input::{Role, Side},
};
use dualrun_explain::{FactorTable, FactorValue, Neighbour};
use dualrun_mapping::plan::Pipeline;
use dualrun_state::records::{RunFilter, RunRecord};

use crate::{assess::conformed, context::Context, error::EngineError, evidence::Evidence, inputs::Tables};

/// Changes that moved something in a month, and those that could have, as (change, column).
pub(crate) type Moved = [BTreeSet<(String, String)>; 2];

/// More values than this are no list of factors.
const MOST_FACTORS: usize = 20_000;

/// So many periods back are looked at, while their runs differ too, ...
const DAYS: usize = 10;

/// ... and so many figures are kept.
const MOST_NEIGHBOURS: usize = 200_000;

/// The factor inputs of both sides. A table with `factor_key` and `value` is read by these; of any other the first
/// text column is the key, and every numeric column with a year in its name an edition: other columns of a row are
/// other facts.
pub(crate) fn factor_tables(pipeline: &Pipeline, sides: [&Tables; 2]) -> Vec<FactorTable> {
    let mut tables: Vec<FactorTable> = Vec::new();
    for input in pipeline.inputs.iter().filter(|i| i.role == Role::Factor) {
        for table in sides.iter().filter_map(|side| side.get(&input.name)) {
            let mut values = Vec::new();
            for batch in table.batches() {
                read_factors(batch, &input.name, input.edition.as_deref(), &mut values);
            }
            values.truncate(MOST_FACTORS);
            let table = FactorTable { name: input.name.clone(), values };
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

fn read_factors(batch: &RecordBatch, input: &str, edition: Option<&str>, values: &mut Vec<FactorValue>) {
    let text = |name: &str| batch.column_by_name(name).and_then(|c| cast(c, &DataType::Utf8).ok());
    let number = |name: &str| batch.column_by_name(name).and_then(|c| cast(c, &DataType::Float64).ok());
    if let (Some(keys), Some(figures)) = (text("factor_key"), number("value")) {
        let editions = edition.and_then(text);
        for row in 0..batch.num_rows() {
            let edition =
                editions.as_ref().filter(|e| e.is_valid(row)).map(|e| e.as_string::<i32>().value(row));
            if keys.is_valid(row) && figures.is_valid(row) {
                values.push(FactorValue {
                    key: keys.as_string::<i32>().value(row).to_owned(),
                    edition: edition.unwrap_or(input).to_owned(),
                    value: figures.as_primitive::<Float64Type>().value(row),
                });
            }
        }
        return;
    }
    let schema = batch.schema();
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let Some(keys) = schema.fields().iter().find(|f| is_text(f.data_type())).and_then(|f| text(f.name()))
    else {
        return;
    };
    for field in schema.fields().iter().filter(|f| f.data_type().is_numeric() && has_year(f.name())) {
        let Some(figures) = number(field.name()) else { continue };
        for row in 0..batch.num_rows() {
            if keys.is_valid(row) && figures.is_valid(row) {
                values.push(FactorValue {
                    key: keys.as_string::<i32>().value(row).to_owned(),
                    edition: field.name().clone(),
                    value: figures.as_primitive::<Float64Type>().value(row),
                });
            }
        }
    }
}

/// Whether a name holds a year from 1990 to 2099 that is not part of a longer number.
fn has_year(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_digit())
        .any(|number| number.len() == 4 && (number.starts_with("199") || number.starts_with("20")))
}

/// The figures of the periods before, out of the evidence of their latest runs: always of the period just before,
/// of days further back while every run in between differs. Empty where there is none. They help to recognise values
/// that landed in a neighbouring period, and nothing else stands on them.
///
/// # Errors
/// The state database is away.
pub(crate) async fn neighbours(
    context: &Context,
    pipeline: &Pipeline,
    period: dualrun_core::Period,
    evidence: &Evidence,
) -> Result<Vec<Neighbour>, EngineError> {
    let back = if period.unit() == dualrun_core::PeriodUnit::Day { DAYS } else { 1 };
    let mut found = Vec::new();
    let mut at = period;
    for _ in 0..back {
        let Ok(before) = at.previous() else { break };
        let filter = RunFilter {
            pipeline: Some(pipeline.id.clone()),
            environment: Some(context.environment.clone()),
            period: Some(before),
            ..Default::default()
        };
        // An attempt that failed has no figures.
        let runs = context.state.runs(&filter).await?.into_iter().filter(|r| r.outcome != Outcome::Failed);
        let Some(run) = runs.max_by_key(|r| (r.as_of, r.recorded_at)) else { break };
        found.extend(figures_of(&run, pipeline, evidence).await);
        if run.report.outcome != Outcome::Differs || found.len() >= MOST_NEIGHBOURS {
            break;
        }
        at = before;
    }
    Ok(found)
}

/// The figures of one recorded run. Evidence may have been cleared away since: then there are none.
async fn figures_of(run: &RunRecord, pipeline: &Pipeline, evidence: &Evidence) -> Vec<Neighbour> {
    let Ok(Some(manifest)) = evidence.manifest(&run.evidence).await else { return Vec::new() };
    let widest = |side: Side| manifest.results.iter().filter(|r| r.side == side).max_by_key(|r| r.on.len());
    let barest = |side: Side| manifest.results.iter().filter(|r| r.side == side).min_by_key(|r| r.on.len());
    let (Some(legacy), Some(new)) = (widest(Side::Legacy), barest(Side::New)) else { return Vec::new() };
    let read = |path: String, hash: String| async move { evidence.read_parquet(&path, Some(&hash)).await };
    let (Ok(legacy), Ok(new)) = (
        read(legacy.path.clone(), legacy.sha256.clone()).await,
        read(new.path.clone(), new.sha256.clone()).await,
    ) else {
        return Vec::new();
    };
    let result = pipeline.result.compared();
    let Ok(common) = common_for_result(&legacy.0, &new.0, &result) else { return Vec::new() };
    let mut found: BTreeMap<(String, Vec<Option<String>>), Neighbour> = Default::default();
    for (side, batches) in [(Side::Legacy, &legacy.1), (Side::New, &new.1)] {
        let Ok(batches) = conformed(batches, &common) else { return Vec::new() };
        for batch in &batches {
            add_neighbours(batch, side, &common.spec.key, &result, &mut found);
        }
    }
    found.into_values().collect()
}

/// The changes that moved something in the runs of the same month, and those that could have, as (change, column).
/// Asked for on the last day of a month only, when promises are closed.
///
/// # Errors
/// The state database is away.
pub(crate) async fn moved_this_month(
    context: &Context,
    pipeline: &Pipeline,
    period: dualrun_core::Period,
) -> Result<Moved, EngineError> {
    let day = period.start();
    if period.unit() == dualrun_core::PeriodUnit::Month || day.last_of_month() != day {
        return Ok(Default::default());
    }
    let month = dualrun_core::Period::month_of(day);
    let filter = RunFilter {
        pipeline: Some(pipeline.id.clone()),
        environment: Some(context.environment.clone()),
        ..Default::default()
    };
    let runs = context.state.runs(&filter).await?;
    let bridges =
        runs.iter().filter(|run| month.contains(run.period.start())).flat_map(|run| &run.report.bridge);
    let [mut moved, mut eligible] = Moved::default();
    for entry in bridges {
        let cell = (entry.change.clone(), entry.column.clone());
        if entry.cells > 0 || entry.rows > 0 {
            moved.insert(cell);
        } else if entry.eligible_rows > 0 {
            eligible.insert(cell);
        }
    }
    Ok([moved, eligible])
}

fn add_neighbours(
    batch: &RecordBatch,
    side: Side,
    key: &[String],
    result: &dualrun_core::result::ResultDecl,
    found: &mut BTreeMap<(String, Vec<Option<String>>), Neighbour>,
) {
    let keys: Vec<Arc<dyn Array>> = key
        .iter()
        .filter_map(|name| batch.column_by_name(name).and_then(|c| cast(c, &DataType::Utf8).ok()))
        .collect();
    for name in result.measures.keys() {
        let Some(figures) = batch.column_by_name(name).and_then(|c| cast(c, &DataType::Float64).ok()) else {
            continue;
        };
        for row in 0..batch.num_rows() {
            let parts: Vec<Option<String>> = keys
                .iter()
                .map(|k| k.is_valid(row).then(|| k.as_string::<i32>().value(row).to_owned()))
                .collect();
            let value = figures.is_valid(row).then(|| figures.as_primitive::<Float64Type>().value(row));
            let slot = found.entry((name.clone(), parts.clone())).or_insert_with(|| Neighbour {
                column: name.clone(),
                key: parts,
                legacy: None,
                new: None,
            });
            match side {
                Side::Legacy => slot.legacy = value,
                Side::New => slot.new = value,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_year;

    #[test]
    fn a_column_is_an_edition_where_its_name_holds_a_year() {
        assert!(has_year("ember_2022_ed2023_04") && has_year("2024") && has_year("watts_2025"));
        assert!(!has_year("platform_memory_gb") && !has_year("value_20241") && !has_year("c6220"));
    }
}
