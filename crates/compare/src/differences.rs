//! The stored differences: one row a cell that is neither equal nor within tolerance.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Float64Builder, StringBuilder},
    compute::interleave,
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use dualrun_core::Verdict;

use crate::{error::CompareError, merge::RowRef, schema::Common};

/// Rows of one batch that is given to the sink.
const BATCH_ROWS: usize = 8192;

/// The columns behind the key columns.
pub(crate) const FIXED_COLUMNS: [&str; 14] = [
    "column",
    "kind",
    "verdict",
    "difference_kind",
    "side",
    "legacy",
    "new",
    "legacy_value",
    "new_value",
    "without_changes",
    "with_fixes",
    "difference",
    "relative",
    "unexplained",
];
const TEXTS: usize = 7;

/// Takes the differences as they are found.
pub trait DifferenceSink {
    /// Takes one batch with [`differences_schema`].
    ///
    /// # Errors
    /// The batch could not be written; the comparison stops.
    fn write(&mut self, batch: RecordBatch) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl DifferenceSink for Vec<RecordBatch> {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.push(batch);
        Ok(())
    }
}

/// The key columns of the comparison, then
///
/// | column | what it says |
/// |---|---|
/// | `column` | the measure or attribute; `presence` for a row on one side only, `key` for an ambiguous key |
/// | `kind` | `measure`, `attribute`, `presence`, `ambiguous_key` |
/// | `verdict` | `explained`, `pending`, `unexplained` |
/// | `difference_kind` | `value`, `null_vs_value`, `value_vs_null`, `nan_vs_value`, `value_vs_nan`, `null_vs_nan`, `nan_vs_null`, `infinite`, `presence`, `ambiguous_key` |
/// | `side` | which side has the row: `both`, `legacy`, `new` |
/// | `legacy`, `new` | the values as exact text; null for null and for an absent row. Rows of the key for an ambiguous key |
/// | `legacy_value`, `new_value` | the values as floats; an absent row counts 0; null where not a finite number |
/// | `without_changes` | v(∅), the new result under the old method |
/// | `with_fixes` | w(all), the legacy result with all declared fixes |
/// | `difference` | new − legacy; null counts 0 |
/// | `relative` | its size over the larger magnitude |
/// | `unexplained` | U = v(∅) − w(all) |
///
/// A row on one side only has one row for its presence and one for each measure.
pub fn differences_schema(common: &Common) -> SchemaRef {
    let mut fields: Vec<Field> =
        common.schema.fields().iter().take(common.spec.key.len()).map(|f| f.as_ref().clone()).collect();
    for (position, name) in FIXED_COLUMNS.iter().enumerate() {
        let (data_type, nullable) = match position {
            0..5 => (DataType::Utf8, false),
            5..TEXTS => (DataType::Utf8, true),
            _ => (DataType::Float64, true),
        };
        fields.push(Field::new(*name, data_type, nullable));
    }
    Arc::new(Schema::new(fields))
}

/// One row of the differences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Difference<'a> {
    pub(crate) column: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) difference_kind: &'static str,
    pub(crate) side: &'static str,
    pub(crate) legacy: Option<String>,
    pub(crate) new: Option<String>,
    pub(crate) legacy_value: Option<f64>,
    pub(crate) new_value: Option<f64>,
    pub(crate) without_changes: Option<f64>,
    pub(crate) with_fixes: Option<f64>,
    pub(crate) difference: Option<f64>,
    pub(crate) relative: Option<f64>,
    pub(crate) unexplained: Option<f64>,
}

/// Collects differences and hands them to the sink batch by batch.
pub(crate) struct Writer<'a> {
    sink: &'a mut dyn DifferenceSink,
    schema: SchemaRef,
    key: Vec<String>,
    limit: Option<u64>,
    pub(crate) written: u64,
    pub(crate) truncated: bool,
    sources: Vec<Arc<RecordBatch>>,
    rows: Vec<(usize, usize)>,
    texts: [StringBuilder; TEXTS],
    numbers: [Float64Builder; FIXED_COLUMNS.len() - TEXTS],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(common: &Common, limit: Option<u64>, sink: &'a mut dyn DifferenceSink) -> Self {
        Self {
            sink,
            schema: differences_schema(common),
            key: common.spec.key.clone(),
            limit,
            written: 0,
            truncated: false,
            sources: Vec::new(),
            rows: Vec::new(),
            texts: Default::default(),
            numbers: Default::default(),
        }
    }

    /// Whether the cap is reached, so that nothing more is stored.
    pub(crate) fn is_full(&mut self) -> bool {
        let full = self.limit.is_some_and(|limit| self.written >= limit);
        self.truncated |= full;
        full
    }

    pub(crate) fn push(
        &mut self,
        key: &RowRef,
        verdict: Verdict,
        row: Difference<'_>,
    ) -> Result<(), CompareError> {
        if self.is_full() {
            return Ok(());
        }
        self.written += 1;
        let known = self.sources.iter().rposition(|b| Arc::ptr_eq(b, &key.batch));
        let source = known.unwrap_or_else(|| {
            self.sources.push(Arc::clone(&key.batch));
            self.sources.len() - 1
        });
        self.rows.push((source, key.row));
        let texts = [
            Some(row.column),
            Some(row.kind),
            Some(verdict.as_str()),
            Some(row.difference_kind),
            Some(row.side),
            row.legacy.as_deref(),
            row.new.as_deref(),
        ];
        self.texts.iter_mut().zip(texts).for_each(|(builder, text)| builder.append_option(text));
        let numbers = [
            row.legacy_value,
            row.new_value,
            row.without_changes,
            row.with_fixes,
            row.difference,
            row.relative,
            row.unexplained,
        ];
        self.numbers.iter_mut().zip(numbers).for_each(|(builder, number)| builder.append_option(number));
        if self.rows.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Gives what is left to the sink.
    pub(crate) fn flush(&mut self) -> Result<(), CompareError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for name in &self.key {
            let sources: Option<Vec<&dyn Array>> =
                self.sources.iter().map(|b| b.column_by_name(name).map(AsRef::as_ref)).collect();
            let missing = || CompareError::MissingColumn { side: None, column: name.clone() };
            columns.push(interleave(&sources.ok_or_else(missing)?, &self.rows)?);
        }
        columns.extend(self.texts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.numbers.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        self.sources.clear();
        self.rows.clear();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.sink.write(batch).map_err(CompareError::Sink)
    }
}
