//! What can go wrong with an external job.

use std::{process::ExitStatus, time::Duration};

use dualrun_core::ExitCode;

/// Why an external job gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such program.
    #[error("there is no program {program:?}")]
    NotFound {
        /// As the mapping names it.
        program: String,
    },
    /// The program could not be started.
    #[error("{program:?} cannot be started")]
    Start {
        /// As the mapping names it.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The job says that it failed.
    #[error("{program:?} failed with {status}")]
    Failed {
        /// As the mapping names it.
        program: String,
        /// Exit code or signal.
        status: ExitStatus,
        /// What it printed last.
        #[source]
        output: LastOutput,
    },
    /// The job did not end in time, and was killed.
    #[error("{program:?} was stopped after {} s", limit.as_secs())]
    TimedOut {
        /// As the mapping names it.
        program: String,
        /// The time that it had.
        limit: Duration,
        /// What it printed last.
        #[source]
        output: LastOutput,
    },
    /// The job ended well, and there is no result.
    #[error("{program:?} ended well, but did not write {place}")]
    NoResult {
        /// As the mapping names it.
        program: String,
        /// Where the result was expected.
        place: String,
    },
}

impl CommandError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { .. } => {
                "install it, or name its path; a name without `/` is looked for on PATH".to_owned()
            }
            Self::Start { .. } => "it must be a program that this user may run".to_owned(),
            Self::Failed { .. } => {
                "what it printed last stands above; its environment is PATH, HOME, LANG, DUALRUN_… and what `env` lists"
                    .to_owned()
            }
            Self::TimedOut { .. } => "raise `timeout`, or look at what it waits for".to_owned(),
            Self::NoResult { .. } => {
                "it must write its rows to the file that the variable DUALRUN_RESULT names".to_owned()
            }
        }
    }

    /// Whether the same job may succeed later with nothing else changed.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::TimedOut { .. })
    }

    /// Infrastructure where the job failed, usage where it cannot be run as it is declared.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed { .. } | Self::TimedOut { .. } => ExitCode::Infrastructure,
            Self::NotFound { .. } | Self::Start { .. } | Self::NoResult { .. } => ExitCode::Usage,
        }
    }
}

/// The end of what a job printed, without secrets.
#[derive(Debug)]
pub struct LastOutput(pub(super) String);

impl std::fmt::Display for LastOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it printed nothing");
        }
        f.write_str("it printed last")?;
        self.0.lines().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl std::error::Error for LastOutput {}
