//! Mistakes and warnings with their place.

use std::{
    fmt,
    fmt::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The project cannot be used.
    Error,
    /// Worth a look; the project can be used.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One mistake of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable name of the kind of mistake, for example `unknown-key`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file, relative to the project.
    pub file: PathBuf,
    /// Where in the file, in bytes; absent where the file itself is missing.
    pub span: Option<Range<usize>>,
    /// The line of the span, from 1; 0 without a span.
    pub line: usize,
    /// The column of the span in characters, from 1; 0 without a span.
    pub column: usize,
    /// What to write beside the caret; may be empty.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(
        severity: Severity,
        code: &'static str,
        file: &Path,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            file: file.to_owned(),
            span: None,
            line: 0,
            column: 0,
            label: String::new(),
            hint: None,
        }
    }

    pub(crate) fn at(mut self, source: &str, span: Range<usize>) -> Self {
        let start = floor(source, span.start);
        let end = floor(source, span.end.max(start));
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        self.line = before.matches('\n').count() + 1;
        self.column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        self.span = Some(start..end);
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// A mistake that only shows when models are planned against their inputs. The caret points at the first
    /// place in the file that names `word`, if any.
    pub fn found_later(
        code: &'static str,
        message: String,
        file: PathBuf,
        source: &str,
        word: Option<&str>,
        hint: Option<String>,
    ) -> Self {
        let diagnostic = Self::new(Severity::Error, code, &file, message).maybe_hint(hint);
        let found = word.and_then(|word| {
            let quoted = format!("\"{word}\"");
            let inside = source.find(&quoted).map(|start| start + 1);
            inside.or_else(|| source.find(word)).map(|start| start..start + word.len())
        });
        match found {
            Some(span) => diagnostic.at(source, span),
            None => diagnostic,
        }
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as plain text: place, source line, caret and hint. `source` is the text of
    /// [`Diagnostic::file`].
    pub fn render_plain(&self, source: &str) -> String {
        let mut out = format!("{}[{}]: {}\n", self.severity, self.code, self.message);
        let file = self.file.display();
        // Writing to a String cannot fail.
        match &self.span {
            None => {
                let _ = writeln!(out, "  --> {file}");
            }
            Some(span) => {
                let line = source.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
                let gutter = " ".repeat(self.line.to_string().len());
                // Tabs of the source line are kept, so that the caret stands below its character.
                let pad: String = line
                    .chars()
                    .take(self.column.saturating_sub(1))
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                let marked = source.get(span.clone()).unwrap_or_default();
                let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
                let carets = "^".repeat(width);
                let _ = writeln!(out, "{gutter}--> {file}:{}:{}", self.line, self.column);
                let _ = writeln!(out, "{gutter} |");
                let _ = writeln!(out, "{} | {line}", self.line);
                let _ = writeln!(out, "{gutter} | {}", format!("{pad}{carets} {}", self.label).trim_end());
            }
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "  = hint: {hint}");
        }
        out
    }
}

fn floor(source: &str, offset: usize) -> usize {
    let mut at = offset.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_its_characters() {
        let source = "a = 1\n\té = true # x\n";
        let start = source.find("true").unwrap();
        let found = Diagnostic::new(Severity::Error, "wrong-type", Path::new("x.toml"), "no")
            .at(source, start..start + 4)
            .label("here")
            .hint("think");
        assert_eq!((found.line, found.column), (2, 6));
        insta::assert_snapshot!(found.render_plain(source), @r"
        error[wrong-type]: no
         --> x.toml:2:6
          |
        2 | 	é = true # x
          | 	    ^^^^ here
          = hint: think
        ");
    }

    #[test]
    fn a_place_outside_of_the_text_is_moved_into_it() {
        let found = Diagnostic::new(Severity::Warning, "x", Path::new("x"), "m").at("é", 1..99);
        assert_eq!(found.span, Some(0..2));
        assert!(found.render_plain("é").contains("^"));
    }
}
