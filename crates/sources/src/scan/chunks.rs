//! Bytes of a file for the Parquet decoder.

use std::{
    io::{self, BufReader, Read},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

use super::{local::LocalFile, remote::RemoteBlocks};
use crate::SourceError;

/// Page headers are shorter than this, unless they hold long statistics.
const HEADER_BYTES: usize = 1024;

/// An open file: positioned reads of a local one, or blocks of a remote one.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    bytes: Origin,
    failed: Arc<Mutex<Option<SourceError>>>,
}

#[derive(Debug, Clone)]
enum Origin {
    Local(Arc<LocalFile>),
    Remote(Arc<RemoteBlocks>),
}

impl Chunks {
    pub(super) fn local(file: Arc<LocalFile>) -> Self {
        Self { bytes: Origin::Local(file), failed: Arc::default() }
    }

    pub(super) fn remote(blocks: RemoteBlocks) -> Self {
        Self { bytes: Origin::Remote(Arc::new(blocks)), failed: Arc::default() }
    }

    /// What the file or store answered, where that made the decoder fail: its own errors lose the cause.
    pub(super) fn failure(&self) -> Option<SourceError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.or_else(|| match &self.bytes {
            Origin::Local(file) => file.changed(),
            Origin::Remote(_) => None,
        })
    }

    fn size(&self) -> u64 {
        match &self.bytes {
            Origin::Local(file) => file.size(),
            Origin::Remote(blocks) => blocks.size(),
        }
    }

    fn fetch(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size()) {
            let size = self.size();
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} reach beyond the {size} bytes"
            )));
        }
        let bytes = match &self.bytes {
            Origin::Local(file) => file.read(start, length),
            Origin::Remote(blocks) => blocks.read(start, length),
        };
        bytes.map_err(|error| {
            let text = error.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            ParquetError::General(text)
        })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::with_capacity(HEADER_BYTES, From { chunks: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.fetch(start, length)
    }
}

/// The file from a place on.
#[derive(Debug)]
pub(super) struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.chunks.size().saturating_sub(self.at);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = self.chunks.fetch(self.at, length).map_err(io::Error::other)?;
        buffer[..length].copy_from_slice(&bytes);
        self.at += length as u64;
        Ok(length)
    }
}
