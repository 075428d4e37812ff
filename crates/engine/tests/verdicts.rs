//! What is said of cells and rows, and why.

use bson::doc;
use dualrun_core::{
    ExitCode, Outcome,
    run::{CustomerVerdict, Promise},
};
use dualrun_tracker::reviews::Decision;

use crate::common::{
    DAY, GOLD_FILE, LEGACY_FILE, MAPPING_FILE, SILVER_FILE, Setup, World, change, column, customer, entry,
    meter, near,
};

/// A switch of the new side.
fn switch(parameter: &str, legacy: &str, new: &str) -> String {
    format!("parameter = \"{parameter}\"\nlegacy = {legacy}\nnew = {new}\n")
}

#[tokio::test]
async fn the_same_calculation_over_the_same_documents_is_equal() {
    let answer = World::with_meters(Setup::plain()).run(DAY).await;
    let report = answer.report.unwrap();
    assert_eq!((answer.code, report.outcome), (ExitCode::Agree, Outcome::Agrees));
    assert_eq!((report.rows.legacy, report.rows.new, report.rows.verdicts.equal), (3, 3, 3));
    assert_eq!(column(&report, "kwh").legacy_total.as_ref().unwrap().as_str(), "310");
    assert_eq!(report.differences.rows, 0);
    assert_eq!(report.customers_total, 2);
}

#[tokio::test]
async fn a_small_difference_is_within_tolerance() {
    let setup = Setup::plain().edit(GOLD_FILE, "sum(s.kwh) as kwh", "sum(s.kwh) * (1 + 1e-10) as kwh");
    let report = World::with_meters(setup).report().await;
    assert_eq!(report.outcome, Outcome::Agrees);
    assert_eq!(column(&report, "kwh").verdicts.within_tolerance, 3);
    assert_eq!(column(&report, "co2e_kg").verdicts.equal, 3);
    assert_eq!(report.rows.verdicts.within_tolerance, 3);
}

#[tokio::test]
async fn a_declared_change_is_pending_until_it_is_approved() {
    let world = World::with_meters(Setup::with_factor_change());
    let answer = world.run(DAY).await;
    let report = answer.report.unwrap();
    assert_eq!((answer.code, report.outcome), (ExitCode::ReviewPending, Outcome::ReviewPending));
    assert_eq!(column(&report, "co2e_kg").verdicts.pending, 3);
    assert_eq!(column(&report, "kwh").verdicts.equal, 3);
    let moved = entry(&report, "MC-1", "co2e_kg");
    // 100 and 200 kWh at −10 g, 10 kWh at −100 g.
    assert!(near(moved.effect.to_f64(), -4.0), "{moved:?}");
    assert_eq!((moved.cells, moved.approved, moved.promise), (3, false, Promise::Kept));

    let evidence = world.objects().await;
    let decided = world.decide("MC-1", Decision::Approve).await;
    let id = report.run_id.clone();
    assert_eq!(decided.reassessed, [(id.clone(), Outcome::ReviewPending, Outcome::Agrees)]);
    let again = world.run(DAY).await;
    assert!(again.repeated);
    let report = again.report.unwrap();
    assert_eq!((again.code, report.outcome, &report.run_id), (ExitCode::Agree, Outcome::Agrees, &id));
    assert_eq!(column(&report, "co2e_kg").verdicts.explained, 3);
    assert!(entry(&report, "MC-1", "co2e_kg").approved);
    assert_eq!(world.objects().await, evidence, "nothing was calculated");
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn what_a_rejected_change_moves_is_unexplained() {
    let world = World::with_meters(Setup::with_factor_change());
    world.run(DAY).await;
    let decided = world.decide("MC-1", Decision::Reject).await;
    assert_eq!(decided.reassessed[0].2, Outcome::Differs);
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.repeated), (ExitCode::Differs, true));
    let report = answer.report.unwrap();
    assert_eq!(column(&report, "co2e_kg").verdicts.unexplained, 3);
    assert!(!report.findings.is_empty());
}

#[tokio::test]
async fn a_bug_beside_a_change_is_found_with_its_own_size() {
    let bug = "case when id = 'm1' then kwh * 2 else kwh end as kwh";
    let setup = Setup::with_factor_change().edit(SILVER_FILE, "kwh from", &format!("{bug} from"));
    let world = World::with_meters(setup);
    world.run(DAY).await;
    world.decide("MC-1", Decision::Approve).await;
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::Differs);
    let emissions = column(&report, "co2e_kg");
    // The doubled meter under the old method: 200 kWh at 50 g instead of 100.
    assert!(near(emissions.gross_unexplained.as_ref().unwrap().to_f64(), 5.0));
    assert_eq!((emissions.verdicts.unexplained, emissions.verdicts.explained), (1, 2));
    // The change acts on what the new calculation has: 200, 200 and 10 kWh.
    assert!(near(entry(&report, "MC-1", "co2e_kg").effect.to_f64(), -5.0));
    assert_eq!(customer(&report, "acme"), CustomerVerdict::Unexplained);
    assert_eq!(customer(&report, "rivage"), CustomerVerdict::Explained);
    let finding = report.findings.iter().find(|f| f.column == "co2e_kg").unwrap();
    assert_eq!((finding.rows, finding.customers), (1, 1));
    assert!(near(finding.gross.as_ref().unwrap().to_f64(), 5.0));
}

