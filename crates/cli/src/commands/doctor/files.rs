//! Folders and buckets among the sources.

use std::path::Path;

use dualrun_core::{ExitCode, doctor::Check};
use dualrun_mapping::settings::SourceSettings;
use dualrun_sources::{SourceError, open_location};

use super::Read;

/// What is said where loads are going to write all that is read.
const FIRST_LOAD: &str = "the first `dualrun load` writes it";

/// The place of a source of files, and its checks. `filled` says that loads write all that is read there.
pub(super) async fn source(
    source: &SourceSettings,
    reads: &[Read],
    filled: bool,
    root: &Path,
) -> (String, Vec<Check>) {
    let url = before_placeholder(&source.url);
    let location = match open_location(url, root, &source.options) {
        Ok(location) => location,
        Err(error) => return (url.to_owned(), vec![failed(&error)]),
    };
    let place = location.display.clone();
    if !place.contains("://") {
        return (place.clone(), folder(Path::new(&place), url.len() < source.url.len(), filled, reads));
    }
    let listed = location.store.list_with_delimiter(Some(&location.prefix)).await;
    let check = match listed {
        Ok(found) if found.objects.is_empty() && found.common_prefixes.is_empty() => Check::warning(
            "reachable",
            "answers, and there is nothing",
            if filled { FIRST_LOAD } else { "was the export written? check the prefix" },
        ),
        Ok(found) => {
            let (files, folders) = (found.objects.len(), found.common_prefixes.len());
            Check::ok("reachable", format!("answers: {files} files and {folders} folders"))
        }
        Err(error) => failed(&SourceError::Access { path: place.clone(), source: Box::new(error) }),
    };
    (place, vec![check])
}

fn failed(error: &SourceError) -> Check {
    Check::error("reachable", dualrun_core::chain(error), error.hint(), error.exit_code())
}

/// The folder above the first part that stands for a day or a month.
fn before_placeholder(url: &str) -> &str {
    match url.find('{') {
        Some(brace) => &url[..url[..brace].rfind('/').map_or(0, |slash| slash + 1)],
        None => url,
    }
}

fn folder(folder: &Path, days: bool, filled: bool, reads: &[Read]) -> Vec<Check> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().count(),
        Err(error) if filled && error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Check::warning("reachable", "there is no such folder yet", FIRST_LOAD)];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let advice = Some("check `url`; was the dump or export written?".to_owned());
            return vec![Check::error(
                "reachable",
                "there is no such folder",
                advice,
                ExitCode::Infrastructure,
            )];
        }
        Err(error) => {
            let found = format!("cannot be listed: {}", error.kind());
            let advice = match error.kind() {
                std::io::ErrorKind::NotADirectory => "a file stands there: move it, or correct `url`",
                _ => "this process needs the right to read it",
            };
            let advice = Some(advice.to_owned());
            return vec![Check::error("reachable", found, advice, ExitCode::Infrastructure)];
        }
    };
    if entries == 0 {
        let advice = if filled { FIRST_LOAD } else { "was the dump or export written?" };
        return vec![Check::warning("reachable", "is empty", advice)];
    }
    let mut checks = vec![Check::ok(
        "reachable",
        if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") },
    )];
    // Paths of collections and days are known when a period is read.
    let fixed =
        reads.iter().filter(|read| !days && !read.place.contains('{') && read.place.contains(['.', '/']));
    for read in fixed.filter(|read| !folder.join(&read.place).exists()) {
        let advice = "check the path in the mapping; was it written?";
        checks.push(Check::warning(format!("path {}", read.place), "is not there", advice));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_all_days_is_looked_at() {
        assert_eq!(before_placeholder("data/mongo/{day}/core"), "data/mongo/");
        assert_eq!(before_placeholder("data/dump-{month}"), "data/");
        assert_eq!(before_placeholder("s3://lake/bronze"), "s3://lake/bronze");
        assert_eq!(before_placeholder("{day}"), "");
    }
}
