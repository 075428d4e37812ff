//! Whether both sides read the same facts.

use bson::doc;
use dualrun_core::{ExitCode, Outcome, run::CustomerVerdict};

use crate::common::{DAY, LEGACY_FILE, MAPPING_FILE, SILVER_FILE, Setup, World, customer, meter, meters};

#[tokio::test]
async fn one_late_document_takes_its_customer_out_and_the_others_are_compared() {
    let world = World::with_meters(Setup::plain());
    let mut late = meters(DAY);
    late.remove(1);
    world.reader.put("lake/meters/2025-03-10", late);
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.not_comparable), (ExitCode::NotComparable, 1));
    let report = answer.report.unwrap();
    assert_eq!(report.outcome, Outcome::NotComparable);
    assert_eq!(customer(&report, "acme"), CustomerVerdict::NotComparable);
    assert_eq!(customer(&report, "rivage"), CustomerVerdict::Equal);
    let input = &report.inputs[0];
    assert_eq!(
        (input.comparable, input.customers_not_comparable, input.fence.as_str()),
        (false, 1, "content")
    );
    let named = &input.not_comparable[0];
    assert_eq!((named.customer.as_deref(), named.legacy_rows, named.new_rows), (Some("acme"), 2, 1));
    assert_ne!(input.legacy, input.new);
    let recorded = &world.runs().await[0];
    assert_eq!((recorded.customers.total, recorded.customers.compared), (2, 1));

    // The document arrives: the same command supersedes the attempt.
    world.reader.put("lake/meters/2025-03-10", meters(DAY));
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.repeated), (ExitCode::Agree, false));
}

#[tokio::test]
async fn a_bug_of_another_customer_outweighs_a_late_document() {
    let bug = "case when id = 'm3' then kwh * 2 else kwh end as kwh from";
    let world = World::with_meters(Setup::plain().edit(SILVER_FILE, "kwh from", bug));
    world.reader.put("lake/meters/2025-03-10", meters(DAY).split_off(1));
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::Differs);
    assert_eq!(customer(&report, "acme"), CustomerVerdict::NotComparable);
    assert_eq!(customer(&report, "rivage"), CustomerVerdict::Unexplained);
}

#[tokio::test]
async fn a_customer_without_result_rows_does_not_take_another_out_of_the_coverage() {
    let world = World::with_meters(Setup::plain());
    let mut documents = meters(DAY);
    // No factor: neither side has a row for it.
    documents.push(meter("m9", "nowhere", DAY, "ZZ", 1.0));
    world.reader.put("docs/meters/2025-03-10", documents);
    let answer = world.run(DAY).await;
    assert_eq!(answer.code, ExitCode::NotComparable);
    let recorded = &world.runs().await[0];
    assert_eq!((recorded.customers.total, recorded.customers.compared), (3, 2));
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_makes_its_customers_not_comparable() {
    for setup in [Setup::plain(), without_shape()] {
        let world = World::with_meters(setup);
        world.reader.remove("lake/meters/2025-03-10");
        let answer = world.run(DAY).await;
        assert_eq!((answer.code, answer.not_comparable), (ExitCode::NotComparable, 2));
        assert_eq!(answer.report.unwrap().inputs[0].rows.new, 0);
    }
}

/// The columns of the meters come from the documents alone.
fn without_shape() -> Setup {
    let shape = "[input.shape]\nid = \"text\"\ncustomer = \"text\"\nday = \"date\"\ncountry = \"text\"\nkwh = \"float\"\n";
    Setup::plain().edit(MAPPING_FILE, shape, "")
}

#[tokio::test]
async fn without_files_on_either_side_there_is_nothing_to_do() {
    let world = World::new(Setup::plain());
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.report), (ExitCode::Nothing, None));
    assert_eq!(answer.notes, ["no input files on either side"]);
    assert!(world.runs().await.is_empty() && world.objects().await.is_empty());
}

#[tokio::test]
async fn an_input_without_customers_that_differs_leaves_nothing_to_compare() {
    let setup = Setup::plain().edit(MAPPING_FILE, "customer = \"customer\"\n", "");
    let world = World::with_meters(setup);
    world.reader.put("lake/meters/2025-03-10", meters(DAY).split_off(1));
    let answer = world.run(DAY).await;
    let report = answer.report.unwrap();
    assert_eq!((answer.code, report.outcome), (ExitCode::NotComparable, Outcome::NotComparable));
    assert_eq!((report.rows.legacy, report.rows.new, report.rows.paired), (0, 0, 0));
    assert_eq!(world.runs().await[0].customers.compared, 0);
}

