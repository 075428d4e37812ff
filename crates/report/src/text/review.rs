//! Methodology changes and their reviews for a terminal.

use std::fmt::Write;

use dualrun_core::review::ReviewStatus;
use dualrun_mapping::plan::{Applies, ChangeClass};
use dualrun_tracker::model::{ChangeEffect, ChangeStatus};

use super::{
    numbers::{count, counted, signed, signed_percent},
    parts,
    table::{Align, Table},
    wrap::{paragraph, plain},
};
use crate::style::Style;

/// All changes, one line each.
pub fn review_list(changes: &[ChangeStatus], style: Style) -> String {
    let mut table = Table::new(&[
        ("change", Align::Left),
        ("review", Align::Left),
        ("class", Align::Left),
        ("owner", Align::Left),
        ("largest effect", Align::Right),
        ("title", Align::Left),
    ]);
    for change in changes {
        table.row([
            change.id.to_string(),
            review(change.review.status, style),
            class(change).to_owned(),
            change.owner.clone(),
            largest(&change.effects),
            plain(&change.title),
        ]);
    }
    if table.is_empty() {
        return "no methodology changes are declared\n".to_owned();
    }
    let mut text = table.render();
    let waiting =
        changes.iter().filter(|change| change.review.status == ReviewStatus::Proposed).count() as u64;
    if waiting > 0 {
        let verb = if waiting == 1 { "waits" } else { "wait" };
        let _ = writeln!(text, "\n{} {verb} for a decision", counted(waiting, "change"));
    }
    text
}

/// One change with its effects and decisions.
pub fn review_show(change: &ChangeStatus, style: Style) -> String {
    let mut text = String::new();
    text.push_str(&paragraph(&format!("{} {}", style.bold(change.id.as_str()), plain(&change.title)), 0, 2));
    let applies = match change.applies {
        Applies::FromEffective => format!("applies from {} on", change.effective),
        Applies::AllPeriods => format!("effective {}, history is restated", change.effective),
    };
    let _ = writeln!(text, "{}, proposed by {}, {applies}", class(change), change.owner);
    let pipelines: Vec<String> = change.pipelines.iter().map(ToString::to_string).collect();
    if !pipelines.is_empty() {
        text.push_str(&paragraph(&format!("moves {}", pipelines.join(", ")), 0, 2));
    }
    let why = change.review.reason_not.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
    text.push_str(&paragraph(&format!("review: {}{why}", review(change.review.status, style)), 0, 2));
    if let Some(last) = &change.review.last {
        let until = last.expires.map(|day| format!(", holds until {day}")).unwrap_or_default();
        let day = last.at.strftime("%Y-%m-%d %H:%M UTC");
        let line = format!(
            "latest decision: {} by {} on {day}{until}: {}",
            last.status,
            plain(&last.reviewer),
            plain(&last.reason)
        );
        text.push_str(&paragraph(&line, 0, 2));
    }
    if change.effects.is_empty() {
        text.push_str("\nno run has shown an effect yet\n");
        return text;
    }
    let mut table = Table::new(&[
        ("pipeline", Align::Left),
        ("period", Align::Left),
        ("column", Align::Left),
        ("effect", Align::Right),
        ("of legacy", Align::Right),
        ("cells", Align::Right),
        ("rows ±", Align::Right),
        ("promise", Align::Left),
    ]);
    for effect in &change.effects {
        let unit = effect.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        table.row([
            effect.pipeline.to_string(),
            effect.run.period.to_string(),
            effect.column.clone(),
            format!("{}{unit}", signed(&effect.effect)),
            effect.relative.map(signed_percent).unwrap_or_default(),
            count(effect.cells),
            if effect.rows > 0 { count(effect.rows) } else { String::new() },
            parts::promise(effect.promise, style),
        ]);
    }
    let _ = write!(text, "\n{}\n{}", style.bold("effect in the latest runs"), table.render());
    for effect in &change.effects {
        let place = format!("{} in {}", effect.pipeline, effect.column);
        if let Some(seen) = &effect.seen {
            let line = format!("{place}: the latest decision was made on {}", signed(seen));
            text.push_str(&paragraph(&line, 2, 4));
        }
        for sentence in &effect.broken {
            let label = style.bad("broken promise:");
            text.push_str(&paragraph(&format!("{label} {place}: {}", plain(sentence)), 2, 4));
        }
    }
    text
}

/// A review status, coloured.
pub(super) fn review(status: ReviewStatus, style: Style) -> String {
    match status {
        ReviewStatus::Approved => style.good(status.as_str()),
        ReviewStatus::Proposed => style.warn(status.as_str()),
        ReviewStatus::Rejected => style.bad(status.as_str()),
    }
}

/// The largest share of legacy that it moves; where no share is known, that it moves something.
fn largest(effects: &[ChangeEffect]) -> String {
    let shares = effects.iter().filter_map(|effect| effect.relative);
    match shares.max_by(|a, b| a.abs().total_cmp(&b.abs())) {
        Some(share) => signed_percent(share),
        None if effects.is_empty() => "none seen".to_owned(),
        None => "legacy is 0".to_owned(),
    }
}

fn class(change: &ChangeStatus) -> &'static str {
    match change.class {
        ChangeClass::Methodology => "methodology",
        ChangeClass::FactorUpdate => "factor update",
        ChangeClass::LegacyBugFix => "legacy bug fix",
    }
}
