//! Servers as sources: what `dualrun.toml` says of them, as the readers want it.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use dualrun_engine::{InputRequest, TableProvider};
use dualrun_mapping::{
    server::{ReadPreference, Span, Tls},
    settings::{SourceKind, SourceSettings},
};
use dualrun_sources::{
    CutOff, Gentle, InputTable, LiveRequest, LiveStream, RowStream, Say, Server, ServerSession, Servers,
    Since, SourceError, Wanted,
    mongo::{MongoOptions, ReadFrom},
    postgres::{PostgresOptions, TlsMode},
    provider::ServerTable,
    read_live, stream_live,
};

use crate::secrets;

/// Reads from the servers of a project.
pub(super) struct Live {
    root: PathBuf,
    spool: PathBuf,
    servers: Servers,
    told: Mutex<BTreeSet<String>>,
}

impl Live {
    pub(super) fn new(root: &Path, spill: &str) -> Self {
        Self {
            root: root.to_owned(),
            spool: root.join(spill),
            servers: Servers::default(),
            told: Mutex::default(),
        }
    }

    /// One state of each server among the sources.
    pub(super) async fn cut_off(
        &self,
        sources: &[(&SourceSettings, Vec<String>)],
    ) -> Result<CutOff, SourceError> {
        let mut wanted = Vec::new();
        for (source, names) in sources {
            if let Some(server) = server(source, &self.root)? {
                wanted.push(Wanted { server, names: names.clone() });
            }
        }
        let cut = self.servers.cut_off(wanted).await?;
        cut.sessions().iter().for_each(|session| self.warn(session.warnings()));
        Ok(cut)
    }

    /// All rows of a request.
    pub(super) async fn read(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
        let (server, asked) = self.asked(request)?;
        if let Some(session) = request.cut.session(&server) {
            return session.stream(&asked).await?.into_table().await;
        }
        let live = read_live(server, asked).await?;
        self.warn(&live.warnings);
        Ok(live.table)
    }

    /// The rows of a request as they come, where its server is held.
    pub(super) async fn stream(&self, request: &InputRequest<'_>) -> Result<Option<LiveStream>, SourceError> {
        let (server, asked) = self.asked(request)?;
        let Some(session) = request.cut.session(&server) else { return Ok(None) };
        session.stream(&asked).await.map(Some)
    }

    /// The table of a request, where its server is held.
    pub(super) async fn table(
        &self,
        request: &InputRequest<'_>,
    ) -> Result<Option<Arc<dyn TableProvider>>, SourceError> {
        let (server, asked) = self.asked(request)?;
        let Some(session) = request.cut.session(&server) else { return Ok(None) };
        Ok(Some(Arc::new(ServerTable::open(session, asked).await?)))
    }

    /// Rows as they come, all of them or what was written since.
    pub(super) async fn changes(
        &self,
        request: &InputRequest<'_>,
        since: Option<Since>,
    ) -> Result<RowStream, SourceError> {
        let (server, asked) = self.asked(request)?;
        let session = match request.cut.session(&server) {
            Some(session) => session,
            None => Arc::new(ServerSession::open(server).await?),
        };
        self.warn(session.warnings());
        // A field that happens to be null in what changed has a type all the same.
        stream_live(session, &LiveRequest { since, untyped_nulls: true, ..asked }).await
    }

    fn asked(&self, request: &InputRequest<'_>) -> Result<(Server, LiveRequest), SourceError> {
        let source = request.source;
        let [place] = request.places.as_slice() else {
            return Err(SourceError::Config("a table or collection of a server is one for all days".into()));
        };
        let Some(server) = server(source, &self.root)? else {
            return Err(SourceError::Config("files are not read from a server".into()));
        };
        let asked = LiveRequest {
            name: place.path.clone(),
            shape: Some(request.shape.clone()),
            days: request.days.clone(),
            since: None,
            untyped_nulls: false,
            gentle: gentle(source),
            spool: self.spool.clone(),
        };
        Ok((server, asked))
    }

    /// Tells what is unsafe, once.
    fn warn(&self, warnings: &[String]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().filter(|warning| told.insert((*warning).clone())) {
            let _ = writeln!(std::io::stderr().lock(), "warning: {}", secrets::masked(warning));
        }
    }
}

