//! `dualrun.toml`: one for a project, layered by environment.

use std::collections::BTreeMap;

use dualrun_core::{Phase, asset::AssetDecl};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::server::{ReadPreference, Span, Tls};

/// The settings of one environment, after layering and after `${VAR}` was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The version of the format: 1.
    pub version: u32,
    /// Name and defaults of the project.
    pub project: ProjectSettings,
    /// Sources by name.
    #[serde(default)]
    pub source: BTreeMap<String, SourceSettings>,
    /// The state database.
    #[serde(default)]
    pub state: StateSettings,
    /// The object store of the evidence.
    #[serde(default)]
    pub store: StoreSettings,
    /// What a run may use.
    #[serde(default)]
    pub limits: Limits,
    /// How calculations of two forms are computed.
    #[serde(default)]
    pub calculations: CalculationSettings,
    /// Gate policies.
    #[serde(default)]
    pub gates: GatePolicy,
    /// Phases with their planned dates.
    #[serde(default, rename = "phase")]
    pub phases: Vec<PhaseSettings>,
    /// Legacy assets and what becomes of them.
    #[serde(default, rename = "asset")]
    pub assets: Vec<AssetDecl>,
}

/// Name of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectSettings {
    /// A title for reports.
    pub name: String,
    /// The folder of pipelines, methodology and factors, relative to `dualrun.toml`.
    #[serde(default = "here")]
    pub mappings: String,
}

fn here() -> String {
    ".".to_owned()
}

/// A place from which inputs come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// What stands there.
    pub kind: SourceKind,
    /// A folder relative to `dualrun.toml`, `s3://bucket/prefix`, or the URL of a server: `postgres://…` or
    /// `mongodb://…`. Secrets as `${VAR}`.
    pub url: String,
    /// The database of a dump folder (`<url>/<database>/<collection>.bson`), or of a MongoDB server where its URL
    /// names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Options of the object store, for example `aws_endpoint`; secrets as `${VAR}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// How the connection to a server is secured; as its URL says where not given, else `verify_full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The authorities (PEM) that are trusted instead of the usual ones, relative to `dualrun.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// A file that holds the password of a server, relative to `dualrun.toml`, in place of one in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// Connections to a server at the same time; 4 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub max_connections: Option<u16>,
    /// Rows that are read from a server in a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_rows_per_second: Option<u64>,
    /// How long a query may take before the server gives it up, for example `"30s"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_time: Option<Span>,
    /// How long a query of a server should take, for example `"2s"`: large readings come in queries that are made longer
    /// or shorter to meet it; 2 seconds where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_time: Option<Span>,
    /// Reading pauses while a replica is further behind its primary; 30 seconds where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<Span>,
    /// How long a reading waits for a replica, at most; 5 minutes where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_wait: Option<Span>,
    /// How long a query of PostgreSQL waits for a lock; 5 seconds where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_time: Option<Span>,
    /// How long a transaction of PostgreSQL may be idle before the server ends it; 5 minutes where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_time: Option<Span>,
    /// Which members of a replica set of MongoDB answer; `secondary_preferred` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_preference: Option<ReadPreference>,
}

/// What stands in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// BSON files as `mongodump` writes them, with or without gzip.
    BsonDump,
    /// Relaxed or canonical Extended JSON, one document a line, with or without gzip.
    JsonLines,
    /// CSV with a header.
    Csv,
    /// Parquet files.
    Parquet,
    /// Tables of a PostgreSQL server.
    Postgres,
    /// Collections of a MongoDB server.
    Mongodb,
}

impl SourceKind {
    /// Whether it is a server rather than files.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Postgres | Self::Mongodb)
    }
}

/// The state database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateSettings {
    /// `sqlite:<file>` relative to `dualrun.toml`.
    pub url: String,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { url: "sqlite:.dualrun/state.db".to_owned() }
    }
}

/// The object store of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// A folder relative to `dualrun.toml`, or `s3://bucket/prefix`.
    pub url: String,
    /// Options of the object store; secrets as `${VAR}`.
    pub options: BTreeMap<String, String>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: ".dualrun/evidence".to_owned(), options: BTreeMap::new() }
    }
}

/// What a run may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of the calculations, for example `"4GiB"`; sorts and joins spill beyond it.
    #[schemars(extend("pattern" = "^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$"))]
    pub memory: String,
    /// The folder to spill to, relative to `dualrun.toml`.
    pub spill: String,
    /// Pipelines that run at the same time.
    #[schemars(range(min = 1))]
    pub pipelines_at_once: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: "2GiB".to_owned(), spill: ".dualrun/spill".to_owned(), pipelines_at_once: 2 }
    }
}

impl Limits {
    /// [`Limits::memory`] in bytes; `None` where it is not a size.
    pub fn memory_bytes(&self) -> Option<u64> {
        bytes(&self.memory)
    }
}

/// A size such as `"512MiB"` in bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let shift = match unit.strip_prefix(' ').unwrap_or(unit) {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// How calculations of two forms are computed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CalculationSettings {
    /// Which form is taken where a mapping names two.
    pub form: Form,
}

/// The form of a calculation that has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By its command or server; the embedded form where these are not at hand, which is then noted.
    #[default]
    Live,
    /// Always the embedded form.
    Embedded,
}

/// What the gates ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatePolicy {
    /// Clean nights in a row since either calculation, mapping or tolerance last changed.
    pub clean_nights: u32,
    /// A month end must be among them.
    pub month_end: bool,
    /// Closed months that a monthly pipeline needs instead.
    pub closed_months: u32,
    /// Nights in a row without an answer after which the streak is unknown.
    pub unknown_after: u32,
    /// Unexplained gross difference that is allowed, as a share of each customer's total; 0 for criticality
    /// high and critical.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unexplained_share: f64,
    /// Days after which an approval expires.
    pub approval_days: u32,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            clean_nights: 10,
            month_end: true,
            closed_months: 2,
            unknown_after: 3,
            unexplained_share: 0.001,
            approval_days: 365,
        }
    }
}

/// A phase with its planned dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseSettings {
    /// 1, 2 or 3.
    #[schemars(with = "u8", extend("minimum" = 1, "maximum" = 3))]
    pub number: Phase,
    /// The first planned day (`YYYY-MM-DD`).
    #[schemars(with = "String", extend("format" = "date"))]
    pub start: Date,
    /// The last planned day.
    #[schemars(with = "String", extend("format" = "date"))]
    pub end: Date,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_two() {
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("512 MiB"), Some(512 << 20));
        for bad in ["", "2", "GiB", "2GB", "-1MiB", "99999999999999999999B", "18446744073709551615TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(Limits::default().memory_bytes(), Some(2 << 30));
    }
}
