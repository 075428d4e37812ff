//! What `dualrun plan` says: what would run, and with what load on the servers that are read.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    Period, PipelineId,
    input::Side,
    load::{LoadMode, Watermark},
};

/// Everything that a night would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// `dualrun.plan/1`.
    pub schema: String,
    /// The day whose results would be looked at.
    pub period: String,
    /// The runs, in their order.
    pub runs: Vec<PlannedRun>,
    /// The servers that they read, by name; what loads read is not among it.
    pub servers: Vec<ServerLoad>,
    /// What `dualrun load`, or each of these runs with `--load`, would read beforehand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<PlannedLoad>,
}

/// The copy of one input to its new place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedLoad {
    /// The pipelines that read it.
    pub pipelines: Vec<PipelineId>,
    /// Its name there.
    pub input: String,
    /// The source that is read.
    pub source: String,
    /// What is read there, without user and password.
    pub place: String,
    /// The source and folder of the copy.
    pub table: String,
    /// What would be read; none where the copy could not be asked.
    pub mode: Option<LoadMode>,
    /// The watermark: from where it would be read, and up to where all is loaded.
    pub watermark: Option<Watermark>,
    /// The state of the source that the last load read; none where there was none.
    pub last: Option<Timestamp>,
    /// Rows of the copy.
    pub rows_now: u64,
    /// Its partitions.
    pub partitions_now: u64,
    /// The partitions that are looked at whole; none where only the rows that come will tell.
    pub partitions: Option<Vec<String>>,
    /// What the reading costs, where the source is a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<ReadLoad>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// One pipeline and period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRun {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its day or month.
    pub period: Period,
    /// Whether it counts for the exit code.
    pub enforced: bool,
    /// `every night`, and what of.
    pub often: String,
    /// How many past periods are looked at again.
    pub looks_back: u16,
    /// Changes in force in the period.
    pub changes_in_force: usize,
    /// Calculations of both sides, replays included.
    pub calculations: usize,
    /// The inputs of both sides.
    pub reads: Vec<PlannedRead>,
    /// Calculations that servers make.
    pub asks: Vec<PlannedAsk>,
    /// What is not as the mapping has it, for example that an embedded form is taken.
    pub notes: Vec<String>,
}

/// An input of one side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRead {
    /// Its name.
    pub input: String,
    /// The side.
    pub side: Side,
    /// Its source.
    pub source: String,
    /// What is read there, without user and password.
    pub places: Vec<String>,
    /// What that costs, where the source is a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<ReadLoad>,
}

/// A calculation on a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedAsk {
    /// The side.
    pub side: Side,
    /// The engine: `postgres`, `mongodb`, `relation`.
    pub engine: String,
    /// The source.
    pub source: String,
    /// The file of the query, or the relation.
    pub place: String,
    /// How often it is made: once, and once for each replay.
    pub times: usize,
    /// What one of them costs.
    pub load: ReadLoad,
}

/// How sure a number of rows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Counted just now.
    Counted,
    /// From the statistics of the server.
    Estimated,
    /// Some of these: all that there are, from the statistics of the server.
    AtMost,
    /// Nothing is known.
    Unknown,
}

/// How rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By one query.
    OneQuery,
    /// In steps of a cursor, each as long as set.
    Cursor,
    /// In chunks of pages, each as long as set.
    Pages,
    /// In chunks by `_id`, each as long as set.
    ById,
}

/// What a reading costs a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadLoad {
    /// Rows that come.
    pub rows: Option<u64>,
    /// How sure that is.
    pub rows_are: Certainty,
    /// Bytes of these rows.
    pub bytes: Option<u64>,
    /// How they are asked for.
    pub way: Option<Way>,
    /// Queries; more where the server is slow.
    pub queries: Option<u64>,
    /// Connections at the same time.
    pub connections: u16,
    /// The time that it takes at the ceiling on rows per second, where there is one.
    pub seconds: Option<u64>,
    /// What the server looks at: indexes, and tables or collections that it goes through as a whole.
    pub access: Vec<String>,
    /// Whether a table or collection is gone through as a whole.
    pub full_scan: Option<bool>,
    /// Why something is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ReadLoad {
    /// Of which nothing is known.
    pub fn unknown(note: impl Into<String>) -> Self {
        Self {
            rows: None,
            rows_are: Certainty::Unknown,
            bytes: None,
            way: None,
            queries: None,
            connections: 0,
            seconds: None,
            access: Vec::new(),
            full_scan: None,
            note: Some(note.into()),
        }
    }

    /// With the time that it takes at so many rows per second.
    #[must_use]
    pub fn at(mut self, rows_per_second: Option<u64>) -> Self {
        self.seconds = self.rows.zip(rows_per_second).map(|(rows, ceiling)| rows.div_ceil(ceiling.max(1)));
        self
    }
}

/// The limits under which a server is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServerLimits {
    /// Rows per second at most.
    pub max_rows_per_second: Option<u64>,
    /// Connections at the same time, at most.
    pub max_connections: u32,
    /// The time limit of a query, as `dualrun.toml` writes times.
    pub query_time: String,
    /// How long a query should take.
    pub chunk_time: String,
    /// How far a replica may be behind; none: it is not looked at.
    pub max_lag: Option<String>,
    /// How long a reading waits for it.
    pub lag_wait: String,
    /// Which members answer.
    pub read_from: Option<String>,
}

impl fmt::Display for ServerLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_rows_per_second {
            Some(rows) => write!(f, "at most {rows} rows a second")?,
            None => f.write_str("no ceiling on rows a second")?,
        }
        write!(
            f,
            ", {} connections, {} a query, of which {} are aimed at",
            self.max_connections, self.query_time, self.chunk_time
        )?;
        if let Some(lag) = &self.max_lag {
            write!(f, "; pauses while a replica is more than {lag} behind, up to {}", self.lag_wait)?;
        }
        if let Some(read_from) = &self.read_from {
            write!(f, "; reads from: {}", read_from.replace('_', " "))?;
        }
        Ok(())
    }
}

/// All that would be read from a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServerLoad {
    /// The name of the source.
    pub source: String,
    /// `PostgreSQL`, `MongoDB`.
    pub kind: String,
    /// Where it is, without user and password.
    pub place: String,
    /// Whether it was asked, and answered.
    pub reached: bool,
    /// What it said of itself: version, primary or replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Why it was not asked, or how it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Readings, one after the other.
    pub readings: u64,
    /// Readings of which the rows are not known.
    pub unknown: u64,
    /// Rows of those that are known.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Readings that go through a whole table or collection.
    pub full_scans: u64,
    /// Connections at the same time.
    pub connections: u16,
    /// The time of those that are known, at the ceiling on rows per second.
    pub seconds: Option<u64>,
    /// The limits.
    pub limits: ServerLimits,
}

impl ServerLoad {
    /// Adds a reading that is made so often.
    pub fn add(&mut self, load: &ReadLoad, times: u64) {
        self.readings += times;
        match load.rows {
            Some(rows) => self.rows = self.rows.saturating_add(rows.saturating_mul(times)),
            None => self.unknown += times,
        }
        self.bytes = self.bytes.saturating_add(load.bytes.unwrap_or(0).saturating_mul(times));
        self.full_scans += if load.full_scan == Some(true) { times } else { 0 };
        // One reading at a time.
        self.connections = self.connections.max(load.connections);
        if let Some(seconds) = load.seconds {
            self.seconds = Some(self.seconds.unwrap_or(0).saturating_add(seconds.saturating_mul(times)));
        }
    }
}