#[tokio::test]
async fn a_bug_and_a_change_that_cancel_leave_the_cell_unexplained() {
    // 40 g × 1.25 = 50 g: in France the new figure is the legacy one.
    let setup = Setup::with_factor_change().edit(GOLD_FILE, "/ 1000)", "/ 1000) * 1.25");
    let world = World::new(setup);
    world.both("meters/2025-03-10", vec![meter("m1", "acme", DAY, "FR", 100.0)]);
    world.run(DAY).await;
    world.decide("MC-1", Decision::Approve).await;
    let report = world.report().await;
    let emissions = column(&report, "co2e_kg");
    assert_eq!(emissions.net_difference.as_ref().unwrap().to_f64(), 0.0);
    assert_eq!(emissions.verdicts.unexplained, 1);
    assert!(near(emissions.gross_unexplained.as_ref().unwrap().to_f64(), 1.25));
    assert_eq!(report.outcome, Outcome::Differs);
}

#[tokio::test]
async fn a_fix_of_the_legacy_side_explains_what_the_new_side_does_right() {
    let file = change(
        "FIX-1",
        &["energy"],
        &format!("side = \"legacy\"\n{}", switch("fixed", "false", "true")),
        "[[expect]]\nmeasure = \"kwh\"\ndirection = \"either\"\n",
    );
    let setup = Setup::plain()
        .parameter("fixed", "boolean")
        .edit(LEGACY_FILE, "sum(m.kwh) as", "sum(case when $fixed then m.kwh else m.kwh + 1 end) as")
        .file("methodology/FIX-1.toml", &file);
    let world = World::with_meters(setup);
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert!(near(entry(&report, "FIX-1", "kwh").effect.to_f64().abs(), 3.0));
    // What legacy calculates today stands in the totals, not what the fix makes of it.
    assert_eq!(column(&report, "kwh").legacy_total.as_ref().unwrap().as_str(), "313");
    world.decide("FIX-1", Decision::Approve).await;
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::Agrees);
    assert_eq!(column(&report, "kwh").verdicts.explained, 3);
}

#[tokio::test]
async fn rows_that_a_change_removes_are_explained_and_others_are_not() {
    let file = change(
        "MC-2",
        &["energy"],
        &switch("least", "0", "50"),
        "[[expect]]\nmeasure = \"kwh\"\ndirection = \"decrease\"\n",
    );
    let setup = Setup::plain()
        .parameter("least", "integer")
        .edit(SILVER_FILE, "kwh is not null", "kwh >= $least")
        .file("methodology/MC-2.toml", &file);
    let world = World::with_meters(setup.clone());
    let report = world.report().await;
    assert_eq!((report.rows.only_legacy, report.rows.one_sided.pending), (1, 1));
    assert_eq!(entry(&report, "MC-2", "kwh").rows, 1);
    world.decide("MC-2", Decision::Approve).await;
    let report = world.report().await;
    assert_eq!((report.outcome, report.rows.one_sided.explained), (Outcome::Agrees, 1));

    let bug = setup.edit(SILVER_FILE, "where", "where id <> 'm3' and");
    let report = World::with_meters(bug).report().await;
    assert_eq!((report.rows.one_sided.pending, report.rows.one_sided.unexplained), (1, 1));
    assert_eq!(report.outcome, Outcome::Differs);
}

#[tokio::test]
async fn an_attribute_is_explained_by_the_change_that_brings_the_legacy_value_back() {
    let setup = Setup::with_factor_change()
        .edit(MAPPING_FILE, "[parameters]", "[result.attributes]\nfactor_source = \"exact\"\n[parameters]")
        .edit(LEGACY_FILE, "sum(m.kwh) as kwh", "'2023' as factor_source, sum(m.kwh) as kwh")
        .edit(GOLD_FILE, "sum(s.kwh) as kwh", "$grid_edition as factor_source, sum(s.kwh) as kwh");
    let world = World::with_meters(setup.clone());
    let report = world.report().await;
    assert_eq!(column(&report, "factor_source").verdicts.pending, 3);
    world.decide("MC-1", Decision::Approve).await;
    let report = world.report().await;
    assert_eq!((report.outcome, column(&report, "factor_source").verdicts.explained), (Outcome::Agrees, 3));

    let bug = setup.edit(GOLD_FILE, "$grid_edition as", "$grid_edition || '?' as");
    let report = World::with_meters(bug).report().await;
    assert_eq!(column(&report, "factor_source").verdicts.unexplained, 3);
}

#[tokio::test]
async fn keys_that_occur_twice_are_counted_and_not_compared() {
    let setup = Setup::plain().append(GOLD_FILE, ", case when s.id = 'm2' then 1 end");
    let world = World::new(setup);
    let mut documents = crate::common::meters(DAY);
    documents.push(doc! { "id": "m4", "customer": "acme", "day": DAY, "country": "DE", "kwh": 5.0 });
    world.both("meters/2025-03-10", documents);
    let answer = world.run(DAY).await;
    let report = answer.report.unwrap();
    assert_eq!(answer.code, ExitCode::Differs);
    assert_eq!((report.rows.ambiguous_key.legacy, report.rows.ambiguous_key.new), (1, 2));
    assert_eq!((report.rows.legacy, report.rows.new, report.rows.paired), (3, 4, 2));
    assert_eq!(column(&report, "kwh").verdicts.total(), 2);
    assert_eq!(customer(&report, "acme"), CustomerVerdict::Unexplained);
}
