//! What can go wrong while an input is read.

use dualrun_core::ExitCode;

use crate::{Location, command::CommandError, commits::Commit, mongo::MongoFault, postgres::PostgresError};

/// An open table format that must not be read as plain files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Delta Lake: a `_delta_log` folder.
    Delta,
    /// Apache Iceberg: a `metadata` folder with `*.metadata.json`.
    Iceberg,
}

impl std::fmt::Display for TableKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Delta => "Delta Lake",
            Self::Iceberg => "Iceberg",
        })
    }
}

/// Why an input could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No such file or folder, or a folder without a file to read.
    #[error("{path}: not found")]
    NotFound {
        /// Where it was looked for.
        path: String,
    },
    /// A folder without a file to read.
    #[error("{path}: is empty, there is no file to read")]
    EmptyFolder {
        /// The folder.
        path: String,
    },
    /// Files without a row that do not even name their columns.
    #[error("{path}: is empty, it has no columns")]
    NoColumns {
        /// The file or folder.
        path: String,
    },
    /// The object store did not answer as it should.
    #[error("{path}: cannot be read")]
    Access {
        /// What was asked for.
        path: String,
        /// The answer of the store.
        #[source]
        source: Box<object_store::Error>,
    },
    /// Bytes that are not what the format asks for.
    #[error("{file}: {}{what}", offset.map(|o| format!("byte {o}: ")).unwrap_or_default())]
    Corrupt {
        /// The file.
        file: String,
        /// Where, in the decompressed bytes; none where the format has no single place (Parquet).
        offset: Option<u64>,
        /// What is wrong there.
        what: String,
    },
    /// A file that is not the one that was opened any more.
    #[error("{file}: changed while it was read")]
    Changed {
        /// The file.
        file: String,
    },
    /// A file that a commit of a table names and that is gone.
    #[error("{file}: is gone, and the table {table} has it among its files")]
    FileGone {
        /// The table.
        table: String,
        /// The file.
        file: String,
        /// Whether the table is a copy of an input; else it holds the results of a model.
        copy: bool,
    },
    /// A commit of a table that cannot be read.
    #[error("{file}: {what}")]
    BadCommit {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: String,
        /// Whether it is damaged; else another version of dualrun wrote it.
        known: bool,
    },
    /// A line of text that is not what the format asks for.
    #[error("{file}: line {line}: {what}")]
    BadLine {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// Two files of one input hold a column with types that do not go together.
    #[error("column {column:?} is {first} but {second}")]
    SchemaDrift {
        /// The column, with its path.
        column: String,
        /// Type and file where the column was met first.
        first: String,
        /// Type and file that do not go with it.
        second: String,
    },
    /// A table of a server lacks a column that the shape of an input declares.
    #[error("table {table} has no column {column:?}")]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A file of a relation lacks a column that another one has.
    #[error("column {column:?} is in {has} but not in {lacks}")]
    ColumnLacks {
        /// The column.
        column: String,
        /// The file that has it.
        has: Box<str>,
        /// The file that does not.
        lacks: Box<str>,
    },
    /// The name does not tell the format.
    #[error("{path}: not a format that can be read")]
    UnknownFormat {
        /// The name.
        path: String,
    },
    /// A table of an open table format.
    #[error("{path}: is a {kind} table, not a folder of plain files")]
    TableFormat {
        /// Which one.
        kind: TableKind,
        /// The folder.
        path: String,
    },
    /// Files in a folder that do not belong to the table.
    #[error("{path}: holds files that do not belong to the table: {}", files.join(", "))]
    StrayFiles {
        /// The folder.
        path: String,
        /// The files, relative to the folder; the first ten.
        files: Vec<String>,
    },
    /// A PostgreSQL server, or the way to it, did not give what was asked for.
    #[error(transparent)]
    Postgres(Box<PostgresError>),
    /// A MongoDB server did not give what was asked for.
    #[error("{place}: {fault}")]
    Mongo {
        /// Server, database and collection, without user and password.
        place: String,
        /// What went wrong.
        fault: MongoFault,
    },
    /// A server has no table, collection or database of that name.
    #[error("{place}: {what}")]
    NoTable {
        /// The server, and what was looked for there; without user and password.
        place: String,
        /// What is not there.
        what: String,
    },
    /// Rows could not be put aside on disk.
    #[error("{folder}: rows cannot be put aside there: {kind}")]
    Disk {
        /// The folder.
        folder: String,
        /// What the disk said.
        kind: std::io::ErrorKind,
    },
    /// An external job gave no result.
    #[error(transparent)]
    Command(Box<CommandError>),
    /// A location, an option or a field rule that cannot be used.
    #[error("{0}")]
    Config(String),
}

