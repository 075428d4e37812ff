//! The key columns of a batch: equality and order by value, whole stretches of rows at a time.

use std::cmp::Ordering;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray},
    buffer::{NullBuffer, ScalarBuffer},
    datatypes::{
        DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    },
    error::ArrowError,
    row::{RowConverter, Rows, SortField},
};

use crate::coded::{CHUNK, Coded, Source, same_values};

/// Texts up to this length stand in their view.
const INLINE: u32 = 12;
/// The key of each row of a batch. Nulls equal each other and come first.
#[derive(Debug)]
pub(crate) struct Keys {
    columns: Vec<KeyColumn>,
    /// Columns that stand before the key, for the order alone.
    before: usize,
    rows: usize,
}

#[derive(Debug)]
enum KeyColumn {
    /// The flag says whether every text stands in its view.
    Text(StringViewArray, bool),
    /// Texts as codes of a dictionary.
    Coded(Coded),
    /// Integers, and instants of one unit.
    Long(ScalarBuffer<i64>, Option<NullBuffer>),
    /// Days.
    Day(ScalarBuffer<i32>, Option<NullBuffer>),
    /// Everything else in Arrow's row format, whose bytes are ordered as the values.
    Bytes(Rows, Option<NullBuffer>),
}

impl Keys {
    /// `arrays` are the key columns in key order, texts as views.
    ///
    /// # Errors
    /// A type that cannot be ordered.
    pub(crate) fn new(arrays: &[ArrayRef], rows: usize) -> Result<Self, ArrowError> {
        let columns = arrays.iter().map(KeyColumn::new).collect::<Result<_, _>>()?;
        Ok(Self { columns, before: 0, rows })
    }

