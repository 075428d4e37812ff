//! From what a calculation gives to what is compared: period, grain, alignment, data checks.

use bson::doc;
use dualrun_core::{ExitCode, Outcome, input::Side, run::ColumnKind};
use dualrun_engine::{EngineError, run_side};

use crate::common::{
    DAY, GOLD_FILE, LEGACY_FILE, MAPPING_FILE, SILVER_FILE, Setup, World, column, date, meter, meters, near,
    request,
};

#[tokio::test]
async fn rows_outside_of_the_period_are_left_out_on_both_sides_and_counted() {
    let setup = Setup::plain().edit(
        MAPPING_FILE,
        "customer = \"customer\"\n",
        "customer = \"customer\"\nmargin = \"1d\"\n",
    );
    let world = World::with_meters(setup);
    world.both("meters/2025-03-09", vec![meter("m0", "acme", "2025-03-09", "FR", 7.0)]);
    world.both("meters/2025-03-11", meters("2025-03-11"));
    let report = world.report().await;
    assert_eq!((report.outcome, report.rows.legacy, report.rows.new), (Outcome::Agrees, 3, 3));
    for side in ["legacy", "new"] {
        let note = format!("4 {side} rows lie outside of the period and were left out");
        assert!(report.notes.contains(&note), "{:?}", report.notes);
    }
    // A later night that takes the results from evidence says so too.
    let mut next = request(DAY);
    next.as_of = date("2025-03-12");
    let report =
        dualrun_engine::run(&world.context(), &next, &dualrun_engine::Silent).await.unwrap().report.unwrap();
    assert!(report.notes.iter().any(|n| n.starts_with("4 new rows lie outside")), "{:?}", report.notes);
}

#[tokio::test]
async fn an_instant_as_the_period_is_read_in_the_declared_zone() {
    // Midnight in Paris of 30 March is 23:00 UTC of the day before.
    let midnight =
        |sql: &str| format!("arrow_cast(to_timestamp('{sql}'), 'Timestamp(Microsecond, Some(\"UTC\"))')");
    let (inside, before) = (midnight("2025-03-29T23:00:00Z"), midnight("2025-03-29T22:00:00Z"));
    let sql = |table: &str| {
        format!(
            "select customer as customer_id, country, id, case when id = 'm2' then {before} else {inside} end as day, \
             kwh, kwh as co2e_kg from {table}"
        )
    };
    let setup = Setup::plain()
        .edit(MAPPING_FILE, "unit = \"day\" }", "unit = \"day\", time_zone = \"Europe/Paris\" }")
        .edit(MAPPING_FILE, "path = \"meters/{day}\"", "path = \"meters/2025-03-10\"")
        .file(LEGACY_FILE, &sql("meters"))
        .edit(SILVER_FILE, "customer as customer_id", "customer")
        .file(GOLD_FILE, &sql("silver"));
    let report = World::with_meters(setup).run("2025-03-30").await.report.unwrap();
    assert_eq!((report.rows.legacy, report.rows.new, report.outcome), (2, 2, Outcome::Agrees));
}

#[tokio::test]
async fn a_coarser_grain_compares_sums() {
    // The new method splits a reading over two countries; per customer and day nothing changes.
    let at = "customer = \"customer_id\"\ncompare_at = [\"customer_id\", \"day\"]\n";
    let setup = Setup::plain().edit(MAPPING_FILE, "customer = \"customer_id\"\n", at).edit(
        GOLD_FILE,
        "select s.customer_id, s.day, s.country,",
        "select s.customer_id, s.day, s.country || '?' as country,",
    );
    let report = World::with_meters(setup.clone()).report().await;
    assert_eq!((report.outcome, report.rows.legacy, report.rows.paired), (Outcome::Agrees, 2, 2));
    assert_eq!(column(&report, "kwh").legacy_total.as_ref().unwrap().as_str(), "310");
    let bug = setup.edit(SILVER_FILE, "kwh is not null", "id <> 'm2'");
    let report = World::with_meters(bug).report().await;
    assert_eq!((report.outcome, report.rows.verdicts.unexplained), (Outcome::Differs, 1));
}

