//! What readings would cost the servers that they read. A server that does not answer is noted, and nothing more is asked
//! of it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use dualrun_core::{
    Period,
    input::Side,
    plan::{ReadLoad, ServerLoad},
};
use dualrun_engine::{Context, InputRequest, calculate};
use dualrun_mapping::{
    plan::{Engine, Pipeline},
    settings::{SourceKind, SourceSettings},
};
use dualrun_sources::{
    Estimator, LiveRequest, Server, Since, SourceError, mongo::MongoOptions, postgres::PostgresOptions,
    without_credentials,
};

use crate::{adapters, commands::limits::limits, error::CliError};

/// A look at the plan does not wait longer for a server.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the servers of a project.
pub(super) struct Loads<'a> {
    context: &'a Context,
    root: &'a Path,
    offline: bool,
    servers: BTreeMap<String, Known>,
}

struct Known {
    load: ServerLoad,
    /// None where it is not asked, or does not answer.
    asked: Option<Estimator>,
}

impl<'a> Loads<'a> {
    /// Asks no server where `offline`.
    pub(super) fn new(context: &'a Context, root: &'a Path, offline: bool) -> Self {
        Self { context, root, offline, servers: BTreeMap::new() }
    }

    /// What an input costs; none where its source is no server.
    pub(super) async fn of_input(&mut self, source: &str, request: &InputRequest<'_>) -> Option<ReadLoad> {
        let live = self.live(request)?;
        let load = match self.server(source, request.source).await {
            Ok(estimator) => said(estimator.relation(&live).await),
            Err(load) => load,
        };
        self.again(source, &load, 1);
        Some(load)
    }

    /// What the copy of an input costs; none where its source is no server.
    pub(super) async fn of_copy(
        &mut self,
        source: &str,
        request: &InputRequest<'_>,
        since: Option<Since>,
    ) -> Option<ReadLoad> {
        let live = self.live(request)?;
        let live = LiveRequest { since, ..live };
        Some(match self.server(source, request.source).await {
            Ok(estimator) => said(estimator.relation(&live).await),
            Err(load) => load,
        })
    }

    /// What a calculation on a server costs, made once.
    pub(super) async fn of_calculation(
        &mut self,
        pipeline: &Pipeline,
        side: Side,
        period: Period,
    ) -> Result<ReadLoad, CliError> {
        let context = self.context;
        let engine = &pipeline.calculation(side).engine;
        let sources = &context.project.settings.source;
        let Some((name, settings)) = engine.source().and_then(|name| sources.get_key_value(name)) else {
            return Ok(ReadLoad::unknown("its server is not configured"));
        };
        let changes = context.project.changes_of(&pipeline.id);
        let switches = pipeline.switch_values(&changes, &|_| true, side);
        let parameters = calculate::parameters(pipeline, period, &switches)?;
        let place = match engine {
            Engine::Relation(relation) => {
                parameters.iter().fold(relation.place.place().to_owned(), |place, (name, value)| {
                    place.replace(&format!("{{{name}}}"), &value.to_string())
                })
            }
            _ => String::new(),
        };
        let live = self.request(settings, &place);
        let estimator = match self.server(name, settings).await {
            Ok(estimator) => estimator,
            Err(load) => return Ok(load),
        };
        Ok(match engine {
            Engine::Postgres(query) => {
                let params = adapters::bound(query, &parameters);
                said(estimator.query(&query.sql, &params, &adapters::gentle(settings)).await)
            }
            Engine::Mongodb(pipeline) => match adapters::stages(pipeline, &parameters) {
                Ok(stages) => said(estimator.pipeline(&pipeline.collection, &stages).await),
                Err(error) => ReadLoad::unknown(error.to_string()),
            },
            _ => match live {
                Some(live) => said(estimator.relation(&live).await),
                None => ReadLoad::unknown("its server is not configured"),
            },
        })
    }

    /// Adds a reading to what its server bears.
    pub(super) fn again(&mut self, source: &str, load: &ReadLoad, times: u64) {
        if let Some(known) = self.servers.get_mut(source) {
            known.load.add(load, times);
        }
    }

