//! The template as a project whose new side is loaded: the meters by day and by what changed, gold kept by day.

use dualrun_testkit::Project;

/// The lake of the tests in the folder of the project.
pub const LOCAL: &str = "[source.lake]\nkind = \"parquet\"\nurl = \"data/lake\"\n";

/// How the meters are loaded.
pub const LOAD: &str = "load = { watermark = \"updated\", overlap = \"1m\" }";

/// The template, without its methodology change, so that both sides agree. `legacy` is the table of its source,
/// `place` that of the meters there, `lake` the table of the source of the new side.
///
/// # Panics
/// The template is another one.
pub fn project(legacy: &str, place: &str, lake: &str) -> Project {
    let project = Project::template();
    project.remove("methodology/MC-1.toml");
    project.replace("dualrun.toml", "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n", legacy);
    project.replace("dualrun.toml", "[source.lake]\nkind = \"csv\"\nurl = \"data/lake\"\n", lake);
    let mapping = "energy/mapping.toml";
    project.replace(
        mapping,
        "source = \"legacy\", path = \"meters.jsonl\"",
        &format!("source = \"legacy\", {place}"),
    );
    let new = "new = { source = \"lake\", path = \"meters.csv\" }";
    let loaded = format!(
        "new = {{ source = \"lake\", path = \"bronze/meters/day={{day}}/\" }}\ntime = \"day\"\n{LOAD}"
    );
    project.replace(mapping, new, &loaded);
    project.replace(mapping, "\nkwh = \"float\"", "\nkwh = \"float\"\nupdated = \"timestamp\"");
    project.replace(
        mapping,
        "[parameters]\ngrid_edition = \"text\"           # switched by methodology/MC-1.toml\n\n",
        "",
    );
    project.replace(
        mapping,
        "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]",
        "models = [\"new/10_silver.sql\", \"new/20_gold.sql\"]\nstore = { source = \"lake\", path = \
         \"{model}/energy/day={day}/\" }",
    );
    project.replace("energy/new/20_gold.sql", "$grid_edition", "'2023'");
    age(&project, "factors/grid.csv");
    project
}

/// Makes a file one that was written a while ago: a file of this moment may change once more and look the same.
///
/// # Panics
/// There is none.
pub fn age(project: &Project, path: &str) {
    let at = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = std::fs::File::options().write(true).open(project.path().join(path));
    let set = file.and_then(|file| file.set_modified(at));
    set.unwrap_or_else(|error| panic!("{path}: {error}"));
}
