//! Inputs as Parquet files for a job.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::arrow::ArrowWriter;

use crate::{InputTable, SourceError};

/// The inputs of a calculation as files, which are gone when this is dropped.
#[derive(Debug)]
pub struct StagedInputs {
    files: BTreeMap<String, PathBuf>,
    _folder: tempfile::TempDir,
}

impl StagedInputs {
    /// Writes each table to a file of its name below `scratch`.
    ///
    /// # Errors
    /// [`SourceError::Config`] where the folder cannot be written, or a table holds a type that Parquet does not have.
    pub fn write(scratch: &Path, tables: &BTreeMap<String, Arc<InputTable>>) -> Result<Self, SourceError> {
        let folder = super::temporary_folder(scratch)?;
        let mut files = BTreeMap::new();
        for (number, (name, table)) in tables.iter().enumerate() {
            // The name of an input may hold what a file name may not.
            let file = folder.path().join(format!("input-{number}.parquet"));
            let failed = |what: String| SourceError::Config(format!("input {name} for the command: {what}"));
            let out = File::create(&file).map_err(|e| failed(e.to_string()))?;
            let written =
                ArrowWriter::try_new(out, Arc::clone(&table.schema), None).and_then(|mut writer| {
                    table.batches.iter().try_for_each(|batch| writer.write(batch))?;
                    writer.close()
                });
            written.map_err(|e| failed(e.to_string()))?;
            files.insert(name.clone(), file);
        }
        Ok(Self { files, _folder: folder })
    }

    /// The file of each input.
    pub fn files(&self) -> &BTreeMap<String, PathBuf> {
        &self.files
    }
}
