//! Rows whose time changed: they come in one partition, and their old version stands in another one.

use std::collections::{BTreeMap, HashMap, HashSet};

use dualrun_core::{Period, load::Layout};
use dualrun_sources::{Location, commits::Partition, one_schema};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{LakeError, Spool, file::FileReader, merge::CAME, rows::Hasher};

/// Files whose keys are read at the same time.
const AT_ONCE: usize = 8;

/// For each folder the hashes of the keys that come in another one. Only the key columns of the table are read. The files
/// of partitions that are `held` to the types of what comes are looked at for theirs.
///
/// # Errors
/// The store refuses or is away; a column that came with another type than such a file has.
pub async fn moved(
    table: &Location,
    there: &BTreeMap<String, Partition>,
    new: &Spool,
    key: &[String],
    layout: &Layout,
    held: impl Fn(Option<Period>) -> bool,
) -> Result<BTreeMap<String, HashSet<u128>>, LakeError> {
    let mut found: BTreeMap<String, HashSet<u128>> = BTreeMap::new();
    if layout.unit.is_none() {
        return Ok(found);
    }
    let coming = Coming::new(new, key, layout)?;
    if coming.keys.is_empty() || there.is_empty() {
        return Ok(found);
    }
    let files = there.iter().flat_map(|(folder, partition)| {
        let held = held(partition.period);
        partition.files.iter().map(move |file| (folder, file, held))
    });
    let read = stream::iter(files)
        .map(|(folder, file, held)| {
            let coming = &coming;
            async move {
                let reader = FileReader::open(table, file).await?;
                if held {
                    let both = [(reader.schema(), reader.name()), (new.schema(), CAME)];
                    one_schema(both).map_err(LakeError::of_types)?;
                }
                Ok::<_, LakeError>((folder, coming.elsewhere(&reader, folder, key).await?))
            }
        })
        .buffer_unordered(AT_ONCE);
    futures::pin_mut!(read);
    while let Some((folder, keys)) = read.try_next().await? {
        if !keys.is_empty() {
            found.entry(folder.clone()).or_default().extend(keys);
        }
    }
    Ok(found)
}

/// The folder of each key that comes: many keys, few folders.
struct Coming {
    folders: Vec<String>,
    keys: HashMap<u128, u32>,
}

impl Coming {
    fn new(new: &Spool, key: &[String], layout: &Layout) -> Result<Self, LakeError> {
        let hasher = Hasher::of_key(new.schema(), key)?;
        let (mut folders, mut keys) = (Vec::new(), HashMap::new());
        for ((period, rows), folder) in new.partitions().zip(0..) {
            folders.push(layout.folder(period));
            for batch in rows.batches() {
                for key in hasher.hash(&batch?)? {
                    if keys.insert(key, folder).is_some_and(|other| other != folder) {
                        return Err(LakeError::KeyTwice { rows: 1 });
                    }
                }
            }
        }
        Ok(Self { folders, keys })
    }

    /// The keys of a file that come in another folder.
    async fn elsewhere(
        &self,
        file: &FileReader,
        folder: &String,
        key: &[String],
    ) -> Result<Vec<u128>, LakeError> {
        let mut found = Vec::new();
        let own = self.folders.iter().zip(0_u32..).find(|(known, _)| *known == folder).map(|(_, n)| n);
        let mut rows = file.rows(Some(key))?;
        while let Some(batch) = rows.try_next().await? {
            let hasher = match Hasher::of_key(&batch.schema(), key) {
                Ok(hasher) => hasher,
                // An old file may lack a column that the key has now: none of its rows is meant.
                Err(LakeError::NoColumn { .. }) => return Ok(found),
                Err(error) => return Err(error),
            };
            let is_moved = |key: &u128| self.keys.get(key).is_some_and(|other| Some(*other) != own);
            found.extend(hasher.hash(&batch)?.into_iter().filter(is_moved));
        }
        Ok(found)
    }
}
