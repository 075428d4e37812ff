//! The inputs of a case: its documents as each side stores them, and the factor files of the reference project.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use dualrun_core::input::{InputDecl, InputRef, Side};
use dualrun_engine::inputs::Tables;
use dualrun_mapping::{
    plan::{Pipeline, Project},
    settings::SourceKind,
};
use dualrun_sources::{FileSelection, Format, InputTable, Request, open_location, read};
use parquet::arrow::ArrowWriter;

use crate::{case::Case, project, told};

/// The tables of both sides. An input without documents in the case is an empty table. Parquet is written below
/// `lake`.
pub(crate) async fn tables(
    project: &Project,
    pipeline: &Pipeline,
    case: &Case,
    folder: &Path,
    lake: &Path,
) -> Result<BTreeMap<Side, Tables>, String> {
    for documents in &case.documents {
        if !pipeline.inputs.iter().any(|input| collection(input) == Some(&documents.collection)) {
            return Err(format!("no input of {} reads {}", pipeline.id, documents.collection));
        }
    }
    let mut tables: BTreeMap<Side, Tables> = BTreeMap::new();
    for input in &pipeline.inputs {
        for side in Side::BOTH {
            let Some(place) = input.on(side) else { continue };
            let kind = project.settings.source.get(&place.source).map(|source| source.kind);
            let table = match kind {
                Some(SourceKind::Csv) => factors(project, input, place).await,
                Some(SourceKind::Parquet) => bronze(case, folder, input, lake).await,
                _ => documents(case, folder, input).await,
            };
            let table = table.map_err(|failure| format!("input {}: {failure}", input.name))?;
            tables.entry(side).or_default().insert(input.name.clone(), Arc::new(table.into()));
        }
    }
    Ok(tables)
}

/// The collection whose documents an input reads; none where it reads a factor file.
fn collection(input: &InputDecl) -> Option<&str> {
    input.legacy.iter().chain(&input.new).find_map(|place| place.collection.as_deref())
}

async fn factors(project: &Project, input: &InputDecl, place: &InputRef) -> Result<InputTable, String> {
    let source = project.settings.source.get(&place.source).ok_or("an unknown source")?;
    let folder = project::root().join(&source.url);
    rows(input, Format::Csv, &folder, vec![place.place().to_owned()]).await
}

async fn documents(case: &Case, folder: &Path, input: &InputDecl) -> Result<InputTable, String> {
    let collection = collection(input).ok_or("it names no collection")?;
    let files = case.documents.iter().filter(|d| d.collection == collection);
    let files = files.map(|d| d.file.display().to_string()).collect();
    rows(input, Format::JsonLines, folder, files).await
}

/// The documents as the new platform stores them: Parquet that is typed by the shape of the input.
async fn bronze(case: &Case, folder: &Path, input: &InputDecl, lake: &Path) -> Result<InputTable, String> {
    let documents = documents(case, folder, input).await?;
    let file = PathBuf::from(&input.name).with_extension("parquet");
    let write = || {
        let to = std::fs::File::create(lake.join(&file))?;
        let mut writer = ArrowWriter::try_new(to, Arc::clone(&documents.schema), None)?;
        documents.batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.close()
    };
    write().map_err(|e| told(&e))?;
    rows(input, Format::Parquet, lake, vec![file.display().to_string()]).await
}

/// The rows of files. Every value of a case fits its shape.
async fn rows(
    input: &InputDecl,
    format: Format,
    folder: &Path,
    files: Vec<String>,
) -> Result<InputTable, String> {
    let location = open_location(".", folder, &BTreeMap::new()).map_err(|e| told(&e))?;
    let files = FileSelection::Exact(files);
    let request = Request { format, location: &location, files, shape: &input.shape, required: true };
    let table = read(&request).await.map_err(|e| told(&e))?;
    match table.report.misfits.first() {
        Some(misfit) => Err(format!(
            "{} values of {} are {} instead of {}",
            misfit.count, misfit.field, misfit.found, misfit.expected
        )),
        None => Ok(table),
    }
}
