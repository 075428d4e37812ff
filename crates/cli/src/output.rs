//! Where things are printed: data to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};
use std::path::Path;

use dualrun_report::Style;
use serde::Serialize;

use crate::{
    args::{Format, Global},
    error::CliError,
    secrets,
};

/// The two streams of a command.
pub(crate) struct Output {
    /// How data is printed.
    pub(crate) format: Format,
    quiet: bool,
    /// Colours of standard output.
    pub(crate) style: Style,
    error_style: Style,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        // https://no-color.org: any value that is not empty.
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self {
            format: global.format,
            quiet: global.quiet,
            style: Style { color: allowed && std::io::stdout().is_terminal() },
            error_style: Style { color: allowed && std::io::stderr().is_terminal() },
        }
    }

    /// Whether progress and notes are left out.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Prints data.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        let text = secrets::masked(text);
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") });
        match written.and_then(|()| stdout.flush()) {
            // `dualrun … | head` is no error.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(CliError::Stdout),
        }
    }

    /// Prints data as JSON.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        self.data(&serde_json::to_string_pretty(value)?)
    }

    /// Data as JSON where JSON is asked for, else as text. Other formats are refused by name.
    pub(crate) fn text_or_json<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(Style) -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Text => self.data(&text(self.style)),
            Format::Json => self.json(value),
            Format::Md | Format::Html => Err(self.unsupported()),
        }
    }

    /// The format that was asked for is not one of this command's.
    pub(crate) fn unsupported(&self) -> CliError {
        let name = if self.format == Format::Md { "md" } else { "html" };
        CliError::Argument {
            message: format!("this command has no --format {name}"),
            hint: Some(
                "status knows text, json and html; readiness text, json, md and html; others text and json"
                    .into(),
            ),
        }
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{}", secrets::masked(text));
        }
    }

    /// An error with its causes and the way out. Printed even when quiet.
    pub(crate) fn error(&self, error: &CliError) {
        let mut stderr = std::io::stderr().lock();
        if let CliError::Project { text, .. } = error {
            let _ = writeln!(stderr, "{}", secrets::masked(text.trim_end()));
        }
        let _ = writeln!(stderr, "{} {}", self.error_style.bad("error:"), secrets::masked(&error.chain()));
        if let Some(hint) = error.hint() {
            let _ = writeln!(stderr, "  hint: {}", secrets::masked(&hint));
        }
    }
}

/// Writes a file as a whole: a reader sees the old content or the new, never half of it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(&temporary, content).map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        failed(source)
    })
}

/// A path as it can be pasted into a shell.
pub(crate) fn pasteable(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Writes the result file, where one is asked for.
pub(crate) fn result_file<T: Serialize>(
    path: Option<&std::path::PathBuf>,
    value: &T,
) -> Result<(), CliError> {
    match path {
        Some(path) => write_whole(path, secrets::masked(&serde_json::to_string_pretty(value)?).as_bytes()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(pasteable(Path::new("/tmp/demo-output")), "/tmp/demo-output");
        assert_eq!(pasteable(Path::new("my demo")), "'my demo'");
        assert_eq!(pasteable(Path::new("it's")), r"'it'\''s'");
    }
}
