//! Short stable hashes.

use sha2::{Digest, Sha256};

/// The first 12 hexadecimal digits of the SHA-256 of the parts, each ended by a byte that no text holds.
pub(crate) fn short_id(parts: &[&str]) -> String {
    digest(parts).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A seed for sampling: the first 8 bytes of the SHA-256 of the text.
pub(crate) fn seed(text: &str) -> u64 {
    digest(&[text]).iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

fn digest(parts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0xff]);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_parts_do_not_run_together() {
        assert_eq!(short_id(&["a", "b"]), short_id(&["a", "b"]));
        assert_ne!(short_id(&["ab", ""]), short_id(&["a", "b"]));
        assert_eq!(short_id(&["a"]).len(), 12);
        assert_ne!(seed("run-1"), seed("run-2"));
    }
}
