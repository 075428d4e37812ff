//! Projects without mistakes.

mod support;

use std::path::{Path, PathBuf};

use dualrun_core::{ChangeId, input::Side, parameter::ParameterValue};
use dualrun_mapping::{ProjectFiles, load, schemas};
use support::{CHANGE_FILE, MAPPING_FILE, add, good, read, replace, told, with};

#[test]
fn a_good_project_loads_without_a_word() {
    let files = good();
    assert_eq!(told(&files), "");
    let project = read(&files).project.unwrap();
    let pipeline = &project.pipelines[0];
    assert_eq!(pipeline.file, Path::new(MAPPING_FILE));
    let names =
        |side| pipeline.calculation(side).models().iter().map(|m| m.name.as_str()).collect::<Vec<_>>();
    assert_eq!((names(Side::Legacy), names(Side::New)), (vec!["legacy"], vec!["silver", "gold"]));
    assert_eq!(pipeline.new.models()[0].reads, ["usage", "grid"]);
    assert_eq!(pipeline.new.models()[1].parameters, ["period_first_day"]);
    let change = &project.changes_of(&pipeline.id)[0];
    assert_eq!(change.side_in(&pipeline.id), Some(Side::New));
    assert_eq!(change.effective.to_string(), "2025-02-01");
    assert_eq!(change.expectations[0].condition, "true");
    assert_eq!(change.hash.len(), 64);
}

#[test]
fn the_reference_project_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings");
    let mut files = ProjectFiles::default();
    collect(&root, &root, &mut files);
    let loaded = load(&files, "default", &|_| None);
    assert!(loaded.project.is_some(), "{}", support::render(&files, &loaded));
    assert!(loaded.project.unwrap().pipelines.len() >= 8);
}

#[expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]
fn collect(root: &Path, folder: &Path, files: &mut ProjectFiles) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "toml" || e == "sql" || e == "json" || e == "py") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.files.insert(path.strip_prefix(root).unwrap().to_owned(), text);
        }
    }
}

#[test]
fn a_switch_gives_its_value_on_its_side() {
    let project = read(&good()).project.unwrap();
    let pipeline = &project.pipelines[0];
    let changes: Vec<_> = project.changes.iter().collect();
    let value = |on: bool, side| pipeline.switch_values(&changes, &|_: &ChangeId| on, side).remove("edition");
    assert_eq!(value(true, Side::New), Some(ParameterValue::Text("2024".into())));
    assert_eq!(value(false, Side::New), Some(ParameterValue::Text("2023".into())));
    assert_eq!(value(true, Side::Legacy), None);
}

#[test]
fn parameters_reach_models_through_others_and_through_inputs() {
    let mut files = with(MAPPING_FILE, "grid.parquet", "grid/{edition}.parquet");
    let project = read(&files).project.unwrap();
    let pipeline = &project.pipelines[0];
    let names = |model: &str| pipeline.new.parameters_reaching(model).into_iter().collect::<Vec<_>>();
    assert_eq!(names("silver"), ["edition"]);
    assert_eq!(names("gold"), ["edition", "period_first_day"]);
    assert!(names("other").is_empty());

    replace(&mut files, "cloud/new/10_silver.sql", "grid.edition = $edition", "true");
    let project = read(&files).project.unwrap();
    let pipeline = &project.pipelines[0];
    assert!(!pipeline.new.parameters_reaching("gold").contains("edition"));
    assert!(pipeline.parameters_reaching(Side::New, "gold").contains("edition"));
}

#[test]
fn models_are_put_in_order() {
    let mut files =
        with(MAPPING_FILE, "\"new/10_silver.sql\", ", "\"new/15_base.sql\", \"new/10_silver.sql\", ");
    replace(&mut files, "cloud/new/10_silver.sql", "from usage", "from raw join usage on true");
    add(&mut files, "cloud/new/15_base.sql", "select 1 from raw");
    replace(&mut files, MAPPING_FILE, "\"new/20_gold", "\"new/raw.sql\", \"new/20_gold");
    add(&mut files, "cloud/new/raw.sql", "select * from usage");
    replace(&mut files, "cloud/new/20_gold.sql", "from silver", "from silver, base");
    assert_eq!(told(&files), "");
    let project = read(&files).project.unwrap();
    let names: Vec<_> = project.pipelines[0].new.models().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["raw", "base", "silver", "gold"]);
}

#[test]
fn an_environment_overrides_and_takes_variables() {
    let mut files = good();
    let text = "\n[env.production.source.lake]\nurl = \"s3://${BUCKET}/lake\"\n[env.test.source.lake]\nurl = \"t\"\n";
    files.files.get_mut(Path::new("dualrun.toml")).unwrap().push_str(text);
    let lookup = |name: &str| (name == "BUCKET").then(|| "b1".to_owned());
    let url = |environment: &str| {
        let project = load(&files, environment, &lookup).project.unwrap();
        project.settings.source["lake"].url.clone()
    };
    assert_eq!(
        (url("production"), url("test"), url("default")),
        ("s3://b1/lake".into(), "t".into(), "data/lake".into())
    );
    // Only the chosen environment needs its variables.
    assert!(load(&files, "test", &|_| None).project.is_some());
    assert!(load(&files, "production", &|_| None).project.is_none());
}

#[test]
fn mappings_may_stand_in_a_folder_of_their_own() {
    let mut moved = ProjectFiles::default();
    for (file, text) in good().files {
        let is_settings = file == Path::new("dualrun.toml");
        let at = if is_settings { file } else { PathBuf::from("mappings").join(file) };
        moved.files.insert(at, text);
    }
    replace(&mut moved, "dualrun.toml", "name = \"Test\"", "name = \"Test\"\nmappings = \"./mappings\"");
    assert_eq!(told(&moved), "");
    assert_eq!(read(&moved).project.unwrap().pipelines.len(), 1);
}

#[test]
fn hashes_follow_meaning() {
    let hashes = |files: &ProjectFiles| {
        let project = read(files).project.unwrap();
        let pipeline = &project.pipelines[0];
        (pipeline.mapping_hash.clone(), pipeline.new.hash.clone(), project.changes[0].hash.clone())
    };
    let base = hashes(&good());
    assert_eq!(hashes(&with(MAPPING_FILE, "title = \"Cloud\"", "title = \"Other\" # why")), base);
    assert_eq!(hashes(&with(MAPPING_FILE, "stage = \"dual_run\"", "stage = \"parity\"")), base);
    let tolerance = hashes(&with(MAPPING_FILE, "relative = 1e-9", "relative = 1e-8"));
    assert_ne!(tolerance.0, base.0);
    assert_eq!((&tolerance.1, &tolerance.2), (&base.1, &base.2));
    let model = hashes(&with("cloud/new/20_gold.sql", "select *", "select  *"));
    assert_eq!(model.0, base.0);
    assert_ne!(model.1, base.1);
    assert_ne!(hashes(&with(CHANGE_FILE, "A new edition.", "Because.")).2, base.2);
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (name, text) in schemas() {
        let file = folder.join(name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == text, "{name} is old: run the tests of this crate with UPDATE_SCHEMAS=1");
    }
}
