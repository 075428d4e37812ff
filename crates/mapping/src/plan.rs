//! The checked plan: what the files of a project say, after every reference is resolved.

mod calculation;

use std::{collections::BTreeMap, path::PathBuf};

use dualrun_core::{
    ChangeId, Criticality, Phase, PipelineId, Stage, align::AlignRule, input::InputDecl, input::Side,
    parameter::ParameterType, parameter::ParameterValue, result::ResultDecl,
};
use jiff::civil::Date;

use crate::settings::Settings;

pub use calculation::{
    Calculation, Command, Engine, Model, Relation, ResultFormat, ServerPipeline, ServerQuery,
};

/// A whole project: settings, pipelines and methodology changes, checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// `dualrun.toml` of the chosen environment.
    pub settings: Settings,
    /// Pipelines in the order of their ids.
    pub pipelines: Vec<Pipeline>,
    /// Methodology changes in the order of their ids.
    pub changes: Vec<Change>,
}

impl Project {
    /// The pipeline of this id.
    pub fn pipeline(&self, id: &PipelineId) -> Option<&Pipeline> {
        self.pipelines.iter().find(|p| &p.id == id)
    }

    /// The change of this id.
    pub fn change(&self, id: &ChangeId) -> Option<&Change> {
        self.changes.iter().find(|c| &c.id == id)
    }

    /// Takes the embedded form of every calculation for which `why` gives a reason, and notes the reason with its
    /// results.
    pub fn use_embedded_where(&mut self, why: &dyn Fn(&Self, &Calculation) -> Option<String>) {
        let mut pipelines = std::mem::take(&mut self.pipelines);
        for pipeline in &mut pipelines {
            for side in Side::BOTH {
                let calculation = pipeline.calculation_mut(side);
                if calculation.embedded.is_none() {
                    continue;
                }
                let Some(why) = why(self, calculation) else { continue };
                let engine = calculation.engine.as_str();
                let note = format!(
                    "the {side} side was calculated in its embedded form, not by its {engine}: {why}"
                );
                take_embedded(calculation, Some(note));
            }
        }
        self.pipelines = pipelines;
    }

    /// Takes the embedded form of every calculation that has one, as the settings of the environment say.
    pub(crate) fn use_embedded(&mut self) {
        for pipeline in &mut self.pipelines {
            Side::BOTH.into_iter().for_each(|side| take_embedded(pipeline.calculation_mut(side), None));
        }
    }

    /// The changes that are declared for a pipeline, in the order of their ids.
    pub fn changes_of(&self, pipeline: &PipelineId) -> Vec<&Change> {
        self.changes.iter().filter(|c| c.pipelines.contains(pipeline)).collect()
    }
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Its id, the name of its folder.
    pub id: PipelineId,
    /// A title for people.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// The phase in which it moves.
    pub phase: Phase,
    /// The stage at which it starts.
    pub stage: Stage,
    /// How much harm a wrong figure does.
    pub criticality: Criticality,
    /// `scope-1`, `scope-2`, `scope-3` or any other grouping of the project.
    pub scope: Option<String>,
    /// Legacy assets that it keeps alive.
    pub legacy_assets: Vec<String>,
    /// Whether its differences set the exit code although its stage is `building`; or do not although it is not.
    pub enforce: Option<bool>,
    /// Inputs in the order of the file.
    pub inputs: Vec<InputDecl>,
    /// Grain, measures and attributes.
    pub result: ResultDecl,
    /// Declared parameters beside the built-in ones.
    pub parameters: BTreeMap<String, ParameterType>,
    /// The legacy calculation.
    pub legacy: Calculation,
    /// The new calculation.
    pub new: Calculation,
    /// Normalisations in the order of the file.
    pub align: Vec<AlignRule>,
    /// Data checks.
    pub checks: Vec<Check>,
    /// SHA-256 (hex) over the mapping without the calculations: a change breaks the streak.
    pub mapping_hash: String,
    /// The mapping file, relative to the project.
    pub file: PathBuf,
}

