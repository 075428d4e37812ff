//! `methodology/*.toml`: one change, checked against the pipelines that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
};

use dualrun_core::{PipelineId, input::Side, parameter::ParameterValue};

use crate::{
    calculation::is_built_in,
    diagnostic::Diagnostic,
    document::Document,
    hash, mapping,
    plan::{Change, Expectation, Pipeline, Switch},
    raw::{RawChange, RawId, RawSwitch},
    schema,
    text::{did_you_mean, nearest},
    tree::{Node, Path, at},
};

/// A methodology file that was read.
pub(crate) struct ChangeRead<'a> {
    pub(crate) document: Document<'a>,
    /// The id, also where the file has mistakes.
    pub(crate) id: Option<String>,
    raw: Option<RawChange>,
}

/// The pipelines of the project.
pub(crate) struct Known<'a> {
    /// Ids of all mappings, also of those with mistakes.
    pub(crate) ids: BTreeSet<&'a str>,
    /// Those that could be read.
    pub(crate) pipelines: BTreeMap<&'a str, &'a Pipeline>,
}

/// Which change switches a parameter of a pipeline.
pub(crate) type Switched = BTreeMap<(PipelineId, String), (Side, String)>;

/// Reads the structure of a methodology file.
///
/// # Errors
/// The mistakes of a file that is not TOML.
pub(crate) fn read<'a>(file: &'a FilePath, source: &'a str) -> Result<ChangeRead<'a>, Vec<Diagnostic>> {
    let mut document = Document::parse(file, source)?;
    let id = document.tree.get("id").and_then(Node::text).map(str::to_owned);
    let raw = document.read(&schema::methodology(), &[]);
    Ok(ChangeRead { document, id, raw })
}

impl ChangeRead<'_> {
    /// Whether the file could be read.
    pub(crate) fn is_read(&self) -> bool {
        self.raw.is_some()
    }

    /// Checks the change against the pipelines, and notes what it switches.
    pub(crate) fn check(&mut self, known: &Known<'_>, switched: &mut Switched) -> Option<Change> {
        let raw = self.raw.take()?;
        let document = &mut self.document;
        let pipelines = ids(document, &at!["pipelines"], &raw.pipelines, known);
        if raw.pipelines.is_empty() {
            document.error(
                "unknown-pipeline",
                &at!["pipelines"],
                "the change concerns no pipeline",
                "empty",
                Some("name the pipelines whose results it moves".to_owned()),
            );
        }
        let mut switches = Vec::new();
        for (i, switch) in raw.switch.iter().enumerate() {
            let at = at!["switch", i];
            let concerned = subset(document, &at, switch.pipelines.as_deref(), &pipelines, known);
            switches.extend(check_switch(document, &at, switch, &concerned, known));
            for pipeline in concerned {
                claim(document, &at, raw.id.as_str(), switch, &pipeline, switched);
            }
        }
        check_sides(document, raw.id.as_str(), &pipelines, switched);
        let mut expectations = Vec::new();
        for (i, expect) in raw.expect.iter().enumerate() {
            let at = at!["expect", i];
            let concerned = subset(document, &at, expect.pipelines.as_deref(), &pipelines, known);
            for pipeline in concerned.iter().filter_map(|id| known.pipelines.get(id.as_str())) {
                let measures = &pipeline.result.measures;
                if !measures.contains_key(&expect.measure) {
                    let message =
                        format!("the pipeline `{}` has no measure `{}`", pipeline.id, expect.measure);
                    let hint = did_you_mean(&expect.measure, measures.keys().map(String::as_str));
                    document.error("unknown-measure", &at.join("measure"), message, "here", hint);
                }
            }
            if let Some(bounds) = expect.relative.filter(|b| b.min > b.max) {
                let message = format!("no effect lies between {} and {}", bounds.min, bounds.max);
                let hint = Some("`min` must not be above `max`".to_owned());
                document.error("invalid-range", &at.join("relative"), message, "here", hint);
            }
            expectations.push(Expectation {
                pipelines: concerned,
                measure: expect.measure.clone(),
                direction: expect.direction,
                relative: expect.relative,
                condition: expect.r#where.clone(),
            });
        }
        Some(Change {
            id: raw.id,
            title: raw.title,
            class: raw.class,
            owner: raw.owner,
            effective: raw.effective,
            applies: raw.applies,
            reference: raw.reference,
            rationale: raw.rationale,
            pipelines,
            switches,
            expectations,
            hash: hash::of_text(self.document.source),
            file: self.document.file.to_owned(),
        })
    }
}

/// The pipelines of a list that the project has.
fn ids(document: &mut Document<'_>, at: &Path, raw: &[RawId], known: &Known<'_>) -> Vec<PipelineId> {
    let mut found: Vec<PipelineId> = Vec::new();
    for (i, RawId(id)) in raw.iter().enumerate() {
        if !known.ids.contains(id.as_str()) {
            let message = format!("the project has no pipeline `{id}`");
            let hint = did_you_mean(id.as_str(), known.ids.iter().copied());
            document.error("unknown-pipeline", &at.join(i), message, "not known", hint);
        } else if !found.contains(id) {
            found.push(id.clone());
        }
    }
    found
}

/// The pipelines of a switch or promise: those that it names, or all of the change.
fn subset(
    document: &mut Document<'_>,
    at: &Path,
    raw: Option<&[RawId]>,
    all: &[PipelineId],
    known: &Known<'_>,
) -> Vec<PipelineId> {
    let Some(raw) = raw else { return all.to_vec() };
    let at = at.join("pipelines");
    let named = ids(document, &at, raw, known);
    for (i, RawId(id)) in raw.iter().enumerate() {
        if known.ids.contains(id.as_str()) && !all.contains(id) {
            let message = format!("`{id}` is not among the pipelines of the change");
            let hint = did_you_mean(id.as_str(), all.iter().map(PipelineId::as_str));
            document.error("unknown-pipeline", &at.join(i), message, "here", hint);
        }
    }
    named.into_iter().filter(|id| all.contains(id)).collect()
}

