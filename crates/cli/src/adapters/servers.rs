//! Calculations that run on a server: SQL on PostgreSQL, aggregation pipelines on MongoDB. Parameters are bound, never
//! written into a text.

use std::collections::BTreeMap;

use bson::Bson;
use dualrun_core::parameter::ParameterValue;
use dualrun_engine::{InputRequest, OutsideRequest};
use dualrun_mapping::{
    plan::{ServerPipeline, ServerQuery},
    settings::{SourceKind, SourceSettings},
};
use dualrun_sources::{
    FileReport, InputTable, ReadReport, SourceError,
    mongo::{Fields, FindRequest, MongoOptions, MongoSource, ReadOptions as MongoReadOptions, bind},
    postgres::{Param, PostgresOptions, PostgresSource, ReadOptions, TableName},
};
use futures::TryStreamExt;

/// Runs a query on its server.
pub(super) async fn postgres(
    source: &SourceSettings,
    query: &ServerQuery,
    request: &OutsideRequest<'_>,
) -> Result<InputTable, SourceError> {
    let given = |name: &String| request.parameters.get(name).cloned().map_or(Param::Null, Param::from);
    let params: Vec<Param> = query.parameters.iter().map(given).collect();
    rows(source, &query.sql, &params).await
}

/// Reads whole tables or collections, one after the other.
pub(super) async fn read(request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
    let [place] = request.places.as_slice() else {
        return Err(SourceError::Config("a table or collection of a server is one for all days".to_owned()));
    };
    let source = request.source;
    let mut table = if source.kind == SourceKind::Postgres {
        if !request.shape.0.is_empty() {
            let what = "a table of PostgreSQL has its own types; cast them in a query instead of a `shape`";
            return Err(SourceError::Config(what.to_owned()));
        }
        let name = TableName::parse(&place.path)?;
        rows(source, &format!("SELECT * FROM {name}"), &[]).await?
    } else {
        let server = MongoSource::connect(mongo_options(source)).await?;
        let (find, read) = (FindRequest::default(), MongoReadOptions::default());
        let (table, _) = server.read_table(&place.path, find, request.shape, &read).await?;
        server.close().await;
        table
    };
    if table.report.files.is_empty() {
        let (path, rows) = (place.path.clone(), table.report.rows);
        let file = FileReport { path, bytes: 0, rows, e_tag: None, last_modified: None };
        table.report.files.push(file);
    }
    Ok(table)
}

async fn rows(source: &SourceSettings, sql: &str, params: &[Param]) -> Result<InputTable, SourceError> {
    let server = PostgresSource::connect(PostgresOptions::new(&source.url)).await?;
    let mut stream = server.query(None, sql, params, &ReadOptions::default()).await?;
    let schema = stream.schema();
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        batches.push(batch);
    }
    let report = ReadReport { rows: stream.rows_read(), misfits: stream.misfits(), ..ReadReport::default() };
    Ok(InputTable { schema, batches, report })
}

fn mongo_options(source: &SourceSettings) -> MongoOptions {
    MongoOptions { database: source.database.clone(), ..MongoOptions::new(&source.url) }
}

/// Runs an aggregation pipeline on its server.
pub(super) async fn mongodb(
    source: &SourceSettings,
    pipeline: &ServerPipeline,
    request: &OutsideRequest<'_>,
) -> Result<InputTable, SourceError> {
    let mut params = BTreeMap::new();
    for name in &pipeline.parameters {
        let value = match request.parameters.get(name) {
            Some(value) => document_value(value)?,
            None => Bson::Null,
        };
        params.insert(name.clone(), value);
    }
    let stages = bind(&pipeline.pipeline, &params)?;
    let server = MongoSource::connect(mongo_options(source)).await?;
    let read = MongoReadOptions { spool_folder: Some(request.scratch.to_owned()), ..Default::default() };
    let stream = server.aggregate(&pipeline.collection, stages, Fields::All, &pipeline.shape, &read).await?;
    let (table, _) = stream.into_table().await?;
    server.close().await;
    Ok(table)
}

/// A value as MongoDB has it. A day is its midnight in UTC: there is no type for days.
fn document_value(value: &ParameterValue) -> Result<Bson, SourceError> {
    Ok(match value {
        ParameterValue::Text(text) => Bson::String(text.clone()),
        ParameterValue::Integer(number) => Bson::Int64(*number),
        ParameterValue::Float(number) => Bson::Double(*number),
        ParameterValue::Boolean(flag) => Bson::Boolean(*flag),
        ParameterValue::Timestamp(at) => Bson::DateTime(bson::DateTime::from_millis(at.as_millisecond())),
        ParameterValue::Date(day) => {
            let midnight = day
                .to_zoned(jiff::tz::TimeZone::UTC)
                .map_err(|e| SourceError::Config(format!("the day {day} of a parameter: {e}")))?;
            Bson::DateTime(bson::DateTime::from_millis(midnight.timestamp().as_millisecond()))
        }
    })
}
