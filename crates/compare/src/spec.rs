//! What is compared, and which relation plays which part.

use arrow::datatypes::SchemaRef;
use dualrun_core::{Tolerance, unit::Unit};

/// What the comparison needs to know about the rows. All relations share one schema after alignment.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareSpec {
    /// Key columns; relations are sorted by them, in this order, nulls first.
    pub key: Vec<String>,
    /// The key column (or other column) that names the customer; summaries are per value of it.
    pub customer: Option<String>,
    /// Columns to compare, in the order of the report.
    pub columns: Vec<CompareColumn>,
}

/// One compared column.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareColumn {
    /// Its name.
    pub name: String,
    /// Numeric under a tolerance, or equality.
    pub kind: CompareKind,
}

/// How a column is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum CompareKind {
    /// Numeric.
    Measure {
        /// The declared unit, for the report.
        unit: Option<Unit>,
        /// How far the sides may lie apart.
        tolerance: Tolerance,
    },
    /// Equality of values.
    Attribute,
}

/// The relations by the part that they play: positions in the list of relations. Where no change is declared
/// `new_without` = `new_approved` = `new_accepted` = `new`, and alike for legacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// w(∅): the legacy result.
    pub legacy: usize,
    /// v(all): the new result.
    pub new: usize,
    /// v(∅): the new result under the old method.
    pub new_without: usize,
    /// w(all): the legacy result with all declared fixes.
    pub legacy_with: usize,
    /// v(approved).
    pub new_approved: usize,
    /// w(approved).
    pub legacy_approved: usize,
    /// v(all without the rejected).
    pub new_accepted: usize,
    /// w(all without the rejected).
    pub legacy_accepted: usize,
}

impl Parts {
    /// Two relations and no changes: legacy at 0, new at 1.
    pub const PLAIN: Self = Self {
        legacy: 0,
        new: 1,
        new_without: 1,
        legacy_with: 0,
        new_approved: 1,
        legacy_approved: 0,
        new_accepted: 1,
        legacy_accepted: 0,
    };

    /// All parts.
    pub fn all(&self) -> [usize; 8] {
        [
            self.legacy,
            self.new,
            self.new_without,
            self.legacy_with,
            self.new_approved,
            self.legacy_approved,
            self.new_accepted,
            self.legacy_accepted,
        ]
    }

    /// Whether no change is declared, so that every difference is what U is.
    pub fn is_plain(&self) -> bool {
        [self.new_without, self.new_approved, self.new_accepted].iter().all(|part| *part == self.new)
            && [self.legacy_with, self.legacy_approved, self.legacy_accepted]
                .iter()
                .all(|part| *part == self.legacy)
    }
}

/// Rows of one result, sorted by the key, as a stream of batches. The comparison checks the order while it reads.
pub type Relation<E> = Box<dyn Iterator<Item = Result<arrow::record_batch::RecordBatch, E>> + Send>;

/// The schema of the stored differences for a given spec; see [`crate::differences`].
pub type DifferencesSchema = SchemaRef;
