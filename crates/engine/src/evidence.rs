//! Evidence in the object store: Parquet files of one run in one folder, the manifest last. A run without a
//! manifest does not exist.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use bytes::Bytes;
use dualrun_core::{Period, PipelineId, RunId, input::Side, run::RunReport};
use dualrun_lake::Upload;
use futures::TryStreamExt;
use jiff::civil::Date;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{calculate::hex, error::EngineError};

/// The name and version of the manifest's schema.
pub const MANIFEST_SCHEMA: &str = "dualrun.manifest/1";

/// The last file of a run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`MANIFEST_SCHEMA`].
    pub schema: String,
    /// The run.
    pub run_id: RunId,
    /// What makes the run idempotent.
    pub run_key: String,
    /// The files of the folder.
    pub files: Vec<FileEntry>,
    /// The results that the verdicts stand on, with the changes that were switched on.
    pub results: Vec<ResultEntry>,
    /// Customers whose activity inputs differ; `null` is the customer without a name.
    pub not_comparable: Vec<Option<String>>,
    /// By what a later run recognises that nothing changed; none where the sources could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
}

/// What a run stood on, so that a later one need not read its inputs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// SHA-256 (hex) over the listing of the inputs of both sides, before they were read.
    pub inputs: String,
    /// SHA-256 (hex) over everything that the report depends on, beside the night and the id of the run; none where
    /// it cannot be carried over, because a decision gave the verdicts again or a check asks the clock.
    pub content: Option<String>,
    /// What the fence found.
    pub fence: FenceSummary,
}

/// What the fence found, beside the reports of the inputs and the names of the customers that are not comparable,
/// which stand in the report and in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceSummary {
    /// SHA-256 (hex) over all rows of all inputs of each side, legacy first.
    pub fingerprints: [String; 2],
    /// Customers in any activity input that names them.
    pub customers: u64,
    /// Customers whose activity inputs differ.
    pub excluded: u64,
    /// An activity input without customers differs: nothing can be compared.
    pub nothing_comparable: bool,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name in the folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 (hex) of its content.
    pub sha256: String,
}

/// One result of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultEntry {
    /// The side.
    pub side: Side,
    /// The changes (new side) or fixes (legacy side) that were on.
    pub on: Vec<String>,
    /// The Parquet file, from the root of the store.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 (hex) of its content.
    pub sha256: String,
}

/// The evidence folder of a project.
#[derive(Clone)]
pub struct Evidence {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Evidence {
    /// Evidence in a folder of a store.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix }
    }

    /// The folder of a run, from the root of the evidence.
    pub fn run_folder(pipeline: &PipelineId, period: Period, as_of: Date, run: RunId) -> String {
        format!("{}/run={run}", Self::night_folder(pipeline, period, as_of))
    }

    fn night_folder(pipeline: &PipelineId, period: Period, as_of: Date) -> String {
        format!("runs/pipeline={pipeline}/period={period}/as_of={as_of}")
    }

