//! Columns of texts on their way into a table: words that repeat as codes, figures with each 0 once.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray},
    buffer::{Buffer, NullBuffer, OffsetBuffer},
    compute::take,
    error::ArrowError,
};

use super::Shown;

/// The code of no text.
const NULL: i32 = -1;

/// Few words that come again and again.
#[derive(Debug, Default)]
pub(super) struct Words {
    codes: Vec<i32>,
    words: Vec<Box<str>>,
    /// The words as an array: the same one as long as no word comes that is new, so that readers know its codes.
    array: Option<ArrayRef>,
}

impl Words {
    pub(super) fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(NULL, |text| self.code(text));
        self.codes.push(code);
    }

    /// The rows so far, each as often as `repeats` says where it is given. `Dictionary(Int32, Utf8)` where codes are wanted.
    pub(super) fn finish(&mut self, repeats: Option<&[u32]>, codes: bool) -> Result<ArrayRef, ArrowError> {
        let rows = std::mem::take(&mut self.codes);
        let rows = match repeats {
            Some(repeats) => repeated(&rows, |code| *code, repeats),
            None => rows,
        };
        let array = self.array.get_or_insert_with(|| {
            Arc::new(StringArray::from_iter_values(self.words.iter().map(AsRef::as_ref)))
        });
        coded(rows, Arc::clone(array), codes)
    }

    fn code(&mut self, text: &str) -> i32 {
        // A verdict is mostly that of the row before, a column mostly the one behind that of the row before.
        let last = self.codes.last().map_or(0, |last| usize::try_from(*last).unwrap_or(0));
        let is = |at: &usize| self.words.get(*at).is_some_and(|word| **word == *text);
        let guess = [last, last + 1, 0].into_iter().find(is);
        let known = guess.or_else(|| self.words.iter().position(|word| **word == *text));
        let code = known.unwrap_or_else(|| {
            self.words.push(text.into());
            self.array = None;
            self.words.len() - 1
        });
        // There are no more words than columns of a table.
        code as i32
    }
}

/// Figures, most of them 0 or most of them different.
#[derive(Debug, Default)]
pub(super) struct Figures {
    codes: Vec<i32>,
    texts: String,
    ends: Vec<usize>,
    zero: Option<i32>,
    has_null: bool,
}

impl Figures {
    pub(super) fn push(&mut self, figure: Option<&Shown<'_>>) {
        let code = match figure {
            None => {
                self.has_null = true;
                NULL
            }
            Some(figure) => {
                let is_zero = figure.is_zero();
                match self.zero.filter(|_| is_zero) {
                    Some(zero) => zero,
                    None => {
                        // Rows are handed over by a few thousand.
                        let code = self.ends.len() as i32;
                        figure.write(&mut self.texts);
                        self.ends.push(self.texts.len());
                        if is_zero {
                            self.zero = Some(code);
                        }
                        code
                    }
                }
            }
        };
        self.codes.push(code);
    }

    /// Takes the figure that another column was given last: to write a float as text is dear.
    pub(super) fn push_like(&mut self, other: &Self) {
        let code = other.codes.last().and_then(|code| usize::try_from(*code).ok());
        let text = code.and_then(|code| {
            let start = code.checked_sub(1).map_or(0, |before| other.ends[before]);
            other.texts.get(start..*other.ends.get(code)?)
        });
        self.push(text.map(Shown::Text).as_ref());
    }

    /// The rows so far; codes where they are wanted and texts repeat.
    pub(super) fn finish(&mut self, codes: bool) -> Result<ArrayRef, ArrowError> {
        let done = std::mem::take(self);
        let starts = std::iter::once(&0).chain(&done.ends);
        let lengths = starts.zip(&done.ends).map(|(start, end)| end - start);
        let offsets = OffsetBuffer::from_lengths(lengths);
        let texts = StringArray::try_new(offsets, Buffer::from(done.texts.into_bytes()), None)?;
        if texts.len() == done.codes.len() && !done.has_null {
            return Ok(Arc::new(texts));
        }
        coded(done.codes, Arc::new(texts), codes)
    }
}

