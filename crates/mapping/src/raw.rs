//! The files as they are written. Their JSON Schemas are made from these types.

use std::{borrow::Cow, collections::BTreeMap};

use dualrun_core::{
    ChangeId, Criticality, Phase, PipelineId, Stage,
    align::AlignRule,
    input::{InputDecl, Side},
    load::StoreDecl,
    parameter::ParameterType,
    result::ResultDecl,
    shape::Shape,
};
use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::plan::{Applies, Bounds, ChangeClass, Direction, ResultFormat};

/// The pattern of ids, as `dualrun_core::ids` checks them.
pub(crate) const ID: &str = "^[A-Za-z0-9._-]+$";

/// `mapping.toml`: one pipeline of dualrun.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dualrun mapping")]
pub(crate) struct RawMapping {
    /// The version of the format: 1.
    #[expect(dead_code, reason = "checked on the tree before the file is read")]
    pub(crate) version: u32,
    /// Who and what.
    pub(crate) pipeline: RawPipeline,
    /// What the calculations read.
    #[serde(default)]
    pub(crate) input: Vec<InputDecl>,
    /// What the calculations yield.
    pub(crate) result: ResultDecl,
    /// Types of the parameters that the calculations are given by methodology changes.
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, ParameterType>,
    /// The legacy calculation.
    pub(crate) legacy: RawCalculation,
    /// The new calculation.
    pub(crate) new: RawCalculation,
    /// Normalisations before the comparison, in this order.
    #[serde(default)]
    pub(crate) align: Vec<AlignRule>,
    /// Data checks on a side's result.
    #[serde(default)]
    pub(crate) check: Vec<RawCheck>,
}

/// Who and what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPipeline {
    /// Its id, the name of its folder.
    #[schemars(with = "String", extend("pattern" = ID))]
    pub(crate) id: PipelineId,
    /// A title for people.
    pub(crate) title: String,
    /// Who answers for it.
    pub(crate) owner: String,
    /// 1 validation, 2 main migration, 3 final migration.
    #[schemars(with = "u8", extend("minimum" = 1, "maximum" = 3))]
    pub(crate) phase: Phase,
    /// The stage at which it starts; it moves by gates afterwards.
    pub(crate) stage: Stage,
    /// How much harm a wrong figure does.
    pub(crate) criticality: Criticality,
    /// `scope-1`, `scope-2`, `scope-3` or any other grouping.
    #[serde(default)]
    pub(crate) scope: Option<String>,
    /// Legacy assets that it keeps alive.
    #[serde(default)]
    pub(crate) legacy_assets: Vec<String>,
    /// Whether its differences set the exit code, whatever its stage is.
    #[serde(default)]
    pub(crate) enforce: Option<bool>,
}

/// A calculation, by what computes it.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "engine", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawCalculation {
    /// SQL over the declared inputs.
    Sql {
        /// SQL files beside the mapping. Each is a table named after its file without number and extension; the last
        /// is the result.
        models: Vec<String>,
        /// Where `dualrun load` keeps the rows of the models of the new side, period by period.
        #[serde(default)]
        store: Option<StoreDecl>,
    },
    /// An external job, typically Python. It gets period, switches and inputs through its environment.
    Command {
        /// The program and its arguments. It runs in the folder of the mapping; no shell stands between.
        command: Vec<String>,
        /// Its result; Parquet in the file that `DUALRUN_RESULT` names where not given.
        #[serde(default)]
        result: RawResultFile,
        /// How the fields of the result are read.
        #[serde(default)]
        shape: Shape,
        /// It is stopped after this time, for example `"90s"`, `"10m"` or `"2h"`.
        #[serde(default = "one_hour")]
        #[schemars(extend("pattern" = DURATION))]
        timeout: String,
        /// Variables of the environment that it is given besides `PATH`, `HOME` and `LANG`.
        #[serde(default)]
        env: Vec<String>,
        /// Files and folders that it consists of, besides those that its arguments name. A change of them is a
        /// change of the calculation.
        #[serde(default)]
        files: Vec<String>,
        /// The same calculation where the program is not there.
        #[serde(default)]
        embedded: Option<RawEmbedded>,
    },
    /// SQL that runs on a server of PostgreSQL.
    Postgres {
        /// A source named in `dualrun.toml`.
        source: String,
        /// A SQL file beside the mapping: one query. `$period_start` and other parameters are bound.
        query: String,
        /// The same calculation where the server is not there.
        #[serde(default)]
        embedded: Option<RawEmbedded>,
    },
    /// An aggregation pipeline that runs on a server of MongoDB.
    Mongodb {
        /// A source named in `dualrun.toml`.
        source: String,
        /// The collection that it starts from.
        collection: String,
        /// A file beside the mapping with its stages in Extended JSON; `{"$param": "period_start"}` stands for a value.
        pipeline: String,
        /// How the fields of its documents are read.
        #[serde(default)]
        shape: Shape,
        /// The same calculation where the server is not there.
        #[serde(default)]
        embedded: Option<RawEmbedded>,
    },
    /// Results that already stand in a source.
    Relation {
        /// A source named in `dualrun.toml`.
        source: String,
        /// A file or folder of a file source. `{day}`, `{month}` and parameters in braces are replaced.
        #[serde(default)]
        path: Option<String>,
        /// A collection of a document source, with the same replacements.
        #[serde(default)]
        collection: Option<String>,
        /// A table of a server, with the same replacements.
        #[serde(default)]
        table: Option<String>,
        /// How its fields are read.
        #[serde(default)]
        shape: Shape,
        /// The same calculation where the source is not there.
        #[serde(default)]
        embedded: Option<RawEmbedded>,
    },
}

