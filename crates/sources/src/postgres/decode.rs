//! Fields in PostgreSQL's binary form, appended to Arrow columns without an allocation a value.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, ListArray,
        NullBufferBuilder, PrimitiveArray, StringArray,
    },
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int16Type,
        Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
        TimestampMicrosecondType,
    },
    error::ArrowError,
};

use super::{numeric::Digits, types::Form};

/// Why a field cannot stand in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Not the form of its type.
    Malformed,
    /// NaN or an infinity in a decimal.
    NotFinite,
    /// More digits before the point than the decimal has.
    TooLarge,
    /// More digits after the point than the decimal has.
    TooManyDigits,
    /// An array of arrays.
    Dimensions,
}

/// A column that grows field by field.
pub(super) enum Builder {
    Bool {
        values: BooleanBufferBuilder,
        nulls: NullBufferBuilder,
    },
    Int16(Numbers<Int16Type>),
    Int32(Numbers<Int32Type>),
    Int64(Numbers<Int64Type>),
    /// Object identifiers: unsigned 32 bits, as 64 bits.
    Oid(Numbers<Int64Type>),
    Float32(Numbers<Float32Type>),
    Float64(Numbers<Float64Type>),
    Decimal128 {
        numbers: Numbers<Decimal128Type>,
        precision: u8,
        scale: u8,
    },
    Decimal256 {
        numbers: Numbers<Decimal256Type>,
        precision: u8,
        scale: u8,
    },
    Text(Texts),
    /// A version byte before the text.
    Jsonb(Texts),
    Uuid(Texts),
    Bytes(Texts),
    Date {
        numbers: Numbers<Date32Type>,
        misfits: u64,
    },
    Time {
        numbers: Numbers<Time64MicrosecondType>,
        misfits: u64,
    },
    Timestamp {
        numbers: Numbers<TimestampMicrosecondType>,
        misfits: u64,
        utc: bool,
    },
    Interval {
        numbers: Numbers<IntervalMonthDayNanoType>,
        misfits: u64,
    },
    List {
        element: Box<Builder>,
        ends: Vec<i32>,
        nulls: NullBufferBuilder,
    },
}

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;
const DAY_MICROS: i64 = 86_400_000_000;

