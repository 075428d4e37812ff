//! Why a table could not be written.

use dualrun_core::ExitCode;
use dualrun_sources::{SourceError, standing};

/// Why a table could not be written. Nothing of it is visible then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The object store refused or is away.
    #[error("{path}: cannot be written")]
    Write {
        /// The object.
        path: String,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// The source, or what stands in the table, could not be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// The folder for rows that wait.
    #[error("rows cannot wait in {folder}")]
    Spool {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A column that Parquet cannot hold.
    #[error("the rows cannot be written as Parquet: {0}")]
    Encode(String),
    /// Several rows of the source have the same key, so that none can replace the other.
    #[error("{rows} rows have a key that another row of the source has too")]
    KeyTwice {
        /// How many.
        rows: u64,
    },
    /// A declared column that the rows do not have.
    #[error("there is no column {column:?}, which `{named_by}` of the input names")]
    NoColumn {
        /// The column.
        column: String,
        /// The key of the mapping.
        named_by: &'static str,
    },
    /// A column that came with another type than it has in files of the table that stay.
    #[error("column {column:?} is {first} but {second}")]
    Retyped {
        /// The column.
        column: String,
        /// Its type in the table, and a file that has it.
        first: String,
        /// Its new type.
        second: String,
    },
    /// Another writer made the next commit.
    #[error("{table}: another process committed {number} first")]
    Lost {
        /// The table.
        table: String,
        /// The number that both wanted.
        number: u64,
    },
}

impl LakeError {
    /// Types that do not go together, of files and of what came.
    pub(crate) fn of_types(error: SourceError) -> Self {
        match error {
            SourceError::SchemaDrift { column, first, second } => Self::Retyped { column, first, second },
            error => Self::Read(error),
        }
    }

    /// What the process answers.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Write { .. } | Self::Spool { .. } => ExitCode::Infrastructure,
            Self::Read(source) => source.exit_code(),
            Self::Encode(_) | Self::KeyTwice { .. } | Self::NoColumn { .. } | Self::Retyped { .. } => {
                ExitCode::Usage
            }
            Self::Lost { .. } => ExitCode::Nothing,
        }
    }

    /// Whether the same command may succeed later without any change.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Write { source, .. } => !is_refused(source) && standing(source).is_none(),
            Self::Read(source) => source.retryable(),
            Self::Spool { .. } | Self::Lost { .. } => true,
            Self::Encode(_) | Self::KeyTwice { .. } | Self::NoColumn { .. } | Self::Retyped { .. } => false,
        }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Write { source, .. } if is_refused(source) => {
                "the credentials need the rights to list, read, write and delete there; the table is as it was".to_owned()
            }
            Self::Write { source, .. } if standing(source).is_some() => {
                standing(source).unwrap_or_default().to_owned()
            }
            Self::Write { .. } => {
                "is the store up, and is there room? the table is as it was; the same command begins anew".to_owned()
            }
            Self::Read(source) => return source.hint(),
            Self::Spool { .. } => "give `limits.spill` a folder with more room".to_owned(),
            Self::Encode(_) => "declare the column as text in the shape of the input".to_owned(),
            Self::KeyTwice { .. } => {
                "`key` of the input must name the columns that make a row unique; without `watermark` every load reads \
                 everything and needs no key"
                    .to_owned()
            }
            Self::NoColumn { .. } => "check the name; case counts".to_owned(),
            Self::Retyped { column, .. } => format!(
                "`dualrun load --full` writes the table anew with its present types; where {column:?} holds values of \
                 several types, declare its type in the shape of the input before"
            ),
            Self::Lost { .. } => "nothing was overwritten; the next load takes up what the other one left".to_owned(),
        })
    }
}

/// Whether the store refuses, now and later, what was asked of it.
fn is_refused(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    )
}

impl From<parquet::errors::ParquetError> for LakeError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Encode(error.to_string())
    }
}

impl From<arrow::error::ArrowError> for LakeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Read(error.into())
    }
}
