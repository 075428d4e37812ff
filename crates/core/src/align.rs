//! Align rules: the named normalisations of a mapping. There are no others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{input::Side, unit::Unit};

/// One normalisation of a result column before the comparison, recorded with the result.
///
/// The schema refuses unknown keys; serde cannot, because it counts every key of a flattened enum as unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AlignRule {
    /// What is done.
    #[serde(flatten)]
    pub rule: Rule,
    /// The result column, by its name after renaming.
    pub column: String,
    /// The side that it is done to; both where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

impl AlignRule {
    /// Whether the rule applies to a side.
    pub fn applies_to(&self, side: Side) -> bool {
        self.side.is_none_or(|s| s == side)
    }
}

/// What an align rule does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// Takes the column from another name.
    Rename {
        /// The name in the result.
        from: String,
    },
    /// Casts to a type; a value that does not fit fails the run.
    Cast {
        /// `text`, `integer`, `float`, `decimal(p,s)`, `boolean`, `date` or `timestamp`. A number with a fraction is no
        /// integer, an instant with a time of day no date.
        to: String,
    },
    /// Removes white space (also no-break and zero-width spaces) at both ends of a text.
    Trim,
    /// Lower case of a text, by Unicode.
    Lower,
    /// Upper case of a text, by Unicode.
    Upper,
    /// Unicode normalisation form C.
    Nfc,
    /// Leading zeros of a text are removed.
    StripZeros,
    /// Pads a text with leading zeros.
    PadZeros {
        /// The length to reach.
        width: u16,
    },
    /// NUL characters in a text are removed: `PostgreSQL` cannot store them.
    StripNul,
    /// An empty text becomes null.
    EmptyIsNull,
    /// Null becomes 0.
    NullIsZero,
    /// Converts a measure between units.
    Unit {
        /// The unit that the side computes in.
        from: Unit,
        /// The unit of the comparison.
        to: Unit,
    },
    /// Replaces values by a table; others stay.
    Map {
        /// Old value to new value.
        values: BTreeMap<String, String>,
    },
    /// A time without a zone is an instant of this zone.
    TimeZone {
        /// An IANA name.
        zone: String,
    },
    /// Rounds a number half away from zero.
    Round {
        /// Digits behind the point.
        digits: u8,
    },
    /// The order of the items of a list does not matter, how often each occurs does.
    Multiset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_and_its_own_keys_stand_in_one_table() {
        let rule = AlignRule {
            rule: Rule::PadZeros { width: 3 },
            column: "site".to_owned(),
            side: Some(Side::Legacy),
        };
        let text = r#"{"rule":"pad_zeros","width":3,"column":"site","side":"legacy"}"#;
        assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        assert_eq!(serde_json::from_str::<AlignRule>(text).unwrap(), rule);
    }
}
