//! Whether changes do what their files promise.

use bson::doc;
use dualrun_core::{Outcome, run::Promise};
use dualrun_tracker::reviews::Decision;

use crate::common::{DAY, Setup, World, entry, meter};

/// The promise of the factor change, approved, over the usual day.
async fn approved(expect: &str) -> (World, dualrun_core::run::RunReport) {
    let world = World::with_meters(Setup::with_promise(expect));
    world.decide("MC-1", Decision::Approve).await;
    let report = world.report().await;
    (world, report)
}

fn unmoved() -> Vec<bson::Document> {
    let factor = |edition: &str| doc! { "country": "FR", "edition": edition, "g_per_kwh": 50.0 };
    vec![factor("2023"), factor("2025")]
}

const DECREASE: &str = "[[expect]]\nmeasure = \"co2e_kg\"\ndirection = \"decrease\"\n";

#[tokio::test]
async fn a_change_that_moves_rows_outside_of_its_where_counts_as_not_approved() {
    let (_, report) = approved(&format!("{DECREASE}where = \"country = 'DE'\"\n")).await;
    let moved = entry(&report, "MC-1", "co2e_kg");
    assert_eq!((moved.promise, moved.approved), (Promise::Broken, false));
    assert_eq!(moved.broken, ["moved 2 cells of co2e_kg outside of country = 'DE'"]);
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert_eq!(report.rows.verdicts.pending, 3);
}

#[tokio::test]
async fn a_change_that_keeps_to_its_where_is_explained() {
    let (_, report) = approved(&format!("{DECREASE}where = \"country in ('DE', 'FR') and kwh > 5\"\n")).await;
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::Kept);
    assert_eq!(report.outcome, Outcome::Agrees);
}

#[tokio::test]
async fn the_wrong_direction_breaks_a_promise() {
    let (_, report) = approved(&DECREASE.replace("decrease", "increase")).await;
    let moved = entry(&report, "MC-1", "co2e_kg");
    assert_eq!(moved.broken, ["3 of 3 cells of co2e_kg moved down, an increase was promised"]);
    assert_eq!((moved.approved, report.outcome), (false, Outcome::ReviewPending));
}

#[tokio::test]
async fn bounds_hold_for_each_customer() {
    // acme: 9 → 7 kg, rivage: 10 → 8 kg.
    let (_, report) = approved(&format!("{DECREASE}relative = {{ min = -0.21, max = 0.0 }}\n")).await;
    let moved = entry(&report, "MC-1", "co2e_kg");
    assert_eq!(moved.promise, Promise::Broken);
    assert_eq!(moved.broken, ["co2e_kg outside of −21 % to 0 % for 1 of 2 customers (1 below)"]);
    let (_, report) = approved(&format!("{DECREASE}relative = {{ min = -0.23, max = 0.0 }}\n")).await;
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::Kept);
}

#[tokio::test]
async fn a_month_in_which_nothing_moved_breaks_the_promise() {
    let world = World::new(Setup::with_promise(DECREASE).monthly());
    world.reader.put("factors/grid", unmoved());
    world.both("meters/2025-03-10", vec![meter("m1", "acme", DAY, "FR", 100.0)]);
    let report = world.run("2025-03").await.report.unwrap();
    let idle = entry(&report, "MC-1", "co2e_kg");
    assert_eq!((idle.promise, idle.cells), (Promise::Broken, 0));
    assert_eq!(report.outcome, Outcome::Agrees);
    assert_eq!(report.rows.paired, 1);
}

/// One French meter a day; the factors of both editions are the same until they are put again.
fn month_end() -> World {
    let world = World::new(Setup::with_promise(&format!("{DECREASE}where = \"country = 'FR'\"\n")));
    world.reader.put("factors/grid", unmoved());
    for day in ["2025-03-29", "2025-03-30", "2025-03-31"] {
        world.both(&format!("meters/{day}"), vec![meter("m1", "acme", day, "FR", 100.0)]);
    }
    world
}

#[tokio::test]
async fn within_the_month_it_is_not_known_and_on_its_last_day_it_is_broken() {
    let world = month_end();
    let report = world.run("2025-03-30").await.report.unwrap();
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::NotYetKnown);
    let report = world.run("2025-03-31").await.report.unwrap();
    let idle = entry(&report, "MC-1", "co2e_kg");
    assert_eq!(idle.promise, Promise::Broken);
    assert_eq!(idle.broken, ["it moved nothing in 2025-03 although rows that it may move exist"]);
}

#[tokio::test]
async fn a_day_on_which_it_moved_keeps_the_promise_of_the_month() {
    let world = month_end();
    world.reader.put(
        "factors/grid",
        vec![
            doc! { "country": "FR", "edition": "2023", "g_per_kwh": 50.0 },
            doc! { "country": "FR", "edition": "2025", "g_per_kwh": 40.0 },
        ],
    );
    assert_eq!(world.run("2025-03-29").await.report.unwrap().bridge[0].cells, 1);
    world.reader.put("factors/grid", unmoved());
    let report = world.run("2025-03-31").await.report.unwrap();
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::Kept);
}

#[tokio::test]
async fn a_month_without_rows_that_it_may_move_breaks_nothing() {
    let world = World::new(Setup::with_promise(&format!("{DECREASE}where = \"country = 'ZZ'\"\n")));
    world.reader.put("factors/grid", unmoved());
    world.both("meters/2025-03-31", vec![meter("m1", "acme", "2025-03-31", "FR", 100.0)]);
    let report = world.run("2025-03-31").await.report.unwrap();
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::NotYetKnown);
}

#[tokio::test]
async fn rows_of_an_earlier_day_of_the_month_count_for_its_promise() {
    let world = month_end();
    assert_eq!(world.run("2025-03-30").await.report.unwrap().bridge[0].eligible_rows, 1);
    // On the last day itself there is nothing that it may move.
    world.reader.put("factors/grid", {
        let mut factors = unmoved();
        factors.push(doc! { "country": "DE", "edition": "2023", "g_per_kwh": 400.0 });
        factors.push(doc! { "country": "DE", "edition": "2025", "g_per_kwh": 400.0 });
        factors
    });
    world.both("meters/2025-03-31", vec![meter("m1", "acme", "2025-03-31", "DE", 100.0)]);
    let report = world.run("2025-03-31").await.report.unwrap();
    assert_eq!(entry(&report, "MC-1", "co2e_kg").promise, Promise::Broken);
}
