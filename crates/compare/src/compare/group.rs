//! All rows of one key.

use std::sync::Arc;

use super::{
    cells::{Places, Slot},
    judge::Judge,
};
use crate::{block::Block, measure::Sum};

/// The rows of one key: of each relation the first and how many there are. However often a key occurs, no more is
/// held of it than its sums.
#[derive(Debug, Default)]
pub(super) struct Group {
    relations: Vec<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    first: Option<(Arc<Block>, usize)>,
    count: u64,
    /// Once there is a second row: for each column the sum of a measure and how many values are not finite.
    sums: Vec<Option<(Sum, i64)>>,
}

impl Group {
    pub(super) fn start(&mut self, relations: usize) {
        self.relations.clear();
        self.relations.resize_with(relations, Rows::default);
    }

    pub(super) fn push(&mut self, relation: usize, block: &Arc<Block>, row: usize, judge: &Judge<'_>) {
        let rows = &mut self.relations[relation];
        rows.count += 1;
        if rows.count == 1 {
            rows.first = Some((Arc::clone(block), row));
            return;
        }
        if rows.count == 2 {
            rows.sums = judge.sums();
            if let Some((first, at)) = &rows.first {
                judge.add_to_sums(&mut rows.sums, first, *at);
            }
        }
        judge.add_to_sums(&mut rows.sums, block, row);
    }

    pub(super) fn count(&self, relation: usize) -> u64 {
        self.relations[relation].count
    }

    pub(super) fn first(&self, relation: usize) -> Option<(&Arc<Block>, usize)> {
        self.relations[relation].first.as_ref().map(|(block, row)| (block, *row))
    }

    /// For each column the sum over all rows of a relation.
    pub(super) fn sums(&self, relation: usize, judge: &Judge<'_>) -> Vec<Option<(Sum, i64)>> {
        let rows = &self.relations[relation];
        if rows.count > 1 {
            return rows.sums.clone();
        }
        let mut sums = judge.sums();
        if let Some((first, at)) = &rows.first {
            judge.add_to_sums(&mut sums, first, *at);
        }
        sums
    }

    pub(super) fn places(&self) -> Places<'_> {
        let slot = |rows: &'_ Rows| Slot { count: rows.count, row: rows.first.as_ref().map_or(0, |f| f.1) };
        Places {
            blocks: self.relations.iter().map(|rows| rows.first.as_ref().map(|f| &f.0)).collect(),
            slots: self.relations.iter().map(slot).collect(),
        }
    }
}
