//! Calculations that run on a server: SQL on PostgreSQL, aggregation pipelines on MongoDB. Parameters are bound, never
//! written into a text.

use std::{collections::BTreeMap, path::Path};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bson::{Bson, Document};
use dualrun_core::parameter::ParameterValue;
use dualrun_engine::OutsideRequest;
use dualrun_mapping::{
    plan::{ServerPipeline, ServerQuery},
    settings::SourceSettings,
};
use dualrun_sources::{
    InputTable, Misfit, ReadReport, Server, SourceError,
    mongo::{Fields, MongoSource, ReadOptions as MongoReadOptions, bind},
    postgres::{Param, PostgresSource, PostgresStream, ReadOptions, TableStream},
};
use futures::{Stream, TryStreamExt};

use super::live::{gentle, server};

/// Runs a query on its server.
pub(super) async fn postgres(
    source: &SourceSettings,
    root: &Path,
    query: &ServerQuery,
    request: &OutsideRequest<'_>,
) -> Result<InputTable, SourceError> {
    let params = bound(query, request.parameters);
    let Some(Server::Postgres(options)) = server(source, root)? else { return Err(wrong_kind("PostgreSQL")) };
    let server = PostgresSource::connect(options).await?;
    server.answered(server.caught_up()).await?;
    let gentle = gentle(source);
    let form = ReadOptions::default();
    if gentle.max_rows_per_second.is_some() {
        let pace = gentle.pace();
        let stream = server.answered(server.query_in_steps(None, &query.sql, &params, &pace, &form)).await?;
        return collected(&server, stream.schema(), stream, TableStream::misfits).await;
    }
    let stream = server.answered(server.query(None, &query.sql, &params, &form)).await?;
    collected(&server, stream.schema(), stream, PostgresStream::misfits).await
}

/// What is bound to the parameters of a query.
pub(crate) fn bound(query: &ServerQuery, parameters: &BTreeMap<String, ParameterValue>) -> Vec<Param> {
    let given = |name: &String| parameters.get(name).cloned().map_or(Param::Null, Param::from);
    query.parameters.iter().map(given).collect()
}

async fn collected<S>(
    server: &PostgresSource,
    schema: SchemaRef,
    mut stream: S,
    misfits: impl Fn(&S) -> Vec<Misfit>,
) -> Result<InputTable, SourceError>
where
    S: Stream<Item = Result<RecordBatch, SourceError>> + Unpin,
{
    let mut batches: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = server.answered(stream.try_next()).await? {
        batches.push(batch);
    }
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let report = ReadReport { rows, misfits: misfits(&stream), ..ReadReport::default() };
    Ok(InputTable { schema, batches, report })
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
    let Some(Server::Mongo(options)) = server(source, root)? else { return Err(wrong_kind("MongoDB")) };
    let server = MongoSource::connect(options).await?;
    let spool_folder = Some(request.scratch.to_owned());
    let read = MongoReadOptions { spool_folder, ..MongoReadOptions::gentle(&gentle(source)) };
    let stream = server.aggregate(&pipeline.collection, stages, Fields::All, &pipeline.shape, &read).await?;
    let (table, _) = stream.into_table().await?;
    server.close().await;
    Ok(table)
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
