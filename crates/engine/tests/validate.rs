//! Mistakes that only schemas show, all at once.

use dualrun_core::Period;
use dualrun_engine::{
    EngineError,
    validate::{Mistake, validate},
};

use crate::common::{DAY, GOLD_FILE, LEGACY_FILE, MAPPING_FILE, Setup, World};

async fn mistakes(world: &World) -> Vec<Mistake> {
    let day: Period = DAY.parse().unwrap();
    validate(&world.context(), |_| Some(day)).await
}

fn check(side: &str, sql: &str) -> String {
    format!("[[check]]\nside = \"{side}\"\nname = \"{side} check\"\nsql = \"{sql}\"\n")
}

#[tokio::test]
async fn a_project_without_mistakes_is_valid_with_and_without_files() {
    let setup = Setup::with_promise(
        "[[expect]]\nmeasure = \"co2e_kg\"\ndirection = \"decrease\"\nwhere = \"country = 'FR' and kwh > 1\"\n",
    )
    .append(MAPPING_FILE, &check("new", "select count(*) from result where kwh < 0"));
    for world in [World::with_meters(setup.clone()), World::new(setup)] {
        assert!(mistakes(&world).await.is_empty());
        assert!(world.objects().await.is_empty() && world.runs().await.is_empty());
    }
}

#[tokio::test]
async fn mistakes_of_all_pipelines_and_of_both_sides_are_reported_at_once() {
    let setup = Setup::with_promise("[[expect]]\nmeasure = \"kwh\"\nwhere = \"land = 'FR'\"\n")
        .edit(LEGACY_FILE, "sum(m.kwh)", "sum(m.kw)")
        .append(MAPPING_FILE, &check("new", "select count(*) from result where kw < 0"))
        .append(MAPPING_FILE, &check("legacy", "select count(*) from result where kw < 0"))
        .and("steam")
        .edit(
            "steam/mapping.toml",
            "\"day\", \"country\"]\ncustomer",
            "\"day\", \"country\", \"site\"]\ncustomer",
        )
        .append("steam/mapping.toml", &check("legacy", "select count(*) from result where nothing"))
        .and("water")
        .edit("water/legacy.sql", "from meters m", "frm meters m")
        .edit("water/new/20_gold.sql", "s.country,\n", "s.land,\n");
    let world = World::with_meters(setup);
    let found = mistakes(&world).await;
    let told: Vec<String> = found
        .iter()
        .map(|m| {
            let kind = match &m.error {
                EngineError::Model { .. } => "model",
                EngineError::Compare { .. } => "compare",
                EngineError::Check { .. } => "check",
                EngineError::Condition { .. } => "condition",
                other => panic!("{other:?}"),
            };
            format!("{} {kind} {} {}", m.pipeline, m.file.display(), m.column.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "energy model energy/legacy.sql -",
            "energy check energy/mapping.toml new check",
            "energy condition methodology/MC-1.toml land = 'FR'",
            "steam compare steam/mapping.toml site",
            "steam check steam/mapping.toml legacy check",
            "water model water/legacy.sql -",
            "water model water/new/20_gold.sql -",
        ]
    );
}

#[tokio::test]
async fn nothing_is_executed_by_a_validation() {
    let setup = Setup::plain()
        .append(MAPPING_FILE, &check("new", "copy result to '/tmp/dualrun-must-not-exist-either.csv'"))
        .append(MAPPING_FILE, &check("legacy", "create table t as select * from result"))
        .file(GOLD_FILE, "select * from silver limit 1 / 0");
    let world = World::with_meters(setup);
    let found = mistakes(&world).await;
    assert!(
        found.iter().any(|m| matches!(&m.error, EngineError::Check { name, .. } if name == "legacy check")),
        "{found:?}"
    );
    assert!(!std::path::Path::new("/tmp/dualrun-must-not-exist-either.csv").exists());
}

#[tokio::test]
async fn what_only_reading_shows_is_no_mistake_and_what_a_model_drops_is_one() {
    let shape = "[input.shape]\nid = \"text\"\ncustomer = \"text\"\nday = \"date\"\ncountry = \"text\"\nkwh = \"float\"\n";
    let partly = |setup: Setup| {
        setup.edit(MAPPING_FILE, shape, "[input.shape]\nid = \"text\"\n").edit(
            MAPPING_FILE,
            "customer = \"customer\"\n",
            "customer = \"customer\"\ntime = \"day\"\n",
        )
    };
    let unread = World::new(partly(Setup::plain()));
    assert!(mistakes(&unread).await.is_empty(), "{:?}", mistakes(&unread).await);
    let all = Setup::plain().file(LEGACY_FILE, "select * from meters");
    assert!(mistakes(&World::new(all)).await.is_empty(), "nor where a model passes all columns on");
    // The columns of silver are known all the same.
    let whole = Setup::plain().edit(GOLD_FILE, "s.country,\n", "s.land,\n");
    let found = mistakes(&World::new(whole)).await;
    assert!(
        matches!(&found[..], [Mistake { error: EngineError::Model { file, .. }, .. }] if file == GOLD_FILE)
    );
    // A grammar mistake is one wherever the columns come from.
    let grammar = partly(Setup::plain()).edit(LEGACY_FILE, "from meters m", "frm meters m");
    assert_eq!(mistakes(&World::new(grammar)).await.len(), 1);
}
