//! Reads both sides and sorts their rows into parts.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{array::AsArray, record_batch::RecordBatch};
use dualrun_compare::{Common, order_values_knowing};

use super::{
    bounds::Bounds,
    each, failed,
    layout::Layout,
    loaded::Reading,
    scatter::Scatter,
    sizes::{Sample, Sizes},
    store::{Part, Space, Store},
    texts::{Dictionary, Numbering, Room},
};
use crate::{error::StreamError, side::Side};

/// The parts, and what they are read with. `progress` is told of the rows that were read.
pub(super) fn partition(
    sides: (&Side, &Side),
    common: &Arc<Common>,
    space: &Space,
    (sample, bounds, sizes): (&Sample, &Bounds, &Sizes),
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Vec<Part>, Reading), StreamError> {
    let layout = Layout::new(common);
    let dictionaries: Vec<Dictionary> =
        sample.repeating.iter().map(|repeats| Dictionary::new(*repeats)).collect();
    let room = Room::new(sizes.dictionary_bytes);
    let store = Store::new(space, bounds);
    let done = AtomicU64::new(0);
    for (number, side) in [sides.0, sides.1].into_iter().enumerate() {
        let stretches: Vec<Range<u64>> = sizes.stretches(side);
        each(
            stretches.len(),
            threads,
            || Reader {
                common,
                layout: &layout,
                numberings: dictionaries.iter().map(|dictionary| Numbering::new(dictionary, &room)).collect(),
                scatter: Scatter::new(&layout, bounds, &store, number, sizes.waiting_bytes),
                rows: Vec::new(),
            },
            |reader, stretch| {
                let rows = stretches[stretch].clone();
                let count = rows.end - rows.start;
                reader.scatter.begin(stretch as u64, None);
                for batch in side.read(rows, common)? {
                    reader.add(&batch?)?;
                }
                reader.scatter.end()?;
                progress(done.fetch_add(count, Ordering::Relaxed) + count);
                Ok(())
            },
            |mut reader| reader.scatter.finish(),
        )?;
    }
    let parts = store.into_parts();
    let texts = dictionaries.into_iter().map(Dictionary::into_array).collect();
    Ok((parts, Reading::new(layout, texts)))
}

/// What a thread reads a side with.
struct Reader<'a> {
    common: &'a Common,
    layout: &'a Layout,
    numberings: Vec<Numbering<'a>>,
    scatter: Scatter<'a>,
    rows: Vec<u8>,
}

impl Reader<'_> {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        let keys = self.common.spec.key.len();
        let columns: Vec<usize> = self.layout.text_columns().collect();
        for (column, numbering) in columns.iter().zip(&mut self.numberings) {
            numbering.read(batch.column(*column).as_string_view(), *column < keys);
        }
        let numberings = &self.numberings;
        let known = |column: usize| {
            let text = columns.iter().position(|text| *text == column)?;
            Some(numberings[text].hashes.as_slice())
        };
        let orders = order_values_knowing(batch, self.common, known).map_err(StreamError::Compare)?;
        self.layout.write(batch, orders.values(), numberings, &mut self.rows);
        let beside = self.layout.beside(batch).map_err(failed)?;
        let travel = numberings.iter().any(|numbering| numbering.travel);
        let text = |row: usize, text: usize| {
            Some(batch.column(columns[text]).as_string_view().value(row).as_bytes())
        };
        self.scatter.add(&self.rows, travel, text, beside.as_ref())
    }
}
