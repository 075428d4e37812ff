//! A look into the state database and the evidence of a project, as another program would take it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// A recorded run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its UUID.
    pub id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// Its day or month.
    pub period: String,
    /// Its outcome.
    pub outcome: String,
    /// Its folder in the evidence.
    pub evidence: String,
    /// Its report.
    pub report: Value,
}

/// All recorded runs by pipeline, period and time.
///
/// # Panics
/// There is no state database.
pub fn runs(project: &Path) -> Vec<Run> {
    let rows = query(
        project,
        "select id, pipeline, period, outcome, evidence, report from run order by pipeline, period, id",
    );
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("a report: {error}"));
    rows.into_iter()
        .map(|row| {
            let [id, pipeline, period, outcome, evidence, report] = &row[..] else {
                panic!("{} columns", row.len())
            };
            Run {
                id: id.clone(),
                pipeline: pipeline.clone(),
                period: period.clone(),
                outcome: outcome.clone(),
                evidence: evidence.clone(),
                report: json(report),
            }
        })
        .collect()
}

/// Paths of results that later runs may take instead of calculating.
///
/// # Panics
/// There is no state database.
pub fn reusable(project: &Path) -> Vec<String> {
    query(project, "select path from calculation order by path").into_iter().flatten().collect()
}

fn query(project: &Path, sql: &str) -> Vec<Vec<String>> {
    let path = project.join(".dualrun/state.db");
    let failed = |error: rusqlite::Error| -> ! { panic!("{}: {error}", path.display()) };
    let connection = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .unwrap_or_else(|error| failed(error));
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| failed(error));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|i| row.get::<_, String>(i)).collect());
    rows.and_then(Iterator::collect).unwrap_or_else(|error| failed(error))
}

/// The folder of a project's evidence.
pub fn evidence(project: &Path) -> PathBuf {
    project.join(".dualrun/evidence")
}

/// What the evidence says of a run, figures and all, without what differs between two nights that are the same:
/// ids, paths, and where a result was taken from.
pub fn verdicts(run: &Run) -> Value {
    let text = run.report.to_string().replace(&run.id, "RUN");
    let mut report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("a report: {error}"));
    if let Some(notes) = report["notes"].as_array_mut() {
        notes.retain(|note| !note.as_str().is_some_and(|n| n.contains("taken from earlier evidence")));
    }
    report
}

/// Asserts what must hold of the evidence after any night: every recorded run and every reusable result stands in a
/// folder with a manifest, and every manifest's files are there in full. Gives the folders without a manifest.
///
/// # Panics
/// It does not hold.
pub fn check_evidence(project: &Path) -> BTreeSet<PathBuf> {
    let root = evidence(project);
    let mut bare = BTreeSet::new();
    for folder in run_folders(&root.join("runs"), 4) {
        let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.json")) else {
            bare.insert(folder);
            continue;
        };
        let manifest: Value =
            serde_json::from_str(&manifest).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for file in manifest["files"].as_array().into_iter().flatten() {
            let path = folder.join(file["name"].as_str().unwrap_or_default());
            let bytes = std::fs::metadata(&path).map(|meta| meta.len()).ok();
            assert_eq!(bytes, file["bytes"].as_u64(), "{}", path.display());
        }
        for result in manifest["results"].as_array().into_iter().flatten() {
            let path = root.join(result["path"].as_str().unwrap_or_default());
            assert!(path.is_file(), "{} of a manifest is not there", path.display());
        }
    }
    for run in runs(project) {
        let folder = root.join(&run.evidence);
        assert!(folder.join("manifest.json").is_file(), "{} has no manifest", folder.display());
    }
    for path in reusable(project) {
        let full = root.join(&path);
        assert!(full.is_file(), "{path} is said to be reusable and is not there");
    }
    bare
}

fn run_folders(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let children = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = children.filter(|path| path.is_dir());
    if depth == 1 {
        folders.collect()
    } else {
        folders.flat_map(|child| run_folders(&child, depth - 1)).collect()
    }
}

/// How many files stand below a folder, with their modification times and sizes.
///
/// # Panics
/// The folder cannot be read.
pub fn stamps(folder: &Path) -> BTreeMap<PathBuf, (std::time::SystemTime, u64)> {
    let mut stamps = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let meta = entry.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if meta.is_dir() {
                open.push(path);
            } else {
                let modified = meta.modified().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                stamps.insert(path, (modified, meta.len()));
            }
        }
    }
    stamps
}