/// The same calculation without a server and without a program of its own.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "engine", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawEmbedded {
    /// SQL over the declared inputs.
    Sql {
        /// SQL files beside the mapping; the last is the result.
        models: Vec<String>,
    },
}

/// The file that a job writes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawResultFile {
    /// How it is written.
    pub(crate) format: ResultFormat,
    /// Where the job writes it, relative to its folder; a temporary file where not given. `DUALRUN_RESULT` holds it
    /// in either case.
    #[serde(default)]
    pub(crate) path: Option<String>,
}

/// The pattern of time limits.
pub(crate) const DURATION: &str = "^[1-9][0-9]*(s|m|h)$";

fn one_hour() -> String {
    "1h".to_owned()
}

/// A data check.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCheck {
    /// The side whose result is checked.
    pub(crate) side: Side,
    /// A sentence for people.
    pub(crate) name: String,
    /// A query over the table `result` that counts what is wrong; must give 0.
    pub(crate) sql: String,
}

/// `methodology/*.toml`: one methodology change of dualrun.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dualrun methodology change")]
pub(crate) struct RawChange {
    /// The version of the format: 1.
    #[expect(dead_code, reason = "checked on the tree before the file is read")]
    pub(crate) version: u32,
    /// Its id.
    #[schemars(with = "String", extend("pattern" = ID))]
    pub(crate) id: ChangeId,
    /// A title for people.
    pub(crate) title: String,
    /// What kind of change it is.
    pub(crate) class: ChangeClass,
    /// Who proposed it; may not approve it.
    pub(crate) owner: String,
    /// The first result day to which it applies.
    #[schemars(with = "String", extend("format" = "date"))]
    pub(crate) effective: Date,
    /// From the effective date, or all periods.
    #[serde(default = "from_effective")]
    #[schemars(extend("default" = "from-effective"))]
    pub(crate) applies: Applies,
    /// Links and documents.
    #[serde(default)]
    pub(crate) reference: Vec<String>,
    /// Why.
    pub(crate) rationale: String,
    /// The pipelines that it concerns.
    pub(crate) pipelines: Vec<RawId>,
    /// How it is switched.
    #[serde(default)]
    pub(crate) switch: Vec<RawSwitch>,
    /// What it promises.
    #[serde(default)]
    pub(crate) expect: Vec<RawExpect>,
}

fn from_effective() -> Applies {
    Applies::FromEffective
}

/// The id of a pipeline.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(crate) struct RawId(#[schemars(with = "String", extend("pattern" = ID))] pub(crate) PipelineId);

/// One parameter that turns the change on and off.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSwitch {
    /// The pipelines in which it acts; all of the change where not given.
    #[serde(default)]
    pub(crate) pipelines: Option<Vec<RawId>>,
    /// `new`: the new calculation under the old method. `legacy`: a fix in the legacy calculation.
    #[serde(default = "new_side")]
    #[schemars(extend("default" = "new"))]
    pub(crate) side: Side,
    /// The parameter of that side's calculation.
    pub(crate) parameter: String,
    /// Its value without the change.
    pub(crate) legacy: RawValue,
    /// Its value with the change.
    pub(crate) new: RawValue,
}

fn new_side() -> Side {
    Side::New
}

/// The value of a parameter, before its type is known.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct RawValue(serde_json::Value);

impl RawValue {
    /// The value as text, to be read by the declared type.
    pub(crate) fn text(&self) -> String {
        match &self.0 {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl JsonSchema for RawValue {
    fn schema_name() -> Cow<'static, str> {
        "ParameterValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value of the type that the mapping declares for the parameter.",
            "type": ["string", "number", "boolean"],
        })
    }
}

/// What the change promises for one measure.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExpect {
    /// The pipelines that it speaks of; all of the change where not given.
    #[serde(default)]
    pub(crate) pipelines: Option<Vec<RawId>>,
    /// The measure.
    pub(crate) measure: String,
    /// Which way it moves the measure.
    #[serde(default = "either")]
    #[schemars(extend("default" = "either"))]
    pub(crate) direction: Direction,
    /// Bounds of the change's effect over the absolute legacy total, per customer.
    #[serde(default)]
    pub(crate) relative: Option<Bounds>,
    /// The rows that it may move, as a SQL condition over the result row.
    #[serde(default = "all_rows")]
    pub(crate) r#where: String,
}

fn either() -> Direction {
    Direction::Either
}

fn all_rows() -> String {
    "true".to_owned()
}
