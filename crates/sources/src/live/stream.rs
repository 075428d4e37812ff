//! The rows of a table or collection of a server while they come.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bson::{Bson, Document};
use dualrun_core::run::{Consistency, CutKind, CutStrength};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OwnedMutexGuard;

use super::session::Counts;
use crate::{
    FileReport, InputTable, Misfit, ReadReport, SourceError,
    mongo::{self, MongoFault, MongoStream},
    postgres::{PostgresSource, TableStream},
    read::{self, RowShaper},
};

/// Rows of a server, a batch at a time: the next one is not asked for before this one was taken. Dropped before its end,
/// it ends what runs on the server.
pub struct LiveStream {
    pub(super) schema: SchemaRef,
    pub(super) name: Arc<str>,
    pub(super) rows: Rows,
    pub(super) taken: u64,
    pub(super) bytes: u64,
    /// One reading of a server at a time, so that its ceilings hold.
    pub(super) _turn: OwnedMutexGuard<()>,
}

pub(super) enum Rows {
    Postgres(Box<PostgresRows>),
    Mongo(Box<MongoRows>),
}

/// Rows of PostgreSQL.
pub(super) struct PostgresRows {
    pub(super) source: PostgresSource,
    pub(super) stream: TableStream,
    /// The columns in plain types, and the rules that they are brought under.
    pub(super) shaper: Option<(SchemaRef, RowShaper)>,
    pub(super) consistency: Consistency,
}

/// Rows of MongoDB.
pub(super) struct MongoRows {
    pub(super) stream: MongoStream,
    pub(super) place: String,
    /// What other readings of the same documents counted.
    pub(super) counts: Option<Counts>,
}

impl std::fmt::Debug for LiveStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveStream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LiveStream {
    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; none after the last one.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, SourceError>> {
        let batch = match &mut self.rows {
            Rows::Postgres(rows) => rows.next(&self.name, self.taken).await,
            Rows::Mongo(rows) => rows.stream.next().await,
        };
        if let Some(Ok(batch)) = &batch {
            self.taken += batch.num_rows() as u64;
            self.bytes += batch.get_array_memory_size() as u64;
        }
        batch
    }

    /// What was read, after the last batch.
    ///
    /// # Errors
    /// Rows that were not all taken.
    pub fn finish(self) -> Result<ReadReport, SourceError> {
        let file = FileReport {
            path: self.name.to_string(),
            bytes: self.bytes,
            rows: self.taken,
            e_tag: None,
            last_modified: None,
        };
        let report = ReadReport { files: vec![file], rows: self.taken, ..ReadReport::default() };
        match self.rows {
            Rows::Postgres(rows) => Ok(rows.report(report)),
            Rows::Mongo(rows) => rows.report(report),
        }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// What the server or the way to it does.
    pub async fn into_table(mut self) -> Result<InputTable, SourceError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        let schema = Arc::clone(&self.schema);
        Ok(InputTable { schema, batches, report: self.finish()? })
    }
}

impl PostgresRows {
    async fn next(&mut self, name: &Arc<str>, taken: u64) -> Option<Result<RecordBatch, SourceError>> {
        let batch = match self.source.answered(self.stream.try_next()).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return None,
            Err(error) => return Some(Err(error)),
        };
        let Some((plain, shaper)) = &mut self.shaper else { return Some(Ok(batch)) };
        let plain = read::plain_batch(&batch, plain);
        Some(plain.and_then(|batch| shaper.batch(name, &batch, |row| taken + row as u64)))
    }

    fn report(self, mut report: ReadReport) -> ReadReport {
        let misfits: Vec<Misfit> = self.stream.misfits();
        if let Some((_, shaper)) = self.shaper {
            (report.misfits, report.misfit_documents) = shaper.finish().finish();
        }
        report.misfits.extend(misfits);
        report.consistency = Some(self.consistency);
        report
    }
}

impl MongoRows {
    fn report(self, mut report: ReadReport) -> Result<ReadReport, SourceError> {
        let Some(found) = self.stream.report() else {
            return Err(SourceError::mongo(&self.place, MongoFault::Stopped));
        };
        if let Some(file) = report.files.first_mut() {
            file.bytes = found.bytes;
        }
        report.misfits.clone_from(&found.misfits);
        report.misfit_documents = found.misfit_documents;
        report.exact_numbers.clone_from(&found.exact_numbers);
        let mut consistency = told(&found.consistency, Some(found.rows));
        if let Some(counts) = self.counts
            && let Some(earlier) = counts.differ(found.rows)
        {
            consistency.strength = CutStrength::None;
            consistency.detail.push_str(&format!(
                "; an earlier reading of this run found {earlier} documents, this one {}: it was written to in between",
                found.rows
            ));
        }
        report.consistency = Some(consistency);
        Ok(report)
    }
}

/// What the reader of MongoDB says of the state that it saw, given the documents that came.
/// The same of a pipeline that was run to its end. What bounds the documents of its collection does not bound those of
/// others, which it may join.
pub(super) fn told_of_pipeline(found: &mongo::Consistency, joins: bool) -> Consistency {
    let mut told = told(found, None);
    if joins && told.strength != CutStrength::Snapshot {
        told.strength = CutStrength::None;
        told.detail.push_str("; the collections that it joins were read as they were then");
    }
    told
}

/// Whether a pipeline reads other collections than its own.
pub(super) fn joins(stages: &[Document]) -> bool {
    fn within(value: &Bson) -> bool {
        match value {
            Bson::Document(document) => joins(std::slice::from_ref(document)),
            Bson::Array(values) => values.iter().any(within),
            _ => false,
        }
    }
    let joining = |name: &str| matches!(name, "$lookup" | "$graphLookup" | "$unionWith");
    stages.iter().flatten().any(|(name, value)| joining(name) || within(value))
}

pub(super) fn told(found: &mongo::Consistency, rows: Option<u64>) -> Consistency {
    let (strength, words) = match found.strength(rows) {
        mongo::Strength::None => (CutStrength::None, "nothing says that it is one state of the data"),
        mongo::Strength::Count => {
            (CutStrength::Count, "the count did not change, which is weak evidence of one state")
        }
        mongo::Strength::Watermark => {
            (CutStrength::Watermark, "the count up to the watermark did not change")
        }
        mongo::Strength::Snapshot => (CutStrength::Snapshot, "the server vouches for one state"),
    };
    let cut = match found {
        mongo::Consistency::Snapshot { .. } => CutKind::Snapshot,
        mongo::Consistency::Watermark { .. } => CutKind::Watermark,
        mongo::Consistency::CountOnly { .. } => CutKind::None,
    };
    Consistency { cut, strength, detail: format!("{found}; {words}") }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn joins_are_found_wherever_they_stand() {
        let group = doc! {"$group": {"_id": "$lookup"}};
        assert!(!joins(&[doc! {"$match": {"a": 1}}, group.clone()]));
        assert!(joins(&[group, doc! {"$lookup": {"from": "b", "as": "b"}}]));
        assert!(joins(&[doc! {"$facet": {"x": [{"$unionWith": "b"}]}}]));
    }
}
