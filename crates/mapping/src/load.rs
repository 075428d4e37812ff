//! From the files of a project to its plan.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
};

use dualrun_core::input::Side;

use crate::{
    Loaded, ProjectFiles, Severity,
    calculation::normal,
    change::{self, ChangeRead, Known, Switched},
    diagnostic::Diagnostic,
    document::Document,
    mapping::{self, MappingRead},
    plan::{Calculation, Change, Project},
    settings::Form,
    settings_file::{self, SettingsRead},
    tree::at,
};

/// The settings file of a project.
const SETTINGS: &str = "dualrun.toml";

/// Reads a project for an environment. `env` looks up the variables of `${VAR}` in the settings. All mistakes of
/// all files are collected.
pub fn load(files: &ProjectFiles, environment: &str, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut diagnostics = Vec::new();
    let settings = read_settings(files, environment, env);
    let root = normal(FilePath::new(&settings.mappings));
    let mut mappings = Vec::new();
    let mut changes = Vec::new();
    let mut all_read = true;
    // Pipelines whose file is no TOML, by the name of their folder.
    let mut unread: Vec<String> = Vec::new();
    for (file, text) in &files.files {
        let Ok(below) = file.strip_prefix(&root) else { continue };
        if below.file_name().is_some_and(|n| n == "mapping.toml") {
            match mapping::read(file, text, files, &settings) {
                Ok(read) => mappings.push(read),
                Err(found) => {
                    unread.extend(folder_name(file));
                    diagnostics.extend(found);
                }
            }
        } else if below.parent().is_some_and(|p| p == FilePath::new("methodology"))
            && below.extension().is_some_and(|e| e == "toml")
        {
            match change::read(file, text) {
                Ok(read) => changes.push(read),
                Err(found) => {
                    all_read = false;
                    diagnostics.extend(found);
                }
            }
        }
    }
    for read in &mut mappings {
        check_servers(read, &settings);
    }
    all_read &= changes.iter().all(ChangeRead::is_read);
    unique(mappings.iter_mut().map(|m| (m.id.clone(), &mut m.document)), "pipeline", &at!["pipeline", "id"]);
    unique(changes.iter_mut().map(|c| (c.id.clone(), &mut c.document)), "change", &at!["id"]);
    let (checked, switched) = check_changes(&mut changes, &mappings, &unread);
    // A mistake in a change may be the reason why a parameter seems to have no value.
    if all_read && !changes.iter().any(|c| c.document.diagnostics.iter().any(Diagnostic::is_error)) {
        check_values(&mut mappings, &switched);
    }

    diagnostics.extend(settings.diagnostics);
    if mappings.is_empty() && diagnostics.is_empty() {
        let message = "the project has no pipeline";
        let hint = "add a folder with a `mapping.toml`";
        diagnostics.push(
            Diagnostic::new(Severity::Warning, "no-pipeline", FilePath::new(SETTINGS), message).hint(hint),
        );
    }
    diagnostics.extend(mappings.iter_mut().flat_map(|m| std::mem::take(&mut m.document.diagnostics)));
    diagnostics.extend(changes.iter_mut().flat_map(|c| std::mem::take(&mut c.document.diagnostics)));
    diagnostics.sort_by(|a, b| {
        (&a.file, a.span.as_ref().map(|s| s.start)).cmp(&(&b.file, b.span.as_ref().map(|s| s.start)))
    });
    diagnostics.dedup();

    let mut pipelines: Vec<_> = mappings.into_iter().filter_map(|m| m.pipeline).collect();
    pipelines.sort_by(|a, b| a.id.cmp(&b.id));
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    let settings_unset = settings.unset;
    let project = settings.settings.filter(|_| !failed).map(|settings| {
        let embedded = settings.calculations.form == Form::Embedded;
        let mut project = Project { settings, pipelines, changes: checked };
        if embedded {
            project.use_embedded();
        }
        let unset = |calculation: &Calculation| settings_unset.get(calculation.engine.source()?);
        project.use_embedded_where(&|_, calculation| {
            unset(calculation).map(|variable| format!("the variable `{variable}` is not set"))
        });
        project
    });
    Loaded { project, diagnostics }
}