impl Builder {
    pub(super) fn new(form: &Form) -> Self {
        match form {
            Form::Bool => {
                Self::Bool { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
            }
            Form::Int16 => Self::Int16(Numbers::new()),
            Form::Int32 => Self::Int32(Numbers::new()),
            Form::Int64 => Self::Int64(Numbers::new()),
            Form::Oid => Self::Oid(Numbers::new()),
            Form::Float32 => Self::Float32(Numbers::new()),
            Form::Float64 => Self::Float64(Numbers::new()),
            Form::Decimal { precision, scale } if *precision <= 38 => {
                Self::Decimal128 { numbers: Numbers::new(), precision: *precision, scale: *scale }
            }
            Form::Decimal { precision, scale } => {
                Self::Decimal256 { numbers: Numbers::new(), precision: *precision, scale: *scale }
            }
            Form::Text => Self::Text(Texts::new()),
            Form::Jsonb => Self::Jsonb(Texts::new()),
            Form::Uuid => Self::Uuid(Texts::new()),
            Form::Bytes => Self::Bytes(Texts::new()),
            Form::Date => Self::Date { numbers: Numbers::new(), misfits: 0 },
            Form::Time => Self::Time { numbers: Numbers::new(), misfits: 0 },
            Form::Timestamp { utc } => Self::Timestamp { numbers: Numbers::new(), misfits: 0, utc: *utc },
            Form::Interval => Self::Interval { numbers: Numbers::new(), misfits: 0 },
            Form::List(element) => Self::List {
                element: Box::new(Self::new(element)),
                ends: vec![0],
                nulls: NullBufferBuilder::new(0),
            },
        }
    }

    /// Appends a field; none is null.
    #[inline]
    pub(super) fn append(&mut self, field: Option<&[u8]>) -> Result<(), Bad> {
        let Some(field) = field else {
            self.append_null();
            return Ok(());
        };
        match self {
            Self::Bool { values, nulls } => {
                let [value] = bytes(field)?;
                values.append(value != 0);
                nulls.append_non_null();
            }
            Self::Int16(numbers) => numbers.push(i16::from_be_bytes(bytes(field)?)),
            Self::Int32(numbers) => numbers.push(i32::from_be_bytes(bytes(field)?)),
            Self::Int64(numbers) => numbers.push(i64::from_be_bytes(bytes(field)?)),
            Self::Oid(numbers) => numbers.push(i64::from(u32::from_be_bytes(bytes(field)?))),
            Self::Float32(numbers) => numbers.push(f32::from_be_bytes(bytes(field)?)),
            Self::Float64(numbers) => numbers.push(f64::from_be_bytes(bytes(field)?)),
            Self::Decimal128 { numbers, precision, scale } => {
                numbers.push(Digits::parse(field)?.to_i128(*precision, *scale)?);
            }
            Self::Decimal256 { numbers, precision, scale } => {
                numbers.push(Digits::parse(field)?.to_i256(*precision, *scale)?);
            }
            Self::Text(texts) | Self::Bytes(texts) => texts.push(field)?,
            Self::Jsonb(texts) => match field.split_first() {
                Some((1, text)) => texts.push(text)?,
                _ => return Err(Bad::Malformed),
            },
            Self::Uuid(texts) => texts.push(&uuid(u128::from_be_bytes(bytes(field)?)))?,
            Self::Date { numbers, misfits } => {
                let days = i32::from_be_bytes(bytes(field)?);
                // The two ends of the range are the infinities.
                let days = days.checked_add(EPOCH_DAYS).filter(|_| days != i32::MIN);
                numbers.push_or_misfit(days, misfits);
            }
            Self::Time { numbers, misfits } => {
                let micros = i64::from_be_bytes(bytes(field)?);
                // PostgreSQL knows 24:00:00, Arrow does not.
                numbers.push_or_misfit((0..DAY_MICROS).contains(&micros).then_some(micros), misfits);
            }
            Self::Timestamp { numbers, misfits, .. } => {
                let micros = i64::from_be_bytes(bytes(field)?);
                let micros = micros.checked_add(EPOCH_MICROS).filter(|_| micros != i64::MIN);
                numbers.push_or_misfit(micros, misfits);
            }
            Self::Interval { numbers, misfits } => {
                let field: [u8; 16] = bytes(field)?;
                let value = u128::from_be_bytes(field);
                let micros = (value >> 64) as u64;
                let (days, months) = ((value >> 32) as u32, value as u32);
                let infinite = field == INTERVAL_INFINITY || field == INTERVAL_MINUS_INFINITY;
                let interval =
                    micros.cast_signed().checked_mul(1000).filter(|_| !infinite).map(|nanos| {
                        IntervalMonthDayNano::new(months.cast_signed(), days.cast_signed(), nanos)
                    });
                numbers.push_or_misfit(interval, misfits);
            }
            Self::List { element, ends, nulls } => {
                append_array(element, field)?;
                ends.push(i32::try_from(element.len()).map_err(|_| Bad::Malformed)?);
                nulls.append_non_null();
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool { values, nulls } => {
                values.append(false);
                nulls.append_null();
            }
            Self::Int16(numbers) => numbers.push_null(),
            Self::Int32(numbers) => numbers.push_null(),
            Self::Int64(numbers) | Self::Oid(numbers) => numbers.push_null(),
            Self::Float32(numbers) => numbers.push_null(),
            Self::Float64(numbers) => numbers.push_null(),
            Self::Decimal128 { numbers, .. } => numbers.push_null(),
            Self::Decimal256 { numbers, .. } => numbers.push_null(),
            Self::Text(texts) | Self::Jsonb(texts) | Self::Uuid(texts) | Self::Bytes(texts) => {
                texts.push_null()
            }
            Self::Date { numbers, .. } => numbers.push_null(),
            Self::Time { numbers, .. } => numbers.push_null(),
            Self::Timestamp { numbers, .. } => numbers.push_null(),
            Self::Interval { numbers, .. } => numbers.push_null(),
            Self::List { ends, nulls, .. } => {
                ends.push(ends.last().copied().unwrap_or(0));
                nulls.append_null();
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bool { values, .. } => values.len(),
            Self::Int16(numbers) => numbers.values.len(),
            Self::Int32(numbers) => numbers.values.len(),
            Self::Int64(numbers) | Self::Oid(numbers) => numbers.values.len(),
            Self::Float32(numbers) => numbers.values.len(),
            Self::Float64(numbers) => numbers.values.len(),
            Self::Decimal128 { numbers, .. } => numbers.values.len(),
            Self::Decimal256 { numbers, .. } => numbers.values.len(),
            Self::Text(texts) | Self::Jsonb(texts) | Self::Uuid(texts) | Self::Bytes(texts) => {
                texts.ends.len() - 1
            }
            Self::Date { numbers, .. } => numbers.values.len(),
            Self::Time { numbers, .. } => numbers.values.len(),
            Self::Timestamp { numbers, .. } => numbers.values.len(),
            Self::Interval { numbers, .. } => numbers.values.len(),
            Self::List { ends, .. } => ends.len() - 1,
        }
    }

    /// The fields since the last call.
    ///
    /// # Errors
    ///
    /// Text that is not UTF-8.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool { values, nulls } => Arc::new(BooleanArray::new(values.finish(), nulls.finish())),
            Self::Int16(numbers) => Arc::new(numbers.finish()),
            Self::Int32(numbers) => Arc::new(numbers.finish()),
            Self::Int64(numbers) | Self::Oid(numbers) => Arc::new(numbers.finish()),
            Self::Float32(numbers) => Arc::new(numbers.finish()),
            Self::Float64(numbers) => Arc::new(numbers.finish()),
            Self::Decimal128 { numbers, precision, scale } => {
                Arc::new(numbers.finish().with_precision_and_scale(*precision, scale.cast_signed())?)
            }
            Self::Decimal256 { numbers, precision, scale } => {
                Arc::new(numbers.finish().with_precision_and_scale(*precision, scale.cast_signed())?)
            }
            Self::Text(texts) | Self::Jsonb(texts) | Self::Uuid(texts) => Arc::new(texts.finish_text()?),
            Self::Bytes(texts) => Arc::new(texts.finish_bytes()?),
            Self::Date { numbers, .. } => Arc::new(numbers.finish()),
            Self::Time { numbers, .. } => Arc::new(numbers.finish()),
            Self::Timestamp { numbers, utc, .. } => {
                Arc::new(numbers.finish().with_timezone_opt(utc.then_some("UTC")))
            }
            Self::Interval { numbers, .. } => Arc::new(numbers.finish()),
            Self::List { element, ends, nulls } => {
                let values = element.finish()?;
                let field = Field::new("item", values.data_type().clone(), true);
                let ends = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])));
                Arc::new(ListArray::try_new(Arc::new(field), ends, values, nulls.finish())?)
            }
        })
    }

    /// Values that became null because the type of the column cannot hold them, and what they are.
    pub(super) fn misfits(&self) -> Option<(u64, &'static str)> {
        match self {
            Self::Date { misfits, .. } => Some((*misfits, "infinity")),
            Self::Time { misfits, .. } => Some((*misfits, "24:00:00")),
            Self::Timestamp { misfits, .. } => Some((*misfits, "infinity or out of range")),
            Self::Interval { misfits, .. } => Some((*misfits, "infinity or out of range")),
            Self::List { element, .. } => element.misfits(),
            _ => None,
        }
        .filter(|(count, _)| *count > 0)
    }
}

