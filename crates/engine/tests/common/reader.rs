//! Documents by `<url>/<path>` in the place of files.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bson::Document;
use dualrun_engine::{InputReader, InputRequest};
use dualrun_sources::{FileReport, InputTable, ReadReport, SourceError, documents::to_batches};

/// Reads what was put.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    files: Mutex<BTreeMap<String, Vec<Document>>>,
    /// Rows in a batch; all in one where 0.
    pub(crate) batch_rows: AtomicUsize,
}

impl Reader {
    /// Puts a file in place of the one that is there.
    pub(crate) fn put(&self, place: &str, documents: Vec<Document>) {
        self.files.lock().unwrap().insert(place.to_owned(), documents);
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
            match known.get(&name) {
                Some(file) => {
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
}
