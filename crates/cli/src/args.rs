//! The command line as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dualrun_core::{ChangeId, Period, PipelineId, RunId};
use jiff::civil::Date;

/// Runs a legacy calculation and its replacement side by side, compares the results per customer, and tells
/// intended change from migration bug.
#[derive(Debug, Parser)]
#[command(name = "dualrun", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   the sides agree
  1   unexplained differences, or a failed data check
  2   wrong usage or configuration
  3   infrastructure; a retry may help
  4   inputs not comparable
  5   a methodology change waits for review
  99  nothing to do, or another process holds the run
  130 and 143  ended by SIGINT or SIGTERM

Try `dualrun demo` first: it needs no server.";

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The folder of dualrun.toml
    #[arg(long, global = true, default_value = ".", value_name = "DIR", env = "DUALRUN_PROJECT")]
    pub(crate) project: PathBuf,
    /// The environment: `[env.NAME]` of dualrun.toml is laid over the rest
    #[arg(long, global = true, default_value = "default", value_name = "NAME", env = "DUALRUN_ENV")]
    pub(crate) env: String,
    /// How data is printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// No progress and no notes on standard error
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// Markdown, of readiness only
    Md,
    /// One self-contained page, of status and readiness only
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay a migration on the reference project, night by night
    Demo(DemoArgs),
    /// Make a new project to start from
    Init(InitArgs),
    /// Check every mapping and methodology file
    Validate,
    /// Show what would run, against what, how often, and with what load on the servers
    Plan(PlanArgs),
    /// Look at every source, the state and the evidence: reachable, rights, room, what to do
    Doctor,
    /// Copy what changed at the legacy places of inputs to their new ones, and keep the models that this reaches
    Load(LoadArgs),
    /// Run one pipeline for one period
    Run(RunArgs),
    /// Run all pipelines that are due
    Nightly(NightlyArgs),
    /// Compare any two relations, with no project at all
    Diff(DiffArgs),
    /// Show the bridge and the findings of a run
    Explain(ExplainArgs),
    /// Decide about methodology changes
    Review(ReviewArgs),
    /// Show phases, pipelines, streaks and what blocks
    Status(StatusArgs),
    /// Write the decommissioning readiness report
    Readiness(ReadinessArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the demo project and its reports go
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    pub(crate) out: PathBuf,
    /// How many nights to replay, from the first on
    #[arg(long, value_name = "N")]
    pub(crate) nights: Option<u32>,
    /// The seed of the invented inputs
    #[arg(long, value_name = "N", default_value_t = 2025)]
    pub(crate) seed: u64,
    /// Only lay out the project with its inputs, and run nothing
    #[arg(long)]
    pub(crate) inputs_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// A folder that does not exist yet, or is empty
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The day whose results would be looked at; yesterday where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) period: Option<Date>,
    /// Ask no server: their load is then not known
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Only the inputs and models of this pipeline; may be repeated
    #[arg(long, short, value_name = "ID")]
    pub(crate) pipeline: Vec<PipelineId>,
    /// Only this day (2025-03-01) or month (2025-03): its partitions are read whole, and the watermark stays
    #[arg(long, value_name = "DAY|MONTH", conflicts_with = "full")]
    pub(crate) period: Option<Period>,
    /// Read everything, whatever the watermark; rows that are gone at the source go from the copy
    #[arg(long)]
    pub(crate) full: bool,
    /// Also write the result as JSON to this file, of a failure too; not after SIGINT or SIGTERM
    #[arg(long, value_name = "FILE")]
    pub(crate) result_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The pipeline
    #[arg(long, short, value_name = "ID")]
    pub(crate) pipeline: PipelineId,
    /// A day (2025-03-01) or a month (2025-03)
    #[arg(long, value_name = "DAY|MONTH")]
    pub(crate) period: Period,
    /// The night that the run belongs to; today where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) as_of: Option<Date>,
    /// Calculate one side only and show its totals; nothing is compared or recorded
    #[arg(long, value_enum, default_value_t = SideArg::Both)]
    pub(crate) side: SideArg,
    /// Split the differences over the changes even where that takes many replays
    #[arg(long)]
    pub(crate) split: bool,
    /// First load what changed, as `dualrun load` does, in the very state of the servers that the run then reads
    #[arg(long)]
    pub(crate) load: bool,
    /// Also write the report as JSON to this file, of a failure too; not after SIGINT or SIGTERM
    #[arg(long, value_name = "FILE")]
    pub(crate) result_file: Option<PathBuf>,
}

