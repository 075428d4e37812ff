//! A server in one state: all that is read through a session sees the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bson::Document;
use dualrun_core::{
    run::{Consistency, CutKind, CutStrength},
    shape::Shape,
};
use futures::{FutureExt, Stream, TryStreamExt, future::BoxFuture};
use tokio::sync::{OwnedMutexGuard, watch};

use super::{
    LiveRequest, LiveStream, MANY, PARALLEL, Part, Server,
    part::{ShapedColumns, plain_schema},
    stream::{MongoRows, PostgresRows, Rows, joins, told_of_pipeline},
    window,
};
use crate::{
    Gentle, InputTable, Misfit, ReadReport, SourceError,
    mongo::{self, Cut, Fields, FindRequest, MongoSource},
    postgres::{
        self, NumericForm, Param, PostgresSource, PostgresStream, Predicate, Snapshot, TableName, TableRead,
        TableStream,
    },
    rules::Declared,
};

/// A server, and the state of its data that is read: one exported snapshot of PostgreSQL, one cluster time of MongoDB
/// where it has them, else what stood there when the session was opened as far as that can be told.
///
/// Readings take turns, so that ceilings hold for all of them together. Dropped, it lets go of the state.
pub struct ServerSession {
    pub(super) identity: String,
    at: At,
    warnings: Vec<String>,
    turns: Arc<tokio::sync::Mutex<()>>,
    /// How many readings wait for their turn.
    waiting: watch::Sender<usize>,
}

enum At {
    Postgres { source: PostgresSource, snapshot: Option<Arc<Snapshot>> },
    Mongo { source: MongoSource, cut: Cut, marks: BTreeMap<String, Cut>, counted: Counted },
}

/// How many documents the first reading of a collection found.
type Counted = Arc<Mutex<BTreeMap<String, u64>>>;

/// The number of documents of one reading, among those of others.
pub(super) struct Counts {
    counted: Counted,
    of: String,
}

impl Counts {
    /// What an earlier reading of the same found, where that was another number.
    pub(super) fn differ(&self, rows: u64) -> Option<u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = *counted.entry(self.of.clone()).or_insert(rows);
        (earlier != rows).then_some(earlier)
    }
}

/// States that sessions of one cut-off share: other logins see the same.
#[derive(Default)]
pub(super) struct States {
    snapshots: BTreeMap<String, Arc<Snapshot>>,
    cluster_times: BTreeMap<String, Cut>,
}

