//! A MongoDB server among the sources.

use std::time::Duration;

use dualrun_core::{ExitCode, doctor::Check};
use dualrun_engine::calculate::Switches;
use dualrun_mapping::plan::{Engine, ServerPipeline};
use dualrun_sources::{
    SourceError,
    mongo::{MongoFault, MongoOptions, MongoProbe, MongoSource},
    without_credentials,
};

use super::{Asked, Read, clock, no_time, refused};
use crate::adapters;

/// The first version with snapshot reads outside of transactions.
const SNAPSHOTS: u32 = 5;

/// Built-in roles that only read.
/// <https://www.mongodb.com/docs/manual/reference/built-in-roles/>
const READING: [&str; 3] = ["read", "readAnyDatabase", "clusterMonitor"];

/// Built-in roles that do more.
const MORE: [&str; 18] = [
    "readWrite",
    "readWriteAnyDatabase",
    "dbAdmin",
    "dbAdminAnyDatabase",
    "dbOwner",
    "userAdmin",
    "userAdminAnyDatabase",
    "clusterAdmin",
    "clusterManager",
    "hostManager",
    "enableSharding",
    "backup",
    "restore",
    "root",
    "__system",
    "directShardOperations",
    "searchCoordinator",
    "__queryableBackup",
];

pub(super) async fn examine(
    options: MongoOptions,
    max_lag: Option<Duration>,
    reads: &[Read],
    calculations: &[Asked<'_>],
) -> (String, Vec<Check>) {
    let asked = without_credentials(&options.url);
    let asked = asked.split('?').next().unwrap_or_default().to_owned();
    let failed = |error: &SourceError| refused("reachable", error);
    let source = match MongoSource::connect(options).await {
        Ok(source) => source,
        Err(error) => return (asked, vec![failed(&error)]),
    };
    let place = source.display().to_owned();
    let checks = match source.probe().await {
        Ok(probe) => {
            let mut checks = ask(&source, &probe, max_lag, reads).await;
            for asked in calculations {
                if let Engine::Mongodb(asked_for) = asked.engine {
                    checks.push(pipeline(&source, asked_for, &asked.parameters).await);
                }
            }
            checks
        }
        Err(error) => vec![failed(&error)],
    };
    source.close().await;
    (place, checks)
}

async fn ask(
    source: &MongoSource,
    probe: &MongoProbe,
    max_lag: Option<Duration>,
    reads: &[Read],
) -> Vec<Check> {
    let mut checks = vec![
        Check::ok("reachable", format!("answers in {} ms", probe.answered_in.as_millis())),
        version(&source.server().version, probe.stand_in),
        encryption(source),
        clock(probe.clock_ahead),
        replica(source, probe, max_lag),
        rights(probe.roles.as_deref(), reads.iter().any(|read| read.legacy)),
        room(probe.disk),
    ];
    if probe.stand_in {
        checks.push(Check::unknown("roles", "this server does not hold users to their roles"));
    }
    for read in reads {
        let name = format!("collection {}", read.place);
        match source.probe_collection(&read.place, read.time.as_deref()).await {
            Ok(found) => {
                checks.push(Check::ok(name, "can be read"));
                checks.extend(no_time(read));
                checks.extend(read.time.as_ref().map(|time| index(read, time, found.indexed, "each period")));
                if let Some(column) = &read.watermark {
                    match source.probe_collection(&read.place, Some(column)).await {
                        Ok(found) => checks.push(index(read, column, found.indexed, "each load")),
                        Err(error) => checks.push(refused(format!("index on {}", read.place), &error)),
                    }
                }
            }
            Err(error) => {
                let absent =
                    matches!(&error, SourceError::Mongo { fault: MongoFault::UnknownCollection, .. });
                let code = if absent { ExitCode::Usage } else { error.exit_code() };
                checks.push(Check::error(name, error.to_string(), error.hint(), code));
            }
        }
    }
    checks
}

/// Whether the pipeline of a calculation can be run, and what it would look at. It is planned, and not run.
async fn pipeline(source: &MongoSource, pipeline: &ServerPipeline, parameters: &Switches) -> Check {
    let name = format!("pipeline {}", pipeline.file.display());
    let planned = match adapters::stages(pipeline, parameters) {
        Ok(stages) => source.estimate_pipeline(&pipeline.collection, &stages).await,
        Err(error) => Err(error),
    };
    match planned {
        Ok(load) if load.access.is_empty() => Check::unknown(name, "the server does not tell its plan"),
        Ok(load) => Check::ok(name, format!("can be planned; looks at: {}", load.access.join(", "))),
        Err(error) => {
            let absent = matches!(&error, SourceError::Mongo { fault: MongoFault::UnknownCollection, .. });
            let code = if absent { ExitCode::Usage } else { error.exit_code() };
            Check::error(name, error.to_string(), error.hint(), code)
        }
    }
}

/// A server whose disk is nearly full is no place to sort on.
fn room(disk: Option<(u64, u64)>) -> Check {
    let Some((used, all)) = disk else {
        return Check::unknown("free space", "the server does not tell what its disk has left");
    };
    let free = all.saturating_sub(used);
    let found = format!("{} GiB of {} GiB free", free >> 30, all >> 30);
    if free < all / 20 {
        let advice = "make room there before large results are sorted on it";
        return Check::warning("free space", found, advice);
    }
    Check::ok("free space", found)
}

fn version(version: &str, stand_in: bool) -> Check {
    let word = if stand_in { " (a stand-in)" } else { "" };
    let found = format!("MongoDB {version}{word}");
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major < SNAPSHOTS => {
            let advice =
                "from version 5 on, a run reads one state of the data; here it counts before and after";
            Check::warning("version", found, advice)
        }
        Some(_) => Check::ok("version", found),
        None => Check::unknown("version", found),
    }
}

