//! From what a calculation gives to a result that can be compared: aligned, within the period, at the grain of
//! the comparison, sorted.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, AsArray, BooleanArray, Date32Array},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::{datasource::MemTable, error::DataFusionError};
use dualrun_compare::{CompareError, align::Aligner, sort::sort_batches};
use dualrun_core::{Period, input::Side, period::time_zone, result::PeriodDecl, run::CheckReport};
use dualrun_mapping::plan::{Check, Pipeline};

use crate::{
    calculate::{Runtime, days_since_epoch, queries_only},
    error::EngineError,
};

/// The rows of one side for one period.
#[derive(Debug, Clone)]
pub struct SideResult {
    /// After alignment.
    pub schema: SchemaRef,
    /// Sorted by the grain.
    pub batches: Vec<RecordBatch>,
    /// Rows that the calculation gave outside of the period.
    pub outside: u64,
}

impl SideResult {
    /// Rows within the period.
    pub fn rows(&self) -> u64 {
        self.batches.iter().map(|b| b.num_rows() as u64).sum()
    }
}

/// Aligns a result, keeps the rows of the period, and brings it to the grain of the comparison.
///
/// # Errors
/// A rule that does not fit, a column that is missing, values that do not cast.
pub async fn finish(
    runtime: &Runtime,
    pipeline: &Pipeline,
    side: Side,
    period: Period,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<SideResult, EngineError> {
    let compare = |source| EngineError::Compare { pipeline: pipeline.id.to_string(), source };
    let aligner = Aligner::new(&pipeline.align, side, schema).map_err(compare)?;
    let mut schema = aligner.schema();
    let mut kept = Vec::with_capacity(batches.len());
    let mut outside = 0;
    for batch in &batches {
        let batch = aligner.apply(batch).map_err(compare)?;
        check_period(&batch, &pipeline.result.period, side)?;
        let inside = within(&batch, &pipeline.result.period, period, side).map_err(compare)?;
        outside += (inside.len() - inside.true_count()) as u64;
        let batch = filter_record_batch(&batch, &inside).map_err(|e| compare(CompareError::from(e)))?;
        schema = batch.schema();
        if batch.num_rows() > 0 {
            kept.push(batch);
        }
    }
    let grain = if pipeline.result.compare_at.is_empty() {
        &pipeline.result.grain
    } else {
        let (at, rows) = coarser(runtime, pipeline, side, schema, kept).await?;
        (schema, kept) = (at, rows);
        &pipeline.result.compare_at
    };
    let batches = sort_batches(&kept, grain).map_err(compare)?;
    Ok(SideResult { schema, batches, outside })
}

/// Runs the data checks of one side.
///
/// # Errors
/// A check that cannot be planned or that does not count.
pub async fn check(
    runtime: &Runtime,
    checks: &[Check],
    side: Side,
    result: &SideResult,
) -> Result<Vec<CheckReport>, EngineError> {
    let mut reports = Vec::new();
    for check in checks.iter().filter(|c| c.side == side) {
        let failed = |source| EngineError::Check { name: check.name.clone(), side, source };
        let counted = count(runtime, result, &check.sql).await.map_err(failed)?;
        reports.push(CheckReport {
            name: check.name.clone(),
            side: side.as_str().to_owned(),
            passed: counted == 0,
            count: counted,
        });
    }
    Ok(reports)
}

/// Sums of the measures that the result has, as text.
///
/// # Errors
/// A measure that is not a number.
pub async fn totals(
    runtime: &Runtime,
    result: &SideResult,
    measures: &[&String],
) -> Result<BTreeMap<String, String>, EngineError> {
    let present: Vec<&String> =
        measures.iter().copied().filter(|m| result.schema.field_with_name(m).is_ok()).collect();
    let sums: Vec<String> = present.iter().map(|m| format!("sum(\"{}\")", m.replace('"', "\"\""))).collect();
    if sums.is_empty() {
        return Ok(BTreeMap::new());
    }
    let run = async {
        let session = runtime.session();
        let table = MemTable::try_new(Arc::clone(&result.schema), vec![result.batches.clone()])?;
        session.register_table("result", Arc::new(table))?;
        let batches =
            session.sql(&format!("select {} from result", sums.join(", "))).await?.collect().await?;
        let mut totals = BTreeMap::new();
        for (n, measure) in present.iter().enumerate() {
            let Some(batch) = batches.first() else { continue };
            let text = cast(batch.column(n), &DataType::Utf8)?;
            let text = arrow::array::AsArray::as_string::<i32>(&text);
            let total = if text.is_null(0) { "0" } else { text.value(0) };
            totals.insert((*measure).clone(), total.to_owned());
        }
        Ok::<_, DataFusionError>(totals)
    };
    run.await.map_err(|source| EngineError::Calculate { file: "totals".into(), source })
}

async fn count(runtime: &Runtime, result: &SideResult, sql: &str) -> Result<i64, DataFusionError> {
    let session = runtime.session();
    let table = MemTable::try_new(Arc::clone(&result.schema), vec![result.batches.clone()])?;
    session.register_table("result", Arc::new(table))?;
    let batches = session.sql_with_options(sql, queries_only()).await?.collect().await?;
    let cell = batches.iter().find(|b| b.num_rows() > 0 && b.num_columns() > 0).map(|b| b.column(0));
    let Some(cell) = cell else {
        return Err(DataFusionError::Plan("the check gives no row; it must count what is wrong".into()));
    };
    let numbers = cast(cell, &DataType::Int64)?;
    let numbers = datafusion::common::cast::as_int64_array(&numbers)?;
    if numbers.is_null(0) {
        return Err(DataFusionError::Plan("the check gives null; it must count what is wrong".into()));
    }
    Ok(numbers.value(0))
}

/// Sums the measures at `compare_at`; attributes are compared where all rows of a group agree, else they are null.
async fn coarser(
    runtime: &Runtime,
    pipeline: &Pipeline,
    side: Side,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let keys: Vec<String> = pipeline.result.compare_at.iter().map(|k| quoted(k)).collect();
    let mut columns = keys.clone();
    for (name, measure) in &pipeline.result.measures {
        if measure.side.is_none_or(|s| s == side) {
            columns.push(format!("sum({0}) as {0}", quoted(name)));
        }
    }
    for name in pipeline.result.attributes.keys() {
        let name = quoted(name);
        columns.push(format!("case when min({name}) = max({name}) then min({name}) end as {name}"));
    }
    let sql = format!("select {} from result group by {}", columns.join(", "), keys.join(", "));
    let run = async {
        let session = runtime.session();
        let table = MemTable::try_new(Arc::clone(&schema), vec![batches])?;
        session.register_table("result", Arc::new(table))?;
        let frame = session.sql(&sql).await?;
        let schema = Arc::clone(frame.schema().inner());
        let batches = frame.collect().await?;
        Ok::<_, DataFusionError>((batches.first().map_or(schema, RecordBatch::schema), batches))
    };
    run.await
        .map_err(|source| EngineError::Calculate { file: format!("compare_at of {}", pipeline.id), source })
}

/// Which rows lie in the period, by the period column: a date, a text (`2025-03-01`, `2025-03`), a timestamp without
/// a zone, or an instant, which lies in the day of the declared time zone.
/// A text in the period column must be a day or a month: any other text would leave every row out.
fn check_period(batch: &RecordBatch, declared: &PeriodDecl, side: Side) -> Result<(), EngineError> {
    let Some(array) = batch.column_by_name(&declared.column) else { return Ok(()) };
    if !matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return Ok(());
    }
    let wrong = || EngineError::PeriodColumn { column: declared.column.clone(), side };
    let texts = cast(array, &DataType::Utf8).map_err(|_| wrong())?;
    let texts = arrow::array::AsArray::as_string::<i32>(&texts);
    let known = |text: &str| {
        let day = text.get(..10).unwrap_or(text);
        day.parse::<Period>().is_ok() || text.parse::<Period>().is_ok()
    };
    if texts.iter().flatten().all(known) { Ok(()) } else { Err(wrong()) }
}