/// `infinity` of an interval (PostgreSQL 17): all parts at their largest.
const INTERVAL_INFINITY: [u8; 16] =
    [0x7f, 255, 255, 255, 255, 255, 255, 255, 0x7f, 255, 255, 255, 0x7f, 255, 255, 255];
const INTERVAL_MINUS_INFINITY: [u8; 16] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0];

fn bytes<const N: usize>(field: &[u8]) -> Result<[u8; N], Bad> {
    field.try_into().map_err(|_| Bad::Malformed)
}

/// The elements of an array (`array_send`): number of dimensions, flags, type, then a length and a lower bound for
/// each dimension, then the elements as length and bytes. The lower bound is not kept.
fn append_array(element: &mut Builder, field: &[u8]) -> Result<(), Bad> {
    let (head, mut rest) = field.split_first_chunk::<12>().ok_or(Bad::Malformed)?;
    match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
        0 => return Ok(()),
        1 => {}
        _ => return Err(Bad::Dimensions),
    }
    let (dimension, elements) = rest.split_first_chunk::<8>().ok_or(Bad::Malformed)?;
    rest = elements;
    let count = u32::from_be_bytes([dimension[0], dimension[1], dimension[2], dimension[3]]);
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or(Bad::Malformed)?;
        match i32::from_be_bytes(*length) {
            -1 => {
                element.append(None)?;
                rest = tail;
            }
            length => {
                let length = usize::try_from(length).map_err(|_| Bad::Malformed)?;
                let (value, tail) = tail.split_at_checked(length).ok_or(Bad::Malformed)?;
                element.append(Some(value))?;
                rest = tail;
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(Bad::Malformed) }
}

