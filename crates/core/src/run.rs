//! The report of one run or one `diff`: schema `dualrun.run/1`.
//!
//! Counts are numbers. Figures of measures are text in exact decimal form (or `"NaN"`, `"inf"`), so that no
//! reader rounds them. Fields may be added; none changes its meaning.

use serde::{Deserialize, Serialize};

use crate::{
    input::{Role, Side},
    run::figures::Figure,
    verdict::{Outcome, Verdict, VerdictCounts},
};

pub mod figures;
pub mod hints;

/// The name and version of the schema.
pub const SCHEMA: &str = "dualrun.run/1";

/// How many customers stand in [`RunReport::customers`]; all of them stand in the file at `customers_path`.
pub const WORST_CUSTOMERS: usize = 100;

/// Everything that is said of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run's UUIDv7; of a `diff` too.
    pub run_id: String,
    /// Null for a `diff`.
    pub pipeline: Option<String>,
    /// The day or month; null for a `diff`.
    pub period: Option<String>,
    /// The date as of which the run was made; null for a `diff`.
    pub as_of: Option<String>,
    /// The environment of the project; null for a `diff`.
    #[serde(default)]
    pub environment: Option<String>,
    /// The run key, which makes the run idempotent; null for a `diff`.
    #[serde(default)]
    pub run_key: Option<String>,
    /// The worst that occurs.
    pub outcome: Outcome,
    /// Why the run failed; null otherwise.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// Counts of rows.
    pub rows: RowCounts,
    /// One entry a column, in the order of the mapping.
    pub columns: Vec<ColumnReport>,
    /// The worst customers, worst first.
    pub customers: Vec<CustomerReport>,
    /// How many customers there are.
    #[serde(default)]
    pub customers_total: u64,
    /// All customers as Parquet.
    pub customers_path: Option<String>,
    /// What the fence found.
    pub inputs: Vec<InputReport>,
    /// What each methodology change moved.
    pub bridge: Vec<BridgeEntry>,
    /// Unexplained differences by signature.
    pub findings: Vec<Finding>,
    /// Data checks of the mapping.
    #[serde(default)]
    pub checks: Vec<CheckReport>,
    /// Where the differences are stored.
    pub differences: DifferencesReport,
    /// Where the review of each change in force stood when the verdicts were given.
    #[serde(default)]
    pub reviews: std::collections::BTreeMap<String, crate::review::ReviewStatus>,
    /// What was noticed beside the comparison: columns on one side only, misfits, rows out of the period.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The run whose verdicts these are, where nothing that they depend on changed since; null where the results were
    /// compared for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged_since: Option<UnchangedSince>,
    /// Calculations that a server made, or whose results it holds: which state of the data, and how sure that is. One a
    /// side, the weakest of its replays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calculations: Vec<CalculationConsistency>,
    /// The load that the run began with, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<crate::load::LoadReport>,
}

/// A run whose verdicts were carried over to a later night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnchangedSince {
    /// Its night.
    pub as_of: String,
    /// Its id.
    pub run_id: String,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stage: fence, calculate, align, compare, explain, record.
    pub stage: String,
    /// The chain of causes, outermost first, without row content or secrets.
    pub message: String,
    /// The way out, where one is known.
    #[serde(default)]
    pub hint: Option<String>,
    /// Whether the same command may succeed later without any change.
    pub retryable: bool,
}

/// Counts of rows. `equal` to `unexplained` count paired rows by the worst verdict of their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows read on the legacy side.
    pub legacy: u64,
    /// Rows read on the new side.
    pub new: u64,
    /// Keys on both sides, once each.
    pub paired: u64,
    /// Paired rows by verdict.
    #[serde(flatten)]
    pub verdicts: VerdictCounts,
    /// Rows on the legacy side only.
    pub only_legacy: u64,
    /// Rows on the new side only.
    pub only_new: u64,
    /// Rows whose key occurs more than once on either side.
    pub ambiguous_key: PerSide,
    /// Rows with a null part in their key, both sides together.
    pub null_keys: u64,
    /// Rows on one side only, by what is said of their presence.
    pub one_sided: OneSided,
}

