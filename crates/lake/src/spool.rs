//! Rows that wait for their partition to be written: in memory up to a limit, then in files of a temporary folder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};

use arrow::{
    array::RecordBatch,
    compute::concat_batches,
    datatypes::SchemaRef,
    ipc::{reader::FileReader, writer::FileWriter},
};
use dualrun_core::Period;
use tempfile::TempDir;

use crate::LakeError;

/// Bytes of rows that wait in memory.
const HELD: usize = 128 << 20;

/// Rows by partition. The folder goes with it.
pub struct Spool {
    parent: PathBuf,
    folder: Option<TempDir>,
    schema: SchemaRef,
    limit: usize,
    held: usize,
    files: u64,
    parts: BTreeMap<Option<Period>, Spooled>,
}

/// The rows of one partition.
#[derive(Debug, Default)]
pub struct Spooled {
    files: Vec<PathBuf>,
    held: Vec<RecordBatch>,
    bytes: usize,
    rows: u64,
}

impl Spool {
    /// Nothing is written until rows must leave the memory; `parent` exists then.
    pub fn new(parent: &Path, schema: SchemaRef) -> Self {
        Self {
            parent: parent.to_owned(),
            folder: None,
            schema,
            limit: HELD,
            held: 0,
            files: 0,
            parts: BTreeMap::new(),
        }
    }

    /// The columns of all rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes rows of a partition; `None` of those without a time, and where there are no partitions.
    ///
    /// # Errors
    /// The temporary folder is full, or gone.
    pub fn push(&mut self, partition: Option<Period>, batch: RecordBatch) -> Result<(), LakeError> {
        let bytes = batch.get_array_memory_size();
        let part = self.parts.entry(partition).or_default();
        part.rows += batch.num_rows() as u64;
        part.bytes += bytes;
        part.held.push(batch);
        self.held += bytes;
        while self.held > self.limit {
            // The largest first: fewer files, and those that grow slowly stay.
            let largest =
                self.parts.iter().max_by_key(|(_, part)| part.bytes).map(|(partition, _)| *partition);
            let Some(partition) = largest else { break };
            self.put_aside(partition)?;
        }
        Ok(())
    }

    /// The partitions with rows, in order.
    pub fn partitions(&self) -> impl Iterator<Item = (Option<Period>, &Spooled)> {
        self.parts.iter().map(|(partition, rows)| (*partition, rows))
    }

    /// The rows of one partition.
    pub fn partition(&self, partition: Option<Period>) -> Option<&Spooled> {
        self.parts.get(&partition)
    }

    fn put_aside(&mut self, partition: Option<Period>) -> Result<(), LakeError> {
        let parent = self.parent.clone();
        let failed = |source| LakeError::Spool { folder: parent.display().to_string(), source };
        let folder = match &mut self.folder {
            Some(folder) => folder,
            empty => empty
                .insert(tempfile::Builder::new().prefix("load-").tempdir_in(&self.parent).map_err(failed)?),
        };
        let Some(part) = self.parts.get_mut(&partition) else { return Ok(()) };
        let path = folder.path().join(format!("{}.arrow", self.files));
        let file = BufWriter::new(File::create(&path).map_err(failed)?);
        let broken = |error: arrow::error::ArrowError| failed(std::io::Error::other(error));
        let mut writer = FileWriter::try_new(file, &self.schema).map_err(broken)?;
        writer.write(&concat_batches(&self.schema, &part.held)?).map_err(broken)?;
        writer.finish().map_err(broken)?;
        self.files += 1;
        self.held = self.held.saturating_sub(part.bytes);
        part.bytes = 0;
        part.held.clear();
        part.files.push(path);
        Ok(())
    }
}

impl Spooled {
    /// How many there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows in the order in which they came; as often as is asked for.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, LakeError>> {
        let put_aside = self.files.iter().flat_map(|path| match read(path) {
            Ok(reader) => Rows::File(Box::new(reader)),
            Err(error) => Rows::Failed(Some(error)),
        });
        put_aside.chain(self.held.iter().cloned().map(Ok))
    }
}

enum Rows {
    File(Box<FileReader<BufReader<File>>>),
    Failed(Option<LakeError>),
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(reader) => reader.next().map(|batch| batch.map_err(LakeError::from)),
            Self::Failed(error) => error.take().map(Err),
        }
    }
}

fn read(path: &Path) -> Result<FileReader<BufReader<File>>, LakeError> {
    let failed = |source| LakeError::Spool { folder: path.display().to_string(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    FileReader::try_new(file, None).map_err(|error| failed(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, AsArray, Int64Array},
        datatypes::Int64Type,
    };

    use super::*;

    #[test]
    fn rows_come_back_by_partition_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let batch = |from: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 100));
            RecordBatch::try_from_iter([("n", column)]).unwrap()
        };
        let day = |n: u32| Some(format!("2025-03-{:02}", n + 1).parse::<Period>().unwrap());
        for limit in [0, 5000, usize::MAX] {
            let mut spool = Spool::new(folder.path(), batch(0).schema());
            spool.limit = limit;
            for n in 0..30 {
                spool.push(day(n % 3), batch(i64::from(n) * 100)).unwrap();
            }
            assert_eq!(spool.partitions().count(), 3);
            let part = spool.partition(day(1)).unwrap();
            assert_eq!(part.rows(), 1000);
            for _ in 0..2 {
                let batches: Vec<RecordBatch> = part.batches().collect::<Result<_, _>>().unwrap();
                let values =
                    batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec());
                let expected = (0..30).filter(|n| n % 3 == 1).flat_map(|n| n * 100..n * 100 + 100);
                assert!(values.eq(expected), "limit {limit}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder goes with the rows");
    }
}
