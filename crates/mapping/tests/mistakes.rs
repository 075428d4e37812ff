//! Every mistake that a project can hold: what is said of it, and where.

mod support;

use dualrun_mapping::{Diagnostic, ProjectFiles, load};
use support::{CHANGE, CHANGE_FILE, MAPPING, MAPPING_FILE, add, good, read, render, replace, told, with};

/// One replacement in one file of the good project gives exactly these diagnostics, in this order.
macro_rules! mistakes {
    ($($name:ident: $file:expr, $from:expr => $to:expr, $codes:expr;)+) => {$(
        #[test]
        fn $name() {
            let files = with($file, $from, $to);
            expect(&files, &$codes);
            insta::assert_snapshot!(told(&files));
        }
    )+};
}

fn expect(files: &ProjectFiles, codes: &[&str]) {
    let loaded = read(files);
    let found: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(found, codes, "{}", render(files, &loaded));
    assert!(loaded.diagnostics.iter().all(|d| d.hint.is_some() && !d.label.is_empty() && d.span.is_some()));
}

mistakes! {
    toml_syntax: MAPPING_FILE, "phase = 1" => "phase = ", ["toml-syntax"];
    unknown_key: MAPPING_FILE, "tolerance = {" => "tolerence = {", ["unknown-key"];
    unknown_table: MAPPING_FILE, "[parameters]" => "[paramters]",
        ["unknown-key", "unknown-parameter", "unknown-parameter"];
    missing_key: MAPPING_FILE, "owner = \"data\"\n" => "", ["missing-key"];
    wrong_type: MAPPING_FILE, "title = \"Cloud\"" => "title = 3", ["wrong-type"];
    wrong_type_of_a_list: MAPPING_FILE, "key = [\"_id\"]" => "key = \"_id\"", ["wrong-type"];
    wrong_word: MAPPING_FILE, "criticality = \"high\"" => "criticality = \"hihg\"", ["unknown-word"];
    wrong_phase: MAPPING_FILE, "phase = 1" => "phase = 4", ["out-of-range"];
    unsupported_version: MAPPING_FILE, "version = 1" => "version = 2", ["unsupported-version"];
    unsupported_engine: MAPPING_FILE, "engine = \"sql\"\nmodels = [\"legacy.sql\"]" =>
        "engine = \"spark\"\nmodels = [\"legacy.sql\"]", ["unknown-word"];
    slip_in_the_key_that_tells_the_engine: MAPPING_FILE, "engine = \"sql\"\nmodels = [\"legacy" =>
        "engin = \"sql\"\nmodels = [\"legacy", ["missing-key", "unknown-key"];
    key_of_another_engine: MAPPING_FILE, "models = [\"legacy.sql\"]" =>
        "models = [\"legacy.sql\"]\ncommand = [\"python3\"]", ["unknown-key"];
    missing_file: MAPPING_FILE, "new/20_gold.sql" => "new/20_glod.sql", ["missing-file"];
    no_models: MAPPING_FILE, "[\"legacy.sql\"]" => "[]", ["missing-model"];
    id_and_folder: MAPPING_FILE, "id = \"cloud\"" => "id = \"clouds\"",
        ["id-and-folder", "unknown-pipeline"];
    bad_id: MAPPING_FILE, "id = \"cloud\"" => "id = \"clo/ud\"",
        ["invalid-text", "unknown-pipeline"];
    negative_tolerance: MAPPING_FILE, "absolute = 1e-6" => "absolute = -1e-6", ["out-of-range"];
    tolerance_not_a_number: MAPPING_FILE, "absolute = 1e-6" => "absolute = nan", ["not-finite"];
    infinite_tolerance: MAPPING_FILE, "relative = 1e-9" => "relative = inf", ["not-finite"];
    number_too_large: MAPPING_FILE, "phase = 1" => "phase = 99999999999999999999", ["out-of-range"];
    unit_does_not_convert: MAPPING_FILE, "from = \"Wh\"" => "from = \"gCO2e\"", ["unit-mismatch"];
    unit_is_not_the_measures: MAPPING_FILE, "to = \"kWh\"" => "to = \"MWh\"", ["unit-mismatch"];
    unit_of_an_attribute: MAPPING_FILE, "column = \"energy_kwh\"" => "column = \"region\"", ["unit-mismatch"];
    unknown_rule: MAPPING_FILE, "rule = \"unit\"" => "rule = \"units\"", ["unknown-word"];
    unknown_key_of_a_rule: MAPPING_FILE, "side = \"legacy\"\nfrom" => "sides = \"legacy\"\nfrom", ["unknown-key"];
    key_of_another_rule: MAPPING_FILE, "to = \"kWh\"" => "to = \"kWh\"\nwidth = 3", ["unknown-key"];
    missing_key_of_a_rule: MAPPING_FILE, "from = \"Wh\"\n" => "", ["missing-key"];
    unknown_column: MAPPING_FILE, "column = \"energy_kwh\"" => "column = \"energy\"", ["unknown-column"];
    unknown_cast: MAPPING_FILE, "rule = \"unit\"\ncolumn = \"energy_kwh\"\nside = \"legacy\"\nfrom = \"Wh\"\nto = \"kWh\"" =>
        "rule = \"cast\"\ncolumn = \"region\"\nto = \"txt\"", ["unknown-word"];
    unknown_parameter: "cloud/new/20_gold.sql", "$period_first_day" => "$period_frist_day", ["unknown-parameter"];
    unknown_table_of_a_model: "cloud/new/20_gold.sql", "from silver" => "from slver", ["unused-model", "unknown-table"];
    input_of_the_other_side: "cloud/legacy.sql", "from usage" => "from usage, grid", ["unknown-table"];
    quote_without_an_end: "cloud/new/20_gold.sql", "$period_first_day" => "'x", ["sql-syntax"];
    parameter_never_used: MAPPING_FILE, "edition = \"text\"" => "edition = \"text\"\nother = \"integer\"",
        ["unused-parameter"];
    parameter_is_built_in: MAPPING_FILE, "edition = \"text\"" => "edition = \"text\"\ncustomer = \"text\"",
        ["built-in-parameter", "unused-parameter"];
    parameter_without_value: "cloud/new/20_gold.sql", "select *" => "select *, $other",
        ["unknown-parameter"];
    parameter_of_the_other_side: "cloud/legacy.sql", "$period_end" => "$edition", ["parameter-without-value"];
    unknown_parameter_of_a_place: MAPPING_FILE, "usage/\"" => "usage/{dya}/\"", ["unknown-parameter"];
    cyclic_models: "cloud/new/10_silver.sql", "from usage" => "from gold join usage on true", ["cyclic-models"];
    customer_not_in_grain: MAPPING_FILE, "customer = \"customer_id\"" => "customer = \"customer\"", ["not-in-grain"];
    period_not_in_grain: MAPPING_FILE, "column = \"day\", unit" => "column = \"date\", unit", ["not-in-grain"];
    compare_at_not_in_grain: MAPPING_FILE, "customer = \"customer_id\"" =>
        "customer = \"customer_id\"\ncompare_at = [\"day\", \"site\"]", ["not-in-grain", "not-in-grain"];
    measure_in_grain: MAPPING_FILE, "[\"customer_id\", \"day\"]" => "[\"customer_id\", \"day\", \"energy_kwh\"]",
        ["duplicate-column"];
    attribute_is_a_measure: MAPPING_FILE, "region = \"exact\"" => "energy_kwh = \"exact\"", ["duplicate-column"];
    column_in_grain_twice: MAPPING_FILE, "[\"customer_id\", \"day\"]" => "[\"customer_id\", \"day\", \"day\"]",
        ["duplicate-column"];
    empty_grain: MAPPING_FILE, "[\"customer_id\", \"day\"]" => "[]", ["empty-grain"];
    unknown_time_zone: MAPPING_FILE, "Europe/Paris" => "Europe/Lutetia", ["unknown-time-zone"];
    unknown_source: MAPPING_FILE, "source = \"dump\"" => "source = \"dmup\"", ["unknown-source"];
    duplicate_input: MAPPING_FILE, "name = \"grid\"" => "name = \"usage\"", ["duplicate-input", "unknown-table"];
    activity_without_side: MAPPING_FILE, "new = { source = \"lake\", path = \"usage/\" }\n" => "",
        ["input-without-side", "unknown-table"];
    activity_without_key: MAPPING_FILE, "key = [\"_id\"]\n" => "", ["input-without-key"];
    content_without_columns: MAPPING_FILE, "columns = [\"hours\"]\n" => "", ["fence-without-columns"];
    input_without_place: MAPPING_FILE, ", path = \"usage/\"" => "", ["input-without-place"];
    input_with_two_places: MAPPING_FILE, "path = \"usage/\"" => "path = \"usage/\", collection = \"x\"",
        ["input-without-place"];
    factor_without_side: MAPPING_FILE, "new = { source = \"lake\", path = \"grid.parquet\" }\n" => "",
        ["input-without-side", "unknown-table"];
    unused_input: MAPPING_FILE, "role = \"factor\"" =>
        "role = \"factor\"\nlegacy = { source = \"lake\", path = \"grid.parquet\" }", ["unused-input"];
    bad_margin: MAPPING_FILE, "columns = [\"hours\"]" => "columns = [\"hours\"]\nmargin = \"1 day\"", ["invalid-text"];
    bad_shape: MAPPING_FILE, "columns = [\"hours\"]" =>
        "columns = [\"hours\"]\nshape = { hours = { type = \"decimal\", precision = 5, scale = 6 } }", ["invalid-decimal"];
    bad_decimal_mark: MAPPING_FILE, "columns = [\"hours\"]" =>
        "columns = [\"hours\"]\nshape = { hours = { type = \"float\", decimal_mark = \"..\" } }", ["invalid-text"];
    check_reads_an_input: MAPPING_FILE, "from result" => "from usage", ["unknown-table"];
    undeclared_asset: MAPPING_FILE, "core.cloud_usage\"]" => "core.cloudusage\"]", ["undeclared-asset"];
    change_of_unknown_pipeline: CHANGE_FILE, "[\"cloud\"]" => "[\"clod\"]",
        ["unknown-pipeline"];
    change_with_unknown_key: CHANGE_FILE, "[[switch]]" => "[[swich]]",
        ["unknown-key"];
    change_with_transform: CHANGE_FILE, "[[switch]]" => "[transform]\nco2e_kg = \"co2e_kg * 0.87\"\n[[switch]]",
        ["unknown-key"];
    bad_date: CHANGE_FILE, "2025-02-01" => "\"2025-02-30\"", ["invalid-date"];
    switch_of_unknown_parameter: CHANGE_FILE, "parameter = \"edition\"" => "parameter = \"editon\"",
        ["unknown-parameter"];
    switch_that_no_model_uses: "cloud/new/10_silver.sql", "$edition" => "'2024'", ["unused-parameter", "unused-switch"];
    switch_of_a_built_in: CHANGE_FILE, "parameter = \"edition\"" => "parameter = \"customer\"",
        ["built-in-parameter"];
    switch_of_the_wrong_type: MAPPING_FILE, "edition = \"text\"" => "edition = \"boolean\"", ["wrong-type", "wrong-type"];
    switch_without_effect: CHANGE_FILE, "\"2023\"" => "\"2024\"", ["switch-without-effect"];
    unknown_measure: CHANGE_FILE, "measure = \"energy_kwh\"" => "measure = \"energy\"", ["unknown-measure"];
    bounds_upside_down: CHANGE_FILE, "min = -0.5" => "min = 0.5", ["invalid-range"];
    bounds_not_a_number: CHANGE_FILE, "min = -0.5" => "min = nan", ["not-finite"];
    wrong_direction: CHANGE_FILE, "\"decrease\"" => "\"down\"", ["unknown-word"];
    settings_unknown_key: "dualrun.toml", "database = " => "databse = ", ["unknown-key"];
    settings_unknown_kind: "dualrun.toml", "\"parquet\"" => "\"parket\"", ["unknown-word"];
    settings_unknown_variable: "dualrun.toml", "data/lake" => "s3://${BUCKET}/lake", ["unknown-variable"];
    settings_unsupported_store: "dualrun.toml", "[source.dump]" =>
        "[state]\nurl = \"postgres://x\"\n[source.dump]", ["unsupported-store"];
    settings_bad_size: "dualrun.toml", "[source.dump]" =>
        "[limits]\nmemory = \"2GB\"\n[source.dump]", ["invalid-text"];
    settings_of_an_environment: "dualrun.toml", "[source.dump]" => "[env.test.source.lake]\nurll = \"x\"\n[source.dump]",
        ["unknown-key"];
    settings_phases: "dualrun.toml", "[source.dump]" =>
        "[[phase]]\nnumber = 1\nstart = 2025-02-01\nend = 2025-01-01\n[[phase]]\nnumber = 1\nstart = 2025-03-01\nend = 2025-04-01\n[source.dump]",
        ["invalid-range", "duplicate-id"];
    server_url: "dualrun.toml", "url = \"data/lake\"" => "url = \"mongodb://u:topsecret@h/d\"", ["unfit-url"];
    server_limits_of_files: "dualrun.toml", "url = \"data/lake\"" => "url = \"data/lake\"\nmax_rows_per_second = 5",
        ["unused-key"];
    server_query_time: "dualrun.toml", "url = \"data/lake\"" => "url = \"data/lake\"\nquery_time = \"30 years\"",
        ["invalid-text"];
    server_times: "dualrun.toml", "kind = \"bson_dump\"\nurl = \"data/mongo\"\ndatabase = \"core\"" =>
        "kind = \"mongodb\"\nurl = \"mongodb://h/d\"\nquery_time = \"1s\"\nchunk_time = \"2s\"\nidle_time = \"1min\"",
        ["invalid-range", "unused-key"];
    server_table: "dualrun.toml", "kind = \"parquet\"\nurl = \"data/lake\"" =>
        "kind = \"postgres\"\nurl = \"postgres://h/d\"\nread_preference = \"primary\"",
        ["unfit-place", "unfit-place", "unused-key"];
    server_tls: "dualrun.toml", "kind = \"bson_dump\"\nurl = \"data/mongo\"\ndatabase = \"core\"" =>
        "kind = \"mongodb\"\nurl = \"mongodb://h/d\"\ntls = \"verify_ca\"", ["unfit-tls"];
    table_of_files: MAPPING_FILE, "path = \"grid.parquet\"" => "table = \"grid\"", ["unfit-place"];
}

