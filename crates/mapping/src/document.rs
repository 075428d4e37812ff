//! One file while it is checked: its tree, and what was found in it.

use std::path::Path as FilePath;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::{
    diagnostic::{Diagnostic, Severity},
    tree::{Node, Path, Value},
    walk::Walk,
};

/// The version of all three formats.
const VERSION: i64 = 1;

/// A parsed file with its diagnostics.
pub(crate) struct Document<'a> {
    pub(crate) file: &'a FilePath,
    pub(crate) source: &'a str,
    pub(crate) tree: Node,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Tables with an unknown key: what is said about their meaning may be wrong, so it is not said.
    broken: Vec<Path>,
}

impl<'a> Document<'a> {
    /// Reads the syntax of a file.
    ///
    /// # Errors
    /// One diagnostic a line that is not TOML.
    pub(crate) fn parse(file: &'a FilePath, source: &'a str) -> Result<Self, Vec<Diagnostic>> {
        let tree = Node::parse(source).map_err(|errors| {
            let mut found: Vec<Diagnostic> = errors
                .into_iter()
                .map(|e| {
                    let message = e.message.replace('\n', ", ");
                    Diagnostic::new(Severity::Error, "toml-syntax", file, message)
                        .at(source, e.span.unwrap_or(0..0))
                        .label("not TOML")
                        .hint("the syntax is described on https://toml.io")
                })
                .collect();
            // One slip often gives several messages on its line; the first says most.
            found.dedup_by_key(|d| d.line);
            found
        })?;
        Ok(Self { file, source, tree, diagnostics: Vec::new(), broken: Vec::new() })
    }

    /// Walks the file against its schema and reads it into `T`. `skip` names tables that were refused already.
    /// `None` where it cannot be read; the reasons are then among the diagnostics.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, schema: &Json, skip: &[Path]) -> Option<T> {
        if let Some(Value::Integer(version)) = self.tree.get("version").map(|n| &n.value)
            && *version != VERSION
        {
            let message = format!("version {version} of this format is not known");
            let hint = Some(format!("this dualrun reads `version = {VERSION}`"));
            self.error("unsupported-version", &crate::tree::at!["version"], message, "here", hint);
            return None;
        }
        let walked = Walk::new(schema, self.file, self.source, skip).run(&self.tree);
        self.diagnostics.extend(walked.diagnostics);
        self.broken = walked.broken;
        match serde_json::from_value(walked.json?) {
            Ok(read) => Some(read),
            Err(error) => {
                // The walk should have told; this keeps a gap between it and serde from going unsaid.
                self.error("invalid-value", &Path::default(), error.to_string(), "in this file", None);
                None
            }
        }
    }

    /// Reports an error at a value.
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        label: &str,
        hint: Option<String>,
    ) {
        let span = self.tree.place(path);
        self.report(Severity::Error, code, path, span, message.into(), label, hint);
    }

    /// Reports an error at a key.
    pub(crate) fn key_error(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        label: &str,
        hint: Option<String>,
    ) {
        let span = self.tree.key_place(path);
        self.report(Severity::Error, code, path, span, message.into(), label, hint);
    }

    /// Reports a warning at a value.
    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        label: &str,
        hint: Option<String>,
    ) {
        let span = self.tree.place(path);
        self.report(Severity::Warning, code, path, span, message.into(), label, hint);
    }

    /// Reports a warning at a key.
    pub(crate) fn key_warning(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        label: &str,
        hint: Option<String>,
    ) {
        let span = self.tree.key_place(path);
        self.report(Severity::Warning, code, path, span, message.into(), label, hint);
    }

    #[expect(clippy::too_many_arguments, reason = "the one place behind four short names")]
    fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &Path,
        span: std::ops::Range<usize>,
        message: String,
        label: &str,
        hint: Option<String>,
    ) {
        if self.broken.iter().any(|broken| path.starts_with(broken)) {
            return;
        }
        self.diagnostics.push(
            Diagnostic::new(severity, code, self.file, message)
                .at(self.source, span)
                .label(label)
                .maybe_hint(hint),
        );
    }
}