    /// As [`Self::new`], for columns that may be coded, with an order value before the key.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn ordered(
        order: Option<&Int64Array>,
        sources: &[Source],
        rows: usize,
    ) -> Result<Self, ArrowError> {
        let mut columns = Vec::with_capacity(sources.len() + 1);
        columns.extend(order.map(|values| KeyColumn::Long(values.values().clone(), None)));
        let before = columns.len();
        for source in sources {
            columns.push(match &source.coded {
                Some(coded) => KeyColumn::Coded(coded.clone()),
                None => KeyColumn::new(&source.array)?,
            });
        }
        Ok(Self { columns, before, rows })
    }

    /// How many rows from `at` and `other_at` on have the same keys, at most `limit`.
    pub(crate) fn equal_stretch(&self, at: usize, other: &Self, other_at: usize, limit: usize) -> usize {
        let mut length = limit.min(self.rows - at).min(other.rows - other_at);
        for (a, b) in self.columns.iter().zip(&other.columns) {
            if length == 0 {
                break;
            }
            length = a.equal_stretch(at, b, other_at, length);
        }
        length
    }

    /// How many rows from `at` on have strictly ascending keys, at most `limit`, at least one.
    pub(crate) fn ascending_stretch(&self, at: usize, limit: usize) -> usize {
        self.ascending(0, at, limit.min(self.rows - at), &mut Pairs::default())
    }

    /// The order of two rows.
    pub(crate) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.compare_from(0, row, other, other_row)
    }

    /// The order of two rows by their keys alone.
    pub(crate) fn compare_keys(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.compare_from(self.before, row, other, other_row)
    }

    fn compare_from(&self, column: usize, row: usize, other: &Self, other_row: usize) -> Ordering {
        let columns = self.columns.iter().zip(&other.columns).skip(column);
        columns.map(|(a, b)| a.compare(row, b, other_row)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Whether a part of a row's key is null.
    pub(crate) fn has_null(&self, row: usize) -> bool {
        self.columns.iter().any(|column| column.is_null(row))
    }

    /// Whether any key may have a null part.
    pub(crate) fn nullable(&self) -> bool {
        self.columns.iter().any(|column| column.nulls().is_some())
    }

    /// As [`Self::ascending_stretch`], by the columns from `column` on; those before are equal in all these rows.
    fn ascending(&self, column: usize, at: usize, length: usize, known: &mut Pairs) -> usize {
        let values = &self.columns[column];
        if column + 1 == self.columns.len() {
            return values.ascending(at, length, known);
        }
        let mut done = 0;
        while done + 1 < length {
            // Order values hardly ever tie.
            if column < self.before {
                done += values.ascending(at + done, length - done, known) - 1;
            }
            let tied = values.tied(at + done, length - done);
            let ascending = if tied > 1 { self.ascending(column + 1, at + done, tied, known) } else { 1 };
            if ascending < tied {
                return done + ascending;
            }
            done += tied;
            if done == length || values.compare(at + done - 1, values, at + done) != Ordering::Less {
                return done;
            }
        }
        length
    }
}

impl KeyColumn {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        macro_rules! long {
            ($type:ty) => {
                Self::Long(array.as_primitive::<$type>().values().clone(), some_nulls(array))
            };
        }
        Ok(match array.data_type() {
            DataType::Utf8View => {
                let views = array.as_string_view().clone();
                let inline = views.views().iter().fold(true, |all, view| all & (*view as u32 <= INLINE));
                Self::Text(views, inline)
            }
            DataType::Int64 => long!(Int64Type),
            DataType::Timestamp(TimeUnit::Second, _) => long!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => long!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => long!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => long!(TimestampNanosecondType),
            DataType::Date32 => {
                Self::Day(array.as_primitive::<Date32Type>().values().clone(), some_nulls(array))
            }
            other => {
                let converter = RowConverter::new(vec![SortField::new(other.clone())])?;
                Self::Bytes(converter.convert_columns(std::slice::from_ref(array))?, array.logical_nulls())
            }
        })
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Text(views, _) => views.nulls().filter(|n| n.null_count() > 0),
            Self::Coded(coded) => coded.nulls(),
            Self::Long(_, nulls) | Self::Day(_, nulls) | Self::Bytes(_, nulls) => nulls.as_ref(),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls().is_some_and(|nulls| nulls.is_null(row))
    }

    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self.is_null(row), other.is_null(other_row)) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (self, other) {
            (Self::Text(a, _), Self::Text(b, _)) => compare_texts(a, row, b, other_row),
            (Self::Coded(a), Self::Coded(b)) => a.compare(row, b, other_row),
            (Self::Coded(a), Self::Text(b, _)) => a.value(row).cmp(b.value(other_row)),
            (Self::Text(a, _), Self::Coded(b)) => a.value(row).cmp(b.value(other_row)),
            (Self::Long(a, _), Self::Long(b, _)) => a[row].cmp(&b[other_row]),
            (Self::Day(a, _), Self::Day(b, _)) => a[row].cmp(&b[other_row]),
            (Self::Bytes(a, _), Self::Bytes(b, _)) => a.row(row).data().cmp(b.row(other_row).data()),
            // Blocks are typed by one schema, so that the forms are the same.
            _ => Ordering::Less,
        }
    }

    fn equal_stretch(&self, at: usize, other: &Self, other_at: usize, length: usize) -> usize {
        if self.nulls().is_none() && other.nulls().is_none() {
            match (self, other) {
                (Self::Long(a, _), Self::Long(b, _)) => {
                    return same_values(&a[at..at + length], &b[other_at..other_at + length]);
                }
                (Self::Day(a, _), Self::Day(b, _)) => {
                    return same_values(&a[at..at + length], &b[other_at..other_at + length]);
                }
                (Self::Text(a, true), Self::Text(b, true)) => {
                    return same_values(&a.views()[at..at + length], &b.views()[other_at..other_at + length]);
                }
                (Self::Text(a, _), Self::Text(b, _)) => return same_texts(a, at, b, other_at, length),
                (Self::Coded(a), Self::Coded(b)) => return a.same_stretch(at, b, other_at, length),
                (Self::Coded(a), Self::Text(b, _)) => return same_texts(a, at, b, other_at, length),
                (Self::Text(a, _), Self::Coded(b)) => return same_texts(a, at, b, other_at, length),
                _ => {}
            }
        }
        (0..length)
            .position(|i| self.compare(at + i, other, other_at + i) != Ordering::Equal)
            .unwrap_or(length)
    }

    /// How many rows from `at` on have the same value as the first of them.
    fn tied(&self, at: usize, length: usize) -> usize {
        1 + self.equal_stretch_shifted(at, length - 1)
    }

    /// How many rows from `at` on have the value of the row behind them.
    fn equal_stretch_shifted(&self, at: usize, length: usize) -> usize {
        if self.nulls().is_none() {
            match self {
                Self::Long(a, _) => return same_values(&a[at..at + length], &a[at + 1..at + 1 + length]),
                Self::Day(a, _) => return same_values(&a[at..at + length], &a[at + 1..at + 1 + length]),
                Self::Text(a, inline) => {
                    // Equal views of one array are equal texts.
                    let (views, next) = (&a.views()[at..at + length], &a.views()[at + 1..at + 1 + length]);
                    let mut same = 0;
                    loop {
                        same += same_values(&views[same..], &next[same..]);
                        if *inline || same == length || a.value(at + same) != a.value(at + same + 1) {
                            return same;
                        }
                        same += 1;
                    }
                }
                Self::Coded(a) => return a.repeated(at, length),
                Self::Bytes(..) => {}
            }
        }
        (0..length).position(|i| self.compare(at + i, self, at + i + 1) != Ordering::Equal).unwrap_or(length)
    }

    /// How many rows from `at` on have strictly ascending values.
    fn ascending(&self, at: usize, length: usize, known: &mut Pairs) -> usize {
        let rising = |less: &dyn Fn(usize) -> bool| (1..length).find(|i| !less(at + i - 1)).unwrap_or(length);
        if self.nulls().is_none() {
            match self {
                Self::Long(a, _) => return rising_values(&a[at..at + length]),
                Self::Day(a, _) => return rising_values(&a[at..at + length]),
                Self::Text(a, true) => {
                    let views = &a.views()[at..at + length];
                    let mut last = StringViewArray::inline_key_fast(views[0]);
                    for (position, view) in views.iter().enumerate().skip(1) {
                        let key = StringViewArray::inline_key_fast(*view);
                        if key <= last {
                            return position;
                        }
                        last = key;
                    }
                    return length;
                }
                Self::Text(a, false) => return rising_texts(a, at, length, known),
                Self::Coded(a) => return a.ascending(at, length),
                Self::Bytes(..) => {}
            }
        }
        rising(&|i| self.compare(i, self, i + 1) == Ordering::Less)
    }
}