impl SourceError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } | Self::EmptyFolder { .. } => "check the path; was the dump or export written?".to_owned(),
            Self::NoColumns { .. } => {
                "a relation without rows is a CSV with a header or a Parquet file with its schema".to_owned()
            }
            Self::Access { source, .. } => match (standing(source), &**source) {
                (Some(fault), _) => fault.to_owned(),
                (None, object_store::Error::PermissionDenied { .. }) => {
                    "the credentials may not read there".to_owned()
                }
                (None, object_store::Error::Unauthenticated { .. }) => {
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role".to_owned()
                }
                (None, _) => "the store may be down or out of reach; a retry may help".to_owned(),
            },
            Self::Corrupt { .. } => "the file is cut off or damaged; write it again".to_owned(),
            Self::Changed { .. } => "run it again when nobody writes there".to_owned(),
            Self::FileGone { copy: true, .. } => {
                "`dualrun load --full` reads everything again and repairs the table; `dualrun load --period <day>`, \
                 where it lies by day, repairs the partition of that day"
                    .to_owned()
            }
            Self::FileGone { copy: false, .. } => "`dualrun load` calculates its periods again".to_owned(),
            Self::BadCommit { known: true, .. } => {
                "the file is damaged: delete it, then `dualrun load --full` writes what is missing".to_owned()
            }
            Self::BadCommit { known: false, .. } => "use the version of dualrun that wrote it".to_owned(),
            Self::BadLine { .. } => return None,
            Self::SchemaDrift { column, .. } => format!("declare the type of {column:?} in the shape of the input"),
            Self::NoColumn { .. } => {
                "was it renamed or dropped? take it out of the shape of the input, or say `missing = true` there".to_owned()
            }
            Self::ColumnLacks { .. } => {
                "its rows would count as null there: write all files with the same columns, or compare one file".to_owned()
            }
            Self::UnknownFormat { .. } => {
                "known are .parquet, .csv, .json, .jsonl, .ndjson and .bson, the last five also with .gz".to_owned()
            }
            Self::TableFormat { .. } => {
                "plain files of such a table hold deleted and replaced rows too; export it to a Parquet folder".to_owned()
            }
            Self::StrayFiles { .. } => "name one file, or keep one format in the folder".to_owned(),
            Self::Postgres(error) => return error.hint(),
            Self::Command(error) => error.hint(),
            Self::Mongo { fault, .. } => return fault.hint(),
            Self::NoTable { .. } => {
                "check the names of database, schema and table or collection; case counts".to_owned()
            }
            Self::Disk { .. } => "free space there, or name another folder as `limits.spill`".to_owned(),
            Self::Config(_) => return None,
        })
    }

    /// Whether a new reading, of a later state, may go where this one did not: the server or the way to it broke off.
    pub fn broke_off(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.broke_off())
    }

    /// Whether the same call may succeed later with nothing else changed.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Access { source, .. } => {
                matches!(
                    **source,
                    object_store::Error::Generic { .. } | object_store::Error::JoinError { .. }
                ) && standing(source).is_none()
            }
            Self::Changed { .. } => true,
            Self::Postgres(error) => error.retryable(),
            Self::Command(error) => error.retryable(),
            Self::Mongo { fault, .. } => fault.retryable(),
            _ => false,
        }
    }

    /// What the process answers: infrastructure where something is absent or out of reach, usage otherwise.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotFound { .. }
            | Self::EmptyFolder { .. }
            | Self::Access { .. }
            | Self::Changed { .. }
            | Self::FileGone { .. }
            | Self::Disk { .. } => ExitCode::Infrastructure,
            Self::Postgres(error) => error.exit_code(),
            Self::Command(error) => error.exit_code(),
            Self::Mongo { fault, .. } => fault.exit_code(),
            _ => ExitCode::Usage,
        }
    }

    pub(crate) fn access(path: impl Into<String>, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { path: path.into() },
            source => Self::Access { path: path.into(), source: Box::new(source) },
        }
    }

    /// A file of a table that is gone.
    pub(crate) fn gone(table: &Location, commit: &Commit, file: String) -> Self {
        Self::FileGone { table: table.display.clone(), file, copy: commit.load.is_some() }
    }

    pub(crate) fn mongo(place: &str, fault: MongoFault) -> Self {
        Self::Mongo { place: place.to_owned(), fault }
    }

    pub(crate) fn corrupt(file: &str, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset: Some(offset), what: what.into() }
    }

    pub(crate) fn line(file: &str, line: u64, what: impl Into<String>) -> Self {
        Self::BadLine { file: file.to_owned(), line, what: what.into() }
    }
}

/// What is to be mended before a store can answer, where a retry does not help.
pub fn standing(error: &object_store::Error) -> Option<&'static str> {
    let said = dualrun_core::chain(error);
    if said.contains("NoSuchBucket") {
        Some("there is no such bucket: make it, or correct its name; until then a retry does not help")
    } else if said.contains("RequestTimeTooSkewed") {
        Some("the clocks of this machine and of the store are too far apart: set the one that is wrong (NTP)")
    } else if is_no_folder(error) {
        Some(
            "a file stands where a folder should be: move it, or correct the path; until then a retry does not help",
        )
    } else {
        None
    }
}

/// Whether a file stands where a folder was asked for.
pub(crate) fn is_no_folder(error: &object_store::Error) -> bool {
    dualrun_core::chain(error).contains("Not a directory")
}

impl From<CommandError> for SourceError {
    fn from(error: CommandError) -> Self {
        Self::Command(Box::new(error))
    }
}

impl From<arrow::error::ArrowError> for SourceError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Corrupt { file: "table".to_owned(), offset: None, what: error.to_string() }
    }
}
