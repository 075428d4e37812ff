//! The hash chain of the audit log, the same for every store.

use std::collections::BTreeMap;

use dualrun_core::Stage;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    error::StateError,
    records::{AuditRecord, ReviewRecord, StageEvent},
};

/// A line before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// JSON text.
    pub details: String,
}

impl Entry {
    /// The line of a review.
    ///
    /// # Errors
    /// Details that cannot be written as JSON.
    pub fn of_review(review: &ReviewRecord) -> Result<Self, StateError> {
        #[derive(Serialize)]
        struct Details<'a> {
            change_hash: &'a str,
            reason: &'a str,
            seen: &'a BTreeMap<String, BTreeMap<String, String>>,
            expires: Option<String>,
        }
        let details = Details {
            change_hash: &review.change_hash,
            reason: &review.reason,
            seen: &review.seen,
            expires: review.expires.map(|day| day.to_string()),
        };
        Ok(Self {
            at: review.at,
            actor: review.reviewer.clone(),
            action: format!("review.{}", review.status),
            subject: review.change.to_string(),
            details: json(&details, "the details of a review")?,
        })
    }

    /// The line of a change of stage.
    ///
    /// # Errors
    /// Details that cannot be written as JSON.
    pub fn of_stage(event: &StageEvent) -> Result<Self, StateError> {
        #[derive(Serialize)]
        struct Details<'a> {
            environment: &'a str,
            from: Stage,
            to: Stage,
            as_of: String,
            reason: &'a str,
            evidence: Vec<String>,
        }
        let details = Details {
            environment: &event.environment,
            from: event.from,
            to: event.to,
            as_of: event.as_of.to_string(),
            reason: &event.reason,
            evidence: event.evidence.iter().map(ToString::to_string).collect(),
        };
        let action = if event.to > event.from { "stage.promoted" } else { "stage.demoted" };
        Ok(Self {
            at: event.at,
            actor: event.actor.clone(),
            action: action.to_owned(),
            subject: event.pipeline.to_string(),
            details: json(&details, "the details of a change of stage")?,
        })
    }

    /// The line after `last`, or the first one.
    pub fn chained(self, last: Option<(u64, String)>) -> AuditRecord {
        let (sequence, previous) = match last {
            Some((sequence, hash)) => (sequence + 1, hash),
            None => (1, beginning()),
        };
        let mut line = AuditRecord {
            sequence,
            at: self.at,
            actor: self.actor,
            action: self.action,
            subject: self.subject,
            details: self.details,
            previous,
            hash: String::new(),
        };
        line.hash = hash(&line);
        line
    }

    /// Whether a line of the log says the same.
    pub fn is(&self, line: &AuditRecord) -> bool {
        self.at == line.at
            && self.actor == line.actor
            && self.action == line.action
            && self.subject == line.subject
            && self.details == line.details
    }
}

/// Checks that the lines follow each other from 1 without a gap and that each holds the hash of the one before.
/// Gives the number of lines. Lines cut off at the end cannot be seen here: a store compares with its records.
///
/// # Errors
/// [`StateError::TamperedAudit`] with the first line that does not fit.
pub fn verify(lines: &[AuditRecord]) -> Result<u64, StateError> {
    let mut previous = beginning();
    let mut count = 0;
    for line in lines {
        let sequence = count + 1;
        let fault = if line.sequence != sequence {
            Some(format!("line {} stands in its place", line.sequence))
        } else if line.previous != previous {
            Some("it does not follow the line before".to_owned())
        } else if line.hash != hash(line) {
            Some("its content does not fit its hash".to_owned())
        } else {
            None
        };
        if let Some(reason) = fault {
            return Err(StateError::TamperedAudit { sequence, reason });
        }
        previous.clone_from(&line.hash);
        count = sequence;
    }
    Ok(count)
}

/// SHA-256 (hex) of a line. Every field is preceded by its length in bytes (8 bytes, little endian), so that no
/// two different lines are hashed alike.
fn hash(line: &AuditRecord) -> String {
    let mut sha = Sha256::new();
    sha.update(b"dualrun.audit/1");
    sha.update(line.sequence.to_le_bytes());
    let at = line.at.to_string();
    for field in [&at, &line.actor, &line.action, &line.subject, &line.details, &line.previous] {
        sha.update((field.len() as u64).to_le_bytes());
        sha.update(field.as_bytes());
    }
    hex(&sha.finalize())
}

/// What stands before the first line: SHA-256 of the empty text.
fn beginning() -> String {
    hex(&Sha256::digest(b""))
}

fn json(value: &impl Serialize, what: &str) -> Result<String, StateError> {
    serde_json::to_string(value)
        .map_err(|e| StateError::CorruptRecord { record: what.to_owned(), reason: e.to_string() })
}

/// Bytes as small hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<AuditRecord> {
        let entry = |actor: &str, subject: &str| Entry {
            at: Timestamp::UNIX_EPOCH,
            actor: actor.into(),
            action: "review.approved".into(),
            subject: subject.into(),
            details: "{}".into(),
        };
        let mut lines: Vec<AuditRecord> = Vec::new();
        for (actor, subject) in [("ana", "MC-1"), ("ben", "MC-2"), ("cho", "MC-3")] {
            let last = lines.last().map(|l| (l.sequence, l.hash.clone()));
            lines.push(entry(actor, subject).chained(last));
        }
        lines
    }

    fn fault(lines: &[AuditRecord]) -> u64 {
        match verify(lines) {
            Err(StateError::TamperedAudit { sequence, .. }) => sequence,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_chain_as_written_holds() {
        let lines = lines();
        assert_eq!(verify(&lines).unwrap(), 3);
        assert_eq!(lines[0].previous, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(verify(&[]).unwrap(), 0);
    }

    #[test]
    fn every_change_is_found_at_its_line() {
        let mut changed = lines();
        changed[1].actor = "mallory".into();
        assert_eq!(fault(&changed), 2);

        let mut rehashed = lines();
        rehashed[0].details = "{\"x\":1}".into();
        rehashed[0].hash = hash(&rehashed[0]);
        assert_eq!(fault(&rehashed), 2, "the line after holds the old hash");

        let mut without = lines();
        without.remove(1);
        assert_eq!(fault(&without), 2);

        let mut swapped = lines();
        swapped.swap(0, 1);
        assert_eq!(fault(&swapped), 1);
    }

    #[test]
    fn text_that_moves_between_fields_changes_the_hash() {
        let mut a = lines().remove(0);
        let mut b = a.clone();
        (a.actor, a.action) = ("an".into(), "a".into());
        (b.actor, b.action) = ("a".into(), "na".into());
        assert_ne!(hash(&a), hash(&b));
    }
}
