//! Row groups of Parquet, encoded on any thread as fast as they are found.
//!
//! The writer of the Parquet crate looks at every value: it hashes texts, sizes them, makes levels of each. Where an
//! intended change moves every row that would take several times as long as comparing them. Here texts that come as codes
//! of a dictionary stay codes, columns of one value are one run, and numbers are copied. What needs more than that (lists,
//! decimals, …) goes through the writer of the crate, column by column of the same row group.

mod chunk;
mod fixed;
mod hybrid;
mod leaf;
mod numbers;
mod texts;

use std::{
    fs::File,
    io::BufWriter,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Field, SchemaRef},
    record_batch::RecordBatch,
};
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::ParquetRecordBatchReaderBuilder,
        arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr},
        reader::{ChunkReader, Length},
        writer::SerializedFileWriter,
    },
    schema::types::{SchemaDescPtr, SchemaDescriptor},
};

use leaf::Leaf;

/// Rows of a page. The values of a column of numbers are half a megabyte then.
const PAGE_ROWS: usize = 1 << 16;

/// The crate hands over what is encoded by eight kilobytes; to ask the system for each of them costs as much as the copy.
const WRITE_BYTES: usize = 1 << 20;

/// From so many bytes on the memory of a column is worth keeping.
const LARGE: usize = 1 << 20;

/// What a file is written through.
pub(crate) type Sink = BufWriter<File>;

/// Encodes row groups of one file on any thread.
pub(crate) struct Encoder {
    schema: SchemaRef,
    described: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
    /// Memory of columns that were written, for further ones: fresh memory costs as much as filling it.
    room: Mutex<Vec<Vec<u8>>>,
}

/// A row group that is being encoded.
pub(crate) struct Group {
    columns: Vec<Column>,
    pub(crate) rows: usize,
    page_rows: usize,
}

/// A row group that was encoded.
pub(crate) type EncodedGroup = Vec<EncodedChunk>;

/// A column of a row group that was encoded.
pub(crate) enum EncodedChunk {
    Own(Vec<u8>, ColumnCloseResult),
    Crate(ArrowColumnChunk),
}

enum Column {
    Own(Vec<Leaf>),
    Crate(Vec<ArrowColumnWriter>),
}

impl Encoder {
    /// A file that grows by row groups, and what encodes them. There is no page index: the writer of the crate takes one of
    /// all columns or of none, and statistics of pages would bring one.
    pub(crate) fn create(
        file: File,
        schema: &SchemaRef,
        properties: WriterPropertiesBuilder,
    ) -> Result<(SerializedFileWriter<Sink>, Self), ParquetError> {
        let properties = properties.set_offset_index_disabled(true).build();
        let sink = BufWriter::with_capacity(WRITE_BYTES, file);
        let writer = ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let described = Arc::new(SchemaDescriptor::new(writer.schema_descr().root_schema_ptr()));
        let properties = Arc::clone(writer.properties());
        Ok((
            writer,
            Self { schema: Arc::clone(schema), described, properties, factory, room: Mutex::default() },
        ))
    }

    /// A row group without rows.
    pub(crate) fn group(&self) -> Result<Group, ParquetError> {
        let mut columns: Vec<Option<Column>> = Vec::new();
        let mut counts = Vec::new();
        let mut at = 0;
        for (root, field) in self.schema.fields().iter().enumerate() {
            let leaves_of_root = (at..self.described.num_columns())
                .take_while(|leaf| self.described.get_column_root_idx(*leaf) == root);
            let count = leaves_of_root.count();
            columns.push(self.own_column(field, at..at + count));
            counts.push(count);
            at += count;
        }
        let mut writers = Vec::new().into_iter();
        if columns.iter().any(Option::is_none) {
            writers = self.factory.create_column_writers(0)?.into_iter();
        }
        let columns = columns.into_iter().zip(counts).map(|(own, count)| {
            let theirs: Vec<_> = writers.by_ref().take(count).collect();
            own.unwrap_or(Column::Crate(theirs))
        });
        Ok(Group { columns: columns.collect(), rows: 0, page_rows: 0 })
    }

    /// A field whose leaves, at these places, can all be encoded here; none where one of them cannot.
    fn own_column(&self, field: &Field, places: Range<usize>) -> Option<Column> {
        let types = leaves(field);
        // What is nested deeper has more leaves than types.
        if types.len() != places.len() {
            return None;
        }
        let leaf = |(place, data_type): (usize, Option<&DataType>)| {
            let column = self.described.column(place);
            // Codes take little; large memory is for values that stand as they are.
            let is_large = !self.properties.dictionary_enabled(column.path());
            let room = is_large.then(|| self.room().pop()).flatten().unwrap_or_default();
            Leaf::new(column, data_type?, &self.properties, room)
        };
        places.zip(types).map(leaf).collect::<Option<Vec<_>>>().map(Column::Own)
    }

