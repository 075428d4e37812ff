//! Tables and collections on servers as relations: `postgres://…/database#schema.table` and
//! `mongodb://…/database#collection`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dualrun_core::shape::Shape;
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use jiff::civil::Date;

use crate::{
    FileReport, InputTable, PaceOptions, ReadReport, SourceError,
    mongo::{self, MongoFault, MongoOptions, MongoReport, MongoSource, Strength},
    postgres::{
        self, Fault, NumericForm, PostgresOptions, PostgresSource, Snapshot, TableName, TableRead,
        TableStream,
    },
    read::{self, RowFile},
    rules::Declared,
    unify, without_credentials,
};

mod stream;
mod window;

pub use stream::{RowStream, Since, stream_live};

/// Connections to a PostgreSQL server that fetch rows at the same time.
const PARALLEL: usize = 2;

/// A server, and how it is reached.
#[derive(Debug, Clone)]
pub enum Server {
    /// PostgreSQL.
    Postgres(PostgresOptions),
    /// MongoDB.
    Mongo(MongoOptions),
}

/// What is read from a server, and how gently.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// The server.
    pub server: Server,
    /// The table (`schema.table`) or collection.
    pub name: String,
    /// How its fields are read; none: the columns of PostgreSQL as they are, the types of documents from all of them.
    pub shape: Option<Shape>,
    /// Only rows of these days are wanted.
    pub days: Option<DaysOf>,
    /// Rows per second at most.
    pub max_rows_per_second: Option<u64>,
    /// The time limit of a query of MongoDB; that of PostgreSQL stands in its options.
    pub query_time: Option<Duration>,
    /// Where documents wait until their types are known.
    pub spool: PathBuf,
}

/// Days, by the column that tells them. More rows may come than those of the days, in whichever time zone; never fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaysOf {
    /// A top-level column or field.
    pub column: String,
    /// The first day.
    pub first: Date,
    /// The day after the last one.
    pub end: Date,
}

/// A relation of a server in memory.
#[derive(Debug, Clone)]
pub struct LiveTable {
    /// The rows, in no order; its report says which state of the data they are of.
    pub table: InputTable,
    /// What is unsafe about the connection.
    pub warnings: Vec<String>,
}

/// Whether a relation stands on a server.
pub fn is_live(text: &str) -> bool {
    scheme(text).is_some()
}

/// Reads a whole table or collection that nobody declared. Large collections wait in a file in `spool` until their
/// types are known.
///
/// # Errors
///
/// [`SourceError::NoTable`] where the server has nothing of that name; otherwise what the server or the way to it does.
pub async fn read_live_relation(text: &str, spool: &Path) -> Result<LiveTable, SourceError> {
    let (url, name) = parts(text)?;
    let server = match scheme(text) {
        Some(Scheme::Postgres) => Server::Postgres(PostgresOptions::new(url)),
        _ => Server::Mongo(MongoOptions::new(url)),
    };
    let request = LiveRequest {
        server,
        name: name.to_owned(),
        shape: None,
        days: None,
        max_rows_per_second: None,
        query_time: None,
        spool: spool.to_owned(),
    };
    let live = read_live(request).await.map_err(named_wrongly)?;
    if live.table.schema.fields().is_empty() {
        return Err(SourceError::NoColumns { path: without_credentials(text) });
    }
    Ok(live)
}

/// Reads a table or collection. With a shape it has the columns, sorted by name, that a dump of it has.
///
/// # Errors
///
/// What the server or the way to it does.
pub fn read_live(request: LiveRequest) -> BoxFuture<'static, Result<LiveTable, SourceError>> {
    async move {
        match &request.server {
            Server::Postgres(options) => read_postgres(options, &request).await,
            Server::Mongo(options) => read_mongo(options, &request).await,
        }
    }
    .boxed()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Postgres,
    Mongo,
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.split_once("://")?.0 {
        "postgres" | "postgresql" => Some(Scheme::Postgres),
        "mongodb" | "mongodb+srv" => Some(Scheme::Mongo),
        _ => None,
    }
}

