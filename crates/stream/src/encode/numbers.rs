//! A dictionary of numbers of four or eight bytes, told apart by their bits.

use super::hybrid;

/// Of more different numbers there is no dictionary.
const MOST: usize = 1 << 12;
/// Slots of the table, so many that hardly two numbers want the same one.
const SLOTS: usize = 4 * MOST;
/// Values that are compared with the last one at once.
const CHUNK: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Numbers {
    values: Vec<u64>,
    /// By hash: the code plus one, or 0.
    slots: Vec<u16>,
    codes: Vec<u32>,
    pages: usize,
}

impl Numbers {
    /// Appends the codes of a page. `false`, and nothing appended, where there are too many different values.
    pub(super) fn page<const N: usize>(&mut self, values: &[[u8; N]], body: &mut Vec<u8>) -> bool {
        let before = self.values.len();
        self.codes.clear();
        let mut last: Option<([u8; N], u32)> = None;
        for chunk in values.chunks(CHUNK) {
            if let Some((value, code)) = last
                && chunk.iter().fold(true, |same, other| same & (*other == value))
            {
                self.codes.resize(self.codes.len() + chunk.len(), code);
                continue;
            }
            for value in chunk {
                let code = match last {
                    Some((known, code)) if known == *value => code,
                    _ => {
                        let Some(code) = self.code(widened(value)) else {
                            // Those that only this page has would never be used.
                            self.forget(before);
                            return false;
                        };
                        code
                    }
                };
                last = Some((*value, code));
                self.codes.push(code);
            }
        }
        // There are no more than `MOST`.
        let width = hybrid::width((self.values.len() as u32).saturating_sub(1)).max(1);
        body.push(width);
        hybrid::encode(&self.codes, width, body);
        self.pages += 1;
        true
    }

    /// Pages that have codes.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// The values in so many bytes each, and their number.
    pub(super) fn values(&self, width: usize) -> (Vec<u8>, usize) {
        let bytes = self.values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(width));
        (bytes.collect(), self.values.len())
    }

    fn code(&mut self, value: u64) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, 0);
        }
        // The golden ratio spreads numbers that follow each other; the upper bits are the well mixed ones.
        let mut slot = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS.ilog2())) as usize;
        loop {
            match self.slots[slot] {
                0 if self.values.len() == MOST => return None,
                0 => {
                    self.values.push(value);
                    self.slots[slot] = self.values.len() as u16;
                    return Some(self.values.len() as u32 - 1);
                }
                known if self.values[usize::from(known) - 1] == value => return Some(u32::from(known) - 1),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }

    /// Back to so many values. Nothing is looked up any more.
    fn forget(&mut self, count: usize) {
        self.values.truncate(count);
        self.slots = Vec::new();
        self.codes = Vec::new();
    }
}

fn widened<const N: usize>(value: &[u8; N]) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(value);
    u64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_values_have_a_code_each() {
        let mut numbers = Numbers::default();
        let values: Vec<[u8; 8]> = (0..300u64).map(|n| (n % 7 * 1_000_003).to_le_bytes()).collect();
        assert!(numbers.page(&values, &mut Vec::new()));
        assert_eq!(numbers.codes[..8], [0, 1, 2, 3, 4, 5, 6, 0]);
        let (bytes, count) = numbers.values(8);
        assert_eq!(count, 7);
        assert_eq!(bytes[8..16], 1_000_003u64.to_le_bytes());
    }

    #[test]
    fn what_a_page_too_many_brings_is_forgotten() {
        let mut numbers = Numbers::default();
        assert!(numbers.page(&[[1, 0, 0, 0], [2, 0, 0, 0]], &mut Vec::new()));
        let many: Vec<[u8; 4]> = (0..2 * MOST as u32).map(u32::to_le_bytes).collect();
        let mut body = Vec::new();
        assert!(!numbers.page(&many, &mut body));
        assert!(body.is_empty());
        assert_eq!((numbers.pages(), numbers.values(4)), (1, (vec![1, 0, 0, 0, 2, 0, 0, 0], 2)));
    }
}
