//! One side of the comparison: rows that are read range by range.

use std::{ops::Range, sync::Arc};

use arrow::{compute::concat_batches, datatypes::SchemaRef, record_batch::RecordBatch};
use dualrun_compare::{Aligner, Common, CompareError, KeyRows, conform_coded, conform_views};
use dualrun_core::input;
use dualrun_sources::ParquetScan;

use crate::error::StreamError;

/// Rows of a batch. Batches of both sides and what is made of them stay in the cache of a core.
pub(crate) const BATCH_ROWS: usize = 8192;

/// The rows of one side, in memory or as Parquet files that are read when they are needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Side {
    side: input::Side,
    rows: Rows,
    aligner: Option<Arc<Aligner>>,
    schema: SchemaRef,
}

#[derive(Debug, Clone)]
enum Rows {
    Scan(ParquetScan),
    Memory(Arc<Vec<RecordBatch>>),
}

/// The batches of a range, in the schema of the comparison.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, StreamError>> + Send>;

impl Side {
    /// Parquet files, normalised by an aligner while they are read.
    pub fn scan(side: input::Side, scan: ParquetScan, aligner: Option<Aligner>) -> Self {
        let schema = aligner.as_ref().map_or_else(|| Arc::clone(scan.schema()), Aligner::schema);
        Self { side, rows: Rows::Scan(scan), aligner: aligner.map(Arc::new), schema }
    }

    /// Rows in memory, aligned already.
    pub fn memory(side: input::Side, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let batches = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        Self { side, rows: Rows::Memory(Arc::new(batches)), aligner: None, schema }
    }

    /// The columns, after alignment.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        match &self.rows {
            Rows::Scan(scan) => scan.rows(),
            Rows::Memory(batches) => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        }
    }

    /// Where row groups begin: ranges that begin there are read fastest.
    pub(crate) fn boundaries(&self) -> Vec<u64> {
        match &self.rows {
            Rows::Scan(scan) => scan.groups().iter().map(|group| group.first_row).collect(),
            Rows::Memory(batches) => {
                let mut next = 0;
                batches
                    .iter()
                    .map(|batch| {
                        let first = next;
                        next += batch.num_rows() as u64;
                        first
                    })
                    .collect()
            }
        }
    }

    /// As [`Self::read`], texts as codes of a dictionary where they stand so.
    pub(crate) fn read_coded(&self, rows: Range<u64>, common: &Arc<Common>) -> Result<Batches, StreamError> {
        if self.aligner.is_some() {
            return self.read(rows, common);
        }
        let side = self.side;
        let failed = move |source| StreamError::Read { side, source };
        let columns = columns_of(common);
        let batches: Batches = match &self.rows {
            Rows::Scan(scan) => {
                let reader = scan.read_coded(rows, &columns, BATCH_ROWS).map_err(failed)?;
                Box::new(reader.map(move |batch| batch.map_err(failed)))
            }
            Rows::Memory(_) => self.batches(rows, &columns, BATCH_ROWS)?,
        };
        let common = Arc::clone(common);
        Ok(Box::new(batches.map(move |batch| conform_coded(&batch?, &common).map_err(StreamError::Compare))))
    }

    /// Some rows in the schema of the comparison, texts as views.
    pub(crate) fn read(&self, rows: Range<u64>, common: &Arc<Common>) -> Result<Batches, StreamError> {
        let columns: Vec<String> = match &self.aligner {
            // Rules may read columns that are not compared.
            Some(_) => self.all_columns(),
            None => columns_of(common),
        };
        let batches = self.batches(rows, &columns, BATCH_ROWS)?;
        let (aligner, common) = (self.aligner.clone(), Arc::clone(common));
        Ok(Box::new(batches.map(move |batch| {
            let batch = match &aligner {
                Some(aligner) => aligner.apply(&batch?).map_err(StreamError::Compare)?,
                None => batch?,
            };
            conform_views(&batch, &common).map_err(StreamError::Compare)
        })))
    }

    /// The keys of some rows.
    pub(crate) fn keys(&self, rows: Range<u64>, common: &Common) -> Result<KeyRows, StreamError> {
        let columns = if self.aligner.is_some() { self.all_columns() } else { common.spec.key.clone() };
        let size = usize::try_from(rows.end - rows.start).unwrap_or(BATCH_ROWS).max(1);
        let batches = self.batches(rows, &columns, size)?.collect::<Result<Vec<_>, _>>()?;
        let compare = |source: CompareError| StreamError::Compare(source);
        let Some(first) = batches.first() else {
            return KeyRows::new(&RecordBatch::new_empty(Arc::clone(&self.schema)), common).map_err(compare);
        };
        let whole = concat_batches(&first.schema(), &batches).map_err(|e| compare(e.into()))?;
        let aligned = match &self.aligner {
            Some(aligner) => aligner.apply(&whole).map_err(compare)?,
            None => whole,
        };
        KeyRows::new(&aligned, common).map_err(compare)
    }

    fn all_columns(&self) -> Vec<String> {
        let schema = match &self.rows {
            Rows::Scan(scan) => scan.schema(),
            Rows::Memory(_) => &self.schema,
        };
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Rows as they were read, before alignment.
    fn batches(&self, rows: Range<u64>, columns: &[String], size: usize) -> Result<Batches, StreamError> {
        let side = self.side;
        match &self.rows {
            Rows::Scan(scan) => {
                let failed = move |source| StreamError::Read { side, source };
                let reader = scan.read(rows, columns, size).map_err(failed)?;
                Ok(Box::new(reader.map(move |batch| batch.map_err(failed))))
            }
            Rows::Memory(batches) => {
                let batches = Arc::clone(batches);
                let mut pieces = Vec::new();
                let mut first = 0u64;
                for (number, batch) in batches.iter().enumerate() {
                    let end = first + batch.num_rows() as u64;
                    let (from, to) = (rows.start.max(first), rows.end.min(end));
                    // Differences between rows of one batch fit in its length.
                    let mut at = from;
                    while at < to {
                        let length = (to - at).min(size as u64);
                        pieces.push((number, (at - first) as usize, length as usize));
                        at += length;
                    }
                    first = end;
                }
                Ok(Box::new(
                    pieces.into_iter().map(move |(number, at, length)| Ok(batches[number].slice(at, length))),
                ))
            }
        }
    }
}

fn columns_of(common: &Common) -> Vec<String> {
    common.schema.fields().iter().map(|field| field.name().clone()).collect()
}
