//! The scenario of the demo: which bugs the new calculations have on which night, and which methodology changes are
//! approved when.

use std::path::{Path, PathBuf};

use dualrun_core::{ChangeId, PipelineId};
use include_dir::{Dir, include_dir};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

use crate::{error::DemoError, files::write_if_changed, project};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scenario");

/// The first night of the migration that the demo plays.
pub const FIRST_NIGHT: Date = Date::constant(2025, 2, 16);
/// The last night.
pub const LAST_NIGHT: Date = Date::constant(2025, 4, 4);

/// What happens in the course of the migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Bugs in the order of their pipelines.
    pub bugs: Vec<Bug>,
    /// Approvals in the order of their nights.
    pub approvals: Vec<Approval>,
}

/// A bug of a new calculation: a fragment of its SQL as it was before the fix.
#[derive(Debug, Clone, PartialEq)]
pub struct Bug {
    /// The pipeline that has it.
    pub pipeline: PipelineId,
    /// Its id in the list of migration bugs, for example `BUG-01`.
    pub id: String,
    /// What is wrong, for people.
    pub title: String,
    /// The SQL file, relative to the project.
    pub file: PathBuf,
    /// The fragment of the right SQL; it occurs once in the file.
    pub find: String,
    /// The fragment with the bug.
    pub replace: String,
    /// The first night with the bug; from the start where not given.
    pub from: Option<Date>,
    /// The first night without it; never fixed where not given.
    pub fixed: Option<Date>,
}

impl Bug {
    /// Whether the new calculation has the bug in the night of this date.
    pub fn is_present(&self, night: Date) -> bool {
        self.from.is_none_or(|from| from <= night) && self.fixed.is_none_or(|fixed| night < fixed)
    }
}

/// The approval of a methodology change.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// The change.
    pub change: ChangeId,
    /// It is approved before this night runs.
    pub night: Date,
    /// Who approves.
    pub reviewer: String,
    /// Why.
    pub reason: String,
}

/// The scenario that is embedded in the binary.
///
/// # Errors
/// A file of the scenario is no TOML of this form, or names a change, a pipeline or an SQL file that cannot be.
pub fn scenario() -> Result<Scenario, DemoError> {
    let mut scenario = Scenario { bugs: Vec::new(), approvals: Vec::new() };
    let mut files: Vec<_> =
        FILES.files().filter(|f| f.path().extension().is_some_and(|e| e == "toml")).collect();
    files.sort_by_key(|file| file.path());
    for file in files {
        let name = file.path().display().to_string();
        let wrong = |what: String| DemoError::Scenario { file: name.clone(), what };
        let text = file.contents_utf8().ok_or_else(|| wrong("not UTF-8".to_owned()))?;
        let raw: RawFile = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let folder = file.path().file_stem().unwrap_or_default().to_string_lossy();
        let pipeline: PipelineId = folder.parse().map_err(|e: dualrun_core::IdError| wrong(e.to_string()))?;
        scenario.bugs.extend(raw.bug.into_iter().map(|bug| bug.of(&pipeline)));
        scenario.approvals.extend(raw.approval.into_iter().map(Approval::from));
    }
    scenario.approvals.sort_by_key(|approval| approval.night);
    Ok(scenario)
}

/// Writes the new calculations as they are in a night: with the bugs that are not fixed yet. Says whether a file
/// changed.
///
/// # Errors
/// The scenario does not fit the embedded project, or a file cannot be written.
pub fn apply_bugs(dir: &Path, night: Date) -> Result<bool, DemoError> {
    let bugs = scenario()?.bugs;
    let mut files: Vec<&Path> = bugs.iter().map(|bug| bug.file.as_path()).collect();
    files.sort_unstable();
    files.dedup();
    let mut changed = false;
    for file in files {
        let present = bugs.iter().filter(|bug| bug.file == file && bug.is_present(night));
        changed |= write_if_changed(&dir.join(file), with_bugs(file, present)?.as_bytes())?;
    }
    Ok(changed)
}

/// The text of an embedded SQL file with some bugs put in. Each fragment is looked for in the right text, so that
/// one bug never hides the place of another.
fn with_bugs<'a>(file: &Path, bugs: impl Iterator<Item = &'a Bug>) -> Result<String, DemoError> {
    let wrong = |what: String| DemoError::Scenario { file: file.display().to_string(), what };
    let right = project::text(file).ok_or_else(|| wrong("no such file in the project".to_owned()))?;
    let mut places = Vec::new();
    for bug in bugs {
        let mut found = right.match_indices(&bug.find);
        match (found.next(), found.next()) {
            (Some((start, _)), None) => places.push((start, bug)),
            _ => return Err(wrong(format!("the fragment of {} does not occur exactly once", bug.id))),
        }
    }
    places.sort_by_key(|(start, _)| *start);
    let mut text = String::with_capacity(right.len());
    let mut at = 0;
    for (start, bug) in places {
        let before = right.get(at..start).ok_or_else(|| wrong(format!("{} overlaps another bug", bug.id)))?;
        text.push_str(before);
        text.push_str(&bug.replace);
        at = start + bug.find.len();
    }
    text.push_str(right.get(at..).unwrap_or_default());
    Ok(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    bug: Vec<RawBug>,
    #[serde(default)]
    approval: Vec<RawApproval>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBug {
    id: String,
    title: String,
    file: PathBuf,
    find: String,
    replace: String,
    #[serde(default, deserialize_with = "optional_date")]
    from: Option<Date>,
    #[serde(default, deserialize_with = "optional_date")]
    fixed: Option<Date>,
}

impl RawBug {
    fn of(self, pipeline: &PipelineId) -> Bug {
        let file = Path::new(pipeline.as_str()).join(self.file);
        let Self { id, title, find, replace, from, fixed, .. } = self;
        Bug { pipeline: pipeline.clone(), id, title, file, find, replace, from, fixed }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApproval {
    change: ChangeId,
    #[serde(deserialize_with = "date")]
    night: Date,
    reviewer: String,
    reason: String,
}

impl From<RawApproval> for Approval {
    fn from(raw: RawApproval) -> Self {
        let RawApproval { change, night, reviewer, reason } = raw;
        Self { change, night, reviewer, reason }
    }
}

/// A TOML date, which has a type of its own.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let date = toml::value::Datetime::deserialize(deserializer)?;
    date.to_string().parse().map_err(serde::de::Error::custom)
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    date(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
