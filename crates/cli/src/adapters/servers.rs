//! Calculations that run on a server: SQL on PostgreSQL, aggregation pipelines on MongoDB. Parameters are bound, never
//! written into a text.

use std::{collections::BTreeMap, path::Path};

use bson::Bson;
use dualrun_core::parameter::ParameterValue;
use dualrun_engine::OutsideRequest;
use dualrun_mapping::{
    plan::{ServerPipeline, ServerQuery},
    settings::SourceSettings,
};
use dualrun_sources::{
    InputTable, Server, ServerSession, SourceError,
    mongo::{ReadOptions, bind},
    postgres::Param,
};

use super::live::server;

/// Runs a query on its server.
pub(super) async fn postgres(
    source: &SourceSettings,
    root: &Path,
    query: &ServerQuery,
    request: &OutsideRequest<'_>,
) -> Result<InputTable, SourceError> {
    let given = |name: &String| request.parameters.get(name).cloned().map_or(Param::Null, Param::from);
    let params: Vec<Param> = query.parameters.iter().map(given).collect();
    let Some(server @ Server::Postgres(_)) = server(source, root)? else {
        return Err(wrong_kind("PostgreSQL"));
    };
    match request.cut.session(&server) {
        Some(session) => session.query(&query.sql, &params).await,
        None => ServerSession::open(server).await?.query(&query.sql, &params).await,
    }
}

fn wrong_kind(server: &str) -> SourceError {
    SourceError::Config(format!("the source is not a {server} server"))
}

/// Runs an aggregation pipeline on its server.
pub(super) async fn mongodb(
    source: &SourceSettings,
    root: &Path,
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
    let Some(server @ Server::Mongo(_)) = server(source, root)? else { return Err(wrong_kind("MongoDB")) };
    let read = ReadOptions { spool_folder: Some(request.scratch.to_owned()), ..ReadOptions::default() };
    if let Some(session) = request.cut.session(&server) {
        return session.aggregate(&pipeline.collection, stages, &pipeline.shape, read).await;
    }
    let session = ServerSession::open(server).await?;
    let table = session.aggregate(&pipeline.collection, stages, &pipeline.shape, read).await;
    session.close().await;
    table
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
