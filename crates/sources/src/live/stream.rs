//! Rows as they come, for those who keep none of them: a copy of a table or collection, or of what changed in it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dualrun_core::load::Mark;
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{LiveRequest, Server, mongo_words, open_postgres, read_options, shaped, window};
use crate::{
    FileReport, InputTable, ReadReport, SourceError,
    mongo::{FindRequest, MongoOptions, MongoSource},
    postgres::PostgresOptions,
    rules::Declared,
};

/// Rows that were written since. A source may give more, never fewer; it gives those without a value too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// A top-level column or field that grows with every write.
    pub column: String,
    /// Its smallest value that is wanted.
    pub mark: Mark,
}

/// Rows as they come.
pub struct RowStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, SourceError>>,
    report: Arc<Mutex<ReadReport>>,
    /// What is unsafe about the connection.
    pub warnings: Vec<String>,
}

impl RowStream {
    /// The columns; every one may be null.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The same, which keeps something until it has ended.
    #[must_use]
    pub fn holding(mut self, held: impl Send + 'static) -> Self {
        let mut held = Some(held);
        let ended = stream::once(std::future::ready(None));
        let batches = self.batches.map(Some).chain(ended);
        let keep = move |batch: Option<_>| {
            if batch.is_none() {
                drop(held.take());
            }
            std::future::ready(batch)
        };
        self.batches = batches.filter_map(keep).boxed();
        self
    }

    /// What was read; whole when the stream has ended.
    pub fn report(&self) -> ReadReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<InputTable> for RowStream {
    fn from(table: InputTable) -> Self {
        Self {
            schema: table.schema,
            batches: stream::iter(table.batches.into_iter().map(Ok)).boxed(),
            report: Arc::new(Mutex::new(table.report)),
            warnings: Vec::new(),
        }
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(cx)
    }
}

/// Reads a table or collection as it comes, all of it or what was written since. At most a few batches are held;
/// documents whose types are not declared wait in a file in the spool folder until all types are known.
///
/// # Errors
/// What the server or the way to it does, also in the stream.
pub async fn stream_live(request: LiveRequest, since: Option<Since>) -> Result<RowStream, SourceError> {
    match &request.server {
        Server::Postgres(options) => postgres(&options.clone(), request, since).await,
        Server::Mongo(options) => mongo(&options.clone(), request, since).await,
    }
}

async fn postgres(
    options: &PostgresOptions,
    request: LiveRequest,
    since: Option<Since>,
) -> Result<RowStream, SourceError> {
    let opened = open_postgres(options, &request, since.as_ref()).await?;
    let declared = request.shape.as_ref().map(Declared::of).transpose()?;
    let schema = opened.rows.schema();
    let (name, from) = (request.name.clone(), Arc::clone(&schema));
    let typed = move |batch: RecordBatch| match &declared {
        Some(declared) => shaped(&name, &from, &[batch], declared),
        None => {
            Ok(InputTable { schema: batch.schema(), batches: vec![batch], report: ReadReport::default() })
        }
    };
    let schema = typed(RecordBatch::new_empty(schema))?.schema;
    let file = FileReport { path: request.name, bytes: 0, rows: 0, e_tag: None, last_modified: None };
    let report = Arc::new(Mutex::new(ReadReport {
        files: vec![file],
        consistency: Some(opened.consistency()),
        ..ReadReport::default()
    }));
    let warnings = opened.warnings();
    let told = Arc::clone(&report);
    let batches = stream::try_unfold(opened, move |mut opened| {
        let (typed, told) = (typed.clone(), Arc::clone(&told));
        async move {
            let Some(batch) = opened.rows.try_next().await? else {
                let mut report = told.lock().unwrap_or_else(PoisonError::into_inner);
                report.misfits.extend(opened.rows.misfits());
                return Ok(None);
            };
            opened.pace(batch.num_rows()).await;
            let mut table = typed(batch)?;
            {
                let mut report = told.lock().unwrap_or_else(PoisonError::into_inner);
                for batch in &table.batches {
                    report.rows += batch.num_rows() as u64;
                }
                let (rows, bytes) = (report.rows, table.memory_size() as u64);
                if let Some(file) = report.files.first_mut() {
                    file.rows = rows;
                    file.bytes += bytes;
                }
                report.misfit_documents += table.report.misfit_documents;
                add_misfits(&mut report, std::mem::take(&mut table.report.misfits));
            }
            let batches = stream::iter(table.batches.into_iter().map(Ok));
            Ok::<_, SourceError>(Some((batches, opened)))
        }
    });
    Ok(RowStream { schema, batches: batches.try_flatten().boxed(), report, warnings })
}

/// The misfits of one batch after those of the batches before.
fn add_misfits(report: &mut ReadReport, misfits: Vec<crate::Misfit>) {
    for misfit in misfits {
        let same = |known: &&mut crate::Misfit| {
            known.field == misfit.field && known.expected == misfit.expected && known.found == misfit.found
        };
        match report.misfits.iter_mut().find(same) {
            Some(known) => known.count += misfit.count,
            None => report.misfits.push(misfit),
        }
    }
}

async fn mongo(
    options: &MongoOptions,
    request: LiveRequest,
    since: Option<Since>,
) -> Result<RowStream, SourceError> {
    let mut read = read_options(&request);
    // A field that happens to be null in what changed has a type all the same.
    read.untyped_nulls = true;
    let shape = request.shape.clone().unwrap_or_default();
    let days = request.days.as_ref().map(|days| window::filter(days, &shape)).unwrap_or_default();
    let since = since.as_ref().and_then(window::written_since).unwrap_or_default();
    let filter = window::both(days, since);
    let source = MongoSource::connect(options.clone()).await?;
    let warnings = source.warnings().to_vec();
    let find = FindRequest { filter, ..FindRequest::default() };
    let opened = async {
        read.cut = source.cut(None).await?;
        source.find(&request.name, find, &shape, &read).await
    };
    let rows = match opened.await {
        Ok(rows) => rows,
        Err(error) => {
            source.close().await;
            return Err(error);
        }
    };
    let schema = Arc::clone(rows.schema());
    let report = Arc::new(Mutex::new(ReadReport::default()));
    let (told, name) = (Arc::clone(&report), request.name.clone());
    let batches = stream::try_unfold((rows, source), move |(mut rows, source)| {
        let (told, name) = (Arc::clone(&told), name.clone());
        async move {
            let failed = match rows.next().await {
                Some(Ok(batch)) => return Ok(Some((batch, (rows, source)))),
                Some(Err(error)) => Some(error),
                None => None,
            };
            if let Some(read) = rows.report() {
                let file = FileReport {
                    path: name,
                    bytes: read.bytes,
                    rows: read.rows,
                    e_tag: None,
                    last_modified: None,
                };
                *told.lock().unwrap_or_else(PoisonError::into_inner) = ReadReport {
                    files: vec![file],
                    rows: read.rows,
                    misfits: read.misfits.clone(),
                    misfit_documents: read.misfit_documents,
                    exact_numbers: read.exact_numbers.clone(),
                    missing_files: Vec::new(),
                    consistency: Some(mongo_words(read)),
                };
            }
            drop(rows);
            source.close().await;
            failed.map_or(Ok(None), Err)
        }
    });
    Ok(RowStream { schema, batches: batches.boxed(), report, warnings })
}
