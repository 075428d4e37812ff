//! The file for rows that exceed the memory: batches in Arrow's IPC format, one behind the other.
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

use crate::error::StreamError;

/// A file that several threads write and read at once.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    file: File,
    end: AtomicU64,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    length: usize,
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

    pub(super) fn write(&self, batch: &RecordBatch) -> Result<Extent, StreamError> {
        let buffers = StreamEncoder::try_new(batch.schema_ref())
            .and_then(|mut encoder| encoder.encode(batch))
            .map_err(|source| self.failed(source.into()))?;
        let bytes = buffers.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat();
        let offset = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        write_at(&self.file, &bytes, offset).map_err(|source| self.failed(source.into()))?;
        Ok(Extent { offset, length: bytes.len() })
    }

    pub(super) fn read(&self, extent: Extent) -> Result<RecordBatch, StreamError> {
        let mut bytes = MutableBuffer::from_len_zeroed(extent.length);
        read_at(&self.file, bytes.as_slice_mut(), extent.offset)
            .map_err(|source| self.failed(source.into()))?;
        let batch = StreamDecoder::new().decode(&mut Buffer::from(bytes));
        let cut_short = || ArrowError::IpcError("a batch is cut short".to_owned());
        batch.and_then(|batch| batch.ok_or_else(cut_short)).map_err(|source| self.failed(source.into()))
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
    fn batches_come_back_as_they_were_and_no_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::create(folder.path()).unwrap();
        let batch = |from: i64| {
            let texts = ["a", "a text of more than twelve bytes", ""];
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("t", Arc::new(StringViewArray::from_iter(texts.map(Some).into_iter().chain([None])))),
                ("n", Arc::new(Int64Array::from_iter_values(from..from + 4))),
            ];
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
        };
        let extents: Vec<Extent> = (0..20).map(|i| disk.write(&batch(i)).unwrap()).collect();
        assert!(disk.written() > 0);
        for (i, extent) in extents.into_iter().enumerate().rev() {
            assert_eq!(disk.read(extent).unwrap(), batch(i as i64));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Disk::create(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "cannot spill to /nowhere/at/all");
    }
}
