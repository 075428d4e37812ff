//! Legacy assets: what the old databases hold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a legacy collection or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Its content lives on the new platform.
    Migrate,
    /// It is kept as an archive and dropped.
    Archive,
    /// It is dropped without an archive.
    Drop,
    /// It stays, outside of this migration.
    Keep,
}

impl Disposition {
    /// The name used in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Archive => "archive",
            Self::Drop => "drop",
            Self::Keep => "keep",
        }
    }
}

/// A collection, table or job of the legacy platform, for example `mongodb:core.tag_rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetDecl {
    /// `mongodb:<database>.<collection>` or `postgres:<schema>.<table>`.
    pub id: String,
    /// What becomes of it; absent means that nobody decided, which blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when its content must stay readable (`YYYY-MM-DD`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub retain_until: Option<jiff::civil::Date>,
}