#[tokio::test]
async fn align_rules_bring_both_sides_to_the_same_form() {
    let rules = r#"
[[align]]
rule = "rename"
column = "kwh"
from = "energy_wh"
side = "new"
[[align]]
rule = "unit"
column = "kwh"
from = "Wh"
to = "kWh"
side = "new"
[[align]]
rule = "trim"
column = "country"
[[align]]
rule = "upper"
column = "country"
side = "new"
[[align]]
rule = "map"
column = "country"
side = "legacy"
values = { FR = "FRANCE" }
"#;
    let setup = Setup::plain()
        .append(MAPPING_FILE, rules)
        .edit(GOLD_FILE, "sum(s.kwh) as kwh", "sum(s.kwh) * 1000 as energy_wh")
        .edit(
            GOLD_FILE,
            "s.day, s.country,\n",
            "s.day, case s.country when 'FR' then ' France' else 'de ' end as country,\n",
        );
    let report = World::with_meters(setup.clone()).report().await;
    assert_eq!((report.outcome, report.rows.paired), (Outcome::Agrees, 3));
    assert!(near(column(&report, "kwh").new_total.as_ref().unwrap().to_f64(), 310.0));
    // Without the conversion the same figures are a thousand times too large.
    let unconverted = setup.edit(
        MAPPING_FILE,
        "[[align]]\nrule = \"unit\"\ncolumn = \"kwh\"\nfrom = \"Wh\"\nto = \"kWh\"\nside = \"new\"\n",
        "",
    );
    let report = World::with_meters(unconverted).report().await;
    assert_eq!(report.outcome, Outcome::Differs);
    assert_eq!(report.findings[0].signature, "unit_scale");
}

#[tokio::test]
async fn a_measure_of_one_side_is_reported_and_not_compared() {
    let measure = "[result.measures.embodied_kg]\nunit = \"kgCO2e\"\nside = \"new\"\n[parameters]";
    let setup = Setup::plain().edit(MAPPING_FILE, "[parameters]", measure).edit(
        GOLD_FILE,
        "sum(s.kwh) as kwh",
        "sum(s.kwh) as kwh, sum(s.kwh) * 2 as embodied_kg",
    );
    let report = World::with_meters(setup).report().await;
    assert_eq!(report.outcome, Outcome::Agrees);
    assert_eq!(column(&report, "embodied_kg").kind, ColumnKind::NewOnly);
}

const CHECK: &str = "[[check]]\nside = \"new\"\nname = \"few kilowatt-hours\"\n";

#[tokio::test]
async fn a_data_check_that_counts_fails_the_run_although_the_sides_agree() {
    for (limit, code, count) in [(500, ExitCode::Agree, 0), (50, ExitCode::Differs, 2)] {
        let check = format!("{CHECK}sql = \"select count(*) from result where kwh > {limit}\"\n");
        let world = World::with_meters(Setup::plain().append(MAPPING_FILE, &check));
        let answer = world.run(DAY).await;
        let report = answer.report.unwrap();
        assert_eq!((answer.code, report.outcome), (code, Outcome::Agrees));
        let found = &report.checks[0];
        assert_eq!((found.side.as_str(), found.count, found.passed), ("new", count, count == 0));
        assert_eq!(world.runs().await[0].checks_passed, count == 0);
    }
}

#[tokio::test]
async fn a_data_check_that_does_not_count_is_a_mistake_of_the_mapping() {
    for sql in [
        "select count(*) from result where kw > 1",
        "select kwh from result where false",
        "select null from result",
        "select 'many' from result",
        "copy result to '/tmp/dualrun-must-not-exist.csv'",
        "create table t as select * from result",
    ] {
        let check = format!("{CHECK}sql = \"{sql}\"\n");
        let world = World::with_meters(Setup::plain().append(MAPPING_FILE, &check));
        let error = world.try_run(DAY).await.unwrap_err();
        assert!(matches!(&error, EngineError::Check { side: Side::New, .. }), "{sql}: {error:?}");
        assert_eq!(error.exit_code(), ExitCode::Usage, "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/dualrun-must-not-exist.csv").exists());
}

#[tokio::test]
async fn one_side_alone_is_calculated_and_nothing_is_recorded() {
    let world = World::with_meters(Setup::with_factor_change());
    let context = world.context();
    let total = async |side| run_side(&context, &request(DAY), side).await.unwrap().totals["co2e_kg"].clone();
    assert!(near(total(Side::Legacy).await.parse().unwrap(), 19.0));
    assert!(near(total(Side::New).await.parse().unwrap(), 15.0));
    assert!(world.runs().await.is_empty() && world.objects().await.is_empty());
}

#[tokio::test]
async fn null_and_missing_figures_are_not_zero() {
    let world = World::new(Setup::plain().edit(SILVER_FILE, "where kwh is not null", ""));
    let mut documents = meters(DAY);
    documents.push(doc! { "id": "m4", "customer": "acme", "day": DAY, "country": "FR" });
    documents
        .push(doc! { "id": "m5", "customer": "solo", "day": DAY, "country": "FR", "kwh": bson::Bson::Null });
    world.both("meters/2025-03-10", documents.clone());
    let report = world.report().await;
    assert_eq!((report.outcome, report.rows.paired), (Outcome::Agrees, 4));
    let zeros = World::new(Setup::plain().edit(
        SILVER_FILE,
        "kwh from meters where kwh is not null",
        "coalesce(kwh, 0) as kwh from meters",
    ));
    zeros.both("meters/2025-03-10", documents);
    let report = zeros.report().await;
    assert_eq!((report.outcome, column(&report, "kwh").verdicts.unexplained), (Outcome::Differs, 1));
    assert_eq!(report.findings[0].signature, "null_as_zero");
}
