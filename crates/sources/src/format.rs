//! Formats and the file names that tell them.

use crate::{SourceError, without_credentials};

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Concatenated BSON documents, as `mongodump` writes them; `.bson`, `.bson.gz`.
    BsonDump,
    /// One relaxed or canonical Extended JSON document a line; `.jsonl`, `.ndjson`, `.json`, each also `.gz`.
    JsonLines,
    /// Comma-separated text with a header; `.csv`, `.csv.gz`.
    Csv,
    /// Apache Parquet; `.parquet`.
    Parquet,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::BsonDump, Self::JsonLines, Self::Csv, Self::Parquet];

    /// The endings of file names, without a leading dot, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::BsonDump => &["bson", "bson.gz"],
            Self::JsonLines => &["jsonl", "json", "ndjson", "jsonl.gz", "json.gz", "ndjson.gz"],
            Self::Csv => &["csv", "csv.gz"],
            Self::Parquet => &["parquet"],
        }
    }

    /// Whether a file name has one of the endings.
    pub fn matches(self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.extensions().iter().any(|e| name.strip_suffix(e).is_some_and(|stem| stem.ends_with('.')))
    }

    /// The name used in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BsonDump => "BSON dump",
            Self::JsonLines => "JSON lines",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        }
    }
}

/// The format that the last part of a path or URL tells by its ending. A folder does not tell any.
pub fn detect(text: &str) -> Result<Format, SourceError> {
    let name = text.rsplit('/').next().unwrap_or(text);
    Format::ALL
        .into_iter()
        .find(|f| f.matches(name) && !is_beside(name))
        .ok_or_else(|| SourceError::UnknownFormat { path: without_credentials(text) })
}

/// Whether a file stands beside data without being data: hidden files, markers such as `_SUCCESS`, and what
/// `mongodump` writes about a collection or a dump.
pub(crate) fn is_beside(name: &str) -> bool {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    plain.starts_with(['.', '_']) || plain.ends_with(".metadata.json") || plain == "prelude.json"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_the_format() {
        assert_eq!(detect("/x/usage.bson.gz").unwrap(), Format::BsonDump);
        assert_eq!(detect("s3://b/usage.NDJSON").unwrap(), Format::JsonLines);
        assert_eq!(detect("a.csv").unwrap(), Format::Csv);
        assert_eq!(detect("part-0.parquet").unwrap(), Format::Parquet);
        for unknown in ["usage", "usage.metadata.json", "a.xlsx", "csv", "folder/"] {
            assert!(matches!(detect(unknown), Err(SourceError::UnknownFormat { .. })), "{unknown}");
        }
    }
}
