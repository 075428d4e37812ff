//! What is read from a MongoDB server, and how.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use bson::Document;

use super::{Cut, MongoTypes};
use crate::{Gentle, PaceOptions, Say, rules::Declared, without_credentials};

/// How a MongoDB server is reached.
#[derive(Clone)]
pub struct MongoOptions {
    /// The connection string. What it says of read preference, TLS and timeouts wins over the defaults.
    pub url: String,
    /// The database; that of the URL where not given.
    pub database: Option<String>,
    /// The password, where the URL holds none: from the environment or a file.
    pub password: Option<String>,
    /// Which members of a replica set answer.
    pub read_from: ReadFrom,
    /// How far behind a secondary that answers may be. The protocol asks for at least 90 s.
    pub max_staleness: Option<Duration>,
    /// A PEM file with the authorities to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Accepts any certificate. [`super::MongoSource::warnings`] says so.
    pub insecure: bool,
    /// How long a server that fits is looked for.
    pub server_selection_timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: u32,
}

impl MongoOptions {
    /// The defaults: secondaries preferred, 15 s to find a server, 10 s to connect, 4 connections.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: None,
            password: None,
            read_from: ReadFrom::SecondaryPreferred,
            max_staleness: None,
            ca_file: None,
            insecure: false,
            server_selection_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            max_connections: 4,
        }
    }
}

impl std::fmt::Debug for MongoOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoOptions")
            .field("url", &without_credentials(&self.url))
            .field("database", &self.database)
            .field("read_from", &self.read_from)
            .field("ca_file", &self.ca_file)
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

/// Which members of a replica set answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    /// Only the primary.
    Primary,
    /// The primary, a secondary where there is none.
    PrimaryPreferred,
    /// Only secondaries.
    Secondary,
    /// Secondaries, the primary where there is none.
    #[default]
    SecondaryPreferred,
    /// Whoever answers fastest.
    Nearest,
}

impl ReadFrom {
    /// The name used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::PrimaryPreferred => "primary_preferred",
            Self::Secondary => "secondary",
            Self::SecondaryPreferred => "secondary_preferred",
            Self::Nearest => "nearest",
        }
    }
}

/// The documents of a collection.
#[derive(Debug, Clone, Default)]
pub struct FindRequest {
    /// Which documents; all where empty.
    pub filter: Document,
    /// Their order. Without one they come by `_id`, in queries of the target time, which is what lets a cut reading go
    /// on. An empty one is the order in which the server finds them: one query, often faster, and neither.
    pub sort: Option<Document>,
    /// How many at most.
    pub limit: Option<u64>,
    /// Which fields become columns.
    pub fields: Fields,
    /// The types of the columns, where they were learnt before.
    pub types: Option<MongoTypes>,
}

/// Which fields of documents become columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fields {
    /// All, as a dump has them. What the shape does not declare gets its type from all documents.
    #[default]
    All,
    /// What the shape declares and nothing else, also inside of nested documents.
    Declared,
    /// These top-level fields.
    Named(BTreeSet<String>),
}

/// How documents are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The state of the data that is read.
    pub cut: Cut,
    /// The time limit of a query on the server.
    pub max_time: Duration,
    /// What the server may take longer to answer than the time limit until the connection counts as dead.
    pub grace: Duration,
    /// How long a query should take: queries by `_id` are made longer or shorter to meet it.
    pub target: Duration,
    /// Rows per second at most.
    pub max_rows_per_second: Option<u64>,
    /// Reading pauses while a secondary is further behind than this, where the server tells it.
    pub max_lag: Option<Duration>,
    /// How long it pauses at most.
    pub lag_patience: Duration,
    /// Who is told why it pauses.
    pub say: Say,
    /// How often in a row a reading that was cut is taken up again without a new document.
    pub retries: u32,
    /// Whether documents are counted before and after where no snapshot is read.
    pub count: bool,
    /// Bytes of documents that wait in memory for their types to be known; the others wait in a temporary file.
    pub spool_memory: usize,
    /// The folder of the temporary file; that of the system where not given.
    pub spool_folder: Option<PathBuf>,
    /// Whether a column that is null in every row has no type; it is text otherwise.
    pub untyped_nulls: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            cut: Cut::None,
            max_time: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            target: Duration::from_secs(2),
            max_rows_per_second: None,
            max_lag: Some(Duration::from_secs(30)),
            lag_patience: Duration::from_secs(300),
            say: Say::default(),
            retries: 4,
            count: true,
            spool_memory: 64 << 20,
            spool_folder: None,
            untyped_nulls: false,
        }
    }
}

