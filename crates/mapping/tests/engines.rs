//! Calculations by another engine than SQL: what they become, and what is said of their mistakes.

mod support;

use std::{path::Path, time::Duration};

use dualrun_core::input::Side;
use dualrun_mapping::{
    ProjectFiles, attachments,
    plan::{Calculation, Engine, ResultFormat},
};
use support::{MAPPING_FILE, add, good, read, replace, told, with};

const NEW: &str = "engine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]";
const COMMAND: &str = "engine = \"command\"
command = [\"python3\", \"new/calculate.py\"]
result = { format = \"json-lines\", path = \"out/result.jsonl\" }
timeout = \"10m\"
env = [\"API_TOKEN\"]
files = [\"lib\"]
embedded = { engine = \"sql\", models = [\"new/10_silver.sql\", \"new/20_gold.sql\"] }";
const RELATION: &str = "engine = \"relation\"\nsource = \"lake\"\npath = \"gold/{edition}/day={day}/\"";

/// The good project with a command on its new side.
fn command() -> ProjectFiles {
    let mut files = with(MAPPING_FILE, NEW, COMMAND);
    add(&mut files, "cloud/new/calculate.py", "print('a')\n");
    add(&mut files, "cloud/lib/units.py", "KWH = 1000\n");
    files
}

fn new_side(files: &ProjectFiles) -> Calculation {
    let project = read(files).project;
    project.unwrap_or_else(|| panic!("{}", told(files))).pipelines[0].calculation(Side::New).clone()
}

#[test]
fn a_command_is_read_with_its_embedded_form() {
    let files = command();
    assert_eq!(told(&files), "");
    let calculation = new_side(&files);
    let Engine::Command(command) = &calculation.engine else { panic!("{calculation:?}") };
    assert_eq!(command.line, ["python3", "new/calculate.py"]);
    assert_eq!(command.folder, Path::new("cloud"));
    assert_eq!(
        (command.format, command.path.as_deref()),
        (ResultFormat::JsonLines, Some("out/result.jsonl"))
    );
    assert_eq!(
        (command.timeout, command.env.as_slice()),
        (Duration::from_secs(600), ["API_TOKEN".to_owned()].as_slice())
    );
    assert_eq!(calculation.embedded.as_ref().unwrap().models().len(), 2);
    assert_eq!(calculation.planned().models().len(), 2);
    assert!(calculation.depends_on("edition") && calculation.note.is_none());
}

#[test]
fn a_short_command_has_defaults() {
    let files = with(MAPPING_FILE, NEW, "engine = \"command\"\ncommand = [\"calculate\"]");
    let calculation = new_side(&files);
    let Engine::Command(command) = &calculation.engine else { panic!("{calculation:?}") };
    assert_eq!((command.format, &command.path), (ResultFormat::Parquet, &None));
    assert_eq!(command.timeout, Duration::from_secs(3600));
    assert!(command.env.is_empty() && calculation.embedded.is_none());
}

#[test]
fn the_hash_of_a_command_follows_its_line_and_its_files() {
    let base = new_side(&command()).hash;
    let changed = |file: &str, from: &str, to: &str| {
        let mut files = command();
        replace(&mut files, file, from, to);
        new_side(&files).hash
    };
    assert_ne!(changed("cloud/new/calculate.py", "'a'", "'b'"), base);
    assert_ne!(changed("cloud/lib/units.py", "1000", "1001"), base);
    assert_ne!(changed(MAPPING_FILE, "\"new/calculate.py\"]", "\"new/calculate.py\", \"-v\"]"), base);
    assert_ne!(changed(MAPPING_FILE, "\"API_TOKEN\"", "\"OTHER\""), base);
    // How long it may take changes no row, and neither does the embedded form.
    assert_eq!(changed(MAPPING_FILE, "10m", "20m"), base);
    assert_eq!(changed("cloud/new/20_gold.sql", "select *", "select  *"), base);
}

#[test]
fn the_files_of_a_command_are_asked_for() {
    let mut files =
        with(MAPPING_FILE, NEW, &COMMAND.replace("\"lib\"", "\"../shared\", \"../../etc\", \"/etc\""));
    replace(
        &mut files,
        MAPPING_FILE,
        "\"new/calculate.py\"]",
        "\"--script=new/calculate.py\", \"..\", \"-v\"]",
    );
    let found = attachments(&files);
    let found: Vec<_> = found.iter().map(|p| p.to_str().unwrap()).collect();
    // Whether `python3` is a file of the folder only the file system knows.
    assert_eq!(found, ["cloud/new/calculate.py", "cloud/python3", "shared"]);
}

#[test]
fn the_embedded_form_is_taken_where_the_settings_or_the_place_say_so() {
    let mut files = command();
    let live = read(&files).project.unwrap();
    let mut taken = live.clone();
    taken.use_embedded_where(&|_, calculation| {
        matches!(calculation.engine, Engine::Command(_)).then(|| "there is no `python3`".to_owned())
    });
    let new = &taken.pipelines[0].new;
    assert_eq!(new.models().len(), 2);
    let note = "the new side was calculated in its embedded form, not by its command: there is no `python3`";
    assert_eq!(new.note.as_deref(), Some(note));
    assert_eq!(taken.pipelines[0].legacy, live.pipelines[0].legacy);

    replace(
        &mut files,
        "dualrun.toml",
        "[source.dump]",
        "[calculations]\nform = \"embedded\"\n\n[source.dump]",
    );
    let set = read(&files).project.unwrap();
    let plain = read(&good()).project.unwrap();
    assert_eq!(set.pipelines[0].new, plain.pipelines[0].new, "the same models, hash and no note");
}

#[test]
fn a_relation_is_read_with_its_parameters() {
    let mut files = with(MAPPING_FILE, NEW, RELATION);
    let told = told(&files);
    assert_eq!(told, "");
    let calculation = new_side(&files);
    let Engine::Relation(relation) = &calculation.engine else { panic!("{calculation:?}") };
    assert_eq!(relation.place.place(), "gold/{edition}/day={day}/");
    assert!(calculation.depends_on("edition") && !calculation.depends_on("day"));
    replace(&mut files, MAPPING_FILE, "gold/{edition}", "gold2/{edition}");
    assert_ne!(new_side(&files).hash, calculation.hash);
}

const POSTGRES: &str = "engine = \"postgres\"\nsource = \"core\"\nquery = \"legacy.pg.sql\"";
const MONGODB: &str =
    "engine = \"mongodb\"\nsource = \"docs\"\ncollection = \"usage\"\npipeline = \"legacy.pipeline.json\"";
const LEGACY: &str = "engine = \"sql\"\nmodels = [\"legacy.sql\"]";
const EMBEDDED: &str = "embedded = { engine = \"sql\", models = [\"legacy.sql\"] }";
const QUERY: &str = "select $period_end as \"$a\", '$b', $customer -- $c\nfrom usage where at >= $period_start and at < $period_end;\n";
const PIPELINE: &str =
    "[{\"$match\": {\"at\": {\"$gte\": {\"$param\": \"period_start\"}}}},\n {\"$limit\": 5}]\n";

/// The good project with two servers and this legacy side.
fn served(legacy: &str) -> ProjectFiles {
    let mut files = with(MAPPING_FILE, LEGACY, legacy);
    let servers = "[source.core]\nkind = \"postgres\"\nurl = \"postgres://u:${CORE_PASSWORD}@h/core\"\n\n\
                   [source.docs]\nkind = \"mongodb\"\nurl = \"mongodb://u:${DOCS_URL}@h/docs\"\n\n[source.dump]";
    replace(&mut files, "dualrun.toml", "[source.dump]", servers);
    add(&mut files, "cloud/legacy.pg.sql", QUERY);
    add(&mut files, "cloud/legacy.pipeline.json", PIPELINE);
    files
}

/// Loads with every variable set.
fn set(files: &ProjectFiles) -> Calculation {
    let loaded = dualrun_mapping::load(files, "default", &|_| Some("x".to_owned()));
    let Some(project) = &loaded.project else { panic!("{}", support::render(files, &loaded)) };
    project.pipelines[0].legacy.clone()
}

#[test]
fn parameters_of_a_query_are_numbered_once_each() {
    let calculation = set(&served(POSTGRES));
    let Engine::Postgres(query) = &calculation.engine else { panic!("{calculation:?}") };
    assert_eq!(query.parameters, ["period_end", "customer", "period_start"]);
    assert_eq!(query.sql, "select $1 as \"$a\", '$b', $2 -- $c\nfrom usage where at >= $3 and at < $1;\n");
    assert_eq!((query.source.as_str(), query.file.as_path()), ("core", Path::new("cloud/legacy.pg.sql")));
    let mut changed = served(POSTGRES);
    replace(&mut changed, "cloud/legacy.pg.sql", "at <", "at <=");
    assert_ne!(set(&changed).hash, calculation.hash);
}

#[test]
fn a_pipeline_is_read_with_its_parameters() {
    let files = served(MONGODB);
    let calculation = set(&files);
    let Engine::Mongodb(pipeline) = &calculation.engine else { panic!("{calculation:?}") };
    assert_eq!(pipeline.parameters, ["period_start"]);
    assert_eq!((pipeline.collection.as_str(), pipeline.pipeline.as_str()), ("usage", PIPELINE));
    assert!(attachments(&files).contains(&"cloud/legacy.pipeline.json".into()));
}

#[test]
fn a_server_whose_variable_is_not_set_is_replaced_by_the_embedded_form() {
    let files = served(&format!("{POSTGRES}\n{EMBEDDED}"));
    assert_eq!(told(&files), "");
    let project = read(&files).project.unwrap();
    let legacy = &project.pipelines[0].legacy;
    assert_eq!(legacy.models().len(), 1);
    let note = "the legacy side was calculated in its embedded form, not by its postgres: the variable \
                `CORE_PASSWORD` is not set";
    assert_eq!(legacy.note.as_deref(), Some(note));
    assert!(!project.settings.source.contains_key("core"));
    assert!(matches!(set(&files).engine, Engine::Postgres(_)));
}

#[test]
fn a_server_that_is_needed_needs_its_variable() {
    insta::assert_snapshot!("calculation_without_its_variable", told(&served(MONGODB)));
    let mut files = served(LEGACY);
    replace(&mut files, MAPPING_FILE, "source = \"dump\"", "source = \"docs\"");
    insta::assert_snapshot!("input_without_its_variable", told(&files));
}

/// One replacement in a file of a project with this server on its legacy side gives exactly these diagnostics.
macro_rules! served_mistakes {
    ($($name:ident: $legacy:expr, $file:expr, $from:expr => $to:expr, $codes:expr;)+) => {$(
        #[test]
        fn $name() {
            let mut files = served(&format!("{}\n{EMBEDDED}", $legacy));
            replace(&mut files, $file, $from, $to);
            let loaded = read(&files);
            let found: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(found, $codes, "{}", told(&files));
            insta::assert_snapshot!(told(&files));
        }
    )+};
}

served_mistakes! {
    query_is_not_there: POSTGRES, MAPPING_FILE, "legacy.pg.sql" => "legacy.pgsql", ["missing-file"];
    query_with_an_unknown_parameter: POSTGRES, "cloud/legacy.pg.sql", "$customer" => "$custmer", ["unknown-parameter"];
    query_without_an_end: POSTGRES, "cloud/legacy.pg.sql", "'$b'" => "'$b", ["sql-syntax"];
    query_of_an_unknown_source: POSTGRES, MAPPING_FILE, "source = \"core\"" => "source = \"cor\"", ["unknown-source"];
    pipeline_that_is_no_json: MONGODB, "cloud/legacy.pipeline.json", "5}]" => "5]", ["json-syntax"];
    pipeline_that_is_no_list: MONGODB, "cloud/legacy.pipeline.json", PIPELINE => "{\"$match\": {}}", ["json-syntax"];
    pipeline_with_an_unknown_parameter: MONGODB, "cloud/legacy.pipeline.json", "period_start" => "period_strat",
        ["unknown-parameter"];
}

/// One replacement in a project with the given new side gives exactly these diagnostics.
macro_rules! mistakes {
    ($($name:ident: $new:expr, $from:expr => $to:expr, $codes:expr;)+) => {$(
        #[test]
        fn $name() {
            let mut files = command();
            replace(&mut files, MAPPING_FILE, COMMAND, $new);
            replace(&mut files, MAPPING_FILE, $from, $to);
            let loaded = read(&files);
            let found: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(found, $codes, "{}", told(&files));
            insta::assert_snapshot!(told(&files));
        }
    )+};
}

mistakes! {
    no_program: COMMAND, "[\"python3\", \"new/calculate.py\"]" => "[]", ["missing-command"];
    script_is_not_there: COMMAND, "new/calculate.py" => "new/calculat.py", ["missing-file"];
    further_file_is_not_there: COMMAND, "\"lib\"" => "\"libs\"", ["missing-file"];
    result_of_an_unknown_format: COMMAND, "json-lines" => "jsonlines", ["unknown-word"];
    result_without_a_format: COMMAND, "format = \"json-lines\", " => "", ["missing-key"];
    bad_time_limit: COMMAND, "10m" => "10 minutes", ["invalid-text"];
    variable_with_a_value: COMMAND, "API_TOKEN" => "API_TOKEN=x", ["invalid-text"];
    variable_of_dualrun: COMMAND, "API_TOKEN" => "DUALRUN_RESULT", ["reserved-variable"];
    parameter_of_a_reserved_name: COMMAND, "edition = \"text\"" => "edition = \"text\"\nresult = \"text\"",
        ["reserved-variable"];
    mistake_in_the_embedded_form: COMMAND, "new/20_gold.sql" => "new/20_glod.sql", ["missing-file"];
    embedded_is_sql: COMMAND, "engine = \"sql\", models" => "engine = \"command\", models", ["unknown-word"];
    relation_of_an_unknown_source: RELATION, "source = \"lake\"\npath" => "source = \"lke\"\npath", ["unknown-source"];
    relation_without_a_place: RELATION, "path = \"gold/{edition}/day={day}/\"" => "", ["relation-without-place"];
    relation_with_two_places: RELATION, "path = \"gold" => "collection = \"x\"\npath = \"gold", ["relation-without-place"];
    relation_with_an_unknown_parameter: RELATION, "{day}" => "{dya}", ["unknown-parameter"];
    relation_without_the_switch: RELATION, "{edition}" => "all", ["unused-parameter", "unused-switch"];
}
