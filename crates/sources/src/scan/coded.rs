//! Text columns as the codes of a dictionary, for row groups that hold them so.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    basic::Encoding,
    file::metadata::ColumnChunkMetaData,
};

use super::file::ScanFile;

/// The type of such a column.
pub(super) fn data_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(super) fn is_coded(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(key, value)
        if **key == DataType::Int32 && **value == DataType::Utf8)
}

/// How a row group is read if the texts among these columns shall come as codes; none where it has no such column, or
/// where the decoder cannot do it.
pub(super) fn metadata(file: &ScanFile, group: usize, names: &[String]) -> Option<ArrowReaderMetadata> {
    let parquet = file.parquet().metadata();
    let (roots, chunks) = (parquet.file_metadata().schema_descr(), parquet.row_group(group).columns());
    let mut is_any = false;
    let fields: Vec<Field> = file
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(root, field)| {
            let field = field.as_ref().clone();
            // The leaf of a root that is no group.
            let leaf = (0..chunks.len()).find(|leaf| roots.get_column_root_idx(*leaf) == root);
            let is_coded = field.data_type() == &DataType::Utf8View
                && names.contains(field.name())
                && leaf.is_some_and(|leaf| holds_codes_only(&chunks[leaf]));
            is_any |= is_coded;
            if is_coded { field.with_data_type(data_type()) } else { field }
        })
        .collect();
    if !is_any {
        return None;
    }
    let schema = Schema::new_with_metadata(fields, file.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(parquet), options).ok()
}

/// `schema` with the columns that a row group gives as codes.
pub(super) fn schema(schema: &SchemaRef, stored: &Schema) -> SchemaRef {
    let is_coded_here = |field: &Field| {
        field.data_type() == &DataType::Utf8View
            && stored.field_with_name(field.name()).is_ok_and(|f| is_coded(f.data_type()))
    };
    if !schema.fields().iter().any(|field| is_coded_here(field)) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| {
        let own = field.as_ref().clone();
        if is_coded_here(field) { own.with_data_type(data_type()) } else { own }
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Whether every data page holds codes. Where the footer does not say, nothing is assumed: a writer may have gone over to
/// plain values when the dictionary grew too large, and those would have to be made codes again.
fn holds_codes_only(chunk: &ColumnChunkMetaData) -> bool {
    let is_code = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    chunk.page_encoding_stats_mask().is_some_and(|mask| {
        let mut encodings = mask.encodings().peekable();
        encodings.peek().is_some() && encodings.all(is_code)
    })
}