/// A count for each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PerSide {
    /// Legacy side.
    pub legacy: u64,
    /// New side.
    pub new: u64,
}

/// Rows on one side only by verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OneSided {
    /// Brought or removed by approved changes.
    pub explained: u64,
    /// Brought or removed by changes that wait for review.
    pub pending: u64,
    /// Brought or removed by nothing that was declared.
    pub unexplained: u64,
}

impl RowCounts {
    /// The law of conservation: rows read = paired + one side only + ambiguous, for each side, and the paired
    /// and one-sided rows are the sums of their verdicts.
    ///
    /// # Errors
    /// The sentence that does not hold, with its numbers.
    pub fn conserved(&self) -> Result<(), String> {
        let sums = [
            ("legacy rows", self.legacy, self.paired + self.only_legacy + self.ambiguous_key.legacy),
            ("new rows", self.new, self.paired + self.only_new + self.ambiguous_key.new),
            ("paired rows", self.paired, self.verdicts.total()),
            (
                "rows on one side only",
                self.only_legacy + self.only_new,
                self.one_sided.explained + self.one_sided.pending + self.one_sided.unexplained,
            ),
        ];
        match sums.into_iter().find(|(_, whole, parts)| whole != parts) {
            Some((what, whole, parts)) => Err(format!("{whole} {what}, but {parts} accounted for")),
            None => Ok(()),
        }
    }
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numeric, with a tolerance.
    Measure,
    /// Compared for equality.
    Attribute,
    /// On one side only: listed, not compared.
    LegacyOnly,
    /// On one side only: listed, not compared.
    NewOnly,
}

/// One column over all rows, or over the rows of one customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// Its name after alignment.
    pub name: String,
    /// Measure, attribute, or on one side only.
    pub kind: ColumnKind,
    /// The unit of a measure, where declared.
    #[serde(default)]
    pub unit: Option<String>,
    /// Cells of paired rows by verdict.
    #[serde(flatten)]
    pub verdicts: VerdictCounts,
    /// Sum over all legacy rows; null for an attribute, as all figures below.
    pub legacy_total: Option<Figure>,
    /// Sum over all new rows.
    pub new_total: Option<Figure>,
    /// New total − legacy total.
    pub net_difference: Option<Figure>,
    /// Σ|new − legacy|; a row on one side only enters with its value, ambiguous keys with |Σn − Σl|.
    pub gross_difference: Option<Figure>,
    /// Σ|U|, what no declared change accounts for.
    pub gross_unexplained: Option<Figure>,
    /// The largest |n − l| / max(|n|, |l|).
    pub max_relative: Option<Figure>,
    /// Values that are not finite, left out of the sums, both sides together.
    #[serde(default)]
    pub not_finite: u64,
    /// Offsetting errors hide behind a small net difference.
    #[serde(default)]
    pub offsetting: bool,
    /// The cell that differs most; null where none lies beyond tolerance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<LargestDifference>,
}

/// The cell of a column with the largest |new − legacy|; of an attribute, or where no cell has a finite difference,
/// the one with the smallest key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargestDifference {
    /// The key of its row, in key order.
    pub key: Vec<KeyPart>,
    /// The legacy value as exact text; null for null and for a row that legacy lacks.
    pub legacy: Option<String>,
    /// The new value likewise.
    pub new: Option<String>,
    /// new − legacy; null for an attribute and where a side is not finite.
    pub difference: Option<Figure>,
    /// |new − legacy| / max(|new|, |legacy|); null likewise.
    pub relative: Option<Figure>,
}

/// One column of a key with its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyPart {
    /// The name of the column.
    pub column: String,
    /// The value as text; null for null.
    pub value: Option<String>,
}