/// The server and the name behind `#`.
fn parts(text: &str) -> Result<(&str, &str), SourceError> {
    // A # may stand unescaped in a password: what follows it is then no name, and must not be repeated.
    let named = text.rsplit_once('#').filter(|(_, name)| !name.is_empty() && !name.contains(['@', '/']));
    named.ok_or_else(|| {
        let form = match scheme(text) {
            Some(Scheme::Postgres) => "the table is missing, as in postgres://…/database#schema.table",
            _ => "the collection is missing, as in mongodb://…/database#collection",
        };
        SourceError::Config(form.to_owned())
    })
}

/// A name that a person gave and the server does not know.
fn named_wrongly(error: SourceError) -> SourceError {
    match error {
        SourceError::Postgres(error) if error.fault == Fault::Unknown => {
            SourceError::NoTable { place: error.server.clone(), what: error.what.clone() }
        }
        SourceError::Mongo { place, fault: fault @ MongoFault::UnknownCollection } => {
            SourceError::NoTable { place, what: fault.to_string() }
        }
        other => other,
    }
}

async fn read_postgres(options: &PostgresOptions, request: &LiveRequest) -> Result<LiveTable, SourceError> {
    let mut opened = open_postgres(options, request, None).await?;
    let schema = opened.rows.schema();
    let mut batches: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = opened.rows.try_next().await? {
        opened.pace(batch.num_rows()).await;
        batches.push(batch);
    }
    let bytes = batches.iter().map(|b| b.get_array_memory_size() as u64).sum();
    let rows = opened.read;
    let file = FileReport { path: request.name.clone(), bytes, rows, e_tag: None, last_modified: None };
    let mut table = match &request.shape {
        Some(shape) => shaped(&request.name, &schema, &batches, &Declared::of(shape)?)?,
        None => InputTable { schema, batches, report: ReadReport::default() },
    };
    table.report.files = vec![file];
    table.report.rows = rows;
    table.report.misfits.extend(opened.rows.misfits());
    table.report.consistency = Some(opened.consistency());
    Ok(LiveTable { table, warnings: opened.warnings() })
}

/// A table of PostgreSQL while it is read.
struct OpenTable {
    rows: TableStream,
    snapshot: Snapshot,
    source: PostgresSource,
    ceiling: Option<u64>,
    started: Instant,
    /// Rows so far.
    read: u64,
}

impl OpenTable {
    /// Keeps the ceiling: a part of a table comes in one query, which waits while nobody takes its rows.
    async fn pace(&mut self, rows: usize) {
        self.read += rows as u64;
        if let Some(ceiling) = self.ceiling {
            let due = Duration::from_secs_f64(self.read as f64 / ceiling.max(1) as f64);
            tokio::time::sleep(due.saturating_sub(self.started.elapsed())).await;
        }
    }

    fn consistency(&self) -> String {
        format!("one snapshot, taken at {:.0}", self.snapshot.taken_at())
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warning().map(str::to_owned).into_iter().collect()
    }
}

async fn open_postgres(
    options: &PostgresOptions,
    request: &LiveRequest,
    since: Option<&Since>,
) -> Result<OpenTable, SourceError> {
    let name = TableName::parse(&request.name)?;
    let source = PostgresSource::connect(options.clone()).await?;
    let mut form = postgres::ReadOptions::default();
    if let Some(ceiling) = request.max_rows_per_second {
        // A few batches a second rather than one burst.
        form.batch_rows = usize::try_from(ceiling / 4).unwrap_or(form.batch_rows).clamp(1, form.batch_rows);
    }
    if let Some(shape) = &request.shape {
        // Digits as they are written, for the rule of the field to read.
        let numbers = shape.0.keys().map(|path| (path.clone(), NumericForm::Text));
        form.columns.extend(numbers);
    }
    let mut conditions = Vec::new();
    if request.days.is_some() || since.is_some() {
        let schema = source.table(&name, &form).await?.schema;
        conditions.extend(request.days.iter().flat_map(|days| window::conditions(&schema, days)));
        conditions.extend(since.and_then(|since| window::condition(&schema, since)));
    }
    let snapshot = source.snapshot().await?;
    let pace = PaceOptions { max_rows_per_second: request.max_rows_per_second, ..PaceOptions::default() };
    let read = TableRead { conditions, pace, parallel: PARALLEL, ..TableRead::all(name) };
    let rows = source.read_table(Some(&snapshot), &read, &form).await?;
    let ceiling = request.max_rows_per_second;
    Ok(OpenTable { rows, snapshot, source, ceiling, started: Instant::now(), read: 0 })
}

