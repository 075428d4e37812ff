//! Values of `${VAR}` are never printed: whatever a command writes for people, programs or files passes through here.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Shorter values hide nothing and would turn up in any text.
const SHORTEST: usize = 6;

/// Remembers a value that came from the environment.
pub(crate) fn keep(value: &str) {
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    if value.len() >= SHORTEST && !secrets.iter().any(|known| known == value) {
        secrets.push(value.to_owned());
        // The longest first: one secret may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }
}

/// The text without any of the values.
pub(crate) fn masked(text: &str) -> String {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = text.to_owned();
    for secret in secrets.iter() {
        for form in [secret.clone(), escaped(secret)] {
            if text.contains(&form) {
                text = text.replace(&form, MASK);
            }
        }
    }
    text
}

/// A writer whose pieces come out without any of the values. A value that comes in two pieces is not seen: logs write
/// whole lines.
pub(crate) struct Masked<W>(pub(crate) W);

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(masked(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Remembers the password in the URL of a server, as it is written and as it is meant.
pub(crate) fn keep_of_url(url: &str) {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
    let Some((_, password)) = login.and_then(|login| login.split_once(':')) else { return };
    keep(password);
    // A query reads percent-encoded values, in which a plus is a space.
    let query = format!("p={}", password.replace('+', "%2B").replace('&', "%26"));
    if let Some((_, decoded)) = url::form_urlencoded::parse(query.as_bytes()).next() {
        keep(&decoded);
    }
}

/// Of the values that say where a server stands and who logs in, only the password is a secret. A user or a host that is
/// masked would say nothing to a person on call, and one that is called like a word of a report would make it unreadable.
pub(crate) fn only_of_source(url: &str, options: &BTreeMap<String, String>) {
    if let Some((login, place)) = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')) {
        open(login.split(':').next().unwrap_or_default());
        for part in place.split(['/', '?', ',', '&']) {
            open(part);
            part.split(':').for_each(open);
        }
        keep_of_url(url);
    }
    // The name of a key of S3, which its store prints too.
    for value in options.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with("access_key_id")) {
        open(value.1);
    }
}

/// Says that a value is no secret, as far as it is nothing else besides.
fn open(value: &str) {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).retain(|secret| secret != value);
}

/// As JSON writes it.
fn escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_masked_as_they_are_written_and_meant() {
        keep_of_url("postgres://reader:p%40ss+word%26@db.example/core?x=y");
        let mut log = Masked(Vec::new());
        log.write_all(b"login with p%40ss+word%26 or p@ss+word&").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(String::from_utf8_lossy(&log.0), "login with *** or ***");
        keep_of_url("mongodb://h/core");
    }

    #[test]
    fn users_hosts_and_places_are_no_secrets() {
        let options = [("aws_access_key_id", "AKIA-17-OPEN"), ("aws_secret_access_key", "not-for-a-log")];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for value in ["svc-reader-17", "db17.example", "legacy-core-17", "AKIA-17-OPEN", "not-for-a-log"] {
            keep(value);
        }
        only_of_source(
            "postgres://svc-reader-17:pa55word-of-it@db17.example:5432/legacy-core-17?x=y",
            &options,
        );
        let told =
            "svc-reader-17 at db17.example/legacy-core-17 of AKIA-17-OPEN: not-for-a-log, pa55word-of-it";
        let open = "svc-reader-17 at db17.example/legacy-core-17 of AKIA-17-OPEN: ***, ***";
        assert_eq!(masked(told), open);
        keep("a-folder-of-17");
        only_of_source("data/a-folder-of-17", &options);
        assert_eq!(masked("a-folder-of-17"), "***", "of files nobody knows which part is a secret");
        // A user whose password is his name.
        only_of_source("mongodb://reader-one:reader-one@h/db", &options);
        assert_eq!(masked("login of reader-one"), "login of ***");
    }

    #[test]
    fn values_of_the_environment_are_masked() {
        keep("hunter2topsecret");
        keep("a\"quote in it");
        keep("eu");
        assert_eq!(masked("s3://hunter2topsecret/x in eu"), "s3://***/x in eu");
        assert_eq!(masked(r#"{"url": "a\"quote in it"}"#), r#"{"url": "***"}"#);
    }
}
