//! What computes the result rows of a side.

use std::{path::PathBuf, time::Duration};

use dualrun_core::{input::InputRef, load::StoreDecl, shape::Shape};

/// A calculation of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Calculation {
    /// What computes it.
    pub engine: Engine,
    /// SHA-256 (hex) over everything that can change its rows: a change breaks the streak.
    pub hash: String,
    /// The same calculation as SQL models, for where the interpreter or the server is not at hand.
    pub embedded: Option<Box<Calculation>>,
    /// What must be said with every result, for example that the embedded form was taken.
    pub note: Option<String>,
    /// Where the rows of its models are kept.
    pub store: Option<StoreDecl>,
}

impl Calculation {
    /// A calculation by SQL models; the last one is the result.
    pub fn sql(models: Vec<Model>, hash: String) -> Self {
        Self::new(Engine::Sql(models), hash)
    }

    pub(crate) fn new(engine: Engine, hash: String) -> Self {
        Self { engine, hash, embedded: None, note: None, store: None }
    }

    /// The SQL models; none where another engine computes it.
    pub fn models(&self) -> &[Model] {
        match &self.engine {
            Engine::Sql(models) => models,
            _ => &[],
        }
    }

    /// The form whose columns can be told without running anything: itself, or its embedded form.
    pub fn planned(&self) -> &Self {
        match (&self.engine, &self.embedded) {
            (Engine::Sql(_), _) | (_, None) => self,
            (_, Some(embedded)) => embedded,
        }
    }
}

/// What computes a calculation.
#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    /// SQL models over the inputs of the side, in the order in which they depend on each other; the last is the
    /// result.
    Sql(Vec<Model>),
    /// An external job.
    Command(Command),
    /// Results that already stand somewhere.
    Relation(Relation),
    /// SQL on a server of PostgreSQL.
    Postgres(ServerQuery),
    /// An aggregation pipeline on a server of MongoDB.
    Mongodb(ServerPipeline),
}

impl Engine {
    /// The name used in mapping files.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sql(_) => "sql",
            Self::Command(_) => "command",
            Self::Relation(_) => "relation",
            Self::Postgres(_) => "postgres",
            Self::Mongodb(_) => "mongodb",
        }
    }

    /// The source that it needs beside the inputs of its side.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Sql(_) | Self::Command(_) => None,
            Self::Relation(relation) => Some(&relation.place.source),
            Self::Postgres(query) => Some(&query.source),
            Self::Mongodb(pipeline) => Some(&pipeline.source),
        }
    }
}

/// One SQL model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The table name that later models read: the file name without number and extension.
    pub name: String,
    /// The file, relative to the project.
    pub file: PathBuf,
    /// Its text.
    pub sql: String,
    /// Tables that it reads: inputs or earlier models.
    pub reads: Vec<String>,
    /// Parameters (`$name`) that it uses itself, without the `$`.
    pub parameters: Vec<String>,
}

/// An external job, typically Python: it gets period, switches and inputs through its environment and writes one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The program and its arguments; no shell stands between.
    pub line: Vec<String>,
    /// The folder that it runs in, relative to the project: that of the pipeline.
    pub folder: PathBuf,
    /// How it writes its result.
    pub format: ResultFormat,
    /// Where, relative to its folder; a temporary file where not given.
    pub path: Option<String>,
    /// How the fields of the result are read.
    pub shape: Shape,
    /// It is stopped after this time.
    pub timeout: Duration,
    /// Further variables of dualrun's own environment that it is given.
    pub env: Vec<String>,
}

/// The format of a job's result.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ResultFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl ResultFormat {
    /// The usual ending of such a file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

/// Results that already stand in a source. `{day}`, `{month}` and parameters in braces are replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// Where.
    pub place: InputRef,
    /// How its fields are read.
    pub shape: Shape,
}

/// SQL that runs on a server of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerQuery {
    /// The source, by its name in `dualrun.toml`.
    pub source: String,
    /// The file, relative to the project.
    pub file: PathBuf,
    /// Its text, with `$1`, `$2`, … in the place of its parameters.
    pub sql: String,
    /// What is bound to `$1`, `$2`, …: the names of parameters.
    pub parameters: Vec<String>,
}

/// An aggregation pipeline that runs on a server of MongoDB.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerPipeline {
    /// The source, by its name in `dualrun.toml`.
    pub source: String,
    /// The collection that it starts from.
    pub collection: String,
    /// The file, relative to the project.
    pub file: PathBuf,
    /// Its text: a list of stages in Extended JSON, parameters as `{"$param": "name"}`.
    pub pipeline: String,
    /// The names of the parameters in it.
    pub parameters: Vec<String>,
    /// How the fields of its documents are read.
    pub shape: Shape,
}
