//! What would run, and with what load on the servers, for a terminal.

use std::fmt::Write;

use dualrun_core::{
    load::{LoadMode, Watermark},
    plan::{Certainty, PlanReport, PlannedLoad, PlannedRun, ReadLoad, ServerLoad, Way},
};

use super::{
    numbers::{count, counted},
    wrap::{paragraph, plain},
};
use crate::style::Style;

/// The runs of a night, what each reads, and what each server bears.
pub fn plan(report: &PlanReport, style: Style) -> String {
    let mut text = format!("results of {}: {}\n", report.period, counted(report.runs.len() as u64, "run"));
    for planned in &report.runs {
        run(planned, &mut text, style);
    }
    if !report.loads.is_empty() {
        let what = "loads, before the runs with --load or by dualrun load";
        let _ = writeln!(text, "\n{}", style.bold(what));
    }
    for planned in &report.loads {
        copy(planned, &mut text, style);
    }
    if !report.servers.is_empty() {
        let what = if report.loads.is_empty() { "" } else { ", without the loads" };
        let _ = writeln!(text, "\n{}{what}", style.bold("load on the servers"));
    }
    for load in &report.servers {
        server(load, &mut text, style);
    }
    text
}

fn run(run: &PlannedRun, text: &mut String, style: Style) {
    let _ = writeln!(
        text,
        "\n{} {}: {}, {} calculations, {} changes in force{}",
        style.bold(run.pipeline.as_str()),
        run.period,
        run.often,
        run.calculations,
        run.changes_in_force,
        if run.enforced { "" } else { ", does not count for the exit code" }
    );
    for read in &run.reads {
        let more = match read.places.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let first = read.places.first().map(String::as_str).unwrap_or_default();
        let _ =
            writeln!(text, "  {:<6} {:<20} {}{more}", read.side.as_str(), plain(&read.input), plain(first));
        if let Some(load) = &read.load {
            text.push_str(&paragraph(&cost(load), 30, 32));
        }
    }
    for ask in &run.asks {
        let times = if ask.times == 1 { String::new() } else { format!(", {} times", ask.times) };
        let what = format!("by {}", ask.engine);
        let place = format!("{} on {}{times}", plain(&ask.place), plain(&ask.source));
        let _ = writeln!(text, "  {:<6} {what:<20} {place}", ask.side.as_str());
        text.push_str(&paragraph(&cost(&ask.load), 30, 32));
    }
    for note in &run.notes {
        text.push_str(&paragraph(&format!("note: {}", plain(note)), 2, 4));
    }
}

/// One copy.
fn copy(load: &PlannedLoad, text: &mut String, style: Style) {
    let _ = writeln!(text, "  {}  from {}", style.bold(&plain(&load.table)), plain(&load.place));
    let mut lines = Vec::new();
    let last = load.last.map_or_else(
        || "never loaded".to_owned(),
        |at| {
            let rows = counted(load.rows_now, "row");
            format!("last loaded as of {at}: {rows} in {}", counted(load.partitions_now, "partition"))
        },
    );
    match (load.mode, &load.watermark) {
        (None, _) => {}
        (Some(LoadMode::Incremental), Some(Watermark { column, from: Some(from), to: Some(to) })) => {
            lines.push(format!("what changed, {column} from {from} on; {to} was seen; {last}"));
        }
        (Some(LoadMode::Incremental), _) => lines.push(format!("what changed; {last}")),
        (Some(LoadMode::Full), _) => lines.push(format!("everything; {last}")),
        (Some(LoadMode::Period), _) => lines.push(format!("some days, whole; {last}")),
    }
    match &load.load {
        Some(read) => lines.push(cost(read)),
        None if load.mode.is_some() => lines.push("files, which are read whole".to_owned()),
        None => {}
    }
    match &load.partitions {
        None if load.mode.is_some() => lines.push("the rows that come tell the partitions".to_owned()),
        Some(folders) if folders.len() > 1 => {
            let (first, last) = (folders.first(), folders.last());
            let name = |folder: Option<&String>| folder.map(|f| plain(f)).unwrap_or_default();
            let partitions = counted(folders.len() as u64, "partition");
            lines.push(format!("{partitions} looked at whole, {} to {}", name(first), name(last)));
        }
        Some(folders) if folders.iter().any(|folder| !folder.is_empty()) => {
            lines.push(format!("looked at whole: {}", plain(&folders.join(", "))));
        }
        _ => {}
    }
    lines.extend(load.notes.iter().map(|note| plain(note)));
    for line in lines {
        text.push_str(&paragraph(&line, 4, 6));
    }
}

