//! Answers that wait until the types of all their documents are known: as they came in memory at first, then in a
//! temporary file.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use bson::{RawBsonRef, RawDocument};
use mongodb::raw_batch_cursor::RawBatch;

use super::{MongoFault, ReadOptions};
use crate::{elements::Elements, value::Value};

/// Bytes that are written and read at a time, at least.
const BUFFER: usize = 256 << 10;

/// Documents that came together.
pub(super) struct Answer {
    documents: Documents,
    pub(super) rows: usize,
}

enum Documents {
    /// As the server sent them.
    Sent(RawBatch),
    /// A list of them, as BSON stores one.
    List(Vec<u8>),
}

impl Answer {
    pub(super) fn new(batch: RawBatch, rows: usize) -> Self {
        Self { documents: Documents::Sent(batch), rows }
    }

    /// Of documents that a test makes.
    #[cfg(test)]
    pub(super) fn of(documents: &[bson::RawDocumentBuf]) -> Self {
        let list: bson::RawArrayBuf = documents.iter().cloned().collect();
        Self { documents: Documents::List(list.as_bytes().to_vec()), rows: documents.len() }
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        match &self.documents {
            Documents::Sent(batch) => batch.as_raw_document().as_bytes().len(),
            Documents::List(bytes) => bytes.len(),
        }
    }

    /// Calls `act` for every document, which ends the walk by an error.
    pub(super) fn each<E: From<MongoFault>>(
        &self,
        act: impl FnMut(&RawDocument) -> Result<(), E>,
    ) -> Result<(), E> {
        walk(self.list()?, act)
    }

    fn list(&self) -> Result<&[u8], MongoFault> {
        match &self.documents {
            Documents::Sent(batch) => list(batch),
            Documents::List(bytes) => Ok(bytes),
        }
    }
}

/// Calls `act` for every document of an answer, which ends the walk by an error.
pub(super) fn each<E: From<MongoFault>>(
    batch: &RawBatch,
    act: impl FnMut(&RawDocument) -> Result<(), E>,
) -> Result<(), E> {
    walk(list(batch)?, act)
}

fn list(batch: &RawBatch) -> Result<&[u8], MongoFault> {
    batch.doc_slices().map(|documents| documents.as_bytes()).map_err(|_| damaged())
}

fn walk<E: From<MongoFault>>(
    list: &[u8],
    mut act: impl FnMut(&RawDocument) -> Result<(), E>,
) -> Result<(), E> {
    for element in Elements::of(RawDocument::from_bytes(list).map_err(|_| damaged())?) {
        match element {
            Ok((_, Value::Bson(RawBsonRef::Document(document)))) => act(document)?,
            _ => return Err(damaged().into()),
        }
    }
    Ok(())
}

fn damaged() -> MongoFault {
    MongoFault::Reply("a damaged answer".to_owned())
}

/// Answers one after another. The file has no name: it is gone with the process.
pub(super) struct Spool {
    memory: Vec<Answer>,
    /// Bytes of memory that are left.
    room: usize,
    folder: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    /// How many are in the file.
    filed: u64,
}

impl Spool {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            memory: Vec::new(),
            room: options.spool_memory,
            folder: options.spool_folder.clone(),
            file: None,
            filed: 0,
        }
    }

    pub(super) fn push(&mut self, answer: Answer) -> Result<(), MongoFault> {
        let size = answer.size();
        if self.file.is_none() && size <= self.room {
            self.room -= size;
            self.memory.push(answer);
            return Ok(());
        }
        let list = answer.list()?;
        self.write(answer.rows, list).map_err(failed)
    }

    fn write(&mut self, rows: usize, list: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = match &self.folder {
                    Some(folder) => tempfile::tempfile_in(folder)?,
                    None => tempfile::tempfile()?,
                };
                self.file.insert(BufWriter::with_capacity(BUFFER, file))
            }
        };
        file.write_all(&(rows as u64).to_le_bytes())?;
        file.write_all(&(list.len() as u64).to_le_bytes())?;
        file.write_all(list)?;
        self.filed += 1;
        Ok(())
    }

    /// The answers from the first on.
    pub(super) fn answers(self) -> Result<impl Iterator<Item = Result<Answer, MongoFault>>, MongoFault> {
        let mut file = match self.file {
            Some(file) => {
                let mut file = file.into_inner().map_err(|e| failed(e.into_error()))?;
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                Some(BufReader::with_capacity(BUFFER, file))
            }
            None => None,
        };
        let filed = (0..self.filed).filter_map(move |_| file.as_mut().map(|file| read(file).map_err(failed)));
        Ok(self.memory.into_iter().map(Ok).chain(filed))
    }
}

fn read(file: &mut impl Read) -> std::io::Result<Answer> {
    let rows = number(file)?;
    let mut list = vec![0; number(file)?];
    file.read_exact(&mut list)?;
    Ok(Answer { documents: Documents::List(list), rows })
}

fn number(file: &mut impl Read) -> std::io::Result<usize> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| std::io::ErrorKind::InvalidData.into())
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
        for first in (0..count).step_by(10) {
            let documents: Vec<_> =
                (first..first + 10).map(|n| rawdoc! {"n": n, "text": "x".repeat(100)}).collect();
            spool.push(Answer::of(&documents)).unwrap();
        }
        let mut found = Vec::new();
        for answer in spool.answers().unwrap() {
            let answer = answer.unwrap();
            assert_eq!(answer.rows, 10);
            let each = |document: &RawDocument| {
                found.push(document.get_i32("n").unwrap());
                Ok::<(), MongoFault>(())
            };
            answer.each(each).unwrap();
        }
        found
    }

    #[test]
    fn documents_come_back_in_their_order_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let spool_folder = Some(folder.path().to_owned());
        for spool_memory in [1 << 20, 10_000, 0] {
            let options =
                ReadOptions { spool_memory, spool_folder: spool_folder.clone(), ..ReadOptions::default() };
            assert_eq!(round(&options, 5000), (0..5000).collect::<Vec<_>>());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert!(round(&ReadOptions::default(), 0).is_empty());
    }

    #[test]
    fn memory_holds_no_more_than_it_may() {
        let answer = || Answer::of(&[rawdoc! {"text": "x".repeat(1000)}]);
        let options = ReadOptions { spool_memory: 3 * answer().size(), ..ReadOptions::default() };
        let mut spool = Spool::new(&options);
        for _ in 0..10 {
            spool.push(answer()).unwrap();
        }
        assert_eq!((spool.memory.len(), spool.filed, spool.room), (3, 7, 0));
        assert_eq!(spool.answers().unwrap().count(), 10);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let spool_folder = Some("/nowhere/at/all".into());
        let options = ReadOptions { spool_memory: 10, spool_folder, ..ReadOptions::default() };
        let fault = Spool::new(&options).push(Answer::of(&[rawdoc! {"n": 1}])).unwrap_err();
        assert_eq!(fault, MongoFault::Spool(std::io::ErrorKind::NotFound));
    }
}