#[test]
fn a_change_without_a_switch_is_told() {
    let mut files = good();
    let text = CHANGE.replace("MC-1", "MC-2");
    let (head, _) = text.split_once("[[switch]]").unwrap();
    add(&mut files, "methodology/MC-2.toml", head);
    expect(&files, &["change-without-switch"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn a_parameter_belongs_to_one_change() {
    let mut files = good();
    add(&mut files, "methodology/MC-2.toml", &CHANGE.replace("MC-1", "MC-2"));
    expect(&files, &["parameter-of-two-changes"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn ids_are_unique_across_files() {
    let mut files = good();
    add(
        &mut files,
        "other/mapping.toml",
        &MAPPING.replace("\"legacy.sql\"", "\"../cloud/legacy.sql\"").replace("\"new/", "\"../cloud/new/"),
    );
    add(&mut files, "methodology/MC-2.toml", CHANGE);
    expect(&files, &["duplicate-id", "parameter-of-two-changes", "id-and-folder", "duplicate-id"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn a_change_acts_on_one_side() {
    let mut files = with(
        CHANGE_FILE,
        "[[expect]]",
        "[[switch]]\nside = \"legacy\"\nparameter = \"fix\"\nlegacy = false\nnew = true\n\n[[expect]]",
    );
    replace(&mut files, MAPPING_FILE, "edition = \"text\"", "edition = \"text\"\nfix = \"boolean\"");
    replace(&mut files, "cloud/legacy.sql", "where", "where $fix and");
    expect(&files, &["switch-of-both-sides"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn a_declared_parameter_needs_a_switch() {
    let mut files = with(MAPPING_FILE, "edition = \"text\"", "edition = \"text\"\nother = \"float\"");
    replace(&mut files, "cloud/new/20_gold.sql", "select *", "select *, $other");
    expect(&files, &["parameter-without-value"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn the_result_is_read_by_no_model() {
    let mut files = with(MAPPING_FILE, "\"new/20_gold.sql\"]", "\"new/20_gold.sql\", \"new/base.sql\"]");
    add(&mut files, "cloud/new/base.sql", "select * from usage");
    replace(&mut files, "cloud/new/10_silver.sql", "from usage", "from base");
    expect(&files, &["model-order"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn two_tables_of_one_name_are_refused() {
    let mut files =
        with(MAPPING_FILE, "\"new/10_silver.sql\"", "\"new/10_silver.sql\", \"new/15_usage.sql\"");
    add(&mut files, "cloud/new/15_usage.sql", "select 1");
    expect(&files, &["duplicate-table"]);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let mut files = with(MAPPING_FILE, "owner = \"data\"", "ownr = \"data\"");
    replace(&mut files, MAPPING_FILE, "absolute = 1e-6", "absolute = -1");
    replace(&mut files, MAPPING_FILE, "role = \"factor\"", "role = \"facts\"");
    replace(&mut files, CHANGE_FILE, "class = \"factor-update\"", "class = \"update\"");
    replace(&mut files, "dualrun.toml", "kind = \"parquet\"", "kind = 1");
    expect(
        &files,
        &["missing-key", "unknown-key", "unknown-word", "out-of-range", "wrong-type", "unknown-word"],
    );
    insta::assert_snapshot!(told(&files));
}

#[test]
fn a_project_without_settings_is_told() {
    let mut files = good();
    files.files.remove(std::path::Path::new("dualrun.toml"));
    let loaded = read(&files);
    insta::assert_snapshot!(render(&files, &loaded));
    assert!(loaded.project.is_none());
}

#[test]
fn an_empty_project_is_told() {
    let mut files = ProjectFiles::default();
    add(&mut files, "dualrun.toml", support::SETTINGS);
    let codes: Vec<&str> = read(&files).diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["no-pipeline"]);
}

#[test]
fn an_unknown_environment_is_told() {
    let files = with(
        "dualrun.toml",
        "[source.dump]",
        "[env.production.limits]\npipelines_at_once = 1\n[source.dump]",
    );
    let loaded = load(&files, "prodction", &|_| None);
    insta::assert_snapshot!(render(&files, &loaded));
    assert!(loaded.diagnostics.iter().any(Diagnostic::is_error));
    // A name that nobody declared is a slip, also where no environment is declared at all.
    let loaded = load(&good(), "production", &|_| None);
    assert_eq!(loaded.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["unknown-environment"]);
}

#[test]
fn a_secret_is_never_quoted() {
    let files = with("dualrun.toml", "kind = \"parquet\"", "kind = \"${KIND}\"");
    let loaded = load(&files, "default", &|_| Some("hunter2".to_owned()));
    let text = render(&files, &loaded);
    assert!(!text.contains("hunter2") && text.contains("${KIND}"), "{text}");
}

#[test]
fn a_refused_number_does_not_hide_the_other_mistakes_of_its_file() {
    let mut files = with(support::MAPPING_FILE, "absolute = 1e-6", "absolute = -1e-6");
    replace(&mut files, support::MAPPING_FILE, "[\"legacy.sql\"]", "[\"nowhere.sql\"]");
    let codes: Vec<&str> = read(&files).diagnostics.iter().map(|d| d.code).collect();
    assert!(codes.contains(&"out-of-range") && codes.contains(&"missing-file"), "{codes:?}");
}
