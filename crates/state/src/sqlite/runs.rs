//! Runs and their assessments.

use dualrun_core::{Outcome, RunId, run::RunReport};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, types::Value};

use super::{
    handle::Fault,
    values::{from_integer, from_json, parse, to_integer, to_json},
};
use crate::{
    error::StateError,
    records::{CustomerCoverage, Hashes, RunFilter, RunRecord},
};

const COLUMNS: &str = "id, key, pipeline, period, as_of, environment, outcome, recorded_at, mapping_hash, \
                       legacy_hash, new_hash, checks_passed, customers_total, customers_compared, evidence, report";

/// Records a run in the place of attempts at it; a final run of the same key stays.
pub(super) fn record(tx: &Transaction<'_>, run: &RunRecord) -> Result<RunId, Fault> {
    if let Some(previous) = by_key(tx, &run.key)? {
        if previous.outcome.is_final() {
            return Ok(previous.id);
        }
        supersede(tx, &previous, run)?;
    }
    // An attempt may have had another key: a failed one never knew its inputs, one that was not comparable had others.
    let same = RunFilter {
        pipeline: Some(run.pipeline.clone()),
        environment: Some(run.environment.clone()),
        as_of: Some(run.as_of),
        period: Some(run.period),
        limit: None,
    };
    for attempt in list(tx, &same)?.iter().filter(|attempt| !attempt.outcome.is_final()) {
        supersede(tx, attempt, run)?;
    }
    insert(tx, run)?;
    Ok(run.id)
}

/// Replaces outcome and report, and keeps the old ones. The same assessment again changes nothing.
pub(super) fn assess(
    tx: &Transaction<'_>,
    id: RunId,
    outcome: Outcome,
    report: &RunReport,
    at: Timestamp,
) -> Result<(), Fault> {
    let Some(before) = by_id(tx, id)? else {
        return Err(StateError::UnknownRun(id).into());
    };
    if before.outcome == outcome && &before.report == report {
        return Ok(());
    }
    tx.execute(
        "insert into superseded_assessment (run, outcome, report, superseded_at)
         select id, outcome, report, :at from run where id = :id",
        named_params! { ":id": id.to_string(), ":at": at.to_string() },
    )?;
    let report = to_json(report, &name(&id.to_string()))?;
    tx.execute(
        "update run set outcome = :outcome, report = :report where id = :id",
        named_params! { ":id": id.to_string(), ":outcome": outcome.as_str(), ":report": report },
    )?;
    Ok(())
}

pub(super) fn by_id(db: &Connection, id: RunId) -> Result<Option<RunRecord>, Fault> {
    one(db, "id", &id.to_string())
}

pub(super) fn by_key(db: &Connection, key: &str) -> Result<Option<RunRecord>, Fault> {
    one(db, "key", key)
}

pub(super) fn list(db: &Connection, filter: &RunFilter) -> Result<Vec<RunRecord>, Fault> {
    let conditions = [
        ("pipeline", filter.pipeline.as_ref().map(ToString::to_string)),
        ("environment", filter.environment.clone()),
        ("as_of", filter.as_of.map(|day| day.to_string())),
        ("period", filter.period.map(|period| period.to_string())),
    ];
    let mut sql = format!("select {COLUMNS} from run where true");
    let mut values = Vec::new();
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(Value::Text(value));
            sql.push_str(&format!(" and {column} = ?{}", values.len()));
        }
    }
    sql.push_str(" order by as_of desc, pipeline, period, id");
    if let Some(limit) = filter.limit {
        values.push(Value::Integer(limit.into()));
        sql.push_str(&format!(" limit ?{}", values.len()));
    }
    let mut statement = db.prepare_cached(&sql)?;
    let raw = statement.query_map(rusqlite::params_from_iter(values), Raw::read)?;
    raw.map(|raw| Ok(raw?.record()?)).collect()
}

fn one(db: &Connection, column: &str, value: &str) -> Result<Option<RunRecord>, Fault> {
    let sql = format!("select {COLUMNS} from run where {column} = ?1");
    let raw = db.prepare_cached(&sql)?.query_row([value], Raw::read).optional()?;
    Ok(raw.map(Raw::record).transpose()?)
}

