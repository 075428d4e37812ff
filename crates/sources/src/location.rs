//! Places in object stores: a local folder or a prefix of an S3 bucket, by the same code.

use std::{
    collections::BTreeMap,
    path::{Component, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use url::Url;

use crate::{SourceError, telling::Telling};

/// How long a request to S3 that fails for a while is tried again where nothing else is said: a person waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The option of a location that says it, and the variable of the environment.
const PATIENCE_OPTION: &str = "retry_timeout";
const PATIENCE_VARIABLE: &str = "DUALRUN_S3_RETRY_TIMEOUT";

/// A folder of an object store.
#[derive(Debug, Clone)]
pub struct Location {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The folder in the store.
    pub prefix: Path,
    /// The location for people, without secrets.
    pub display: String,
}

/// Opens a folder (absolute, or relative to `base`), a `file://` URL or `s3://bucket/prefix`. Nothing is
/// read; a local folder need not exist yet. `options` are S3 settings by the key names of `object_store` such
/// as `aws_endpoint`, `aws_region`, `aws_allow_http`; what they leave open comes from the environment. A request that
/// fails for a while is tried again for a minute, or as long as `retry_timeout` (or `DUALRUN_S3_RETRY_TIMEOUT`) says,
/// for example `20s`.
pub fn open_location(
    url: &str,
    base: &std::path::Path,
    options: &BTreeMap<String, String>,
) -> Result<Location, SourceError> {
    match url.split_once("://") {
        Some(("s3" | "s3a", _)) => open_s3(url, options),
        Some(("file", _)) => {
            let parsed = Url::parse(url).ok().and_then(|u| u.to_file_path().ok());
            open_folder(
                &parsed.ok_or_else(|| SourceError::Config("a file:// URL needs an absolute path".into()))?,
            )
        }
        Some((scheme, _)) => Err(SourceError::Config(format!(
            "a location of scheme {scheme:?} cannot be opened; known are a folder and s3://"
        ))),
        None => open_folder(&base.join(url)),
    }
}

/// A relation or location for people: of an URL, the part with user and password becomes `***`.
pub fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // A password may hold any of these signs unescaped, so the last @ counts, wherever it stands.
    match rest.rfind('@') {
        Some(at) if host.contains([':', '@']) => format!("{scheme}://***{}", &rest[at..]),
        _ => text.to_owned(),
    }
}

impl Location {
    /// The location of a folder below this one.
    pub fn below(&self, relative: &str) -> Self {
        let mut prefix = self.prefix.clone();
        prefix.extend(&Path::from(relative.trim_matches('/')));
        let display = format!("{}/{}", self.display.trim_end_matches('/'), relative.trim_matches('/'));
        Self { store: Arc::clone(&self.store), prefix, display }
    }

    /// The path of a file below the location, as the store knows it.
    pub fn object(&self, relative: &str) -> Path {
        let mut path = self.prefix.clone();
        path.extend(&Path::from(relative));
        path
    }

    /// The name of an object for people.
    pub fn name(&self, path: &Path) -> String {
        let relative = self.relative(path);
        if relative.is_empty() {
            return self.display.clone();
        }
        format!("{}/{relative}", self.display.trim_end_matches('/'))
    }

    /// The path of an object relative to the location.
    pub fn relative(&self, path: &Path) -> String {
        match path.prefix_match(&self.prefix) {
            Some(parts) => parts.map(|p| p.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
            None => path.to_string(),
        }
    }

    /// What the store says of an object, none where it does not exist.
    pub(crate) async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, SourceError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(SourceError::access(self.name(path), error)),
        }
    }

    /// All objects below a folder, sorted by path.
    ///
    /// # Errors
    /// The store does not answer as it should.
    pub async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, SourceError> {
        let listed: Result<Vec<_>, _> = self.store.list(Some(folder)).try_collect().await;
        match listed {
            Ok(mut objects) => {
                objects.sort_by(|a, b| a.location.cmp(&b.location));
                Ok(objects)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(SourceError::access(self.name(folder), error)),
        }
    }

    /// The bytes of an object.
    pub(crate) async fn fetch(&self, path: &Path) -> Result<Bytes, SourceError> {
        let failed = |error| SourceError::access(self.name(path), error);
        self.store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)
    }
}

fn open_folder(folder: &std::path::Path) -> Result<Location, SourceError> {
    let absolute = std::path::absolute(folder)
        .map_err(|e| SourceError::Config(format!("{} is not a usable path: {e}", folder.display())))?;
    let clean = without_dots(&absolute);
    let prefix = Path::from_absolute_path(&clean)
        .map_err(|e| SourceError::Config(format!("{} is not a usable path: {e}", clean.display())))?;
    Ok(Location { store: Arc::new(LocalFileSystem::new()), prefix, display: clean.display().to_string() })
}

