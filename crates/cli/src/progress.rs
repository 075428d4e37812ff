//! Progress bars on a terminal, plain lines otherwise.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dualrun_core::PipelineId;
use dualrun_engine::{Progress, Silent, Step, diff::Watch};
use indicatif::{ProgressBar, ProgressStyle};

/// The progress that suits standard error.
pub(crate) fn progress(quiet: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Arc::new(Bar(OnceLock::new()))
    } else {
        Arc::new(Lines::default())
    }
}

/// A bar of so many steps with a changing word, hidden where there is no terminal.
pub(crate) fn bar(total: u64, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// The rows of a comparison as a bar, on a terminal.
pub(crate) struct RowBar(ProgressBar);

impl RowBar {
    pub(crate) fn new(quiet: bool) -> Self {
        let rows = bar(0, quiet);
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {human_pos} of {human_len} rows, {per_sec}")
        {
            rows.set_style(style);
        }
        Self(rows)
    }
}

impl Watch for RowBar {
    fn rows(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    fn warning(&self, text: &str) {
        self.0.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "warning: {}", crate::secrets::masked(text));
        });
    }
}

impl Drop for RowBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

struct Bar(OnceLock<ProgressBar>);

impl Progress for Bar {
    fn note(&self, text: &str) {
        let note = format!("note: {}", crate::secrets::masked(text));
        match self.0.get() {
            Some(bar) => bar.suspend(|| eprint_line(&note)),
            None => eprint_line(&note),
        }
    }

    fn begin(&self, runs: u64) {
        let _ = self.0.set(bar(runs, false));
    }

    fn load(&self, table: &str, rows: u64) {
        let bar = self.0.get_or_init(|| {
            let bar = bar(0, false);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_message(format!("{table}: {rows} rows read"));
    }

    fn step(&self, pipeline: &PipelineId, period: &str, step: Step) {
        if let Some(bar) = self.0.get() {
            bar.set_message(format!("{pipeline} {period}: {}", step.as_str()));
        }
    }

    fn done(&self, _pipeline: &PipelineId, _period: &str, _outcome: &str) {
        if let Some(bar) = self.0.get() {
            bar.inc(1);
            if bar.length() == Some(bar.position()) {
                bar.finish_and_clear();
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}

/// Rows after which a load says so again.
const LOAD_LINE: u64 = 1_000_000;

#[derive(Default)]
struct Lines {
    /// How many millions of rows of the present table were told.
    told: AtomicU64,
}

impl Progress for Lines {
    fn note(&self, text: &str) {
        eprint_line(&format!("note: {}", crate::secrets::masked(text)));
    }

    fn load(&self, table: &str, rows: u64) {
        let millions = rows / LOAD_LINE;
        if self.told.swap(millions, Ordering::Relaxed) < millions {
            let _ = writeln!(std::io::stderr().lock(), "{table}: {rows} rows read");
        }
    }

    fn done(&self, pipeline: &PipelineId, period: &str, outcome: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{pipeline} {period}: {}", outcome.replace('_', " "));
    }
}

fn eprint_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
