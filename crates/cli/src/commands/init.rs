//! `dualrun init`

use std::path::Path;

use dualrun_core::ExitCode;
use serde_json::json;

use crate::{
    args::InitArgs,
    error::CliError,
    output::{Output, pasteable, write_whole},
};

/// A project of one pipeline with a legacy dump, a lake and one methodology change, small enough to read in a minute.
const FILES: &[(&str, &str)] = &[
    ("dualrun.toml", include_str!("../../template/dualrun.toml")),
    ("energy/mapping.toml", include_str!("../../template/energy/mapping.toml")),
    ("energy/legacy.sql", include_str!("../../template/energy/legacy.sql")),
    ("energy/new/10_silver.sql", include_str!("../../template/energy/new/10_silver.sql")),
    ("energy/new/20_gold.sql", include_str!("../../template/energy/new/20_gold.sql")),
    ("methodology/MC-1.toml", include_str!("../../template/methodology/MC-1.toml")),
    ("factors/grid.csv", include_str!("../../template/factors/grid.csv")),
    ("data/dump/meters.jsonl", include_str!("../../template/data/dump/meters.jsonl")),
    ("data/lake/meters.csv", include_str!("../../template/data/lake/meters.csv")),
    (".gitignore", ".dualrun/\n"),
];

pub(crate) fn run(args: &InitArgs, output: &Output) -> Result<ExitCode, CliError> {
    empty_or_new(&args.dir)?;
    for (name, content) in FILES {
        write_whole(&args.dir.join(name), content.as_bytes())?;
    }
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    output.text_or_json(&json!({ "folder": args.dir, "files": names }), |_| {
        let dir = pasteable(&args.dir);
        format!(
            "made {} files in {dir}\n\nnext:\n  dualrun validate --project {dir}\n  dualrun run -p energy --period 2025-03-01 --project {dir}\n  dualrun explain energy --project {dir}",
            names.len()
        )
    })?;
    Ok(ExitCode::Agree)
}

/// Refuses a folder with something in it.
pub(crate) fn empty_or_new(dir: &Path) -> Result<(), CliError> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(CliError::NotEmpty(dir.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(CliError::File { path: dir.to_owned(), source }),
    }
}
