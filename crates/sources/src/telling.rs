//! An S3 store whose errors are sentences: who answered what, for how long. What the library says of a failure holds
//! the whole request and answer.

use std::{error::Error as StdError, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
    client::{HttpError, HttpErrorKind},
    path::Path,
};

/// A store at an endpoint.
#[derive(Debug)]
pub(crate) struct Telling<S> {
    inner: S,
    endpoint: Arc<str>,
}

impl<S> Telling<S> {
    pub(crate) fn new(inner: S, endpoint: &str) -> Self {
        Self { inner, endpoint: endpoint.trim_end_matches('/').into() }
    }

    fn told(&self) -> impl Fn(Error) -> Error + Send + Sync + use<S> {
        let endpoint = Arc::clone(&self.endpoint);
        move |error| told(&endpoint, error)
    }

    /// Of a listing: the library does not tell a refusal from other answers there.
    fn listed(&self, prefix: Option<&Path>) -> impl Fn(Error) -> Error + Send + Sync + use<S> {
        let (told, path) = (self.told(), prefix.map(Path::to_string).unwrap_or_default());
        move |error| match told(error) {
            Error::Generic { source, .. }
                if source.downcast_ref::<Told>().is_some_and(|told| told.refused) =>
            {
                Error::PermissionDenied { path: path.clone(), source }
            }
            other => other,
        }
    }
}

impl<S: fmt::Display> fmt::Display for Telling<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Telling<S> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await.map_err(self.told())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await.map_err(self.told())?;
        Ok(Box::new(TellingUpload { inner, endpoint: Arc::clone(&self.endpoint) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.inner.get_opts(location, options).await.map_err(self.told())?;
        result.payload = match result.payload {
            GetResultPayload::Stream(bytes) => GetResultPayload::Stream(bytes.map_err(self.told()).boxed()),
            file => file,
        };
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await.map_err(self.told())
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations).map_err(self.told()).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix).map_err(self.listed(prefix)).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset).map_err(self.listed(prefix)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await.map_err(self.listed(prefix))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await.map_err(self.told())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await.map_err(self.told())
    }
}

#[derive(Debug)]
struct TellingUpload {
    inner: Box<dyn MultipartUpload>,
    endpoint: Arc<str>,
}

#[async_trait]
impl MultipartUpload for TellingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let endpoint = Arc::clone(&self.endpoint);
        let part = self.inner.put_part(data);
        async move { part.await.map_err(|error| told(&endpoint, error)) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await.map_err(|error| told(&self.endpoint, error))
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await.map_err(|error| told(&self.endpoint, error))
    }
}

/// A sentence in the place of what the library says.
#[derive(Debug)]
struct Told {
    text: String,
    /// Whether the server refused it, now and later.
    refused: bool,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Told {}

fn told(endpoint: &str, error: Error) -> Error {
    let sentence = |source: &(dyn StdError + 'static)| -> Option<Box<dyn StdError + Send + Sync>> {
        let (text, refused) = sentence(endpoint, source)?;
        Some(Box::new(Told { text, refused }))
    };
    match error {
        Error::Generic { store, source } => {
            let source = sentence(source.as_ref()).unwrap_or(source);
            Error::Generic { store, source }
        }
        Error::PermissionDenied { path, source } => {
            let source = sentence(source.as_ref()).unwrap_or(source);
            Error::PermissionDenied { path, source }
        }
        Error::Unauthenticated { path, source } => {
            let source = sentence(source.as_ref()).unwrap_or(source);
            Error::Unauthenticated { path, source }
        }
        Error::NotFound { path, source } => {
            let source = sentence(source.as_ref()).unwrap_or(source);
            Error::NotFound { path, source }
        }
        other => other,
    }
}

/// Who answered what, and whether it was a refusal; `None` where it was no answer of a server and no lack of one.
fn sentence(endpoint: &str, error: &(dyn StdError + 'static)) -> Option<(String, bool)> {
    let text = error.to_string();
    let again = again(&text);
    if let Some(status) = between(&text, "status code: ", ": ") {
        let code = between(&text, "<Code>", "</Code>").map(|code| format!(" ({code})")).unwrap_or_default();
        let refused = status.starts_with("401") || status.starts_with("403");
        let verb = if refused { "refused it with" } else { "answered" };
        return Some((format!("{endpoint} {verb} {status}{code}{again}"), refused));
    }
    if text.contains("Server returned error response") {
        let code = between(&text, "<Code>", "</Code>").unwrap_or("an error");
        return Some((format!("{endpoint} answered {code}{again}"), false));
    }
    let mut cause = Some(error);
    while let Some(at) = cause {
        if let Some(http) = at.downcast_ref::<HttpError>() {
            let text = match http.kind() {
                HttpErrorKind::Connect => format!("nobody answers at {endpoint}{again}"),
                HttpErrorKind::Timeout => format!("{endpoint} did not answer in time{again}"),
                _ => format!("the connection to {endpoint} was cut{again}"),
            };
            return Some((text, false));
        }
        cause = at.source();
    }
    None
}

/// How often it was tried again, and for how long.
fn again(text: &str) -> String {
    let Some(retries) = between(text, ", after ", " retries") else { return String::new() };
    let seconds = between(text, " in ", ", after ").and_then(seconds).unwrap_or_default();
    let times = if retries == "1" { "once".to_owned() } else { format!("{retries} times") };
    format!(", tried {times} again within {seconds:.0} s")
}

/// Seconds of a duration as Rust shows it: `8.5s`, `320.7ms`.
fn seconds(text: &str) -> Option<f64> {
    let text = text.rsplit(' ').next().unwrap_or(text);
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let factor = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        _ => 1e-6,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Told {
        Told { text: text.to_owned(), refused: false }
    }

    fn said(text: &str) -> String {
        sentence("http://s3:9000", &error(text)).map(|(text, _)| text).unwrap_or_default()
    }

    #[test]
    fn an_answer_is_one_sentence() {
        let busy = "Error performing PUT http://s3:9000/lake/x?partNumber=2&uploadId=abc in 8.512s, after 4 retries, \
                    max_retries: 8, retry_timeout: 60s  - Server returned non-2xx status code: 503 Service Unavailable: \
                    <?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>x</Message></Error>";
        assert_eq!(
            said(busy),
            "http://s3:9000 answered 503 Service Unavailable (SlowDown), tried 4 times again within 9 s"
        );
        let refused = "Error performing GET http://s3:9000/lake/x in 3.2ms - Server returned non-2xx status code: 403 \
                       Forbidden: <Error><Code>AccessDenied</Code></Error>";
        assert_eq!(said(refused), "http://s3:9000 refused it with 403 Forbidden (AccessDenied)");
        assert_eq!(said("some file is broken"), "");
    }

    #[test]
    fn a_lack_of_an_answer_is_one_too() {
        for (kind, expected) in [
            (HttpErrorKind::Connect, "nobody answers at http://s3:9000"),
            (HttpErrorKind::Timeout, "http://s3:9000 did not answer in time"),
            (HttpErrorKind::Interrupted, "the connection to http://s3:9000 was cut"),
        ] {
            let error = HttpError::new(kind, error("x"));
            assert_eq!(sentence("http://s3:9000", &error), Some((expected.to_owned(), false)));
        }
    }
}
