//! What can go wrong while rows are prepared and compared.

use arrow::{datatypes::DataType, error::ArrowError};
use dualrun_core::{ExitCode, input::Side};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The types of a column share no lossless type.
    #[error("column {column:?}: legacy type {legacy} and new type {new} have no common lossless type")]
    NoCommonType {
        /// The column.
        column: String,
        /// Its type on the legacy side.
        legacy: DataType,
        /// Its type on the new side.
        new: DataType,
    },
    /// A key, measure, attribute or declared column that is not there.
    #[error("column {column:?} is missing{}", side_text(*.side))]
    MissingColumn {
        /// The side that lacks it, where sides are known.
        side: Option<Side>,
        /// The column or path.
        column: String,
    },
    /// A column that a side has under a name that differs in upper and lower case.
    #[error("column {column:?} is missing{}, which has {found:?}", side_text(Some(*.side)))]
    ColumnCase {
        /// The side.
        side: Side,
        /// The column that is asked for.
        column: String,
        /// The column that is there.
        found: String,
    },
    /// The column that names the customer is not among the columns of both sides.
    #[error("customer column {0:?} is not a column of both sides")]
    UnknownCustomer(String),
    /// A comparison without a key.
    #[error("the key names no column")]
    NoKey,
    /// A name that occurs twice.
    #[error("column {0:?} occurs twice")]
    DuplicateColumn(String),
    /// A measure whose values are not numbers.
    #[error("measure {column:?} has type {found}, which is not numeric")]
    NotNumeric {
        /// The column.
        column: String,
        /// Its common type.
        found: DataType,
    },
    /// A key column with a name that the stored differences need for themselves.
    #[error("key column {0:?} has a name that the stored differences use")]
    ReservedColumn(String),
    /// Rows that do not have the schema of the comparison.
    #[error("relation {relation}: column {column:?} has type {found}, expected {expected}")]
    SchemaMismatch {
        /// Position in the list of relations.
        relation: usize,
        /// The column.
        column: String,
        /// The type of the rows.
        found: DataType,
        /// The type that was agreed on.
        expected: DataType,
    },
    /// A part that points to no relation.
    #[error("there are {relations} relations, but a part points to number {part}")]
    UnknownPart {
        /// The position that a part asks for.
        part: usize,
        /// How many relations there are.
        relations: usize,
    },
    /// A row that stands after a row with a larger key.
    #[error("relation {relation} is not sorted by its key: row {row} is out of order")]
    NotSorted {
        /// Position in the list of relations.
        relation: usize,
        /// Row number within the relation, from 0.
        row: u64,
    },
    /// A range of rows whose keys are not all larger than those of the range before.
    #[error("the relations are not sorted by their key")]
    RangesOverlap,
    /// The counts do not add up.
    #[error("counts do not add up{}: {what}", .customer.as_ref().map(|c| format!(" for customer {c:?}")).unwrap_or_default())]
    NotConserved {
        /// The customer, or none for the run.
        customer: Option<String>,
        /// The sentence that does not hold.
        what: String,
    },
    /// A value that does not fit the type it is brought to.
    #[error("column {column:?}: a value does not fit type {to}")]
    Cast {
        /// The column.
        column: String,
        /// The type.
        to: DataType,
        /// What Arrow says.
        source: ArrowError,
    },
    /// An align rule that cannot work on the type of its column.
    #[error("align rule {rule} cannot work on column {column:?} of type {found}")]
    RuleType {
        /// The rule's name.
        rule: &'static str,
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// An align rule with a setting that makes no sense.
    #[error("align rule {rule} on column {column:?}: {reason}")]
    RuleSetting {
        /// The rule's name.
        rule: &'static str,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A value that an align rule cannot convert.
    #[error("align rule {rule} on column {column:?}: a value cannot be converted")]
    RuleValue {
        /// The rule's name.
        rule: &'static str,
        /// The column.
        column: String,
    },
    /// Rows could not be read.
    #[error("reading relation {relation} failed")]
    Relation {
        /// Position in the list of relations.
        relation: usize,
        /// The reader's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Differences could not be written.
    #[error("writing differences failed")]
    Sink(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Arrow refused an operation.
    #[error("an Arrow kernel failed")]
    Arrow(#[from] ArrowError),
}

fn side_text(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Legacy) => " on the legacy side",
        Some(Side::New) => " on the new side",
        None => "",
    }
}

impl CompareError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoCommonType { column, legacy, new } => match (legacy, new) {
                (DataType::Timestamp(..), DataType::Timestamp(..)) => {
                    format!(
                        "say which zone the naive side means: rule = \"time_zone\", column = \"{column}\""
                    )
                }
                _ => format!("bring one side to the other's type: rule = \"cast\", column = \"{column}\""),
            },
            Self::MissingColumn { column, .. } => {
                format!(
                    "check the spelling, or take it from another name: rule = \"rename\", column = \"{column}\""
                )
            }
            Self::ColumnCase { side, column, found } => format!(
                "names are compared letter by letter: rule = \"rename\", side = \"{side}\", from = {found:?}, column = {column:?}"
            ),
            Self::UnknownCustomer(_) => "name a column that both sides have".to_owned(),
            Self::NoKey => "name the columns that make a row unique".to_owned(),
            Self::ReservedColumn(name) => {
                format!("rename the column on both sides, for example to \"{name}_\"")
            }
            Self::NotNumeric { column, .. } => {
                format!("declare it as an attribute, or cast it: rule = \"cast\", column = \"{column}\"")
            }
            Self::NotSorted { .. } => {
                "sort the rows by the key, nulls first, before they are compared".to_owned()
            }
            Self::Cast { .. } | Self::RuleValue { .. } => {
                "correct the value at its source, or clean it by an align rule before".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }

    /// Whether the same call may succeed later without any change.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Relation { .. } | Self::Sink(_))
    }

    /// What the process says: infrastructure for reading, writing and broken invariants, usage for the rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Relation { .. }
            | Self::Sink(_)
            | Self::Arrow(_)
            | Self::NotConserved { .. }
            | Self::NotSorted { .. }
            | Self::SchemaMismatch { .. }
            | Self::UnknownPart { .. } => ExitCode::Infrastructure,
            _ => ExitCode::Usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_from_infrastructure() {
        let missing = CompareError::MissingColumn { side: Some(Side::New), column: "day".into() };
        assert_eq!(missing.to_string(), "column \"day\" is missing on the new side");
        assert_eq!(missing.exit_code(), ExitCode::Usage);
        assert!(!missing.retryable() && missing.hint().is_some());
        let sink = CompareError::Sink("disk full".into());
        assert_eq!(sink.exit_code(), ExitCode::Infrastructure);
        assert!(sink.retryable());
    }
}
