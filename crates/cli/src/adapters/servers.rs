//! Calculations that run on a server: SQL on PostgreSQL, aggregation pipelines on MongoDB. Parameters are bound, never
//! written into a text.

use std::{collections::BTreeMap, path::Path};

use bson::{Bson, Document};
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

use super::live::{gentle, server};

/// Runs a query on its server.
pub(super) async fn postgres(
    source: &SourceSettings,
    root: &Path,
    query: &ServerQuery,
    request: &OutsideRequest<'_>,
) -> Result<InputTable, SourceError> {
    let params = bound(query, request.parameters);
    let Some(server @ Server::Postgres(_)) = server(source, root)? else {
        return Err(wrong_kind("PostgreSQL"));
    };
    let gentle = gentle(source);
    match request.cut.session(&server) {
        Some(session) => session.query(&query.sql, &params, &gentle).await,
        None => ServerSession::open(server).await?.query(&query.sql, &params, &gentle).await,
    }
}

/// What is bound to the parameters of a query.
pub(crate) fn bound(query: &ServerQuery, parameters: &BTreeMap<String, ParameterValue>) -> Vec<Param> {
    let given = |name: &String| parameters.get(name).cloned().map_or(Param::Null, Param::from);
    query.parameters.iter().map(given).collect()
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
    let stages = stages(pipeline, request.parameters)?;
    let Some(server @ Server::Mongo(_)) = server(source, root)? else { return Err(wrong_kind("MongoDB")) };
    let spool_folder = Some(request.scratch.to_owned());
    let read = ReadOptions { spool_folder, ..ReadOptions::gentle(&gentle(source)) };
    if let Some(session) = request.cut.session(&server) {
        return session.aggregate(&pipeline.collection, stages, &pipeline.shape, read).await;
    }
    let session = ServerSession::open(server).await?;
    let table = session.aggregate(&pipeline.collection, stages, &pipeline.shape, read).await;
    session.close().await;
    table
}

/// The stages of a pipeline with the values of its parameters.
pub(crate) fn stages(
    pipeline: &ServerPipeline,
    parameters: &BTreeMap<String, ParameterValue>,
) -> Result<Vec<Document>, SourceError> {
    let mut params = BTreeMap::new();
    for name in &pipeline.parameters {
        let value = match parameters.get(name) {
            Some(value) => document_value(value)?,
            None => Bson::Null,
        };
        params.insert(name.clone(), value);
    }
    bind(&pipeline.pipeline, &params)
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
