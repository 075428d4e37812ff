//! Which files of a location belong to an input.

use object_store::{ObjectMeta, path::Path};

use crate::{Format, Location, SourceError, TableKind, commits::only_committed, format::is_beside};

/// Which files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSelection {
    /// Files and folders relative to the location. A name that ends with `/` is a folder, read with everything below
    /// it. A name without an ending of the format is a file with one of them, or a folder; for a BSON dump also a
    /// collection of any database of the dump, or `database.collection`.
    Exact(Vec<String>),
    /// Every file of the format below the location.
    All,
}

/// The files that were found, and the names for which there is none.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) files: Vec<ObjectMeta>,
    pub(crate) missing: Vec<String>,
}

pub(crate) async fn select(
    location: &Location,
    format: Format,
    selection: &FileSelection,
) -> Result<Selected, SourceError> {
    let mut selected = Selected::default();
    match selection {
        FileSelection::All => {
            selected.files = folder(location, format, "").await?;
            if selected.files.is_empty() {
                selected.missing.push("./".to_owned());
            }
        }
        FileSelection::Exact(names) => {
            for name in names {
                let found = resolve(location, format, name).await?;
                if found.is_empty() {
                    selected.missing.push(name.clone());
                }
                for file in found {
                    // Two names may stand for one file, which counts once.
                    if !selected.files.iter().any(|f| f.location == file.location) {
                        selected.files.push(file);
                    }
                }
            }
        }
    }
    if format == Format::Parquet {
        let listed = listed(location, format, selection);
        only_committed(location, &listed, &mut selected.files).await?;
    }
    Ok(selected)
}

/// The folders that are read with everything below them.
fn listed(location: &Location, format: Format, selection: &FileSelection) -> Vec<Path> {
    match selection {
        FileSelection::All => vec![location.prefix.clone()],
        FileSelection::Exact(names) => {
            let folders = names.iter().filter(|name| name.ends_with('/') || !format.matches(name));
            folders.map(|name| location.below(name).prefix).collect()
        }
    }
}

/// Refuses the folder of a Delta or Iceberg table.
pub(crate) fn refuse_tables(location: &Location, objects: &[ObjectMeta]) -> Result<(), SourceError> {
    for object in objects {
        let path = location.relative(&object.location);
        let parts: Vec<&str> = path.split('/').collect();
        let folder = parts.len().checked_sub(2).map(|i| parts[i]);
        let kind = if parts.contains(&"_delta_log") {
            TableKind::Delta
        } else if folder == Some("metadata")
            && path.ends_with(".metadata.json")
            && !is_dump(location, objects, &path)
        {
            TableKind::Iceberg
        } else {
            continue;
        };
        return Err(SourceError::TableFormat { kind, path: location.display.clone() });
    }
    Ok(())
}

/// Whether the file of a `.metadata.json` is there too: then a database is called "metadata".
fn is_dump(location: &Location, objects: &[ObjectMeta], metadata: &str) -> bool {
    let stem = metadata.trim_end_matches(".metadata.json");
    objects
        .iter()
        .any(|o| location.relative(&o.location).strip_prefix(stem).is_some_and(|e| e.starts_with(".bson")))
}

/// Whether a path, relative to its folder, is hidden or a marker at any level.
pub(crate) fn is_aside(relative: &str) -> bool {
    is_beside(relative.rsplit('/').next().unwrap_or(relative))
        || relative.split('/').any(|part| part.starts_with(['.', '_']))
}

async fn resolve(location: &Location, format: Format, name: &str) -> Result<Vec<ObjectMeta>, SourceError> {
    if name.is_empty() || name.ends_with('/') {
        return folder(location, format, name).await;
    }
    if format.matches(name) {
        let mut names = vec![name.to_owned()];
        let zipped = format!("{name}.gz");
        if format.matches(&zipped) {
            names.push(zipped);
        }
        return Ok(first(location, &names).await?.into_iter().collect());
    }
    let mut names: Vec<String> = format.extensions().iter().map(|e| format!("{name}.{e}")).collect();
    if format == Format::BsonDump
        && let Some((database, collection)) = name.split_once('.')
    {
        names.extend(format.extensions().iter().map(|e| format!("{database}/{collection}.{e}")));
    }
    if let Some(file) = only(location, name, &names).await? {
        return Ok(vec![file]);
    }
    let below = folder(location, format, name).await?;
    if !below.is_empty() || format != Format::BsonDump || name.contains('/') {
        return Ok(below);
    }
    collection(location, name).await
}

/// The files of a format below a folder.
async fn folder(location: &Location, format: Format, name: &str) -> Result<Vec<ObjectMeta>, SourceError> {
    let place = location.below(name);
    let mut objects = location.list(&place.prefix).await?;
    refuse_tables(&place, &objects)?;
    objects.retain(|object| {
        let relative = place.relative(&object.location);
        !is_aside(&relative) && format.matches(&relative)
    });
    Ok(objects)
}

/// A collection of any database of a dump: `<database>/<name>.bson`.
async fn collection(location: &Location, name: &str) -> Result<Vec<ObjectMeta>, SourceError> {
    let mut objects = location.list(&location.prefix).await?;
    objects.retain(|object| {
        let relative = location.relative(&object.location);
        relative.split_once('/').is_some_and(|(_, file)| {
            file.strip_prefix(name).is_some_and(|ending| matches!(ending, ".bson" | ".bson.gz"))
        })
    });
    if objects.len() > 1 {
        let found = objects.iter().map(|o| location.relative(&o.location));
        return Err(ambiguous(name, found));
    }
    Ok(objects)
}

async fn first(location: &Location, names: &[String]) -> Result<Option<ObjectMeta>, SourceError> {
    for name in names {
        if let Some(meta) = location.head(&location.object(name)).await? {
            return Ok(Some(meta));
        }
    }
    Ok(None)
}

async fn only(location: &Location, name: &str, names: &[String]) -> Result<Option<ObjectMeta>, SourceError> {
    let mut found = Vec::new();
    for name in names {
        found.extend(location.head(&location.object(name)).await?);
    }
    if found.len() > 1 {
        return Err(ambiguous(name, found.iter().map(|o| location.relative(&o.location))));
    }
    Ok(found.pop())
}

fn ambiguous(name: &str, found: impl Iterator<Item = String>) -> SourceError {
    let found: Vec<_> = found.collect();
    SourceError::Config(format!("{name:?} may be {}; name one of them", found.join(" or ")))
}
