//! One object, written as it comes: whole or not at all.

use std::{sync::Arc, time::Duration};

use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, Result, path::Path};
use tokio::{runtime::Handle, runtime::RuntimeFlavor, task::JoinSet};

/// The size of a part: stores want at least 5 MiB, and all of one size.
const PART: usize = 8 << 20;

/// Parts that are on their way at the same time.
const PARALLEL: usize = 2;

/// How long a process that ends waits for the store to forget an upload.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// An object that is being written. Until [`Self::finish`] nobody sees it. A small one is put at once, a larger one
/// goes in parts; when a part fails, or the upload is dropped, the store is told to forget those that it has.
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    buffer: Vec<u8>,
    open: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<Result<()>>,
    bytes: u64,
}

impl Upload {
    /// Nothing is asked of the store yet.
    pub fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, buffer: Vec::new(), open: None, parts: JoinSet::new(), bytes: 0 }
    }

    /// Takes bytes, and waits while too many are on their way.
    ///
    /// # Errors
    /// The store refuses or is away; the upload is ended then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        let mut rest = bytes;
        while self.buffer.len() + rest.len() >= PART {
            let (now, later) = rest.split_at(PART - self.buffer.len());
            self.buffer.extend_from_slice(now);
            rest = later;
            let part = std::mem::take(&mut self.buffer);
            if let Err(error) = self.send(part).await {
                self.abort().await;
                return Err(error);
            }
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// Makes the object visible, and says its size.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn finish(mut self) -> Result<u64> {
        match self.complete().await {
            Ok(()) => Ok(self.bytes),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Ends the upload: nothing of it stays. A store that cannot be reached cannot be told; then a rule of the bucket
    /// for incomplete uploads has to do it.
    pub async fn abort(&mut self) {
        self.parts.shutdown().await;
        self.buffer.clear();
        if let Some(mut open) = self.open.take() {
            // The failure that led here is the one that is told.
            let _ = open.abort().await;
        }
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            empty => empty.insert(self.store.put_multipart(&self.path).await?),
        };
        while self.parts.len() >= PARALLEL {
            joined(self.parts.join_next().await)?;
        }
        self.parts.spawn(open.put_part(PutPayload::from(part)));
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let last = std::mem::take(&mut self.buffer);
        if self.open.is_none() {
            self.store.put(&self.path, PutPayload::from(last)).await?;
            return Ok(());
        }
        if !last.is_empty() {
            self.send(last).await?;
        }
        while !self.parts.is_empty() {
            joined(self.parts.join_next().await)?;
        }
        if let Some(open) = &mut self.open {
            open.complete().await?;
        }
        self.open = None;
        Ok(())
    }
}

fn joined(part: Option<std::result::Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match part {
        None => Ok(()),
        Some(Ok(part)) => part,
        Some(Err(source)) => Err(object_store::Error::JoinError { source }),
    }
}

impl Drop for Upload {
    /// A process that is told to end drops what it works on, and nobody runs what would be left to do afterwards.
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        self.parts.abort_all();
        let Ok(handle) = Handle::try_current() else { return };
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(|| {
                let _ = handle.block_on(tokio::time::timeout(LAST_WORDS, open.abort()));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn there(store: &Arc<dyn ObjectStore>) -> Option<u64> {
        store.head(&Path::from("a/b")).await.ok().map(|meta| meta.size)
    }

    #[tokio::test]
    async fn an_object_of_any_size_appears_whole() {
        for size in [0, 10, PART, 3 * PART + 5] {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let mut upload = Upload::new(Arc::clone(&store), Path::from("a/b"));
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            for piece in content.chunks(1_000_003) {
                upload.write(piece).await.unwrap();
                assert_eq!(there(&store).await, None);
            }
            assert_eq!(upload.finish().await.unwrap(), size as u64);
            let read = store.get(&Path::from("a/b")).await.unwrap().bytes().await.unwrap();
            assert!(read == content, "{size} bytes");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_upload_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(local);
        let mut upload = Upload::new(Arc::clone(&store), Path::from("a/b"));
        upload.write(&vec![1; 2 * PART]).await.unwrap();
        drop(upload);
        let left: Vec<_> = std::fs::read_dir(folder.path().join("a")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
