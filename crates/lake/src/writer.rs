//! A table that is being changed: files under new names, then one commit, then the old files go.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_sources::{
    Location,
    commits::{
        COMMIT_SCHEMA, COMMITS, Commit, DataFile, LoadState, Partition, commit, commit_name, newest_commit,
    },
};
use futures::{StreamExt, stream};
use object_store::{PutMode, PutOptions, PutPayload, path::Path};
use uuid::Uuid;

use crate::{LakeError, Stamp};

/// Commits that are kept. Older ones serve nobody: each names all files of the table.
const KEPT: u64 = 100;

/// How often a number is asked for that the store neither gave nor refused.
const ATTEMPTS: u32 = 3;

/// A table that is being changed.
#[derive(Debug)]
pub struct Writer {
    table: Location,
    base: Option<Commit>,
    stamp: Stamp,
    partitions: BTreeMap<String, Partition>,
    written: Vec<String>,
}

impl Writer {
    /// Begins with what the newest commit says.
    ///
    /// # Errors
    /// The store refuses or is away.
    pub async fn open(table: Location, stamp: Stamp) -> Result<Self, LakeError> {
        let base = newest_commit(&table).await?;
        let partitions = base.as_ref().map(|base| base.partitions.clone()).unwrap_or_default();
        Ok(Self { table, base, stamp, partitions, written: Vec::new() })
    }

    /// Where the table stands.
    pub fn table(&self) -> &Location {
        &self.table
    }

    /// What it stands on; none where the table has no commit yet.
    pub fn base(&self) -> Option<&Commit> {
        self.base.as_ref()
    }

    /// What is written beside each new row.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The partitions as they are going to be.
    pub fn partitions(&self) -> &BTreeMap<String, Partition> {
        &self.partitions
    }

    /// The path of a new file in a folder. No other writer, and no other load, uses it.
    pub fn new_file(&mut self, folder: &str) -> String {
        let name = format!("{}-{}.parquet", self.stamp.batch, self.written.len());
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        self.written.push(path.clone());
        path
    }

    /// Puts a partition in the place of the one that is there; `None` takes it away.
    pub fn replace(&mut self, folder: String, partition: Option<Partition>) {
        match partition {
            Some(partition) => self.partitions.insert(folder, partition),
            None => self.partitions.remove(&folder),
        };
    }

    /// The files that the store has no more, or not as long as they were written, of the partitions that are `wanted`.
    ///
    /// # Errors
    /// The store refuses or is away.
    pub async fn lost(&self, wanted: impl Fn(&Partition) -> bool) -> Result<BTreeSet<String>, LakeError> {
        let mut files = self.partitions.values().filter(|p| wanted(p)).flat_map(|p| &p.files).peekable();
        if files.peek().is_none() {
            return Ok(BTreeSet::new());
        }
        let objects = self.table.list(&self.table.prefix).await?;
        let there: BTreeMap<&str, u64> =
            objects.iter().map(|object| (object.location.as_ref(), object.size)).collect();
        let is_lost =
            |file: &&DataFile| there.get(self.table.object(&file.path).as_ref()) != Some(&file.bytes);
        Ok(files.filter(is_lost).map(|file| file.path.clone()).collect())
    }

    /// The Parquet files of the table that others put there. What any writer of dualrun wrote is not among them.
    ///
    /// # Errors
    /// The store refuses or is away.
    pub async fn of_others(&self) -> Result<Vec<String>, LakeError> {
        let objects = self.table.list(&self.table.prefix).await?;
        let names = objects.iter().map(|object| self.table.relative(&object.location));
        let of_others =
            |name: &str| name.ends_with(".parquet") && !name.rsplit('/').next().is_some_and(is_own);
        Ok(names.filter(|name| of_others(name)).collect())
    }

