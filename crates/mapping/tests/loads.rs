//! `load` of an input and `store` of the new side: what is read, and what is said of mistakes.

mod support;

use dualrun_core::{
    PeriodUnit,
    load::{Layout, Overlap},
};
use support::{MAPPING_FILE, read, render, replace, told, with};

const USAGE: &str = "new = { source = \"lake\", path = \"usage/\" }";
const LOADED: &str = "new = { source = \"lake\", path = \"bronze/usage/day={day}/\" }\ntime = \"at\"\nload = { watermark = \
                      \"updatedAt\", overlap = \"30m\" }";
const GOLD: &str = "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]";

/// One replacement in the mapping of the good project gives exactly these diagnostics, in this order.
macro_rules! mistakes {
    ($($name:ident: $from:expr => $to:expr, $codes:expr;)+) => {$(
        #[test]
        fn $name() {
            let files = with(MAPPING_FILE, $from, $to);
            let loaded = read(&files);
            let found: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(found, $codes, "{}", render(&files, &loaded));
            assert!(loaded.diagnostics.iter().all(|d| d.hint.is_some() && d.span.is_some()));
            insta::assert_snapshot!(told(&files));
        }
    )+};
}

mistakes! {
    copy_without_a_folder: USAGE => "new = { source = \"lake\", path = \"usage.parquet\" }\nload = {}", ["unfit-copy"];
    copy_into_the_root: USAGE => "new = { source = \"lake\", path = \"day={day}/\" }\ntime = \"at\"\nload = {}",
        ["unfit-copy"];
    copy_by_day_without_time: USAGE => "new = { source = \"lake\", path = \"usage/day={day}/\" }\nload = {}",
        ["load-without-time"];
    copy_into_a_dump: USAGE => "new = { source = \"dump\", collection = \"copy\" }\nload = {}", ["unfit-copy"];
    copy_by_a_parameter: USAGE => "new = { source = \"lake\", path = \"usage/{edition}/\" }\nload = {}", ["unfit-copy"];
    overlap_that_is_none: USAGE =>
        "new = { source = \"lake\", path = \"usage/\" }\nload = { watermark = \"at\", overlap = \"1 week\" }",
        ["invalid-text"];
    overlap_without_watermark: USAGE => "new = { source = \"lake\", path = \"usage/\" }\nload = { overlap = \"1h\" }",
        ["load-without-watermark"];
    unknown_key_of_a_load: USAGE => "new = { source = \"lake\", path = \"usage/\" }\nload = { watermrk = \"at\" }",
        ["unknown-key"];
    watermark_without_key: "new = { source = \"lake\", path = \"grid.parquet\" }" =>
        "legacy = { source = \"dump\", collection = \"grid\" }\nnew = { source = \"lake\", path = \"grid/\" }\nload = { \
         watermark = \"at\" }",
        ["unused-input", "load-without-key"];
    watermark_that_does_not_grow: USAGE =>
        "new = { source = \"lake\", path = \"usage/\" }\nload = { watermark = \"at\" }\nshape = { at = \"float\" }",
        ["unfit-watermark"];
    number_below_a_timestamp: USAGE =>
        "new = { source = \"lake\", path = \"usage/\" }\nload = { watermark = \"at\", overlap = \"1000\" }\nshape = { at = \
         \"timestamp\" }",
        ["unfit-overlap"];
    time_below_a_number: USAGE =>
        "new = { source = \"lake\", path = \"usage/\" }\nload = { watermark = \"at\", overlap = \"1h\" }\nshape = { at = \
         \"integer\" }",
        ["unfit-overlap"];
    load_without_a_legacy_place: "path = \"grid.parquet\" }" => "path = \"grid/\" }\nload = {}", ["load-without-side"];
    store_of_the_legacy_side: "models = [\"legacy.sql\"]" =>
        "models = [\"legacy.sql\"]\nstore = { source = \"lake\", path = \"gold/day={day}/\" }", ["unfit-store"];
    store_without_periods: GOLD =>
        "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]\nstore = { source = \"lake\", path = \"{model}/cloud/\" }",
        ["unfit-store"];
    store_with_the_model_behind: GOLD =>
        "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]\nstore = { source = \"lake\", path = \
         \"x/day={day}/{model}/\" }",
        ["unfit-store"];
    store_in_an_unknown_source: GOLD =>
        "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]\nstore = { source = \"lakes\", path = \
         \"{model}/day={day}/\" }",
        ["unknown-source"];
}

#[test]
fn a_load_and_a_store_are_read_and_change_no_verdict() {
    let mut files = with(MAPPING_FILE, USAGE, LOADED);
    let plain = with(MAPPING_FILE, USAGE, LOADED.split("\nload").next().unwrap());
    let store = format!("{GOLD}\nstore = {{ source = \"lake\", path = \"{{model}}/cloud/day={{day}}/\" }}");
    replace(&mut files, MAPPING_FILE, GOLD, &store);
    let read = |files| support::read(files).project.unwrap().pipelines.remove(0);
    let (pipeline, plain) = (read(&files), read(&plain));
    let input = &pipeline.inputs[0];
    let load = input.load.as_ref().unwrap();
    assert_eq!(load.watermark.as_deref(), Some("updatedAt"));
    assert_eq!(load.overlap, Some(Overlap::Time(1800)));
    let layout = Layout::of(input.new.as_ref().unwrap().place()).unwrap();
    assert_eq!((layout.root.as_str(), layout.unit), ("bronze/usage", Some(PeriodUnit::Day)));
    assert_eq!(pipeline.new.store.as_ref().unwrap().path, "{model}/cloud/day={day}/");
    // The streak of a pipeline goes on when its loads are declared.
    assert_eq!(pipeline.mapping_hash, plain.mapping_hash);
    assert_eq!(pipeline.new.hash, plain.new.hash);
}
