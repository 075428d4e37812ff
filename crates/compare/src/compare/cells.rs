//! The cells of one row in all relations.

use std::sync::Arc;

use crate::{
    block::{Block, attributes_equal},
    error::CompareError,
    measure::{Num, agreement},
    schema::Common,
    spec::CompareKind,
    verdict::Agreement,
};

/// Where each relation has the row.
#[derive(Debug)]
pub(super) struct Places<'b> {
    pub(super) blocks: Vec<Option<&'b Arc<Block>>>,
    pub(super) slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// How often the relation has the key.
    pub(super) count: u64,
    /// The position in its block of the only row.
    pub(super) row: usize,
}

/// The value of a measure in one relation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// The relation lacks the row.
    Absent,
    /// The relation has the key more than once.
    Unknown,
    Value(Num),
}

impl Cell {
    /// An absent or unknown value counts as null, which counts 0.
    pub(super) fn number(self) -> Num {
        match self {
            Self::Value(value) => value,
            Self::Absent | Self::Unknown => Num::Null,
        }
    }
}

impl<'b> Places<'b> {
    /// The only row of a relation.
    pub(super) fn single(&self, relation: usize) -> Option<(&'b Arc<Block>, usize)> {
        match (self.blocks[relation], self.slots[relation]) {
            (Some(block), Slot { count: 1, row }) => Some((block, row)),
            _ => None,
        }
    }

    /// The value of a measure.
    pub(super) fn cell(&self, relation: usize, column: usize) -> Cell {
        match (self.single(relation), self.slots[relation].count) {
            (Some((block, row)), _) => Cell::Value(block.number(column, row)),
            (None, 0) => Cell::Absent,
            (None, _) => Cell::Unknown,
        }
    }

    /// What the cells of a column are to each other in two relations.
    pub(super) fn agreement(
        &self,
        common: &Common,
        column: usize,
        scale: i8,
        (a, b): (usize, usize),
        scratch: &mut (Vec<u8>, Vec<u8>),
    ) -> Result<Agreement, CompareError> {
        let counts = (self.slots[a].count, self.slots[b].count);
        if counts.0 > 1 || counts.1 > 1 {
            return Ok(Agreement::Unknown);
        }
        if a == b {
            return Ok(Agreement::Equal);
        }
        let (Some((left, x)), Some((right, y))) = (self.single(a), self.single(b)) else {
            return Ok(if counts.0 == counts.1 { Agreement::Equal } else { Agreement::Differs });
        };
        if let CompareKind::Measure { tolerance, .. } = common.spec.columns[column].kind {
            return Ok(agreement(left.number(column, x), right.number(column, y), scale, tolerance));
        }
        let (Some(l), Some(n)) = (left.attribute(column), right.attribute(column)) else {
            return Ok(Agreement::Unknown);
        };
        let equal = attributes_equal((l, x), (n, y), scratch)?;
        Ok(if equal { Agreement::Equal } else { Agreement::Differs })
    }
}