    /// Makes all changes visible at once. Says besides how many files that are no longer part of the table could not be
    /// deleted.
    ///
    /// # Errors
    /// [`LakeError::Lost`] where another writer came first; the store refuses or is away. Nothing is visible then.
    pub async fn commit(self, load: Option<LoadState>) -> Result<(Commit, u64), LakeError> {
        let number = self.base.as_ref().map_or(1, |base| base.number + 1);
        let commit = Commit {
            schema: COMMIT_SCHEMA.to_owned(),
            number,
            batch: self.stamp.batch.clone(),
            at: self.stamp.loaded_at,
            partitions: self.partitions.clone(),
            load,
        };
        match self.create(&commit).await {
            Ok(true) => {
                let left = self.sweep(&commit).await;
                Ok((commit, left))
            }
            Ok(false) => {
                let table = self.table.display.clone();
                self.abandon().await;
                Err(LakeError::Lost { table, number })
            }
            Err(error) => {
                // Where nobody knows whether the commit arrived, its files must stay: the next load sweeps them.
                if !error.retryable() {
                    self.abandon().await;
                }
                Err(error)
            }
        }
    }

    /// Deletes what was written; the table is as it was.
    pub async fn abandon(self) {
        let paths = self.written.iter().map(|path| self.table.object(path)).collect();
        self.delete(paths).await;
    }

    /// Creates the object of a commit; false where another writer's stands there.
    async fn create(&self, new: &Commit) -> Result<bool, LakeError> {
        let path = self.table.object(&commit_name(new.number));
        let name = self.table.name(&path);
        let bytes = serde_json::to_vec_pretty(new).map_err(|e| LakeError::Encode(e.to_string()))?;
        let mut attempt = 1;
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = self.table.store.put_opts(&path, PutPayload::from(bytes.clone()), options).await;
            let source = match put {
                Ok(_) => return Ok(true),
                Err(refused @ object_store::Error::PermissionDenied { .. }) => {
                    return Err(LakeError::Write { path: name, source: refused });
                }
                Err(error) => error,
            };
            // An answer that was lost on the way looks like a refusal when the request is repeated.
            match commit(&self.table, new.number).await {
                Ok(Some(there)) => return Ok(there.batch == new.batch),
                Ok(None) if attempt < ATTEMPTS => attempt += 1,
                Ok(None) | Err(_) => return Err(LakeError::Write { path: name, source }),
            }
        }
    }

    /// Deletes files that the commit does not name: those that it replaced, and what died before it was committed. What
    /// came after it may be of a load that began since. The times are those of one listing, on the clock of the store.
    async fn sweep(&self, commit: &Commit) -> u64 {
        let Ok(objects) = self.table.list(&self.table.prefix).await else { return 0 };
        let made = self.table.object(&commit_name(commit.number));
        let made = objects.iter().find(|object| object.location == made).map(|object| object.last_modified);
        let named: BTreeSet<&str> = commit.files().map(|file| file.path.as_str()).collect();
        let replaced: BTreeSet<&str> =
            self.base.iter().flat_map(Commit::files).map(|file| file.path.as_str()).collect();
        let oldest = commit.number.saturating_sub(KEPT);
        let gone = objects.iter().filter(|object| {
            let relative = self.table.relative(&object.location);
            match relative.strip_prefix(COMMITS) {
                Some(name) => number(name).is_some_and(|number| number < oldest),
                None if named.contains(relative.as_str()) => false,
                None if replaced.contains(relative.as_str()) => true,
                None => {
                    let own = relative.rsplit('/').next().is_some_and(is_own);
                    own && made.is_some_and(|made| object.last_modified <= made)
                }
            }
        });
        self.delete(gone.map(|object| object.location.clone()).collect()).await
    }

    /// Deletes objects, and says how many are still there.
    async fn delete(&self, paths: Vec<Path>) -> u64 {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        let deleted = self.table.store.delete_stream(paths);
        let failed = |result: object_store::Result<Path>| async move {
            matches!(result, Err(error) if !matches!(error, object_store::Error::NotFound { .. }))
        };
        deleted.filter_map(|result| async move { failed(result).await.then_some(()) }).count().await as u64
    }
}

/// The number of a commit by its name.
fn number(name: &str) -> Option<u64> {
    name.trim_start_matches('/').strip_suffix(".json")?.parse().ok()
}

/// Whether a file is one that a writer names so, and not one that somebody put there.
fn is_own(name: &str) -> bool {
    let Some((batch, number)) = name.strip_suffix(".parquet").and_then(|stem| stem.rsplit_once('-')) else {
        return false;
    };
    number.parse::<u64>().is_ok() && Uuid::try_parse(batch).is_ok()
}

#[cfg(test)]
mod tests;