fn encryption(source: &MongoSource) -> Check {
    match source.warnings().first() {
        Some(warning) => Check::warning("TLS", warning, "set tls = \"verify_full\" in dualrun.toml"),
        None if source.encrypted() => Check::ok("TLS", "encrypted"),
        None => Check::ok("TLS", "not encrypted, and on this machine"),
    }
}

fn replica(source: &MongoSource, probe: &MongoProbe, max_lag: Option<Duration>) -> Check {
    let server = source.server();
    if server.sharded {
        return Check::ok("replica", "the router of a sharded cluster");
    }
    if server.replica_set.is_none() {
        let found = "a server of its own: no snapshots, documents are counted before and after";
        return Check::warning("replica", found, "a replica set, also of one member, has snapshot reads");
    }
    match probe.lag {
        Some(lag) if max_lag.is_some_and(|max| lag > max) => {
            let advice = "wait until it has caught up: reading pauses meanwhile";
            Check::warning("replica", format!("the slowest secondary is {} s behind", lag.as_secs()), advice)
        }
        Some(lag) => Check::ok("replica", format!("the slowest secondary is {} s behind", lag.as_secs())),
        None => Check::unknown("replica", "the user may not see how far the secondaries are behind")
            .advised("grant the role clusterMonitor on admin, or look yourself"),
    }
}

fn rights(roles: Option<&[String]>, legacy: bool) -> Check {
    let Some(roles) = roles else {
        return Check::unknown("rights", "the server does not tell the roles of the user");
    };
    if roles.is_empty() {
        return Check::unknown("rights", "the user has no role; is authentication switched on?");
    }
    let bare = |role: &&String| role.split('@').next().unwrap_or_default().to_owned();
    let more: Vec<String> =
        roles.iter().filter(|role| MORE.contains(&bare(role).as_str())).cloned().collect();
    let own: Vec<String> = roles
        .iter()
        .filter(|role| !MORE.contains(&bare(role).as_str()) && !READING.contains(&bare(role).as_str()))
        .cloned()
        .collect();
    if !more.is_empty() && legacy {
        let names: Vec<String> = more
            .iter()
            .map(|role| {
                let (role, database) = role.split_once('@').unwrap_or((role, "admin"));
                format!("{{role: \"{role}\", db: \"{database}\"}}")
            })
            .collect();
        let advice =
            format!("db.revokeRolesFromUser(user, [{}]), and grant `read` on the database", names.join(", "));
        return Check::warning("rights", format!("more than reading: {}", more.join(", ")), advice);
    }
    if !own.is_empty() {
        return Check::unknown("rights", format!("roles of your own, not looked into: {}", own.join(", ")));
    }
    Check::ok("rights", roles.join(", "))
}

/// Whether documents are found by a field, which `who` does.
fn index(read: &Read, field: &str, indexed: Option<bool>, who: &str) -> Check {
    let name = format!("index on {}", read.place);
    match indexed {
        Some(true) => Check::ok(name, format!("there is one on {field}")),
        Some(false) => Check::warning(
            name,
            format!("none on {field}: {who} looks at every document"),
            format!("db.getCollection(\"{}\").createIndex({{\"{field}\": 1}})", read.place),
        ),
        None => Check::unknown(name, "the user may not see the indexes"),
    }
}

#[cfg(test)]
mod tests {
    use dualrun_core::doctor::Health;

    use super::*;

    fn of(roles: &[&str]) -> Check {
        rights(Some(&roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>()), true)
    }

    #[test]
    fn roles_that_do_more_than_reading_are_named_with_what_to_revoke() {
        assert_eq!(of(&["read@core", "clusterMonitor@admin"]).health, Health::Ok);
        let more = of(&["read@core", "readWrite@core"]);
        assert_eq!(
            (more.health, more.found.as_str()),
            (Health::Warning, "more than reading: readWrite@core")
        );
        assert!(more.advice.is_some_and(|advice| advice.contains("{role: \"readWrite\", db: \"core\"}")));
        assert_eq!(of(&["analyst@core"]).health, Health::Unknown);
        assert_eq!(of(&[]).health, Health::Unknown);
        assert_eq!(rights(None, true).health, Health::Unknown);
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_told() {
        assert_eq!(room(None).health, Health::Unknown);
        assert_eq!(room(Some((40 << 30, 100 << 30))).found, "60 GiB of 100 GiB free");
        assert_eq!(room(Some((97 << 30, 100 << 30))).health, Health::Warning);
    }

    #[test]
    fn an_old_version_and_a_missing_index_are_told() {
        assert_eq!(version("4.4.29", false).health, Health::Warning);
        assert_eq!(version("8.0.1", false).health, Health::Ok);
        let read = Read {
            place: "usage".into(),
            time: Some("day".into()),
            watermark: None,
            activity: true,
            legacy: true,
        };
        let advice = index(&read, "day", Some(false), "each period").advice;
        assert_eq!(advice.as_deref(), Some("db.getCollection(\"usage\").createIndex({\"day\": 1})"));
        assert!(no_time(&Read { time: None, ..read }).is_some());
    }
}
