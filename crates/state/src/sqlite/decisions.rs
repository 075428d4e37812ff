//! Reviews, changes of stage and the audit log: append-only.

use dualrun_core::{ChangeId, PipelineId, RunId, Stage};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    handle::Fault,
    values::{from_integer, from_json, parse, parse_option, to_integer, to_json},
};
use crate::{
    audit::{self, Entry},
    error::StateError,
    records::{AuditRecord, ReviewRecord, StageEvent},
};

pub(super) fn record_review(tx: &Transaction<'_>, review: &ReviewRecord) -> Result<(), Fault> {
    let line = append(tx, Entry::of_review(review)?)?;
    tx.execute(
        "insert into review (audit, change, status, change_hash, reviewer, reason, at, seen, expires)
         values (:audit, :change, :status, :change_hash, :reviewer, :reason, :at, :seen, :expires)",
        named_params! {
            ":audit": line,
            ":change": review.change.as_str(),
            ":status": review.status.as_str(),
            ":change_hash": review.change_hash,
            ":reviewer": review.reviewer,
            ":reason": review.reason,
            ":at": review.at.to_string(),
            ":seen": to_json(&review.seen, "a review")?,
            ":expires": review.expires.map(|day| day.to_string()),
        },
    )?;
    Ok(())
}

pub(super) fn reviews(db: &Connection, change: Option<&ChangeId>) -> Result<Vec<ReviewRecord>, Fault> {
    let all = all_reviews(db)?.into_iter().map(|(_, review)| review);
    Ok(all.filter(|review| change.is_none_or(|wanted| &review.change == wanted)).collect())
}

pub(super) fn record_stage(tx: &Transaction<'_>, event: &StageEvent) -> Result<(), Fault> {
    let line = append(tx, Entry::of_stage(event)?)?;
    let evidence: Vec<String> = event.evidence.iter().map(ToString::to_string).collect();
    tx.execute(
        "insert into stage_event (audit, pipeline, environment, from_stage, to_stage, as_of, at, actor, reason,
             evidence)
         values (:audit, :pipeline, :environment, :from, :to, :as_of, :at, :actor, :reason, :evidence)",
        named_params! {
            ":audit": line,
            ":pipeline": event.pipeline.as_str(),
            ":environment": event.environment,
            ":from": event.from.as_str(),
            ":to": event.to.as_str(),
            ":as_of": event.as_of.to_string(),
            ":at": event.at.to_string(),
            ":actor": event.actor,
            ":reason": event.reason,
            ":evidence": to_json(&evidence, "a change of stage")?,
        },
    )?;
    tx.execute(
        "insert into pipeline_stage (environment, pipeline, stage) values (?1, ?2, ?3)
         on conflict (environment, pipeline) do update set stage = excluded.stage",
        [&event.environment, event.pipeline.as_str(), event.to.as_str()],
    )?;
    Ok(())
}

pub(super) fn stage(
    db: &Connection,
    environment: &str,
    pipeline: &PipelineId,
) -> Result<Option<Stage>, Fault> {
    let text: Option<String> = db
        .prepare_cached("select stage from pipeline_stage where environment = ?1 and pipeline = ?2")?
        .query_row([environment, pipeline.as_str()], |row| row.get(0))
        .optional()?;
    Ok(parse_option(text.as_deref(), &format!("the stage of {pipeline}"), "stage")?)
}

pub(super) fn stage_events(
    db: &Connection,
    environment: &str,
    pipeline: Option<&PipelineId>,
) -> Result<Vec<StageEvent>, Fault> {
    let all = all_stage_events(db)?.into_iter().map(|(_, event)| event);
    let wanted = |event: &StageEvent| {
        event.environment == environment && pipeline.is_none_or(|pipeline| &event.pipeline == pipeline)
    };
    Ok(all.filter(wanted).collect())
}

pub(super) fn audit(db: &Connection) -> Result<Vec<AuditRecord>, Fault> {
    let mut statement = db.prepare_cached(
        "select sequence, at, actor, action, subject, details, previous, hash from audit order by sequence",
    )?;
    let rows = statement.query_map([], RawLine::read)?;
    rows.map(|raw| Ok(raw?.record()?)).collect()
}

/// Checks the chain, and that every review and every change of stage says what its line says: that finds lines
/// cut off at the end, and records that were changed behind the log's back.
pub(super) fn verify_audit(db: &Connection) -> Result<u64, Fault> {
    let lines = audit(db)?;
    let count = audit::verify(&lines)?;
    let mut entries = Vec::new();
    for (line, review) in all_reviews(db)? {
        entries.push((line, Entry::of_review(&review)?));
    }
    for (line, event) in all_stage_events(db)? {
        entries.push((line, Entry::of_stage(&event)?));
    }
    entries.sort_by_key(|(sequence, _)| *sequence);
    for (expected, (sequence, entry)) in (1..).zip(&entries) {
        let line = usize::try_from(*sequence).ok().and_then(|n| n.checked_sub(1)).and_then(|n| lines.get(n));
        let fault = if *sequence != expected {
            Some((expected, "its record is missing"))
        } else if !line.is_some_and(|line| entry.is(line)) {
            Some((*sequence, "its record says something else"))
        } else {
            None
        };
        if let Some((sequence, reason)) = fault {
            return Err(StateError::TamperedAudit { sequence, reason: reason.to_owned() }.into());
        }
    }
    let records = entries.len() as u64;
    if records < count {
        let reason = "its record is missing".to_owned();
        return Err(StateError::TamperedAudit { sequence: records + 1, reason }.into());
    }
    Ok(count)
}

