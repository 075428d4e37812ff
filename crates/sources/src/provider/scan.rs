//! One reading of a server as a step of a query.

use std::{fmt, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};
use datafusion::{
    common::{internal_err, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
        execution_plan::{Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::external;
use crate::{KeptRows, KeptWriter, LiveRequest, LiveStream, ServerSession, SourceError, live::Part};

/// Bytes of rows that are put aside in memory, before a file is used.
const MEMORY: usize = 8 << 20;

/// What is read.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) session: Arc<ServerSession>,
    pub(super) request: Arc<LiveRequest>,
    pub(super) part: Part,
}

/// Reads a part of a table when it is carried out, and each time anew.
pub(super) struct ServerScan {
    reading: Reading,
    shown: String,
    properties: Arc<PlanProperties>,
}

impl ServerScan {
    pub(super) fn new(reading: Reading, schema: SchemaRef, shown: String) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { reading, shown, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for ServerScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerScan").finish_non_exhaustive()
    }
}

impl DisplayAs for ServerScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerScan: {}", self.shown)
    }
}

impl ExecutionPlan for ServerScan {
    fn name(&self) -> &'static str {
        "ServerScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a scan of a server has no children") }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a scan of a server has one partition, not {partition}");
        }
        let schema = self.schema();
        let rows = rows(self.reading.clone(), Arc::clone(&schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// What comes from the task that reads.
enum Item {
    Batch(RecordBatch),
    /// All others, because somebody waited for the server.
    Rest(KeptRows),
}

/// Ends a task with the stream that it reads for, and with it what runs on the server.
struct Ended(AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The rows. Nothing is asked before the first one is wanted.
fn rows(reading: Reading, schema: SchemaRef) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    stream::once(async move {
        let (out, items) = mpsc::channel(1);
        let reader = Ended(tokio::spawn(read(reading, out)).abort_handle());
        let items = stream::unfold((items, reader), |(mut items, reader)| async move {
            let item = items.recv().await?;
            Some((item, (items, reader)))
        });
        items.flat_map(move |item| {
            let batches: Vec<Result<RecordBatch, SourceError>> = match item {
                Ok(Item::Batch(batch)) => vec![Ok(batch)],
                Ok(Item::Rest(kept)) => return rest(kept, Arc::clone(&schema)).boxed(),
                Err(error) => vec![Err(error)],
            };
            let schema = Arc::clone(&schema);
            let chosen = move |batch: Result<_, _>| chosen(&batch.map_err(external)?, &schema);
            stream::iter(batches.into_iter().map(chosen)).boxed()
        })
    })
    .flatten()
}

/// Rows that were put aside, read on a thread where that may wait.
fn rest(kept: KeptRows, schema: SchemaRef) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let (out, batches) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let read = || -> Result<(), SourceError> {
            for batch in kept.batches()? {
                if out.blocking_send(Ok(batch?)).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Err(error) = read() {
            // Who does not listen any more does not miss it.
            let _ = out.blocking_send(Err(error));
        }
    });
    stream::unfold(batches, |mut batches| async move { Some((batches.recv().await?, batches)) })
        .map(move |batch| chosen(&batch.map_err(external)?, &schema))
}

async fn read(reading: Reading, out: mpsc::Sender<Result<Item, SourceError>>) {
    let read = async {
        let mut stream = reading.session.part(&reading.request, reading.part.clone()).await?;
        let mut waiting = reading.session.waiting();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            // A query may wait for another table of the same server before it takes more rows of this one.
            tokio::select! {
                biased;
                room = out.reserve() => match room {
                    Ok(room) => room.send(Ok(Item::Batch(batch))),
                    Err(_) => return Ok(()),
                },
                () = wanted(&mut waiting) => {
                    let rest = put_aside(stream, batch, &reading.request).await?;
                    let _ = out.send(Ok(Item::Rest(rest))).await;
                    return Ok(());
                }
            }
        }
        stream.finish().map(|_| ())
    };
    if let Err(error) = read.await {
        let _ = out.send(Err(error)).await;
    }
}

/// Returns when another reading waits for the server.
async fn wanted(waiting: &mut watch::Receiver<usize>) {
    let _ = waiting.wait_for(|readings| *readings > 0).await;
}

async fn put_aside(
    mut stream: LiveStream,
    first: RecordBatch,
    request: &LiveRequest,
) -> Result<KeptRows, SourceError> {
    let mut kept = KeptWriter::new(first.schema(), &request.spool, MEMORY);
    kept.push(first)?;
    while let Some(batch) = stream.next().await {
        kept.push(batch?)?;
    }
    stream.finish()?;
    kept.finish()
}

/// The wanted columns in their order.
fn chosen(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |name: &String| {
        let missing = || DataFusionError::Execution(format!("the server gave no column {name:?}"));
        batch.column_by_name(name).cloned().ok_or_else(missing)
    };
    let columns: Result<Vec<_>> = schema.fields().iter().map(|field| column(field.name())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns?, &options)?)
}