/// One customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerReport {
    /// As the results name it; null where the customer column is null.
    pub customer: Option<String>,
    /// The worst of its cells, or `not_comparable`.
    pub verdict: CustomerVerdict,
    /// Counts of its rows.
    pub rows: RowCounts,
    /// Its columns.
    pub columns: Vec<ColumnReport>,
}

/// What is said of a customer, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerVerdict {
    /// [`Verdict::Equal`].
    Equal,
    /// [`Verdict::WithinTolerance`].
    WithinTolerance,
    /// [`Verdict::Explained`].
    Explained,
    /// [`Verdict::Pending`].
    Pending,
    /// Its activity inputs differ between the sides; its cells were not compared.
    NotComparable,
    /// [`Verdict::Unexplained`], or a key that occurs more than once.
    Unexplained,
}

impl From<Verdict> for CustomerVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Equal => Self::Equal,
            Verdict::WithinTolerance => Self::WithinTolerance,
            Verdict::Explained => Self::Explained,
            Verdict::Pending => Self::Pending,
            Verdict::Unexplained => Self::Unexplained,
        }
    }
}

impl CustomerVerdict {
    /// The name used in JSON and Parquet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::WithinTolerance => "within_tolerance",
            Self::Explained => "explained",
            Self::Pending => "pending",
            Self::NotComparable => "not_comparable",
            Self::Unexplained => "unexplained",
        }
    }
}

/// One input as the fence found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputReport {
    /// Its name in the mapping.
    pub name: String,
    /// Activity or factor.
    pub role: Role,
    /// How strong the fence was: content, keys, count, watermark; `edition` for a factor input.
    pub fence: String,
    /// Whether both sides had the same facts, for every customer. Always true for a factor input.
    pub comparable: bool,
    /// How many customers are not comparable because of this input.
    pub customers_not_comparable: u64,
    /// Up to ten of them, with the rows of each side.
    #[serde(default)]
    pub not_comparable: Vec<FenceDifference>,
    /// Rows read on each side.
    #[serde(default)]
    pub rows: PerSide,
    /// Fingerprint or edition of each side.
    #[serde(default)]
    pub legacy: Option<String>,
    /// Fingerprint or edition of each side.
    #[serde(default)]
    pub new: Option<String>,
    /// Documents with a value that did not fit its declared type, on each side.
    #[serde(default)]
    pub misfits: PerSide,
    /// For each side that reads it from a server: which state of the data, and how sure that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consistency: Vec<SideConsistency>,
}

/// The state of a server's data that one side read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideConsistency {
    /// The side.
    pub side: Side,
    /// Which state, and how sure that is.
    #[serde(flatten)]
    pub consistency: Consistency,
}

/// The state of a server's data that the calculation of one side saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculationConsistency {
    /// The side.
    pub side: Side,
    /// What computes it, as the mapping calls it.
    pub engine: String,
    /// Which state, and how sure that is.
    #[serde(flatten)]
    pub consistency: Consistency,
}

/// Which state of a server's data was read, and how sure that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// What fixed the state for all readings of the run.
    pub cut: CutKind,
    /// What vouches for it.
    pub strength: CutStrength,
    /// The same in words, without a value of the data.
    pub detail: String,
}

/// What fixed the state of the data that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutKind {
    /// Nothing: whatever stood there while it was read.
    None,
    /// The largest value of a field that only grows, as it stood when the run began.
    Watermark,
    /// One snapshot of the server.
    Snapshot,
}

/// What vouches for one state of the data, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutStrength {
    /// Nothing, or the data is known to have changed.
    None,
    /// As many documents before and after.
    Count,
    /// As many documents up to a watermark, before and after.
    Watermark,
    /// The server.
    Snapshot,
}

