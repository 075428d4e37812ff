//! One column of values, on its way into pages.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::NullBuffer,
    datatypes::{
        DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
    },
};
use parquet::{
    basic::Type,
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        statistics::Statistics,
    },
    schema::types::ColumnDescPtr,
};

use super::{
    chunk::{Chunk, Held},
    hybrid,
    texts::Texts,
};

/// A column that is flat, or a part of a document.
pub(super) struct Leaf {
    max_level: u32,
    levels: Levels,
    values: Values,
    chunk: Chunk,
    /// Room for the page.
    page: Vec<u8>,
    nulls: u64,
    rows: usize,
    has_statistics: bool,
}

enum Values {
    Fixed(Fixed),
    Texts(Box<Texts>),
}

/// Numbers as Parquet holds them: as Arrow does.
struct Fixed {
    width: usize,
    bytes: Vec<u8>,
    range: Option<(i64, i64)>,
    /// How they are ordered, where the smallest and the largest are asked for.
    order: Option<Type>,
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
        room: impl FnOnce() -> Vec<u8>,
    ) -> Option<Self> {
        let physical = column.physical_type();
        if column.max_rep_level() > 0 {
            return None;
        }
        let has_statistics = properties.statistics_enabled(column.path()) != EnabledStatistics::None;
        let fixed = |width| {
            let order = Some(physical).filter(|_| has_statistics);
            let is_ordered = matches!(data_type, DataType::Int32 | DataType::Date32 | DataType::Int64)
                || matches!(data_type, DataType::Timestamp(..));
            let order = order.filter(|_| is_ordered);
            Values::Fixed(Fixed { width, bytes: Vec::new(), range: None, order })
        };
        let values = match (data_type, physical) {
            (DataType::Utf8, Type::BYTE_ARRAY) => Values::Texts(Box::new(Texts::new(
                properties.dictionary_enabled(column.path()),
                has_statistics,
            ))),
            (DataType::Float64, Type::DOUBLE) | (DataType::Int64 | DataType::UInt64, Type::INT64) => fixed(8),
            (
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _),
                Type::INT64,
            ) => fixed(8),
            (DataType::Int32 | DataType::Date32, Type::INT32) | (DataType::Float32, Type::FLOAT) => fixed(4),
            _ => return None,
        };
        let is_compressed = matches!(values, Values::Texts(_)).then_some(true);
        Some(Self {
            max_level: u32::try_from(column.max_def_level()).ok()?,
            levels: Levels::Run(0, 0),
            values,
            chunk: Chunk::new(column, is_compressed, room()),
            page: Vec::new(),
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
        let mut body = std::mem::take(&mut self.page);
        body.reserve(self.values.page_bytes() + 64);
        if self.max_level > 0 {
            body.extend_from_slice(&[0; 4]);
            self.levels.encode(hybrid::width(self.max_level), &mut body);
            let length = u32::try_from(body.len() - 4)
                .map_err(|_| ParquetError::General("a page has too many levels".to_owned()))?;
            body[..4].copy_from_slice(&length.to_le_bytes());
        }
        let held = self.values.cut(&mut body);
        self.levels = Levels::Run(0, 0);
        self.page = self.chunk.page(body, std::mem::take(&mut self.rows), held)?;
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<(Vec<u8>, ColumnCloseResult), ParquetError> {
        self.cut()?;
        let nulls = Some(self.nulls);
        match self.values {
            Values::Fixed(fixed) => {
                let statistics = self.has_statistics.then(|| fixed.statistics(nulls)).flatten();
                self.chunk.close(None, statistics)
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
            Self::Fixed(fixed) => {
                let width = fixed.width;
                let bytes = numbers(array).and_then(|all| all.get(start * width..end * width));
                fixed.append(bytes.ok_or_else(|| unlike(array))?);
                Ok(())
            }
            Self::Texts(texts) => texts.append(array, start, end).then_some(()).ok_or_else(|| unlike(array)),
        }
    }

    fn page_bytes(&self) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.bytes.len(),
            Self::Texts(texts) => texts.page_bytes(),
        }
    }

    fn cut(&mut self, body: &mut Vec<u8>) -> Held {
        match self {
            Self::Fixed(fixed) => {
                body.extend_from_slice(&fixed.bytes);
                fixed.bytes.clear();
                Held::Plain
            }
            Self::Texts(texts) => texts.cut(body),
        }
    }
}

impl Fixed {
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let range = match self.order {
            Some(Type::INT32) => {
                range(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b).into()))
            }
            Some(Type::INT64) => range(bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b))),
            _ => None,
        };
        self.range = match (self.range, range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (known, new) => known.or(new),
        };
    }

    fn statistics(&self, nulls: Option<u64>) -> Option<Statistics> {
        let (min, max) = (self.range.map(|r| r.0), self.range.map(|r| r.1));
        // Values of four bytes stay within their range.
        let small = |value: Option<i64>| value.and_then(|v| i32::try_from(v).ok());
        match self.order? {
            Type::INT32 => Some(Statistics::int32(small(min), small(max), None, nulls, false)),
            Type::INT64 => Some(Statistics::int64(min, max, None, nulls, false)),
            _ => None,
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

/// The values of an array of numbers, bit by bit.
fn numbers(array: &ArrayRef) -> Option<&[u8]> {
    macro_rules! of {
        ($type:ty) => {
            array.as_primitive_opt::<$type>()?.values().inner().as_slice()
        };
    }
    Some(match array.data_type() {
        DataType::Float64 => of!(Float64Type),
        DataType::Float32 => of!(Float32Type),
        DataType::Int64 => of!(Int64Type),
        DataType::UInt64 => of!(UInt64Type),
        DataType::Int32 => of!(Int32Type),
        DataType::Date32 => of!(Date32Type),
        DataType::Timestamp(TimeUnit::Millisecond, _) => of!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => of!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => of!(TimestampNanosecondType),
        _ => return None,
    })
}

fn range(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    values.fold(None, |known, value| match known {
        Some((min, max)) => Some((value.min(min), value.max(max))),
        None => Some((value, value)),
    })
}

fn unlike(array: &ArrayRef) -> ParquetError {
    ParquetError::ArrowError(format!("{} came for a column of another type", array.data_type()))
}
