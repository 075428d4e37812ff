//! Texts as codes of a dictionary, which is what Parquet files hold where texts repeat. Rows are compared by their codes;
//! the texts behind them are looked at once a dictionary.

use std::{
    cmp::Ordering,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int32Array, StringArray, StringViewArray},
    buffer::{NullBuffer, ScalarBuffer},
    compute::cast,
    datatypes::{DataType, Int32Type},
    error::ArrowError,
};

/// A dictionary that is not in order is put in order only up to this many texts: beyond, comparing views costs less.
const SORTED_TEXTS: usize = 1 << 14;
/// The code of a text that the other dictionary does not have; no dictionary has so many texts.
const NOWHERE: u32 = u32::MAX;

/// A column of a batch.
#[derive(Debug)]
pub(crate) struct Source {
    /// Texts as views, or as a dictionary where they are coded; other types as in the common schema.
    pub(crate) array: ArrayRef,
    pub(crate) coded: Option<Coded>,
}

/// The codes of one batch of a column.
#[derive(Debug, Clone)]
pub(crate) struct Coded {
    codes: ScalarBuffer<i32>,
    nulls: Option<NullBuffer>,
    dictionary: Arc<Dictionary>,
}

/// Texts that differ from each other, shared by the batches of a row group.
#[derive(Debug)]
pub(crate) struct Dictionary {
    texts: StringArray,
    /// The codes in the order of their texts; none where codes ascend with their texts.
    order: Option<Order>,
    views: OnceLock<StringViewArray>,
    /// What the codes are in the dictionary that was asked for last.
    translated: Mutex<Option<(Weak<Dictionary>, Arc<Translation>)>>,
}

#[derive(Debug)]
struct Order {
    codes: Vec<u32>,
    /// By code its place in that order.
    ranks: Vec<u32>,
}

/// The codes of one dictionary in another.
#[derive(Debug)]
pub(crate) enum Translation {
    /// A code means the same in both.
    Same,
    /// By code.
    Codes(Vec<u32>),
}

/// The dictionary that a column of a relation had last; batches of a row group come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Last(Option<(StringArray, Option<Arc<Dictionary>>)>);

/// Whether texts of this type may come as codes.
pub(crate) fn is_coded(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(key, value)
        if **key == DataType::Int32 && **value == DataType::Utf8)
}

impl Source {
    /// Codes stay codes where comparing these is worth while, and become views otherwise.
    ///
    /// # Errors
    /// Arrow's own.
    pub(crate) fn new(array: ArrayRef, last: &mut Last) -> Result<Self, ArrowError> {
        if !is_coded(array.data_type()) {
            return Ok(Self { array, coded: None });
        }
        let dictionary = array.as_dictionary::<Int32Type>();
        let (keys, known): (&Int32Array, _) = (dictionary.keys(), last.dictionary(dictionary.values()));
        let coded = known.map(|dictionary| {
            let nulls = keys.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
            Coded { codes: keys.values().clone(), nulls, dictionary }
        });
        let array = if coded.is_some() { array } else { cast(&array, &DataType::Utf8View)? };
        Ok(Self { array, coded })
    }

    /// The array in which values of several batches can stand side by side, and where in it that of a row stands; none
    /// where it is null.
    pub(crate) fn shared(&self) -> (&dyn Array, impl Fn(usize) -> Option<usize>) {
        let array: &dyn Array = match &self.coded {
            Some(coded) => coded.dictionary.views(),
            None => &self.array,
        };
        let place = |row| match &self.coded {
            Some(coded) if coded.is_null(row) => None,
            Some(coded) => Some(coded.code(row)),
            None => Some(row),
        };
        (array, place)
    }

    /// The value of a row as an array of one, texts as views.
    ///
    /// # Errors
    /// Arrow's own.
    pub(crate) fn one(&self, row: usize) -> Result<ArrayRef, ArrowError> {
        let one = self.array.slice(row, 1);
        if self.coded.is_some() { cast(&one, &DataType::Utf8View) } else { Ok(one) }
    }
}

impl Last {
    fn dictionary(&mut self, values: &ArrayRef) -> Option<Arc<Dictionary>> {
        let texts = values.as_string_opt::<i32>()?;
        if let Some((known, dictionary)) = &self.0
            && is_same_memory(known, texts)
        {
            return dictionary.clone();
        }
        let dictionary = Dictionary::new(texts.clone()).map(Arc::new);
        self.0 = Some((texts.clone(), dictionary.clone()));
        dictionary
    }
}

impl Coded {
    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The text of a row that is not null.
    pub(crate) fn value(&self, row: usize) -> &str {
        self.dictionary.text(self.code(row))
    }

    /// The view of a row's text that is not null.
    pub(crate) fn view(&self, row: usize) -> u128 {
        self.dictionary.views().views()[self.code(row)]
    }

