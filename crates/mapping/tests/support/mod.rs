//! A small project without mistakes, and ways to break it.
#![allow(dead_code, reason = "every test file uses its part")]

use std::path::{Path, PathBuf};

use dualrun_mapping::{Diagnostic, Loaded, ProjectFiles, load};

pub(crate) const SETTINGS: &str = r#"version = 1

[project]
name = "Test"

[source.dump]
kind = "bson_dump"
url = "data/mongo"
database = "core"

[source.lake]
kind = "parquet"
url = "data/lake"

[[asset]]
id = "mongodb:core.cloud_usage"
disposition = "archive"
"#;

pub(crate) const MAPPING: &str = r#"version = 1

[pipeline]
id = "cloud"
title = "Cloud"
owner = "data"
phase = 1
stage = "dual_run"
criticality = "high"
legacy_assets = ["mongodb:core.cloud_usage"]

[[input]]
name = "usage"
role = "activity"
legacy = { source = "dump", collection = "cloud_usage" }
new = { source = "lake", path = "usage/" }
key = ["_id"]
columns = ["hours"]
customer = "customerId"

[[input]]
name = "grid"
role = "factor"
new = { source = "lake", path = "grid.parquet" }

[result]
grain = ["customer_id", "day"]
customer = "customer_id"
period = { column = "day", unit = "day", time_zone = "Europe/Paris" }

[result.measures.energy_kwh]
unit = "kWh"
tolerance = { absolute = 1e-6, relative = 1e-9 }

[result.attributes]
region = "exact"

[parameters]
edition = "text"

[legacy]
engine = "sql"
models = ["legacy.sql"]

[new]
engine = "sql"
models = ["new/10_silver.sql", "new/20_gold.sql"]

[[align]]
rule = "unit"
column = "energy_kwh"
side = "legacy"
from = "Wh"
to = "kWh"

[[check]]
side = "new"
name = "energy is never negative"
sql = "select count(*) from result where energy_kwh < 0"
"#;

pub(crate) const LEGACY: &str = "select * from usage where at >= $period_start and at < $period_end\n";
pub(crate) const SILVER: &str = "select * from usage join grid on grid.edition = $edition\n";
pub(crate) const GOLD: &str = "select * from silver where day = $period_first_day\n";

pub(crate) const CHANGE: &str = r#"version = 1
id = "MC-1"
title = "New grid"
class = "factor-update"
owner = "product"
effective = 2025-02-01
rationale = "A new edition."
pipelines = ["cloud"]

[[switch]]
parameter = "edition"
legacy = "2023"
new = "2024"

[[expect]]
measure = "energy_kwh"
direction = "decrease"
relative = { min = -0.5, max = 0.0 }
"#;

pub(crate) const MAPPING_FILE: &str = "cloud/mapping.toml";
pub(crate) const CHANGE_FILE: &str = "methodology/MC-1.toml";

/// The project without mistakes.
pub(crate) fn good() -> ProjectFiles {
    let files = [
        ("dualrun.toml", SETTINGS),
        (MAPPING_FILE, MAPPING),
        ("cloud/legacy.sql", LEGACY),
        ("cloud/new/10_silver.sql", SILVER),
        ("cloud/new/20_gold.sql", GOLD),
        (CHANGE_FILE, CHANGE),
    ];
    ProjectFiles { files: files.iter().map(|(p, t)| (PathBuf::from(p), (*t).to_owned())).collect() }
}

/// The good project with one text replaced in one file.
pub(crate) fn with(file: &str, from: &str, to: &str) -> ProjectFiles {
    let mut files = good();
    replace(&mut files, file, from, to);
    files
}

pub(crate) fn replace(files: &mut ProjectFiles, file: &str, from: &str, to: &str) {
    let text = files.files.get_mut(Path::new(file)).unwrap_or_else(|| panic!("no file {file}"));
    assert!(text.contains(from), "{file} does not hold {from:?}");
    *text = text.replacen(from, to, 1);
}

pub(crate) fn add(files: &mut ProjectFiles, file: &str, text: &str) {
    files.files.insert(PathBuf::from(file), text.to_owned());
}

/// No variable is set.
pub(crate) fn read(files: &ProjectFiles) -> Loaded {
    let loaded = load(files, "default", &|_| None);
    assert_eq!(loaded.project.is_none(), loaded.diagnostics.iter().any(Diagnostic::is_error));
    loaded
}

/// All diagnostics as a person sees them.
pub(crate) fn told(files: &ProjectFiles) -> String {
    render(files, &read(files))
}

pub(crate) fn render(files: &ProjectFiles, loaded: &Loaded) -> String {
    let one = |d: &Diagnostic| d.render_plain(files.text(&d.file).unwrap_or_default());
    loaded.diagnostics.iter().map(one).collect::<Vec<_>>().join("\n")
}
