//! Why a run, a night or a comparison could not be carried out.

use dualrun_core::{ExitCode, PeriodError, PipelineId, input::Side};

/// The errors of the engine. `Display` says the step that failed; the cause is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The project has no such pipeline.
    #[error("no pipeline {0}")]
    UnknownPipeline(PipelineId),
    /// The period does not suit the pipeline.
    #[error("pipeline {pipeline} has results by {expected}, {period} is not one")]
    PeriodUnit {
        /// The pipeline.
        pipeline: PipelineId,
        /// `day` or `month`.
        expected: &'static str,
        /// What was asked for.
        period: String,
    },
    /// The night lies before the end of the period: its results cannot be complete.
    #[error("{period} is not over as of {as_of}")]
    NotOver {
        /// The period.
        period: String,
        /// The night.
        as_of: jiff::civil::Date,
    },
    /// A time zone or the ends of the calendar.
    #[error("the period has no bounds")]
    Period(#[from] PeriodError),
    /// An input could not be read.
    #[error("input {input} of the {side} side")]
    Input {
        /// The input's name.
        input: String,
        /// The side.
        side: Side,
        /// Why.
        #[source]
        source: dualrun_sources::SourceError,
    },
    /// The servers of a run could not be opened in one state each.
    #[error("the servers of {pipeline}")]
    Servers {
        /// The pipeline.
        pipeline: PipelineId,
        /// Why.
        #[source]
        source: dualrun_sources::SourceError,
    },
    /// A relation of `diff` could not be read.
    #[error("cannot read {relation}")]
    Relation {
        /// As it was given, without secrets.
        relation: String,
        /// Why.
        #[source]
        source: dualrun_sources::SourceError,
    },
    /// A model could not be planned: a mistake in the SQL or a column that does not exist.
    #[error("{file}: the model does not fit its inputs")]
    Model {
        /// The SQL file.
        file: String,
        /// Why.
        #[source]
        source: datafusion::error::DataFusionError,
    },
    /// A model failed while it ran.
    #[error("{file}: the model failed")]
    Calculate {
        /// The SQL file.
        file: String,
        /// Why.
        #[source]
        source: datafusion::error::DataFusionError,
    },
    /// A calculation outside of the query engine failed.
    #[error("the {engine} of the {side} side")]
    Outside {
        /// What computes it, as the mapping calls it.
        engine: &'static str,
        /// The side.
        side: Side,
        /// Why.
        #[source]
        source: dualrun_sources::SourceError,
    },
    /// A data check could not be planned or run.
    #[error("data check {name:?} on the {side} side")]
    Check {
        /// Its name.
        name: String,
        /// Its side.
        side: Side,
        /// Why.
        #[source]
        source: datafusion::error::DataFusionError,
    },
    /// The limits of the project make no sense, or the spill folder cannot be used.
    #[error("limits of the project: {0}")]
    Limits(String),
    /// The results cannot be aligned or compared.
    #[error("results of {pipeline}")]
    Compare {
        /// The pipeline; `diff` for two relations.
        pipeline: String,
        /// Why.
        #[source]
        source: dualrun_compare::CompareError,
    },
    /// The condition of a promise does not fit the result.
    #[error("the `where` of a promise of {change} does not fit the result")]
    Condition {
        /// The change.
        change: String,
        /// Why.
        #[source]
        source: datafusion::error::DataFusionError,
    },
    /// A decision asks for a replay that the evidence of the run does not hold.
    #[error("no stored {side} result with [{on}] switched on")]
    MissingReplay {
        /// The side.
        side: Side,
        /// The changes.
        on: String,
    },
    /// The period column holds text that is neither a day nor a month.
    #[error("period column {column} of the {side} side holds text that is no day and no month")]
    PeriodColumn {
        /// The column.
        column: String,
        /// The side.
        side: Side,
    },
    /// An input lacks what its fence compares.
    #[error("input {input} of the {side} side cannot be fenced")]
    Fence {
        /// The input's name.
        input: String,
        /// The side.
        side: Side,
        /// Why.
        #[source]
        source: dualrun_compare::CompareError,
    },
    /// The differences cannot be explained.
    #[error("differences of {pipeline}")]
    Explain {
        /// The pipeline.
        pipeline: String,
        /// Why.
        #[source]
        source: dualrun_explain::ExplainError,
    },
    /// The object store refused or is away.
    #[error("evidence {path}")]
    Evidence {
        /// The object.
        path: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// Evidence that is not what its manifest says.
    #[error("evidence {path} {what}")]
    EvidenceBroken {
        /// The object.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// The state database refused or is away.
    #[error("state database")]
    State(#[from] dualrun_state::StateError),
    /// A table of the lake could not be written.
    #[error("table {table}")]
    Lake {
        /// Its source and folder.
        table: String,
        /// Why.
        #[source]
        source: Box<dualrun_lake::LakeError>,
    },
    /// The load that a run begins with failed.
    #[error("the load of {what}")]
    Load {
        /// The table, or whose models.
        what: String,
        /// Why.
        #[source]
        source: Box<EngineError>,
    },
    /// Another process loads a table that a run was to load.
    #[error("another process loads {table}")]
    Held {
        /// The table.
        table: String,
    },
    /// A copy that nothing was loaded into.
    #[error("nothing was loaded into {table} yet")]
    NotLoaded {
        /// The table.
        table: String,
    },
    /// Two pipelines fill one table in different ways.
    #[error("the pipelines {first} and {second} load {table} in different ways")]
    TwoLoads {
        /// The table.
        table: String,
        /// A pipeline.
        first: String,
        /// Another one.
        second: String,
    },
    /// Some days of a table that has no partition for each.
    #[error("single days of {table} cannot be loaded: it has no partition for each")]
    NotByDay {
        /// The table.
        table: String,
    },
    /// An overlap that does not go with the type of its watermark.
    #[error("the overlap of {table} is not one of its watermark")]
    Overlap {
        /// The table.
        table: String,
    },
    /// All rows of a copy would go.
    #[error("the legacy place of {table} is empty, and its copy has {rows} rows of it")]
    EmptySource {
        /// The table.
        table: String,
        /// The rows of the copy that would go.
        rows: u64,
    },
    /// A policy refused.
    #[error(transparent)]
    Tracker(#[from] dualrun_tracker::TrackerError),
    /// No run of this id.
    #[error("no run {0}")]
    UnknownRun(String),
    /// No change of this id.
    #[error("no methodology change {0}")]
    UnknownChange(String),
    /// A figure of a report does not add up: a defect of dualrun, never of the data.
    #[error("the run does not conserve its rows: {0}")]
    NotConserved(String),
    /// Relations of any size could not be compared.
    #[error("the comparison failed")]
    Stream(#[source] dualrun_stream::StreamError),
    /// A task of the runtime ended without an answer.
    #[error("a task was cancelled")]
    Cancelled,
}

impl EngineError {
    /// A table of the lake that could not be written.
    pub(crate) fn lake(table: &str, source: impl Into<dualrun_lake::LakeError>) -> Self {
        Self::Lake { table: table.to_owned(), source: Box::new(source.into()) }
    }

    /// Whether another process was faster, which is no failure.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Lake { source, .. } if matches!(**source, dualrun_lake::LakeError::Lost { .. }))
    }

    /// What the process should answer.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input { source, .. }
            | Self::Servers { source, .. }
            | Self::Relation { source, .. }
            | Self::Outside { source, .. } => source.exit_code(),
            Self::Compare { source, .. } => source.exit_code(),
            Self::Stream(source) => source.exit_code(),
            Self::Calculate { source, .. } if of_source(source).is_some() => {
                of_source(source).map_or(ExitCode::Infrastructure, dualrun_sources::SourceError::exit_code)
            }
            Self::Lake { source, .. } => source.exit_code(),
            Self::Load { source, .. } => source.exit_code(),
            Self::Held { .. } => ExitCode::Nothing,
            Self::Calculate { source, .. } if infrastructure(source) => ExitCode::Infrastructure,
            Self::Evidence { .. } | Self::EvidenceBroken { .. } | Self::NotConserved(_) | Self::Cancelled => {
                ExitCode::Infrastructure
            }
            Self::State(source) => source.exit_code(),
            Self::Tracker(_)
            | Self::NotLoaded { .. }
            | Self::TwoLoads { .. }
            | Self::NotByDay { .. }
            | Self::Overlap { .. }
            | Self::EmptySource { .. }
            | Self::UnknownPipeline(_)
            | Self::PeriodUnit { .. }
            | Self::NotOver { .. }
            | Self::Fence { .. }
            | Self::PeriodColumn { .. }
            | Self::Calculate { .. }
            | Self::Period(_)
            | Self::Model { .. }
            | Self::Check { .. }
            | Self::Limits(_)
            | Self::Explain { .. }
            | Self::Condition { .. }
            | Self::MissingReplay { .. }
            | Self::UnknownRun(_)
            | Self::UnknownChange(_) => ExitCode::Usage,
        }
    }

    /// What was being read of a server when it or the way to it broke off; none of other errors.
    pub(crate) fn broke_off(&self) -> Option<&str> {
        match self {
            Self::Input { input, source, .. } if source.broke_off() => Some(input),
            Self::Servers { pipeline, source } if source.broke_off() => Some(pipeline.as_str()),
            Self::Outside { source, .. } if source.broke_off() => Some("the calculation"),
            Self::Load { source, .. } => source.broke_off(),
            _ => None,
        }
    }

    /// Whether the same command may succeed later without any change.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Input { source, .. }
            | Self::Servers { source, .. }
            | Self::Relation { source, .. }
            | Self::Outside { source, .. } => source.retryable(),
            Self::Stream(source) => source.retryable(),
            Self::Lake { source, .. } => source.retryable(),
            Self::Load { source, .. } => source.retryable(),
            Self::Held { .. } => true,
            Self::State(source) => source.retryable(),
            Self::Evidence { source, .. } => !refused(source),
            Self::Cancelled => true,
            Self::Calculate { source, .. } => {
                of_source(source).is_some_and(dualrun_sources::SourceError::retryable)
            }
            _ => false,
        }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input { source, .. }
            | Self::Servers { source, .. }
            | Self::Relation { source, .. }
            | Self::Outside { source, .. } => source.hint(),
            Self::Compare { source, .. } => source.hint(),
            Self::Stream(source) => source.hint(),
            Self::Lake { source, .. } => source.hint(),
            Self::Load { source, .. } => source.hint(),
            Self::Held { .. } => Some("wait for it; the same command tries again".into()),
            Self::NotLoaded { .. } => {
                Some("`dualrun load` fills it; with `--load`, `run` and `nightly` do so first".into())
            }
            Self::TwoLoads { .. } => Some(
                "give their inputs the same `load`, `key`, `time` and `shape`, or tables of their own".into(),
            ),
            Self::NotByDay { .. } => {
                Some("write `day={day}/` (or `month={month}/`, unless the legacy files lie by day) at the end of the path of `new`".into())
            }
            Self::Overlap { .. } => {
                Some("times have an overlap such as `\"1h\"`, numbers one such as `\"1000\"`".into())
            }
            Self::EmptySource { .. } => Some(
                "is it the right database? to begin with an empty copy, delete the folder of the table"
                    .into(),
            ),
            Self::State(source) => source.hint(),
            Self::Tracker(source) => source.hint(),
            Self::Explain { source, .. } => source.hint(),
            Self::UnknownPipeline(_) => Some("`dualrun status` lists the pipelines".into()),
            Self::UnknownRun(_) => {
                Some("`dualrun status --format json` lists the latest run of each pipeline".into())
            }
            Self::UnknownChange(_) => Some("`dualrun review list` lists the changes".into()),
            Self::PeriodColumn { .. } => Some(
                "write days as 2025-03-01 and months as 2025-03, or name another column in [result] period"
                    .into(),
            ),
            Self::Fence { .. } => Some(
                "`key`, `columns` and `customer` of the input name columns of its files; see its `shape`"
                    .into(),
            ),
            Self::PeriodUnit { expected: "month", .. } => Some("write the month as 2025-03".into()),
            Self::PeriodUnit { .. } => Some("write the day as 2025-03-01".into()),
            Self::NotOver { .. } => Some("name a later night with --as-of, or an earlier period".into()),
            Self::Calculate { source, .. } if of_source(source).is_some() => {
                of_source(source).and_then(dualrun_sources::SourceError::hint)
            }
            Self::Calculate { source, .. } if exhausted(source) => {
                Some("raise `limits.memory`, or give `limits.spill` more space".into())
            }
            Self::Evidence { source, .. } if refused(source) => Some(
                "the credentials of `store` need the rights to list, read, write and delete there".into(),
            ),
            Self::Evidence { .. } => Some(
                "check that `store.url` can be reached and written to; the same command continues".into(),
            ),
            Self::MissingReplay { .. } => Some(
                "run the period again as of today: the new run calculates what the decision needs".into(),
            ),
            Self::EvidenceBroken { .. } => Some(
                "delete the folder of this run, then run its period and night again: it is calculated anew"
                    .into(),
            ),
            _ => None,
        }
    }

    /// The stage of the run that failed, for the report.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Input { .. } | Self::Servers { .. } | Self::Relation { .. } | Self::Fence { .. } => "fence",
            Self::Model { .. }
            | Self::Calculate { .. }
            | Self::Outside { .. }
            | Self::Check { .. }
            | Self::Limits(_) => "calculate",
            Self::PeriodColumn { .. } | Self::Compare { .. } | Self::Stream(_) | Self::NotConserved(_) => {
                "compare"
            }
            Self::Explain { .. } | Self::Condition { .. } | Self::MissingReplay { .. } => "explain",
            Self::Evidence { .. } | Self::EvidenceBroken { .. } | Self::State(_) => "record",
            Self::Load { .. }
            | Self::Held { .. }
            | Self::NotLoaded { .. }
            | Self::TwoLoads { .. }
            | Self::Lake { .. }
            | Self::NotByDay { .. }
            | Self::Overlap { .. }
            | Self::EmptySource { .. } => "load",
            _ => "plan",
        }
    }

    /// The chain of causes in one line, outermost first.
    pub fn chain(&self) -> String {
        dualrun_core::chain(self)
    }
}

/// Whether a store refuses, now and later, what was asked of it.
fn refused(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    )
}

/// Memory, disk or network: not the fault of the model or of its data.
fn infrastructure(error: &datafusion::error::DataFusionError) -> bool {
    use datafusion::error::DataFusionError as E;
    matches!(error.find_root(), E::ResourcesExhausted(_) | E::IoError(_) | E::ObjectStore(_))
}

/// What a server said while a model read it.
fn of_source(error: &datafusion::error::DataFusionError) -> Option<&dualrun_sources::SourceError> {
    match error.find_root() {
        datafusion::error::DataFusionError::External(cause) => cause.downcast_ref(),
        _ => None,
    }
}

fn exhausted(error: &datafusion::error::DataFusionError) -> bool {
    matches!(error.find_root(), datafusion::error::DataFusionError::ResourcesExhausted(_))
}
