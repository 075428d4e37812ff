//! Rows as they come, for those who keep none of them: a copy of a table or collection, or of what changed in it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dualrun_core::load::Mark;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

use super::{LiveRequest, LiveStream, ServerSession};
use crate::{InputTable, ReadReport, SourceError};

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

/// Reads a table or collection through a session as it comes. At most a few batches are held; documents whose types are
/// not declared wait in a file in the spool folder until all types are known.
///
/// # Errors
/// What the server or the way to it does, also in the stream.
pub async fn stream_live(
    session: Arc<ServerSession>,
    request: &LiveRequest,
) -> Result<RowStream, SourceError> {
    let rows = session.stream(request).await?;
    let schema = Arc::clone(rows.schema());
    let report = Arc::new(Mutex::new(ReadReport::default()));
    let warnings = session.warnings().to_vec();
    let told = Arc::clone(&report);
    // The session lives as long as its rows come.
    let batches = stream::try_unfold((rows, session, told), |(mut rows, session, told)| async move {
        match rows.next().await {
            Some(Ok(batch)) => Ok(Some((batch, (rows, session, told)))),
            Some(Err(error)) => Err(error),
            None => {
                finish(rows, &told)?;
                Ok(None)
            }
        }
    });
    Ok(RowStream { schema, batches: batches.boxed(), report, warnings })
}

fn finish(rows: LiveStream, told: &Mutex<ReadReport>) -> Result<(), SourceError> {
    *told.lock().unwrap_or_else(PoisonError::into_inner) = rows.finish()?;
    Ok(())
}
