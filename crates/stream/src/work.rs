//! The comparison of one part of the rows, on the thread that calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use dualrun_compare::{Common, CompareError, Options, Partial, Parts, Relation, compare_range};

use crate::{
    encode::Encoder,
    error::StreamError,
    ordered::unwrapped,
    output::{Files, Piece, PieceSink},
    sample::Sample,
    side::Batches,
};

/// What a thread found in a part.
pub(crate) struct Done {
    pub(crate) partial: Partial,
    pub(crate) differences: Piece,
    pub(crate) customers: Piece,
    pub(crate) sample: Sample,
}

/// What threads need to compare a part of the rows.
pub(crate) struct Work<'a> {
    pub(crate) common: &'a Arc<Common>,
    pub(crate) differences: Option<Arc<Encoder>>,
    pub(crate) customers: Option<Arc<Encoder>>,
    /// Of so many differences, or fewer, signatures are looked for.
    pub(crate) sample_rows: u64,
    /// One of so many is kept at the most.
    pub(crate) sample_stride: AtomicU64,
    /// The file takes no more differences.
    pub(crate) file_full: AtomicBool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(common: &'a Arc<Common>, files: &Files, sample_rows: u64) -> Self {
        Self {
            common,
            differences: files.differences.as_ref().map(|file| file.encoder()),
            customers: files.customers.as_ref().map(|file| file.encoder()),
            sample_rows,
            sample_stride: AtomicU64::new(1),
            file_full: AtomicBool::new(files.is_full()),
        }
    }

    pub(crate) fn compare(
        &self,
        options: &Options,
        legacy: Batches,
        new: Batches,
    ) -> Result<Done, StreamError> {
        let encoder = self.differences.clone().filter(|_| !self.file_full.load(Ordering::Relaxed));
        let mut differences = PieceSink::new(encoder, self.sample());
        let mut customers =
            self.customers.clone().map(|encoder| PieceSink::new(Some(encoder), Sample::default()));
        let relations: Vec<Relation<StreamError>> = vec![legacy, new];
        let partial = compare_range(
            self.common,
            Parts::PLAIN,
            relations,
            options,
            &mut differences,
            customers.as_mut().map(|sink| sink as _),
        )
        .map_err(unwrapped)?;
        let encoded =
            |source: parquet::errors::ParquetError| StreamError::Compare(CompareError::Sink(source.into()));
        let (differences, sample) = differences.finish().map_err(encoded)?;
        let customers = customers.map(PieceSink::finish).transpose().map_err(encoded)?.unwrap_or_default().0;
        Ok(Done { partial, differences, customers, sample })
    }

    fn sample(&self) -> Sample {
        Sample::with_stride(self.sample_rows, self.sample_stride.load(Ordering::Relaxed))
    }
}
