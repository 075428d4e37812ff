//! What can go wrong while the demo is laid out and played.

use std::{io, path::PathBuf};

use dualrun_core::ExitCode;
use dualrun_sources::SourceError;

/// Why the demo could not be laid out or played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A file or folder of the demo cannot be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The answer of the file system.
        #[source]
        source: io::Error,
    },
    /// The embedded reference project has mistakes.
    #[error("the embedded project has mistakes:\n{0}")]
    Project(String),
    /// No pipeline of the embedded project reads a collection, so that its shape is not known.
    #[error("no pipeline reads the collection {0}")]
    NoReader(String),
    /// Two pipelines read one field of a collection in different ways.
    #[error("two pipelines read {collection}.{field} in different ways")]
    Shape {
        /// The collection.
        collection: String,
        /// The path of the field.
        field: String,
    },
    /// Generated documents could not be turned into a file.
    #[error("{collection} of {partition}: not written")]
    Documents {
        /// The collection.
        collection: String,
        /// The day, the month, or `all`.
        partition: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A Parquet file could not be encoded.
    #[error("{collection} of {partition}: no Parquet")]
    Parquet {
        /// The collection.
        collection: String,
        /// The day, the month, or `all`.
        partition: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A file of the embedded scenario has a mistake.
    #[error("scenario {file}: {what}")]
    Scenario {
        /// The file.
        file: String,
        /// What is wrong in it.
        what: String,
    },
    /// A night could not be carried out.
    #[error(transparent)]
    Engine(Box<dualrun_engine::EngineError>),
    /// A result could not be written as JSON.
    #[error("a night cannot be written as JSON: {0}")]
    Json(String),
    /// Not a single night was asked for.
    #[error("no night to play")]
    NoNights,
    /// The days asked for are no range, or lie outside of the calendar.
    #[error("no days from {first} to {last}")]
    Range {
        /// The first day.
        first: jiff::civil::Date,
        /// The last day.
        last: jiff::civil::Date,
    },
}

impl DemoError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Write { .. } => Some("name another folder, or free space on this one".to_owned()),
            Self::Range { .. } => Some("the first day must not lie behind the last".to_owned()),
            Self::Shape { .. } => Some("give the field the same shape in both mappings".to_owned()),
            Self::Documents { source, .. } => source.hint(),
            Self::Engine(error) => error.hint(),
            Self::NoNights => Some("ask for at least one night".to_owned()),
            Self::Json(_)
            | Self::Project(_)
            | Self::NoReader(_)
            | Self::Parquet { .. }
            | Self::Scenario { .. } => None,
        }
    }

    /// Whether the same call may succeed later with nothing else changed.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Write { .. } => true,
            Self::Engine(error) => error.retryable(),
            _ => false,
        }
    }

    /// What the process answers.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Write { .. } => ExitCode::Infrastructure,
            Self::Engine(error) => error.exit_code(),
            _ => ExitCode::Usage,
        }
    }

    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }

    pub(crate) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}

impl From<dualrun_engine::EngineError> for DemoError {
    fn from(error: dualrun_engine::EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_infrastructure_and_a_wrong_range_is_usage() {
        let full = DemoError::write("/demo/x", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((full.exit_code(), full.retryable()), (ExitCode::Infrastructure, true));
        assert_eq!(full.to_string(), "/demo/x: cannot be written");
        let day = jiff::civil::date(2025, 3, 1);
        let range = DemoError::Range { first: day, last: day };
        assert_eq!((range.exit_code(), range.retryable()), (ExitCode::Usage, false));
        assert!(range.hint().is_some());
    }
}
