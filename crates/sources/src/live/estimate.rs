//! What readings of a server would cost, asked for before they are made.

use bson::Document;
use dualrun_core::{plan::ReadLoad, shape::Shape};

use super::{
    LiveRequest, Part, Server,
    session::{find_request, mongo_options, table_read},
};
use crate::{
    Gentle, SourceError,
    mongo::MongoSource,
    postgres::{Param, PostgresSource},
    rules::Declared,
};

/// A server that is asked what readings would cost. Close it at the end.
#[derive(Debug)]
pub enum Estimator {
    /// PostgreSQL.
    Postgres(PostgresSource),
    /// MongoDB.
    Mongo(MongoSource),
}

impl Estimator {
    /// Connects.
    ///
    /// # Errors
    ///
    /// What the server or the way to it does.
    pub async fn connect(server: Server) -> Result<Self, SourceError> {
        Ok(match server {
            Server::Postgres(options) => Self::Postgres(PostgresSource::connect(options).await?),
            Server::Mongo(options) => Self::Mongo(MongoSource::connect(options).await?),
        })
    }

    /// Version and part of the server, for people: `PostgreSQL 17.2, a replica, 3 s behind its primary`.
    ///
    /// # Errors
    ///
    /// What the server or the way to it does.
    pub async fn server(&self) -> Result<String, SourceError> {
        match self {
            Self::Postgres(source) => {
                let version = source.version();
                let part = match source.lag().await? {
                    Some(lag) => format!("a replica, {} s behind its primary", lag.behind.as_secs()),
                    None => "a primary".to_owned(),
                };
                Ok(format!("PostgreSQL {}.{}, {part}", version / 10_000, version % 10_000))
            }
            Self::Mongo(source) => {
                let probe = source.probe().await?;
                let part = match (&source.server().replica_set, source.server().sharded) {
                    (_, true) => "the router of a sharded cluster".to_owned(),
                    (None, false) => "a server of its own".to_owned(),
                    (Some(_), false) => {
                        let member = if probe.secondary { "a secondary" } else { "a primary" };
                        let lag = probe
                            .lag
                            .map(|lag| format!(", the slowest secondary {} s behind", lag.as_secs()));
                        format!("{member}{}", lag.unwrap_or_default())
                    }
                };
                let stand_in = if probe.stand_in { " (a stand-in)" } else { "" };
                Ok(format!("MongoDB {}{stand_in}, {part}", source.server().version))
            }
        }
    }

    /// What reading a table or collection would cost.
    ///
    /// # Errors
    ///
    /// What the server or the way to it does.
    pub async fn relation(&self, request: &LiveRequest) -> Result<ReadLoad, SourceError> {
        let load = match self {
            Self::Postgres(source) => {
                let declared = request.shape.as_ref().map(Declared::of).transpose()?;
                let read = table_read(source, request, &Part::default(), declared.as_ref()).await?;
                source.estimate_table(&read).await?
            }
            Self::Mongo(source) => {
                let nothing = Shape::default();
                let find = find_request(request, request.shape.as_ref().unwrap_or(&nothing));
                let read = mongo_options(request);
                source.estimate_find(&request.name, &find, &read).await?
            }
        };
        Ok(load.at(request.gentle.max_rows_per_second))
    }

    /// What a query of PostgreSQL would cost.
    ///
    /// # Errors
    ///
    /// [`SourceError::Config`] where the server is another; otherwise what it or the way to it does.
    pub async fn query(&self, sql: &str, params: &[Param], gentle: &Gentle) -> Result<ReadLoad, SourceError> {
        let Self::Postgres(source) = self else {
            return Err(SourceError::Config("SQL is asked of PostgreSQL only".to_owned()));
        };
        let pace = gentle.max_rows_per_second.is_some().then(|| gentle.pace());
        let load = source.estimate_query(sql, params, pace.as_ref()).await?;
        Ok(load.at(gentle.max_rows_per_second))
    }

    /// What an aggregation pipeline of MongoDB would cost.
    ///
    /// # Errors
    ///
    /// [`SourceError::Config`] where the server is another; otherwise what it or the way to it does.
    pub async fn pipeline(&self, collection: &str, stages: &[Document]) -> Result<ReadLoad, SourceError> {
        let Self::Mongo(source) = self else {
            return Err(SourceError::Config("a pipeline is asked of MongoDB only".to_owned()));
        };
        source.estimate_pipeline(collection, stages).await
    }

    /// Ends the connection.
    pub async fn close(self) {
        if let Self::Mongo(source) = self {
            source.close().await;
        }
    }
}
