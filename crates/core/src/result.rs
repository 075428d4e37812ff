//! The declared result of a pipeline: grain, measures and attributes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{input::Side, period::PeriodUnit, tolerance::Tolerance, unit::Unit};

/// What result rows look like on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultDecl {
    /// The key columns that make a row unique.
    pub grain: Vec<String>,
    /// The grain column that names the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The grain column that names the period.
    pub period: PeriodDecl,
    /// A coarser grain to compare at, where the methods' grains differ on purpose. Measures are summed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compare_at: Vec<String>,
    /// Numeric columns by name.
    #[serde(default)]
    pub measures: BTreeMap<String, MeasureDecl>,
    /// Other columns by name, compared for equality.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeRule>,
}

impl ResultDecl {
    /// The declaration as the comparison sees it: its grain is `compare_at` where that is given.
    #[must_use]
    pub fn compared(&self) -> Self {
        let mut compared = self.clone();
        if !self.compare_at.is_empty() {
            compared.grain.clone_from(&self.compare_at);
        }
        compared
    }
}

/// The period column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodDecl {
    /// The column, of type date, text (`2025-03-01`, `2025-03`) or timestamp.
    pub column: String,
    /// Day or month.
    pub unit: PeriodUnit,
    /// The zone in which a day begins.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// How many past periods are looked at again each night.
    #[serde(default)]
    pub recompute: u16,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A numeric column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureDecl {
    /// Its unit, for example `kWh`.
    pub unit: Unit,
    /// How far the sides may lie apart.
    #[serde(default)]
    pub tolerance: Tolerance,
    /// The only side that has it, on purpose: reported, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeRule {
    /// Byte for byte after alignment.
    Exact,
}
