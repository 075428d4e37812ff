//! The words that the stored differences say of rows and cells, as texts or as codes of one dictionary.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray, StringBuilder},
    buffer::OffsetBuffer,
};
use dualrun_core::Verdict;

/// What is said of a row whose key both sides have.
const PAIRED: &str = "paired";
const VERDICTS: [Verdict; 5] =
    [Verdict::Equal, Verdict::WithinTolerance, Verdict::Explained, Verdict::Pending, Verdict::Unexplained];

/// Makes columns of words.
pub(super) struct Words {
    /// The verdicts in the order of [`VERDICTS`], then [`PAIRED`]; none where texts are wanted.
    dictionary: Option<ArrayRef>,
    /// By code: one word many times.
    repeated: [Option<ArrayRef>; VERDICTS.len() + 1],
}

impl Words {
    pub(super) fn new(codes: bool) -> Self {
        let words = VERDICTS.iter().map(|verdict| verdict.as_str()).chain([PAIRED]);
        let dictionary = codes.then(|| Arc::new(StringArray::from_iter_values(words)) as ArrayRef);
        Self { dictionary, repeated: Default::default() }
    }

    /// Whether the columns are codes.
    pub(super) fn are_codes(&self) -> bool {
        self.dictionary.is_some()
    }

    pub(super) fn paired(&mut self, count: usize) -> ArrayRef {
        self.repeated(VERDICTS.len(), PAIRED, count)
    }

    /// One verdict for all.
    pub(super) fn verdict(&mut self, verdict: Verdict, count: usize) -> ArrayRef {
        self.repeated(code(verdict), verdict.as_str(), count)
    }

    pub(super) fn verdicts(
        &mut self,
        cells: impl Iterator<Item = Option<Verdict>> + Clone,
        count: usize,
    ) -> ArrayRef {
        let mut rest = cells.clone();
        let all = rest.next().flatten().filter(|first| rest.all(|verdict| verdict == Some(*first)));
        if let Some(all) = all {
            return self.verdict(all, count);
        }
        match &self.dictionary {
            Some(dictionary) => coded(dictionary, cells.map(|cell| cell.map(|v| code(v) as i32)).collect()),
            None => {
                let mut builder = StringBuilder::new();
                cells.for_each(|cell| builder.append_option(cell.map(Verdict::as_str)));
                Arc::new(builder.finish())
            }
        }
    }

    fn repeated(&mut self, code: usize, word: &str, count: usize) -> ArrayRef {
        let known = self.repeated[code].take().filter(|array| array.len() >= count);
        let array = known.unwrap_or_else(|| match &self.dictionary {
            Some(dictionary) => coded(dictionary, vec![code as i32; count].into()),
            None => Arc::new(repeated(word, count)),
        });
        let wanted = array.slice(0, count);
        self.repeated[code] = Some(array);
        wanted
    }
}

/// The place among [`VERDICTS`].
fn code(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Equal => 0,
        Verdict::WithinTolerance => 1,
        Verdict::Explained => 2,
        Verdict::Pending => 3,
        Verdict::Unexplained => 4,
    }
}

fn coded(dictionary: &ArrayRef, codes: Int32Array) -> ArrayRef {
    Arc::new(DictionaryArray::new(codes, Arc::clone(dictionary)))
}

fn repeated(text: &str, count: usize) -> StringArray {
    let offsets = OffsetBuffer::from_repeated_length(text.len(), count);
    StringArray::new(offsets, text.as_bytes().repeat(count).into(), None)
}

#[cfg(test)]
mod tests {
    use arrow::{compute::cast, datatypes::DataType};

    use super::*;

    #[test]
    fn codes_and_texts_say_the_same() {
        let (mut texts, mut codes) = (Words::new(false), Words::new(true));
        let some = [Some(Verdict::Pending), None, Some(Verdict::Unexplained)];
        let same = VERDICTS.map(|verdict| [Some(verdict); 3]);
        for cells in same.iter().chain([&some, &[None; 3]]) {
            let (a, b) = (texts.verdicts(cells.iter().copied(), 3), codes.verdicts(cells.iter().copied(), 3));
            assert_eq!(&a, &cast(&b, &DataType::Utf8).unwrap());
        }
        assert_eq!(&texts.paired(2), &cast(&codes.paired(2), &DataType::Utf8).unwrap());
    }
}
