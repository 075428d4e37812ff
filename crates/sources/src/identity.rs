//! Whether the files of an input are the same as before, without reading them.

use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::{Request, SourceError, select};

/// Clocks of file systems and object stores tick as slowly as this: a file may be written twice within one tick, and
/// show the same time and size.
const TICK: Duration = Duration::from_secs(2);

/// SHA-256 (hex) over the listing of the files that [`read`](crate::read) would read: format, location, and of each
/// file its path, size, time of last modification and entity tag. Names without a file count as such.
///
/// `None` where a file was written within the last two seconds (or in the future, where clocks differ): it could change
/// once more and look the same.
///
/// # Errors
/// As [`read`](crate::read) says of files that cannot be listed.
pub async fn identity(request: &Request<'_>) -> Result<Option<String>, SourceError> {
    let listed_at = SystemTime::now();
    let selected = select::select(request.location, request.format, &request.files).await?;
    Ok(of_listing(
        &[request.format.as_str(), &request.location.display],
        &selected.files,
        &selected.missing,
        listed_at,
    ))
}

fn of_listing(
    place: &[&str],
    files: &[ObjectMeta],
    missing: &[String],
    listed_at: SystemTime,
) -> Option<String> {
    let mut hash = Sha256::new();
    // Each text is preceded by its length, so that nothing can move from one to the next unseen.
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    place.iter().for_each(|part| add(part));
    add(&files.len().to_string());
    for file in files {
        if SystemTime::from(file.last_modified) + TICK > listed_at {
            return None;
        }
        add(file.location.as_ref());
        add(&file.size.to_string());
        add(&file.last_modified.to_rfc3339());
        for tag in [&file.e_tag, &file.version] {
            add(if tag.is_some() { "tag" } else { "no tag" });
            add(tag.as_deref().unwrap_or_default());
        }
    }
    missing.iter().for_each(|name| add(name));
    Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs::File, path::Path};

    use dualrun_core::shape::Shape;

    use super::*;
    use crate::{FileSelection, Format, open_location};

    const NAMES: [&str; 2] = ["day=1/", "day=2/"];

    async fn of(folder: &Path, format: Format, names: &[&str]) -> Option<String> {
        let location = open_location(folder.to_str().unwrap(), Path::new("/"), &BTreeMap::new()).unwrap();
        let files = FileSelection::Exact(names.iter().map(|n| (*n).to_owned()).collect());
        let shape = Shape::default();
        let request = Request { format, location: &location, files, shape: &shape, required: false };
        identity(&request).await.unwrap()
    }

    /// Writes a file as if that had been so many seconds ago.
    fn put(folder: &Path, name: &str, content: &str, seconds: u64) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let at = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    #[tokio::test]
    async fn the_same_files_are_the_same_and_any_other_listing_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "day=1/a.csv", "v\n1\n", 100);
        put(root, "day=1/notes.txt", "no input", 100);
        let mut seen = vec![of(root, Format::Csv, &NAMES).await.unwrap()];
        assert_eq!(of(root, Format::Csv, &NAMES).await.as_ref(), seen.first());
        put(root, "day=1/notes.txt", "still no input", 50);
        assert_eq!(of(root, Format::Csv, &NAMES).await.as_ref(), seen.first());
        // A folder that is not there is not the same as one that nobody asks for.
        seen.push(of(root, Format::Csv, &NAMES[..1]).await.unwrap());
        seen.push(of(root, Format::Parquet, &NAMES).await.unwrap());
        put(root, "day=2/a.csv", "v\n2\n", 100);
        seen.push(of(root, Format::Csv, &NAMES).await.unwrap());
        put(root, "day=2/a.csv", "v\n2\n", 50);
        seen.push(of(root, Format::Csv, &NAMES).await.unwrap());
        put(root, "day=2/a.csv", "v\n2\n3\n", 50);
        seen.push(of(root, Format::Csv, &NAMES).await.unwrap());
        std::fs::rename(root.join("day=2/a.csv"), root.join("day=2/b.csv")).unwrap();
        seen.push(of(root, Format::Csv, &NAMES).await.unwrap());
        let number = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), number);
    }

    #[tokio::test]
    async fn a_file_written_just_now_or_in_the_future_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "day=1/a.csv", "v\n1\n", 100);
        put(root, "day=2/a.csv", "v\n1\n", 0);
        assert_eq!(of(root, Format::Csv, &NAMES).await, None);
        assert!(of(root, Format::Csv, &NAMES[..1]).await.is_some());
        let later = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(root.join("day=1/a.csv")).unwrap().set_modified(later).unwrap();
        assert_eq!(of(root, Format::Csv, &NAMES[..1]).await, None);
    }
}