/// Meters that know sites, and a list of the sites that knows customers.
fn with_sites() -> Setup {
    let sites = r#"
[[input]]
name = "sites"
role = "activity"
legacy = { source = "docs", path = "sites" }
new = { source = "lake", path = "sites" }
key = ["site"]
fence = "keys"
customer = "owner"
[result]
"#;
    let map =
        "customer = \"customer\"\ncustomer_map = { input = \"sites\", from = \"site\", to = \"owner\" }\n";
    Setup::plain()
        .edit(MAPPING_FILE, "customer = \"customer\"\n", map)
        .edit(MAPPING_FILE, "\n[result]\n", sites)
        .edit(LEGACY_FILE, "m.customer as customer_id", "t.owner as customer_id")
        .edit(LEGACY_FILE, "from meters m", "from meters m join sites t on t.site = m.customer")
        .edit(LEGACY_FILE, "group by m.customer", "group by t.owner")
        .edit(SILVER_FILE, "customer as customer_id", "t.owner as customer_id")
        .edit(SILVER_FILE, "from meters", "from meters join sites t on t.site = customer")
}

#[tokio::test]
async fn an_input_that_names_customers_otherwise_is_mapped_to_the_names_of_the_results() {
    let world = World::with_meters(with_sites());
    world.both(
        "sites",
        vec![doc! { "site": "acme", "owner": "Acme SA" }, doc! { "site": "rivage", "owner": "Rivage SARL" }],
    );
    assert_eq!(world.run(DAY).await.code, ExitCode::Agree);
    world.reader.put("lake/meters/2025-03-10", meters(DAY).split_off(1));
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::NotComparable);
    assert_eq!(customer(&report, "Acme SA"), CustomerVerdict::NotComparable);
    assert_eq!(customer(&report, "Rivage SARL"), CustomerVerdict::Equal);
    assert_eq!(report.inputs[0].not_comparable[0].customer.as_deref(), Some("Acme SA"));
}

#[tokio::test]
async fn factors_may_differ_and_their_editions_are_recorded() {
    let setup = Setup::plain().edit(
        MAPPING_FILE,
        "new = { source = \"factors\", path = \"grid\" }",
        "new = { source = \"lake\", path = \"grid\" }",
    );
    let world = World::with_meters(setup);
    world.reader.put(
        "lake/grid",
        vec![
            doc! { "country": "FR", "edition": "2023", "g_per_kwh": 50.0 },
            doc! { "country": "DE", "edition": "2023", "g_per_kwh": 400.0 },
            doc! { "country": "FR", "edition": "2026", "g_per_kwh": 30.0 },
        ],
    );
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::Agrees);
    let grid = &report.inputs[1];
    assert_eq!((grid.name.as_str(), grid.fence.as_str(), grid.comparable), ("grid", "edition", true));
    assert!(grid.legacy.as_ref().unwrap().starts_with("2025 ("), "{:?}", grid.legacy);
    assert!(grid.new.as_ref().unwrap().starts_with("2026 ("), "{:?}", grid.new);
    assert_eq!((grid.rows.legacy, grid.rows.new), (4, 3));
}

#[tokio::test]
async fn documents_that_do_not_fit_are_counted_and_shown() {
    let world = World::with_meters(Setup::plain());
    let mut documents = meters(DAY);
    documents.push(doc! { "id": "m4", "customer": "acme", "day": DAY, "country": "FR", "kwh": "a lot" });
    world.both("meters/2025-03-10", documents);
    let report = world.report().await;
    let misfits = report.inputs[0].misfits;
    assert_eq!((misfits.legacy, misfits.new), (1, 1));
    let note = report.notes.iter().find(|note| note.contains("kwh")).unwrap();
    assert!(note.starts_with("1 legacy value") && !note.contains("a lot"), "{note}");
}

#[tokio::test]
async fn a_weaker_fence_compares_less_and_says_so() {
    let setup = Setup::plain().edit(MAPPING_FILE, "key = [\"id\"]\n", "key = [\"id\"]\nfence = \"keys\"\n");
    let world = World::with_meters(setup);
    let mut documents = meters(DAY);
    documents[0].insert("kwh", 101.0);
    world.reader.put("lake/meters/2025-03-10", documents);
    let report = world.report().await;
    assert_eq!((report.inputs[0].fence.as_str(), report.inputs[0].comparable), ("keys", true));
    assert_eq!(report.outcome, Outcome::Differs);
}
