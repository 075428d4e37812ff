//! Inputs: what a calculation reads, named once for both sides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{load::LoadDecl, shape::Shape};

/// One input of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputDecl {
    /// Models read it as a table of this name.
    pub name: String,
    /// Activity inputs are fenced; factor inputs are recorded with their edition and may differ.
    pub role: Role,
    /// Where the legacy side reads it; absent for an input of the new side only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<InputRef>,
    /// Where the new side reads it; absent for an input of the legacy side only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<InputRef>,
    /// What the fence compares by: the columns that make a fact unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Columns that the fence compares besides the key. A path such as `site.country` goes into a document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The column that names the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Where the input names customers otherwise than the results do: the input that knows both names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_map: Option<CustomerMap>,
    /// How strong the fence is.
    #[serde(default)]
    pub fence: FenceStrength,
    /// How many days around the period are read, for example `"1d"`.
    #[serde(default)]
    pub margin: Margin,
    /// The column of the time at which a fact happened, a day or an instant. Rows whose time lies outside of the
    /// period and its margin are left out on both sides; a server is asked for no others. Where it is not declared,
    /// everything is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The column that names the edition of a factor input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// How `dualrun load` copies the rows of `legacy` to `new`; absent where somebody else does. `{day}` or `{month}` in
    /// the path of `new` makes a folder for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadDecl>,
    /// How mixed types are read, on both sides.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub shape: Shape,
}

fn is_empty(shape: &Shape) -> bool {
    shape.0.is_empty()
}

impl InputDecl {
    /// Where a side reads the input.
    pub fn on(&self, side: Side) -> Option<&InputRef> {
        match side {
            Side::Legacy => self.legacy.as_ref(),
            Side::New => self.new.as_ref(),
        }
    }
}

/// From an input's own name of a customer to the name in the results.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerMap {
    /// Another input of the pipeline, of one row a customer.
    pub input: String,
    /// Its column with the name that this input uses.
    pub from: String,
    /// Its column with the name that the results use.
    pub to: String,
}

/// What an input is to the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Usage, invoices, inventories: must be the same on both sides.
    Activity,
    /// Reference data: recorded with its edition, may differ where a declared change says so.
    Factor,
}

/// What the fence compares of an activity input.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FenceStrength {
    /// The largest key only.
    Watermark,
    /// The number of rows.
    Count,
    /// The set of keys.
    Keys,
    /// Keys and declared columns.
    #[default]
    Content,
}

impl FenceStrength {
    /// The name used in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watermark => "watermark",
            Self::Count => "count",
            Self::Keys => "keys",
            Self::Content => "content",
        }
    }
}

/// A place in a source of `dualrun.toml`. `{day}` and `{month}` in a collection or path stand for every day or
/// month of the period and its margin; a parameter in braces for its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputRef {
    /// A source named in `dualrun.toml`.
    pub source: String,
    /// A collection of a document source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// A file or folder of a file source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `table` or `schema.table` of a PostgreSQL server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl InputRef {
    /// The collection, path or table, whichever is given.
    pub fn place(&self) -> &str {
        let given = self.collection.as_deref().or(self.path.as_deref());
        given.or(self.table.as_deref()).unwrap_or_default()
    }
}

/// Days read around a period. Written as `"2d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9]+d$"))]
pub struct Margin(pub u16);

impl TryFrom<String> for Margin {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.strip_suffix('d')
            .and_then(|days| days.parse().ok())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a number of days such as \"1d\""))
    }
}

impl From<Margin> for String {
    fn from(margin: Margin) -> String {
        format!("{}d", margin.0)
    }
}

/// One of the two platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The original platform.
    Legacy,
    /// The lakehouse.
    New,
}

impl Side {
    /// Both sides, legacy first.
    pub const BOTH: [Self; 2] = [Self::Legacy, Self::New];

    /// The name used in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::New => "new",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
