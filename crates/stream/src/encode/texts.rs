//! A column of texts: codes of a dictionary as long as that stays small, then the texts themselves.

use std::collections::HashMap;

use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray},
    datatypes::{DataType, Int32Type},
};
use dualrun_compare::is_same_memory;
use parquet::{data_type::ByteArray, file::statistics::Statistics};

use super::{chunk::Held, hybrid};

/// A dictionary that has grown beyond this is not added to any more.
const DICTIONARY_BYTES: usize = 1 << 20;
/// Words that are found again without a hash of them.
const RECENT: usize = 16;
/// The code of a text that was not met yet.
const UNKNOWN: u32 = u32::MAX;

pub(super) struct Texts {
    /// None where texts hardly repeat.
    dictionary: Option<Dictionary>,
    /// The codes of the page, while there is room in the dictionary.
    codes: Vec<u32>,
    /// The texts of the page behind their lengths, afterwards.
    plain: Vec<u8>,
    is_full: bool,
    /// The smallest and the largest of the texts that are not in the dictionary, where they are asked for.
    range: Option<(String, String)>,
    has_range: bool,
}

#[derive(Default)]
struct Dictionary {
    known: HashMap<Box<str>, u32>,
    page: Vec<u8>,
    /// The dictionary of the arrays that came last, and its codes in this one.
    last: Option<(StringArray, Vec<u32>)>,
    /// Few words often come in turns: by their length and last byte the one that came last, and its code.
    recent: [Option<(Box<str>, u32)>; RECENT],
}

impl Texts {
    pub(super) fn new(has_dictionary: bool, has_range: bool) -> Self {
        Self {
            dictionary: has_dictionary.then(Dictionary::default),
            codes: Vec::new(),
            plain: Vec::new(),
            is_full: !has_dictionary,
            range: None,
            has_range,
        }
    }

    /// Adds rows that are not null; `false` where they are no texts.
    pub(super) fn append(&mut self, array: &ArrayRef, start: usize, end: usize) -> bool {
        match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                for row in start..end {
                    self.push(texts.value(row));
                }
            }
            DataType::Dictionary(..) => {
                let Some(coded) = array.as_dictionary_opt::<Int32Type>() else { return false };
                let Some(texts) = coded.values().as_string_opt::<i32>() else { return false };
                let codes = &coded.keys().values()[start..end];
                match &mut self.dictionary {
                    Some(dictionary) if !self.is_full => dictionary.translate(codes, texts, &mut self.codes),
                    _ => codes.iter().for_each(|code| self.push(texts.value(code.cast_unsigned() as usize))),
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.plain.len() + self.codes.len()
    }

    /// Ends a page.
    pub(super) fn cut(&mut self, body: &mut Vec<u8>) -> Held {
        let Some(dictionary) = self.dictionary.as_ref().filter(|_| !self.is_full) else {
            body.extend_from_slice(&self.plain);
            self.plain.clear();
            return Held::Plain;
        };
        // A dictionary of less than a megabyte has fewer than 2^32 texts.
        let width = hybrid::width((dictionary.known.len() as u32).saturating_sub(1)).max(1);
        body.push(width);
        hybrid::encode(&self.codes, width, body);
        self.codes.clear();
        self.is_full = dictionary.page.len() > DICTIONARY_BYTES;
        Held::Codes
    }

    /// The texts of the dictionary behind their lengths, and how many there are.
    pub(super) fn dictionary(self) -> Option<(Vec<u8>, usize)> {
        self.dictionary.map(|dictionary| (dictionary.page, dictionary.known.len()))
    }

    pub(super) fn statistics(&self, nulls: Option<u64>) -> Statistics {
        let coded = self.dictionary.iter().flat_map(|dictionary| dictionary.known.keys().map(AsRef::as_ref));
        let plain = self.range.iter().flat_map(|(min, max)| [min.as_str(), max]);
        let (mut min, mut max): (Option<&str>, Option<&str>) = (None, None);
        for text in coded.chain(plain) {
            min = Some(min.map_or(text, |known| known.min(text)));
            max = Some(max.map_or(text, |known| known.max(text)));
        }
        Statistics::byte_array(min.map(ByteArray::from), max.map(ByteArray::from), None, nulls, false)
    }

    fn push(&mut self, text: &str) {
        if let Some(dictionary) = self.dictionary.as_mut().filter(|_| !self.is_full) {
            self.codes.push(dictionary.code(text));
            return;
        }
        put(text, &mut self.plain);
        if !self.has_range {
            return;
        }
        match &mut self.range {
            Some((min, _)) if text < min.as_str() => text.clone_into(min),
            Some((_, max)) if text > max.as_str() => text.clone_into(max),
            Some(_) => {}
            None => self.range = Some((text.to_owned(), text.to_owned())),
        }
    }
}

impl Dictionary {
    fn code(&mut self, text: &str) -> u32 {
        let slot = (text.len() + usize::from(text.as_bytes().last().copied().unwrap_or(0))) % RECENT;
        if let Some((recent, code)) = &self.recent[slot]
            && **recent == *text
        {
            return *code;
        }
        let code = match self.known.get(text) {
            Some(code) => *code,
            None => {
                let code = self.known.len() as u32;
                self.known.insert(text.into(), code);
                put(text, &mut self.page);
                code
            }
        };
        // Texts that hardly repeat are not copied into a slot that another one takes at once.
        if self.known.len() <= RECENT {
            self.recent[slot] = Some((text.into(), code));
        }
        code
    }

    fn translate(&mut self, codes: &[i32], texts: &StringArray, out: &mut Vec<u32>) {
        let known = self.last.take().filter(|(known, _)| is_same_memory(known, texts));
        let (known, mut own) = known.unwrap_or_else(|| (texts.clone(), vec![UNKNOWN; texts.len()]));
        let mut translated = |code: i32| {
            let place = code.cast_unsigned() as usize;
            if own[place] == UNKNOWN {
                own[place] = self.code(texts.value(place));
            }
            own[place]
        };
        for chunk in codes.chunks(64) {
            // Words that are said of all rows, and the first columns of a sorted key, hardly change.
            if chunk.iter().fold(true, |same, code| same & (*code == chunk[0])) {
                let code = translated(chunk[0]);
                out.resize(out.len() + chunk.len(), code);
            } else {
                out.extend(chunk.iter().map(|code| translated(*code)));
            }
        }
        self.last = Some((known, own));
    }
}

/// A text as Parquet holds it: its length, then its bytes. Arrow's texts of 32-bit offsets are shorter than 2^31.
fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