impl ReadOptions {
    /// As gentle as the settings of a server ask for.
    #[must_use]
    pub fn gentle(gentle: &Gentle) -> Self {
        let base = Self::default();
        let max_time = gentle.query_time.unwrap_or(base.max_time);
        Self {
            max_rows_per_second: gentle.max_rows_per_second,
            max_time,
            // A query that aims at less than its time limit does not waste work at it.
            target: gentle.chunk_time.unwrap_or(base.target).min(max_time / 2),
            max_lag: gentle.max_lag.or(base.max_lag),
            lag_patience: gentle.lag_wait.unwrap_or(base.lag_patience),
            say: gentle.say.clone(),
            ..base
        }
    }

    /// How large the queries by `_id` are.
    pub(super) fn pace(&self) -> PaceOptions {
        PaceOptions {
            target: self.target,
            max_rows_per_second: self.max_rows_per_second,
            ..PaceOptions::default()
        }
    }
}

impl Fields {
    /// The names of the columns, none where all fields are columns.
    pub(super) fn names(&self, declared: &Declared) -> Option<BTreeSet<String>> {
        match self {
            Self::All => None,
            Self::Declared => Some(declared.fields.keys().cloned().collect()),
            Self::Named(names) => Some(names.clone()),
        }
    }

    /// Whether the types of all columns are known without looking at a document.
    pub(super) fn typed(&self, declared: &Declared) -> bool {
        let typed =
            |name: &String| declared.fields.get(name).is_some_and(|d| d.typed(*self == Self::Declared));
        self.names(declared).is_some_and(|names| names.iter().all(typed))
    }

    /// The projection on the server: whole top-level fields, because a path would leave out what does not fit it.
    /// `_id` always comes.
    pub(super) fn projection(&self, declared: &Declared) -> Option<Document> {
        let names = self.names(declared)?;
        let askable = |name: &String| !name.is_empty() && !name.contains('.') && !name.starts_with('$');
        if !names.iter().all(askable) {
            return None;
        }
        let mut projection = Document::new();
        projection.insert("_id", 1);
        for name in &names {
            projection.insert(name, 1);
            let missing = declared.fields.get(name).and_then(|d| d.rules.as_ref()).is_some_and(|r| r.missing);
            if missing {
                projection.insert(format!("{name}_missing"), 1);
            }
        }
        Some(projection)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use dualrun_core::shape::Shape;

    use super::*;

    fn declared(json: serde_json::Value) -> Declared {
        Declared::of(&serde_json::from_value::<Shape>(json).unwrap()).unwrap()
    }

    #[test]
    fn a_password_is_not_in_the_debug_text() {
        let mut options = MongoOptions::new("mongodb://reader:s3cr3t@db.example/x");
        options.password = Some("s3cr3t".to_owned());
        let text = format!("{options:?}");
        assert!(text.contains("db.example") && !text.contains("s3cr3t"), "{text}");
    }

    #[test]
    fn what_is_declared_can_be_streamed() {
        let declared = declared(serde_json::json!({
            "hours": "float", "lines": "list", "tags[]": "text", "site.country": "text"
        }));
        let named = |names: &[&str]| Fields::Named(names.iter().map(|n| (*n).to_owned()).collect());
        assert!(named(&["hours", "tags"]).typed(&declared));
        assert!(!named(&["lines"]).typed(&declared), "elements of a list without a type");
        assert!(!named(&["site"]).typed(&declared), "a document may have more fields than those declared");
        assert!(!named(&["other"]).typed(&declared));
        assert!(!Fields::All.typed(&declared) && !Fields::Declared.typed(&declared));
    }

    #[test]
    fn only_declared_fields_make_a_nested_document_known() {
        let declared = declared(serde_json::json!({"site.country": "text", "lines[].kwh": "decimal"}));
        assert!(Fields::Declared.typed(&declared));
    }

    #[test]
    fn whole_fields_are_asked_for() {
        let declared = declared(serde_json::json!({
            "site.country": "text", "hours": {"type": "float", "missing": true}
        }));
        let projection = Fields::Declared.projection(&declared);
        assert_eq!(projection, Some(doc! {"_id": 1, "hours": 1, "hours_missing": 1, "site": 1}));
        assert_eq!(Fields::Named(["a.b".to_owned()].into()).projection(&declared), None);
        assert_eq!(Fields::All.projection(&declared), None);
    }
}
