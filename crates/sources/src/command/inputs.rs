//! Inputs as Parquet files for a job.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::arrow::ArrowWriter;

use crate::{KeptRows, SourceError};

/// The inputs of a calculation as files, which are gone when this is dropped.
#[derive(Debug)]
pub struct StagedInputs {
    files: BTreeMap<String, PathBuf>,
    /// Rows that stand in a file already.
    _kept: Vec<Arc<KeptRows>>,
    _folder: tempfile::TempDir,
}

impl StagedInputs {
    /// Writes the rows of each input to a file of its name below `scratch`; rows that were put aside in a file stay in it.
    ///
    /// # Errors
    /// [`SourceError::Config`] where the folder cannot be written, or an input holds a type that Parquet does not have.
    pub fn write(scratch: &Path, inputs: &BTreeMap<String, Arc<KeptRows>>) -> Result<Self, SourceError> {
        let folder = super::temporary_folder(scratch)?;
        let (mut files, mut kept) = (BTreeMap::new(), Vec::new());
        for (number, (name, rows)) in inputs.iter().enumerate() {
            if let Some(file) = rows.file() {
                files.insert(name.clone(), file.to_owned());
                kept.push(Arc::clone(rows));
                continue;
            }
            // The name of an input may hold what a file name may not.
            let file = folder.path().join(format!("input-{number}.parquet"));
            let failed = |what: String| SourceError::Config(format!("input {name} for the command: {what}"));
            let out = File::create(&file).map_err(|e| failed(e.to_string()))?;
            let batches = rows.in_memory().unwrap_or_default();
            let written =
                ArrowWriter::try_new(out, Arc::clone(rows.schema()), None).and_then(|mut writer| {
                    batches.iter().try_for_each(|batch| writer.write(batch))?;
                    writer.close()
                });
            written.map_err(|e| failed(e.to_string()))?;
            files.insert(name.clone(), file);
        }
        Ok(Self { files, _kept: kept, _folder: folder })
    }

    /// The file of each input.
    pub fn files(&self) -> &BTreeMap<String, PathBuf> {
        &self.files
    }
}
