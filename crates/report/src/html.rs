//! Self-contained pages: no script, no font, no image from elsewhere.

use dualrun_core::run::figures::Figure;
use dualrun_tracker::model::{AssetVerdict, GateName, Readiness, Status, Step};
use minijinja::{
    AutoEscape, Environment, UndefinedBehavior,
    value::{Serde, Value},
};
use serde::Serialize;

use crate::text;

mod nights;

/// A page could not be rendered: a defect of a template, never of the data.
#[derive(Debug, thiserror::Error)]
#[error("page {page} cannot be rendered")]
pub struct HtmlError {
    /// The template.
    page: &'static str,
    /// What the template engine says.
    #[source]
    source: minijinja::Error,
}

/// The status page for the CTO.
///
/// # Errors
/// A defect of the template.
pub fn status(status: &Status) -> Result<String, HtmlError> {
    #[derive(Serialize)]
    struct Page<'a> {
        status: &'a Status,
        nights: nights::Nights,
    }
    let page = Page { status, nights: nights::Nights::of(&status.pipelines) };
    render("status.html", Value::from(Serde(page)))
}

/// The decommissioning readiness report.
///
/// # Errors
/// A defect of the template.
pub fn readiness(readiness: &Readiness) -> Result<String, HtmlError> {
    #[derive(Serialize)]
    struct Page<'a> {
        readiness: &'a Readiness,
        verdicts: [AssetVerdict; 3],
        steps: [&'static str; 4],
    }
    let page = Page {
        readiness,
        verdicts: [AssetVerdict::Needed, AssetVerdict::Blocked, AssetVerdict::Ready],
        steps: Step::ALL.map(Step::title),
    };
    render("readiness.html", Value::from(Serde(page)))
}

const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("../templates/base.html")),
    ("status.html", include_str!("../templates/status.html")),
    ("readiness.html", include_str!("../templates/readiness.html")),
];

fn render(page: &'static str, model: Value) -> Result<String, HtmlError> {
    let failed = |source| HtmlError { page, source };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("percent", whole_percent);
    environment.add_filter("effect", |share: f64| text::signed_percent(share));
    environment.add_filter("words", |text: String| text.replace('_', " "));
    environment.add_filter("short", |figure: String| text::short(&Figure(figure)));
    environment.add_filter("signed", |figure: String| text::signed(&Figure(figure)));
    environment.add_filter("count", text::count);
    environment.add_filter("counted", |n: u64, noun: String| text::counted(n, &noun));
    environment.add_filter("sentence", sentence);
    environment.add_filter("gate", gate);
    environment.add_filter("step", step);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(failed)?;
    }
    environment.get_template(page).and_then(|template| template.render(model)).map_err(failed)
}

/// A share in whole percent; what is not nothing and not all does not read so.
fn whole_percent(share: f64) -> String {
    let value = share * 100.0;
    if value > 0.0 && value < 1.0 {
        "under 1 %".to_owned()
    } else if value < 100.0 {
        format!("{:.0} %", value.floor())
    } else {
        format!("{value:.0} %")
    }
}

/// With a capital at its start; `capitalize` would make the rest small.
fn sentence(text: String) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The title of a gate.
fn gate(name: String) -> String {
    let all =
        [GateName::Streak, GateName::Coverage, GateName::Changes, GateName::Differences, GateName::Checks];
    all.into_iter().find(|gate| gate.as_str() == name).map_or(name, |gate| gate.title().to_owned())
}

/// The title of a step.
fn step(name: String) -> String {
    Step::ALL.into_iter().find(|step| step.as_str() == name).map_or(name, |step| step.title().to_owned())
}

#[cfg(test)]
mod tests;
