//! Chains of errors as one line.

use std::error::Error;

/// An error and its causes, outermost first, joined by colons. A cause that is said already is not said again: some
/// libraries repeat their source in their own text.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot read a.csv")]
        Plain(#[source] std::fmt::Error),
        #[error("cannot read: {0}")]
        Repeats(#[source] std::fmt::Error),
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::fmt::Error;
        assert_eq!(chain(&Outer::Plain(inner)), format!("cannot read a.csv: {inner}"));
        assert_eq!(chain(&Outer::Repeats(inner)), format!("cannot read: {inner}"));
    }
}