/// One switch for each type that its pipelines declare for the parameter.
fn check_switch(
    document: &mut Document<'_>,
    at: &Path,
    switch: &RawSwitch,
    concerned: &[PipelineId],
    known: &Known<'_>,
) -> Vec<Switch> {
    let name = &switch.parameter;
    let mut found: Vec<Switch> = Vec::new();
    if is_built_in(name) {
        let message = format!("the parameter `{name}` is built in and cannot be switched");
        let hint = Some("declare a parameter of your own for the switch".to_owned());
        document.error("built-in-parameter", &at.join("parameter"), message, "here", hint);
        return found;
    }
    for pipeline in concerned.iter().filter_map(|id| known.pipelines.get(id.as_str())) {
        let Some(declared) = pipeline.parameters.get(name) else {
            let message = format!("the pipeline `{}` declares no parameter `{name}`", pipeline.id);
            let hint = match nearest(name, pipeline.parameters.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{name}` under `[parameters]` of its mapping"),
            };
            document.error("unknown-parameter", &at.join("parameter"), message, "not declared", Some(hint));
            continue;
        };
        if !mapping::uses(pipeline, switch.side, name) {
            let message = format!("no model of the {} side of `{}` uses `${name}`", switch.side, pipeline.id);
            let hint = Some("a switch acts through a parameter that a model reads".to_owned());
            document.error("unused-switch", &at.join("parameter"), message, "switches nothing", hint);
        }
        let mut value = |key: &str, text: String| -> Option<ParameterValue> {
            match declared.parse(&text) {
                Ok(value) => Some(value),
                Err(error) => {
                    let message = format!("{error} as `{}` declares it", pipeline.id);
                    let hint = Some(format!("`{name} = \"{}\"` stands in the mapping", declared.as_str()));
                    document.error("wrong-type", &at.join(key), message, "here", hint);
                    None
                }
            }
        };
        let (legacy, new) = (value("legacy", switch.legacy.text()), value("new", switch.new.text()));
        let (Some(legacy), Some(new)) = (legacy, new) else { continue };
        if legacy == new {
            let message = "the parameter has the same value with and without the change";
            document.error(
                "switch-without-effect",
                &at.join("new"),
                message,
                "same as `legacy`",
                Some("write the value with the change".to_owned()),
            );
        }
        match found.iter_mut().find(|s| s.legacy == legacy && s.new == new) {
            Some(same) => same.pipelines.push(pipeline.id.clone()),
            None => found.push(Switch {
                pipelines: vec![pipeline.id.clone()],
                side: switch.side,
                parameter: name.clone(),
                legacy,
                new,
            }),
        }
    }
    found
}

/// One parameter belongs to one change of a pipeline.
fn claim(
    document: &mut Document<'_>,
    at: &Path,
    change: &str,
    switch: &RawSwitch,
    pipeline: &PipelineId,
    switched: &mut Switched,
) {
    let key = (pipeline.clone(), switch.parameter.clone());
    match switched.get(&key) {
        Some((side, other)) if other != change || *side == switch.side => {
            let message = if other == change {
                format!("the change switches `{}` of `{pipeline}` twice", switch.parameter)
            } else {
                format!("`{}` of `{pipeline}` already belongs to the change `{other}`", switch.parameter)
            };
            let hint = Some("give each change its own parameter, or make one change of them".to_owned());
            document.error("parameter-of-two-changes", &at.join("parameter"), message, "here", hint);
        }
        // The same parameter on the other side of the same change is reported as a switch of both sides.
        Some(_) => {}
        None => {
            switched.insert(key, (switch.side, change.to_owned()));
        }
    }
}

/// A change acts on one side of a pipeline.
fn check_sides(document: &mut Document<'_>, change: &str, pipelines: &[PipelineId], switched: &Switched) {
    let raw: Vec<(usize, Option<Vec<String>>, bool)> = document
        .tree
        .get("switch")
        .map(Node::list)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let named = node
                .get("pipelines")
                .map(|p| p.list().iter().filter_map(Node::text).map(str::to_owned).collect());
            (i, named, node.get("side").and_then(Node::text) == Some("legacy"))
        })
        .collect();
    for pipeline in pipelines {
        let of: Vec<&(usize, Option<Vec<String>>, bool)> = raw
            .iter()
            .filter(|(_, named, _)| named.as_ref().is_none_or(|n| n.iter().any(|id| id == pipeline.as_str())))
            .collect();
        let first = of.first().map(|(_, _, legacy)| *legacy);
        if let Some((i, _, _)) = of.iter().find(|(_, _, legacy)| Some(*legacy) != first) {
            let message = format!("`{change}` switches both sides of `{pipeline}`");
            let hint = Some("make two changes of it, one a side".to_owned());
            document.error("switch-of-both-sides", &at!["switch", *i], message, "the other side", hint);
        }
        let has_switch = switched.iter().any(|((id, _), (_, by))| id == pipeline && by == change);
        if of.is_empty() && !has_switch {
            let message = format!("`{change}` has no switch for the pipeline `{pipeline}`");
            let hint = Some("without a switch the change cannot be replayed there".to_owned());
            document.warning("change-without-switch", &at!["pipelines"], message, "here", hint);
        }
    }
}
