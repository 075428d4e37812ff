//! What a job prints: kept up to a bound, the end of it shown.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that are kept.
const KEPT: usize = 16 << 10;

/// Lines that are shown.
const LINES: usize = 20;

/// Shorter values hide nothing and would turn up in any text.
const SHORTEST: usize = 4;

/// The last bytes of a stream.
#[derive(Default)]
pub(super) struct Tail(Mutex<VecDeque<u8>>);

impl Tail {
    /// Reads a stream to its end.
    pub(super) async fn read(&self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = [0; 4096];
        // A pipe that breaks has no more to say.
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(buffer.iter().take(read));
            let over = kept.len().saturating_sub(KEPT);
            kept.drain(..over);
        }
    }

    /// The last lines as plain text.
    pub(super) fn text(&self, mask: &(dyn Fn(&str) -> String + Sync)) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = kept.len() >= KEPT;
        let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
        // The first line may have lost the begin of a secret, which would then not be found.
        let whole = if cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
        let plain: String =
            mask(whole).chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
        let lines: Vec<&str> = plain.trim_end().lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// The text without any of the values.
pub(super) fn without(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|s| s.len() >= SHORTEST).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_kept_without_secrets_and_control_characters() {
        let tail = Tail::default();
        let mut printed = "an early secret-token\n".repeat(2000);
        printed.push_str("\u{1b}[31mlate secret-token\u{1b}[0m\n");
        tail.read(printed.as_bytes()).await;
        assert!(tail.0.lock().unwrap().len() <= KEPT);
        let text = tail.text(&|text| without(text, &["secret-token".to_owned(), "".to_owned()]));
        assert_eq!(text.lines().count(), LINES);
        assert_eq!(text.lines().last(), Some("[31mlate ***[0m"));
        assert!(!text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn a_line_longer_than_what_is_kept_is_not_shown() {
        let tail = Tail::default();
        tail.read("secret-token".repeat(4000).as_bytes()).await;
        assert_eq!(tail.text(&|text| without(text, &["secret-token".to_owned()])), "");
    }
}
