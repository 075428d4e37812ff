//! Decisions of the product team about methodology changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a methodology change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStatus {
    /// Declared, not decided; also after its file changed, its approval expired or its promise broke.
    Proposed,
    /// Accepted by a reviewer who is not its owner.
    Approved,
    /// Refused: what it moves is unexplained.
    Rejected,
}

impl ReviewStatus {
    /// The name used in JSON and in the state database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for ReviewStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ReviewStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Proposed, Self::Approved, Self::Rejected]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a review status"))
    }
}
