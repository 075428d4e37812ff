//! The files that a comparison leaves: differences and customers, as Parquet.
//!
//! Threads encode their own row groups where there is much to write, and one appends them in the order of the ranges. A
//! file stands under its name when it is whole, or not at all.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use dualrun_compare::{BatchSink, Common, FIGURES, Parts, customers_batch, differences_schema};
use parquet::{
    basic::Compression,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
        writer::SerializedFileWriter,
    },
    schema::types::ColumnPath,
};
use tempfile::TempPath;

use crate::{
    encode::{EncodedGroup, Encoder, Group, Sink},
    error::StreamError,
    sample::Sample,
};

/// From so many rows on a thread encodes them itself.
const ENCODE_ROWS: usize = 1 << 16;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;

/// Where the results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFiles {
    /// One row a result row that differs, see [`dualrun_compare::differences_schema`].
    pub differences: PathBuf,
    /// One row a customer and column, see [`dualrun_compare::customers_batch`]; in no particular order.
    pub customers: Option<PathBuf>,
}

/// The files that are wanted.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) differences: Option<GrowingFile>,
    pub(crate) customers: Option<GrowingFile>,
}

impl Files {
    /// No more rows of differences are taken than `cap`.
    pub(crate) fn create(
        wanted: Option<&OutputFiles>,
        common: &Common,
        cap: Option<u64>,
    ) -> Result<Self, StreamError> {
        let Some(wanted) = wanted else { return Ok(Self::default()) };
        let differences = differences_schema(common, &Parts::PLAIN);
        let customers = customers_batch(&[]).map_err(StreamError::Compare)?.schema();
        let create = GrowingFile::create;
        let by_customer = || customers_properties(properties(&customers, common));
        Ok(Self {
            differences: Some(create(
                &wanted.differences,
                &differences,
                properties(&differences, common),
                cap.unwrap_or(u64::MAX),
            )?),
            customers: wanted
                .customers
                .as_ref()
                .map(|path| create(path, &customers, by_customer(), u64::MAX))
                .transpose()?,
        })
    }

    /// Whether no more differences are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.differences.as_ref().is_some_and(|file| file.room == 0)
    }

    /// Rows of differences that were taken; none where there is no file for them.
    pub(crate) fn stored(&self) -> Option<u64> {
        self.differences.as_ref().map(|file| file.rows)
    }

    /// Customers that were complete in a part come before those that became complete with it.
    pub(crate) fn append(
        &mut self,
        differences: Piece,
        customers: Piece,
        edge: PieceSink,
    ) -> Result<(), StreamError> {
        if let Some(file) = &mut self.differences {
            file.append(differences)?;
        }
        if let Some(file) = &mut self.customers {
            file.append(customers)?;
            let path = file.path.clone();
            let (edge, _) =
                edge.finish().map_err(|source| StreamError::Write { path, source: source.into() })?;
            file.append(edge)?;
        }
        Ok(())
    }

    /// Gives the files their names: all of them, or none.
    pub(crate) fn finish(self) -> Result<(), StreamError> {
        let customers = self.customers.map(GrowingFile::close).transpose()?;
        let differences = self.differences.map(GrowingFile::close).transpose()?;
        let named = customers.map(ClosedFile::name).transpose()?;
        if let Some(differences) = differences
            && let Err(error) = differences.name()
        {
            if let Some(path) = named {
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
        Ok(())
    }
}

/// A Parquet file that grows range by range.
pub(crate) struct GrowingFile {
    path: PathBuf,
    temporary: TempPath,
    writer: SerializedFileWriter<Sink>,
    encoder: Arc<Encoder>,
    /// Rows that came by too few to be a row group: encoded they take least memory.
    pending: Option<Group>,
    rows: u64,
    /// So many rows may still be added.
    room: u64,
}

/// A file that is whole and has no name yet.
struct ClosedFile {
    path: PathBuf,
    temporary: TempPath,
}

/// What one range has for a file: row groups, then rows that were too few to encode.
#[derive(Default)]
pub(crate) struct Piece {
    groups: Vec<(EncodedGroup, usize)>,
    rows: Vec<RecordBatch>,
}

/// Takes the rows of one range, on the thread that compares it.
pub(crate) struct PieceSink {
    encoder: Option<Arc<Encoder>>,
    piece: Piece,
    waiting: usize,
    group: Option<Group>,
    sample: Sample,
}

impl GrowingFile {
    pub(crate) fn create(
        path: &Path,
        schema: &SchemaRef,
        properties: WriterPropertiesBuilder,
        room: u64,
    ) -> Result<Self, StreamError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StreamError::Write {
            path: path.to_owned(),
            source,
        };
        // A folder cannot be replaced by a file, and a pipe or a device must not be.
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(failed("something stands there that is not a file".into()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = temporary(folder).map_err(|e| failed(e.into()))?;
        let (file, temporary) = file.into_parts();
        let (writer, encoder) = Encoder::create(file, schema, properties).map_err(|e| failed(e.into()))?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            writer,
            encoder: Arc::new(encoder),
            pending: None,
            rows: 0,
            room,
        })
    }

    pub(crate) fn encoder(&self) -> Arc<Encoder> {
        Arc::clone(&self.encoder)
    }

    pub(crate) fn append(&mut self, piece: Piece) -> Result<(), StreamError> {
        let path = self.path.clone();
        let add = || {
            if !piece.groups.is_empty() {
                self.write_pending()?;
            }
            for (group, rows) in piece.groups {
                let taken = self.take(rows);
                if taken == rows {
                    self.encoder.append(&mut self.writer, group)?;
                } else if taken > 0 {
                    for batch in self.encoder.first_rows(group, taken)? {
                        self.keep(&batch)?;
                    }
                }
            }
            for batch in piece.rows {
                let taken = self.take(batch.num_rows());
                if taken > 0 {
                    self.keep(&batch.slice(0, taken))?;
                }
            }
            Ok(())
        };
        add().map_err(|source: ParquetError| StreamError::Write { path, source: source.into() })
    }

    /// Of so many rows, how many there is room for.
    fn take(&mut self, rows: usize) -> usize {
        let taken = usize::try_from(self.room).map_or(rows, |room| rows.min(room));
        self.room -= taken as u64;
        self.rows += taken as u64;
        taken
    }

    fn close(mut self) -> Result<ClosedFile, StreamError> {
        match self.write_pending().and_then(|()| self.writer.close()) {
            Ok(_) => Ok(ClosedFile { path: self.path, temporary: self.temporary }),
            Err(source) => Err(StreamError::Write { path: self.path, source: source.into() }),
        }
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let group = match &mut self.pending {
            Some(group) => group,
            none => none.insert(self.encoder.group()?),
        };
        self.encoder.write(group, batch)?;
        if group.rows >= ENCODE_ROWS { self.write_pending() } else { Ok(()) }
    }

    fn write_pending(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.pending.take() else { return Ok(()) };
        self.encoder.append(&mut self.writer, group.close()?)
    }
}

