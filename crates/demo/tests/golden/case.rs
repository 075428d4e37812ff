//! `case.toml`: what is calculated and what is wanted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dualrun_core::{ChangeId, Period, PipelineId, input::Side};
use serde::Deserialize;

/// The folder of all cases.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/cases")
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) pipeline: PipelineId,
    period: Option<Period>,
    periods_from: Option<Period>,
    periods_to: Option<Period>,
    /// Where the figures are printed.
    pub(crate) source: String,
    /// Inputs that are not among them are empty.
    #[serde(default)]
    pub(crate) documents: Vec<Documents>,
    #[serde(default)]
    pub(crate) expect: Vec<Expect>,
}

/// The documents of a collection; both sides get the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documents {
    pub(crate) collection: String,
    pub(crate) file: PathBuf,
}

/// One printed figure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) side: Side,
    /// The changes that are on. Where not given: none on the legacy side, all that are in force on the new one.
    pub(crate) changes: Option<Vec<ChangeId>>,
    /// The figure is the step from this set of changes to `changes`.
    pub(crate) minus: Option<Vec<ChangeId>>,
    /// Summed over the rows of `where` and over all periods.
    pub(crate) column: String,
    /// Columns of the result and their texts; all rows where not given.
    #[serde(default, rename = "where")]
    pub(crate) rows: BTreeMap<String, String>,
    /// The digits as printed.
    pub(crate) value: String,
    /// The sum times this has the printed unit.
    pub(crate) multiply: Option<String>,
}

impl Case {
    /// Reads the case of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(folder.join("case.toml")).map_err(|e| format!("case.toml: {e}"))?;
        let case: Self = toml::from_str(&text).map_err(|e| format!("case.toml: {e}"))?;
        if case.expect.is_empty() {
            return Err("case.toml: a case needs at least one expectation".into());
        }
        if case.source.trim().is_empty() {
            return Err("case.toml: a figure needs a source".into());
        }
        Ok(case)
    }

    /// The periods that are summed over, in order.
    pub(crate) fn periods(&self) -> Result<Vec<Period>, String> {
        let (from, to) = match (self.period, self.periods_from, self.periods_to) {
            (Some(period), None, None) => (period, period),
            (None, Some(from), Some(to)) if from.unit() == to.unit() && from <= to => (from, to),
            _ => return Err("a case needs `period`, or `periods_from` and `periods_to`".into()),
        };
        let mut periods = vec![from];
        let mut last = from;
        while last < to {
            last = last.next().map_err(|e| e.to_string())?;
            periods.push(last);
        }
        Ok(periods)
    }
}

impl Expect {
    /// The expectation in a few words.
    pub(crate) fn words(&self) -> String {
        let list = |ids: &[ChangeId]| {
            let ids: Vec<&str> = ids.iter().map(ChangeId::as_str).collect();
            format!("[{}]", ids.join(", "))
        };
        let mut words = format!("{} {}", self.side, self.column);
        if let Some(ids) = &self.changes {
            words += &format!(" with {}", list(ids));
        }
        if let Some(ids) = &self.minus {
            words += &format!(" minus {}", list(ids));
        }
        for (column, text) in &self.rows {
            words += &format!(" where {column} = {text:?}");
        }
        if let Some(factor) = &self.multiply {
            words += &format!(" times {factor}");
        }
        words
    }
}