impl std::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSession").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl ServerSession {
    /// Connects, and takes the state of now.
    ///
    /// # Errors
    /// What the server or the way to it does.
    pub async fn open(server: Server) -> Result<Self, SourceError> {
        Self::among(server, &mut States::default(), None).await
    }

    /// The same among sessions that share states. Collections with a name are marked where the server has no snapshots.
    pub(super) async fn among(
        server: Server,
        states: &mut States,
        marked: Option<&[String]>,
    ) -> Result<Self, SourceError> {
        let identity = server.identity();
        let (at, warnings) = match server {
            Server::Postgres(options) => {
                let connections = options.max_connections;
                let source = PostgresSource::connect(options).await?;
                let known = states.snapshots.get(source.server()).cloned();
                let snapshot = match known {
                    // A single connection cannot hold a state and read too.
                    _ if connections < 2 => None,
                    Some(snapshot) => Some(snapshot),
                    None => {
                        let snapshot = Arc::new(source.answered(source.snapshot()).await?);
                        states.snapshots.insert(source.server().to_owned(), Arc::clone(&snapshot));
                        Some(snapshot)
                    }
                };
                let warnings = source.warning().map(str::to_owned).into_iter().collect();
                (At::Postgres { source, snapshot }, warnings)
            }
            Server::Mongo(options) => {
                let source = MongoSource::connect(options).await?;
                // A cluster time is one of all databases.
                let place = source.display().rsplit_once('/').map_or("", |(hosts, _)| hosts).to_owned();
                let cut = match states.cluster_times.get(&place) {
                    Some(cut) => cut.clone(),
                    None => source.cut(None).await?,
                };
                let mut marks = BTreeMap::new();
                if matches!(cut, Cut::Snapshot { .. }) {
                    states.cluster_times.insert(place, cut.clone());
                } else {
                    for name in marked.unwrap_or_default() {
                        marks.insert(name.clone(), source.newest(name).await?);
                    }
                }
                let warnings = source.warnings().to_vec();
                (At::Mongo { source, cut, marks, counted: Counted::default() }, warnings)
            }
        };
        Ok(Self { identity, at, warnings, turns: Arc::default(), waiting: watch::Sender::new(0) })
    }

    /// The server, without credentials.
    pub fn server(&self) -> &str {
        match &self.at {
            At::Postgres { source, .. } => source.server(),
            At::Mongo { source, .. } => source.display(),
        }
    }

    /// What is unsafe about the connection.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The connection to PostgreSQL and the snapshot that its readings are to be given; none of another server.
    pub fn postgres(&self) -> Option<(&PostgresSource, Option<&Snapshot>)> {
        match &self.at {
            At::Postgres { source, snapshot } => Some((source, snapshot.as_deref())),
            At::Mongo { .. } => None,
        }
    }

    /// The connection to MongoDB and the cut that readings of a collection are to be given; none of another server.
    pub fn mongo(&self, collection: &str) -> Option<(&MongoSource, Cut)> {
        match &self.at {
            At::Postgres { .. } => None,
            At::Mongo { source, cut, marks, .. } => {
                Some((source, marks.get(collection).unwrap_or(cut).clone()))
            }
        }
    }

    /// Reads a table or collection. With a shape it has the columns, sorted by name, that a dump of it has.
    ///
    /// # Errors
    /// What the server or the way to it does.
    pub fn stream<'a>(&'a self, request: &'a LiveRequest) -> BoxFuture<'a, Result<LiveStream, SourceError>> {
        self.part(request, Part::default())
    }

    /// Reads a part of a table or collection.
    pub(crate) fn part<'a>(
        &'a self,
        request: &'a LiveRequest,
        part: Part,
    ) -> BoxFuture<'a, Result<LiveStream, SourceError>> {
        async move {
            let turn = self.turn().await;
            match &self.at {
                At::Postgres { source, snapshot } => {
                    postgres_rows(source, snapshot.as_deref(), request, part, turn).await
                }
                At::Mongo { counted, .. } => {
                    let counts = Counts {
                        counted: Arc::clone(counted),
                        of: format!("{}\0{:?}\0{:?}", request.name, request.days, request.since),
                    };
                    self.mongo_rows(request, part, counts, turn).await
                }
            }
        }
        .boxed()
    }

    /// Runs a query of PostgreSQL to its end.
    ///
    /// # Errors
    /// What the server or the way to it does; [`SourceError::Config`] where it is another server.
    pub fn query<'a>(
        &'a self,
        sql: &'a str,
        params: &'a [Param],
        gentle: &'a Gentle,
    ) -> BoxFuture<'a, Result<InputTable, SourceError>> {
        async move {
            let (source, snapshot) = self.postgres().ok_or_else(|| wrong_kind("PostgreSQL"))?;
            let _turn = self.turn().await;
            let options = postgres::ReadOptions::default();
            if gentle.max_rows_per_second.is_some() {
                let pace = gentle.pace();
                let steps = source.query_in_steps(snapshot, sql, params, &pace, &options);
                let stream = source.answered(steps).await?;
                return collected(source, snapshot, stream.schema(), stream, TableStream::misfits).await;
            }
            let stream = source.answered(source.query(snapshot, sql, params, &options)).await?;
            collected(source, snapshot, stream.schema(), stream, PostgresStream::misfits).await
        }
        .boxed()
    }

    /// Runs an aggregation pipeline of MongoDB to its end.
    ///
    /// # Errors
    /// What the server or the way to it does; [`SourceError::Config`] where it is another server.
    pub fn aggregate<'a>(
        &'a self,
        collection: &'a str,
        stages: Vec<Document>,
        shape: &'a Shape,
        read: mongo::ReadOptions,
    ) -> BoxFuture<'a, Result<InputTable, SourceError>> {
        async move {
            let (source, mut cut) = self.mongo(collection).ok_or_else(|| wrong_kind("MongoDB"))?;
            if matches!(cut, Cut::Watermark { .. }) && !mongo::takes_filter(&stages) {
                cut = Cut::None;
            }
            let joins = joins(&stages);
            let _turn = self.turn().await;
            let read = mongo::ReadOptions { cut, ..read };
            let stream = source.aggregate(collection, stages, Fields::All, shape, &read).await?;
            let (mut table, report) = stream.into_table().await?;
            table.report.consistency = Some(told_of_pipeline(&report.consistency, joins));
            Ok(table)
        }
        .boxed()
    }

    /// The columns of a collection with their types, learnt from its documents where the shape does not tell them.
    #[cfg(feature = "datafusion")]
    pub(crate) async fn types(&self, request: &LiveRequest) -> Result<mongo::MongoTypes, SourceError> {
        let (source, cut) = self.mongo(&request.name).ok_or_else(|| wrong_kind("MongoDB"))?;
        let nothing = Shape::default();
        let shape = request.shape.as_ref().unwrap_or(&nothing);
        let days = request.days.as_ref().map(|days| window::filter(days, shape)).unwrap_or_default();
        let _turn = self.turn().await;
        let read = mongo::ReadOptions { cut, ..mongo_options(request) };
        let find = FindRequest { filter: days, ..FindRequest::default() };
        source.types(&request.name, find, shape, &read).await
    }

    /// Ends the connections of MongoDB after the server was told to forget open cursors; those of PostgreSQL end with
    /// the session. Nothing can be read any more.
    pub async fn close(&self) {
        if let At::Mongo { source, .. } = &self.at {
            source.clone().close().await;
        }
    }

    /// Waits until no other reading is under way.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        // Given up, it does not wait any more.
        struct Waiting<'a>(&'a watch::Sender<usize>);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.send_modify(|n| *n = n.saturating_sub(1));
            }
        }
        self.waiting.send_modify(|n| *n += 1);
        let _waiting = Waiting(&self.waiting);
        Arc::clone(&self.turns).lock_owned().await
    }

    /// Tells how many readings wait for their turn.
    #[cfg(feature = "datafusion")]
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    async fn mongo_rows(
        &self,
        request: &LiveRequest,
        part: Part,
        counts: Counts,
        turn: OwnedMutexGuard<()>,
    ) -> Result<LiveStream, SourceError> {
        let (source, cut) = self.mongo(&request.name).ok_or_else(|| wrong_kind("MongoDB"))?;
        let whole = part.filter.is_empty() && part.limit.is_none();
        let counts = (whole && !matches!(cut, Cut::Snapshot { .. })).then_some(counts);
        // Who asks for some documents of a state that nothing vouches for gains nothing by counting them.
        let read = mongo::ReadOptions { cut, count: whole, ..mongo_options(request) };
        let nothing = Shape::default();
        let shape = request.shape.as_ref().unwrap_or(&nothing);
        let wanted = find_request(request, shape);
        let find = FindRequest {
            filter: mongo::and(wanted.filter, part.filter),
            limit: part.limit,
            fields: part.columns.map_or(Fields::All, Fields::Named),
            types: part.types,
            ..FindRequest::default()
        };
        let stream = source.find(&request.name, find, shape, &read).await?;
        let place = format!("{}#{}", source.display(), request.name);
        Ok(LiveStream {
            schema: Arc::clone(stream.schema()),
            name: request.name.as_str().into(),
            rows: Rows::Mongo(Box::new(MongoRows { stream, place, counts })),
            taken: 0,
            bytes: 0,
            _turn: turn,
        })
    }
}

