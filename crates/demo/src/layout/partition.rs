//! One partition of one collection: its documents as a dump and as Parquet.

use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::SchemaRef,
};
use bson::Document;
use dualrun_core::shape::Shape;
use dualrun_sources::{bson_dump, documents::to_batches};
use flate2::{Compression, write::GzEncoder};
use parquet::{
    arrow::ArrowWriter, basic::Compression as Codec, errors::ParquetError, file::properties::WriterProperties,
};

use crate::{
    error::DemoError,
    files::write_atomically,
    world::{Collection, Partition, World},
};

/// The loader batch of documents whose customer is not known.
const UNKNOWN_CUSTOMER: u8 = 0;

/// What one thread does at a time.
pub(super) struct Job {
    pub(super) collection: &'static dyn Collection,
    pub(super) partition: Partition,
    pub(super) shape: Shape,
}

impl Job {
    /// Generates the documents once and writes them for both sides.
    pub(super) fn write(&self, dir: &Path, world: &World) -> Result<(), DemoError> {
        let documents = self.collection.documents(world, self.partition);
        self.write_dump(dir, &documents)?;
        self.write_lake(dir, world, &documents)
    }

    fn write_dump(&self, dir: &Path, documents: &[Document]) -> Result<(), DemoError> {
        let name = self.collection.name();
        let folder = dir.join("data/mongo").join(self.partition.name()).join("core");
        let dump = bson_dump::write(documents.iter(), true).map_err(|source| self.documents_error(source))?;
        write_atomically(&folder.join(format!("{name}.bson.gz")), &dump)?;
        let path = folder.join(format!("{name}.metadata.json.gz"));
        let metadata =
            gzip(bson_dump::metadata_json(name).as_bytes()).map_err(|e| DemoError::write(&path, e))?;
        write_atomically(&path, &metadata)
    }

    /// All documents are typed together, so that a field that no shape declares has one type in all files.
    fn write_lake(&self, dir: &Path, world: &World, documents: &[Document]) -> Result<(), DemoError> {
        let (schema, batches, _) =
            to_batches(documents, &self.shape).map_err(|source| self.documents_error(source))?;
        let loaders: BTreeMap<&str, u8> = world.customers.iter().map(|c| (c.id.as_str(), c.batch)).collect();
        let loader_of = |document: &Document| {
            let customer = document.get_str(self.collection.customer_field()).unwrap_or_default();
            loaders.get(customer.trim()).copied().unwrap_or(UNKNOWN_CUSTOMER)
        };
        let rows: Vec<u8> = documents.iter().map(loader_of).collect();
        let mut parts: Vec<u8> = rows.clone();
        // An empty partition has a file too: no file would be a late one.
        parts.push(UNKNOWN_CUSTOMER);
        parts.sort_unstable();
        parts.dedup();

        let folder =
            dir.join("data/lake/bronze").join(self.collection.name()).join(self.partition.hive_folder());
        for part in parts {
            let parquet = encode(&schema, &batches, &rows, part).map_err(|source| DemoError::Parquet {
                collection: self.collection.name().to_owned(),
                partition: self.partition.name(),
                source,
            })?;
            write_atomically(&folder.join(format!("part-{part}.parquet")), &parquet)?;
        }
        Ok(())
    }

    fn documents_error(&self, source: dualrun_sources::SourceError) -> DemoError {
        DemoError::Documents {
            collection: self.collection.name().to_owned(),
            partition: self.partition.name(),
            source,
        }
    }
}

/// A Parquet file of the rows that one loader brought; `loaders` holds the loader of every row of all batches.
fn encode(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    loaders: &[u8],
    part: u8,
) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder().set_compression(Codec::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
    let mut first = 0;
    for batch in batches {
        let rows = loaders.get(first..first + batch.num_rows()).unwrap_or_default();
        let keep: BooleanArray = rows.iter().map(|loader| Some(*loader == part)).collect();
        writer.write(&filter_record_batch(batch, &keep)?)?;
        first += batch.num_rows();
    }
    writer.into_inner()
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

impl Partition {
    /// The folder of the dump: `2025-03-01`, `2025-03` or `all`.
    fn name(self) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Month(month) => month.strftime("%Y-%m").to_string(),
            Self::All => "all".to_owned(),
        }
    }

    /// The folder in the lake: `day=2025-03-01`, `month=2025-03`, or none.
    fn hive_folder(self) -> String {
        match self {
            Self::Day(_) => format!("day={}", self.name()),
            Self::Month(_) => format!("month={}", self.name()),
            Self::All => String::new(),
        }
    }
}