impl ClosedFile {
    fn name(self) -> Result<PathBuf, StreamError> {
        match self.temporary.persist(&self.path) {
            Ok(()) => Ok(self.path),
            Err(error) => Err(StreamError::Write { path: self.path, source: error.error.into() }),
        }
    }
}

impl PieceSink {
    /// Without an encoder the rows are dropped, apart from those of the sample.
    pub(crate) fn new(encoder: Option<Arc<Encoder>>, sample: Sample) -> Self {
        Self { encoder, piece: Piece::default(), waiting: 0, group: None, sample }
    }

    /// What is to be appended to the file, and some of the rows.
    pub(crate) fn finish(mut self) -> Result<(Piece, Sample), ParquetError> {
        if self.group.is_some() {
            self.encode()?;
        }
        if let Some(group) = self.group.take() {
            self.piece.add(group)?;
        }
        Ok((self.piece, self.sample))
    }

    fn take(&mut self, batch: RecordBatch) -> Result<(), ParquetError> {
        let encoder = self.encoder.as_deref();
        self.sample.offer(&batch, |kept| match encoder {
            Some(encoder) => encoder.plain(&kept),
            None => Ok(kept),
        })?;
        if self.encoder.is_none() {
            return Ok(());
        }
        self.waiting += batch.num_rows();
        self.piece.rows.push(batch);
        if self.waiting >= ENCODE_ROWS { self.encode() } else { Ok(()) }
    }

    fn encode(&mut self) -> Result<(), ParquetError> {
        let Some(encoder) = &self.encoder else { return Ok(()) };
        for batch in std::mem::take(&mut self.piece.rows) {
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(encoder.group()?),
            };
            encoder.write(group, &batch)?;
            if group.rows >= GROUP_ROWS
                && let Some(group) = self.group.take()
            {
                self.piece.add(group)?;
            }
        }
        self.waiting = 0;
        Ok(())
    }
}

impl BatchSink for PieceSink {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.take(batch)?)
    }

    fn wants(&self) -> bool {
        self.encoder.is_some() || self.sample.wants()
    }

    fn takes_codes(&self) -> bool {
        self.encoder.is_some()
    }
}

impl Piece {
    fn add(&mut self, group: Group) -> Result<(), ParquetError> {
        let rows = group.rows;
        self.groups.push((group.close()?, rows));
        Ok(())
    }
}

#[cfg(unix)]
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    // As any new file: the mask of the process takes away what it takes away.
    let permissions = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".dualrun-").permissions(permissions).tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".dualrun-").tempfile_in(folder)
}

/// Fast to write and readable everywhere. Values of measures hardly repeat, so that no dictionary is tried for them.
fn properties(schema: &SchemaRef, common: &Common) -> WriterPropertiesBuilder {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by(concat!("dualrun ", env!("CARGO_PKG_VERSION")).to_owned());
    // What a reader may look for is the key.
    for key in common.spec.key.iter().map(String::as_str).chain(["customer"]) {
        let path = ColumnPath::from(key.to_owned());
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
    }
    for column in &common.spec.columns {
        if let Ok(field) = schema.field_with_name(&column.name)
            && let DataType::Struct(parts) = field.data_type()
        {
            for part in parts.iter().filter(|part| part.data_type().is_numeric()) {
                let path = ColumnPath::new(vec![column.name.clone(), part.name().clone()]);
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
    }
    properties
}

/// Names of customers stand in few rows each, and sums hardly repeat. Most differences of customers are 0.
fn customers_properties(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let [legacy, new, ..] = FIGURES;
    ["customer", legacy, new].into_iter().fold(properties, |properties, name| {
        properties.set_column_dictionary_enabled(ColumnPath::from(name.to_owned()), false)
    })
}
