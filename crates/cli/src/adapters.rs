//! The only place that names concrete adapters: SQLite, the object store, the file formats, external jobs,
//! servers.

mod outside;
mod servers;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use dualrun_engine::{Clock, Context, EngineError, InputReader, InputRequest, SystemClock};
use dualrun_mapping::{plan::Project, settings::SourceKind};
use dualrun_sources::{
    FileSelection, Format, InputTable, Location, Request, SourceError, open_location, read,
};
use dualrun_state::SqliteStore;

use self::outside::ProgramsAndServers;
use crate::secrets;

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
    let mut project = project;
    outside::choose_forms(&mut project, root);
    let inputs = Files { root: root.to_owned() };
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
        Arc::new(Files { root: root.to_owned() }),
        Arc::new(SystemClock),
    )?;
    Ok(Arc::new(context))
}

/// Whether the project has a state database already.
pub(crate) fn has_state(project: &Project, root: &Path) -> bool {
    project.settings.state.url.strip_prefix("sqlite:").is_some_and(|file| root.join(file).is_file())
}

/// Reads the files of a project's sources.
struct Files {
    root: PathBuf,
}

#[async_trait]
impl InputReader for Files {
    async fn read(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
        let format = match request.source.kind {
            SourceKind::BsonDump => Format::BsonDump,
            SourceKind::JsonLines => Format::JsonLines,
            SourceKind::Csv => Format::Csv,
            SourceKind::Parquet => Format::Parquet,
            SourceKind::Postgres | SourceKind::Mongodb => return servers::read(request).await,
        };
        // Folders of one source differ by their day only: all of them are read below their common root, so
        // that documents of all days get one schema.
        let mut files = Vec::new();
        let (root, tails) = common_root(request.places.iter().map(|p| p.url.as_str()));
        for (place, tail) in request.places.iter().zip(tails) {
            files.push(join(&tail, &self.file(format, request.source.database.as_deref(), &place.path)));
        }
        let location: Location = open_location(&root, &self.root, &request.source.options)?;
        let request = Request {
            format,
            location: &location,
            files: FileSelection::Exact(files),
            shape: request.shape,
            required: false,
        };
        read(&request).await
    }
}

impl Files {
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
