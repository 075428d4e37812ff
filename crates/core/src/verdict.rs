//! Verdicts of cells and outcomes of runs: closed sets, ordered from best to worst.

use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

/// What is said of one cell: a measure or attribute of one row, or the row's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same value on both sides.
    Equal,
    /// Different, by no more than the declared tolerance.
    WithinTolerance,
    /// Different because of approved methodology changes only.
    Explained,
    /// Different because of methodology changes, of which some are not approved yet.
    Pending,
    /// Different beyond tolerance after every declared change is taken out, or moved by a rejected change.
    Unexplained,
}

impl Verdict {
    /// All verdicts, best first.
    pub const ALL: [Self; 5] =
        [Self::Equal, Self::WithinTolerance, Self::Explained, Self::Pending, Self::Unexplained];

    /// The name used in JSON and Parquet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::WithinTolerance => "within_tolerance",
            Self::Explained => "explained",
            Self::Pending => "pending",
            Self::Unexplained => "unexplained",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many cells or rows have each verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// [`Verdict::Equal`].
    pub equal: u64,
    /// [`Verdict::WithinTolerance`].
    pub within_tolerance: u64,
    /// [`Verdict::Explained`].
    pub explained: u64,
    /// [`Verdict::Pending`].
    pub pending: u64,
    /// [`Verdict::Unexplained`].
    pub unexplained: u64,
}

impl VerdictCounts {
    /// Counts one more.
    #[inline]
    pub fn add(&mut self, verdict: Verdict) {
        *self.slot(verdict) += 1;
    }

    /// How many have this verdict.
    pub fn get(&self, verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Equal => self.equal,
            Verdict::WithinTolerance => self.within_tolerance,
            Verdict::Explained => self.explained,
            Verdict::Pending => self.pending,
            Verdict::Unexplained => self.unexplained,
        }
    }

    /// All of them.
    #[inline]
    pub fn total(&self) -> u64 {
        let Self { equal, within_tolerance, explained, pending, unexplained } = self;
        equal + within_tolerance + explained + pending + unexplained
    }

    /// The worst verdict that occurs, or `None` where nothing was counted.
    pub fn worst(&self) -> Option<Verdict> {
        Verdict::ALL.into_iter().rev().find(|v| self.get(*v) > 0)
    }

    fn slot(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Equal => &mut self.equal,
            Verdict::WithinTolerance => &mut self.within_tolerance,
            Verdict::Explained => &mut self.explained,
            Verdict::Pending => &mut self.pending,
            Verdict::Unexplained => &mut self.unexplained,
        }
    }
}

impl AddAssign for VerdictCounts {
    // Added up for every customer, from another crate.
    #[inline]
    fn add_assign(&mut self, other: Self) {
        let Self { equal, within_tolerance, explained, pending, unexplained } = other;
        self.equal += equal;
        self.within_tolerance += within_tolerance;
        self.explained += explained;
        self.pending += pending;
        self.unexplained += unexplained;
    }
}

/// The outcome of a run, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every cell is equal, within tolerance or explained.
    Agrees,
    /// Some difference waits for the review of a methodology change.
    ReviewPending,
    /// The activity inputs of some customer differ between the sides.
    NotComparable,
    /// Some difference is unexplained.
    Differs,
    /// The run could not be carried out.
    Failed,
}

impl Outcome {
    /// The name used in JSON and in the state database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::ReviewPending => "review_pending",
            Self::NotComparable => "not_comparable",
            Self::Differs => "differs",
            Self::Failed => "failed",
        }
    }

    /// Whether the answer stands: attempts that are not final are superseded by the same command.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Agrees | Self::ReviewPending | Self::Differs)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Outcome {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Agrees, Self::ReviewPending, Self::NotComparable, Self::Differs, Self::Failed]
            .into_iter()
            .find(|o| o.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not an outcome"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins() {
        let mut counts = VerdictCounts::default();
        assert_eq!(counts.worst(), None);
        counts.add(Verdict::Equal);
        counts += VerdictCounts { pending: 3, ..VerdictCounts::default() };
        assert_eq!((counts.worst(), counts.total()), (Some(Verdict::Pending), 4));
        assert!(Outcome::Failed > Outcome::Differs && Outcome::Differs > Outcome::NotComparable);
        assert!(Outcome::NotComparable > Outcome::ReviewPending && Outcome::ReviewPending > Outcome::Agrees);
        assert_eq!("differs".parse(), Ok(Outcome::Differs));
    }
}
