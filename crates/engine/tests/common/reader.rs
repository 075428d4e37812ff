//! Documents by `<url>/<path>` in the place of files.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bson::Document;
use dualrun_engine::{InputReader, InputRequest};
use dualrun_sources::{FileReport, InputTable, ReadReport, SourceError, documents::to_batches};

/// Reads what was put.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    files: Mutex<BTreeMap<String, (usize, Vec<Document>)>>,
    /// Rows in a batch; all in one where 0.
    pub(crate) batch_rows: AtomicUsize,
    /// Whether files can be told apart by their listing.
    pub(crate) lists: AtomicBool,
    /// The places that were read, in order.
    read: Mutex<Vec<String>>,
    /// Counts what was put, so that every file has a time of its own.
    puts: AtomicUsize,
}

impl Reader {
    /// Puts a file in place of the one that is there.
    pub(crate) fn put(&self, place: &str, documents: Vec<Document>) {
        let number = self.puts.fetch_add(1, Ordering::Relaxed);
        self.files.lock().unwrap().insert(place.to_owned(), (number, documents));
    }

    /// The places that were read since the last time that this was asked.
    pub(crate) fn take_read(&self) -> Vec<String> {
        std::mem::take(&mut self.read.lock().unwrap())
    }

    pub(crate) fn remove(&self, place: &str) {
        assert!(self.files.lock().unwrap().remove(place).is_some(), "no {place}");
    }
}

#[async_trait]
impl InputReader for Reader {
    async fn read(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError> {
        let known = self.files.lock().unwrap().clone();
        let mut report = ReadReport::default();
        let mut documents = Vec::new();
        for place in &request.places {
            let name = format!("{}/{}", place.url, place.path);
            self.read.lock().unwrap().push(name.clone());
            match known.get(&name) {
                Some((_, file)) => {
                    let rows = file.len() as u64;
                    report.files.push(FileReport {
                        path: name,
                        bytes: 0,
                        rows,
                        e_tag: None,
                        last_modified: None,
                    });
                    documents.extend(file.iter().cloned());
                }
                None => report.missing_files.push(name),
            }
        }
        for document in &documents {
            let alone = to_batches(std::slice::from_ref(document), request.shape)?;
            report.misfit_documents += u64::from(!alone.2.is_empty());
        }
        let (schema, batches, misfits) = to_batches(&documents, request.shape)?;
        report.rows = documents.len() as u64;
        report.misfits = misfits;
        let rows = self.batch_rows.load(Ordering::Relaxed);
        let batches = if rows == 0 {
            batches
        } else {
            let slices = |b: &arrow::array::RecordBatch| {
                let starts = (0..b.num_rows()).step_by(rows);
                starts.map(|n| b.slice(n, rows.min(b.num_rows() - n))).collect::<Vec<_>>()
            };
            batches.iter().flat_map(slices).collect()
        };
        Ok(InputTable { schema, batches, report })
    }

    async fn identity(&self, request: &InputRequest<'_>) -> Result<Option<String>, SourceError> {
        if !self.lists.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let known = self.files.lock().unwrap();
        let names = request.places.iter().map(|place| format!("{}/{}", place.url, place.path));
        let listing: Vec<_> = names.map(|name| (known.get(&name).map(|(number, _)| *number), name)).collect();
        Ok(Some(format!("{listing:?}")))
    }
}