/// Adds a line at the end of the log and gives its sequence. The write lock of the transaction keeps others from
/// adding one at the same time.
fn append(tx: &Transaction<'_>, entry: Entry) -> Result<i64, Fault> {
    let last: Option<(i64, String)> = tx
        .prepare_cached("select sequence, hash from audit order by sequence desc limit 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let last = match last {
        Some((sequence, hash)) => Some((from_integer(sequence, "the audit log")?, hash)),
        None => None,
    };
    let line = entry.chained(last);
    let sequence = to_integer(line.sequence, "the audit log")?;
    tx.execute(
        "insert into audit (sequence, at, actor, action, subject, details, previous, hash)
         values (:sequence, :at, :actor, :action, :subject, :details, :previous, :hash)",
        named_params! {
            ":sequence": sequence,
            ":at": line.at.to_string(),
            ":actor": line.actor,
            ":action": line.action,
            ":subject": line.subject,
            ":details": line.details,
            ":previous": line.previous,
            ":hash": line.hash,
        },
    )?;
    Ok(sequence)
}

fn all_reviews(db: &Connection) -> Result<Vec<(u64, ReviewRecord)>, Fault> {
    let mut statement = db.prepare_cached(
        "select sequence, audit, change, status, change_hash, reviewer, reason, at, seen, expires
         from review order by sequence",
    )?;
    let rows = statement.query_map([], RawReview::read)?;
    rows.map(|raw| Ok(raw?.record()?)).collect()
}

fn all_stage_events(db: &Connection) -> Result<Vec<(u64, StageEvent)>, Fault> {
    let mut statement = db.prepare_cached(
        "select sequence, audit, pipeline, environment, from_stage, to_stage, as_of, at, actor, reason, evidence
         from stage_event order by sequence",
    )?;
    let rows = statement.query_map([], RawEvent::read)?;
    rows.map(|raw| Ok(raw?.record()?)).collect()
}

struct RawReview {
    sequence: i64,
    audit: i64,
    change: String,
    status: String,
    change_hash: String,
    reviewer: String,
    reason: String,
    at: String,
    seen: String,
    expires: Option<String>,
}

impl RawReview {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            audit: row.get(1)?,
            change: row.get(2)?,
            status: row.get(3)?,
            change_hash: row.get(4)?,
            reviewer: row.get(5)?,
            reason: row.get(6)?,
            at: row.get(7)?,
            seen: row.get(8)?,
            expires: row.get(9)?,
        })
    }

    fn record(self) -> Result<(u64, ReviewRecord), StateError> {
        let what = format!("review {}", self.sequence);
        let review = ReviewRecord {
            change: parse(&self.change, &what, "change")?,
            status: parse(&self.status, &what, "status")?,
            at: parse(&self.at, &what, "at")?,
            seen: from_json(&self.seen, &what, "seen")?,
            expires: parse_option(self.expires.as_deref(), &what, "expires")?,
            change_hash: self.change_hash,
            reviewer: self.reviewer,
            reason: self.reason,
        };
        Ok((from_integer(self.audit, &what)?, review))
    }
}

struct RawEvent {
    sequence: i64,
    audit: i64,
    pipeline: String,
    environment: String,
    from: String,
    to: String,
    as_of: String,
    at: String,
    actor: String,
    reason: String,
    evidence: String,
}

impl RawEvent {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            audit: row.get(1)?,
            pipeline: row.get(2)?,
            environment: row.get(3)?,
            from: row.get(4)?,
            to: row.get(5)?,
            as_of: row.get(6)?,
            at: row.get(7)?,
            actor: row.get(8)?,
            reason: row.get(9)?,
            evidence: row.get(10)?,
        })
    }

    fn record(self) -> Result<(u64, StageEvent), StateError> {
        let what = format!("change of stage {}", self.sequence);
        let evidence: Vec<String> = from_json(&self.evidence, &what, "evidence")?;
        let evidence: Result<Vec<RunId>, StateError> =
            evidence.iter().map(|id| parse(id, &what, "evidence")).collect();
        let event = StageEvent {
            pipeline: parse(&self.pipeline, &what, "pipeline")?,
            from: parse(&self.from, &what, "from")?,
            to: parse(&self.to, &what, "to")?,
            as_of: parse(&self.as_of, &what, "as_of")?,
            at: parse(&self.at, &what, "at")?,
            evidence: evidence?,
            environment: self.environment,
            actor: self.actor,
            reason: self.reason,
        };
        Ok((from_integer(self.audit, &what)?, event))
    }
}

struct RawLine {
    line: AuditRecord,
    sequence: i64,
    at: String,
}

impl RawLine {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let line = AuditRecord {
            sequence: 0,
            at: jiff::Timestamp::UNIX_EPOCH,
            actor: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            details: row.get(5)?,
            previous: row.get(6)?,
            hash: row.get(7)?,
        };
        Ok(Self { line, sequence: row.get(0)?, at: row.get(1)? })
    }

    fn record(self) -> Result<AuditRecord, StateError> {
        let what = format!("audit line {}", self.sequence);
        Ok(AuditRecord {
            sequence: from_integer(self.sequence, &what)?,
            at: parse(&self.at, &what, "at")?,
            ..self.line
        })
    }
}
