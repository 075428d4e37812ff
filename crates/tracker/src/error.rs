//! What the tracker refuses.

use dualrun_core::{ChangeId, ExitCode};

/// Why a decision was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackerError {
    /// Owners do not review their own changes.
    #[error("{reviewer} proposed {change} and cannot review it")]
    OwnerReviews {
        /// The change.
        change: ChangeId,
        /// Who tried.
        reviewer: String,
    },
    /// Nobody is named as the reviewer.
    #[error("a decision needs a reviewer")]
    NoReviewer,
    /// A decision without a reason tells nothing to those who read it later.
    #[error("a decision needs a reason")]
    NoReason,
    /// The approval would end after the last year of the calendar.
    #[error("an approval of {0} days ends after the calendar")]
    TooLong(u32),
}

impl TrackerError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::OwnerReviews { .. } => "ask somebody else to review it",
            Self::NoReviewer => "say who decides",
            Self::NoReason => "say in a sentence why the effect is as it should be, or why not",
            Self::TooLong(_) => "set [gates] approval_days in dualrun.toml to fewer days",
        };
        Some(hint.to_owned())
    }

    /// Whether the same call may succeed later without any change: never.
    pub fn retryable(&self) -> bool {
        false
    }

    /// What the process tells its caller.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}