/// How a server is spared, as `dualrun.toml` says. Why a reading waits is told on standard error.
pub(crate) fn gentle(source: &SourceSettings) -> Gentle {
    let time = |span: &Option<Span>| span.map(|span| span.0);
    Gentle {
        max_rows_per_second: source.max_rows_per_second,
        query_time: time(&source.query_time),
        chunk_time: time(&source.chunk_time),
        max_lag: time(&source.max_lag),
        lag_wait: time(&source.lag_wait),
        say: Say::to(|text| {
            let _ = writeln!(std::io::stderr().lock(), "note: {}", secrets::masked(text));
        }),
    }
}

/// How a server is reached and spared; none for sources that are files. Paths are relative to `root`.
pub(crate) fn server(source: &SourceSettings, root: &Path) -> Result<Option<Server>, SourceError> {
    let ca_file = source.ca_file.as_ref().map(|file| root.join(file));
    secrets::keep_of_url(&source.url);
    Ok(Some(match source.kind {
        SourceKind::Postgres => {
            let mut options = PostgresOptions::new(&source.url);
            options.password_file = source.password_file.as_ref().map(|file| root.join(file));
            // Where it cannot be read, connecting says so.
            let password = options.password_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
            password.iter().for_each(|text| secrets::keep(text.trim_end_matches(['\r', '\n'])));
            options.tls = source.tls.map(|tls| match tls {
                Tls::Disable => TlsMode::Disable,
                Tls::Require => TlsMode::Require,
                Tls::VerifyCa => TlsMode::VerifyCa,
                Tls::VerifyFull => TlsMode::VerifyFull,
            });
            options.ca_file = ca_file;
            if let Some(span) = source.query_time {
                options.statement_timeout = span.0;
            }
            if let Some(span) = source.lock_time {
                options.lock_timeout = span.0;
            }
            if let Some(span) = source.idle_time {
                options.idle_timeout = span.0;
            }
            if let Some(connections) = source.max_connections {
                options.max_connections = usize::from(connections);
            }
            let gentle = gentle(source);
            options.max_lag = gentle.max_lag.or(options.max_lag);
            options.lag_wait = gentle.lag_wait.unwrap_or(options.lag_wait);
            options.say = gentle.say;
            Server::Postgres(options)
        }
        SourceKind::Mongodb => {
            let mut options = MongoOptions::new(with_tls(&source.url, source.tls));
            options.database.clone_from(&source.database);
            options.ca_file = ca_file;
            options.insecure = source.tls == Some(Tls::Require);
            if let Some(file) = &source.password_file {
                let path = root.join(file);
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    SourceError::Config(format!("{}: cannot be read: {}", path.display(), error.kind()))
                })?;
                let password = text.trim_end_matches(['\r', '\n']);
                secrets::keep(password);
                options.password = Some(password.to_owned());
            }
            if let Some(connections) = source.max_connections {
                options.max_connections = u32::from(connections);
            }
            if let Some(preference) = source.read_preference {
                options.read_from = match preference {
                    ReadPreference::Primary => ReadFrom::Primary,
                    ReadPreference::PrimaryPreferred => ReadFrom::PrimaryPreferred,
                    ReadPreference::Secondary => ReadFrom::Secondary,
                    ReadPreference::SecondaryPreferred => ReadFrom::SecondaryPreferred,
                    ReadPreference::Nearest => ReadFrom::Nearest,
                };
            }
            Server::Mongo(options)
        }
        SourceKind::BsonDump | SourceKind::JsonLines | SourceKind::Csv | SourceKind::Parquet => {
            return Ok(None);
        }
    }))
}

/// The URL of MongoDB with the word on TLS that the settings have; one in the URL stays.
fn with_tls(url: &str, tls: Option<Tls>) -> String {
    let on = match tls {
        None => return url.to_owned(),
        Some(tls) => tls != Tls::Disable,
    };
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    if query.split('&').any(|part| part.starts_with("tls=") || part.starts_with("ssl=")) {
        return url.to_owned();
    }
    // Options follow a path, which may be empty.
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let slash = if host.contains('/') { "" } else { "/" };
    let more = if query.is_empty() { String::new() } else { format!("&{query}") };
    format!("{base}{slash}?tls={on}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_goes_into_the_url_of_mongodb() {
        let url = |url: &str, tls| with_tls(url, Some(tls));
        assert_eq!(url("mongodb://u:p@h", Tls::Disable), "mongodb://u:p@h/?tls=false");
        assert_eq!(url("mongodb://h/db?a=b", Tls::VerifyFull), "mongodb://h/db?tls=true&a=b");
        assert_eq!(url("mongodb://h/?tls=true", Tls::Disable), "mongodb://h/?tls=true");
        assert_eq!(with_tls("mongodb://h", None), "mongodb://h");
    }
}
