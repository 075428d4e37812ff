//! Tables that dualrun writes: folders of Parquet files with a log of commits beside them, each of which names all
//! files of the table. What the newest commit does not name, is not there: a load that is under way or has died.
//!
//! Commits are numbered objects that are only ever created, `_dualrun/commits/00000001.json`. Of two writers one
//! creates the next number; that works on every store, also on a file system, which cannot compare and swap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dualrun_core::{
    Period,
    load::{LoadMode, LoadedRows, Watermark},
};
use jiff::Timestamp;
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

use crate::{Location, SourceError, error::is_no_folder, select::is_aside};

/// The folder of the commits below a table.
pub const COMMITS: &str = "_dualrun/commits";

/// The name and version of the schema of commits.
pub const COMMIT_SCHEMA: &str = "dualrun.table/1";

/// One state of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Always [`COMMIT_SCHEMA`].
    pub schema: String,
    /// Its number, from 1.
    pub number: u64,
    /// The load that made it, a UUID; rows hold it as `dualrun_batch`.
    pub batch: String,
    /// When it was made.
    pub at: Timestamp,
    /// Partitions by their folder below the table; the one of a table without partitions has no name.
    pub partitions: BTreeMap<String, Partition>,
    /// How far the copy of an input goes; none in a table of results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadState>,
}

/// The rows of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Partition {
    /// The day or month; none of rows without a time, and where there are no partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// Its files.
    pub files: Vec<DataFile>,
    /// What its rows were calculated from, as a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<String>,
}

impl Partition {
    /// Rows of all its files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// One Parquet file. Its name is never used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path below the table.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// How far the copy of an input goes, and how it came there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadState {
    /// The place that is copied: its source and the collection, table or path there.
    pub from: String,
    /// What the last load read.
    pub mode: LoadMode,
    /// The watermark up to which all is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    /// When the reading of the last load began.
    pub cut_off: Timestamp,
    /// Which state of the source it read, and how sure that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    /// What came of the rows.
    pub rows: LoadedRows,
}

impl Commit {
    /// The paths of all files below the table.
    pub fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.partitions.values().flat_map(|partition| &partition.files)
    }

    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files().map(|file| file.rows).sum()
    }
}

/// The name of a commit below its table.
pub fn commit_name(number: u64) -> String {
    format!("{COMMITS}/{number:08}.json")
}

/// The newest commit of a table; none where it has none.
///
/// # Errors
/// The store does not answer as it should, or the commit is none.
pub async fn newest_commit(table: &Location) -> Result<Option<Commit>, SourceError> {
    let listed = table.list(&table.object(COMMITS)).await?;
    let newest =
        listed.iter().filter_map(|object| Some((number(&object.location)?, object))).max_by_key(|(n, _)| *n);
    match newest {
        None => Ok(None),
        Some((_, object)) => read_commit(table, &object.location).await.map(Some),
    }
}

/// The commit of a number; none where there is none.
///
/// # Errors
/// As [`newest_commit`].
pub async fn commit(table: &Location, number: u64) -> Result<Option<Commit>, SourceError> {
    match read_commit(table, &table.object(&commit_name(number))).await {
        Err(SourceError::NotFound { .. }) => Ok(None),
        read => read.map(Some),
    }
}

async fn read_commit(table: &Location, path: &Path) -> Result<Commit, SourceError> {
    let bytes = table.fetch(path).await?;
    let damaged = |what: String, known: bool| SourceError::BadCommit { file: table.name(path), what, known };
    let commit: Commit =
        serde_json::from_slice(&bytes).map_err(|e| damaged(format!("is no commit: {e}"), true))?;
    if commit.schema != COMMIT_SCHEMA {
        let what = format!("is a commit of {:?}, which this dualrun does not know", commit.schema);
        return Err(damaged(what, false));
    }
    Ok(commit)
}

fn number(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".json")?.parse().ok()
}

