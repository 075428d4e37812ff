//! The file for rows that exceed the memory, chunks one behind the other.
//!
//! The file has no name, so that nothing stays behind however the process ends.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use arrow::{
    buffer::{Buffer, MutableBuffer},
    error::ArrowError,
    ipc::{reader::StreamDecoder, writer::StreamEncoder},
    record_batch::RecordBatch,
};

use super::store::Rows;
use crate::error::StreamError;

/// A file that several threads write and read at once.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    file: File,
    end: AtomicU64,
}

/// Where a chunk stands: its rows, the texts that travel with them, the columns beside them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    rows: usize,
    texts: usize,
    beside: usize,
}

impl Disk {
    pub(super) fn create(folder: &Path) -> Result<Self, StreamError> {
        let file = tempfile::tempfile_in(folder)
            .map_err(|source| StreamError::Spill { path: folder.to_owned(), source: source.into() })?;
        Ok(Self { folder: folder.to_owned(), file, end: AtomicU64::new(0) })
    }

    /// Bytes that were written.
    pub(super) fn written(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    pub(super) fn write(&self, rows: &Rows) -> Result<Extent, StreamError> {
        let beside = match &rows.beside {
            Some(batch) => {
                let buffers = StreamEncoder::try_new(batch.schema_ref())
                    .and_then(|mut encoder| encoder.encode(batch))
                    .map_err(|source| self.failed(source.into()))?;
                buffers.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat()
            }
            None => Vec::new(),
        };
        let (bytes, texts) = (&rows.bytes, &rows.texts);
        let length = bytes.len() + texts.len() + beside.len();
        let offset = self.end.fetch_add(length as u64, Ordering::Relaxed);
        let mut at = offset;
        for piece in [bytes, texts, &beside].into_iter().filter(|piece| !piece.is_empty()) {
            write_at(&self.file, piece, at).map_err(|source| self.failed(source.into()))?;
            at += piece.len() as u64;
        }
        Ok(Extent { offset, rows: bytes.len(), texts: texts.len(), beside: beside.len() })
    }

    /// Some bytes of the rows, from a place among them on.
    pub(super) fn read_rows(&self, extent: Extent, from: usize, into: &mut [u8]) -> Result<(), StreamError> {
        read_at(&self.file, into, extent.offset + from as u64).map_err(|source| self.failed(source.into()))
    }

    /// The texts that travel.
    pub(super) fn read_texts(&self, extent: Extent) -> Result<Vec<u8>, StreamError> {
        let mut texts = vec![0; extent.texts];
        self.read_rows(extent, extent.rows, &mut texts)?;
        Ok(texts)
    }

    /// The columns beside the rows.
    pub(super) fn read_beside(&self, extent: Extent) -> Result<Option<RecordBatch>, StreamError> {
        if extent.beside == 0 {
            return Ok(None);
        }
        let mut bytes = MutableBuffer::from_len_zeroed(extent.beside);
        self.read_rows(extent, extent.rows + extent.texts, bytes.as_slice_mut())?;
        let batch = StreamDecoder::new().decode(&mut Buffer::from(bytes));
        let cut_short = || ArrowError::IpcError("a batch is cut short".to_owned());
        let batch = batch.and_then(|batch| batch.ok_or_else(cut_short));
        batch.map(Some).map_err(|source| self.failed(source.into()))
    }

    fn failed(&self, source: Box<dyn std::error::Error + Send + Sync>) -> StreamError {
        StreamError::Spill { path: self.folder.clone(), source }
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        offset += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn chunks_come_back_as_they_were_and_no_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::create(folder.path()).unwrap();
        let rows = |from: u8| {
            let texts = ["a", "a text of more than twelve bytes", ""];
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("t", Arc::new(StringViewArray::from_iter(texts.map(Some).into_iter().chain([None])))),
                ("n", Arc::new(Int64Array::from_iter_values((0..4).map(|n| n + i64::from(from))))),
            ];
            let columns = columns.into_iter().map(|(n, a)| (n, a, true));
            let beside = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
            Rows {
                bytes: (from..from + 40).collect(),
                texts: vec![from; usize::from(from) * 3],
                beside: from.is_multiple_of(2).then_some(beside),
            }
        };
        let extents: Vec<Extent> = (0..20).map(|i| disk.write(&rows(i)).unwrap()).collect();
        assert!(disk.written() > 0);
        for (i, extent) in (0..20).zip(extents).rev() {
            let mut bytes = [0; 30];
            disk.read_rows(extent, 10, &mut bytes).unwrap();
            assert_eq!(bytes, rows(i).bytes[10..]);
            assert_eq!(disk.read_texts(extent).unwrap(), rows(i).texts);
            assert_eq!(disk.read_beside(extent).unwrap(), rows(i).beside);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Disk::create(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "cannot spill to /nowhere/at/all");
    }
}
