//! Under the old method the new calculation gives the legacy result: row by row, within the declared tolerances.

use std::convert::Infallible;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    record_batch::RecordBatch,
};
use dualrun_compare::{
    Common, CompareError, Options, Parts, Relation, common_for_result, compare, conform, sort_batches,
    text::value_text,
};
use dualrun_engine::results::SideResult;
use dualrun_mapping::plan::Pipeline;

/// The cells that differ, one text each.
pub(crate) fn differences(
    pipeline: &Pipeline,
    legacy: &SideResult,
    new: &SideResult,
) -> Result<Vec<String>, String> {
    let mut declared = pipeline.result.clone();
    if !declared.compare_at.is_empty() {
        declared.grain.clone_from(&declared.compare_at);
    }
    let compared = || {
        let common = common_for_result(&legacy.schema, &new.schema, &declared)?;
        let relations = vec![relation(legacy, &common)?, relation(new, &common)?];
        let mut found: Vec<RecordBatch> = Vec::new();
        compare(&common, Parts::PLAIN, relations, &Options::default(), &mut found)?;
        Ok::<_, CompareError>(found)
    };
    let found = compared().map_err(|e| e.to_string())?;
    Ok(found.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| cells(batch, row))).collect())
}

fn relation(side: &SideResult, common: &Common) -> Result<Relation<Infallible>, CompareError> {
    let batches = side.batches.iter().map(|b| conform(b, common)).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(sort_batches(&batches, &common.spec.key)?.into_iter().map(Ok)))
}

/// `name=value` of every column of a row that is not null; of a compared column what its document holds.
fn cells(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let mut texts = Vec::new();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let name = field.name();
        match array.as_struct_opt() {
            Some(cell) if cell.is_valid(row) => {
                let parts = cell.fields().iter().zip(cell.columns());
                texts.extend(
                    parts.filter_map(|(part, array)| named(&format!("{name}.{}", part.name()), array, row)),
                );
            }
            Some(_) => {}
            None => texts.extend(named(name, array, row)),
        }
    }
    texts.join(" ")
}

fn named(name: &str, array: &ArrayRef, row: usize) -> Option<String> {
    Some(format!("{name}={}", value_text(array, row).ok()??))
}
