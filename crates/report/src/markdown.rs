//! The readiness report as Markdown and as text.

use std::fmt::Write;

use dualrun_tracker::model::Readiness;

/// The readiness report as Markdown; on a terminal it reads as it is.
pub fn readiness(readiness: &Readiness) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# Decommissioning readiness: {}\n", cell(&readiness.project));
    let _ = writeln!(text, "As of {}, environment {}.\n", readiness.as_of, cell(&readiness.environment));
    let _ = writeln!(text, "**{}**\n", cell(&readiness.verdict));
    let _ = writeln!(text, "{}\n", cell(&readiness.servers_note));
    let c = &readiness.counts;
    let _ = writeln!(text, "Assets: {} needed, {} blocked, {} ready.\n", c.needed, c.blocked, c.ready);
    for server in &readiness.servers {
        let _ = writeln!(text, "- {}: {}", cell(&server.server), cell(&server.verdict));
    }
    if !readiness.reasons.is_empty() {
        let _ = writeln!(text, "\n## What stands in the way\n");
        for reason in &readiness.reasons {
            let _ = writeln!(text, "- {}", cell(reason));
        }
    }
    let _ = writeln!(text, "\n## Assets\n");
    let _ = writeln!(text, "| asset | verdict | disposition | owner | keep until | needed by |");
    let _ = writeln!(text, "|---|---|---|---|---|---|");
    for asset in &readiness.assets {
        let needed: Vec<String> = asset
            .needed_by
            .iter()
            .map(|n| format!("{} ({})", n.pipeline, n.stage.as_str().replace('_', " ")))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&asset.id),
            asset.verdict,
            asset.disposition.map_or("not decided", |d| d.as_str()),
            asset.owner.as_deref().map_or_else(|| "nobody".to_owned(), cell),
            asset.retain_until.map(|d| d.to_string()).unwrap_or_default(),
            cell(&needed.join(", "))
        );
    }
    for asset in &readiness.assets {
        let _ = writeln!(text, "\n### {}\n", cell(&asset.id));
        for reason in &asset.reasons {
            let _ = writeln!(text, "- {}", cell(reason));
        }
        for need in asset.needed_by.iter().filter(|need| !need.open_gates.is_empty()) {
            let _ = writeln!(text, "- gates of {} that do not pass:", need.pipeline);
            for gate in &need.open_gates {
                let _ = writeln!(text, "  - {} ({}): {}", gate.name.title(), gate.answer, cell(&gate.reason));
            }
        }
        let _ = writeln!(text, "\n| step | may be taken | why |");
        let _ = writeln!(text, "|---|---|---|");
        for step in &asset.steps {
            let _ = writeln!(text, "| {} | {} | {} |", step.step.title(), step.answer, cell(&step.reason));
        }
    }
    text
}

/// Text that cannot break a table or begin markup. An underscore within a word begins none.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '[' | ']' => safe.extend(['\\', c]),
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_table() {
        assert_eq!(cell("a|b\n<script> [x](y) `z`"), "a\\|b &lt;script> \\[x\\](y) \\`z\\`");
    }

    #[test]
    fn a_report() {
        insta::assert_snapshot!(readiness(&crate::testing::readiness()));
    }
}