/// How a collection is read.
pub(crate) fn mongo_options(request: &LiveRequest) -> mongo::ReadOptions {
    mongo::ReadOptions {
        spool_folder: Some(request.spool.clone()),
        untyped_nulls: request.untyped_nulls,
        ..mongo::ReadOptions::gentle(&request.gentle)
    }
}

/// What is asked of a collection where all that the request wants is read.
pub(super) fn find_request(request: &LiveRequest, shape: &Shape) -> FindRequest {
    let days = request.days.as_ref().map(|days| window::filter(days, shape)).unwrap_or_default();
    let since = request.since.as_ref().and_then(window::written_since).unwrap_or_default();
    FindRequest { filter: mongo::and(days, since), ..FindRequest::default() }
}

/// How a table is read.
pub(crate) fn postgres_options(request: &LiveRequest) -> postgres::ReadOptions {
    let mut form = postgres::ReadOptions::default();
    if let Some(ceiling) = request.gentle.max_rows_per_second {
        // A few batches a second rather than one burst.
        form.batch_rows = usize::try_from(ceiling / 4).unwrap_or(form.batch_rows).clamp(1, form.batch_rows);
    }
    if let Some(shape) = &request.shape {
        // Digits as they are written, for the rule of the field to read.
        let numbers = shape.0.keys().map(|path| (path.clone(), NumericForm::Text));
        form.columns.extend(numbers);
    }
    form
}