    /// Writes batches as one Parquet file and says its size and hash. The object appears whole or not at all.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn write_parquet(
        &self,
        path: &str,
        schema: &SchemaRef,
        batches: &[RecordBatch],
    ) -> Result<FileEntry, EngineError> {
        let bytes = encode_parquet(schema, batches).map_err(|e| EngineError::EvidenceBroken {
            path: path.to_owned(),
            what: format!("cannot be encoded: {e}"),
        })?;
        self.write(path, bytes).await
    }

    /// Writes a serialisable value as pretty JSON.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn write_json<T: Serialize + Sync>(
        &self,
        path: &str,
        value: &T,
    ) -> Result<FileEntry, EngineError> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| EngineError::EvidenceBroken {
            path: path.to_owned(),
            what: format!("cannot be encoded: {e}"),
        })?;
        self.write(path, bytes).await
    }

    async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<FileEntry, EngineError> {
        let entry = FileEntry {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
        };
        let failed = |source| EngineError::Evidence { path: path.to_owned(), source };
        let mut upload = Upload::new(Arc::clone(&self.store), self.at(path));
        upload.write(&bytes).await.map_err(failed)?;
        upload.finish().await.map_err(failed)?;
        Ok(entry)
    }

    /// Copies an object within the store.
    ///
    /// # Errors
    /// The store refuses, or the object is gone.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), EngineError> {
        self.store
            .copy(&self.at(from), &self.at(to))
            .await
            .map_err(|source| EngineError::Evidence { path: from.to_owned(), source })
    }

    /// The size of an object in bytes.
    ///
    /// # Errors
    /// The store refuses, or the object is gone.
    pub async fn size(&self, path: &str) -> Result<u64, EngineError> {
        let head = self.store.head(&self.at(path)).await;
        head.map(|meta| meta.size).map_err(|source| EngineError::Evidence { path: path.to_owned(), source })
    }

    /// Whether every file that a manifest names is there in its size: those of its folder, and results that stand in
    /// the folders of other runs. What is in them is checked by whoever reads them.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn is_whole(&self, folder: &str, manifest: &Manifest) -> Result<bool, EngineError> {
        let sizes = self.sizes(folder).await?;
        if manifest.files.iter().any(|file| sizes.get(&file.name) != Some(&file.bytes)) {
            return Ok(false);
        }
        let mut others: BTreeMap<&str, Option<Manifest>> = BTreeMap::new();
        for result in &manifest.results {
            let Some((other, name)) = result.path.rsplit_once('/') else { return Ok(false) };
            let files = if other == folder {
                &manifest.files
            } else {
                if !others.contains_key(other) {
                    others.insert(other, self.manifest(other).await?);
                }
                match others.get(other) {
                    Some(Some(manifest)) => &manifest.files,
                    _ => return Ok(false),
                }
            };
            let Some(file) = files.iter().find(|f| f.name == name && f.sha256 == result.sha256) else {
                return Ok(false);
            };
            if other != folder && self.size(&result.path).await.ok() != Some(file.bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The sizes of the objects of a folder by name.
    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, EngineError> {
        let objects: Result<Vec<_>, _> = self.store.list(Some(&self.at(folder))).try_collect().await;
        let objects = match objects {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            objects => objects.map_err(|source| EngineError::Evidence { path: folder.to_owned(), source })?,
        };
        Ok(objects.iter().filter_map(|o| Some((o.location.filename()?.to_owned(), o.size))).collect())
    }

    /// Reads a Parquet file and checks its hash.
    ///
    /// # Errors
    /// The store refuses, or the content is not what was written.
    pub async fn read_parquet(
        &self,
        path: &str,
        sha256: Option<&str>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
        let bytes = self.read(path).await?;
        let broken = |what: String| EngineError::EvidenceBroken { path: path.to_owned(), what };
        if sha256.is_some_and(|expected| hex(&Sha256::digest(&bytes)) != expected) {
            return Err(broken("is not what its manifest says".into()));
        }
        let decoded = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
            // With the metadata that was written, which the schema of the reader has lost.
            let schema = Arc::clone(builder.schema());
            Ok((schema, builder.build()?.collect::<Result<Vec<_>, _>>()?))
        };
        decoded().map_err(|e| broken(format!("cannot be decoded: {e}")))
    }

    /// The manifest in a folder, or `None` where there is none.
    ///
    /// # Errors
    /// The store refuses, or the manifest is not JSON of its schema.
    pub async fn manifest(&self, folder: &str) -> Result<Option<Manifest>, EngineError> {
        self.read_json(&format!("{folder}/manifest.json")).await
    }

    /// The report in a folder, or `None` where there is none.
    ///
    /// # Errors
    /// The store refuses, or the report is not JSON of its schema.
    pub async fn report(&self, folder: &str) -> Result<Option<RunReport>, EngineError> {
        self.read_json(&format!("{folder}/run.json")).await
    }

    /// A run of this key whose manifest was written although the state database does not know it: the process
    /// died between the two.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn find_by_key(
        &self,
        pipeline: &PipelineId,
        period: Period,
        as_of: Date,
        key: &str,
    ) -> Result<Option<(String, Manifest)>, EngineError> {
        let night = Self::night_folder(pipeline, period, as_of);
        let listing = self
            .store
            .list_with_delimiter(Some(&self.at(&night)))
            .await
            .map_err(|source| EngineError::Evidence { path: night.clone(), source })?;
        for folder in listing.common_prefixes {
            let Some(run) = folder.filename() else { continue };
            let folder = format!("{night}/{run}");
            match self.manifest(&folder).await? {
                Some(manifest) if manifest.run_key == key => return Ok(Some((folder, manifest))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Removes the folders of one night that have no manifest: what a killed process left.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn sweep(
        &self,
        pipeline: &PipelineId,
        period: Period,
        as_of: Date,
    ) -> Result<u64, EngineError> {
        let night = Self::night_folder(pipeline, period, as_of);
        let failed = |source| EngineError::Evidence { path: night.clone(), source };
        let listing = self.store.list_with_delimiter(Some(&self.at(&night))).await.map_err(failed)?;
        let mut removed = 0;
        for folder in listing.common_prefixes {
            let Some(run) = folder.filename() else { continue };
            if self.manifest(&format!("{night}/{run}")).await?.is_some() {
                continue;
            }
            let objects: Vec<_> = self.store.list(Some(&folder)).try_collect().await.map_err(failed)?;
            for object in objects {
                self.store.delete(&object.location).await.map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn read(&self, path: &str) -> Result<Bytes, EngineError> {
        let failed = |source| EngineError::Evidence { path: path.to_owned(), source };
        self.store.get(&self.at(path)).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    async fn read_json<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<Option<T>, EngineError> {
        let bytes = match self.read(path).await {
            Ok(bytes) => bytes,
            Err(EngineError::Evidence { source: object_store::Error::NotFound { .. }, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| EngineError::EvidenceBroken {
            path: path.to_owned(),
            what: format!("is not its schema: {e}"),
        })
    }

    fn at(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |at, part| at.join(part))
    }
}

/// Batches as the bytes of one Parquet file, compressed with zstd.
///
/// # Errors
/// A batch that does not have the schema, or a type that Parquet cannot hold.
pub fn encode_parquet(
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("dualrun ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{ArrayRef, Int64Array},
        datatypes::{DataType, Field, Schema},
    };

    fn batch() -> (SchemaRef, Vec<RecordBatch>) {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        (schema, vec![batch])
    }

    #[tokio::test]
    async fn what_is_written_reads_back_and_tampering_is_noticed() {
        let evidence = Evidence::new(Arc::new(object_store::memory::InMemory::new()), Path::from("e"));
        let (schema, batches) = batch();
        let entry = evidence.write_parquet("runs/x/legacy.parquet", &schema, &batches).await.unwrap();
        assert_eq!(entry.name, "legacy.parquet");
        let (_, back) = evidence.read_parquet("runs/x/legacy.parquet", Some(&entry.sha256)).await.unwrap();
        assert_eq!(back, batches);
        let error = evidence.read_parquet("runs/x/legacy.parquet", Some("00")).await.unwrap_err();
        assert_eq!(error.to_string(), "evidence runs/x/legacy.parquet is not what its manifest says");
    }

    #[tokio::test]
    async fn a_folder_without_a_manifest_does_not_exist_and_is_swept() {
        let evidence = Evidence::new(Arc::new(object_store::memory::InMemory::new()), Path::default());
        let pipeline: PipelineId = "p".parse().unwrap();
        let period: Period = "2025-03-01".parse().unwrap();
        let as_of = jiff::civil::date(2025, 3, 2);
        let run = RunId(uuid::Uuid::now_v7());
        let folder = Evidence::run_folder(&pipeline, period, as_of, run);
        let (schema, batches) = batch();
        evidence.write_parquet(&format!("{folder}/legacy.parquet"), &schema, &batches).await.unwrap();
        assert_eq!(evidence.find_by_key(&pipeline, period, as_of, "k").await.unwrap(), None);
        let manifest = Manifest {
            schema: MANIFEST_SCHEMA.into(),
            run_id: run,
            run_key: "k".into(),
            files: vec![],
            results: vec![],
            not_comparable: vec![],
            known: None,
        };
        evidence.write_json(&format!("{folder}/manifest.json"), &manifest).await.unwrap();
        let found = evidence.find_by_key(&pipeline, period, as_of, "k").await.unwrap().unwrap();
        assert_eq!(found, (folder, manifest));
        let orphan = Evidence::run_folder(&pipeline, period, as_of, RunId(uuid::Uuid::now_v7()));
        evidence.write_parquet(&format!("{orphan}/legacy.parquet"), &schema, &batches).await.unwrap();
        assert_eq!(evidence.sweep(&pipeline, period, as_of).await.unwrap(), 1);
        assert!(evidence.find_by_key(&pipeline, period, as_of, "k").await.unwrap().is_some());
    }
}