fn some_nulls(array: &ArrayRef) -> Option<NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0).cloned()
}

fn rising_values<T: PartialOrd>(values: &[T]) -> usize {
    let mut at = 0;
    while at + 1 < values.len() {
        let end = (at + CHUNK).min(values.len() - 1);
        let pairs = values[at..end].iter().zip(&values[at + 1..=end]);
        if !pairs.fold(true, |all, (a, b)| all & (a < b)) {
            return (at..end).find(|i| values[*i] >= values[*i + 1]).map_or(values.len(), |i| i + 1);
        }
        at = end;
    }
    values.len()
}

/// Texts whose views can be looked at.
trait Views {
    fn view(&self, row: usize) -> u128;
    fn text(&self, row: usize) -> &str;
}

impl Views for StringViewArray {
    fn view(&self, row: usize) -> u128 {
        self.views()[row]
    }

    fn text(&self, row: usize) -> &str {
        self.value(row)
    }
}

impl Views for Coded {
    fn view(&self, row: usize) -> u128 {
        Self::view(self, row)
    }

    fn text(&self, row: usize) -> &str {
        self.value(row)
    }
}

fn same_texts(a: &impl Views, at: usize, b: &impl Views, other_at: usize, length: usize) -> usize {
    let mut known = Pairs::default();
    for i in 0..length {
        let pair = (a.view(at + i), b.view(other_at + i));
        // Length and first four characters.
        if pair.0 as u64 != pair.1 as u64 {
            return i;
        }
        if pair.0 as u32 <= INLINE {
            if pair.0 != pair.1 {
                return i;
            }
        } else if !known.holds(pair) {
            if a.text(at + i) != b.text(other_at + i) {
                return i;
            }
            known.keep(pair);
        }
    }
    length
}

