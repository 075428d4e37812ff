//! Declared shapes of documents: how a field of mixed types is read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the fields of a document are read, by path. `site.country` goes into a document, `lines[].kwh` into
/// every element of a list. A field that is not declared gets its type from all documents of the input.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Shape(pub BTreeMap<String, FieldShape>);

/// A field: its type alone, or with the rules for values that come in another form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldShape {
    /// `hours = "float"`
    Type(FieldType),
    /// `from = { type = "date", formats = ["%d/%m/%Y"] }`
    Rules(FieldRules),
}

impl FieldShape {
    /// The rules, with defaults where only the type was given.
    pub fn rules(&self) -> FieldRules {
        match self {
            Self::Type(field) => FieldRules::of(*field),
            Self::Rules(rules) => rules.clone(),
        }
    }
}

/// The rules of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldRules {
    /// The type that the field gets.
    #[serde(rename = "type")]
    pub field: FieldType,
    /// Total digits of a decimal; 38 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// Digits behind the point of a decimal; 10 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// Text forms of a date or instant in strftime words, tried in order after ISO 8601.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// The zone in which an instant is turned into a date, and a text without an offset is read. UTC where not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The decimal mark of numbers in text: "." or ",". Spaces of any kind between digits are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal_mark: Option<char>,
    /// Adds a boolean column `<field>_missing`, true where the document lacks the field, so that missing is
    /// told apart from null.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
}

impl FieldRules {
    /// The type without further rules.
    pub fn of(field: FieldType) -> Self {
        Self {
            field,
            precision: None,
            scale: None,
            formats: Vec::new(),
            time_zone: None,
            decimal_mark: None,
            missing: false,
        }
    }
}

/// The type that a field is read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text; ObjectIds become their 24 hexadecimal digits, numbers their shortest decimal form.
    Text,
    /// 64-bit integer, also from text and from floats without a fraction.
    Integer,
    /// 64-bit float, also from text and decimals.
    Float,
    /// Exact decimal with a declared precision and scale; a value that does not fit is a misfit.
    Decimal,
    /// Boolean, also from "true"/"false"/"yes"/"no".
    Boolean,
    /// Calendar day, also from instants (in `time_zone`) and text.
    Date,
    /// Instant in microseconds UTC, also from text and epoch milliseconds.
    Timestamp,
    /// A list; a single value or object becomes a list of one.
    List,
    /// A nested document.
    Document,
    /// Any value as relaxed Extended JSON text.
    Json,
}
