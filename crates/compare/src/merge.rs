//! Full outer merge of several sorted relations on their key.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::Array,
    datatypes::DataType,
    record_batch::RecordBatch,
    row::{RowConverter, Rows},
};

use crate::{
    error::CompareError,
    sort::{key_columns, key_converter},
    spec::Relation,
};

/// A row of a relation.
#[derive(Debug, Clone)]
pub struct RowRef {
    /// The batch that holds it.
    pub batch: Arc<RecordBatch>,
    /// Its position there.
    pub row: usize,
}

/// All rows of one key.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// For each relation its rows of this key: none, one or many.
    pub rows: Vec<Vec<RowRef>>,
}

impl Group {
    /// The only row of a relation, where it has exactly one.
    pub fn single(&self, relation: usize) -> Option<&RowRef> {
        match self.rows.get(relation).map(Vec::as_slice) {
            Some([row]) => Some(row),
            _ => None,
        }
    }

    /// Any row of the key, to read the key from.
    pub fn any(&self) -> Option<&RowRef> {
        self.rows.iter().flatten().next()
    }
}

/// Reads sorted relations side by side, key by key. Keys compare as values, nulls equal each other and come first.
/// One batch of each relation is held at a time; the order is checked while reading.
pub struct KeyedMerge<E> {
    cursors: Vec<Cursor<E>>,
    key: Vec<String>,
    keys: Keys,
    current: Vec<u8>,
    started: bool,
}

impl<E> std::fmt::Debug for KeyedMerge<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedMerge").field("key", &self.key).field("relations", &self.cursors.len()).finish()
    }
}

/// The row format of the key, known with the first batch.
#[derive(Default)]
struct Keys(Option<(RowConverter, Vec<DataType>)>);

struct Cursor<E> {
    relation: usize,
    batches: Relation<E>,
    head: Option<(Arc<RecordBatch>, Rows)>,
    row: usize,
    read: u64,
}

impl<E: std::error::Error + Send + Sync + 'static> KeyedMerge<E> {
    /// A merge of relations that are sorted by `key`, ascending, nulls first.
    pub fn new(relations: Vec<Relation<E>>, key: &[String]) -> Self {
        let cursors = relations
            .into_iter()
            .enumerate()
            .map(|(relation, batches)| Cursor { relation, batches, head: None, row: 0, read: 0 })
            .collect();
        Self { cursors, key: key.to_vec(), keys: Keys::default(), current: Vec::new(), started: false }
    }

    /// The rows of the next key, or `None` after the last. An error is final.
    pub fn next_group(&mut self) -> Option<Result<Group, CompareError>> {
        let mut group = Group::default();
        match self.next_into(&mut group) {
            Ok(true) => Some(Ok(group)),
            Ok(false) => None,
            Err(error) => {
                self.cursors.clear();
                Some(Err(error))
            }
        }
    }

    /// As [`Self::next_group`], into a group that is used again. `false` after the last key.
    pub(crate) fn next_into(&mut self, group: &mut Group) -> Result<bool, CompareError> {
        if !self.started {
            self.started = true;
            for cursor in &mut self.cursors {
                cursor.load(&self.key, &mut self.keys)?;
            }
        }
        group.rows.resize_with(self.cursors.len(), Vec::new);
        group.rows.iter_mut().for_each(Vec::clear);
        let Some(smallest) = self.cursors.iter().filter_map(Cursor::key).min() else { return Ok(false) };
        self.current.clear();
        self.current.extend_from_slice(smallest);
        for (cursor, rows) in self.cursors.iter_mut().zip(&mut group.rows) {
            while let Some(key) = cursor.key() {
                match key.cmp(self.current.as_slice()) {
                    Ordering::Equal => {}
                    Ordering::Greater => break,
                    // The head was the smallest or larger when it was loaded, so it follows a row of this key.
                    Ordering::Less => {
                        return Err(CompareError::NotSorted { relation: cursor.relation, row: cursor.read });
                    }
                }
                if let Some((batch, _)) = &cursor.head {
                    rows.push(RowRef { batch: Arc::clone(batch), row: cursor.row });
                }
                cursor.advance(&self.key, &mut self.keys)?;
            }
        }
        Ok(true)
    }
}

impl<E> Cursor<E> {
    fn key(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|(_, rows)| rows.row(self.row).data())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Cursor<E> {
    fn advance(&mut self, key: &[String], keys: &mut Keys) -> Result<(), CompareError> {
        self.row += 1;
        self.read += 1;
        match &self.head {
            Some((_, rows)) if self.row < rows.num_rows() => Ok(()),
            _ => self.load(key, keys),
        }
    }

    /// The next batch that has rows.
    fn load(&mut self, key: &[String], keys: &mut Keys) -> Result<(), CompareError> {
        self.row = 0;
        self.head = None;
        for batch in self.batches.by_ref() {
            let relation = self.relation;
            let batch = batch.map_err(|e| CompareError::Relation { relation, source: Box::new(e) })?;
            if batch.num_rows() > 0 {
                let rows = keys.rows(relation, &batch, key)?;
                self.head = Some((Arc::new(batch), rows));
                break;
            }
        }
        Ok(())
    }
}

impl Keys {
    fn rows(&mut self, relation: usize, batch: &RecordBatch, key: &[String]) -> Result<Rows, CompareError> {
        let columns = key_columns(batch, key)?;
        let (converter, types) = match &mut self.0 {
            Some(known) => known,
            none => {
                let types = columns.iter().map(|c| c.data_type().clone()).collect();
                none.insert((key_converter(&batch.schema(), key)?, types))
            }
        };
        for ((column, expected), name) in columns.iter().zip(types.iter()).zip(key) {
            if column.data_type() != expected {
                return Err(CompareError::SchemaMismatch {
                    relation,
                    column: name.clone(),
                    found: column.data_type().clone(),
                    expected: expected.clone(),
                });
            }
        }
        Ok(converter.convert_columns(&columns)?)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn relation(batches: &[&[Option<i64>]]) -> Relation<Infallible> {
        let batches: Vec<_> = batches
            .iter()
            .map(|keys| {
                let array: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
                Ok(RecordBatch::try_from_iter_with_nullable([("k", array, true)]).unwrap())
            })
            .collect();
        Box::new(batches.into_iter())
    }

    fn counts(relations: Vec<Relation<Infallible>>) -> Vec<Vec<usize>> {
        let mut merge = KeyedMerge::new(relations, &["k".into()]);
        std::iter::from_fn(|| merge.next_group())
            .map(|g| g.unwrap().rows.iter().map(Vec::len).collect())
            .collect()
    }

    #[test]
    fn keys_meet_across_batches() {
        let left = relation(&[&[None, Some(1)], &[], &[Some(1), Some(3)]]);
        let right = relation(&[&[Some(1)], &[Some(2), Some(3)]]);
        assert_eq!(counts(vec![left, right]), [[1, 0], [2, 1], [0, 1], [1, 1]]);
        assert!(counts(vec![relation(&[]), relation(&[&[]])]).is_empty());
    }

    #[test]
    fn rows_out_of_order_are_an_error() {
        for batches in [&[&[Some(1), Some(3), Some(2)][..]][..], &[&[Some(1), Some(3)], &[Some(2)]]] {
            let mut merge = KeyedMerge::new(vec![relation(batches), relation(&[&[Some(9)]])], &["k".into()]);
            let error = std::iter::from_fn(|| merge.next_group()).find_map(Result::err).unwrap();
            assert!(matches!(error, CompareError::NotSorted { relation: 0, row: 2 }), "{error}");
            assert!(merge.next_group().is_none());
        }
    }
}
