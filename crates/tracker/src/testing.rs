//! Builders for tests.

use std::collections::BTreeMap;

use dualrun_core::{
    ChangeId, Criticality, Outcome, PeriodUnit, Phase, PipelineId, RunId, Stage,
    asset::AssetDecl,
    input::Side,
    result::{PeriodDecl, ResultDecl},
    review::ReviewStatus,
    run::{
        BridgeEntry, CheckReport, DifferencesReport, Finding, Promise, RowCounts, RunReport, SCHEMA,
        figures::Figure,
    },
};
use dualrun_mapping::{
    plan::{Applies, Calculation, Change, ChangeClass, Check, Pipeline, Project},
    settings::Settings,
};
use dualrun_state::records::{CustomerCoverage, Hashes, ReviewRecord, RunRecord};
use jiff::{Timestamp, civil::Date};

pub(crate) const ENVIRONMENT: &str = "test";

pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn pid(text: &str) -> PipelineId {
    text.parse().unwrap()
}

pub(crate) fn cid(text: &str) -> ChangeId {
    text.parse().unwrap()
}

/// A clean run of pipeline `p` on this night, of the day of the night.
pub(crate) fn run(as_of: &str) -> RunBuilder {
    let day = date(as_of);
    RunBuilder(RunRecord {
        id: RunId(uuid::Uuid::nil()),
        key: String::new(),
        pipeline: pid("p"),
        period: as_of.parse().unwrap(),
        as_of: day,
        environment: ENVIRONMENT.to_owned(),
        outcome: Outcome::Agrees,
        recorded_at: day.at(3, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp(),
        hashes: Hashes { mapping: "m".into(), legacy: "l".into(), new: "n".into() },
        checks_passed: true,
        customers: CustomerCoverage { total: 3, compared: 3 },
        evidence: String::new(),
        report: report(),
    })
}

pub(crate) struct RunBuilder(RunRecord);

impl RunBuilder {
    pub(crate) fn period(mut self, period: &str) -> Self {
        self.0.period = period.parse().unwrap();
        self
    }

    pub(crate) fn outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn checks(mut self, passed: bool) -> Self {
        self.0.checks_passed = passed;
        let check = CheckReport { name: "no gaps".into(), side: "new".into(), passed, count: 2 };
        self.0.report.checks.push(check);
        self
    }

    pub(crate) fn recorded(mut self, at: &str) -> Self {
        self.0.recorded_at = instant(at);
        self
    }

    pub(crate) fn customers(mut self, compared: u64, total: u64) -> Self {
        self.0.customers = CustomerCoverage { total, compared };
        self
    }

    pub(crate) fn bridge(mut self, change: &str, promise: Promise) -> Self {
        self.0.report.bridge.push(BridgeEntry {
            change: change.into(),
            column: "kg".into(),
            effect: Figure("-12.5".into()),
            standard_error: None,
            relative: Some(-0.1),
            cells: 4,
            eligible_rows: 0,
            rows: 0,
            approved: true,
            promise,
            broken: Vec::new(),
        });
        self
    }

    pub(crate) fn finding(mut self, id: &str, share: f64) -> Self {
        self.0.outcome = Outcome::Differs;
        self.0.report.findings.push(Finding {
            id: id.into(),
            signature: "unit_scale".into(),
            detail: "new = 1000 × legacy".into(),
            segment: "true".into(),
            column: "kg".into(),
            rows: 7,
            customers: 2,
            sample: None,
            share_of_unexplained: share,
            gross: None,
        });
        self
    }

    pub(crate) fn report(mut self, change: impl FnOnce(&mut RunReport)) -> Self {
        change(&mut self.0.report);
        self
    }

    /// The id tells pipeline, night and period, so that tests can compare runs.
    pub(crate) fn build(mut self) -> RunRecord {
        let name = format!("{}/{}/{}", self.0.pipeline, self.0.as_of, self.0.period);
        let mut bytes = [0_u8; 16];
        for (i, byte) in name.bytes().enumerate() {
            bytes[i % 16] = bytes[i % 16].rotate_left(3) ^ byte;
        }
        self.0.id = RunId(uuid::Uuid::from_bytes(bytes));
        self.0.key = name;
        self.0
    }
}

fn report() -> RunReport {
    let rows = RowCounts::default();
    let differences = DifferencesReport::default();
    serde_json::from_value(serde_json::json!({
        "schema": SCHEMA, "run_id": "", "pipeline": null, "period": null, "as_of": null, "outcome": "agrees",
        "rows": rows, "columns": [], "customers": [], "customers_path": null, "inputs": [], "bridge": [],
        "findings": [], "differences": differences,
    }))
    .unwrap()
}

/// Clean runs on so many nights from this one on.
pub(crate) fn clean_nights(first: &str, nights: usize) -> Vec<RunRecord> {
    let days = date(first).series(jiff::ToSpan::days(1)).take(nights);
    days.map(|day| run(&day.to_string()).checks(true).build()).collect()
}

/// A pipeline `id` at `dual_run`, with one data check, whose files are those of [`run`].
pub(crate) fn pipeline(id: &str) -> Pipeline {
    let calculation = |hash: &str| Calculation::sql(Vec::new(), hash.to_owned());
    Pipeline {
        id: pid(id),
        title: format!("Pipeline {id}"),
        owner: "data".into(),
        phase: Phase::Main,
        stage: Stage::DualRun,
        criticality: Criticality::High,
        scope: None,
        legacy_assets: Vec::new(),
        enforce: None,
        inputs: Vec::new(),
        result: ResultDecl {
            grain: vec!["customer".into(), "day".into()],
            customer: Some("customer".into()),
            period: PeriodDecl {
                column: "day".into(),
                unit: PeriodUnit::Day,
                time_zone: "UTC".into(),
                recompute: 0,
            },
            compare_at: Vec::new(),
            measures: BTreeMap::new(),
            attributes: BTreeMap::new(),
        },
        parameters: BTreeMap::new(),
        legacy: calculation("l"),
        new: calculation("n"),
        align: Vec::new(),
        checks: vec![Check { side: Side::New, name: "no gaps".into(), sql: "select 0".into() }],
        mapping_hash: "m".into(),
        file: "p/mapping.toml".into(),
    }
}

/// A change of pipeline `p`, owned by `olga`, in force from 2025-02-01 on.
pub(crate) fn change(id: &str) -> Change {
    Change {
        id: cid(id),
        title: format!("Change {id}"),
        class: ChangeClass::Methodology,
        owner: "olga".into(),
        effective: date("2025-02-01"),
        applies: Applies::FromEffective,
        reference: Vec::new(),
        rationale: String::new(),
        pipelines: vec![pid("p")],
        switches: Vec::new(),
        expectations: Vec::new(),
        hash: "h1".into(),
        file: "methodology/x.toml".into(),
    }
}

/// An approval of the file as it is by `rui`, which holds through 2026-01-31.
pub(crate) fn approval(change: &str) -> ReviewRecord {
    ReviewRecord {
        change: cid(change),
        status: ReviewStatus::Approved,
        change_hash: "h1".into(),
        reviewer: "rui".into(),
        reason: "as published".into(),
        at: instant("2025-02-03T10:00:00Z"),
        seen: BTreeMap::from([("p".into(), BTreeMap::from([("kg".into(), "-12".into())]))]),
        expires: Some(date("2026-01-31")),
    }
}

pub(crate) fn asset(id: &str) -> AssetDecl {
    AssetDecl { id: id.into(), disposition: None, owner: None, retain_until: None }
}

pub(crate) fn project(pipelines: Vec<Pipeline>, changes: Vec<Change>) -> Project {
    let text = serde_json::json!({"version": 1, "project": {"name": "Example"}});
    let settings: Settings = serde_json::from_value(text).unwrap();
    Project { settings, pipelines, changes }
}
