//! Readings as streams of record batches.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bson::{Document, doc};
use dualrun_core::shape::Shape;
use futures::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::{
    Cut, Fields, FindRequest, MongoFault, MongoReport, MongoSource, MongoTypes, ReadOptions,
    decode::{Decoded, Plan},
    fetch::{Fetch, Fetched, Find, Query},
    keyset::and,
    pipeline,
};
use crate::{FileReport, InputTable, ReadReport, SourceError, rules::Declared};

/// Answers of the server, and record batches, that wait for the next step.
const WAITING: usize = 2;

/// Rows of a collection or pipeline. Dropping it ends the reading and its cursor on the server.
pub struct MongoStream {
    schema: SchemaRef,
    collection: Arc<str>,
    place: String,
    batches: mpsc::Receiver<Result<Decoded, SourceError>>,
    report: Option<MongoReport>,
    ended: bool,
    _fetch: Fetching,
}

/// Ends a fetching task, and with it the cursor.
pub(super) struct Fetching(AbortHandle);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MongoSource {
    /// Reads documents of a collection. With [`Fields::All`], or where the type of a field is not declared, all
    /// documents are read before the first batch comes: they wait in a temporary file. Otherwise batches come as
    /// documents do. Either way the memory is bounded.
    ///
    /// Without an order of its own the reading goes by `_id`, in queries of a size that meets the target time, and
    /// is taken up after the last document when the connection is cut.
    pub async fn find(
        &self,
        collection: &str,
        request: FindRequest,
        shape: &Shape,
        read: &ReadOptions,
    ) -> Result<MongoStream, SourceError> {
        let declared = Declared::of(shape)?;
        let (fields, types) = (request.fields.clone(), request.types.clone());
        let query = Self::query(request, &declared, read);
        self.start(collection, query, fields, types, declared, read).await
    }

    /// Reads the results of an aggregation pipeline that only reads. A watermark goes before its first stage; other
    /// collections that it looks into are read as they stand.
    pub async fn aggregate(
        &self,
        collection: &str,
        mut pipeline: Vec<Document>,
        fields: Fields,
        shape: &Shape,
        read: &ReadOptions,
    ) -> Result<MongoStream, SourceError> {
        pipeline::only_reads(&pipeline)?;
        if let Cut::Watermark { .. } = read.cut {
            if !pipeline::takes_filter(&pipeline) {
                return Err(SourceError::Config(
                    "aggregation pipeline: a watermark cannot go before its first stage".to_owned(),
                ));
            }
            pipeline.insert(0, doc! {"$match": read.cut.filter()});
        }
        let query = |_| Query::Aggregate(pipeline);
        self.start(collection, query, fields, None, Declared::of(shape)?, read).await
    }

    /// Reads documents of a collection into one table.
    pub async fn read_table(
        &self,
        collection: &str,
        request: FindRequest,
        shape: &Shape,
        read: &ReadOptions,
    ) -> Result<(InputTable, MongoReport), SourceError> {
        self.find(collection, request, shape, read).await?.into_table().await
    }

    /// The query of a request, given whether the collection can be read by `_id`.
    pub(super) fn query(
        request: FindRequest,
        declared: &Declared,
        read: &ReadOptions,
    ) -> impl FnOnce(bool) -> Query + use<> {
        let projection = request.fields.projection(declared);
        let filter = and(request.filter, read.cut.filter());
        move |by_id| {
            Query::Find(Box::new(Find {
                filter,
                projection,
                by_id: by_id && request.sort.is_none(),
                sort: request.sort,
                limit: request.limit,
            }))
        }
    }

    /// Starts to fetch; dropping what comes back ends it.
    pub(super) async fn fetch(
        &self,
        collection: &str,
        query: impl FnOnce(bool) -> Query,
        restartable: bool,
        read: &ReadOptions,
    ) -> Result<(mpsc::Receiver<Fetched>, Fetching), SourceError> {
        let failed = |fault| SourceError::mongo(&self.place(collection), fault);
        let info = self.info(collection).await.map_err(failed)?;
        let info = info.ok_or_else(|| failed(MongoFault::UnknownCollection))?;
        let (out, answers) = mpsc::channel(WAITING);
        // A router merges shards, whose documents may share an `_id`: no going on after one.
        let query = query(info.plain && !self.server().sharded);
        let (source, collection) = (self.clone(), collection.to_owned());
        let fetch = Fetch { source, collection, query, info, read: read.clone(), restartable, out };
        Ok((answers, Fetching(tokio::spawn(fetch.run()).abort_handle())))
    }

    async fn start(
        &self,
        collection: &str,
        query: impl FnOnce(bool) -> Query,
        fields: Fields,
        types: Option<MongoTypes>,
        mut declared: Declared,
        read: &ReadOptions,
    ) -> Result<MongoStream, SourceError> {
        let place = self.place(collection);
        declared.untyped_nulls = read.untyped_nulls;
        let name: Arc<str> = collection.into();
        let (plan_place, plan_name) = (place.clone(), Arc::clone(&name));
        let plan =
            Plan { place: plan_place, collection: plan_name, declared, fields, types, read: read.clone() };
        let (answers, fetching) = self.fetch(collection, query, !plan.streams(), read).await?;
        let (out, batches) = mpsc::channel(WAITING);
        let (known, schema) = oneshot::channel();
        tokio::task::spawn_blocking(move || plan.run(answers, known, out));
        let stopped = |_| Err(SourceError::mongo(&place, MongoFault::Stopped));
        let schema = schema.await.unwrap_or_else(stopped)?;
        Ok(MongoStream {
            schema,
            collection: name,
            place,
            batches,
            report: None,
            ended: false,
            _fetch: fetching,
        })
    }
}

impl MongoStream {
    /// The columns, sorted by name; every one may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What was read; known when the stream has ended without an error.
    pub fn report(&self) -> Option<&MongoReport> {
        self.report.as_ref()
    }

    /// Reads to the end into one table.
    pub async fn into_table(mut self) -> Result<(InputTable, MongoReport), SourceError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        let Some(report) = self.report.take() else {
            return Err(SourceError::mongo(&self.place, MongoFault::Stopped));
        };
        let file = FileReport {
            path: self.collection.to_string(),
            bytes: report.bytes,
            rows: report.rows,
            e_tag: None,
            last_modified: None,
        };
        let read = ReadReport {
            files: vec![file],
            rows: report.rows,
            misfits: report.misfits.clone(),
            misfit_documents: report.misfit_documents,
            exact_numbers: report.exact_numbers.clone(),
            missing_files: Vec::new(),
            consistency: None,
        };
        Ok((InputTable { schema: Arc::clone(&self.schema), batches, report: read }, report))
    }
}

impl Stream for MongoStream {
    type Item = Result<RecordBatch, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.batches.poll_recv(context)) {
            Some(Ok(Decoded::Batch(batch))) => Some(Ok(batch)),
            Some(Ok(Decoded::Done(report))) => {
                self.ended = true;
                self.report = Some(*report);
                None
            }
            Some(Err(error)) => {
                self.ended = true;
                Some(Err(error))
            }
            None => {
                self.ended = true;
                Some(Err(SourceError::mongo(&self.place, MongoFault::Stopped)))
            }
        })
    }
}

impl std::fmt::Debug for MongoStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoStream").field("place", &self.place).finish_non_exhaustive()
    }
}
