//! Checks of `[[align]]`.

use dualrun_core::{
    align::{AlignRule, Rule},
    period::time_zone,
    result::ResultDecl,
};

use crate::{document::Document, text::did_you_mean, tree::at};

pub(crate) fn check(document: &mut Document<'_>, rules: &[AlignRule], result: &ResultDecl) {
    let columns: Vec<&str> = result
        .grain
        .iter()
        .chain(result.measures.keys())
        .chain(result.attributes.keys())
        .map(String::as_str)
        .collect();
    for (i, rule) in rules.iter().enumerate() {
        let at = at!["align", i];
        if !columns.contains(&rule.column.as_str()) {
            let message = format!("the result has no column `{}`", rule.column);
            let hint = did_you_mean(&rule.column, columns.iter().copied());
            document.error("unknown-column", &at.join("column"), message, "not declared", hint);
        }
        match &rule.rule {
            Rule::Unit { from, to } => {
                if from.ratio_to(to).is_none() {
                    let message = format!("`{from}` does not convert to `{to}`");
                    let hint =
                        Some("both must measure the same thing, in units that dualrun knows".to_owned());
                    document.error("unit-mismatch", &at.join("from"), message, "does not convert", hint);
                }
                match result.measures.get(&rule.column) {
                    Some(measure) if &measure.unit != to => {
                        let message =
                            format!("the measure `{}` is in `{}`, not `{to}`", rule.column, measure.unit);
                        let hint = Some(format!("write `to = \"{}\"`", measure.unit));
                        document.error("unit-mismatch", &at.join("to"), message, "here", hint);
                    }
                    None if columns.contains(&rule.column.as_str()) => {
                        let message = format!("`{}` is not a measure and has no unit", rule.column);
                        let hint = did_you_mean(&rule.column, result.measures.keys().map(String::as_str));
                        document.error("unit-mismatch", &at.join("column"), message, "here", hint);
                    }
                    _ => {}
                }
            }
            Rule::TimeZone { zone } if time_zone(zone).is_err() => {
                let message = format!("there is no time zone `{zone}`");
                let hint = Some("write an IANA name such as `Europe/Paris`".to_owned());
                document.error("unknown-time-zone", &at.join("zone"), message, "here", hint);
            }
            Rule::Cast { to } if !is_type(to) => {
                let message = format!("`{to}` is not a type");
                let known = ["text", "integer", "float", "boolean", "date", "timestamp", "decimal(38,10)"];
                document.error("unknown-word", &at.join("to"), message, "here", did_you_mean(to, known));
            }
            _ => {}
        }
    }
}

fn is_type(text: &str) -> bool {
    if ["text", "integer", "float", "boolean", "date", "timestamp"].contains(&text) {
        return true;
    }
    let digits =
        text.strip_prefix("decimal(").and_then(|t| t.strip_suffix(')')).and_then(|t| t.split_once(','));
    let Some((Ok(precision), Ok(scale))) =
        digits.map(|(p, s)| (p.trim().parse::<u8>(), s.trim().parse::<u8>()))
    else {
        return false;
    };
    (1..=38).contains(&precision) && scale <= precision
}
