//! BSON dumps: concatenated documents, each starting with its length, as `mongodump` writes them.

use std::io::{Read, Write};

use bson::{Document, RawDocument};
use bytes::Bytes;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::SourceError;

/// The longest document: the 16 MiB of MongoDB and 16 KiB that the server itself may add
/// (`BSONObjMaxInternalSize`).
const MAX_DOCUMENT: usize = 16 * 1024 * 1024 + 16 * 1024;

/// The bytes of a dump of these documents.
pub fn write<'a>(documents: impl Iterator<Item = &'a Document>, gzip: bool) -> Result<Vec<u8>, SourceError> {
    let refused = |e: String| SourceError::Config(format!("a document cannot be written as BSON: {e}"));
    let mut plain = Vec::new();
    for document in documents {
        document.to_writer(&mut plain).map_err(|e| refused(e.to_string()))?;
    }
    if !gzip {
        return Ok(plain);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&plain).and_then(|()| encoder.finish()).map_err(|e| refused(e.to_string()))
}

/// The text of `<collection>.metadata.json` beside a dump.
pub fn metadata_json(collection: &str) -> String {
    serde_json::json!({
        "options": {},
        "indexes": [{"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}],
        "collectionName": collection,
        "type": "collection",
    })
    .to_string()
}

/// The documents of a dump with the offset of each. Only lengths and frames are looked at.
pub(crate) fn split<'a>(file: &str, bytes: &'a [u8]) -> Result<Vec<(u64, &'a RawDocument)>, SourceError> {
    let mut documents = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let wrong = |what: String| SourceError::corrupt(file, at as u64, what);
        let Some(head) = rest.first_chunk::<4>() else {
            return Err(wrong(format!("{} bytes are left, too few for a document", rest.len())));
        };
        let length = i32::from_le_bytes(*head);
        let size = usize::try_from(length).unwrap_or(0);
        if !(5..=MAX_DOCUMENT).contains(&size) {
            return Err(wrong(format!("{length} is not the length of a BSON document")));
        }
        let Some(frame) = rest.get(..size) else {
            return Err(wrong(format!("a document of {size} bytes is cut off after {}", rest.len())));
        };
        let document = RawDocument::from_bytes(frame).map_err(|e| wrong(format!("damaged document: {e}")))?;
        documents.push((at as u64, document));
        at += size;
    }
    Ok(documents)
}

/// The bytes behind a name that ends with `.gz`; other bytes as they are.
pub(crate) fn gunzip(file: &str, bytes: Bytes) -> Result<Bytes, SourceError> {
    if !file.to_ascii_lowercase().ends_with(".gz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    match MultiGzDecoder::new(bytes.as_ref()).read_to_end(&mut plain) {
        Ok(_) => Ok(plain.into()),
        Err(error) => Err(SourceError::corrupt(
            file,
            plain.len() as u64,
            format!("the gzip stream is damaged: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_dump_is_split_at_its_lengths() {
        let documents = [doc! { "a": 1 }, doc! { "b": "x" }];
        let bytes = write(documents.iter(), false).unwrap();
        let found = split("x", &bytes).unwrap();
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [0, 12]);
        assert_eq!(gunzip("x.gz", write(documents.iter(), true).unwrap().into()).unwrap(), bytes);
        assert!(split("x", &[]).unwrap().is_empty());
    }

    #[test]
    fn damage_is_told_with_its_offset() {
        let mut bytes = write([doc! { "a": 1 }, doc! { "b": 2 }].iter(), false).unwrap();
        let told = |bytes: &[u8]| split("usage.bson", bytes).unwrap_err().to_string();
        assert_eq!(told(&bytes[..20]), "usage.bson: byte 12: a document of 12 bytes is cut off after 8");
        assert_eq!(told(&bytes[..14]), "usage.bson: byte 12: 2 bytes are left, too few for a document");
        bytes[12..16].copy_from_slice(&4i32.to_le_bytes());
        assert_eq!(told(&bytes), "usage.bson: byte 12: 4 is not the length of a BSON document");
        bytes[12..16].copy_from_slice(&(17i32 << 20).to_le_bytes());
        assert!(told(&bytes).contains("not the length"));
    }

    #[test]
    fn a_damaged_gzip_stream_is_told() {
        let whole = write([doc! { "a": 1 }].iter(), true).unwrap();
        let cut = Bytes::copy_from_slice(&whole[..whole.len() - 9]);
        let error = gunzip("d/usage.bson.gz", cut).unwrap_err().to_string();
        assert!(error.starts_with("d/usage.bson.gz: byte ") && error.contains("gzip"), "{error}");
    }
}
