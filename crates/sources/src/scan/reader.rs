//! The rows of a scan, batch by batch.

use std::{ops::Range, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy,
        RowSelector,
    },
};

use super::{
    ParquetScan,
    chunks::Chunks,
    coded,
    columns::{self, Moves},
    file::{NONSENSE, ScanFile, damaged},
    guard::guarded,
    remote::Plan,
};
use crate::SourceError;

/// A range of a remote file's row group with at most so many rows is fetched page by page, not in blocks.
const FEW_ROWS: u64 = 4096;

/// Some rows and columns of a scan, as record batches in the order of the rows.
///
/// A blocking iterator: it reads files and waits for the answers of a remote store. Run it on a thread of its own or
/// inside of `spawn_blocking`, never directly in an async task. After an error it ends.
///
/// Columns come in the order in which they were asked for, with the types of [`ParquetScan::schema`], text as
/// [`arrow::datatypes::DataType::Utf8View`]. A batch never crosses a row group.
pub struct ScanReader {
    scan: ParquetScan,
    names: Vec<String>,
    schema: SchemaRef,
    batch_rows: usize,
    texts: Texts,
    /// What has not been opened yet.
    rest: Range<u64>,
    /// The row group of the first row of `rest`.
    group: usize,
    open: Option<Open>,
}

/// How text columns come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// As views.
    Views,
    /// As codes of a dictionary where the file holds them so, as views elsewhere.
    Coded,
}

/// The row group that is being read.
struct Open {
    file: usize,
    chunks: Chunks,
    reader: ParquetRecordBatchReader,
    moves: Moves,
    /// The schema of its batches.
    schema: SchemaRef,
    /// Rows that are still to come.
    left: u64,
}

impl ScanReader {
    pub(super) fn new(
        scan: ParquetScan,
        rows: Range<u64>,
        columns: &[String],
        batch_rows: usize,
        texts: Texts,
    ) -> Result<Self, SourceError> {
        if rows.start > rows.end || rows.end > scan.rows() {
            return Err(SourceError::Config(format!(
                "rows {} to {} do not exist, there are {}",
                rows.start,
                rows.end,
                scan.rows()
            )));
        }
        let schema = scan.inner.columns.select(columns)?;
        let group = scan.groups().partition_point(|g| g.first_row + g.rows <= rows.start);
        let (names, batch_rows) = (columns.to_vec(), batch_rows.max(1));
        Ok(Self { scan, names, schema, batch_rows, texts, rest: rows, group, open: None })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let file = &self.scan.inner.files[open.file];
            let broken = |what: String| {
                open.chunks
                    .failure()
                    .unwrap_or_else(|| damaged(file.name(), format!("damaged Parquet data: {what}")))
            };
            let Some(next) = guarded(|| open.reader.next()) else { return Err(broken(NONSENSE.to_owned())) };
            match next {
                Some(Ok(batch)) => {
                    let rows = batch.num_rows() as u64;
                    open.left = open
                        .left
                        .checked_sub(rows)
                        .ok_or_else(|| broken("a row group has more rows than the footer says".to_owned()))?;
                    return columns::apply(&open.moves, &batch, &open.schema, file.name()).map(Some);
                }
                Some(Err(error)) => return Err(broken(error.to_string())),
                None if open.left > 0 => {
                    return Err(broken("a row group has fewer rows than the footer says".to_owned()));
                }
                None => self.open = None,
            }
        }
    }

    /// Opens the next row group; false where there is none.
    fn open_next(&mut self) -> Result<bool, SourceError> {
        while !self.rest.is_empty() {
            let Some(group) = self.scan.groups().get(self.group).copied() else { return Ok(false) };
            self.group += 1;
            let end = (group.first_row + group.rows).min(self.rest.end);
            let (skipped, rows) = (self.rest.start - group.first_row, end.saturating_sub(self.rest.start));
            self.rest.start = end.max(self.rest.start);
            if rows == 0 {
                continue;
            }
            let file = &self.scan.inner.files[group.file];
            let whole = rows == group.rows;
            let part = Part { group: group.index, skipped, rows, whole, texts: self.texts };
            self.open = Some(part.open(file, group.file, &self.names, &self.schema, self.batch_rows)?);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for ScanReader {
    type Item = Result<RecordBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.open = None;
            self.rest.start = self.rest.end;
        }
        next.transpose()
    }
}

/// Rows of one row group of a file.
struct Part {
    group: usize,
    skipped: u64,
    rows: u64,
    whole: bool,
    texts: Texts,
}

impl Part {
    fn open(
        &self,
        file: &ScanFile,
        number: usize,
        names: &[String],
        schema: &SchemaRef,
        batch_rows: usize,
    ) -> Result<Open, SourceError> {
        let roots = file.parquet().parquet_schema().root_schema().get_fields();
        let places = (0..roots.len()).filter(|i| names.iter().any(|n| n == roots[*i].name()));
        let mask = ProjectionMask::roots(file.parquet().parquet_schema(), places);
        let projected: Vec<String> = file
            .schema()
            .fields()
            .iter()
            .filter(|f| names.contains(f.name()))
            .map(|f| f.name().clone())
            .collect();
        let chunks = file.chunks(|| self.plan(file, &mask))?;
        let coded = match self.texts {
            Texts::Views => None,
            Texts::Coded => coded::metadata(file, self.group, names),
        };
        let metadata = coded.unwrap_or_else(|| file.parquet().clone());
        let stored = Arc::clone(metadata.schema());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), metadata)
            .with_row_groups(vec![self.group])
            .with_projection(mask)
            .with_batch_size(batch_rows);
        if !self.whole {
            let count = |rows: u64| {
                usize::try_from(rows).map_err(|_| damaged(file.name(), "a row group has too many rows"))
            };
            let selection = RowSelection::from(vec![
                RowSelector::skip(count(self.skipped)?),
                RowSelector::select(count(self.rows)?),
            ]);
            builder = builder
                .with_row_selection(selection)
                .with_row_selection_policy(RowSelectionPolicy::Selectors);
        }
        let built = guarded(|| builder.build().map_err(|error| error.to_string()));
        let reader = built.unwrap_or_else(|| Err(NONSENSE.to_owned())).map_err(|what| {
            let damage = damaged(file.name(), format!("damaged Parquet data: {what}"));
            chunks.failure().unwrap_or(damage)
        })?;
        let schema = coded::schema(schema, &stored);
        let moves = columns::moves(file, &projected, &schema, &stored);
        Ok(Open { file: number, chunks, reader, moves, schema, left: self.rows })
    }

    /// What of a remote file is fetched.
    fn plan(&self, file: &ScanFile, mask: &ProjectionMask) -> Plan {
        let metadata = file.parquet().metadata();
        if !self.whole && self.rows <= FEW_ROWS && metadata.offset_index().is_some() {
            return Plan::exact(None);
        }
        let chunks = metadata.row_group(self.group).columns().iter().enumerate();
        let chunks = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let range = |chunk: &parquet::file::metadata::ColumnChunkMetaData| {
            let (start, length) = chunk.byte_range();
            start..start + length
        };
        Plan::blocks(chunks.map(|(_, chunk)| range(chunk)).collect())
    }
}