/// How many texts at the start of these rows ascend strictly.
fn rising_texts(texts: &StringViewArray, at: usize, length: usize, known: &mut Pairs) -> usize {
    let views = &texts.views()[at..at + length];
    for i in 1..length {
        let pair = (views[i - 1], views[i]);
        let less = match first_four(pair.0).cmp(&first_four(pair.1)) {
            Ordering::Equal => known.holds(pair) || texts.value(at + i - 1) < texts.value(at + i),
            order => order.is_lt(),
        };
        if !less {
            return i;
        }
        known.keep(pair);
    }
    length
}

/// Pairs of views of which something is known. Sorted rows repeat their texts: the services of a customer come again
/// every day, and a text that comes again is mostly the same view.
struct Pairs([(u128, u128); 256]);

impl Default for Pairs {
    /// No pair: there is no text of this length.
    fn default() -> Self {
        Self([(u128::MAX, u128::MAX); 256])
    }
}

impl Pairs {
    fn holds(&self, pair: (u128, u128)) -> bool {
        self.0[Self::slot(pair)] == pair
    }

    fn keep(&mut self, pair: (u128, u128)) {
        self.0[Self::slot(pair)] = pair;
    }

    /// By where the texts stand in their buffers.
    fn slot((a, b): (u128, u128)) -> usize {
        let mixed =
            ((a >> 96) as u32).wrapping_mul(0x9e37_79b9) ^ ((b >> 96) as u32).wrapping_mul(0x85eb_ca6b);
        (mixed >> 24) as usize
    }
}

/// The first four characters of a view, ordered as the text.
fn first_four(view: u128) -> u32 {
    ((view >> 32) as u32).swap_bytes()
}

fn compare_texts(a: &StringViewArray, row: usize, b: &StringViewArray, other_row: usize) -> Ordering {
    let (x, y) = (a.views()[row], b.views()[other_row]);
    match first_four(x).cmp(&first_four(y)) {
        Ordering::Equal => a.value(row).cmp(b.value(other_row)),
        order => order,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Float64Array;
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<String>, Option<i64>, Option<i8>);

    fn keys(rows: &[Row]) -> Keys {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| r.0.clone()).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.2.map(f64::from)).collect::<Float64Array>()),
        ];
        Keys::new(&columns, rows.len()).unwrap()
    }

    fn row() -> impl Strategy<Value = Row> {
        let text = prop::sample::select(vec![
            "",
            "a",
            "a\0",
            "ab",
            "a text of more than twelve",
            "a text of more than twelve bytes",
        ]);
        let text = prop_oneof![9 => text.prop_map(|t| Some(t.to_owned())), 1 => Just(None)];
        (text, prop::option::weighted(0.9, 0i64..3), prop::option::weighted(0.9, 0i8..3))
    }

    proptest! {
        #[test]
        fn stretches_are_those_of_a_loop(
            mut a in prop::collection::vec(row(), 1..150),
            b in prop::collection::vec(row(), 1..150),
            nulls in any::<bool>(),
            sorted in any::<bool>(),
            shared in 0usize..150,
        ) {
            if !nulls {
                a.iter_mut().for_each(|r| {
                    r.0.get_or_insert_default();
                    r.1.get_or_insert(1);
                    r.2.get_or_insert(1);
                });
            }
            if sorted {
                a.sort();
                if !nulls { a.dedup(); }
            }
            let mut b = b;
            let shared = shared.min(a.len());
            b.splice(0..shared.min(b.len()), a[..shared].iter().cloned());
            let (x, y) = (keys(&a), keys(&b));
            let same = a.iter().zip(&b).position(|(p, q)| p != q).unwrap_or(a.len().min(b.len()));
            prop_assert_eq!(x.equal_stretch(0, &y, 0, usize::MAX), same);
            let rising = a.windows(2).position(|p| p[0] >= p[1]).map_or(a.len(), |i| i + 1);
            prop_assert_eq!(x.ascending_stretch(0, usize::MAX), rising);
            prop_assert_eq!(x.compare(0, &y, 0), a[0].cmp(&b[0]));
            prop_assert_eq!(x.has_null(0), a[0].0.is_none() || a[0].1.is_none() || a[0].2.is_none());
        }
    }
}
