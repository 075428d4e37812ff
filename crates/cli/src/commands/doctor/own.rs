//! What dualrun writes to: state, evidence and spilled rows.

use std::path::{Path, PathBuf};

use dualrun_core::{
    ExitCode,
    doctor::{Check, Examined},
};
use dualrun_mapping::settings::Settings;
use dualrun_sources::{Location, SourceError, open_location};
use dualrun_state::SqliteStore;
use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path as Key};

use super::{clock, refused};

const MIB: u64 = 1 << 20;

/// With less room than this nothing can be written for long.
const LEAST: u64 = 256 * MIB;

/// The room that state and evidence should find.
pub(super) const ENOUGH: u64 = 1024 * MIB;

/// The state database.
pub(super) fn state(settings: &Settings, root: &Path) -> Examined {
    let file = root.join(settings.state.url.strip_prefix("sqlite:").unwrap_or_default());
    let folder = file.parent().unwrap_or(root);
    let mut checks = Vec::new();
    if file.is_file() {
        checks.push(match SqliteStore::open(&file) {
            Ok(_) => Check::ok("opens", "and has the form of this version"),
            Err(error) => Check::error("opens", dualrun_core::chain(&error), error.hint(), error.exit_code()),
        });
    } else {
        checks.push(Check::ok("opens", "not there yet: the first run makes it"));
    }
    checks.push(writable(folder));
    checks.push(room(folder, ENOUGH));
    Examined { name: "state".into(), kind: "SQLite".into(), place: file.display().to_string(), checks }
}

/// The object store of the evidence.
pub(super) async fn evidence(settings: &Settings, root: &Path) -> Examined {
    let store = &settings.store;
    let examined = |kind: &str, place: &str, checks| Examined {
        name: "evidence".into(),
        kind: kind.into(),
        place: place.into(),
        checks,
    };
    match open_location(&store.url, root, &store.options) {
        Err(error) => {
            let check = refused("settings", &error);
            examined("object store", "", vec![check])
        }
        Ok(location) if location.display.contains("://") => {
            examined("object store", &location.display.clone(), bucket(&location).await)
        }
        Ok(location) => {
            let folder = Path::new(&location.display);
            examined("folder", &location.display, vec![writable(folder), room(folder, ENOUGH)])
        }
    }
}

/// The folder for rows that exceed the memory.
pub(super) fn spill(settings: &Settings, root: &Path) -> Examined {
    let folder = root.join(&settings.limits.spill);
    // Sorts and joins of a few pipelines may write a multiple of what they may hold in memory.
    let wanted = settings.limits.memory_bytes().unwrap_or(ENOUGH).saturating_mul(4);
    let checks = vec![writable(&folder), room(&folder, wanted)];
    Examined { name: "spill".into(), kind: "folder".into(), place: folder.display().to_string(), checks }
}

/// Writes an object of its own, tries to write it again where that must be refused, and takes it away.
async fn bucket(location: &Location) -> Vec<Check> {
    let key = location.prefix.clone().join(format!(
        "doctor-{}-{}",
        std::process::id(),
        Timestamp::now().as_microsecond()
    ));
    let failed = |name: &str, error| {
        let error = SourceError::Access { path: location.display.clone(), source: Box::new(error) };
        Check::error(name, dualrun_core::chain(&error), error.hint(), ExitCode::Infrastructure)
    };
    if let Err(error) = location.store.list_with_delimiter(Some(&location.prefix)).await {
        return vec![failed("reachable", error)];
    }
    let mut checks = vec![Check::ok("reachable", "answers")];
    match create(location, &key).await {
        Ok(()) => checks.push(Check::ok("writable", "yes")),
        Err(error) => {
            checks.push(failed("writable", error));
            return checks;
        }
    }
    checks.push(match create(location, &key).await {
        Err(object_store::Error::AlreadyExists { .. }) => {
            Check::ok("conditional writes", "two jobs cannot overwrite each other")
        }
        Ok(()) => Check::warning(
            "conditional writes",
            "the store overwrites where it must refuse",
            "never let two jobs write to it at the same time",
        ),
        Err(_) => Check::unknown("conditional writes", "the store does not know them"),
    });
    checks.push(match location.store.head(&key).await {
        // Stores tell whole seconds.
        Ok(meta) => {
            clock(Some(ahead_of(meta.last_modified.timestamp_millis(), Timestamp::now().as_millisecond())))
        }
        Err(_) => clock(None),
    });
    if let Err(error) = location.store.delete(&key).await {
        let error = dualrun_core::chain(&error);
        let advice = format!("grant the right to delete, and delete {key}");
        checks.push(Check::warning(
            "deletes",
            format!("what was written for this check stays: {error}"),
            advice,
        ));
    }
    checks
}

async fn create(location: &Location, key: &Key) -> Result<(), object_store::Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    location.store.put_opts(key, PutPayload::from_static(b"doctor"), options).await.map(|_| ())
}

/// How far a time in whole seconds, told a moment ago, is ahead of now.
fn ahead_of(told: i64, now: i64) -> i64 {
    let behind = now - told;
    if (0..2000).contains(&behind) { 0 } else { -behind }
}

fn writable(folder: &Path) -> Check {
    let existing = existing(folder);
    match may_write(&existing) {
        Some(true) => Check::ok("writable", "yes"),
        Some(false) => {
            let advice = Some("give this process the right to write there".to_owned());
            Check::error(
                "writable",
                format!("{} is not", existing.display()),
                advice,
                ExitCode::Infrastructure,
            )
        }
        None => Check::unknown("writable", "this system does not tell"),
    }
}

/// The room that is left for a folder, which need not be there yet.
pub(super) fn room(folder: &Path, wanted: u64) -> Check {
    let Some(free) = free(&existing(folder)) else {
        return Check::unknown("free space", "this system does not tell");
    };
    let found = format!("{} free", size(free));
    if free < LEAST {
        let advice = Some("make room".to_owned());
        Check::error("free space", found, advice, ExitCode::Infrastructure)
    } else if free < wanted {
        Check::warning("free space", found, format!("make room: {} are wanted", size(wanted)))
    } else {
        Check::ok("free space", found)
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(unix)]
fn may_write(path: &Path) -> Option<bool> {
    Some(path.is_dir() && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok())
}

#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn may_write(_path: &Path) -> Option<bool> {
    None
}

#[cfg(not(unix))]
fn free(_path: &Path) -> Option<u64> {
    None
}

fn size(bytes: u64) -> String {
    match bytes / MIB {
        small if small < 10 * 1024 => format!("{small} MiB"),
        large => format!("{} GiB", large / 1024),
    }
}

#[cfg(test)]
mod tests {
    use dualrun_core::doctor::Health;

    use super::*;

    #[test]
    fn room_is_told_of_the_nearest_folder() {
        let there = room(Path::new("/no/such/folder"), LEAST);
        assert!(there.found.ends_with(" free"), "{}", there.found);
        assert_eq!(room(Path::new("/"), u64::MAX).health, Health::Warning);
        assert_eq!(size(512 * MIB), "512 MiB");
        assert_eq!(size(37 * 1024 * MIB), "37 GiB");
    }

    #[test]
    fn whole_seconds_are_no_skew() {
        assert_eq!(
            (ahead_of(9_000, 10_900), ahead_of(20_000, 10_000), ahead_of(0, 60_000)),
            (0, 10_000, -60_000)
        );
    }
}