/// What is read of a table.
pub(super) async fn table_read(
    source: &PostgresSource,
    request: &LiveRequest,
    part: &Part,
    declared: Option<&Declared>,
) -> Result<TableRead, SourceError> {
    let name = TableName::parse(&request.name)?;
    let mut read = TableRead {
        predicates: part.sql.iter().cloned().map(Predicate).collect(),
        limit: part.limit,
        pace: request.gentle.pace(),
        parallel: PARALLEL,
        ..TableRead::all(name)
    };
    // A name that the server does not know is told in words of its own, not in those of a query.
    let raw = source.table(&read.table, &postgres_options(request)).await?.schema;
    if let Some(declared) = declared {
        has_declared(&request.name, &raw, declared)?;
    }
    if let Some(days) = &request.days {
        read.conditions = window::conditions(&raw, days);
    }
    read.conditions.extend(request.since.as_ref().and_then(|since| window::condition(&raw, since)));
    if let Some(wanted) = &part.columns {
        let mut columns = match declared {
            Some(declared) => ShapedColumns::new(&raw, declared)?.only(wanted).raw(&raw),
            None => raw.fields().iter().map(|f| f.name().clone()).filter(|n| wanted.contains(n)).collect(),
        };
        if columns.is_empty() {
            // Rows without any column cannot be sent: one that costs little stands for them.
            let small = raw.fields().iter().find(|f| f.data_type().is_primitive());
            columns.extend(small.or_else(|| raw.fields().first()).map(|f| f.name().clone()));
        }
        read.columns = Some(columns);
    }
    // One query is the quickest, and should not be a long one.
    read.in_steps = read.limit.is_none()
        && (read.pace.max_rows_per_second.is_some() || source.about(&read).await? > MANY);
    Ok(read)
}

/// A column that was renamed or dropped is not one that is null in every row.
fn has_declared(table: &str, raw: &SchemaRef, declared: &Declared) -> Result<(), SourceError> {
    for (column, field) in &declared.fields {
        let may_lack = field.rules.as_ref().is_some_and(|rules| rules.missing);
        if !may_lack && raw.field_with_name(column).is_err() {
            return Err(SourceError::NoColumn { table: table.to_owned(), column: column.clone() });
        }
    }
    Ok(())
}