/// What a reading costs, in a line.
fn cost(load: &ReadLoad) -> String {
    let mut parts = Vec::new();
    if let Some(rows) = load.rows {
        let sure = match load.rows_are {
            Certainty::Counted => "",
            Certainty::AtMost => "at most about ",
            Certainty::Estimated | Certainty::Unknown => "about ",
        };
        let bytes = load.bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
        parts.push(format!("{sure}{}{bytes}", counted(rows, "row")));
    } else if load.way.is_some() {
        parts.push("rows not known".to_owned());
    } else {
        parts.push("load not known".to_owned());
    }
    if !load.access.is_empty() {
        parts.push(load.access.join(", "));
    }
    if let Some(way) = load.way {
        let queries = match load.queries {
            Some(1) => "1 query".to_owned(),
            Some(n) => format!("{} queries or more", count(n)),
            None => "queries".to_owned(),
        };
        let by = match way {
            Way::OneQuery => "",
            Way::Cursor => " by a cursor",
            Way::Pages => " by pages",
            Way::ById => " by _id",
        };
        parts.push(format!("{queries}{by}"));
        parts.push(counted(u64::from(load.connections), "connection"));
    }
    if let Some(seconds) = load.seconds {
        parts.push(format!("{} at the ceiling", duration(seconds)));
    }
    if let Some(note) = &load.note {
        parts.push(plain(note));
    }
    parts.join("; ")
}

fn server(load: &ServerLoad, text: &mut String, style: Style) {
    let _ = writeln!(text, "  {}  {}", style.bold(&plain(&load.source)), plain(&load.place));
    let mut lines = Vec::new();
    if let Some(server) = &load.server {
        lines.push(plain(server));
    }
    if let Some(note) = &load.note {
        lines.push(plain(note));
    }
    let known = load.readings - load.unknown.min(load.readings);
    let mut sum = counted(load.readings, "reading");
    if known > 0 {
        let _ = write!(sum, ": about {}, {}", counted(load.rows, "row"), size(load.bytes));
    }
    if load.unknown > 0 {
        let _ = write!(sum, ", {} of them not known", count(load.unknown));
    }
    if load.full_scans > 0 {
        let _ = write!(sum, ", {}", counted(load.full_scans, "full scan"));
    }
    if load.connections > 0 {
        let _ =
            write!(sum, "; one reading at a time, {}", counted(u64::from(load.connections), "connection"));
    }
    if let Some(seconds) = load.seconds {
        let _ = write!(sum, "; {} at the ceiling", duration(seconds));
    }
    lines.push(sum);
    lines.push(load.limits.to_string());
    for line in lines {
        text.push_str(&paragraph(&line, 4, 6));
    }
}

