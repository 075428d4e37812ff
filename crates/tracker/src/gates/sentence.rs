//! Sentences of the gates.

use dualrun_core::PeriodUnit;

use crate::{model::Streak, streak::Rules};

/// How long the streak is, since when, and what it lacks.
pub(super) fn streak_sentence(streak: &Streak, rules: &Rules) -> String {
    let unit = match rules.unit {
        PeriodUnit::Day => "clean nights",
        PeriodUnit::Month => "agreeing closed months",
    };
    let mut text = format!("{} of {} {unit}", streak.nights, rules.required);
    if let Some(since) = streak.since {
        text.push_str(&format!(" since {since}"));
    }
    if let Some(unknown) = &streak.unknown {
        text.push_str(&format!(": {unknown}"));
        return text;
    }
    let changed = streak.changed.as_ref();
    let after_break = |broken| changed.and_then(|c| c.on).is_none_or(|on| on <= broken);
    if let Some(change) = changed.filter(|change| change.on.is_none()) {
        text.push_str(&format!(": {} changed and did not run yet", all(&change.what)));
    } else if streak.nights >= rules.required {
        if rules.month_end && !streak.month_end {
            text.push_str(", but no month end among them");
        }
    } else if let Some(broken) = streak.broken_on.filter(|broken| after_break(*broken)) {
        text.push_str(&format!(": the night of {broken} was broken"));
    } else if let Some((change, on)) = changed.and_then(|change| change.on.map(|on| (change, on))) {
        text.push_str(&format!(": {} changed on {on}", all(&change.what)));
    }
    text
}

/// Up to three, and how many more.
pub(super) fn list(items: &[String]) -> String {
    let shown = items.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn all(what: &[String]) -> String {
    match what {
        [] => "the files".to_owned(),
        [one] => format!("the {one}"),
        many => format!("the {}", many.join(" and the ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let items: Vec<String> = (1..=5).map(|n| format!("MC-{n}")).collect();
        assert_eq!(list(&items), "MC-1, MC-2, MC-3 and 2 more");
        assert_eq!(list(&items[..2]), "MC-1, MC-2");
        assert_eq!(all(&["mapping".into(), "new calculation".into()]), "the mapping and the new calculation");
    }
}
