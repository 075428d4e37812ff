//! Phases of the plan, stages of a pipeline, and who serves the customer.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A phase of the migration plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8")]
pub enum Phase {
    /// 1: the first end-to-end pipelines validate the architecture.
    Validation,
    /// 2: about 80 % of the pipelines, then a freeze and the go-live.
    Main,
    /// 3: the rest, and decommissioning.
    Final,
}

impl TryFrom<u8> for Phase {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            1 => Ok(Self::Validation),
            2 => Ok(Self::Main),
            3 => Ok(Self::Final),
            other => Err(format!("a phase is 1, 2 or 3, not {other}")),
        }
    }
}

impl From<Phase> for u8 {
    fn from(phase: Phase) -> u8 {
        match phase {
            Phase::Validation => 1,
            Phase::Main => 2,
            Phase::Final => 3,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(*self))
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All values, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in files, JSON and the state database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text)
                    .ok_or_else(|| format!("{text:?} is not one of {}", [$($text,)+].join(", ")))
            }
        }
    };
}

words! {
    /// How far a pipeline has come. Up only through gates; automatically down to [`Stage::DualRun`] when the
    /// evidence breaks, until cut-over.
    Stage {
        /// Not begun.
        Planned = "planned",
        /// The new calculation is being written; its runs are reported and set no exit code.
        Building = "building",
        /// Both platforms run every night.
        DualRun = "dual_run",
        /// Clean for as long as the policy asks.
        Parity = "parity",
        /// Signed off by data and product.
        Approved = "approved",
        /// The new platform faces the customer.
        CutOver = "cut_over",
        /// The legacy calculation is switched off.
        Retired = "retired",
    }
}

words! {
    /// Which platform faces the customer.
    Serving {
        /// The original platform.
        Legacy = "legacy",
        /// The lakehouse.
        New = "new",
    }
}

words! {
    /// How much harm a wrong figure of this pipeline does; gates ask more of the upper two.
    Criticality {
        /// Internal use.
        Low = "low",
        /// Shown, rarely decided on.
        Medium = "medium",
        /// Shown and decided on.
        High = "high",
        /// Part of a published report.
        Critical = "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_json_and_in_text() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
            assert_eq!(stage.as_str().parse(), Ok(*stage));
        }
        assert!(serde_json::from_str::<Phase>("4").is_err());
        assert_eq!(serde_json::to_string(&Phase::Main).unwrap(), "2");
    }
}
