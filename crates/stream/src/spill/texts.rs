//! Texts of rows that are partitioned: a number stands for each text that comes again.
//!
//! A column of texts has a dictionary that all threads and both sides share, as long as its texts repeat and its share of
//! the memory suffices. The other texts travel with the rows.

use std::sync::{
    RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arrow::{
    array::{Array, StringViewArray, StringViewBuilder},
    buffer::Buffer,
};
use dualrun_compare::{NULL_HASH, text_hash};

use super::poisoned;

/// Marks the place of a text that travels with the row; smaller numbers stand in the dictionary.
pub(super) const TRAVELS: u32 = 1 << 31;
/// Texts up to this length stand in their view.
const INLINE: u32 = 12;
/// Texts that a thread remembers of a column. A power of two.
const REMEMBERED: usize = 2048;
/// So often more than found a thread asks for texts that a full dictionary lacks.
const PATIENCE: u32 = 4096;
/// What a dictionary needs for a text beside its bytes.
const ENTRY_BYTES: u64 = 16 + 8 + 8;
/// Bytes of texts that are allocated at once.
const BLOCK_BYTES: u32 = 64 << 10;

/// The texts of a column.
#[derive(Debug)]
pub(super) struct Dictionary {
    texts: RwLock<Texts>,
    /// Takes no further texts.
    full: AtomicBool,
}

#[derive(Debug)]
struct Texts {
    texts: StringViewBuilder,
    hashes: Vec<u64>,
    /// Numbers of texts by their hashes; a power of two of them.
    slots: Vec<u32>,
}

/// Memory that dictionaries share.
#[derive(Debug)]
pub(super) struct Room(AtomicU64);

impl Room {
    pub(super) fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

const EMPTY: u32 = u32::MAX;

impl Dictionary {
    /// `repeats`: whether it is worth to have one.
    pub(super) fn new(repeats: bool) -> Self {
        let texts = StringViewBuilder::new().with_fixed_block_size(BLOCK_BYTES);
        let texts = Texts { texts, hashes: Vec::new(), slots: vec![EMPTY; 64] };
        Self { texts: RwLock::new(texts), full: AtomicBool::new(!repeats) }
    }

    /// All texts, by their numbers.
    pub(super) fn into_array(self) -> StringViewArray {
        poisoned(self.texts.into_inner()).texts.finish()
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn find(&self, text: &[u8], hash: u64) -> Option<u32> {
        poisoned(self.texts.read()).find(text, hash).ok()
    }

    fn find_or_add(&self, text: &str, hash: u64, room: &Room) -> Option<u32> {
        if let Some(number) = self.find(text.as_bytes(), hash) {
            return Some(number);
        }
        if self.is_full() {
            return None;
        }
        let mut texts = poisoned(self.texts.write());
        // Another thread may have been faster.
        match texts.find(text.as_bytes(), hash) {
            Ok(number) => Some(number),
            Err(slot) if text.len() < BLOCK_BYTES as usize && room.take(text.len() as u64 + ENTRY_BYTES) => {
                texts.add(text, hash, slot)
            }
            Err(_) => {
                self.full.store(true, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Texts {
    /// The number of a text, or the slot for it.
    fn find(&self, text: &[u8], hash: u64) -> Result<u32, usize> {
        let last = self.slots.len() - 1;
        let mut slot = hash as usize & last;
        loop {
            let number = self.slots[slot];
            if number == EMPTY {
                return Err(slot);
            }
            if self.hashes[number as usize] == hash && self.texts.get_value(number as usize) == text {
                return Ok(number);
            }
            slot = (slot + 1) & last;
        }
    }

    fn add(&mut self, text: &str, hash: u64, slot: usize) -> Option<u32> {
        let number = u32::try_from(self.hashes.len()).ok().filter(|number| *number < TRAVELS)?;
        self.texts.append_value(text);
        self.hashes.push(hash);
        self.slots[slot] = number;
        if self.hashes.len() * 2 > self.slots.len() {
            let last = self.slots.len() * 2 - 1;
            let mut slots = vec![EMPTY; last + 1];
            for (number, hash) in (0..).zip(&self.hashes) {
                let mut slot = *hash as usize & last;
                while slots[slot] != EMPTY {
                    slot = (slot + 1) & last;
                }
                slots[slot] = number;
            }
            self.slots = slots;
        }
        Some(number)
    }
}

/// Turns the texts of a column into numbers, on one thread.
#[derive(Debug)]
pub(super) struct Numbering<'a> {
    dictionary: &'a Dictionary,
    room: &'a Room,
    remembered: Vec<Remembered>,
    /// Views of one generation mean the same texts.
    generation: u32,
    /// What the views of this generation refer to; held, so that nothing else comes to stand there.
    buffers: Vec<Buffer>,
    patience: u32,
    pub(super) numbers: Vec<u32>,
    /// Of a key column: what the texts add to the order values.
    pub(super) hashes: Vec<u64>,
    /// Some text of the batch travels with its row.
    pub(super) travel: bool,
}

#[derive(Debug, Clone, Copy)]
struct Remembered {
    view: u128,
    hash: u64,
    number: u32,
    generation: u32,
}

impl<'a> Numbering<'a> {
    pub(super) fn new(dictionary: &'a Dictionary, room: &'a Room) -> Self {
        // There is no text of this length.
        let nothing = Remembered { view: u128::MAX, hash: 0, number: 0, generation: 0 };
        Self {
            dictionary,
            room,
            remembered: vec![nothing; REMEMBERED],
            generation: 0,
            buffers: Vec::new(),
            patience: PATIENCE,
            numbers: Vec::new(),
            hashes: Vec::new(),
            travel: false,
        }
    }

    /// Numbers the texts of a batch; `is_key`: their hashes are asked for as well.
    pub(super) fn read(&mut self, texts: &StringViewArray, is_key: bool) {
        self.numbers.clear();
        self.hashes.clear();
        self.travel = false;
        let nulls = texts.nulls().filter(|nulls| nulls.null_count() > 0);
        let asks = !self.dictionary.is_full() || !self.dictionary_is_empty();
        if asks {
            self.turn_to(texts.data_buffers());
        }
        for (row, view) in texts.views().iter().enumerate() {
            let (number, hash) = if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                (0, NULL_HASH)
            } else if asks {
                self.number(texts, row, *view)
            } else {
                (TRAVELS, if is_key { text_hash(texts, row) } else { 0 })
            };
            self.travel |= number == TRAVELS;
            self.numbers.push(number);
            if is_key {
                self.hashes.push(hash);
            }
        }
        if self.patience == 0 {
            // Texts that do not repeat are not met again either. What is held here are whole pages of a file.
            self.buffers.clear();
        }
    }

    fn dictionary_is_empty(&self) -> bool {
        poisoned(self.dictionary.texts.read()).hashes.is_empty()
    }

    fn turn_to(&mut self, buffers: &[Buffer]) {
        let is_same = |a: &Buffer, b: &Buffer| a.as_ptr() == b.as_ptr() && a.len() == b.len();
        if buffers.len() != self.buffers.len()
            || !self.buffers.iter().zip(buffers).all(|(a, b)| is_same(a, b))
        {
            self.buffers = buffers.to_vec();
            self.generation = self.generation.wrapping_add(1);
            if self.generation == 0 {
                self.generation = 1;
                self.remembered.iter_mut().for_each(|text| text.view = u128::MAX);
            }
        }
    }

    fn number(&mut self, texts: &StringViewArray, row: usize, view: u128) -> (u32, u64) {
        let generation = if view as u32 <= INLINE { 0 } else { self.generation };
        let mixed = (view as u64 ^ (view >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (mixed >> 32) as usize % REMEMBERED;
        let known = &self.remembered[slot];
        if known.view == view && known.generation == generation {
            return (known.number, known.hash);
        }
        let hash = text_hash(texts, row);
        if self.patience == 0 {
            return (TRAVELS, hash);
        }
        let text = texts.value(row);
        match self.dictionary.find_or_add(text, hash, self.room) {
            Some(number) => {
                self.patience = PATIENCE.min(self.patience + 1);
                self.remembered[slot] = Remembered { view, hash, number, generation };
                (number, hash)
            }
            None => {
                self.patience -= 1;
                (TRAVELS, hash)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_texts_that_do_not_repeat_are_not_held() {
        let texts: Vec<String> = (0..10_000).map(|n| format!("text number {n} of very many")).collect();
        let texts = StringViewArray::from_iter_values(&texts);
        // Known from the sample, and found out.
        for (repeats, room) in [(false, 1 << 20), (true, 0), (true, 10_000)] {
            let (dictionary, room) = (Dictionary::new(repeats), Room::new(room));
            let mut numbering = Numbering::new(&dictionary, &room);
            numbering.read(&texts, false);
            assert!(numbering.travel && numbering.buffers.is_empty());
        }
        let (dictionary, room) = (Dictionary::new(true), Room::new(1 << 30));
        let mut numbering = Numbering::new(&dictionary, &room);
        numbering.read(&texts, false);
        assert!(!numbering.travel && !numbering.buffers.is_empty());
    }

    fn array(texts: &[Option<&str>]) -> StringViewArray {
        StringViewArray::from_iter(texts.iter().copied())
    }

    #[test]
    fn equal_texts_have_one_number_on_all_threads_and_come_back() {
        let (dictionary, room) = (Dictionary::new(true), Room::new(1 << 20));
        let texts: Vec<String> =
            (0..3000).map(|i| format!("{}{}", "long ".repeat(i % 5), i % 1000)).collect();
        let array = array(&texts.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>());
        let numbers = |order: Vec<usize>| {
            let mut numbering = Numbering::new(&dictionary, &room);
            let mut numbers = vec![0; order.len()];
            for row in order {
                numbering.read(&array.slice(row, 1), true);
                assert_eq!(numbering.hashes, [text_hash(&array, row)]);
                assert!(!numbering.travel);
                numbers[row] = numbering.numbers[0];
            }
            numbers
        };
        let (there, back) = std::thread::scope(|scope| {
            let there = scope.spawn(|| numbers((0..3000).collect()));
            let back = scope.spawn(|| numbers((0..3000).rev().collect()));
            (there.join().unwrap(), back.join().unwrap())
        });
        assert_eq!(there, back);
        let all = dictionary.into_array();
        assert_eq!(all.len(), 1000);
        assert!(there.iter().zip(&texts).all(|(number, text)| all.value(*number as usize) == text));
    }

    #[test]
    fn what_does_not_fit_travels_and_what_is_there_stays() {
        let (dictionary, room) = (Dictionary::new(true), Room::new(3 * (ENTRY_BYTES + 1)));
        let mut numbering = Numbering::new(&dictionary, &room);
        numbering
            .read(&array(&[Some("a"), Some("b"), None, Some("c"), Some("d"), Some("a"), Some("e")]), false);
        assert_eq!(numbering.numbers, [0, 1, 0, 2, TRAVELS, 0, TRAVELS]);
        assert!(numbering.travel && numbering.hashes.is_empty());
        let none = Dictionary::new(false);
        let mut numbering = Numbering::new(&none, &room);
        let texts = array(&[Some("a"), None]);
        numbering.read(&texts, true);
        assert_eq!(numbering.numbers, [TRAVELS, 0]);
        assert_eq!(numbering.hashes, [text_hash(&texts, 0), NULL_HASH]);
    }

    #[test]
    fn views_of_other_buffers_are_other_texts() {
        let (dictionary, room) = (Dictionary::new(true), Room::new(1 << 20));
        let mut numbering = Numbering::new(&dictionary, &room);
        for (number, text) in
            ["same beginning, other end: 1", "same beginning, other end: 2"].iter().enumerate()
        {
            numbering.read(&array(&[Some(text)]), false);
            assert_eq!(numbering.numbers, [number as u32]);
        }
    }
}
