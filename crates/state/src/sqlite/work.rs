//! Calculations that can be used again, and nights.

use dualrun_core::{ExitCode, input::Side};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    handle::Fault,
    values::{corrupt, from_integer, parse, parse_option, to_integer},
};
use crate::{
    error::StateError,
    records::{CalculationRecord, NightRecord},
};

pub(super) fn record_calculation(tx: &Transaction<'_>, record: &CalculationRecord) -> Result<(), Fault> {
    tx.execute(
        "insert into calculation (key, pipeline, side, path, rows, hash)
         values (:key, :pipeline, :side, :path, :rows, :hash)
         on conflict (key) do update set pipeline = excluded.pipeline, side = excluded.side,
             path = excluded.path, rows = excluded.rows, hash = excluded.hash",
        named_params! {
            ":key": record.key,
            ":pipeline": record.pipeline.as_str(),
            ":side": record.side.as_str(),
            ":path": record.path,
            ":rows": to_integer(record.rows, &calculation_name(&record.key))?,
            ":hash": record.hash,
        },
    )?;
    Ok(())
}

pub(super) fn calculation(db: &Connection, key: &str) -> Result<Option<CalculationRecord>, Fault> {
    type Raw = (String, String, String, i64, String);
    let raw: Option<Raw> = db
        .prepare_cached("select pipeline, side, path, rows, hash from calculation where key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((pipeline, side, path, rows, hash)) = raw else { return Ok(None) };
    let what = calculation_name(key);
    let side = Side::BOTH
        .into_iter()
        .find(|s| s.as_str() == side)
        .ok_or_else(|| corrupt(&what, "side: neither legacy nor new"))?;
    Ok(Some(CalculationRecord {
        key: key.to_owned(),
        pipeline: parse(&pipeline, &what, "pipeline")?,
        side,
        path,
        rows: from_integer(rows, &what)?,
        hash,
    }))
}

pub(super) fn forget_calculation(tx: &Transaction<'_>, key: &str) -> Result<(), Fault> {
    tx.execute("delete from calculation where key = ?1", [key])?;
    Ok(())
}

pub(super) fn record_night(tx: &Transaction<'_>, night: &NightRecord) -> Result<(), Fault> {
    tx.execute(
        "insert into night (key, as_of, environment, code, started_at, finished_at, result)
         values (:key, :as_of, :environment, :code, :started_at, :finished_at, :result)
         on conflict (key) do update set as_of = excluded.as_of, environment = excluded.environment,
             code = excluded.code, started_at = excluded.started_at, finished_at = excluded.finished_at,
             result = excluded.result",
        named_params! {
            ":key": night.key,
            ":as_of": night.as_of.to_string(),
            ":environment": night.environment,
            ":code": night.code.map(u8::from),
            ":started_at": night.started_at.to_string(),
            ":finished_at": night.finished_at.map(|at| at.to_string()),
            ":result": night.result,
        },
    )?;
    Ok(())
}

const NIGHT: &str = "select key, as_of, environment, code, started_at, finished_at, result from night";

pub(super) fn night(db: &Connection, key: &str) -> Result<Option<NightRecord>, Fault> {
    let raw =
        db.prepare_cached(&format!("{NIGHT} where key = ?1"))?.query_row([key], RawNight::read).optional()?;
    Ok(raw.map(RawNight::record).transpose()?)
}

pub(super) fn nights(db: &Connection, environment: &str, limit: u32) -> Result<Vec<NightRecord>, Fault> {
    let sql = format!("{NIGHT} where environment = ?1 order by as_of desc, rowid desc limit ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let raw = statement.query_map(rusqlite::params![environment, limit], RawNight::read)?;
    raw.map(|raw| Ok(raw?.record()?)).collect()
}

fn calculation_name(key: &str) -> String {
    format!("calculation {key}")
}

struct RawNight {
    key: String,
    as_of: String,
    environment: String,
    code: Option<u8>,
    started_at: String,
    finished_at: Option<String>,
    result: Option<String>,
}

impl RawNight {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            as_of: row.get(1)?,
            environment: row.get(2)?,
            code: row.get(3)?,
            started_at: row.get(4)?,
            finished_at: row.get(5)?,
            result: row.get(6)?,
        })
    }

    fn record(self) -> Result<NightRecord, StateError> {
        let what = format!("night {}", self.key);
        let code = self.code.map(ExitCode::try_from).transpose().map_err(|e| corrupt(&what, &e))?;
        Ok(NightRecord {
            as_of: parse(&self.as_of, &what, "as_of")?,
            started_at: parse(&self.started_at, &what, "started_at")?,
            finished_at: parse_option(self.finished_at.as_deref(), &what, "finished_at")?,
            key: self.key,
            environment: self.environment,
            code,
            result: self.result,
        })
    }
}