    /// All that the servers bear.
    pub(super) async fn close(self) -> Vec<ServerLoad> {
        let mut loads = Vec::new();
        for known in self.servers.into_values() {
            if let Some(estimator) = known.asked {
                estimator.close().await;
            }
            loads.push(known.load);
        }
        loads
    }

    /// How a server is asked for an input; none where its source is no server.
    fn live(&self, request: &InputRequest<'_>) -> Option<LiveRequest> {
        let [place] = request.places.as_slice() else { return None };
        if !request.source.kind.is_server() {
            return None;
        }
        let live = self.request(request.source, &place.path)?;
        Some(LiveRequest { shape: Some(request.shape.clone()), days: request.days.clone(), ..live })
    }

    fn request(&self, source: &SourceSettings, place: &str) -> Option<LiveRequest> {
        adapters::server(source, self.root).ok()??;
        Some(LiveRequest {
            name: place.to_owned(),
            shape: None,
            days: None,
            since: None,
            untyped_nulls: false,
            gentle: adapters::gentle(source),
            spool: std::env::temp_dir(),
        })
    }

    /// The server, asked once; or why there is none.
    async fn server(&mut self, name: &str, source: &SourceSettings) -> Result<&Estimator, ReadLoad> {
        if !self.servers.contains_key(name) {
            let known = self.reach(source, name).await;
            self.servers.insert(name.to_owned(), known);
        }
        let known = self.servers.get(name);
        known.and_then(|known| known.asked.as_ref()).ok_or_else(|| {
            let why = known.and_then(|known| known.load.note.clone());
            ReadLoad::unknown(match why {
                Some(_) if self.offline => "no server is asked (--offline)",
                _ => "the server could not be asked",
            })
        })
    }

    async fn reach(&self, source: &SourceSettings, name: &str) -> Known {
        let mut load = ServerLoad {
            source: name.to_owned(),
            kind: if source.kind == SourceKind::Postgres { "PostgreSQL" } else { "MongoDB" }.to_owned(),
            place: place(source),
            ..ServerLoad::default()
        };
        let server = match adapters::server(source, self.root) {
            Ok(Some(server)) => server,
            Ok(None) => return Known { load, asked: None },
            Err(error) => {
                load.note = Some(error.to_string());
                return Known { load, asked: None };
            }
        };
        load.limits = limits(source, &server);
        if self.offline {
            load.note = Some("not asked (--offline): its load is not known".to_owned());
            return Known { load, asked: None };
        }
        let asked = async {
            let estimator = Estimator::connect(hurried(server)).await?;
            let said = estimator.server().await?;
            Ok::<_, SourceError>((estimator, said))
        };
        match asked.await {
            Ok((estimator, said)) => {
                load.reached = true;
                load.server = Some(said);
                Known { load, asked: Some(estimator) }
            }
            Err(error) => {
                load.note =
                    Some(format!("not reached, its load is not known: {}", dualrun_core::chain(&error)));
                Known { load, asked: None }
            }
        }
    }
}

/// Where a server is, without user, password and parameters.
fn place(source: &SourceSettings) -> String {
    let place = without_credentials(&source.url);
    place.split('?').next().unwrap_or_default().to_owned()
}

/// A server that is not waited for as long as in a run.
fn hurried(server: Server) -> Server {
    match server {
        Server::Postgres(options) => Server::Postgres(PostgresOptions {
            connect_timeout: options.connect_timeout.min(PATIENCE),
            statement_timeout: options.statement_timeout.min(2 * PATIENCE),
            ..options
        }),
        Server::Mongo(options) => Server::Mongo(MongoOptions {
            connect_timeout: options.connect_timeout.min(PATIENCE),
            server_selection_timeout: options.server_selection_timeout.min(PATIENCE),
            ..options
        }),
    }
}

fn said(estimated: Result<ReadLoad, SourceError>) -> ReadLoad {
    estimated.unwrap_or_else(|error| ReadLoad::unknown(dualrun_core::chain(&error)))
}
