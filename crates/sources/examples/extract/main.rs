//! `extract JOB.json`: reads a table or a collection to its end, to measure it; `scripts/bench extract` writes the job.
//!
//! The answer holds rows, bytes of the batches and seconds, and where the job says `check`, what stood in every column.
//! Addresses of servers come from `DUALRUN_TEST_POSTGRES_URL` and `DUALRUN_TEST_MONGODB_URL`.
#![allow(clippy::print_stderr, reason = "a tool for developers")]

mod check;

use std::{error::Error, process::ExitCode, time::Instant};

use arrow::array::RecordBatch;
use dualrun_core::shape::Shape;
use dualrun_sources::{
    PaceOptions, SourceError,
    mongo::{Fields, FindRequest, MongoOptions, MongoSource, ReadOptions as MongoRead},
    postgres::{PostgresOptions, PostgresSource, ReadOptions, TableName, TableRead},
};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("extract: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: extract JOB.json")?;
    let job: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let start = Instant::now();
    let mut seen = Seen {
        rows: 0,
        batches: 0,
        bytes: 0,
        check: job["check"] == true,
        columns: check::Columns::default(),
    };
    let how = match text(&job, "source")? {
        "postgres" => postgres(&job, &mut seen).await?,
        _ => mongodb(&job, &mut seen).await?,
    };
    let answer = json!({
        "engine": format!("dualrun {}, {how}", env!("CARGO_PKG_VERSION")),
        "seconds": start.elapsed().as_secs_f64(),
        "rows": seen.rows,
        "batches": seen.batches,
        "bytes": seen.bytes,
        "columns": seen.check.then(|| seen.columns.report()),
    });
    std::fs::write(text(&job, "answer")?, answer.to_string())?;
    Ok(())
}

/// What came.
struct Seen {
    rows: u64,
    batches: u64,
    bytes: u64,
    check: bool,
    columns: check::Columns,
}

impl Seen {
    async fn all(
        &mut self,
        mut stream: impl Stream<Item = Result<RecordBatch, SourceError>> + Unpin,
    ) -> Result<(), Failure> {
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.rows += batch.num_rows() as u64;
            self.batches += 1;
            self.bytes += batch.get_array_memory_size() as u64;
            if self.check {
                self.columns.add(&batch)?;
            }
        }
        Ok(())
    }
}

/// One connection runs a query; several share the pages of a table.
async fn postgres(job: &Value, seen: &mut Seen) -> Result<&'static str, Failure> {
    let connections = usize::try_from(number(job, "connections")?)?;
    let mut options = PostgresOptions::new(address("DUALRUN_TEST_POSTGRES_URL", "sslmode=disable")?);
    // One more holds the snapshot that the others share.
    options.max_connections = connections + 1;
    let source = PostgresSource::connect(options).await?;
    if connections == 1 {
        let stream = source.query(None, text(job, "query")?, &[], &ReadOptions::default()).await?;
        seen.all(stream).await?;
        return Ok("batches of one COPY");
    }
    let read = TableRead {
        parallel: connections,
        pace: PaceOptions::default(),
        ..TableRead::all(TableName::parse(text(job, "table")?)?)
    };
    let stream = source.read_table(None, &read, &ReadOptions::default()).await?;
    seen.all(stream).await?;
    Ok("batches of ranges of pages in one snapshot")
}

async fn mongodb(job: &Value, seen: &mut Seen) -> Result<&'static str, Failure> {
    let mut options = MongoOptions::new(address("DUALRUN_TEST_MONGODB_URL", "")?);
    options.database = Some(text(job, "database")?.to_owned());
    let source = MongoSource::connect(options).await?;
    let shape: Shape = serde_json::from_value(job["shape"].clone())?;
    // The other tools do not count before and after either.
    let read = MongoRead { count: false, ..MongoRead::default() };
    let (request, shape, how) = match text(job, "way")? {
        "cursor" => {
            let sort = Some(bson::Document::new());
            (
                FindRequest { fields: Fields::Declared, sort, ..FindRequest::default() },
                shape,
                "batches of one cursor",
            )
        }
        "by-id" => {
            let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
            (request, shape, "batches of queries by _id, which can be taken up again")
        }
        _ => (FindRequest::default(), Shape::default(), "types unknown: put aside in a file, then batches"),
    };
    let stream = source.find(text(job, "collection")?, request, &shape, &read).await?;
    seen.all(stream).await?;
    Ok(how)
}

fn address(variable: &str, parameters: &str) -> Result<String, Failure> {
    let url = std::env::var(variable)
        .map_err(|_| format!("{variable} is not set; scripts/services env tells it"))?;
    let mark = if url.contains('?') || parameters.is_empty() { "" } else { "?" };
    Ok(if url.contains('?') { url } else { format!("{url}{mark}{parameters}") })
}

fn text<'a>(job: &'a Value, name: &str) -> Result<&'a str, Failure> {
    job[name].as_str().ok_or_else(|| format!("the job has no {name}").into())
}

fn number(job: &Value, name: &str) -> Result<u64, Failure> {
    job[name].as_u64().ok_or_else(|| format!("the job has no {name}").into())
}
