use super::*;
use crate::{
    model::{Step, StepAnswer::*},
    testing::{ENVIRONMENT, asset as declare, clean_nights, date, pipeline, project},
};

/// One asset that one pipeline at `stage` names.
fn one(stage: Stage, declaration: Option<AssetDecl>) -> (AssetReadiness, Readiness) {
    let mut user = pipeline("p");
    user.stage = stage;
    user.legacy_assets = vec!["mongodb:core.usage".into()];
    let mut project = project(vec![user], Vec::new());
    project.settings.assets = declaration.into_iter().collect();
    let runs = clean_nights("2025-03-28", 7);
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-04-03"),
        runs: &runs,
        reviews: &[],
        stages: &[],
    };
    let readiness = readiness(&project, &evidence);
    (readiness.assets[0].clone(), readiness)
}

fn decided(disposition: Disposition) -> AssetDecl {
    AssetDecl {
        disposition: Some(disposition),
        owner: Some("finops".into()),
        ..declare("mongodb:core.usage")
    }
}

fn answers(asset: &AssetReadiness) -> Vec<StepAnswer> {
    assert_eq!(asset.steps.iter().map(|s| s.step).collect::<Vec<_>>(), Step::ALL);
    asset.steps.iter().map(|s| s.answer).collect()
}

#[test]
fn a_pipeline_that_is_not_cut_over_needs_its_assets_and_says_why() {
    let (asset, readiness) = one(Stage::DualRun, Some(decided(Disposition::Archive)));
    assert_eq!(asset.verdict, AssetVerdict::Needed);
    assert_eq!(asset.needed_by[0].reason, "its gates do not pass: 7 of 10 clean nights since 2025-03-28");
    assert_eq!(asset.needed_by[0].open_gates.len(), 1);
    assert_eq!(answers(&asset), [No, No, Unknown, No]);
    assert!(!readiness.ready && !readiness.servers_asked);
    assert_eq!(readiness.verdict, "not ready: 1 of 1 assets are still needed");
    let (building, _) = one(Stage::Building, Some(decided(Disposition::Archive)));
    assert_eq!(building.reasons, ["p: its new calculation does not run every night yet (stage building)"]);
    let json = serde_json::to_string(&readiness).unwrap();
    assert_eq!(serde_json::from_str::<Readiness>(&json).unwrap(), readiness);
}

#[test]
fn what_nobody_decided_blocks() {
    let (undeclared, _) = one(Stage::Retired, None);
    assert_eq!((undeclared.verdict, undeclared.declared), (AssetVerdict::Blocked, false));
    assert_eq!(undeclared.reasons, ["dualrun.toml does not declare it"]);
    let (undecided, _) = one(Stage::Retired, Some(declare("mongodb:core.usage")));
    assert_eq!(undecided.verdict, AssetVerdict::Blocked);
    assert_eq!(undecided.reasons, ["nobody decided what becomes of it", "nobody answers for it"]);
}

#[test]
fn an_asset_that_no_pipeline_names_is_unknown() {
    let mut project = project(Vec::new(), Vec::new());
    project.settings.assets =
        vec![AssetDecl { id: "postgres:public.old".into(), ..decided(Disposition::Drop) }];
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-04-03"),
        runs: &[],
        reviews: &[],
        stages: &[],
    };
    let readiness = readiness(&project, &evidence);
    let asset = &readiness.assets[0];
    assert_eq!(asset.verdict, AssetVerdict::Blocked);
    assert_eq!(asset.reasons, ["nothing declared reads it; the server was not asked"]);
    assert_eq!(answers(asset), [Unknown, Unknown, Yes, Unknown]);
    assert_eq!((readiness.servers[0].server.as_str(), readiness.servers[0].counts.blocked), ("postgres", 1));
}

#[test]
fn steps_follow_stage_and_disposition() {
    let (cut_over, _) = one(Stage::CutOver, Some(decided(Disposition::Drop)));
    assert_eq!(answers(&cut_over), [Yes, No, Yes, No]);
    assert_eq!(cut_over.verdict, AssetVerdict::Blocked);
    assert_eq!(cut_over.reasons, ["revoke reads: p is cut_over: a rollback would read it"]);

    let (archive, _) = one(Stage::Retired, Some(decided(Disposition::Archive)));
    assert_eq!(answers(&archive), [Yes, Yes, Unknown, Unknown]);
    assert_eq!(archive.verdict, AssetVerdict::Blocked);

    let (dropped, readiness) = one(Stage::Retired, Some(decided(Disposition::Drop)));
    assert_eq!(answers(&dropped), [Yes, Yes, Yes, Unknown]);
    assert_eq!(dropped.verdict, AssetVerdict::Ready);
    assert!(!readiness.ready, "the servers were not asked");

    let held = AssetDecl { retain_until: Some(date("2035-12-31")), ..decided(Disposition::Drop) };
    let (held, _) = one(Stage::Retired, Some(held));
    assert_eq!(answers(&held), [Yes, Yes, Yes, No]);
    assert_eq!(held.verdict, AssetVerdict::Blocked);

    let (kept, _) = one(Stage::Retired, Some(decided(Disposition::Keep)));
    assert_eq!((answers(&kept), kept.verdict), (vec![No, No, No, No], AssetVerdict::Needed));
}
