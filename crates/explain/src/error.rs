//! Errors of this crate.

/// Why a difference could not be explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// A relation or the stored differences lack a column that the step reads.
    #[error("column {0:?} is missing")]
    MissingColumn(String),
    /// A column cannot be read as the type that the step needs.
    #[error("column {column:?} is not readable as {wanted}")]
    Type {
        /// The column.
        column: String,
        /// What was needed.
        wanted: &'static str,
        /// Why the cast failed.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// The plan has no split: it was made for verdicts only.
    #[error("the replay plan has no split")]
    NoSplit,
    /// The number of relations is not the number of calculations of the plan.
    #[error("the plan has {expected} calculations, {found} relations were given")]
    Relations {
        /// Calculations of the plan.
        expected: usize,
        /// Relations that were given.
        found: usize,
    },
    /// A relation could not be read or merged.
    #[error("the results of the replays could not be merged")]
    Merge(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ExplainError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingColumn(_) | Self::Type { .. } => {
                Some("compare the columns of the results with the mapping".into())
            }
            Self::NoSplit => Some("ask the plan for its split before the calculations run".into()),
            Self::Relations { .. } | Self::Merge(_) => None,
        }
    }

    /// Whether the same call may succeed later. Reading evidence may fail for a moment; the rest stays as it is.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Merge(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_may_succeed_later() {
        assert!(ExplainError::Merge("gone".into()).retryable());
        let missing = ExplainError::MissingColumn("kwh".into());
        assert!(!missing.retryable() && missing.hint().is_some());
        assert_eq!(missing.to_string(), "column \"kwh\" is missing");
    }
}