    /// The order of two rows that are not null.
    pub(crate) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        if Arc::ptr_eq(&self.dictionary, &other.dictionary) {
            return self.dictionary.rank(self.code(row)).cmp(&self.dictionary.rank(other.code(other_row)));
        }
        self.value(row).cmp(other.value(other_row))
    }

    /// How many rows from `at` and `other_at` on have the same texts, at most `length`. Neither side has nulls.
    pub(crate) fn same_stretch(&self, at: usize, other: &Self, other_at: usize, length: usize) -> usize {
        let (a, b) = (&self.codes[at..at + length], &other.codes[other_at..other_at + length]);
        match &*self.dictionary.translated_to(&other.dictionary) {
            Translation::Same => same_values(a, b),
            Translation::Codes(codes) => same_translated(a, b, codes),
        }
    }

    /// How many rows from `at` on, at most `length`, have the text of the row behind them. There are no nulls.
    pub(crate) fn repeated(&self, at: usize, length: usize) -> usize {
        same_values(&self.codes[at..at + length], &self.codes[at + 1..at + 1 + length])
    }

    /// How many rows from `at` on, at most `length`, have strictly ascending texts. There are no nulls.
    pub(crate) fn ascending(&self, at: usize, length: usize) -> usize {
        let codes = &self.codes[at..at + length];
        let falls = match &self.dictionary.order {
            None => codes.windows(2).position(|pair| pair[0] >= pair[1]),
            Some(order) => {
                let rank = |code: i32| order.ranks[code.cast_unsigned() as usize];
                codes.windows(2).position(|pair| rank(pair[0]) >= rank(pair[1]))
            }
        };
        falls.map_or(length, |last| last + 1)
    }

    fn code(&self, row: usize) -> usize {
        self.codes[row].cast_unsigned() as usize
    }
}

impl Dictionary {
    /// None where the texts repeat, or where they are too many to be put in order.
    fn new(texts: StringArray) -> Option<Self> {
        if texts.null_count() > 0 {
            return None;
        }
        let ascends = (1..texts.len()).all(|i| texts.value(i - 1) < texts.value(i));
        let order = if ascends {
            None
        } else {
            let count = u32::try_from(texts.len()).ok().filter(|_| texts.len() <= SORTED_TEXTS)?;
            let text = |code: u32| texts.value(code as usize);
            let mut codes: Vec<u32> = (0..count).collect();
            codes.sort_unstable_by(|a, b| text(*a).cmp(text(*b)));
            if codes.windows(2).any(|pair| text(pair[0]) == text(pair[1])) {
                return None;
            }
            let mut ranks = vec![0; texts.len()];
            for (rank, code) in (0..).zip(&codes) {
                ranks[*code as usize] = rank;
            }
            Some(Order { codes, ranks })
        };
        Some(Self { texts, order, views: OnceLock::new(), translated: Mutex::default() })
    }

    /// All texts by their code.
    fn views(&self) -> &StringViewArray {
        self.views.get_or_init(|| StringViewArray::from(&self.texts))
    }

    fn text(&self, code: usize) -> &str {
        self.texts.value(code)
    }

    fn rank(&self, code: usize) -> usize {
        self.order.as_ref().map_or(code, |order| order.ranks[code] as usize)
    }

    /// The code of the text at a place in the order of the texts.
    fn at_rank(&self, rank: usize) -> usize {
        self.order.as_ref().map_or(rank, |order| order.codes[rank] as usize)
    }

    fn translated_to(&self, other: &Arc<Self>) -> Arc<Translation> {
        let mut known = self.translated.lock().unwrap_or_else(PoisonError::into_inner);
        // As long as the weak pointer stands, no other dictionary can have this address.
        if let Some((to, translation)) = &*known
            && std::ptr::eq(to.as_ptr(), Arc::as_ptr(other))
        {
            return Arc::clone(translation);
        }
        let translation = Arc::new(self.translate(other));
        *known = Some((Arc::downgrade(other), Arc::clone(&translation)));
        translation
    }

    fn translate(&self, other: &Self) -> Translation {
        if std::ptr::eq(self, other) || self.texts == other.texts {
            return Translation::Same;
        }
        let mut codes = vec![NOWHERE; self.texts.len()];
        let (mut a, mut b) = (0, 0);
        while a < self.texts.len() && b < other.texts.len() {
            let (here, there) = (self.at_rank(a), other.at_rank(b));
            let order = self.text(here).cmp(other.text(there));
            if order.is_eq() {
                // A code is an i32 that is not negative.
                codes[here] = there as u32;
            }
            a += usize::from(order.is_le());
            b += usize::from(order.is_ge());
        }
        Translation::Codes(codes)
    }
}

/// Whether both arrays are the same piece of memory.
pub fn is_same_memory(a: &StringArray, b: &StringArray) -> bool {
    a.offsets().inner().ptr_eq(b.offsets().inner())
        && a.values().as_ptr() == b.values().as_ptr()
        && a.null_count() == b.null_count()
}

