//! Documents that wait until the types of all of them are known: in memory at first, then in a temporary file.

use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use bson::RawDocument;
use tempfile::SpooledTempFile;

use super::{MongoFault, ReadOptions};

/// Bytes that are written and read at a time.
const BUFFER: usize = 256 << 10;

/// Documents one after another, as in a BSON dump. The file has no name: it is gone with the process.
pub(super) struct Spool {
    file: BufWriter<SpooledTempFile>,
}

impl Spool {
    pub(super) fn new(options: &ReadOptions) -> Self {
        let file = match &options.spool_folder {
            Some(folder) => SpooledTempFile::new_in(options.spool_memory, folder),
            None => SpooledTempFile::new(options.spool_memory),
        };
        Self { file: BufWriter::with_capacity(BUFFER, file) }
    }

    pub(super) fn push(&mut self, document: &RawDocument) -> Result<(), MongoFault> {
        self.file.write_all(document.as_bytes()).map_err(failed)
    }

    /// The documents from the first on. `each` gets one at a time and ends the reading by an error.
    pub(super) fn read<E: From<MongoFault>>(
        self,
        mut each: impl FnMut(&RawDocument) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut file = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self::each(BufReader::with_capacity(BUFFER, file), &mut each)
    }
}

/// The documents that stand one after another. `each` ends the reading by an error.
pub(super) fn each<E: From<MongoFault>>(
    mut reader: impl Read,
    mut each: impl FnMut(&RawDocument) -> Result<(), E>,
) -> Result<(), E> {
    let mut bytes = Vec::new();
    loop {
        let mut head = [0; 4];
        match reader.read_exact(&mut head) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(failed(e).into()),
        }
        let size = usize::try_from(i32::from_le_bytes(head)).unwrap_or(0).max(head.len());
        bytes.resize(size, 0);
        bytes[..head.len()].copy_from_slice(&head);
        reader.read_exact(&mut bytes[head.len()..]).map_err(failed)?;
        let document =
            RawDocument::from_bytes(&bytes).map_err(|_| failed(std::io::ErrorKind::InvalidData.into()))?;
        each(document)?;
    }
}

fn failed(error: std::io::Error) -> MongoFault {
    MongoFault::Spool(error.kind())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn round(options: &ReadOptions, count: i32) -> Vec<i32> {
        let mut spool = Spool::new(options);
        for n in 0..count {
            spool.push(&rawdoc! {"n": n, "text": "x".repeat(100)}).unwrap();
        }
        let mut found = Vec::new();
        let each = |document: &RawDocument| {
            found.push(document.get_i32("n").unwrap());
            Ok::<(), MongoFault>(())
        };
        spool.read(each).unwrap();
        found
    }

    #[test]
    fn documents_come_back_in_their_order_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let spool_folder = Some(folder.path().to_owned());
        for spool_memory in [1 << 20, 1000, 0] {
            let options =
                ReadOptions { spool_memory, spool_folder: spool_folder.clone(), ..ReadOptions::default() };
            assert_eq!(round(&options, 5000), (0..5000).collect::<Vec<_>>());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert!(round(&ReadOptions::default(), 0).is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let spool_folder = Some("/nowhere/at/all".into());
        let options = ReadOptions { spool_memory: 10, spool_folder, ..ReadOptions::default() };
        let mut spool = Spool::new(&options);
        let document = rawdoc! {"text": "x".repeat(BUFFER)};
        let fault = (0..3).find_map(|_| spool.push(&document).err()).unwrap();
        assert_eq!(fault, MongoFault::Spool(std::io::ErrorKind::NotFound));
    }
}