pub(crate) fn within(
    batch: &RecordBatch,
    declared: &PeriodDecl,
    period: Period,
    side: Side,
) -> Result<BooleanArray, CompareError> {
    let Some(array) = batch.column_by_name(&declared.column) else {
        return Err(CompareError::MissingColumn { side: Some(side), column: declared.column.clone() });
    };
    if matches!(array.data_type(), DataType::Timestamp(_, Some(_)))
        && let Ok((start, end)) = time_zone(&declared.time_zone).and_then(|zone| period.instants(&zone))
    {
        let instants = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let inside = start.as_microsecond()..end.as_microsecond();
        return Ok(instants.iter().map(|at| Some(at.is_some_and(|at| inside.contains(&at)))).collect());
    }
    if matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let texts = cast(array, &DataType::Utf8)?;
        let texts = arrow::array::AsArray::as_string::<i32>(&texts);
        let wanted = period.to_string();
        return Ok(texts
            .iter()
            .map(|text| {
                // A day within a month counts to the month, as a date would.
                Some(text.is_some_and(|t| t == wanted || (t.len() > wanted.len() && t.starts_with(&wanted))))
            })
            .collect());
    }
    let days = cast(array, &DataType::Date32)?;
    let days = days
        .as_any()
        .downcast_ref::<Date32Array>()
        .cloned()
        .unwrap_or_else(|| Date32Array::from(Vec::<i32>::new()));
    let first = days_since_epoch(period.start());
    let end = period.end().map(days_since_epoch).unwrap_or(i32::MAX);
    Ok(days.iter().map(|day| Some(day.is_some_and(|d| first <= d && d < end))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{ArrayRef, StringArray, TimestampMicrosecondArray},
        datatypes::{Field, Schema},
    };

    fn batch(array: ArrayRef) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("day", array.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap()
    }

    fn by(column: &str) -> PeriodDecl {
        PeriodDecl {
            column: column.into(),
            unit: dualrun_core::PeriodUnit::Month,
            time_zone: "Europe/Paris".into(),
            recompute: 0,
        }
    }

    #[test]
    fn an_instant_lies_in_the_period_of_the_declared_zone() {
        let period: Period = "2025-03".parse().unwrap();
        let at = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let instants = TimestampMicrosecondArray::from(vec![
            at("2025-02-28T22:59:59Z"),
            at("2025-02-28T23:00:00Z"),
            at("2025-03-31T21:59:59Z"),
            at("2025-03-31T22:00:00Z"),
            None,
        ]);
        let kept =
            within(&batch(Arc::new(instants.with_timezone("UTC"))), &by("day"), period, Side::New).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, true, false, false]));
    }

    #[test]
    fn rows_outside_of_the_period_are_left_out_whatever_the_columns_type() {
        let period: Period = "2025-03".parse().unwrap();
        let first = days_since_epoch(jiff::civil::date(2025, 3, 1));
        let dates = batch(Arc::new(Date32Array::from(vec![
            Some(first - 1),
            Some(first),
            Some(first + 30),
            Some(first + 31),
            None,
        ])));
        let kept = within(&dates, &by("day"), period, Side::New).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, true, false, false]));
        let texts = batch(Arc::new(StringArray::from(vec![
            Some("2025-03"),
            Some("2025-03-31"),
            Some("2025-04"),
            None,
        ])));
        let kept = within(&texts, &by("day"), period, Side::New).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![true, true, false, false]));
        assert!(within(&texts, &by("month"), period, Side::New).is_err());
    }
}