/// Values that are compared at once.
pub(crate) const CHUNK: usize = 64;

/// How many values at the start of both slices are the same.
pub(crate) fn same_values<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut at = 0;
    while at < a.len() {
        let end = (at + CHUNK).min(a.len());
        if a[at..end] != b[at..end] {
            return (at..end).find(|i| a[*i] != b[*i]).unwrap_or(end);
        }
        at = end;
    }
    at
}

fn same_translated(a: &[i32], b: &[i32], codes: &[u32]) -> usize {
    let is_same = |(a, b): (&i32, &i32)| codes[a.cast_unsigned() as usize] == b.cast_unsigned();
    let mut at = 0;
    for (x, y) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
        if !x.iter().zip(y).fold(true, |same, pair| same & is_same(pair)) {
            return at + x.iter().zip(y).position(|pair| !is_same(pair)).unwrap_or(x.len());
        }
        at += x.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use arrow::array::DictionaryArray;
    use proptest::prelude::*;

    use super::*;

    fn source(texts: &[&str], codes: &[i32]) -> Source {
        let values: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let array: ArrayRef = Arc::new(DictionaryArray::new(Int32Array::from(codes.to_vec()), values));
        Source::new(array, &mut Last::default()).unwrap()
    }

    fn coded(texts: &[&str], codes: &[i32]) -> Coded {
        source(texts, codes).coded.unwrap()
    }

    #[test]
    fn codes_of_other_dictionaries_are_compared_by_their_texts() {
        let a = coded(&["b", "a", "c"], &[1, 0, 2, 0]);
        let b = coded(&["a", "b", "d"], &[0, 1, 2, 1]);
        assert_eq!(a.same_stretch(0, &b, 0, 4), 2);
        assert_eq!(a.same_stretch(3, &b, 3, 1), 1);
        assert_eq!(a.ascending(0, 4), 3);
        assert_eq!(b.ascending(0, 4), 3);
        assert_eq!(a.compare(2, &b, 2), Ordering::Less);
        assert_eq!(a.compare(0, &a, 1), Ordering::Less);
    }

    #[test]
    fn texts_that_stand_twice_come_as_views() {
        let views = source(&["b", "a", "b"], &[0, 2]);
        assert!(views.coded.is_none());
        assert_eq!(views.array.as_string_view().value(1), "b");
    }

    #[test]
    fn batches_of_a_row_group_share_a_dictionary() {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let batch = |codes: Vec<i32>| -> ArrayRef {
            Arc::new(DictionaryArray::new(Int32Array::from(codes), Arc::clone(&values)))
        };
        let mut last = Last::default();
        let first = Source::new(batch(vec![0]), &mut last).unwrap().coded.unwrap();
        let second = Source::new(batch(vec![1]), &mut last).unwrap().coded.unwrap();
        assert!(Arc::ptr_eq(&first.dictionary, &second.dictionary));
        let other = coded(&["x", "y"], &[0]);
        assert!(!Arc::ptr_eq(&first.dictionary, &other.dictionary));
        assert_eq!(first.same_stretch(0, &other, 0, 1), 1);
    }

    proptest! {
        #[test]
        fn codes_compare_as_their_texts(
            names in prop::collection::btree_set("[a-c]{0,3}", 1..9),
            others in prop::collection::btree_set("[a-c]{0,3}", 1..9),
            rows in prop::collection::vec((0usize..9, 0usize..9), 1..200),
            seed in any::<u64>(),
        ) {
            let shuffled = |names: &std::collections::BTreeSet<String>, by: u64| {
                let mut names: Vec<String> = names.iter().cloned().collect();
                names.sort_by_key(|name| xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), by));
                names
            };
            let (names, others) = (shuffled(&names, seed), shuffled(&others, seed ^ 1));
            let side = |names: &[String], pick: &dyn Fn(&(usize, usize)) -> usize| {
                let texts: Vec<&str> = names.iter().map(String::as_str).collect();
                let codes: Vec<i32> = rows.iter().map(|row| (pick(row) % names.len()) as i32).collect();
                (coded(&texts, &codes), codes.iter().map(|c| names[*c as usize].clone()).collect::<Vec<_>>())
            };
            let ((a, x), (b, y)) = (side(&names, &|row| row.0), side(&others, &|row| row.1));
            let same = x.iter().zip(&y).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(a.same_stretch(0, &b, 0, rows.len()), same);
            let rising = 1 + x.windows(2).take_while(|pair| pair[0] < pair[1]).count();
            prop_assert_eq!(a.ascending(0, rows.len()), rising);
            let repeated = x.windows(2).take_while(|pair| pair[0] == pair[1]).count();
            prop_assert_eq!(a.repeated(0, rows.len() - 1), repeated);
            for row in 0..rows.len() {
                prop_assert_eq!(a.compare(row, &b, row), x[row].cmp(&y[row]));
                prop_assert_eq!(a.value(row), &x[row]);
            }
        }
    }
}
