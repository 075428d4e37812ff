//! Exit codes of the command line.

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What the process tells the scheduler. The numbers are a contract with the nightly job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum ExitCode {
    /// 0: the sides agree.
    Agree,
    /// 1: unexplained differences or a failed data check.
    Differs,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: infrastructure; a retry may help.
    Infrastructure,
    /// 4: inputs not comparable.
    NotComparable,
    /// 5: a methodology change waits for review.
    ReviewPending,
    /// 99: nothing to do, or another process holds the run.
    Nothing,
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> u8 {
        match code {
            ExitCode::Agree => 0,
            ExitCode::Differs => 1,
            ExitCode::Usage => 2,
            ExitCode::Infrastructure => 3,
            ExitCode::NotComparable => 4,
            ExitCode::ReviewPending => 5,
            ExitCode::Nothing => 99,
        }
    }
}

impl ExitCode {
    /// The code of several pipelines: the first of 2, 3, 1, 4, 5, 0 that occurs, and 99 where nothing ran.
    pub fn of_many(codes: impl IntoIterator<Item = ExitCode>) -> ExitCode {
        let order = [
            ExitCode::Usage,
            ExitCode::Infrastructure,
            ExitCode::Differs,
            ExitCode::NotComparable,
            ExitCode::ReviewPending,
            ExitCode::Agree,
        ];
        let rank = |code: ExitCode| order.iter().position(|c| *c == code).unwrap_or(order.len());
        codes.into_iter().min_by_key(|code| rank(*code)).unwrap_or(ExitCode::Nothing)
    }

    /// The code of one finished run. A failed run has a cause of its own: usage or infrastructure.
    pub fn of_outcome(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Agrees => ExitCode::Agree,
            Outcome::ReviewPending => ExitCode::ReviewPending,
            Outcome::NotComparable => ExitCode::NotComparable,
            Outcome::Differs => ExitCode::Differs,
            Outcome::Failed => ExitCode::Infrastructure,
        }
    }
}

impl TryFrom<u8> for ExitCode {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        [
            Self::Agree,
            Self::Differs,
            Self::Usage,
            Self::Infrastructure,
            Self::NotComparable,
            Self::ReviewPending,
            Self::Nothing,
        ]
        .into_iter()
        .find(|code| u8::from(*code) == number)
        .ok_or_else(|| format!("{number} is not an exit code of dualrun"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_outranks_infrastructure_outranks_differences() {
        use ExitCode::*;
        assert_eq!(ExitCode::of_many([Agree, Differs, Infrastructure]), Infrastructure);
        assert_eq!(ExitCode::of_many([Usage, Infrastructure]), Usage);
        assert_eq!(ExitCode::of_many([ReviewPending, NotComparable, Agree]), NotComparable);
        assert_eq!(ExitCode::of_many([Agree, Nothing]), Agree);
        assert_eq!(ExitCode::of_many([]), Nothing);
    }
}
