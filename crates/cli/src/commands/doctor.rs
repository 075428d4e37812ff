//! `dualrun doctor`: is everything there that a night needs, and not more than it needs?

use dualrun_core::{
    ExitCode, Period,
    doctor::{Check, DoctorReport, Examined},
    input::{InputDecl, Role, Side},
};
use dualrun_engine::calculate::{self, Switches};
use dualrun_mapping::{
    plan::{Engine, Project},
    settings::{SourceKind, SourceSettings},
};
use dualrun_report::text;
use dualrun_sources::{Server, SourceError, mongo::ReadOptions, without_credentials};

use crate::{
    adapters,
    args::Global,
    commands::{limits::limits, yesterday},
    error::CliError,
    output::{Output, pasteable},
    project,
};

mod files;
mod lake;
mod mongo;
mod own;
mod postgres;

pub(crate) async fn run(global: &Global, output: &Output) -> Result<ExitCode, CliError> {
    let (files, loaded) = project::check(&global.project, &global.env)?;
    let Some(project) = loaded.project else {
        return Err(project::mistakes(&files, &loaded.diagnostics));
    };
    let root = &global.project;
    let mut examined = Vec::new();
    for (name, source) in &project.settings.source {
        let reads = reads_of(&project, name);
        let asked = asked_of(&project, name);
        let server = adapters::server(source, root);
        let limits = server.as_ref().ok().and_then(Option::as_ref).map(|server| limits(source, server));
        let (place, mut checks) = match server {
            Ok(None) => {
                let filled = asked.is_empty() && lake::fills(&project, name);
                files::source(source, &reads, filled, root).await
            }
            Ok(Some(Server::Postgres(options))) => postgres::examine(options, &reads, &asked).await,
            Ok(Some(Server::Mongo(options))) => {
                let max_lag = ReadOptions::gentle(&adapters::gentle(source)).max_lag;
                mongo::examine(options, max_lag, &reads, &asked).await
            }
            Err(error) => (without_credentials(&source.url), vec![refused("settings", &error)]),
        };
        checks.extend(limits.map(|limits| Check::ok("limits", limits.to_string())));
        if reads.is_empty() && asked.is_empty() {
            let advice = "take it out of dualrun.toml, or declare an input that reads it";
            checks.push(Check::warning("used", "no input and no calculation reads it", advice));
        }
        examined.push(Examined { name: format!("source {name}"), kind: kind(source).into(), place, checks });
    }
    examined.extend(lake::tables(&project, root).await);
    examined.push(own::state(&project.settings, root));
    examined.push(own::evidence(&project.settings, root).await);
    examined.push(own::spill(&project.settings, root));
    let report = DoctorReport::new(&project.settings.project.name, &global.env, examined);
    output.text_or_json(&report, |style| {
        let mut said = text::doctor(&report, style);
        if report.exit_code() == ExitCode::Agree {
            said.push_str(&format!("next: dualrun plan --project {}\n", pasteable(root)));
        }
        said
    })?;
    Ok(report.exit_code())
}

/// What an input reads of a source.
pub(crate) struct Read {
    /// The table, collection or path.
    place: String,
    /// The column of the time.
    time: Option<String>,
    /// The column by which loads tell what changed.
    watermark: Option<String>,
    /// Whether it grows with every day.
    activity: bool,
    /// Whether the legacy side reads it.
    legacy: bool,
}

/// A calculation that a source makes, or holds the results of, and what it is given for the last period.
pub(crate) struct Asked<'a> {
    engine: &'a Engine,
    parameters: Switches,
}

fn asked_of<'a>(project: &'a Project, source: &str) -> Vec<Asked<'a>> {
    let both = project.pipelines.iter().flat_map(|pipeline| Side::BOTH.map(|side| (pipeline, side)));
    both.filter_map(|(pipeline, side)| {
        let engine = &pipeline.calculation(side).engine;
        engine.source().filter(|name| *name == source)?;
        let period = Period::containing(yesterday(), pipeline.result.period.unit);
        let switches = pipeline.switch_values(&project.changes_of(&pipeline.id), &|_| true, side);
        // A period of today has bounds.
        let parameters = calculate::parameters(pipeline, period, &switches).unwrap_or(switches);
        Some(Asked { engine, parameters })
    })
    .collect()
}

fn reads_of(project: &Project, source: &str) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    let inputs = project.pipelines.iter().flat_map(|pipeline| &pipeline.inputs);
    for (input, side) in inputs.flat_map(|input| Side::BOTH.map(|side| (input, side))) {
        let Some(place) = input.on(side).filter(|place| place.source == source) else { continue };
        let known = reads.iter_mut().find(|read| read.place == place.place() && read.time == input.time);
        match known {
            Some(read) => {
                read.legacy |= side == Side::Legacy;
                read.watermark = read.watermark.take().or_else(|| watermark(input, side));
                read.activity |= input.role == Role::Activity;
            }
            None => reads.push(Read {
                place: place.place().to_owned(),
                time: input.time.clone(),
                watermark: watermark(input, side),
                activity: input.role == Role::Activity,
                legacy: side == Side::Legacy,
            }),
        }
    }
    reads
}

/// What could not be looked at.
fn refused(name: impl Into<String>, error: &SourceError) -> Check {
    Check::error(name, error.to_string(), error.hint(), error.exit_code())
}

/// The column that loads ask for on the side that they copy, unless it is that of the time.
fn watermark(input: &InputDecl, side: Side) -> Option<String> {
    let load = input.load.as_ref().filter(|_| side == Side::Legacy)?;
    load.watermark.clone().filter(|column| input.time.as_ref() != Some(column))
}

fn kind(source: &SourceSettings) -> &'static str {
    match source.kind {
        SourceKind::BsonDump => "BSON dump",
        SourceKind::JsonLines => "JSON lines",
        SourceKind::Csv => "CSV",
        SourceKind::Parquet => "Parquet",
        SourceKind::Postgres => "PostgreSQL",
        SourceKind::Mongodb => "MongoDB",
    }
}

/// Clocks that differ by more move facts into another night.
const SKEW: i64 = 2_000;

/// Where the clock of a server stands, in milliseconds ahead of ours.
fn clock(ahead: Option<i64>) -> Check {
    let Some(ahead) = ahead else { return Check::unknown("clock", "the server does not tell its time") };
    let seconds = ahead.unsigned_abs() as f64 / 1000.0;
    let word = if ahead < 0 { "behind" } else { "ahead" };
    if ahead.abs() <= SKEW {
        return Check::ok("clock", format!("as here, within {:.0} s", SKEW as f64 / 1000.0));
    }
    let advice = "let both machines follow the same time servers (NTP)";
    Check::warning("clock", format!("{seconds:.1} s {word} of the one here"), advice)
}

/// That the time of an input is not declared, where that means to read more every night.
fn no_time(read: &Read) -> Option<Check> {
    (read.activity && read.time.is_none()).then(|| {
        let advice = "declare the column of its time as `time` of the input: only the period is read then";
        Check::warning(
            format!("index on {}", read.place),
            "no time is declared: all of it is read for each period",
            advice,
        )
    })
}
