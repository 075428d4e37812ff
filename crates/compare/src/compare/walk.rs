//! Walks along all relations side by side: stretches of rows whose keys line up, single keys where they do not.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::ArrayRef,
    row::{RowConverter, SortField},
};

use super::{group::Group, judge::Judge};
use crate::{
    block::{Block, Dictionaries},
    error::CompareError,
    order::Order,
    schema::Common,
    spec::Relation,
};

pub(super) struct Walk<'a, E> {
    common: &'a Common,
    order: Order,
    cursors: Vec<Cursor<E>>,
    group: Group,
    first: Option<(Arc<Block>, usize)>,
    last: Option<(Arc<Block>, usize)>,
}

/// A position in a relation.
struct Cursor<E> {
    relation: usize,
    batches: Relation<E>,
    dictionaries: Dictionaries,
    block: Option<Arc<Block>>,
    /// The block behind it, where somebody looked at it already.
    ahead: Option<Arc<Block>>,
    /// There are no more batches.
    ended: bool,
    row: usize,
    /// Rows before this one.
    read: u64,
}

/// The smallest and the largest key of a range in Arrow's row format; none where it has no rows.
pub(super) type KeyRange = Option<(Vec<u8>, Vec<u8>)>;

impl<'a, E: std::error::Error + Send + Sync + 'static> Walk<'a, E> {
    pub(super) fn new(
        common: &'a Common,
        order: Order,
        relations: Vec<Relation<E>>,
    ) -> Result<Self, CompareError> {
        let mut cursors: Vec<Cursor<E>> = relations
            .into_iter()
            .enumerate()
            .map(|(relation, batches)| Cursor {
                relation,
                batches,
                dictionaries: Dictionaries::default(),
                block: None,
                ahead: None,
                ended: false,
                row: 0,
                read: 0,
            })
            .collect();
        for cursor in &mut cursors {
            cursor.load(common, order)?;
        }
        Ok(Self { common, order, group: Group::default(), cursors, first: None, last: None })
    }

    pub(super) fn run(&mut self, judge: &mut Judge<'_>) -> Result<(), CompareError> {
        loop {
            let length = self.aligned()?;
            if length > 0 {
                self.note();
                judge.stretch(&self.places(), length)?;
                for cursor in &mut self.cursors {
                    cursor.row += length - 1;
                    cursor.read += length as u64 - 1;
                }
                self.note();
                for cursor in &mut self.cursors {
                    cursor.advance(self.common, self.order)?;
                }
            } else {
                let mut group = std::mem::take(&mut self.group);
                let found = self.gather(&mut group, judge)?;
                if found {
                    judge.group(&group)?;
                }
                self.group = group;
                if !found {
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn last_key(&self) -> Result<KeyRange, CompareError> {
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => {
                Ok(Some((key_bytes(&first.0, first.1)?, key_bytes(&last.0, last.1)?)))
            }
            _ => Ok(None),
        }
    }

    /// Remembers the row at the first relation that has one, which is the smallest of those seen from here on.
    fn note(&mut self) {
        let Some(cursor) = self.cursors.first() else { return };
        if let Some(block) = &cursor.block {
            let place = (Arc::clone(block), cursor.row);
            if self.first.is_none() {
                self.first = Some((Arc::clone(block), cursor.row));
            }
            self.last = Some(place);
        }
    }

    fn places(&self) -> Vec<(Arc<Block>, usize)> {
        self.cursors.iter().filter_map(|c| Some((Arc::clone(c.block.as_ref()?), c.row))).collect()
    }

    /// How many rows from here on have keys that are the same in all relations, ascend, and occur once.
    fn aligned(&mut self) -> Result<usize, CompareError> {
        let Some(((first, row), others)) =
            self.cursors.split_first().and_then(|(c, others)| Some((c.head()?, others)))
        else {
            return Ok(0);
        };
        let mut length = first.rows - row;
        for cursor in others {
            let Some((block, at)) = cursor.head() else { return Ok(0) };
            length = first.keys.equal_stretch(row, &block.keys, at, length);
            if length < 2 {
                return Ok(0);
            }
        }
        length = first.keys.ascending_stretch(row, length);
        let mut certain = length;
        for cursor in &mut self.cursors {
            // Whether the last key occurs again is seen in the row behind it.
            match cursor.order_behind(length, self.common, self.order)? {
                Ordering::Less => {}
                Ordering::Equal => certain = length - 1,
                Ordering::Greater => return Err(cursor.not_sorted(length as u64)),
            }
        }
        Ok(certain)
    }

    /// All rows of the smallest key. `false` where no relation has a row left.
    fn gather(&mut self, group: &mut Group, judge: &mut Judge<'_>) -> Result<bool, CompareError> {
        let heads = self.cursors.iter().filter_map(|c| Some((c.block.as_ref()?, c.row)));
        let smallest = heads.reduce(|a, b| if b.0.keys.compare(b.1, &a.0.keys, a.1).is_lt() { b } else { a });
        let Some((block, row)) = smallest.map(|(block, row)| (Arc::clone(block), row)) else {
            return Ok(false);
        };
        if self.first.is_none() {
            self.first = Some((Arc::clone(&block), row));
        }
        group.start(self.cursors.len());
        for cursor in &mut self.cursors {
            while let Some((head, at)) = cursor.head() {
                match head.keys.compare(at, &block.keys, row) {
                    Ordering::Equal => {}
                    Ordering::Greater => break,
                    // The head was the smallest or larger when it was loaded, so it follows a row of this key.
                    Ordering::Less => return Err(cursor.not_sorted(0)),
                }
                if let Some(head) = &cursor.block {
                    group.push(cursor.relation, head, at, judge);
                }
                cursor.advance(self.common, self.order)?;
            }
        }
        self.last = Some((block, row));
        Ok(true)
    }
}

impl<E> Cursor<E> {
    fn head(&self) -> Option<(&Block, usize)> {
        self.block.as_deref().map(|block| (block, self.row))
    }

    fn not_sorted(&self, ahead: u64) -> CompareError {
        CompareError::NotSorted { relation: self.relation, row: self.read + ahead }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Cursor<E> {
    fn advance(&mut self, common: &Common, order: Order) -> Result<(), CompareError> {
        self.row += 1;
        self.read += 1;
        match &self.block {
            Some(block) if self.row < block.rows => Ok(()),
            _ => self.load(common, order),
        }
    }

    /// How the last of so many rows from here on stands to the row behind it, which may stand in the next batch; `Less`
    /// where there is none.
    fn order_behind(
        &mut self,
        length: usize,
        common: &Common,
        order: Order,
    ) -> Result<Ordering, CompareError> {
        let Some(block) = self.block.clone() else { return Ok(Ordering::Less) };
        let next = self.row + length;
        if next < block.rows {
            return Ok(block.keys.compare(next - 1, &block.keys, next));
        }
        self.look_ahead(common, order)?;
        let ahead = self.ahead.as_ref();
        Ok(ahead.map_or(Ordering::Less, |ahead| block.keys.compare(next - 1, &ahead.keys, 0)))
    }

    fn load(&mut self, common: &Common, order: Order) -> Result<(), CompareError> {
        self.look_ahead(common, order)?;
        self.block = self.ahead.take();
        self.row = 0;
        Ok(())
    }

    /// Reads the next batch that has rows. Its first key must not be smaller than the last one.
    fn look_ahead(&mut self, common: &Common, order: Order) -> Result<(), CompareError> {
        if self.ended || self.ahead.is_some() {
            return Ok(());
        }
        let relation = self.relation;
        for batch in self.batches.by_ref() {
            let batch = batch.map_err(|e| CompareError::Relation { relation, source: Box::new(e) })?;
            if batch.num_rows() == 0 {
                continue;
            }
            let block = Block::new(relation, &batch, common, order, &mut self.dictionaries)?;
            if let Some(before) = &self.block
                && before.keys.compare(before.rows - 1, &block.keys, 0).is_gt()
            {
                return Err(self.not_sorted((before.rows - self.row) as u64));
            }
            self.ahead = Some(Arc::new(block));
            return Ok(());
        }
        self.ended = true;
        Ok(())
    }
}

/// The key of a row in Arrow's row format.
pub(super) fn key_bytes(block: &Block, row: usize) -> Result<Vec<u8>, CompareError> {
    let one: Vec<ArrayRef> =
        block.key_columns.iter().map(|column| column.one(row)).collect::<Result<_, _>>()?;
    let fields = one.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&one)?;
    Ok(rows.row(0).data().to_vec())
}