    fn room(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds rows to a row group. Text columns may come as `Dictionary(Int32, Utf8)`.
    pub(crate) fn write(&self, group: &mut Group, batch: &RecordBatch) -> Result<(), ParquetError> {
        for ((field, column), array) in
            self.schema.fields().iter().zip(&mut group.columns).zip(batch.columns())
        {
            match column {
                Column::Own(leaves) => own(leaves, array)?,
                Column::Crate(writers) => {
                    let plain = plain_array(array, field.data_type())?;
                    for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, &plain)?) {
                        writer.write(&leaf)?;
                    }
                }
            }
        }
        group.rows += batch.num_rows();
        group.page_rows += batch.num_rows();
        if group.page_rows >= PAGE_ROWS { group.cut() } else { Ok(()) }
    }

    /// The batch with texts as texts.
    pub(crate) fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch, ParquetError> {
        let fields = self.schema.fields().iter().zip(batch.columns());
        let columns = fields.map(|(field, array)| plain_array(array, field.data_type()));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)?)
    }

    /// Appends a row group to a file.
    pub(crate) fn append(
        &self,
        writer: &mut SerializedFileWriter<Sink>,
        group: EncodedGroup,
    ) -> Result<(), ParquetError> {
        let mut row_group = writer.next_row_group()?;
        for chunk in group {
            match chunk {
                EncodedChunk::Own(mut bytes, closed) => {
                    row_group.append_column(&Memory(&bytes), closed)?;
                    if bytes.len() >= LARGE {
                        bytes.clear();
                        self.room().push(bytes);
                    }
                }
                EncodedChunk::Crate(chunk) => chunk.append_to_row_group(&mut row_group)?,
            }
        }
        row_group.close().map(|_| ())
    }

    /// The first rows of a row group that was encoded as a whole: read back from a file without a name.
    pub(crate) fn first_rows(
        &self,
        group: EncodedGroup,
        rows: usize,
    ) -> Result<Vec<RecordBatch>, ParquetError> {
        let file = tempfile::tempfile()?;
        let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
        let (mut writer, _) = Self::create(file.try_clone()?, &self.schema, properties)?;
        self.append(&mut writer, group)?;
        writer.close()?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.with_limit(rows).build()?;
        reader.map(|batch| batch.map_err(ParquetError::from)).collect()
    }
}

impl Group {
    pub(crate) fn close(mut self) -> Result<EncodedGroup, ParquetError> {
        self.cut()?;
        let mut chunks = Vec::new();
        for column in self.columns {
            match column {
                Column::Own(leaves) => {
                    for leaf in leaves {
                        let (bytes, closed) = leaf.close()?;
                        chunks.push(EncodedChunk::Own(bytes, closed));
                    }
                }
                Column::Crate(writers) => {
                    for writer in writers {
                        chunks.push(EncodedChunk::Crate(writer.close()?));
                    }
                }
            }
        }
        Ok(chunks)
    }

    fn cut(&mut self) -> Result<(), ParquetError> {
        self.page_rows = 0;
        for column in &mut self.columns {
            if let Column::Own(leaves) = column {
                leaves.iter_mut().try_for_each(Leaf::cut)?;
            }
        }
        Ok(())
    }
}

/// A column in memory, read from its start.
struct Memory<'a>(&'a [u8]);

impl Length for Memory<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<'a> ChunkReader for Memory<'a> {
    type T = &'a [u8];

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let start = usize::try_from(start).ok();
        start
            .and_then(|start| self.0.get(start..))
            .ok_or_else(|| ParquetError::EOF("behind the column".to_owned()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.get_read(start)?.get(..length);
        bytes.map(Bytes::copy_from_slice).ok_or_else(|| ParquetError::EOF("behind the column".to_owned()))
    }
}

/// The types of what a field consists of, one level deep; none for what is deeper.
fn leaves(field: &Field) -> Vec<Option<&DataType>> {
    match field.data_type() {
        DataType::Struct(fields) => fields
            .iter()
            .map(|inner| Some(inner.data_type()).filter(|data_type| !data_type.is_nested()))
            .collect(),
        data_type => vec![Some(data_type).filter(|data_type| !data_type.is_nested())],
    }
}

fn own(leaves: &mut [Leaf], array: &ArrayRef) -> Result<(), ParquetError> {
    match array.as_struct_opt() {
        Some(document) => {
            let mut parts = leaves.iter_mut().zip(document.columns());
            parts.try_for_each(|(leaf, part)| leaf.append(part, document.nulls()))
        }
        None => leaves.iter_mut().try_for_each(|leaf| leaf.append(array, None)),
    }
}

fn plain_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ParquetError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    Ok(arrow::compute::cast(array, to)?)
}
