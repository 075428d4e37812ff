//! Floats beside decimals of the other side.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef},
};

use crate::{InputTable, SourceError, number::Decimal};

/// Makes decimals of the float columns among `names`, those that the other side's report lists as exact numbers: beside
/// a decimal a float counts as rounded, which would hide a difference of whole numbers. Each float becomes its shortest
/// decimal; a column that does not fit into 38 digits stays as it is.
///
/// # Errors
/// Rows that cannot be put together again.
pub fn exact_beside(table: &mut InputTable, names: &[String]) -> Result<(), SourceError> {
    for name in names {
        let Ok(at) = table.schema.index_of(name) else { continue };
        if table.schema.field(at).data_type() != &DataType::Float64 {
            continue;
        }
        let columns: Vec<ArrayRef> = table.batches.iter().map(|b| Arc::clone(b.column(at))).collect();
        let Some((scale, decimals)) = decimals(&columns) else { continue };
        let mut fields: Vec<Field> = table.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields[at] = Field::new(name, DataType::Decimal128(38, scale), true);
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        for (batch, decimals) in table.batches.iter_mut().zip(decimals) {
            let mut arrays = batch.columns().to_vec();
            arrays[at] = Arc::new(decimals.with_precision_and_scale(38, scale)?);
            *batch = arrow::array::RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        }
        table.schema = schema;
    }
    Ok(())
}

/// The scale that all values need, and the values with it.
fn decimals(columns: &[ArrayRef]) -> Option<(i8, Vec<Decimal128Array>)> {
    let floats = || columns.iter().map(|c| c.as_primitive::<Float64Type>());
    let mut scale = 0;
    for value in floats().flat_map(|array| array.iter().flatten()) {
        scale = scale.max(Decimal::shortest(value)?.width().1);
    }
    let scale = i8::try_from(scale).ok().filter(|s| *s <= 38)?;
    let decimals: Vec<Decimal128Array> = floats()
        .map(|array| {
            let value = |v: f64| Decimal::shortest(v).and_then(|d| d.unscaled(38, scale));
            array.iter().map(|v| v.and_then(value)).collect()
        })
        .collect();
    let kept = floats().zip(&decimals).all(|(from, to)| from.null_count() == to.null_count());
    kept.then_some((scale, decimals))
}
