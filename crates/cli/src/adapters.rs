//! The only place that names concrete adapters: SQLite, the object store, the file formats, the servers, external jobs.

mod live;
mod outside;
mod servers;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use dualrun_engine::{Clock, Context, EngineError, InputReader, InputRequest, SystemClock, TableProvider};
use dualrun_mapping::{
    plan::Project,
    settings::{SourceKind, SourceSettings},
};
use dualrun_sources::{
    CutOff, FileSelection, Format, InputTable, LiveStream, Location, Request, RowStream, Since, SourceError,
    identity, open_location, read,
};
use dualrun_state::SqliteStore;

use self::outside::ProgramsAndServers;
use crate::secrets;

use self::live::Live;
pub(crate) use self::{
    live::{gentle, server},
    servers::{bound, stages},
};

/// Opens a checked project with the adapters that its settings name.
pub(crate) fn open(
    project: Project,
    root: &Path,
    environment: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Context>, EngineError> {
    let url = project.settings.state.url.clone();
    let Some(file) = url.strip_prefix("sqlite:") else {
        return Err(EngineError::Limits(format!("state.url must be sqlite:<file>, found {url:?}")));
    };
    let state = SqliteStore::open(&root.join(file))?;
    let settings = project.settings.store.clone();
    let location = open_location(&settings.url, root, &settings.options).map_err(|source| {
        EngineError::Relation { relation: "the object store of the evidence".into(), source }
    })?;
    let live = Live::new(root, &project.settings.limits.spill);
    let mut project = project;
    outside::choose_forms(&mut project, root);
    let inputs = Files { root: root.to_owned(), live: Some(live) };
    let context = Context::new(
        project,
        root.to_owned(),
        environment.to_owned(),
        Arc::new(state),
        location.store,
        location.prefix,
        Arc::new(inputs),
        clock,
    )?;
    let sources = context.project.settings.source.clone();
    let outside = ProgramsAndServers { root: root.to_owned(), sources };
    Ok(Arc::new(context.with_mask(secrets::masked).with_outside(Arc::new(outside))))
}

/// Opens a checked project to look at its files only: nothing is created, written or locked.
pub(crate) fn open_dry(
    mut project: Project,
    root: &Path,
    environment: &str,
) -> Result<Arc<Context>, EngineError> {
    project.settings.limits.spill = std::env::temp_dir().display().to_string();
    let context = Context::new(
        project,
        root.to_owned(),
        environment.to_owned(),
        Arc::new(SqliteStore::memory()?),
        Arc::new(object_store::memory::InMemory::new()),
        object_store::path::Path::default(),
        Arc::new(Files { root: root.to_owned(), live: None }),
        Arc::new(SystemClock),
    )?;
    Ok(Arc::new(context))
}

/// Whether the project has a state database already.
pub(crate) fn has_state(project: &Project, root: &Path) -> bool {
    project.settings.state.url.strip_prefix("sqlite:").is_some_and(|file| root.join(file).is_file())
}

/// Reads the sources of a project.
struct Files {
    root: PathBuf,
    /// None where servers are left alone: then their tables have the declared columns and no rows.
    live: Option<Live>,
}

#[async_trait]
impl InputReader for Files {
    async fn read(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
        let Some(format) = format(request.source.kind) else {
            return match &self.live {
                Some(live) => live.read(request).await,
                None => self.declared(request).await,
            };
        };
        let (location, files) = self.files(request, format)?;
        read(&asked(request, format, &location, files)).await
    }

    async fn changes(
        &self,
        request: &InputRequest<'_>,
        since: Option<Since>,
    ) -> Result<RowStream, SourceError> {
        match (&self.live, format(request.source.kind)) {
            (Some(live), None) => live.changes(request, since).await,
            _ => Ok(self.read(request).await?.into()),
        }
    }

    fn location(&self, source: &SourceSettings) -> Result<Location, SourceError> {
        if source.kind != SourceKind::Parquet || source.url.contains('{') {
            return Err(SourceError::Config(
                "tables are written to one folder or bucket of Parquet files".to_owned(),
            ));
        }
        open_location(&source.url, &self.root, &source.options)
    }

    async fn identity(&self, request: &InputRequest<'_>) -> Result<Option<String>, SourceError> {
        // A server does not say whether its rows are those of before.
        let Some(format) = format(request.source.kind) else { return Ok(None) };
        let (location, files) = self.files(request, format)?;
        identity(&asked(request, format, &location, files)).await
    }

    async fn cut_off(&self, sources: &[(&SourceSettings, Vec<String>)]) -> Result<CutOff, SourceError> {
        match &self.live {
            Some(live) => live.cut_off(sources).await,
            None => Ok(CutOff::default()),
        }
    }

    async fn stream(&self, request: &InputRequest<'_>) -> Result<Option<LiveStream>, SourceError> {
        match (format(request.source.kind), &self.live) {
            (None, Some(live)) => live.stream(request).await,
            _ => Ok(None),
        }
    }

    async fn table(&self, request: &InputRequest<'_>) -> Result<Option<Arc<dyn TableProvider>>, SourceError> {
        match (format(request.source.kind), &self.live) {
            (None, Some(live)) => live.table(request).await,
            _ => Ok(None),
        }
    }
}

/// The format of files; none of a server.
fn format(kind: SourceKind) -> Option<Format> {
    Some(match kind {
        SourceKind::BsonDump => Format::BsonDump,
        SourceKind::JsonLines => Format::JsonLines,
        SourceKind::Csv => Format::Csv,
        SourceKind::Parquet => Format::Parquet,
        SourceKind::Postgres | SourceKind::Mongodb => return None,
    })
}

fn asked<'a>(
    request: &InputRequest<'a>,
    format: Format,
    location: &'a Location,
    files: Vec<String>,
) -> Request<'a> {
    Request { format, location, files: FileSelection::Exact(files), shape: request.shape, required: false }
}

