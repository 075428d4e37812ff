//! Values of `${VAR}` are never printed: whatever a command writes for people, programs or files passes through here.

use std::sync::{Mutex, PoisonError};

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

/// As JSON writes it.
fn escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_environment_are_masked() {
        keep("hunter2topsecret");
        keep("a\"quote in it");
        keep("eu");
        assert_eq!(masked("s3://hunter2topsecret/x in eu"), "s3://***/x in eu");
        assert_eq!(masked(r#"{"url": "a\"quote in it"}"#), r#"{"url": "***"}"#);
    }
}
