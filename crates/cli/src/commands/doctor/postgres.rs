//! A PostgreSQL server among the sources.

use dualrun_core::{ExitCode, doctor::Check};
use dualrun_sources::{
    SourceError,
    postgres::{Fault, PostgresOptions, PostgresProbe, PostgresSource, TableName, TableProbe},
    without_credentials,
};

use super::{Read, clock, no_time};

/// The first version that reads ranges of pages without touching others.
const CHUNKS: u32 = 140_000;

/// Seconds that a replica may be behind.
const LAG: u64 = 30;

/// A table with fewer rows needs no index.
const SMALL: u64 = 10_000;

pub(super) async fn examine(options: PostgresOptions, reads: &[Read]) -> (String, Vec<Check>) {
    let asked = without_credentials(&options.url);
    let asked = asked.split('?').next().unwrap_or_default().to_owned();
    let failed =
        |error: &SourceError| Check::error("reachable", error.to_string(), error.hint(), error.exit_code());
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
        replica(&probe),
        rights(&probe),
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
            Ok(found) => checks.extend(table(read, &name, &found, &probe)),
            Err(error) => {
                let absent = matches!(&error, SourceError::Postgres(e) if e.fault == Fault::Unknown);
                let code = if absent { ExitCode::Usage } else { error.exit_code() };
                checks.push(Check::error(label("table", read), error.to_string(), error.hint(), code));
            }
        }
    }
    (place, checks)
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

fn replica(probe: &PostgresProbe) -> Check {
    match (probe.standby, probe.replay_age) {
        (false, _) => Check::ok("replica", "a primary")
            .advised("name a replica, where there is one, to spare the primary"),
        (true, Some(age)) if age.as_secs() > LAG => Check::warning(
            "replica",
            format!("a replica; its last change is {} s old", age.as_secs()),
            "is it behind, or did nothing change on the primary? see pg_stat_replication there",
        ),
        (true, _) => Check::ok("replica", "a replica that keeps up"),
    }
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
    let Some(time) = &read.time else { return checks };
    checks.push(if !found.has_column {
        let advice = Some("check `time` of the input".to_owned());
        Check::error(label("index on", read), format!("there is no column {time}"), advice, ExitCode::Usage)
    } else if found.indexed {
        Check::ok(label("index on", read), format!("there is one on {time}"))
    } else if found.rows.is_some_and(|rows| rows < SMALL) {
        Check::ok(label("index on", read), format!("none on {time}, and none is needed for so few rows"))
    } else {
        let advice = format!("CREATE INDEX CONCURRENTLY ON {name} (\"{time}\")");
        let what = format!("none on {time}: each period reads the whole table");
        Check::warning(label("index on", read), what, advice)
    });
    checks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dualrun_core::doctor::Health;

    use super::*;

    fn probe() -> PostgresProbe {
        PostgresProbe {
            version: "17.2".into(),
            answered_in: Duration::from_millis(3),
            clock_ahead: 0,
            standby: true,
            replay_age: Some(Duration::from_secs(1)),
            encrypted: Some(true),
            user: "reader".into(),
            powers: Vec::new(),
            may_create: false,
        }
    }

    #[test]
    fn a_replica_that_is_behind_and_an_old_version_are_told() {
        assert_eq!(replica(&probe()).health, Health::Ok);
        let late = PostgresProbe { replay_age: Some(Duration::from_secs(900)), ..probe() };
        assert!(replica(&late).found.contains("900 s old") && replica(&late).health == Health::Warning);
        assert_eq!(version(&probe(), 130_004).health, Health::Warning);
        assert_eq!(clock(Some(-65_000)).found, "65.0 s behind of the one here");
    }

    #[test]
    fn more_than_reading_names_what_to_revoke() {
        let read =
            Read { place: "core.usage".into(), time: Some("day".into()), activity: true, legacy: true };
        let name = TableName::parse("core.usage").unwrap_or_else(|error| panic!("{error}"));
        let found = TableProbe {
            readable: true,
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
        let refused = TableProbe { readable: false, ..found };
        assert_eq!(table(&read, &name, &refused, &probe())[0].health, Health::Error);
    }
}