/// Bytes in the largest unit that leaves a whole part.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use dualrun_core::{
        input::Side,
        load::Mark,
        plan::{PlannedAsk, PlannedRead, ServerLimits},
    };

    use super::*;

    fn load(rows: u64, way: Way, access: &str) -> ReadLoad {
        ReadLoad {
            rows: Some(rows),
            rows_are: Certainty::Estimated,
            bytes: Some(rows * 72),
            way: Some(way),
            queries: Some(if way == Way::OneQuery { 1 } else { 12 }),
            connections: 2,
            full_scan: Some(access.starts_with("full")),
            access: vec![access.to_owned()],
            note: None,
            ..ReadLoad::unknown("")
        }
        .at(Some(20_000))
    }

    #[test]
    fn every_reading_and_what_a_server_bears() {
        let usage = load(1_234_567, Way::Pages, "full scan of usage");
        let query = load(310, Way::OneQuery, "index usage_day");
        let read = |input: &str, side, place: &str, load| PlannedRead {
            input: input.to_owned(),
            side,
            source: "core".to_owned(),
            places: vec![place.to_owned()],
            load,
        };
        let mut server = ServerLoad {
            source: "core".into(),
            kind: "PostgreSQL".into(),
            place: "postgres://db.example/core".into(),
            reached: true,
            server: Some("PostgreSQL 17.2, a replica, 3 s behind its primary".into()),
            limits: ServerLimits {
                max_rows_per_second: Some(20_000),
                max_connections: 4,
                query_time: "2min".into(),
                chunk_time: "2s".into(),
                max_lag: Some("30s".into()),
                lag_wait: "5min".into(),
                read_from: None,
            },
            ..ServerLoad::default()
        };
        server.add(&usage, 1);
        server.add(&query, 4);
        let mut away = ServerLoad {
            source: "old_mongo".into(),
            kind: "MongoDB".into(),
            place: "mongodb://***@10.0.0.1/core".into(),
            note: Some(
                "not reached, its load is not known: the server cannot be reached: connection refused".into(),
            ),
            limits: ServerLimits { read_from: Some("secondary_preferred".into()), ..server.limits.clone() },
            ..ServerLoad::default()
        };
        let nothing = ReadLoad::unknown("the server could not be asked");
        away.add(&nothing, 1);
        let run = PlannedRun {
            pipeline: "cloud-compute".parse().unwrap(),
            period: "2025-03-01".parse().unwrap(),
            enforced: true,
            often: "every night".into(),
            looks_back: 1,
            changes_in_force: 2,
            calculations: 5,
            reads: vec![
                read("usage", Side::Legacy, "postgres://***@db.example/core#public.usage", Some(usage)),
                read("regions", Side::Legacy, "mongodb://***@10.0.0.1/core#regions", Some(nothing)),
                read("usage", Side::New, "s3://lake/bronze/usage/", None),
            ],
            asks: vec![PlannedAsk {
                side: Side::New,
                engine: "postgres".into(),
                source: "core".into(),
                place: "cloud-compute/new/gold.pg.sql".into(),
                times: 4,
                load: query,
            }],
            notes: vec!["the legacy side was calculated in its embedded form, not by its mongodb: the variable `MONGO_URL` is not set".into()],
        };
        let report = PlanReport {
            schema: "dualrun.plan/1".into(),
            period: "2025-03-01".into(),
            runs: vec![run],
            servers: vec![server, away],
            loads: Vec::new(),
        };
        insta::assert_snapshot!(plan(&report, Style::PLAIN));
        insta::assert_snapshot!("with loads", plan(&PlanReport { loads: loads(), ..report }, Style::PLAIN));
    }

    fn loads() -> Vec<PlannedLoad> {
        let at: jiff::Timestamp = "2025-03-02T01:00:00Z".parse().unwrap();
        let usage = PlannedLoad {
            pipelines: vec!["cloud-compute".parse().unwrap()],
            input: "usage".into(),
            source: "core".into(),
            place: "postgres://***@db.example/core#public.usage".into(),
            table: "lake:bronze/usage".into(),
            mode: Some(LoadMode::Incremental),
            watermark: Some(Watermark {
                column: "updated".into(),
                from: Some(Mark::Instant("2025-03-02T00:00:00Z".parse().unwrap())),
                to: Some(Mark::Instant(at)),
            }),
            last: Some(at),
            rows_now: 1_234_567,
            partitions_now: 60,
            partitions: None,
            load: Some(load(310, Way::OneQuery, "index usage_updated")),
            notes: Vec::new(),
        };
        let never = PlannedLoad {
            table: "lake:bronze/regions".into(),
            mode: Some(LoadMode::Full),
            watermark: None,
            last: None,
            rows_now: 0,
            partitions_now: 0,
            partitions: Some(Vec::new()),
            load: Some(ReadLoad::unknown("the server could not be asked")),
            ..usage.clone()
        };
        let files = PlannedLoad {
            table: "lake:bronze/tags".into(),
            place: "data/2025-03-01/tags.jsonl".into(),
            mode: Some(LoadMode::Period),
            partitions: Some(vec!["day=2025-03-01".into()]),
            load: None,
            ..usage.clone()
        };
        let away = PlannedLoad {
            table: "lake:bronze/away".into(),
            mode: None,
            load: None,
            notes: vec!["the copy is not asked (--offline): what has been loaded is not known".into()],
            ..usage.clone()
        };
        vec![usage, never, files, away]
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(
            (size(900).as_str(), size(1536).as_str(), size(5 << 30).as_str()),
            ("900 B", "1.5 KiB", "5.0 GiB")
        );
        assert_eq!(
            (duration(61).as_str(), duration(3599).as_str(), duration(9000).as_str()),
            ("61 s", "60 min", "2.5 h")
        );
    }
}
