//! Fingerprints of sets of rows.

use std::{fmt, ops::AddAssign, str::FromStr};

use serde::{Deserialize, Serialize};

/// A fingerprint of a multiset of rows: their count and the wrapping sum of their 128-bit hashes. The sum does
/// not depend on order or partitioning, and counts duplicates, which XOR would cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint {
    /// Rows counted.
    pub rows: u64,
    /// Wrapping sum of the rows' hashes.
    pub sum: u128,
}

impl Fingerprint {
    /// Adds one row by its hash.
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

impl AddAssign for Fingerprint {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:032x}", self.rows, self.sum)
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(rows, sum)| {
            Some(Self { rows: rows.parse().ok()?, sum: u128::from_str_radix(sum, 16).ok()? })
        });
        parts.ok_or_else(|| format!("{text:?} is not a fingerprint"))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_duplicates_do() {
        let of = |hashes: &[u128]| {
            let mut f = Fingerprint::default();
            hashes.iter().for_each(|h| f.add(*h));
            f
        };
        assert_eq!(of(&[1, u128::MAX, 7]), of(&[7, 1, u128::MAX]));
        assert_ne!(of(&[5, 5]), of(&[]));
        let mut merged = of(&[1]);
        merged += of(&[2, 3]);
        assert_eq!(merged, of(&[1, 2, 3]));
        assert_eq!(merged.to_string().parse(), Ok(merged));
    }
}
