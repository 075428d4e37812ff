//! What can go wrong with a state database.

use std::error::Error;

use dualrun_core::{ExitCode, RunId};

/// The cause below an error.
pub type Source = Box<dyn Error + Send + Sync>;

/// Why the state database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process holds the database longer than this one waits.
    #[error("the state database is busy")]
    Busy {
        /// The driver's word.
        source: Source,
    },
    /// It cannot be reached, or refused a statement.
    #[error("the state database {place} does not answer")]
    Unavailable {
        /// The file or the server.
        place: String,
        /// The driver's word.
        source: Source,
    },
    /// It, or the folder that it stands in, cannot be written to.
    #[error("the state database {place} is not writable")]
    NotWritable {
        /// The file or the server.
        place: String,
        /// The operating system's or the driver's word.
        source: Source,
    },
    /// The file is damaged, or is no database at all.
    #[error("{place} is damaged or not a state database")]
    Damaged {
        /// The file.
        place: String,
        /// The driver's word.
        source: Source,
    },
    /// A record holds something that dualrun never writes.
    #[error("{record} in the state database cannot be read: {reason}")]
    CorruptRecord {
        /// Which record, for example `run 0198…`.
        record: String,
        /// What does not fit.
        reason: String,
    },
    /// The audit log was changed after it was written.
    #[error("the audit log was tampered with at line {sequence}: {reason}")]
    TamperedAudit {
        /// The first line that does not fit.
        sequence: u64,
        /// What does not fit.
        reason: String,
    },
    /// The database could not be brought to the form that this version needs.
    #[error("the state database {place} cannot be migrated")]
    Migration {
        /// The file or the server.
        place: String,
        /// The migration's word.
        source: Source,
    },
    /// A run that nobody recorded.
    #[error("no run {0} is recorded")]
    UnknownRun(RunId),
}

impl StateError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Busy { .. } => "another dualrun works on this project; try again when it is done",
            Self::Unavailable { .. } => return None,
            Self::NotWritable { .. } => {
                "give dualrun a folder that it may write to: [state] url in dualrun.toml"
            }
            Self::Damaged { .. } => {
                "restore the file from a backup, or move it away: dualrun then starts a new one without history"
            }
            Self::CorruptRecord { .. } => "restore the state database from a backup",
            Self::TamperedAudit { .. } => {
                "compare with a backup: the lines before this one are as they were written"
            }
            Self::Migration { .. } => {
                "a newer dualrun may have written it; use that version, or restore the backup of before"
            }
            Self::UnknownRun(_) => "`dualrun status` shows the latest runs",
        };
        Some(hint.to_owned())
    }

    /// Whether the same call may succeed later without any change.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable { .. })
    }

    /// What the process tells the scheduler.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::UnknownRun(_) => ExitCode::Usage,
            _ => ExitCode::Infrastructure,
        }
    }
}