/// Takes `.` and `..` out of a path by its text: the store refuses them.
fn without_dots(path: &std::path::Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

fn open_s3(url: &str, options: &BTreeMap<String, String>) -> Result<Location, SourceError> {
    let bad = |what: &str| SourceError::Config(format!("an S3 location is s3://bucket/prefix; {what}"));
    let parsed = Url::parse(url).map_err(|_| bad("this one is not a URL"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad("credentials belong into the environment, not into the URL"));
    }
    let bucket = parsed.host_str().filter(|b| !b.is_empty()).ok_or_else(|| bad("the bucket is missing"))?;
    let prefix = Path::from_url_path(parsed.path()).map_err(|_| bad("the prefix is not a usable path"))?;
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let mut patience = std::env::var(PATIENCE_VARIABLE).ok();
    for (key, value) in options {
        if key.eq_ignore_ascii_case(PATIENCE_OPTION) {
            patience = Some(value.clone());
            continue;
        }
        let key: AmazonS3ConfigKey = key
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| SourceError::Config(format!("{key:?} is not an option of an S3 location")))?;
        builder = builder.with_config(key, value);
    }
    let retry_timeout = match patience.as_deref() {
        None => PATIENCE,
        Some(text) => span(text).ok_or_else(|| {
            SourceError::Config(format!("{PATIENCE_OPTION} of an S3 location is a time such as \"20s\""))
        })?,
    };
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(5).min(retry_timeout / 2),
        base: 2.0,
    };
    // The time alone ends it: the number of tries is what fits into it.
    let builder = builder.with_retry(RetryConfig { backoff, max_retries: 1000, retry_timeout });
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let endpoint = endpoint.map_or_else(|| "S3".to_owned(), |url| without_credentials(&url));
    // The text of the cause may hold an option's value, which may be a secret: only the key names are told.
    let store = builder.build().map_err(|_| {
        let keys: Vec<_> = options.keys().map(String::as_str).collect();
        SourceError::Config(format!("the S3 location cannot be opened with the options {}", keys.join(", ")))
    })?;
    let store = Telling::new(store, &endpoint);
    Ok(Location { store: Arc::new(store), display: format!("s3://{bucket}/{prefix}"), prefix })
}

/// Seconds or minutes: `20s`, `2m`.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        _ => return None,
    };
    number.parse::<u32>().ok().filter(|n| *n > 0).map(|n| Duration::from_secs(u64::from(n) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_resolved_against_the_base() {
        let open =
            |url: &str| open_location(url, std::path::Path::new("/data/project"), &BTreeMap::new()).unwrap();
        assert_eq!(open("../lake/./bronze").display, "/data/lake/bronze");
        assert_eq!(open("/abs/x").prefix, Path::from("abs/x"));
        assert_eq!(open("file:///abs/y").display, "/abs/y");
        assert_eq!(open("in").below("core/").display, "/data/project/in/core");
    }

    #[test]
    fn s3_takes_options_by_name_and_shows_no_secret() {
        let options = BTreeMap::from([
            ("aws_endpoint".to_owned(), "http://localhost:9000".to_owned()),
            ("aws_access_key_id".to_owned(), "minio".to_owned()),
            ("aws_secret_access_key".to_owned(), "top-secret".to_owned()),
            ("aws_allow_http".to_owned(), "true".to_owned()),
        ]);
        let location = open_location("s3://lake/bronze/x", std::path::Path::new("/"), &options).unwrap();
        assert_eq!(location.display, "s3://lake/bronze/x");
        assert_eq!(location.prefix, Path::from("bronze/x"));
        assert!(!location.display.contains("top-secret"));
    }

    #[test]
    fn how_long_is_tried_again_can_be_said() {
        assert_eq!(span("20s"), Some(Duration::from_secs(20)));
        assert_eq!(span("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "20", "s", "0s", "2 s", "1h"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_url_is_shown_without_user_and_password() {
        for (url, shown) in [
            ("postgres://u:secret@host:5432/db#t", "postgres://***@host:5432/db#t"),
            ("s3://KEY:sec/ret@b/x", "s3://***@b/x"),
            ("mongodb://u:a@b#c@host/db", "mongodb://***@host/db"),
            ("postgres://u@host/db", "postgres://***@host/db"),
            ("s3://lake/x@y", "s3://lake/x@y"),
            ("file:///home/a@b.csv", "file:///home/a@b.csv"),
            ("data/a@b.csv", "data/a@b.csv"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    #[test]
    fn wrong_locations_are_told() {
        let open = |url: &str, key: &str| {
            let options = BTreeMap::from([(key.to_owned(), "v".to_owned())]);
            open_location(url, std::path::Path::new("/"), &options).unwrap_err().to_string()
        };
        assert!(open("s3://lake/x", "aws_colour").contains("\"aws_colour\" is not an option"));
        assert!(open("s3://me:pw@lake/x", "aws_region").contains("environment"));
        assert!(!open("s3://me:pw@lake/x", "aws_region").contains("pw"));
        assert!(open("s3://lake/x", "retry_timeout").contains("a time such as"));
        assert!(open("ftp://lake/x", "aws_region").contains("\"ftp\""));
    }
}
