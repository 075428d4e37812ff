//! A small project as the text of its files.

use std::{collections::BTreeMap, path::PathBuf};

use dualrun_mapping::{ProjectFiles, load, plan::Project};

const SETTINGS: &str = r#"
version = 1
[project]
name = "Test"
[source.docs]
kind = "json_lines"
url = "docs"
[source.lake]
kind = "json_lines"
url = "lake"
[source.factors]
kind = "json_lines"
url = "factors"
[gates]
clean_nights = 3
"#;

const MAPPING: &str = r#"
version = 1
[pipeline]
id = "energy"
title = "Metered electricity"
owner = "data"
phase = 1
stage = "dual_run"
criticality = "high"

[[input]]
name = "meters"
role = "activity"
legacy = { source = "docs", path = "meters/{day}" }
new = { source = "lake", path = "meters/{day}" }
key = ["id"]
columns = ["day", "country", "kwh"]
customer = "customer"
[input.shape]
id = "text"
customer = "text"
day = "date"
country = "text"
kwh = "float"

[[input]]
name = "grid"
role = "factor"
legacy = { source = "factors", path = "grid" }
new = { source = "factors", path = "grid" }
edition = "edition"
[input.shape]
country = "text"
edition = "text"
g_per_kwh = "float"

[result]
grain = ["customer_id", "day", "country"]
customer = "customer_id"
period = { column = "day", unit = "day" }
[result.measures.kwh]
unit = "kWh"
tolerance = { relative = 1e-9 }
[result.measures.co2e_kg]
unit = "kgCO2e"
tolerance = { relative = 1e-9 }

[parameters]

[legacy]
engine = "sql"
models = ["legacy.sql"]
[new]
engine = "sql"
models = ["new/10_silver.sql", "new/20_gold.sql"]
"#;

const LEGACY: &str = "
select m.customer as customer_id, m.day, m.country,
       sum(m.kwh) as kwh, sum(m.kwh * g.g_per_kwh / 1000) as co2e_kg
from meters m join grid g on g.country = m.country and g.edition = '2023'
group by m.customer, m.day, m.country
";

const SILVER: &str =
    "select id, customer as customer_id, day, country, kwh from meters where kwh is not null";

/// The place of the edition is `EDITION`.
const GOLD: &str = "
select s.customer_id, s.day, s.country,
       sum(s.kwh) as kwh, sum(s.kwh * g.g_per_kwh / 1000) as co2e_kg
from silver s join grid g on g.country = s.country and g.edition = EDITION
group by s.customer_id, s.day, s.country
";

/// The legacy calculation.
pub(crate) const LEGACY_FILE: &str = "energy/legacy.sql";
/// The first model of the new calculation.
pub(crate) const SILVER_FILE: &str = "energy/new/10_silver.sql";
/// The result of the new calculation.
pub(crate) const GOLD_FILE: &str = "energy/new/20_gold.sql";
/// The mapping.
pub(crate) const MAPPING_FILE: &str = "energy/mapping.toml";

/// The files of a project.
#[derive(Debug, Clone)]
pub(crate) struct Setup(BTreeMap<String, String>);

impl Setup {
    /// One daily pipeline `energy` whose calculations agree.
    pub(crate) fn plain() -> Self {
        let files = [
            ("dualrun.toml", SETTINGS.to_owned()),
            (MAPPING_FILE, MAPPING.to_owned()),
            (LEGACY_FILE, LEGACY.to_owned()),
            (SILVER_FILE, SILVER.to_owned()),
            (GOLD_FILE, GOLD.replace("EDITION", "'2023'")),
        ];
        Self(files.map(|(name, text)| (name.to_owned(), text)).into())
    }

    /// The same with the change MC-1, which takes the factors from edition 2023 to 2025: 50 → 40 g/kWh in France,
    /// 400 → 300 in Germany.
    pub(crate) fn with_factor_change() -> Self {
        Self::with_promise("[[expect]]\nmeasure = \"co2e_kg\"\ndirection = \"decrease\"\n")
    }

    /// The same with another promise.
    pub(crate) fn with_promise(expect: &str) -> Self {
        let switch = "parameter = \"grid_edition\"\nlegacy = \"2023\"\nnew = \"2025\"\n";
        Self::plain()
            .parameter("grid_edition", "text")
            .file(GOLD_FILE, &GOLD.replace("EDITION", "$grid_edition"))
            .file("methodology/MC-1.toml", &change("MC-1", &["energy"], switch, expect))
    }

    /// One pipeline more, a copy of `energy` without changes.
    pub(crate) fn and(mut self, id: &str) -> Self {
        let plain = Self::plain().0;
        for (name, text) in plain.iter().filter(|(name, _)| name.starts_with("energy/")) {
            let text = text.replace("id = \"energy\"", &format!("id = \"{id}\""));
            self.0.insert(name.replacen("energy/", &format!("{id}/"), 1), text);
        }
        self
    }

    /// Results by month, under the key column `day` as the first of the month.
    pub(crate) fn monthly(self) -> Self {
        let month = "cast(date_trunc('month', m.day) as date)";
        self.edit(MAPPING_FILE, "unit = \"day\"", "unit = \"month\"")
            .edit(LEGACY_FILE, "m.day, m.country,", &format!("{month} as day, m.country,"))
            .edit(LEGACY_FILE, "m.customer, m.day,", &format!("m.customer, {month},"))
            .edit(SILVER_FILE, "day, country", "cast(date_trunc('month', day) as date) as day, country")
    }

    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Replaces a piece of a file that must be there.
    pub(crate) fn edit(mut self, name: &str, from: &str, to: &str) -> Self {
        let text = self.0.get_mut(name).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}");
        *text = text.replace(from, to);
        self
    }

    pub(crate) fn append(mut self, name: &str, text: &str) -> Self {
        self.0.get_mut(name).unwrap().push_str(text);
        self
    }

    /// Declares a parameter of `energy`.
    pub(crate) fn parameter(self, name: &str, kind: &str) -> Self {
        self.edit(MAPPING_FILE, "[parameters]\n", &format!("[parameters]\n{name} = \"{kind}\"\n"))
    }

    pub(crate) fn project(&self) -> Project {
        let files = self.0.iter().map(|(name, text)| (PathBuf::from(name), text.clone())).collect();
        let loaded = load(&ProjectFiles { files }, "default", &|_| None);
        loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }
}

/// The file of a methodology change of these pipelines, with one `[[switch]]` and any promises.
pub(crate) fn change(id: &str, pipelines: &[&str], switch: &str, expect: &str) -> String {
    format!(
        "version = 1\nid = \"{id}\"\ntitle = \"t\"\nclass = \"methodology\"\nowner = \"product\"\n\
         effective = 2025-01-01\nrationale = \"r\"\npipelines = {pipelines:?}\n[[switch]]\n{switch}\n{expect}"
    )
}
