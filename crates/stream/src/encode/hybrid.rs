//! Runs and bit-packed groups of small numbers, as Parquet holds levels and codes: the *RLE / bit-packing hybrid* of the
//! format's description, <https://parquet.apache.org/docs/file-format/data-pages/encodings/>.

/// A run is worth its header from this length on.
const LEAST_RUN: usize = 16;

/// Bits that the numbers up to `largest` take.
pub(super) fn width(largest: u32) -> u8 {
    // At most 32.
    (u32::BITS - largest.leading_zeros()) as u8
}

/// Appends the values, of so many bits each.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut packed, mut at) = (0, 0);
    while at < values.len() {
        let run = run_at(values, at);
        // Values that are packed come in groups of eight: the run gives up what the last group lacks.
        let lacking = (at - packed).next_multiple_of(8) - (at - packed);
        if run >= LEAST_RUN + lacking {
            pack(&values[packed..at + lacking], width, out);
            repeat(values[at], run - lacking, width, out);
            packed = at + run;
        }
        at += run;
    }
    pack(&values[packed..], width, out);
}

/// Appends one value so many times.
pub(super) fn repeat(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
}

/// How many values from `at` on are the same.
fn run_at(values: &[u32], at: usize) -> usize {
    let first = values[at];
    let rest = &values[at..];
    // Most values that are no run differ from the next one.
    if rest.get(1).is_some_and(|next| *next != first) {
        return 1;
    }
    let mut run = 0;
    for chunk in rest.chunks(64) {
        if chunk.iter().fold(true, |same, value| same & (*value == first)) {
            run += chunk.len();
        } else {
            return run + chunk.iter().position(|value| *value != first).unwrap_or(0);
        }
    }
    run
}

/// Appends values bit by bit, the last group filled up with zeros.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let width = u32::from(width);
    let end = out.len() + groups * width as usize;
    out.reserve(groups * width as usize + 8);
    let (mut bits, mut filled) = (0u64, 0);
    let mut values = values;
    if width <= 8 {
        // A group of eight values is as many bytes as a value has bits.
        let (eights, others) = values.as_chunks::<8>();
        for eight in eights {
            let bits = eight.iter().rev().fold(0, |bits, value| bits << width | u64::from(*value));
            out.extend_from_slice(&bits.to_le_bytes()[..width as usize]);
        }
        values = others;
    }
    for value in values {
        bits |= u64::from(*value) << filled;
        filled += width;
        if filled >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
    out.resize(end, 0);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the format's description has it.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        let mut next = |n: usize| {
            let (head, rest) = bytes.split_at(n);
            bytes = rest;
            head.to_vec()
        };
        while values.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = next(1)[0];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 1 {
                let packed = next((header >> 1) as usize * usize::from(width));
                let bit = |i: usize| u32::from(packed[i / 8] >> (i % 8) & 1);
                for i in 0..(header >> 1) as usize * 8 {
                    values.push((0..usize::from(width)).map(|b| bit(i * usize::from(width) + b) << b).sum());
                }
            } else {
                let mut value = [0; 4];
                let bytes = next(usize::from(width).div_ceil(8));
                value[..bytes.len()].copy_from_slice(&bytes);
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), (header >> 1) as usize));
            }
        }
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            runs in prop::collection::vec((any::<u32>(), 1usize..70), 0..40),
            width in 1u8..=32,
        ) {
            let mask = u32::MAX >> (32 - u32::from(width));
            let values: Vec<u32> =
                runs.iter().flat_map(|(value, count)| std::iter::repeat_n(value & mask, *count)).collect();
            let mut out = Vec::new();
            encode(&values, width, &mut out);
            prop_assert_eq!(decode(&out, width, values.len()), values);
        }
    }
}