fn supersede(tx: &Transaction<'_>, previous: &RunRecord, run: &RunRecord) -> Result<(), Fault> {
    let id = previous.id.to_string();
    tx.execute(
        "insert into superseded_run (id, key, record, superseded_by, superseded_at)
         values (:id, :key, :record, :by, :at)",
        named_params! {
            ":id": id,
            ":key": previous.key,
            ":record": to_json(previous, &name(&id))?,
            ":by": run.id.to_string(),
            ":at": run.recorded_at.to_string(),
        },
    )?;
    tx.execute("delete from superseded_assessment where run = ?1", [&id])?;
    tx.execute("delete from run where id = ?1", [&id])?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, run: &RunRecord) -> Result<(), Fault> {
    let id = run.id.to_string();
    let what = name(&id);
    tx.execute(
        "insert into run (id, key, pipeline, period, as_of, environment, outcome, recorded_at, mapping_hash,
             legacy_hash, new_hash, checks_passed, customers_total, customers_compared, evidence, report)
         values (:id, :key, :pipeline, :period, :as_of, :environment, :outcome, :recorded_at, :mapping_hash,
             :legacy_hash, :new_hash, :checks_passed, :customers_total, :customers_compared, :evidence, :report)",
        named_params! {
            ":id": id,
            ":key": run.key,
            ":pipeline": run.pipeline.as_str(),
            ":period": run.period.to_string(),
            ":as_of": run.as_of.to_string(),
            ":environment": run.environment,
            ":outcome": run.outcome.as_str(),
            ":recorded_at": run.recorded_at.to_string(),
            ":mapping_hash": run.hashes.mapping,
            ":legacy_hash": run.hashes.legacy,
            ":new_hash": run.hashes.new,
            ":checks_passed": run.checks_passed,
            ":customers_total": to_integer(run.customers.total, &what)?,
            ":customers_compared": to_integer(run.customers.compared, &what)?,
            ":evidence": run.evidence,
            ":report": to_json(&run.report, &what)?,
        },
    )?;
    Ok(())
}

fn name(id: &str) -> String {
    format!("run {id}")
}

/// A row as SQLite gives it.
struct Raw {
    id: String,
    key: String,
    pipeline: String,
    period: String,
    as_of: String,
    environment: String,
    outcome: String,
    recorded_at: String,
    hashes: Hashes,
    checks_passed: bool,
    customers_total: i64,
    customers_compared: i64,
    evidence: String,
    report: String,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            key: row.get("key")?,
            pipeline: row.get("pipeline")?,
            period: row.get("period")?,
            as_of: row.get("as_of")?,
            environment: row.get("environment")?,
            outcome: row.get("outcome")?,
            recorded_at: row.get("recorded_at")?,
            hashes: Hashes {
                mapping: row.get("mapping_hash")?,
                legacy: row.get("legacy_hash")?,
                new: row.get("new_hash")?,
            },
            checks_passed: row.get("checks_passed")?,
            customers_total: row.get("customers_total")?,
            customers_compared: row.get("customers_compared")?,
            evidence: row.get("evidence")?,
            report: row.get("report")?,
        })
    }

    fn record(self) -> Result<RunRecord, StateError> {
        let what = name(&self.id);
        Ok(RunRecord {
            id: parse(&self.id, &what, "id")?,
            pipeline: parse(&self.pipeline, &what, "pipeline")?,
            period: parse(&self.period, &what, "period")?,
            as_of: parse(&self.as_of, &what, "as_of")?,
            outcome: parse(&self.outcome, &what, "outcome")?,
            recorded_at: parse(&self.recorded_at, &what, "recorded_at")?,
            customers: CustomerCoverage {
                total: from_integer(self.customers_total, &what)?,
                compared: from_integer(self.customers_compared, &what)?,
            },
            report: from_json(&self.report, &what, "report")?,
            key: self.key,
            environment: self.environment,
            hashes: self.hashes,
            checks_passed: self.checks_passed,
            evidence: self.evidence,
        })
    }
}
