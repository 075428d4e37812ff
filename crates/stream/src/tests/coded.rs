//! Texts that come as codes of dictionaries, and what is stored of them.

use std::{fs::File, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray},
    datatypes::{Field, Schema},
    record_batch::RecordBatch,
};
use dualrun_core::input;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::support::{Case, Outcome, cases, limits, outputs, sides, table, tables};
use crate::{Request, Side, StreamError, Watch, compare_sides};

struct Nobody;
impl Watch for Nobody {
    fn rows(&self, _done: u64, _total: u64) {}
}

/// How a side comes: rows of a batch, batches that share a dictionary, the order of the dictionary. No batches share
/// one: texts come as they are.
type Layout = (usize, usize, u64);

fn layouts() -> impl Strategy<Value = Layout> {
    (prop::sample::select(vec![1usize, 7, 1000]), 0usize..4, any::<u64>())
}

fn coded(side: input::Side, rows: &RecordBatch, (batch, shared, seed): Layout) -> Side {
    if shared == 0 {
        let both = sides(rows, rows, batch);
        return if side == input::Side::Legacy { both.0 } else { both.1 };
    }
    let mut batches = Vec::new();
    for start in (0..rows.num_rows()).step_by(batch * shared) {
        let group = rows.slice(start, (batch * shared).min(rows.num_rows() - start));
        let group = with_codes(&group, seed);
        for at in (0..group.num_rows()).step_by(batch) {
            batches.push(group.slice(at, batch.min(group.num_rows() - at)));
        }
    }
    Side::memory(side, rows.schema(), batches)
}

/// The dictionary holds a text that no row has, and is in some order.
fn with_codes(rows: &RecordBatch, seed: u64) -> RecordBatch {
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let Some(texts) = array.as_string_opt::<i32>() else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(array));
            continue;
        };
        let mut words: Vec<&str> = texts.iter().flatten().chain(["a text that no row has"]).collect();
        words.sort_unstable();
        words.dedup();
        if !seed.is_multiple_of(3) {
            let by = (seed % 7) as usize;
            words.sort_by_key(|word| (word.len().wrapping_mul(31) ^ by, std::cmp::Reverse(*word)));
        }
        let code = |text: &str| words.iter().position(|word| *word == text).unwrap() as i32;
        let codes: Int32Array = texts.iter().map(|text| text.map(code)).collect();
        let array = DictionaryArray::new(codes, Arc::new(StringArray::from(words)));
        fields.push(Field::new(field.name(), array.data_type().clone(), true));
        columns.push(Arc::new(array));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The comparison, with the differences read back from their file.
fn stored(case: &Case, legacy: &Side, new: &Side, threads: usize) -> Result<Outcome, StreamError> {
    let folder = tempfile::tempdir().unwrap();
    let (outputs, common) = (outputs(folder.path()), case.common());
    let found = compare_sides(
        legacy,
        new,
        &Request {
            common: &common,
            options: &case.options(),
            outputs: Some(&outputs),
            sample: u64::MAX,
            limits: &limits(threads, 1 << 30),
            watch: &Nobody,
            confirm: &|| Ok(()),
        },
    )?;
    let file = File::open(&outputs.differences).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let head = case.in_order(&found.sample);
    let differences = case.in_order(&batches);
    assert_eq!(head, differences);
    Ok(Outcome { comparison: found.comparison, differences })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn codes_find_what_texts_find(
        (legacy, new) in tables(),
        case in cases(),
        layouts in (layouts(), layouts()),
        threads in prop::sample::select(vec![1usize, 2, 7]),
    ) {
        let (legacy, new) = (case.sorted(&table(&legacy)), case.sorted(&table(&new)));
        let mut expected = case.expected(&legacy, &new);
        let l = coded(input::Side::Legacy, &legacy, layouts.0);
        let n = coded(input::Side::New, &new, layouts.1);
        let mut found = stored(&case, &l, &n, threads).unwrap();
        // Without a file for all of them the worst come back; the order of equal ones is that of their names in both.
        found.comparison.customers.sort_by(|a, b| a.customer.cmp(&b.customer));
        expected.comparison.customers.sort_by(|a, b| a.customer.cmp(&b.customer));
        prop_assert_eq!(found, expected);
    }
}

/// Whole stretches that differ are stored column by column, the others row by row.
#[test]
fn long_stretches_that_differ_are_stored_as_they_are() {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let rows = |shift: f64| -> Vec<super::support::Row> {
        (0..5000)
            .map(|i: usize| {
                let other = shift != 0.0 && !i.is_multiple_of(11);
                let value = Some(i as f64).filter(|_| !i.is_multiple_of(97));
                let value = value.map(|v| if other { v + shift } else { v });
                let note = if other && i % 5 < 4 { "other" } else { "same" };
                (Some(format!("{:02}", i / 800)), Some(i as i64), value, Some(note.to_owned()))
            })
            .collect()
    };
    let (legacy, new) = (case.sorted(&table(&rows(0.0))), case.sorted(&table(&rows(0.5))));
    let expected = case.expected(&legacy, &new);
    assert!(expected.comparison.differences > 4000);
    for layout in [(1000, 0, 0), (1000, 3, 0), (333, 2, 1)] {
        let l = coded(input::Side::Legacy, &legacy, layout);
        let n = coded(input::Side::New, &new, layout);
        assert_eq!(stored(&case, &l, &n, 2).unwrap(), expected);
    }
}
