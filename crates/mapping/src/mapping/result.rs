//! Checks of `[result]`.

use std::collections::BTreeSet;

use dualrun_core::{period::time_zone, result::ResultDecl};

use crate::{document::Document, text::did_you_mean, tree::at};

pub(crate) fn check(document: &mut Document<'_>, result: &ResultDecl) {
    let grain = || result.grain.iter().map(String::as_str);
    if result.grain.is_empty() {
        document.error(
            "empty-grain",
            &at!["result", "grain"],
            "the grain has no column",
            "empty",
            Some("name the columns that make a row unique".to_owned()),
        );
        return;
    }
    let mut seen = BTreeSet::new();
    for (i, column) in result.grain.iter().enumerate() {
        if !seen.insert(column) {
            let message = format!("`{column}` is in the grain twice");
            document.error(
                "duplicate-column",
                &at!["result", "grain", i],
                message,
                "again here",
                Some("take it out".to_owned()),
            );
        }
    }
    if let Some(customer) = result.customer.as_ref().filter(|c| !result.grain.contains(c)) {
        let message = format!("the customer column `{customer}` is not in the grain");
        let hint = did_you_mean(customer, grain());
        document.error("not-in-grain", &at!["result", "customer"], message, "not in `grain`", hint);
    }
    let period = &result.period;
    if !result.grain.contains(&period.column) {
        let message = format!("the period column `{}` is not in the grain", period.column);
        let hint = did_you_mean(&period.column, grain());
        document.error("not-in-grain", &at!["result", "period", "column"], message, "not in `grain`", hint);
    }
    if time_zone(&period.time_zone).is_err() {
        let message = format!("there is no time zone `{}`", period.time_zone);
        let hint = Some("write an IANA name such as `Europe/Paris`".to_owned());
        document.error("unknown-time-zone", &at!["result", "period", "time_zone"], message, "here", hint);
    }
    for (i, column) in result.compare_at.iter().enumerate() {
        if !result.grain.contains(column) {
            let message = format!("the column `{column}` of the coarser grain is not in the grain");
            let hint = did_you_mean(column, grain());
            document.error("not-in-grain", &at!["result", "compare_at", i], message, "not in `grain`", hint);
        }
    }
    let kept = [result.customer.as_ref(), Some(&period.column)];
    for column in kept.into_iter().flatten().filter(|c| result.grain.contains(c)) {
        if !result.compare_at.is_empty() && !result.compare_at.contains(column) {
            let message = format!("the coarser grain must keep `{column}`");
            let hint = Some("customer and period stay columns of every grain".to_owned());
            document.error("not-in-grain", &at!["result", "compare_at"], message, "here", hint);
        }
    }
    for (table, name) in result
        .measures
        .keys()
        .map(|n| ("measures", n))
        .chain(result.attributes.keys().map(|n| ("attributes", n)))
    {
        let at = at!["result", table, name];
        if result.grain.contains(name) {
            let hint = Some("a column of the grain is a key; it is compared by pairing rows".to_owned());
            let message = format!("`{name}` is also in the grain");
            document.key_error("duplicate-column", &at, message, "here", hint);
        } else if table == "attributes" && result.measures.contains_key(name) {
            let message = format!("`{name}` is a measure and an attribute");
            let hint = Some("numbers with a tolerance are measures, all else attributes".to_owned());
            document.key_error("duplicate-column", &at, message, "here", hint);
        }
    }
}
