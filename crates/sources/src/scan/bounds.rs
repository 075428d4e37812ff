//! Least and greatest values by the statistics of a row group.

use arrow::{
    array::{Array, ArrayRef},
    datatypes::DataType,
};
use parquet::{
    arrow::arrow_reader::statistics::StatisticsConverter,
    basic::{ColumnOrder, SortOrder, Type},
    file::metadata::ColumnChunkMetaData,
};

use super::{Group, file::ScanFile, guard::guarded};
use crate::unify;

/// The bounds of a column as `data_type`.
pub(super) fn bounds(
    file: &ScanFile,
    group: usize,
    column: &str,
    data_type: &DataType,
) -> Option<(ArrayRef, ArrayRef)> {
    let chunk = chunk(file, group, column)?;
    let metadata = file.parquet().metadata();
    let leaf = metadata.row_groups().get(group)?.columns().iter().position(|c| std::ptr::eq(c, chunk))?;
    let ordered = matches!(metadata.file_metadata().column_order(leaf), ColumnOrder::TYPE_DEFINED_ORDER(_));
    if !is_exact(chunk, ordered) {
        return None;
    }
    let schema = file.schema();
    let converter = StatisticsConverter::try_new(column, schema, file.parquet().parquet_schema()).ok()?;
    let metadata = [file.parquet().metadata().row_groups().get(group)?];
    let ends = || Some((converter.row_group_mins(metadata).ok()?, converter.row_group_maxes(metadata).ok()?));
    let (least, greatest) = guarded(ends)??;
    Some((value(&least, file, column, data_type)?, value(&greatest, file, column, data_type)?))
}

/// Nulls of a column.
pub(super) fn nulls(file: &ScanFile, group: &Group, column: &str) -> Option<u64> {
    if !file.plain().iter().any(|f| f.name() == column) {
        return Some(group.rows);
    }
    chunk(file, group.index, column)?.statistics()?.null_count_opt()
}

/// The chunk of a column without members; none of a nested one.
fn chunk<'a>(file: &'a ScanFile, group: usize, column: &str) -> Option<&'a ColumnChunkMetaData> {
    let columns = file.parquet().metadata().row_groups().get(group)?.columns();
    columns.iter().find(|c| matches!(c.column_path().parts(), [only] if only == column))
}

/// Whether the statistics are the least and greatest values. `ordered`: the file says that they were compared as
/// their type asks for; files of old writers do not, and these compared everything as signed.
fn is_exact(chunk: &ColumnChunkMetaData, ordered: bool) -> bool {
    let Some(statistics) = chunk.statistics() else { return false };
    match chunk.column_type() {
        // Statistics leave NaN out; those of INT96 were never ordered.
        Type::FLOAT | Type::DOUBLE | Type::INT96 => false,
        // The values may be cut off.
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => {
            ordered
                && !statistics.is_min_max_deprecated()
                && statistics.min_is_exact()
                && statistics.max_is_exact()
        }
        Type::BOOLEAN | Type::INT32 | Type::INT64 => match statistics.is_min_max_deprecated() {
            true => chunk.column_descr().sort_order() == SortOrder::SIGNED,
            false => ordered,
        },
    }
}

fn value(array: &ArrayRef, file: &ScanFile, column: &str, data_type: &DataType) -> Option<ArrayRef> {
    if array.len() != 1 || array.is_null(0) {
        return None;
    }
    let plain = file.plain().iter().find(|f| f.name() == column)?.data_type();
    // A half-width float has statistics of bytes.
    if plain.is_floating() || data_type.is_floating() {
        return None;
    }
    unify::adapt(&unify::adapt(array, plain).ok()?, data_type).ok()
}