/// Leaves out the files of dualrun's own tables that their newest commit does not name, and says whether there are such
/// tables. `listed` are the folders whose files these are.
///
/// # Errors
/// As [`newest_commit`]; a file in one of these folders that a commit names and that is gone.
pub(crate) async fn only_committed(
    location: &Location,
    listed: &[Path],
    files: &mut Vec<ObjectMeta>,
) -> Result<bool, SourceError> {
    let mut looked_at: BTreeSet<String> = BTreeSet::new();
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut named: Vec<(Location, Commit)> = Vec::new();
    // Of a folder without a file, a commit may tell that there was one.
    let within =
        listed.iter().filter(|folder| !folder.as_ref().is_empty()).map(|folder| format!("{folder}/"));
    let paths: Vec<String> = files.iter().map(|file| file.location.to_string()).chain(within).collect();
    for path in &paths {
        for folder in folders(path) {
            if !looked_at.insert(folder.to_owned()) {
                // And all above it.
                break;
            }
            let table = at(location, folder);
            let above = !folder.starts_with(location.prefix.as_ref());
            let newest = match newest_commit(&table).await {
                // Who may read one folder only need not be allowed to look above it.
                Err(SourceError::Access { source, .. })
                    if above && matches!(*source, object_store::Error::PermissionDenied { .. }) =>
                {
                    None
                }
                // A name that was asked for may be that of a file.
                Err(SourceError::Access { source, .. }) if is_no_folder(&source) => None,
                newest => newest?,
            };
            if let Some(commit) = newest {
                let paths = commit.files().map(|file| table.object(&file.path).to_string());
                tables.insert(folder.to_owned(), paths.collect());
                named.push((table, commit));
            }
        }
    }
    if !tables.is_empty() {
        files.retain(|file| {
            let path = file.location.as_ref();
            folders(path).all(|folder| tables.get(folder).is_none_or(|paths| paths.contains(path)))
        });
    }
    for (table, commit) in &named {
        all_there(table, commit, listed, files).await?;
    }
    Ok(!named.is_empty())
}

/// Looks for the files that a commit names in these folders and that were not listed there.
async fn all_there(
    table: &Location,
    commit: &Commit,
    listed: &[Path],
    files: &[ObjectMeta],
) -> Result<(), SourceError> {
    let found: BTreeSet<String> = files.iter().map(|file| file.location.to_string()).collect();
    for file in commit.files() {
        let path = table.object(&file.path);
        let is_wanted = |folder: &Path| {
            path.prefix_match(folder).is_some_and(|parts| {
                let relative: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
                !is_aside(&relative.join("/"))
            })
        };
        if found.contains(path.as_ref()) || !listed.iter().any(is_wanted) {
            continue;
        }
        // The commit may have been made after the listing, and another one may have come since.
        let there = table.head(&path).await?.is_some();
        let newest = newest_commit(table).await?.map(|newest| newest.number);
        let file = table.name(&path);
        return Err(match !there && newest == Some(commit.number) {
            true => SourceError::gone(table, commit, file),
            false => SourceError::Changed { file },
        });
    }
    Ok(())
}

/// The location of a folder of the same store, below this one or above it.
fn at(location: &Location, folder: &str) -> Location {
    let prefix = Path::from(folder);
    let display = location.display.trim_end_matches('/');
    let display = match prefix.prefix_match(&location.prefix) {
        Some(_) => location.name(&prefix),
        None => {
            let above = location.prefix.parts_count().saturating_sub(prefix.parts_count());
            let shorter = std::iter::successors(Some(display), |text| text.rsplit_once('/').map(|(a, _)| a));
            shorter.take(above + 1).last().unwrap_or(display).to_owned()
        }
    };
    Location { store: Arc::clone(&location.store), prefix, display }
}

