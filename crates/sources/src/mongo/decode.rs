//! The side of a reading that makes record batches, on a thread of its own: as documents come where all types are
//! known, else from documents that were put aside until all had come.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use bson::RawDocument;
use tokio::sync::{mpsc, oneshot};

use super::{
    Consistency, Fields, MongoFault, MongoLoad, MongoTypes, ReadOptions,
    batches::{self, Batches},
    fetch::Fetched,
    spool::{self, Answer, Spool},
};
use crate::{
    Misfit, SourceError,
    infer::{self, Learner, Seen},
    misfit::Misfits,
    rules::{self, Declared, Member},
};

/// What was read, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct MongoReport {
    /// Documents.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Values that became null because they do not fit the type of their field. The place is the number of the
    /// document in the order in which they came, from 0.
    pub misfits: Vec<Misfit>,
    /// Documents with at least one such value.
    pub misfit_documents: u64,
    /// Columns that are decimals because a float would round a whole number in them.
    pub exact_numbers: Vec<String>,
    /// Which state of the data was read, and how sure that is.
    pub consistency: Consistency,
    /// What it cost the server.
    pub load: MongoLoad,
}

/// What comes out of a reading.
pub(super) enum Decoded {
    Batch(RecordBatch),
    Done(Box<MongoReport>),
}

/// What becomes of documents.
pub(super) struct Plan {
    pub(super) place: String,
    pub(super) collection: Arc<str>,
    pub(super) declared: Declared,
    pub(super) fields: Fields,
    pub(super) types: Option<MongoTypes>,
    pub(super) read: ReadOptions,
}

impl Plan {
    /// Whether all types are known before a document is.
    pub(super) fn streams(&self) -> bool {
        self.types.is_some() || self.fields.typed(&self.declared)
    }

    /// Decodes what comes. The schema, or why there is none, goes to `schema`; all else to `out`.
    pub(super) fn run(
        self,
        input: mpsc::Receiver<Fetched>,
        schema: oneshot::Sender<Result<SchemaRef, SourceError>>,
        out: mpsc::Sender<Result<Decoded, SourceError>>,
    ) {
        let mut schema = Some(schema);
        let done = match self.streams() {
            true => self.stream(input, &mut schema, &out),
            false => self.spool(input, &mut schema, &out),
        };
        let end = match done {
            Ok(report) => Ok(Decoded::Done(Box::new(report))),
            Err(Stop::Gone) => return,
            Err(Stop::Fault(fault)) => Err(SourceError::mongo(&self.place, fault)),
            Err(Stop::Failed(error)) => Err(error),
        };
        // Who does not listen any more does not miss it.
        match (end, schema.take()) {
            (Err(error), Some(schema)) => drop(schema.send(Err(error))),
            (end, _) => drop(out.blocking_send(end)),
        }
    }

    /// The types where no document must be seen for them.
    pub(super) fn known(&self) -> Result<MongoTypes, SourceError> {
        Ok(MongoTypes::new(self.members(None)?))
    }

    /// The types after a look at all documents, none of which is kept.
    pub(super) fn learn(self, input: mpsc::Receiver<Fetched>) -> Result<MongoTypes, SourceError> {
        match self.gather(input, &mut None) {
            Ok((seen, ..)) => Ok(MongoTypes::new(self.members(Some(&seen))?)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Fault(fault)) => Err(SourceError::mongo(&self.place, fault)),
            Err(Stop::Gone) => Err(SourceError::mongo(&self.place, MongoFault::Stopped)),
        }
    }

    fn stream(
        &self,
        mut input: mpsc::Receiver<Fetched>,
        schema: &mut Option<oneshot::Sender<Result<SchemaRef, SourceError>>>,
        out: &mpsc::Sender<Result<Decoded, SourceError>>,
    ) -> Result<MongoReport, Stop> {
        let batches = Batches::new(&self.members(None)?, Arc::clone(&self.collection));
        tell(schema, batches.schema())?;
        let mut writer = Writer { batches, out };
        loop {
            match input.blocking_recv() {
                Some(Fetched::Batch(batch)) => spool::each(&batch, |document| writer.push(document))?,
                // Only before the first document.
                Some(Fetched::Restart) => {}
                Some(Fetched::Done { consistency, load }) => {
                    return writer.finish(consistency, load);
                }
                Some(Fetched::Failed(fault)) => return Err(Stop::Fault(fault)),
                None => return Err(Stop::Fault(MongoFault::Stopped)),
            }
        }
    }

    fn spool(
        &self,
        input: mpsc::Receiver<Fetched>,
        schema: &mut Option<oneshot::Sender<Result<SchemaRef, SourceError>>>,
        out: &mpsc::Sender<Result<Decoded, SourceError>>,
    ) -> Result<MongoReport, Stop> {
        let mut spool = Some(Spool::new(&self.read));
        let (seen, consistency, load) = self.gather(input, &mut spool)?;
        let members = self.members(Some(&seen))?;
        let mut exact = seen.exact_numbers();
        exact.retain(|name| members.iter().any(|m| m.name == *name));
        tell(schema, &Arc::new(Schema::new(rules::fields(&members))))?;
        let spool = spool.unwrap_or_else(|| Spool::new(&self.read));
        let read = batches::by_threads(spool, &members, &self.collection, out)?;
        Ok(report(read, consistency, load, exact))
    }

