//! `store` of the new side: where the rows of its models are kept.

use dualrun_core::{
    PeriodUnit,
    input::Side,
    load::{Layout, StoreDecl},
};

use super::{Scope, known_source, placeholders};
use crate::{document::Document, mapping::is_parquet, settings_file::SettingsRead, tree::Path};

/// Stands in a path for the name of the model.
const MODEL: &str = "{model}";

pub(super) fn check(
    document: &mut Document<'_>,
    settings: &SettingsRead,
    store: &StoreDecl,
    at: &Path,
    scope: &Scope<'_>,
) {
    if scope.side == Side::Legacy {
        let hint = Some("what the legacy side calculates stays where it is: take this out".to_owned());
        document.error("unfit-store", at, "only the new side is kept", "here", hint);
        return;
    }
    known_source(document, settings, &store.source, at);
    if !is_parquet(document, &store.source, at, settings) {
        return;
    }
    let at = at.join("path");
    if let Some(other) = placeholders(&store.path).into_iter().find(|name| name != "model") {
        let message = format!("the place of a result cannot depend on `{{{other}}}`");
        let hint = Some("`{model}`, `{day}` and `{month}` are replaced".to_owned());
        document.error("unfit-store", &at, message, "here", hint);
        return;
    }
    let wanted = match scope.unit {
        PeriodUnit::Day => "{day}",
        PeriodUnit::Month => "{month}",
    };
    let layout = Layout::of(&store.path.replace(MODEL, "model"));
    let fits = layout.as_ref().is_some_and(|layout| layout.unit == Some(scope.unit));
    // Behind the first period it would put the rows of two models into one table.
    let behind = store.path.find(MODEL).is_some_and(|model| {
        [store.path.find("{day}"), store.path.find("{month}")].into_iter().flatten().any(|at| at < model)
    });
    if !fits || behind {
        let message = format!("`{}` is not a folder with one of `{wanted}`", store.path);
        let hint = Some(format!("write a folder such as `{MODEL}/cloud/period={wanted}/`"));
        document.error("unfit-store", &at, message, "here", hint);
    }
}