/// The folders that may be the table of a file, from its own on up; those that are partitions by their names are not.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    fn above(path: &str) -> Option<&str> {
        path.rsplit_once('/').map(|(folder, _)| folder)
    }
    let is_partition = |folder: &&str| folder.rsplit('/').next().is_some_and(|name| name.contains('='));
    std::iter::successors(above(path), |folder| above(folder)).skip_while(is_partition)
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, PutPayload, memory::InMemory};

    use super::*;

    fn table() -> Location {
        Location {
            store: Arc::new(InMemory::new()),
            prefix: Path::from("lake/bronze/usage"),
            display: "s3://lake/bronze/usage".to_owned(),
        }
    }

    async fn put(table: &Location, name: &str, content: Vec<u8>) {
        table.store.put(&table.object(name), PutPayload::from(content)).await.unwrap();
    }

    async fn commit_of(table: &Location, number: u64, files: &[&str]) {
        let file = |path: &&str| DataFile { path: (*path).to_owned(), rows: 2, bytes: 0 };
        let partition = Partition { files: files.iter().map(file).collect(), ..Partition::default() };
        let commit = Commit {
            schema: COMMIT_SCHEMA.to_owned(),
            number,
            batch: "b".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            partitions: [("day=1".to_owned(), partition)].into(),
            load: None,
        };
        put(table, &commit_name(number), serde_json::to_vec(&commit).unwrap()).await;
    }

    async fn visible(table: &Location, below: &str) -> Vec<String> {
        let mut files = table.list(&table.object(below)).await.unwrap();
        files.retain(|file| file.location.as_ref().ends_with(".parquet"));
        only_committed(table, &[table.object(below)], &mut files).await.unwrap();
        files.iter().map(|file| table.relative(&file.location)).collect()
    }

    #[tokio::test]
    async fn only_what_the_newest_commit_names_is_there() {
        let table = table();
        for name in ["day=1/a.parquet", "day=1/b.parquet", "day=2/c.parquet"] {
            put(&table, name, vec![0]).await;
        }
        assert_eq!(visible(&table, "").await.len(), 3, "without a commit it is a folder like any other");
        commit_of(&table, 9, &["day=1/b.parquet", "day=2/c.parquet"]).await;
        commit_of(&table, 10, &["day=1/a.parquet"]).await;
        assert_eq!(visible(&table, "").await, ["day=1/a.parquet"]);
        assert_eq!(visible(&table, "day=1").await, ["day=1/a.parquet"]);
        assert!(visible(&table, "day=2").await.is_empty());
        let newest = newest_commit(&table).await.unwrap().unwrap();
        assert_eq!((newest.number, newest.rows()), (10, 2));
        assert_eq!(commit(&table, 8).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_file_that_a_commit_names_and_that_is_gone_is_told() {
        let table = table();
        put(&table, "day=1/a.parquet", vec![0]).await;
        commit_of(&table, 1, &["day=1/a.parquet", "day=2/b.parquet"]).await;
        for below in ["", "day=2"] {
            let mut files = table.list(&table.object(below)).await.unwrap();
            let error = only_committed(&table, &[table.object(below)], &mut files).await.unwrap_err();
            assert!(matches!(error, SourceError::FileGone { .. }), "{error}");
        }
        // A listing that is older than the commit does not show it yet.
        let error = only_committed(&table, &[table.object("day=1")], &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, SourceError::Changed { .. }), "{error}");
        only_committed(&table, &[table.object("day=3")], &mut Vec::new()).await.unwrap();
    }

    #[tokio::test]
    async fn a_commit_of_another_version_is_refused_by_name() {
        let table = table();
        put(&table, &commit_name(1), b"{}".to_vec()).await;
        let error = newest_commit(&table).await.unwrap_err().to_string();
        assert!(
            error.starts_with("s3://lake/bronze/usage/_dualrun/commits/00000001.json: is no commit"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_name_that_is_of_a_file_is_no_table() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("grid.csv"), "a").unwrap();
        let place = crate::open_location(".", folder.path(), &BTreeMap::new()).unwrap();
        only_committed(&place, &[place.object("grid.csv")], &mut Vec::new()).await.unwrap();
    }

    #[test]
    fn a_folder_has_its_own_name_for_people() {
        let table = table();
        let names = ["lake/bronze/usage/x", "lake/bronze/usage", "lake/bronze", "lake"];
        assert_eq!(
            names.map(|folder| at(&table, folder).display),
            ["s3://lake/bronze/usage/x", "s3://lake/bronze/usage", "s3://lake/bronze", "s3://lake"]
        );
    }

    #[test]
    fn a_partition_is_not_taken_for_a_table() {
        let found: Vec<&str> = folders("lake/bronze/month=2025-03/day=2025-03-01/a.parquet").collect();
        assert_eq!(found, ["lake/bronze", "lake"]);
        assert_eq!(folders("a.parquet").count(), 0);
    }
}
