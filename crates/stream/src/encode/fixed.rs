//! A column of numbers as Parquet holds them: as Arrow does, or as codes of a dictionary where few are different.

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{
        DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
    },
};
use parquet::{basic::Type, file::statistics::Statistics};

use super::{chunk::Held, numbers::Numbers};

/// Room for the levels before the values of a page, so that these need not be copied behind them.
const ROOM: usize = 32;

pub(super) struct Fixed {
    width: usize,
    /// The values of the page, behind room for its levels.
    bytes: Vec<u8>,
    /// None where numbers hardly repeat.
    dictionary: Option<Numbers>,
    /// Too many different ones have come: further pages have none of it.
    is_full: bool,
    range: Option<(i64, i64)>,
    /// How they are ordered, where the smallest and the largest are asked for.
    order: Option<Type>,
}

impl Fixed {
    pub(super) fn new(width: usize, has_dictionary: bool, order: Option<Type>) -> Self {
        let dictionary = has_dictionary.then(Numbers::default);
        Self { width, bytes: vec![0; ROOM], dictionary, is_full: !has_dictionary, range: None, order }
    }

    /// Adds rows that are not null; `false` where they are no numbers.
    pub(super) fn append(&mut self, array: &ArrayRef, start: usize, end: usize) -> bool {
        let values = numbers(array).and_then(|all| all.get(start * self.width..end * self.width));
        let Some(values) = values else { return false };
        self.bytes.extend_from_slice(values);
        let range = match self.order {
            Some(Type::INT32) => {
                range(values.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b).into()))
            }
            Some(Type::INT64) => range(values.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b))),
            _ => None,
        };
        self.range = match (self.range, range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (known, new) => known.or(new),
        };
        true
    }

    /// Ends a page with these levels, in the memory that is given. Says where in its bytes the page begins.
    pub(super) fn cut(&mut self, levels: &[u8], mut body: Vec<u8>) -> (Vec<u8>, usize, Held) {
        let values = &self.bytes[ROOM..];
        if let Some(dictionary) = self.dictionary.as_mut().filter(|_| !self.is_full) {
            body.extend_from_slice(levels);
            let coded = match self.width {
                4 => dictionary.page(values.as_chunks::<4>().0, &mut body),
                _ => dictionary.page(values.as_chunks::<8>().0, &mut body),
            };
            if coded {
                self.bytes.truncate(ROOM);
                return (body, 0, Held::Codes);
            }
            body.clear();
            self.is_full = true;
        }
        let Some(start) = ROOM.checked_sub(levels.len()) else {
            body.extend_from_slice(levels);
            body.extend_from_slice(values);
            self.bytes.truncate(ROOM);
            return (body, 0, Held::Plain);
        };
        self.bytes[start..ROOM].copy_from_slice(levels);
        body.resize(ROOM, 0);
        (std::mem::replace(&mut self.bytes, body), start, Held::Plain)
    }

    /// The different values one after the other, and how many there are; none where no page has codes.
    pub(super) fn dictionary(&self) -> Option<(Vec<u8>, usize)> {
        let dictionary = self.dictionary.as_ref().filter(|dictionary| dictionary.pages() > 0)?;
        Some(dictionary.values(self.width))
    }

    pub(super) fn statistics(&self, nulls: Option<u64>) -> Option<Statistics> {
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
