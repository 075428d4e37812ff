//! One column of values, on its way into pages.

use arrow::{
    array::{Array, ArrayRef},
    buffer::NullBuffer,
    datatypes::{DataType, TimeUnit},
};
use parquet::{
    basic::Type,
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnDescPtr,
};

use super::{
    chunk::{Chunk, Held},
    fixed::Fixed,
    hybrid,
    texts::Texts,
};

/// A column that is flat, or a part of a document.
pub(super) struct Leaf {
    max_level: u32,
    levels: Levels,
    values: Values,
    chunk: Chunk,
    /// Room for the page and for its levels.
    page: Vec<u8>,
    encoded_levels: Vec<u8>,
    nulls: u64,
    rows: usize,
    has_statistics: bool,
}

enum Values {
    Fixed(Box<Fixed>),
    Texts(Box<Texts>),
}

/// The levels of the page that is being filled.
enum Levels {
    Run(u32, usize),
    Each(Vec<u32>),
}

impl Leaf {
    /// None for a type that is not held in Parquet bit by bit as in Arrow.
    pub(super) fn new(
        column: ColumnDescPtr,
        data_type: &DataType,
        properties: &WriterProperties,
        room: Vec<u8>,
    ) -> Option<Self> {
        let physical = column.physical_type();
        if column.max_rep_level() > 0 {
            return None;
        }
        let has_statistics = properties.statistics_enabled(column.path()) != EnabledStatistics::None;
        let has_dictionary = properties.dictionary_enabled(column.path());
        let fixed = |width| {
            let order = Some(physical).filter(|_| has_statistics);
            let is_ordered = matches!(data_type, DataType::Int32 | DataType::Date32 | DataType::Int64)
                || matches!(data_type, DataType::Timestamp(..));
            Values::Fixed(Box::new(Fixed::new(width, has_dictionary, order.filter(|_| is_ordered))))
        };
        let values = match (data_type, physical) {
            (DataType::Utf8, Type::BYTE_ARRAY) => {
                Values::Texts(Box::new(Texts::new(has_dictionary, has_statistics)))
            }
            (DataType::Float64, Type::DOUBLE) | (DataType::Int64 | DataType::UInt64, Type::INT64) => fixed(8),
            (
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _),
                Type::INT64,
            ) => fixed(8),
            (DataType::Int32 | DataType::Date32, Type::INT32) | (DataType::Float32, Type::FLOAT) => fixed(4),
            _ => return None,
        };
        // Codes tell nothing of how well the texts behind them are compressed.
        let is_compressed = (has_dictionary && matches!(values, Values::Texts(_))).then_some(true);
        Some(Self {
            max_level: u32::try_from(column.max_def_level()).ok()?,
            levels: Levels::Run(0, 0),
            values,
            chunk: Chunk::new(column, is_compressed, room),
            page: Vec::new(),
            encoded_levels: Vec::new(),
            nulls: 0,
            rows: 0,
            has_statistics,
        })
    }

    /// Adds the values of an array; those of rows whose document is null are none.
    pub(super) fn append(
        &mut self,
        array: &ArrayRef,
        document: Option<&NullBuffer>,
    ) -> Result<(), ParquetError> {
        let own = array.logical_nulls();
        let absent = NullBuffer::union(document, own.as_ref()).filter(|nulls| nulls.null_count() > 0);
        let count = array.len();
        self.rows += count;
        let Some(absent) = absent else {
            self.levels.push(self.max_level, count);
            return self.values.append(array, 0, count);
        };
        if self.max_level == 0 {
            return Err(ParquetError::General("null in a column that has none".to_owned()));
        }
        self.nulls += absent.null_count() as u64;
        match (document.filter(|d| d.null_count() > 0), absent.null_count() == count) {
            (None, true) => self.levels.push(self.max_level - 1, count),
            (Some(document), true) if document.null_count() == count => self.levels.push(0, count),
            (document, _) => {
                for row in 0..count {
                    let level = match document {
                        Some(document) if document.is_null(row) => 0,
                        _ if absent.is_null(row) => self.max_level - 1,
                        _ => self.max_level,
                    };
                    self.levels.push(level, 1);
                }
            }
        }
        absent.valid_slices().try_for_each(|(start, end)| self.values.append(array, start, end))
    }

    /// Ends a page.
    pub(super) fn cut(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let levels = &mut self.encoded_levels;
        levels.clear();
        if self.max_level > 0 {
            levels.extend_from_slice(&[0; 4]);
            self.levels.encode(hybrid::width(self.max_level), levels);
            let length = u32::try_from(levels.len() - 4)
                .map_err(|_| ParquetError::General("a page has too many levels".to_owned()))?;
            levels[..4].copy_from_slice(&length.to_le_bytes());
        }
        let (body, start, held) = self.values.cut(levels, std::mem::take(&mut self.page));
        self.levels = Levels::Run(0, 0);
        self.page = self.chunk.page(body, start, std::mem::take(&mut self.rows), held)?;
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<(Vec<u8>, ColumnCloseResult), ParquetError> {
        self.cut()?;
        let nulls = Some(self.nulls);
        match self.values {
            Values::Fixed(fixed) => {
                let statistics = self.has_statistics.then(|| fixed.statistics(nulls)).flatten();
                self.chunk.close(fixed.dictionary(), statistics)
            }
            Values::Texts(texts) => {
                let statistics = self.has_statistics.then(|| texts.statistics(nulls));
                self.chunk.close(texts.dictionary(), statistics)
            }
        }
    }
}

impl Values {
    fn append(&mut self, array: &ArrayRef, start: usize, end: usize) -> Result<(), ParquetError> {
        match self {
            Self::Fixed(fixed) => fixed.append(array, start, end).then_some(()).ok_or_else(|| unlike(array)),
            Self::Texts(texts) => texts.append(array, start, end).then_some(()).ok_or_else(|| unlike(array)),
        }
    }

    fn cut(&mut self, levels: &[u8], mut body: Vec<u8>) -> (Vec<u8>, usize, Held) {
        match self {
            Self::Fixed(fixed) => fixed.cut(levels, body),
            Self::Texts(texts) => {
                body.reserve(levels.len() + texts.page_bytes() + 64);
                body.extend_from_slice(levels);
                let held = texts.cut(&mut body);
                (body, 0, held)
            }
        }
    }
}

impl Levels {
    fn push(&mut self, level: u32, count: usize) {
        match self {
            Self::Run(_, 0) => *self = Self::Run(level, count),
            Self::Run(known, length) if *known == level => *length += count,
            Self::Run(known, length) => {
                let mut each = vec![*known; *length];
                each.resize(*length + count, level);
                *self = Self::Each(each);
            }
            Self::Each(each) => each.resize(each.len() + count, level),
        }
    }

    fn encode(&self, width: u8, out: &mut Vec<u8>) {
        match self {
            Self::Run(level, count) => hybrid::repeat(*level, *count, width, out),
            Self::Each(levels) => hybrid::encode(levels, width, out),
        }
    }
}

fn unlike(array: &ArrayRef) -> ParquetError {
    ParquetError::ArrowError(format!("{} came for a column of another type", array.data_type()))
}
