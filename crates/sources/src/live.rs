//! Tables and collections on servers as relations: `postgres://…/database#schema.table` and
//! `mongodb://…/database#collection`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dualrun_core::shape::Shape;
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use jiff::civil::Date;

use crate::{
    FileReport, Gentle, InputTable, ReadReport, SourceError,
    mongo::{self, MongoFault, MongoOptions, MongoSource, Strength},
    postgres::{self, Fault, NumericForm, PostgresOptions, PostgresSource, TableName, TableRead},
    read::{self, RowFile},
    rules::Declared,
    unify, without_credentials,
};

mod estimate;
mod window;

pub use estimate::Estimator;

/// Connections to a PostgreSQL server that fetch rows at the same time.
const PARALLEL: usize = 2;

/// A window of time with more rows is read in steps of a cursor, fewer rows by one query.
const MANY: u64 = 100_000;

/// How often a reading begins anew after the server or the way to it broke off.
const ANEW: u32 = 4;

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
    /// How the server is spared.
    pub gentle: Gentle,
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
        gentle: Gentle::default(),
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
    let source = PostgresSource::connect(options.clone()).await?;
    let mut breaks = 0;
    loop {
        match read_snapshot(&source, request).await {
            // The state that was read is gone with its connection: another one is read from its beginning.
            Err(SourceError::Postgres(error)) if error.broke_off() && breaks < ANEW => {
                let pause = Duration::from_secs(1 << breaks);
                breaks += 1;
                request.gentle.say.say(&format!(
                    "{error}: {} is read anew in {} s",
                    request.name,
                    pause.as_secs()
                ));
                tokio::time::sleep(pause).await;
            }
            Ok(mut live) if breaks > 0 => {
                let times = if breaks == 1 { "once".to_owned() } else { format!("{breaks} times") };
                if let Some(said) = &mut live.table.report.consistency {
                    said.push_str(&format!(", after the reading broke off {times}"));
                }
                return Ok(live);
            }
            done => return done,
        }
    }
}

/// What is read of a table, and how its columns are.
async fn table_read(
    source: &PostgresSource,
    request: &LiveRequest,
) -> Result<(TableRead, postgres::ReadOptions), SourceError> {
    let name = TableName::parse(&request.name)?;
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
    let schema = source.table(&name, &form).await?.schema;
    let conditions = request.days.as_ref().map(|days| window::conditions(&schema, days)).unwrap_or_default();
    let mut read =
        TableRead { conditions, pace: request.gentle.pace(), parallel: PARALLEL, ..TableRead::all(name) };
    // One query is the quickest, and should not be a long one.
    read.in_steps = read.pace.max_rows_per_second.is_some() || source.about(&read).await? > MANY;
    Ok((read, form))
}

async fn read_snapshot(source: &PostgresSource, request: &LiveRequest) -> Result<LiveTable, SourceError> {
    let (read, form) = source.answered(table_read(source, request)).await?;
    let snapshot = source.answered(source.snapshot()).await?;
    let ahead = snapshot.taken_at().as_millisecond() - jiff::Timestamp::now().as_millisecond();
    let mut stream = source.answered(source.read_table(Some(&snapshot), &read, &form)).await?;
    let schema = stream.schema();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    while let Some(batch) = source.answered(stream.try_next()).await? {
        rows += batch.num_rows() as u64;
        batches.push(batch);
    }
    let bytes = batches.iter().map(|b| b.get_array_memory_size() as u64).sum();
    let file = FileReport { path: request.name.clone(), bytes, rows, e_tag: None, last_modified: None };
    let mut table = match &request.shape {
        Some(shape) => shaped(&request.name, &schema, &batches, &Declared::of(shape)?)?,
        None => InputTable { schema, batches, report: ReadReport::default() },
    };
    table.report.files = vec![file];
    table.report.rows = rows;
    table.report.misfits.extend(stream.misfits());
    let taken = format!("one snapshot, taken at {:.0}{}", snapshot.taken_at(), skewed(ahead));
    table.report.consistency = Some(taken);
    Ok(LiveTable { table, warnings: source.warning().map(str::to_owned).into_iter().collect() })
}

/// That the clock of a server is not the one here, where a reader of the report should know.
fn skewed(ahead: i64) -> String {
    if ahead.abs() <= SKEW {
        return String::new();
    }
    let word = if ahead < 0 { "behind" } else { "ahead of" };
    format!(" by the clock of the server, which is {} s {word} the one here", ahead.unsigned_abs() / 1000)
}

/// Milliseconds by which a clock may be another without a word.
const SKEW: i64 = 2000;

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
    let read = mongo::ReadOptions {
        spool_folder: Some(request.spool.clone()),
        untyped_nulls: request.shape.is_none(),
        ..mongo::ReadOptions::gentle(&request.gentle)
    };
    let nothing = Shape::default();
    let shape = request.shape.as_ref().unwrap_or(&nothing);
    let find = find_request(request, shape);
    let source = MongoSource::connect(options.clone()).await?;
    let found = async {
        let read = mongo::ReadOptions { cut: source.cut(None).await?, ..read };
        source.read_table(&request.name, find, shape, &read).await
    };
    let found = found.await;
    let warnings = source.warnings().to_vec();
    source.close().await;
    let (mut table, report) = found?;
    let strength = match report.consistency.strength(Some(report.rows)) {
        Strength::None => "nothing says that it is one state of the data",
        Strength::Count => "the count did not change, which is weak evidence of one state",
        Strength::Watermark => "the count up to the watermark did not change",
        Strength::Snapshot => "the server vouches for one state",
    };
    table.report.consistency = Some(format!("{}; {strength}", report.consistency));
    Ok(LiveTable { table, warnings })
}

fn find_request(request: &LiveRequest, shape: &Shape) -> mongo::FindRequest {
    let filter = request.days.as_ref().map(|days| window::filter(days, shape)).unwrap_or_default();
    mongo::FindRequest { filter, ..mongo::FindRequest::default() }
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
    fn a_clock_that_differs_is_told() {
        assert_eq!((skewed(1500), skewed(-1999)), (String::new(), String::new()));
        assert_eq!(skewed(-65_000), " by the clock of the server, which is 65 s behind the one here");
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
