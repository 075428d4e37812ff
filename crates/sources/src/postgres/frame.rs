//! The frame of `COPY … TO STDOUT (FORMAT binary)`: a header, rows of fields, a trailer.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html>, section "Binary Format".

use std::ops::Range;

use super::decode::Bad;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Rows carry object identifiers (up to PostgreSQL 11, for tables that were made so).
const WITH_OIDS: u32 = 1 << 16;

/// Where the fields of a row lie in its message; none is null.
pub(super) type Fields = Vec<Option<Range<usize>>>;

/// Cuts messages into rows. A message is usually one row; rows that go over its end are put together again.
#[derive(Debug, Default)]
pub(super) struct Frame {
    header_read: bool,
    ended: bool,
    /// The start of a row whose end has not come yet.
    carried: Vec<u8>,
}

impl Frame {
    /// Calls `row` for each row that is complete with this message.
    pub(super) fn message<E: From<Bad>>(
        &mut self,
        message: &[u8],
        fields: &mut Fields,
        mut row: impl FnMut(&[u8], &Fields) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut carried = std::mem::take(&mut self.carried);
        let bytes = if carried.is_empty() {
            message
        } else {
            carried.extend_from_slice(message);
            &carried
        };
        let mut at = 0;
        if !self.header_read {
            match header(bytes)? {
                Some(length) => {
                    self.header_read = true;
                    at = length;
                }
                None => {
                    self.carried = bytes.to_vec();
                    return Ok(());
                }
            }
        }
        while at < bytes.len() {
            if self.ended {
                return Err(Bad::Malformed.into());
            }
            match fields_of(bytes, at, fields)? {
                Step::Row(next) => {
                    row(bytes, fields)?;
                    at = next;
                }
                Step::End(next) => {
                    self.ended = true;
                    at = next;
                }
                Step::More => {
                    self.carried = bytes[at..].to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether the trailer has come: without it rows may be missing.
    pub(super) fn is_complete(&self) -> bool {
        self.ended
    }
}

enum Step {
    Row(usize),
    End(usize),
    More,
}

/// The length of the header; none where more bytes are needed.
fn header(bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(Bad::Malformed);
    }
    let (Some(flags), Some(extension)) = (word(bytes, 11), word(bytes, 15)) else { return Ok(None) };
    if flags & WITH_OIDS != 0 {
        return Err(Bad::Malformed);
    }
    let length = 19usize.saturating_add(extension as usize);
    Ok((bytes.len() >= length).then_some(length))
}

fn fields_of(bytes: &[u8], start: usize, fields: &mut Fields) -> Result<Step, Bad> {
    let Some(count) = bytes.get(start..start + 2) else { return Ok(Step::More) };
    let count = i16::from_be_bytes([count[0], count[1]]);
    let mut at = start + 2;
    if count == -1 {
        return Ok(Step::End(at));
    }
    if usize::try_from(count).ok() != Some(fields.len()) {
        return Err(Bad::Malformed);
    }
    for field in fields.iter_mut() {
        let Some(length) = word(bytes, at) else { return Ok(Step::More) };
        at += 4;
        *field = match length.cast_signed() {
            -1 => None,
            length => {
                let end = at + usize::try_from(length).map_err(|_| Bad::Malformed)?;
                if end > bytes.len() {
                    return Ok(Step::More);
                }
                Some(std::mem::replace(&mut at, end)..end)
            }
        };
    }
    Ok(Step::Row(at))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = Vec<Option<Vec<u8>>>;

    fn encode(rows: &[Row]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for row in rows {
            bytes.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                match field {
                    Some(field) => {
                        bytes.extend(i32::try_from(field.len()).unwrap().to_be_bytes());
                        bytes.extend(field);
                    }
                    None => bytes.extend((-1i32).to_be_bytes()),
                }
            }
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    fn decode<'a>(
        messages: impl IntoIterator<Item = &'a [u8]>,
        columns: usize,
    ) -> Result<(Vec<Row>, bool), Bad> {
        let (mut frame, mut fields, mut rows) = (Frame::default(), vec![None; columns], Vec::new());
        for message in messages {
            frame.message::<Bad>(message, &mut fields, |bytes, fields| {
                rows.push(fields.iter().map(|f| f.clone().map(|f| bytes[f].to_vec())).collect());
                Ok(())
            })?;
        }
        Ok((rows, frame.is_complete()))
    }

    #[test]
    fn what_is_not_a_copy_is_refused() {
        assert_eq!(decode([b"PGCOPX".as_slice()], 1), Err(Bad::Malformed));
        let good = encode(&[vec![None, None]]);
        assert_eq!(decode([good.as_slice()], 1), Err(Bad::Malformed), "another number of columns");
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(decode([longer.as_slice()], 2), Err(Bad::Malformed), "bytes after the end");
        let cut = &good[..good.len() - 2];
        assert_eq!(decode([cut], 2), Ok((vec![vec![None, None]], false)), "the end is missing");
    }

    proptest! {
        #[test]
        fn rows_come_out_whole_however_they_are_cut(
            rows in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 3), 0..6),
            size in 1usize..40,
        ) {
            let bytes = encode(&rows);
            prop_assert_eq!(decode(bytes.chunks(size), 3), Ok((rows, true)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut whole = encode(&[]);
            whole.truncate(19);
            whole.extend(bytes);
            let _ = decode([whole.as_slice()], 2);
        }
    }
}
