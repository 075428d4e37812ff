//! A PostgreSQL server among the sources.

use std::time::Duration;

use dualrun_core::{ExitCode, doctor::Check};
use dualrun_engine::calculate::Switches;
use dualrun_mapping::plan::{Engine, ServerQuery};
use dualrun_sources::{
    SourceError,
    postgres::{Fault, PostgresOptions, PostgresProbe, PostgresSource, TableName, TableProbe},
    without_credentials,
};

use super::{Asked, Read, clock, no_time, refused};
use crate::adapters;

/// The first version that reads ranges of pages without touching others.
const CHUNKS: u32 = 140_000;

/// A table with fewer rows needs no index.
const SMALL: u64 = 10_000;

pub(super) async fn examine(
    options: PostgresOptions,
    reads: &[Read],
    calculations: &[Asked<'_>],
) -> (String, Vec<Check>) {
    let asked = without_credentials(&options.url);
    let asked = asked.split('?').next().unwrap_or_default().to_owned();
    let failed = |error: &SourceError| refused("reachable", error);
    let max_lag = options.max_lag;
    let source = match PostgresSource::connect(options).await {
        Ok(source) => source,
        Err(error) => return (asked, vec![failed(&error)]),
    };
    let place = source.server().to_owned();
    let probe = match source.probe().await {
        Ok(probe) => probe,
        Err(error) => return (place, vec![failed(&error)]),
    };
    let mut checks = vec![
        Check::ok("reachable", format!("answers in {} ms", probe.answered_in.as_millis())),
        version(&probe, source.version()),
        encryption(&probe, source.warning()),
        clock(Some(probe.clock_ahead)),
        replica(&probe, max_lag),
        rights(&probe),
        room(&probe),
    ];
    for read in reads {
        let Ok(name) = TableName::parse(&read.place) else {
            let advice = Some("write it as table or schema.table".to_owned());
            checks.push(Check::error(
                label("table", read),
                "is not the name of a table",
                advice,
                ExitCode::Usage,
            ));
            continue;
        };
        match source.probe_table(&name, read.time.as_deref()).await {
            Ok(found) => {
                checks.extend(table(read, &name, &found, &probe));
                if let Some(column) = read.watermark.as_ref().filter(|_| found.readable) {
                    match source.probe_table(&name, Some(column)).await {
                        Ok(found) => checks.push(index(read, &name, column, &found, "each load")),
                        Err(error) => checks.push(refused(label("index on", read), &error)),
                    }
                }
            }
            Err(error) => {
                let absent = matches!(&error, SourceError::Postgres(e) if e.fault == Fault::Unknown);
                let code = if absent { ExitCode::Usage } else { error.exit_code() };
                checks.push(Check::error(label("table", read), error.to_string(), error.hint(), code));
            }
        }
    }
    for asked in calculations {
        if let Engine::Postgres(asked_for) = asked.engine {
            checks.push(query(&source, asked_for, &asked.parameters).await);
        }
    }
    (place, checks)
}

/// Whether a query of a calculation can be run, and what it would look at. It is planned, with its rights checked, and
/// not run.
async fn query(source: &PostgresSource, query: &ServerQuery, parameters: &Switches) -> Check {
    let name = format!("query {}", query.file.display());
    let params = adapters::bound(query, parameters);
    match source.estimate_query(&query.sql, &params, None).await {
        Ok(load) if load.access.is_empty() => Check::ok(name, "can be run"),
        Ok(load) => Check::ok(name, format!("can be run; looks at: {}", load.access.join(", "))),
        Err(error) => {
            let absent = matches!(&error, SourceError::Postgres(e) if e.fault == Fault::Unknown);
            let code = if absent { ExitCode::Usage } else { error.exit_code() };
            Check::error(name, error.to_string(), error.hint(), code)
        }
    }
}

fn label(what: &str, read: &Read) -> String {
    format!("{what} {}", read.place)
}

fn version(probe: &PostgresProbe, number: u32) -> Check {
    let found = format!("PostgreSQL {}", probe.version);
    if number >= CHUNKS {
        return Check::ok("version", found);
    }
    let advice = "from version 14 on, large tables are read in short queries; here each is one long query";
    Check::warning("version", found, advice)
}

fn encryption(probe: &PostgresProbe, warning: Option<&str>) -> Check {
    match (probe.encrypted, warning) {
        (_, Some(warning)) => Check::warning("TLS", warning, "set tls = \"verify_full\" in dualrun.toml"),
        (Some(true), None) => Check::ok("TLS", "encrypted"),
        (Some(false), None) => Check::ok("TLS", "not encrypted, and on this machine"),
        (None, None) => Check::unknown("TLS", "the server does not tell"),
    }
}

fn replica(probe: &PostgresProbe, max_lag: Option<Duration>) -> Check {
    if !probe.standby {
        return Check::ok("replica", "a primary")
            .advised("name a replica, where there is one, to spare the primary");
    }
    let Some(lag) = probe.lag else {
        return Check::unknown("replica", "a replica that does not tell how far it is behind");
    };
    let behind = format!("{} s behind its primary", lag.behind.as_secs());
    if !lag.streaming {
        return Check::warning(
            "replica",
            format!(
                "a replica without a connection to its primary; its last change is {} s old",
                lag.behind.as_secs()
            ),
            "see pg_stat_replication on the primary and the log of the replica; one that follows an archive says this too",
        );
    }
    match (max_lag, probe.feedback) {
        (Some(max), _) if lag.behind > max => Check::warning(
            "replica",
            format!("a replica, {behind}; {} s are allowed: reading pauses", max.as_secs()),
            "wait until it has caught up; is replay paused or delayed there (pg_is_wal_replay_paused, \
             recovery_min_apply_delay)?",
        ),
        (_, Some(false)) => Check::ok("replica", format!("a replica, {behind}"))
            .advised("with hot_standby_feedback = on there, long readings are not given up for its primary"),
        _ => Check::ok("replica", format!("a replica, {behind}")),
    }
}

/// PostgreSQL tells how large a database is, and never how much its disk has left.
fn room(probe: &PostgresProbe) -> Check {
    let found = match probe.database_bytes {
        Some(bytes) => {
            format!("the database takes {} MiB; the server does not tell what its disk has left", bytes >> 20)
        }
        None => "the server does not tell".to_owned(),
    };
    Check::unknown("free space", found)
}

fn rights(probe: &PostgresProbe) -> Check {
    let mut more = probe.powers.clone();
    if probe.may_create && !more.iter().any(|power| power == "superuser") {
        more.push("may make schemas".to_owned());
    }
    if more.is_empty() {
        return Check::ok("rights", format!("{} has no power beyond its tables", probe.user));
    }
    let advice = "give dualrun a user of its own: CREATE ROLE … LOGIN, and GRANT SELECT on what it reads";
    Check::warning("rights", format!("{} has more than it needs: {}", probe.user, more.join(", ")), advice)
}

fn table(read: &Read, name: &TableName, found: &TableProbe, probe: &PostgresProbe) -> Vec<Check> {
    let mut checks = Vec::new();
    if !found.readable {
        let advice = format!("GRANT SELECT ON {name} TO {}", probe.user);
        let what = format!("{} may not read it", probe.user);
        checks.push(Check::error(label("table", read), what, Some(advice), ExitCode::Infrastructure));
        return checks;
    }
    if found.hides_rows {
        let advice = format!("ALTER ROLE {} BYPASSRLS, or read a table without policies", probe.user);
        let what = format!("row-level security hides rows of it from {}", probe.user);
        checks.push(Check::error(label("table", read), what, Some(advice), ExitCode::Infrastructure));
        return checks;
    }
    let superuser = probe.powers.iter().any(|power| power == "superuser");
    if found.writes.is_empty() || superuser || !read.legacy {
        let rows =
            found.rows.map_or_else(|| "not counted yet".to_owned(), |rows| format!("about {rows} rows"));
        checks.push(Check::ok(label("table", read), format!("can be read; {rows}")));
    } else {
        let writes = found.writes.join(", ");
        checks.push(Check::warning(
            label("table", read),
            format!("can be read, and more: {writes}"),
            format!(
                "REVOKE {writes} ON {name} FROM {} (an owner has these rights always: use another user)",
                probe.user
            ),
        ));
    }
    checks.extend(no_time(read));
    checks.extend(read.time.as_ref().map(|time| index(read, name, time, found, "each period")));
    checks
}

/// Whether rows are found by a column, which `who` does.
fn index(read: &Read, name: &TableName, column: &str, found: &TableProbe, who: &str) -> Check {
    let label = label("index on", read);
    if !found.has_column {
        let advice = Some("check `time` and `watermark` of the input".to_owned());
        Check::error(label, format!("there is no column {column}"), advice, ExitCode::Usage)
    } else if found.indexed {
        Check::ok(label, format!("there is one on {column}"))
    } else if found.rows.is_some_and(|rows| rows < SMALL) {
        Check::ok(label, format!("none on {column}, and none is needed for so few rows"))
    } else {
        let advice = format!("CREATE INDEX CONCURRENTLY ON {name} (\"{column}\")");
        Check::warning(label, format!("none on {column}: {who} reads the whole table"), advice)
    }
}

#[cfg(test)]
mod tests {
    use dualrun_core::doctor::Health;
    use dualrun_sources::postgres::Lag;

    use super::*;

    fn lag(seconds: u64) -> Lag {
        Lag { behind: Duration::from_secs(seconds), bytes: Some(0), streaming: true }
    }

    fn probe() -> PostgresProbe {
        PostgresProbe {
            version: "17.2".into(),
            answered_in: Duration::from_millis(3),
            clock_ahead: 0,
            standby: true,
            lag: Some(lag(1)),
            feedback: Some(true),
            database_bytes: Some(3 << 30),
            encrypted: Some(true),
            user: "reader".into(),
            powers: Vec::new(),
            may_create: false,
        }
    }

    #[test]
    fn a_replica_that_is_behind_and_an_old_version_are_told() {
        let max = Some(Duration::from_secs(30));
        assert_eq!(replica(&probe(), max).health, Health::Ok);
        let late = PostgresProbe { lag: Some(lag(900)), ..probe() };
        let told = replica(&late, max);
        assert!(told.found.contains("900 s behind") && told.health == Health::Warning, "{}", told.found);
        assert_eq!(replica(&late, None).health, Health::Ok, "nobody asked to look at it");
        let alone = PostgresProbe { lag: Some(Lag { streaming: false, ..lag(1) }), ..probe() };
        assert!(replica(&alone, max).found.contains("without a connection"));
        let cancelling = PostgresProbe { feedback: Some(false), ..probe() };
        assert!(
            replica(&cancelling, max).advice.is_some_and(|advice| advice.contains("hot_standby_feedback"))
        );
        assert_eq!(room(&probe()).health, Health::Unknown);
        assert_eq!(version(&probe(), 130_004).health, Health::Warning);
        assert_eq!(clock(Some(-65_000)).found, "65.0 s behind of the one here");
    }

    #[test]
    fn more_than_reading_names_what_to_revoke() {
        let read = Read {
            place: "core.usage".into(),
            time: Some("day".into()),
            watermark: None,
            activity: true,
            legacy: true,
        };
        let name = TableName::parse("core.usage").unwrap_or_else(|error| panic!("{error}"));
        let found = TableProbe {
            readable: true,
            hides_rows: false,
            writes: vec!["DELETE".into(), "INSERT".into()],
            has_column: true,
            indexed: false,
            rows: Some(5_000_000),
        };
        let checks = table(&read, &name, &found, &probe());
        let advice: Vec<&str> = checks.iter().filter_map(|check| check.advice.as_deref()).collect();
        assert!(
            advice[0].starts_with("REVOKE DELETE, INSERT ON \"core\".\"usage\" FROM reader"),
            "{advice:?}"
        );
        assert_eq!(advice[1], "CREATE INDEX CONCURRENTLY ON \"core\".\"usage\" (\"day\")");
        let load = index(&read, &name, "changed", &found, "each load");
        assert_eq!(load.found, "none on changed: each load reads the whole table");
        let hidden = TableProbe { hides_rows: true, ..found.clone() };
        let told = &table(&read, &name, &hidden, &probe())[0];
        assert!(told.found.contains("row-level security") && told.health == Health::Error, "{}", told.found);
        let refused = TableProbe { readable: false, ..found };
        assert_eq!(table(&read, &name, &refused, &probe())[0].health, Health::Error);
    }
}
