//! One key of all replays as plain figures.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use dualrun_compare::{
    merge::{Group, RowRef},
    spec::{CompareKind, CompareSpec},
};

use super::Promised;
use crate::error::ExplainError;

/// Reads rows; casts each batch once.
pub(super) struct Reader {
    measures: Vec<String>,
    attributes: Vec<String>,
    customer: Option<String>,
    flags: Vec<Option<String>>,
    calculations: usize,
    has_flags: bool,
    batches: Vec<Option<Batch>>,
    flag_batch: Option<(Arc<RecordBatch>, Vec<Option<BooleanArray>>)>,
    row: Row,
}

/// One key: figures by measure and replay.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// By replay.
    pub(super) present: Vec<bool>,
    /// By measure, then replay; 0 where the row or its figure is absent.
    pub(super) figures: Vec<Vec<f64>>,
    /// By attribute, then replay.
    pub(super) texts: Vec<Vec<Option<String>>>,
    /// By promise: whether the row lies inside its `where`.
    pub(super) inside: Vec<bool>,
    /// The customer.
    pub(super) customer: Option<String>,
}

struct Batch {
    of: Arc<RecordBatch>,
    measures: Vec<Float64Array>,
    /// `None` where the type of the attribute has no text.
    attributes: Vec<Option<StringArray>>,
    customer: Option<StringArray>,
}

impl Reader {
    pub(super) fn new(
        spec: &CompareSpec,
        promised: &[Promised],
        calculations: usize,
        has_flags: bool,
    ) -> Self {
        let named = |measure: bool| -> Vec<String> {
            let of_kind =
                spec.columns.iter().filter(|c| matches!(c.kind, CompareKind::Measure { .. }) == measure);
            of_kind.map(|c| c.name.clone()).collect()
        };
        let (measures, attributes) = (named(true), named(false));
        let row = Row {
            present: vec![false; calculations],
            figures: vec![vec![0.0; calculations]; measures.len()],
            texts: vec![vec![None; calculations]; attributes.len()],
            inside: vec![false; promised.len()],
            customer: None,
        };
        Self {
            measures,
            attributes,
            customer: spec.customer.clone(),
            flags: promised.iter().map(|p| p.flag.clone()).collect(),
            calculations,
            has_flags,
            batches: (0..calculations).map(|_| None).collect(),
            flag_batch: None,
            row,
        }
    }

    /// The figures of a key that no replay has twice.
    pub(super) fn read(&mut self, group: &Group) -> Result<&Row, ExplainError> {
        let mut customer = None;
        for replay in 0..self.calculations {
            let source = group.single(replay);
            self.row.present[replay] = source.is_some();
            let batch = match source {
                Some(source) => Some((self.batch(replay, source)?, source.row)),
                None => None,
            };
            // The batch is borrowed from the cache: take what is needed before the row is written.
            let Some((batch, at)) = batch else {
                self.row.figures.iter_mut().for_each(|figures| figures[replay] = 0.0);
                self.row.texts.iter_mut().for_each(|texts| texts[replay] = None);
                continue;
            };
            let Some(batch) = self.batches.get(batch).and_then(Option::as_ref) else { continue };
            for (figures, column) in self.row.figures.iter_mut().zip(&batch.measures) {
                figures[replay] = if column.is_null(at) { 0.0 } else { column.value(at) };
            }
            for (texts, column) in self.row.texts.iter_mut().zip(&batch.attributes) {
                texts[replay] = column.as_ref().and_then(|c| text(c, at));
            }
            if customer.is_none() {
                customer = batch.customer.as_ref().and_then(|c| text(c, at));
            }
        }
        self.row.customer = customer;
        self.read_flags(group)?;
        Ok(&self.row)
    }

    fn read_flags(&mut self, group: &Group) -> Result<(), ExplainError> {
        let rows = if self.has_flags { group.rows.get(self.calculations).map(Vec::as_slice) } else { None };
        for (inside, flag) in self.row.inside.iter_mut().zip(&self.flags) {
            *inside = flag.is_none();
        }
        for row in rows.unwrap_or_default() {
            if self.flag_batch.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, &row.batch)) {
                let columns = self
                    .flags
                    .iter()
                    .map(|flag| flag.as_deref().map(|f| booleans(&row.batch, f)).transpose());
                self.flag_batch = Some((Arc::clone(&row.batch), columns.collect::<Result<_, _>>()?));
            }
            let Some((_, columns)) = &self.flag_batch else { continue };
            for (inside, column) in self.row.inside.iter_mut().zip(columns) {
                *inside |= column.as_ref().is_some_and(|c| !c.is_null(row.row) && c.value(row.row));
            }
        }
        Ok(())
    }

    /// Casts the batch of a row unless it is the one at hand; answers with its place in the cache.
    fn batch(&mut self, replay: usize, row: &RowRef) -> Result<usize, ExplainError> {
        if self.batches[replay].as_ref().is_none_or(|b| !Arc::ptr_eq(&b.of, &row.batch)) {
            let batch = Batch {
                of: Arc::clone(&row.batch),
                measures: self.measures.iter().map(|m| floats(&row.batch, m)).collect::<Result<_, _>>()?,
                attributes: self
                    .attributes
                    .iter()
                    .map(|a| column(&row.batch, a).map(|c| cast(c, &DataType::Utf8).ok().and_then(strings)))
                    .collect::<Result<_, _>>()?,
                customer: match &self.customer {
                    Some(name) => typed(&row.batch, name, &DataType::Utf8, "text")?.and_then(strings),
                    None => None,
                },
            };
            self.batches[replay] = Some(batch);
        }
        Ok(replay)
    }
}

fn text(column: &StringArray, at: usize) -> Option<String> {
    (!column.is_null(at)).then(|| column.value(at).to_owned())
}

fn strings(array: ArrayRef) -> Option<StringArray> {
    array.as_any().downcast_ref::<StringArray>().cloned()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ExplainError> {
    batch.column_by_name(name).ok_or_else(|| ExplainError::MissingColumn(name.to_owned()))
}

fn typed(
    batch: &RecordBatch,
    name: &str,
    to: &DataType,
    wanted: &'static str,
) -> Result<Option<ArrayRef>, ExplainError> {
    let source = column(batch, name)?;
    cast(source, to).map(Some).map_err(|source| ExplainError::Type {
        column: name.to_owned(),
        wanted,
        source,
    })
}

fn floats(batch: &RecordBatch, name: &str) -> Result<Float64Array, ExplainError> {
    let column = batch.column_by_name(name).ok_or_else(|| ExplainError::MissingColumn(name.to_owned()))?;
    // A column of integers against floats holds both parts of its exact value; its nearest float is what is divided.
    dualrun_compare::nearest_floats(column).map_err(|source| ExplainError::Type {
        column: name.to_owned(),
        wanted: "a number",
        source,
    })
}

fn booleans(batch: &RecordBatch, name: &str) -> Result<BooleanArray, ExplainError> {
    typed(batch, name, &DataType::Boolean, "true or false")?
        .and_then(|array| array.as_any().downcast_ref::<BooleanArray>().cloned())
        .ok_or_else(|| ExplainError::MissingColumn(name.to_owned()))
}