async fn postgres_rows(
    source: &PostgresSource,
    snapshot: Option<&Snapshot>,
    request: &LiveRequest,
    part: Part,
    turn: OwnedMutexGuard<()>,
) -> Result<LiveStream, SourceError> {
    let form = postgres_options(request);
    let declared = request.shape.as_ref().map(Declared::of).transpose()?;
    let read = source.answered(table_read(source, request, &part, declared.as_ref())).await?;
    let stream = source.answered(source.read_table(snapshot, &read, &form)).await?;
    let mut schema = stream.schema();
    let shaper = match &declared {
        Some(declared) => {
            let mut columns = ShapedColumns::new(&schema, declared)?;
            if let Some(wanted) = &part.columns {
                columns = columns.only(wanted);
            }
            let plain = plain_schema(&schema);
            let shaper = columns.shaper();
            schema = Arc::clone(&shaper.schema);
            Some((plain, shaper))
        }
        None => None,
    };
    Ok(LiveStream {
        schema,
        name: request.name.as_str().into(),
        rows: Rows::Postgres(Box::new(PostgresRows {
            source: source.clone(),
            stream,
            shaper,
            consistency: of_snapshot(snapshot),
        })),
        taken: 0,
        bytes: 0,
        _turn: turn,
    })
}

/// All rows of a query.
async fn collected<S>(
    source: &PostgresSource,
    snapshot: Option<&Snapshot>,
    schema: SchemaRef,
    mut stream: S,
    misfits: impl Fn(&S) -> Vec<Misfit>,
) -> Result<InputTable, SourceError>
where
    S: Stream<Item = Result<RecordBatch, SourceError>> + Unpin,
{
    let mut batches: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = source.answered(stream.try_next()).await? {
        batches.push(batch);
    }
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let consistency = Some(of_snapshot(snapshot));
    let report = ReadReport { rows, misfits: misfits(&stream), consistency, ..ReadReport::default() };
    Ok(InputTable { schema, batches, report })
}

fn of_snapshot(snapshot: Option<&Snapshot>) -> Consistency {
    match snapshot {
        Some(snapshot) => Consistency {
            cut: CutKind::Snapshot,
            strength: CutStrength::Snapshot,
            detail: format!("one snapshot, taken at {:.0}{}", snapshot.taken_at(), skewed(snapshot.ahead())),
        },
        None => Consistency {
            cut: CutKind::None,
            strength: CutStrength::None,
            detail:
                "each reading saw a state of its own: max_connections = 1 leaves none to hold one for all"
                    .to_owned(),
        },
    }
}

/// Milliseconds by which a clock may be another without a word.
const SKEW: i64 = 2000;

/// That the clock of a server is not the one here, where a reader of the report should know.
fn skewed(ahead: i64) -> String {
    if ahead.abs() <= SKEW {
        return String::new();
    }
    let word = if ahead < 0 { "behind" } else { "ahead of" };
    format!(" by the clock of the server, which is {} s {word} the one here", ahead.unsigned_abs() / 1000)
}

fn wrong_kind(server: &str) -> SourceError {
    SourceError::Config(format!("the source is not a {server} server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_that_find_another_number_are_told() {
        let counted = Counted::default();
        let counts = |of: &str| Counts { counted: Arc::clone(&counted), of: of.to_owned() };
        assert_eq!(counts("usage").differ(5), None);
        assert_eq!(counts("usage").differ(5), None);
        assert_eq!(counts("invoices").differ(7), None);
        assert_eq!(counts("usage").differ(6), Some(5));
    }

    #[test]
    fn a_clock_that_differs_is_told() {
        assert_eq!((skewed(1500), skewed(-1999)), (String::new(), String::new()));
        assert_eq!(skewed(-65_000), " by the clock of the server, which is 65 s behind the one here");
    }
}