/// Which side to calculate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SideArg {
    /// The original platform
    Legacy,
    /// The lakehouse
    New,
    /// Both, compared and recorded
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct NightlyArgs {
    /// The day whose results are looked at; yesterday where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) period: Option<Date>,
    /// The night itself; today where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) as_of: Option<Date>,
    /// Only this pipeline; may be repeated
    #[arg(long, short, value_name = "ID")]
    pub(crate) pipeline: Vec<PipelineId>,
    /// Every run first loads what changed, as `dualrun load` does, in the very state of the servers that it then reads
    #[arg(long)]
    pub(crate) load: bool,
    /// Also write the result as JSON to this file, of a failure too; not after SIGINT or SIGTERM
    #[arg(long, value_name = "FILE")]
    pub(crate) result_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A file or folder of Parquet, CSV, BSON or JSON lines, s3://bucket/path, postgres://…/database#schema.table or
    /// mongodb://…/database#collection
    ///
    /// `${NAME}` in the URL of a server stands for the environment variable NAME: a password on the command line can be
    /// seen by everybody on the machine. Write it in single quotes.
    #[arg(value_name = "LEGACY")]
    pub(crate) legacy: String,
    /// The same for the new side
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// The columns that make a row unique
    #[arg(long, value_name = "A,B", value_delimiter = ',', required_unless_present = "mapping")]
    pub(crate) key: Vec<String>,
    /// The column that names the customer
    ///
    /// Where it is no part of the key, a row that both sides have counts for the customer that the legacy side names.
    #[arg(long, value_name = "C")]
    pub(crate) customer: Option<String>,
    /// The absolute difference that is allowed in every numeric column
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) abs: f64,
    /// The difference that is allowed as a share of the larger value
    #[arg(long, value_name = "Y", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) rel: f64,
    /// Take key, customer, columns, tolerances and normalisations from a mapping file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "customer", "abs", "rel"])]
    pub(crate) mapping: Option<PathBuf>,
    /// Write all differences to this Parquet file, and all customers to FILE with `.customers.parquet`
    #[arg(long, value_name = "FILE")]
    pub(crate) differences: Option<PathBuf>,
    /// Write no more rows of differences than this; counts and sums stay complete
    #[arg(long, value_name = "N", requires = "differences")]
    pub(crate) max_differences: Option<u64>,
    /// Memory that the comparison may take where the sides are not sorted by the key
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory)]
    pub(crate) memory: u64,
    /// The folder for rows that exceed the memory [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) spill: Option<PathBuf>,
    /// Threads that read and compare [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Also write the report as JSON to this file, of a failure too; not after SIGINT or SIGTERM
    #[arg(long, value_name = "FILE")]
    pub(crate) result_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The id of a run; the latest run of a pipeline where its id is given
    #[arg(value_name = "RUN|PIPELINE")]
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    #[command(subcommand)]
    pub(crate) action: ReviewAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewAction {
    /// All methodology changes and where they stand
    List,
    /// One change: what it promises, what it moved, who decided
    Show {
        /// The change
        #[arg(value_name = "CHANGE")]
        change: ChangeId,
    },
    /// Accept a change in its present form
    Approve(DecideArgs),
    /// Refuse a change: what it moves counts as unexplained
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The change
    #[arg(value_name = "CHANGE")]
    pub(crate) change: ChangeId,
    /// Who decides; not the owner of the change
    #[arg(long, value_name = "NAME", env = "DUALRUN_REVIEWER")]
    pub(crate) reviewer: String,
    /// Why; kept with the decision
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The night as of which to tell; the latest recorded night where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) as_of: Option<Date>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReadinessArgs {
    /// The night as of which to tell; the latest recorded night where not given
    #[arg(long, value_name = "DAY")]
    pub(crate) as_of: Option<Date>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `dualrun explain` was asked for.
pub(crate) enum RunOrPipeline {
    Run(RunId),
    Pipeline(PipelineId),
}

impl ExplainArgs {
    /// A UUID is a run, anything else a pipeline.
    pub(crate) fn target(&self) -> Result<RunOrPipeline, dualrun_core::IdError> {
        match self.run.parse() {
            Ok(run) => Ok(RunOrPipeline::Run(run)),
            Err(_) => self.run.parse().map(RunOrPipeline::Pipeline),
        }
    }
}

/// Bytes of a text such as `512MiB`, `2GB` or `1000000`.
fn memory(text: &str) -> Result<u64, String> {
    let bytes = dualrun_engine::calculate::memory_size(text).and_then(|bytes| u64::try_from(bytes).ok());
    bytes
        .filter(|bytes| *bytes >= 16 << 20)
        .ok_or_else(|| "at least 16MiB, written as 512MiB or 2GB".to_owned())
}
