//! The limits under which a server is read, as people are told.

use std::time::Duration;

use dualrun_core::plan::ServerLimits;
use dualrun_mapping::{server::Span, settings::SourceSettings};
use dualrun_sources::{Server, mongo::ReadOptions};

use crate::adapters;

/// What holds for a server, settings and defaults together.
pub(crate) fn limits(source: &SourceSettings, server: &Server) -> ServerLimits {
    let gentle = adapters::gentle(source);
    let base = ServerLimits { max_rows_per_second: source.max_rows_per_second, ..ServerLimits::default() };
    let lag = |lag: Option<Duration>| lag.map(time);
    match server {
        Server::Postgres(options) => ServerLimits {
            max_connections: u32::try_from(options.max_connections).unwrap_or(u32::MAX),
            query_time: time(options.statement_timeout),
            chunk_time: time(gentle.pace().target.min(options.statement_timeout / 4)),
            max_lag: lag(options.max_lag),
            lag_wait: time(options.lag_wait),
            ..base
        },
        Server::Mongo(options) => {
            let read = ReadOptions::gentle(&gentle);
            ServerLimits {
                max_connections: options.max_connections,
                query_time: time(read.max_time),
                chunk_time: time(read.target),
                max_lag: lag(read.max_lag),
                lag_wait: time(read.lag_patience),
                read_from: Some(options.read_from.as_str().to_owned()),
                ..base
            }
        }
    }
}

/// A time as `dualrun.toml` writes it.
fn time(duration: Duration) -> String {
    Span(duration).into()
}