/// The 36 characters of a UUID, in lower case.
fn uuid(value: u128) -> [u8; 36] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut shift = 128;
    for (i, place) in text.iter_mut().enumerate() {
        if !matches!(i, 8 | 13 | 18 | 23) {
            shift -= 4;
            *place = HEX[((value >> shift) & 15) as usize];
        }
    }
    text
}

/// A column of fixed width.
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn push_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    fn push_or_misfit(&mut self, value: Option<T::Native>, misfits: &mut u64) {
        match value {
            Some(value) => self.push(value),
            None => {
                *misfits += 1;
                self.push_null();
            }
        }
    }

    fn finish(&mut self) -> PrimitiveArray<T> {
        let room = Vec::with_capacity(self.values.len());
        PrimitiveArray::new(
            ScalarBuffer::from(std::mem::replace(&mut self.values, room)),
            self.nulls.finish(),
        )
    }
}

/// A column of text or bytes. Text is checked once a batch rather than once a value.
pub(super) struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Texts {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) -> Result<(), Bad> {
        self.bytes.extend_from_slice(value);
        self.ends.push(i32::try_from(self.bytes.len()).map_err(|_| Bad::TooLarge)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.nulls.append_null();
    }

    fn finish_text(&mut self) -> Result<StringArray, ArrowError> {
        let (ends, bytes) = self.take();
        StringArray::try_new(ends, bytes, self.nulls.finish())
    }

    fn finish_bytes(&mut self) -> Result<BinaryArray, ArrowError> {
        let (ends, bytes) = self.take();
        BinaryArray::try_new(ends, bytes, self.nulls.finish())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut room = Vec::with_capacity(self.ends.len());
        room.push(0);
        let ends = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.ends, room)));
        let room = Vec::with_capacity(self.bytes.len());
        (ends, Buffer::from_vec(std::mem::replace(&mut self.bytes, room)))
    }
}

/// The Arrow type that [`Builder::finish`] gives for a form.
pub(super) fn arrow_type(form: &Form) -> DataType {
    match form {
        Form::Bool => DataType::Boolean,
        Form::Int16 => DataType::Int16,
        Form::Int32 => DataType::Int32,
        Form::Int64 | Form::Oid => DataType::Int64,
        Form::Float32 => DataType::Float32,
        Form::Float64 => DataType::Float64,
        Form::Decimal { precision, scale } if *precision <= 38 => {
            DataType::Decimal128(*precision, scale.cast_signed())
        }
        Form::Decimal { precision, scale } => DataType::Decimal256(*precision, scale.cast_signed()),
        Form::Text | Form::Jsonb | Form::Uuid => DataType::Utf8,
        Form::Bytes => DataType::Binary,
        Form::Date => DataType::Date32,
        Form::Time => DataType::Time64(arrow::datatypes::TimeUnit::Microsecond),
        Form::Timestamp { utc } => {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, utc.then(|| "UTC".into()))
        }
        Form::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        Form::List(element) => DataType::List(Arc::new(Field::new("item", arrow_type(element), true))),
    }
}
