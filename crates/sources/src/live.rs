//! Tables and collections on servers as relations: `postgres://…/database#schema.table` and
//! `mongodb://…/database#collection`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dualrun_core::shape::Shape;
use futures::{FutureExt, future::BoxFuture};
use jiff::civil::Date;

use crate::{
    Gentle, InputTable, SourceError,
    mongo::{MongoFault, MongoOptions},
    postgres::{Fault, PostgresOptions},
    without_credentials,
};

mod changes;
mod cut_off;
mod estimate;
mod part;
mod session;
mod stream;
mod window;

pub use changes::{RowStream, Since, stream_live};
pub use cut_off::{CutOff, Servers, Wanted};
pub use estimate::Estimator;
pub(crate) use part::Part;
#[cfg(feature = "datafusion")]
pub(crate) use part::ShapedColumns;
pub use session::ServerSession;
#[cfg(feature = "datafusion")]
pub(crate) use session::postgres_options;
pub use stream::LiveStream;

/// Connections to a PostgreSQL server that fetch rows at the same time.
const PARALLEL: usize = 2;

/// A window of time with more rows is read in steps of a cursor, fewer rows by one query.
const MANY: u64 = 100_000;

/// How often a reading begins anew after the server or the way to it broke off.
pub const ANEW: u32 = 4;

/// A server, and how it is reached.
#[derive(Debug, Clone)]
pub enum Server {
    /// PostgreSQL.
    Postgres(PostgresOptions),
    /// MongoDB.
    Mongo(MongoOptions),
}

impl Server {
    /// What tells one server, database and login from another. It may hold a password, and stays in memory.
    fn identity(&self) -> String {
        match self {
            Self::Postgres(options) => {
                let file = options.password_file.as_ref().map(|file| file.display().to_string());
                format!("{}\0{file:?}\0{:?}\0{:?}", options.url, options.tls, options.ca_file)
            }
            Self::Mongo(options) => {
                let (database, file) = (&options.database, &options.ca_file);
                format!("{}\0{database:?}\0{file:?}\0{}", options.url, options.insecure)
            }
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Postgres(options) => &options.url,
            Self::Mongo(options) => &options.url,
        }
    }
}

/// What is read from a server, and how gently.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// The table (`schema.table`) or collection.
    pub name: String,
    /// How its fields are read; none: the columns of PostgreSQL as they are, the types of documents from all of them.
    pub shape: Option<Shape>,
    /// Only rows of these days are wanted.
    pub days: Option<DaysOf>,
    /// Only rows that were written since are wanted.
    pub since: Option<Since>,
    /// Whether fields of documents that are null everywhere stay without a type.
    pub untyped_nulls: bool,
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
        name: name.to_owned(),
        shape: None,
        days: None,
        since: None,
        untyped_nulls: true,
        gentle: Gentle::default(),
        spool: spool.to_owned(),
    };
    let live = read_live(server, request).await.map_err(named_wrongly)?;
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
pub fn read_live(server: Server, request: LiveRequest) -> BoxFuture<'static, Result<LiveTable, SourceError>> {
    async move {
        let mut breaks = 0;
        loop {
            let session = ServerSession::open(server.clone()).await?;
            let read = async { session.stream(&request).await?.into_table().await }.await;
            let warnings = session.warnings().to_vec();
            session.close().await;
            match read {
                // The state that was read is gone with its connection: another one is read from its beginning.
                Err(error) if error.broke_off() && breaks < ANEW => {
                    let pause = Duration::from_secs(1 << breaks);
                    breaks += 1;
                    let name = &request.name;
                    request.gentle.say.say(&format!("{error}: {name} is read anew in {} s", pause.as_secs()));
                    tokio::time::sleep(pause).await;
                }
                done => return Ok(LiveTable { table: done?, warnings }),
            }
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