impl Pipeline {
    /// The calculation of a side.
    pub fn calculation(&self, side: Side) -> &Calculation {
        match side {
            Side::Legacy => &self.legacy,
            Side::New => &self.new,
        }
    }

    fn calculation_mut(&mut self, side: Side) -> &mut Calculation {
        match side {
            Side::Legacy => &mut self.legacy,
            Side::New => &mut self.new,
        }
    }
}

fn take_embedded(calculation: &mut Calculation, note: Option<String>) {
    if let Some(embedded) = calculation.embedded.take() {
        *calculation = Calculation { note, ..*embedded };
    }
}

/// A data check on a side's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The side whose result is checked.
    pub side: Side,
    /// A sentence for people.
    pub name: String,
    /// A query over the table `result` that counts what is wrong; must give 0.
    pub sql: String,
}

/// A methodology change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// A title for people.
    pub title: String,
    /// What kind of change it is.
    pub class: ChangeClass,
    /// Who proposed it; may not approve it.
    pub owner: String,
    /// The first result day to which it applies; earlier periods run at the legacy value.
    pub effective: Date,
    /// From the effective date, or all periods (history is restated).
    pub applies: Applies,
    /// Links and documents.
    pub reference: Vec<String>,
    /// Why.
    pub rationale: String,
    /// The pipelines that it concerns.
    pub pipelines: Vec<PipelineId>,
    /// How it is switched, one entry a pipeline and parameter.
    pub switches: Vec<Switch>,
    /// The promise.
    pub expectations: Vec<Expectation>,
    /// SHA-256 (hex) of the file: approvals are bound to it.
    pub hash: String,
    /// The file, relative to the project.
    pub file: PathBuf,
}

impl Change {
    /// The switches of a pipeline.
    pub fn switches_of<'a>(&'a self, pipeline: &'a PipelineId) -> impl Iterator<Item = &'a Switch> {
        self.switches.iter().filter(move |s| s.pipelines.contains(pipeline))
    }

    /// The side whose calculation the change switches in a pipeline. The checks refuse a change that switches
    /// both sides of one pipeline.
    pub fn side_in(&self, pipeline: &PipelineId) -> Option<Side> {
        self.switches_of(pipeline).next().map(|s| s.side)
    }

    /// Whether the change is in force for a period that starts on this day.
    pub fn in_force(&self, period_start: Date) -> bool {
        self.applies == Applies::AllPeriods || period_start >= self.effective
    }
}

/// What kind of change it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeClass {
    /// The way of calculating.
    Methodology,
    /// A new edition of a factor.
    FactorUpdate,
    /// The legacy calculation was wrong, and stays so until it is switched off.
    LegacyBugFix,
}

/// To which periods a change applies.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// From `effective` on.
    FromEffective,
    /// History is restated.
    AllPeriods,
}

/// One parameter that turns a change on and off.
#[derive(Debug, Clone, PartialEq)]
pub struct Switch {
    /// The pipelines in which it acts.
    pub pipelines: Vec<PipelineId>,
    /// `new`: the new calculation under the old method. `legacy`: a fix in the legacy calculation.
    pub side: Side,
    /// The parameter of that side's calculation.
    pub parameter: String,
    /// Its value without the change.
    pub legacy: ParameterValue,
    /// Its value with the change.
    pub new: ParameterValue,
}

/// What a change promises for one measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The pipelines that it speaks of.
    pub pipelines: Vec<PipelineId>,
    /// The measure.
    pub measure: String,
    /// Which way it moves the measure.
    pub direction: Direction,
    /// Bounds of Σφ over |Σ legacy|, per customer.
    pub relative: Option<Bounds>,
    /// The rows that it may move, as a SQL condition over the result row; `true` for all.
    pub condition: String,
}

/// Which way a change moves a measure.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Never down.
    Increase,
    /// Never up.
    Decrease,
    /// Either way.
    Either,
    /// Not at all: another measure moves, this one must not.
    None,
}

/// A closed range.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The smallest value that keeps the promise.
    pub min: f64,
    /// The largest.
    pub max: f64,
}