impl CutStrength {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Count => "count",
            Self::Watermark => "watermark",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A customer whose input differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceDifference {
    /// The customer; null for an input that has none.
    pub customer: Option<String>,
    /// Rows on the legacy side.
    pub legacy_rows: u64,
    /// Rows on the new side.
    pub new_rows: u64,
}

/// What one methodology change moved in one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BridgeEntry {
    /// The change's id.
    pub change: String,
    /// The measure.
    pub column: String,
    /// Σφ over all customers.
    pub effect: Figure,
    /// The standard error of a sampled split; null where all subsets were computed.
    #[serde(default)]
    pub standard_error: Option<Figure>,
    /// Σφ over |Σ legacy|; null where legacy is 0.
    #[serde(default)]
    pub relative: Option<f64>,
    /// Cells that it moved.
    #[serde(default)]
    pub cells: u64,
    /// Rows that it brings or removes.
    #[serde(default)]
    pub rows: u64,
    /// Rows that its promises for the column let it move.
    #[serde(default)]
    pub eligible_rows: u64,
    /// Whether a reviewer approved it in its present form.
    pub approved: bool,
    /// Whether it did what its file promises.
    pub promise: Promise,
    /// Which sentence of the promise broke.
    #[serde(default)]
    pub broken: Vec<String>,
}

/// Whether a change did what it promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// It did.
    Kept,
    /// It moved rows outside of its `where`, in the wrong direction, beyond its bounds, or nothing at all.
    Broken,
    /// The month is not closed, or there is nothing that it could move.
    NotYetKnown,
    /// The file promises nothing for this column.
    None,
}

/// Unexplained differences with one signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable over nights: pipeline, column, signature and segment.
    pub id: String,
    /// `unit_scale`, `fan_out`, … or `unknown`.
    pub signature: String,
    /// One sentence, for example `new = 1000 × legacy`.
    pub detail: String,
    /// The segment as a SQL condition over the result; `true` where it is everywhere or no column tells where.
    #[serde(rename = "where")]
    pub segment: String,
    /// The measure or attribute; `presence` for rows on one side only.
    pub column: String,
    /// Rows that it explains.
    pub rows: u64,
    /// Customers that it touches; 0 where the key of the rows does not name them.
    pub customers: u64,
    /// Where not all unexplained cells were looked at: rows, customers, share and size are those of the cells that were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<FindingSample>,
    /// Its share of the gross unexplained difference of the column, 0 to 1.
    pub share_of_unexplained: f64,
    /// Its gross size Σ|U| in the unit of the column.
    #[serde(default)]
    pub gross: Option<Figure>,
}

/// How many unexplained cells were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingSample {
    /// Cells that were looked at.
    pub cells: u64,
    /// Cells that there are.
    pub of: u64,
}

/// A data check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Its name in the mapping.
    pub name: String,
    /// `legacy` or `new`.
    pub side: String,
    /// Whether the count was 0.
    pub passed: bool,
    /// What the check counted.
    pub count: i64,
}

/// Where the differences of a run are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DifferencesReport {
    /// The Parquet file; null where nothing was stored.
    pub path: Option<String>,
    /// Rows in the file: one a result row that differs.
    pub rows: u64,
    /// Whether a cap was asked for and reached.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conservation_names_what_does_not_hold() {
        let mut rows = RowCounts { legacy: 2, new: 1, paired: 1, only_legacy: 1, ..Default::default() };
        rows.verdicts.equal = 1;
        rows.one_sided.unexplained = 1;
        assert_eq!(rows.conserved(), Ok(()));
        rows.new = 5;
        assert_eq!(rows.conserved(), Err("5 new rows, but 1 accounted for".into()));
    }

    #[test]
    fn counts_stand_flat_in_the_json() {
        let json = serde_json::to_value(RowCounts::default()).unwrap();
        assert_eq!(json["within_tolerance"], 0);
        assert_eq!(json["ambiguous_key"]["legacy"], 0);
    }
}