/// A value of each entry, as often as `repeats` says.
pub(super) fn repeated<T, V: Copy>(entries: &[T], value: impl Fn(&T) -> V, repeats: &[u32]) -> Vec<V> {
    let mut rows = Vec::with_capacity(repeats.iter().map(|count| *count as usize).sum());
    for (entry, count) in entries.iter().zip(repeats) {
        let value = value(entry);
        for _ in 0..*count {
            rows.push(value);
        }
    }
    rows
}

fn coded(codes: Vec<i32>, texts: ArrayRef, as_codes: bool) -> Result<ArrayRef, ArrowError> {
    let nulls = codes.contains(&NULL).then(|| codes.iter().map(|code| *code != NULL).collect::<NullBuffer>());
    let codes = match &nulls {
        // What stands below a null is not looked at, but has to be a code.
        Some(_) => codes.into_iter().map(|code| code.max(0)).collect(),
        None => codes,
    };
    let codes = Int32Array::try_new(codes.into(), nulls)?;
    if as_codes { Ok(Arc::new(DictionaryArray::try_new(codes, texts)?)) } else { take(&texts, &codes, None) }
}

#[cfg(test)]
mod tests {
    use arrow::{compute::cast, datatypes::DataType};

    use super::*;

    fn texts(array: &ArrayRef) -> Vec<Option<String>> {
        let array = cast(array, &DataType::Utf8).unwrap();
        let array = array.as_any().downcast_ref::<StringArray>().unwrap();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn words_come_as_they_were_given() {
        for codes in [false, true] {
            let mut words = Words::default();
            let given = [Some("a"), Some("b"), None, Some("b"), Some("c"), Some("a")];
            for _ in 0..2 {
                given.iter().for_each(|word| words.push(*word));
                let found = words.finish(None, codes).unwrap();
                assert_eq!(found.data_type() == &DataType::Utf8, !codes);
                assert_eq!(texts(&found), given.map(|word| word.map(str::to_owned)));
            }
            [Some("c"), None].iter().for_each(|word| words.push(*word));
            let found = texts(&words.finish(Some(&[2, 1]), codes).unwrap());
            assert_eq!(found, [Some("c".to_owned()), Some("c".to_owned()), None]);
            words.push(None);
            assert_eq!(texts(&words.finish(None, codes).unwrap()), [None]);
        }
    }

    #[test]
    fn a_word_that_was_never_met_is_no_word() {
        for codes in [false, true] {
            let mut words = Words::default();
            words.push(None);
            assert_eq!(texts(&words.finish(None, codes).unwrap()), [None]);
        }
    }

    #[test]
    fn figures_come_as_they_were_given() {
        let given = [Shown::Float(0.5), Shown::Float(-0.0), Shown::Text("0"), Shown::Whole("17".to_owned())];
        let wanted = ["0.5", "0", "0", "17"].map(|text| Some(text.to_owned()));
        for codes in [false, true] {
            let mut figures = Figures::default();
            for _ in 0..2 {
                given.iter().for_each(|figure| figures.push(Some(figure)));
                let mut like = Figures::default();
                like.push(Some(&given[0]));
                like.push_like(&figures);
                assert_eq!(texts(&like.finish(codes).unwrap()), [wanted[0].clone(), wanted[3].clone()]);
                assert_eq!(texts(&figures.finish(codes).unwrap()), wanted);
            }
            figures.push(Some(&given[0]));
            figures.push(None);
            assert_eq!(texts(&figures.finish(codes).unwrap()), [wanted[0].clone(), None]);
            figures.push(None);
            assert_eq!(texts(&figures.finish(codes).unwrap()), [None]);
        }
    }
}