/// Typed rows under the rules of a shape, as those of a Parquet file are.
fn shaped(
    name: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    declared: &Declared,
) -> Result<InputTable, SourceError> {
    let plain = |f: &Field| Field::new(f.name(), unify::normal(f.data_type()), true);
    let fields: Vec<Field> = schema.fields().iter().map(|f| plain(f)).collect();
    let seen = fields.iter().filter(|f| declared.fields.contains_key(f.name()));
    let seen = seen.map(|f| (f.name().clone(), crate::infer::Seen::data_type(f.data_type()))).collect();
    let members = crate::infer::members(&declared.fields, Some(&seen), "")?;
    let mut rest: Vec<Field> =
        fields.iter().filter(|f| !declared.fields.contains_key(f.name())).cloned().collect();
    rest.retain(|field| !members.iter().any(|m| m.missing && m.missing_name() == *field.name()));
    for field in &mut rest {
        if field.data_type() == &DataType::Null {
            field.set_data_type(DataType::Utf8);
        }
    }
    let target: SchemaRef = Arc::new(Schema::new(fields));
    let batches: Result<Vec<_>, _> = batches.iter().map(|batch| read::plain_batch(batch, &target)).collect();
    let rows = RowFile { label: name.into(), batches: batches?, places: None };
    read::row_table(&[], &[rows], &members, rest, true)
}

async fn read_mongo(options: &MongoOptions, request: &LiveRequest) -> Result<LiveTable, SourceError> {
    let read = read_options(request);
    let nothing = Shape::default();
    let shape = request.shape.as_ref().unwrap_or(&nothing);
    let filter = request.days.as_ref().map(|days| window::filter(days, shape)).unwrap_or_default();
    let find = mongo::FindRequest { filter, ..mongo::FindRequest::default() };
    let source = MongoSource::connect(options.clone()).await?;
    let found = async {
        let read = mongo::ReadOptions { cut: source.cut(None).await?, ..read };
        source.read_table(&request.name, find, shape, &read).await
    };
    let found = found.await;
    let warnings = source.warnings().to_vec();
    source.close().await;
    let (mut table, report) = found?;
    table.report.consistency = Some(mongo_words(&report));
    Ok(LiveTable { table, warnings })
}

fn read_options(request: &LiveRequest) -> mongo::ReadOptions {
    let base = mongo::ReadOptions::default();
    mongo::ReadOptions {
        spool_folder: Some(request.spool.clone()),
        untyped_nulls: request.shape.is_none(),
        max_rows_per_second: request.max_rows_per_second,
        max_time: request.query_time.unwrap_or(base.max_time),
        target: request.query_time.map_or(base.target, |time| base.target.min(time / 2)),
        ..base
    }
}

/// Which state of the data a reading saw, and how sure that is.
fn mongo_words(report: &MongoReport) -> String {
    let strength = match report.consistency.strength(Some(report.rows)) {
        Strength::None => "nothing says that it is one state of the data",
        Strength::Count => "the count did not change, which is weak evidence of one state",
        Strength::Watermark => "the count up to the watermark did not change",
        Strength::Snapshot => "the server vouches for one state",
    };
    format!("{}; {strength}", report.consistency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_by_their_scheme() {
        for live in [
            "postgres://h/d#t",
            "postgresql://h/d#t",
            "mongodb://h/d#c",
            "mongodb+srv://h/d#c",
            "postgres://h/d",
        ] {
            assert!(is_live(live), "{live}");
        }
        for other in ["data/x.parquet", "s3://bucket/x.parquet", "postgres.csv", "file:///x#y.csv"] {
            assert!(!is_live(other), "{other}");
        }
    }

    #[test]
    fn a_table_stands_behind_the_last_hash() {
        assert_eq!(parts("postgres://u:p@h/d#core.usage").unwrap(), ("postgres://u:p@h/d", "core.usage"));
        for missing in [
            "postgres://u:p@h/d",
            "postgres://u:p@h/d#",
            "postgres://u:s3c#ret@h/d",
            "mongodb://u:s3c#ret@h/d",
        ] {
            let error = parts(missing).unwrap_err().to_string();
            assert!(error.contains("is missing") && !error.contains("ret"), "{error}");
        }
    }
}