    /// Looks at all documents, and puts them aside where a spool is given.
    fn gather(
        &self,
        mut input: mpsc::Receiver<Fetched>,
        spool: &mut Option<Spool>,
    ) -> Result<(Seen, Consistency, MongoLoad), Stop> {
        let (mut learner, mut number) = (Learner::default(), 0);
        loop {
            match input.blocking_recv() {
                Some(Fetched::Batch(batch)) => {
                    let first = number;
                    spool::each(&batch, |document| {
                        let damaged =
                            |what| MongoFault::Reply(format!("document {number} is damaged: {what}"));
                        learner.document(document).map_err(damaged)?;
                        number += 1;
                        Ok::<(), Stop>(())
                    })?;
                    if let Some(spool) = spool {
                        spool.push(Answer::new(batch, number - first))?;
                    }
                }
                Some(Fetched::Restart) => {
                    (learner, number) = (Learner::default(), 0);
                    *spool = spool.take().map(|_| Spool::new(&self.read));
                }
                Some(Fetched::Done { consistency, load }) => {
                    return Ok((learner.finish(), consistency, load));
                }
                Some(Fetched::Failed(fault)) => return Err(Stop::Fault(fault)),
                None => return Err(Stop::Fault(MongoFault::Stopped)),
            }
        }
    }

    /// The columns: those of a dump of the same documents, or the chosen ones among them.
    fn members(&self, seen: Option<&Seen>) -> Result<Vec<Member>, SourceError> {
        if let Some(types) = &self.types {
            let names = self.fields.names(&self.declared);
            return Ok(types.members(|name| names.as_ref().is_none_or(|names| names.contains(name))));
        }
        let all = seen.and_then(Seen::fields);
        let Some(names) = self.fields.names(&self.declared) else {
            return self.typed(&self.declared.fields, all);
        };
        let declared = self.declared.fields.iter().filter(|(name, _)| names.contains(*name));
        let declared: BTreeMap<String, Declared> = declared.map(|(n, d)| (n.clone(), d.clone())).collect();
        let mut seen = chosen(all, &names);
        if self.fields == Fields::Declared {
            for (name, seen) in &mut seen {
                if let Some(declared) = declared.get(name) {
                    *seen = seen.only(declared);
                }
            }
        }
        self.typed(&declared, Some(&seen))
    }

    fn typed(
        &self,
        declared: &BTreeMap<String, Declared>,
        seen: Option<&BTreeMap<String, Seen>>,
    ) -> Result<Vec<Member>, SourceError> {
        let mut members = infer::members(declared, seen, "")?;
        if self.declared.untyped_nulls {
            infer::untyped(&mut members, seen);
        }
        Ok(members)
    }
}

/// What was seen of the chosen fields; nothing of one that no document has.
fn chosen(all: Option<&BTreeMap<String, Seen>>, names: &BTreeSet<String>) -> BTreeMap<String, Seen> {
    let seen = |name| all.and_then(|all| all.get(name)).cloned().unwrap_or_default();
    names.iter().map(|name| (name.clone(), seen(name))).collect()
}

/// Why decoding ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody wants the rows any more.
    Gone,
    Fault(MongoFault),
    Failed(SourceError),
}

impl From<MongoFault> for Stop {
    fn from(fault: MongoFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

fn tell(
    schema: &mut Option<oneshot::Sender<Result<SchemaRef, SourceError>>>,
    known: &SchemaRef,
) -> Result<(), Stop> {
    match schema.take() {
        Some(schema) => schema.send(Ok(Arc::clone(known))).map_err(|_| Stop::Gone),
        None => Ok(()),
    }
}

/// Sends batches while documents come.
struct Writer<'a> {
    batches: Batches,
    out: &'a mpsc::Sender<Result<Decoded, SourceError>>,
}

impl Writer<'_> {
    fn push(&mut self, document: &RawDocument) -> Result<(), Stop> {
        let full = self.batches.push(document)?;
        self.send(full)
    }

    fn finish(mut self, consistency: Consistency, load: MongoLoad) -> Result<MongoReport, Stop> {
        let rest = self.batches.rest()?;
        self.send(rest)?;
        let Batches { rows, bytes, misfits, .. } = self.batches;
        Ok(report((rows, bytes, misfits), consistency, load, Vec::new()))
    }

    fn send(&self, batch: Option<RecordBatch>) -> Result<(), Stop> {
        match batch {
            Some(batch) => self.out.blocking_send(Ok(Decoded::Batch(batch))).map_err(|_| Stop::Gone),
            None => Ok(()),
        }
    }
}

fn report(
    (rows, bytes, misfits): (u64, u64, Misfits),
    consistency: Consistency,
    load: MongoLoad,
    exact_numbers: Vec<String>,
) -> MongoReport {
    let (misfits, misfit_documents) = misfits.finish();
    MongoReport { rows, bytes, misfits, misfit_documents, exact_numbers, consistency, load }
}