fn folder_name(file: &FilePath) -> Option<String> {
    file.parent()?.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn read_settings(
    files: &ProjectFiles,
    environment: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> SettingsRead {
    let file = FilePath::new(SETTINGS);
    match files.text(file) {
        Some(text) => settings_file::read(file, text, environment, env),
        None => SettingsRead {
            settings: None,
            mappings: ".".to_owned(),
            sources: None,
            kinds: BTreeMap::new(),
            unset: BTreeMap::new(),
            assets: None,
            diagnostics: vec![
                Diagnostic::new(Severity::Error, "missing-file", file, "the project has no dualrun.toml")
                    .hint("`dualrun init` makes a new project"),
            ],
        },
    }
}

/// Reports what needs a server whose URL holds a variable that is not set. A calculation with an embedded form does not.
fn check_servers(read: &mut MappingRead<'_>, settings: &SettingsRead) {
    let Some(pipeline) = &read.pipeline else { return };
    let mut found = Vec::new();
    for side in Side::BOTH {
        for (i, input) in pipeline.inputs.iter().enumerate() {
            let variable = input.on(side).and_then(|place| settings.unset.get(&place.source));
            found.extend(variable.map(|v| (at!["input", i, side.as_str(), "source"], v, "set it")));
        }
        let calculation = pipeline.calculation(side);
        let variable = calculation.engine.source().and_then(|source| settings.unset.get(source));
        if calculation.embedded.is_none() {
            let hint = "set it, or give the calculation an `embedded` form";
            found.extend(variable.map(|v| (at![side.as_str(), "source"], v, hint)));
        }
    }
    for (at, variable, hint) in found {
        let message = format!("the variable `{variable}` is not set");
        read.document.error("unknown-variable", &at, message, "this source needs it", Some(hint.to_owned()));
    }
}

/// Reports ids that two files have.
fn unique<'a, 'd: 'a>(
    documents: impl Iterator<Item = (Option<String>, &'a mut Document<'d>)>,
    what: &str,
    at: &crate::tree::Path,
) {
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (id, document) in documents {
        let Some(id) = id else { continue };
        match seen.get(&id) {
            Some(first) => {
                let message = format!("the {what} `{id}` is declared twice");
                let hint = Some(format!("it is also declared in {}", first.display()));
                document.error("duplicate-id", at, message, "again here", hint);
            }
            None => {
                seen.insert(id, document.file.to_owned());
            }
        }
    }
}

fn check_changes(
    changes: &mut [ChangeRead<'_>],
    mappings: &[MappingRead<'_>],
    unread: &[String],
) -> (Vec<Change>, Switched) {
    let known = Known {
        ids: mappings
            .iter()
            .filter_map(|m| m.id.as_deref())
            .chain(unread.iter().map(String::as_str))
            .collect(),
        pipelines: mappings.iter().filter_map(|m| m.pipeline.as_ref()).map(|p| (p.id.as_str(), p)).collect(),
    };
    let mut switched = Switched::new();
    let mut checked: Vec<Change> =
        changes.iter_mut().filter_map(|c| c.check(&known, &mut switched)).collect();
    checked.sort_by(|a, b| a.id.cmp(&b.id));
    (checked, switched)
}

/// Parameters get their values from switches; one without a switch on a side that uses it has none.
fn check_values(mappings: &mut [MappingRead<'_>], switched: &Switched) {
    for read in mappings {
        let Some(pipeline) = &read.pipeline else { continue };
        for name in pipeline.parameters.keys() {
            let by = switched.get(&(pipeline.id.clone(), name.clone()));
            for side in Side::BOTH {
                if mapping::needs(pipeline, side, name) && by.is_none_or(|(s, _)| *s != side) {
                    let message = format!("the parameter `{name}` has no value on the {side} side");
                    let hint = match by {
                        Some((other, change)) => {
                            format!(
                                "`{change}` switches it on the {other} side only; use another parameter here"
                            )
                        }
                        None => "a parameter gets its value from a `[[switch]]` of a methodology change"
                            .to_owned(),
                    };
                    read.document.key_error(
                        "parameter-without-value",
                        &at!["parameters", name],
                        message,
                        "no change switches it",
                        Some(hint),
                    );
                }
            }
        }
    }
}