impl Files {
    /// Folders of one source differ by their day only: all of them are read below their common root, so that documents
    /// of all days get one schema.
    fn files(
        &self,
        request: &InputRequest<'_>,
        format: Format,
    ) -> Result<(Location, Vec<String>), SourceError> {
        let (root, tails) = common_root(request.places.iter().map(|p| p.url.as_str()));
        let files = request.places.iter().zip(tails).map(|(place, tail)| {
            join(&tail, &self.file(format, request.source.database.as_deref(), &place.path))
        });
        Ok((open_location(&root, &self.root, &request.source.options)?, files.collect()))
    }

    /// The declared columns, without a row.
    async fn declared(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
        let location = open_location(".", &self.root, &Default::default())?;
        let nothing = Request {
            format: Format::JsonLines,
            location: &location,
            files: FileSelection::Exact(Vec::new()),
            shape: request.shape,
            required: false,
        };
        read(&nothing).await
    }

    /// `<database>/<collection>.bson`, as mongodump lays it out; a path of other formats stays.
    fn file(&self, format: Format, database: Option<&str>, place: &str) -> String {
        match (format, database) {
            (Format::BsonDump, Some(database)) => format!("{database}/{place}.bson"),
            (Format::BsonDump, None) => format!("{place}.bson"),
            _ => place.to_owned(),
        }
    }
}

fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

/// The longest folder that all URLs share, and what is left of each.
fn common_root<'a>(urls: impl Iterator<Item = &'a str>) -> (String, Vec<String>) {
    let parts: Vec<Vec<&str>> = urls.map(|url| url.trim_end_matches('/').split('/').collect()).collect();
    let Some(first) = parts.first() else { return (String::new(), Vec::new()) };
    let shared = (0..first.len()).take_while(|n| parts.iter().all(|p| p.get(*n) == first.get(*n))).count();
    let root = first[..shared].join("/");
    (root, parts.iter().map(|p| p[shared..].join("/")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_several_days_share_their_root() {
        let (root, tails) = common_root(["data/mongo/2025-03-01", "data/mongo/2025-03-02"].into_iter());
        assert_eq!((root.as_str(), tails), ("data/mongo", vec!["2025-03-01".into(), "2025-03-02".into()]));
        let (root, tails) = common_root(["s3://bucket/lake"].into_iter());
        assert_eq!((root.as_str(), tails), ("s3://bucket/lake", vec![String::new()]));
    }
}
