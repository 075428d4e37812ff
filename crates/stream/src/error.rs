//! What can go wrong while relations of any size are compared.

use std::path::PathBuf;

use arrow::error::ArrowError;
use dualrun_compare::CompareError;
use dualrun_core::{ExitCode, input::Side};
use dualrun_sources::SourceError;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A side cannot be read.
    #[error("the {side} side cannot be read")]
    Read {
        /// The side.
        side: Side,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The rows cannot be aligned or compared.
    #[error("the sides cannot be compared")]
    Compare(#[source] CompareError),
    /// A file of results cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder for rows that exceed the memory cannot be written or read back.
    #[error("cannot spill to {}", path.display())]
    Spill {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A thread ended without an answer.
    #[error("a thread of the comparison ended without an answer")]
    Thread,
}

impl StreamError {
    /// What a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } => source.hint(),
            Self::Compare(source) => source.hint(),
            Self::Write { .. } => Some("is there space left, and may the folder be written?".into()),
            Self::Spill { .. } => Some(
                "free some space, name another folder, or allow more memory so that less is spilled".into(),
            ),
            Self::Thread => None,
        }
    }

    /// Whether the same command may succeed later without any change.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Read { source, .. } => source.retryable(),
            Self::Compare(source) => source.retryable(),
            Self::Write { .. } | Self::Spill { .. } => true,
            Self::Thread => false,
        }
    }

    /// What the process should answer.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { source, .. } => source.exit_code(),
            Self::Compare(source) => source.exit_code(),
            Self::Write { .. } | Self::Spill { .. } | Self::Thread => ExitCode::Infrastructure,
        }
    }

    /// Whether it only says that rows are not in the order of their keys.
    pub(crate) fn is_unsorted(&self) -> bool {
        matches!(self, Self::Compare(CompareError::NotSorted { .. } | CompareError::RangesOverlap))
    }
}

/// What a kernel of Arrow says.
pub(crate) fn failed(source: ArrowError) -> StreamError {
    StreamError::Compare(CompareError::Arrow(source))
}
