//! Access to the cells of all relations.

use std::borrow::Cow;

use crate::{
    cell::{View, attribute_difference},
    error::CompareError,
    measure::{Num, agreement},
    merge::{Group, RowRef},
    schema::Common,
    spec::CompareKind,
    text::value_text,
    verdict::Agreement,
};

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

    /// As a float: absent is 0; null, unknown and what is not finite are none.
    pub(super) fn to_f64(self, scale: i8) -> Option<f64> {
        match self {
            Self::Absent => Some(0.0),
            Self::Unknown | Self::Value(Num::Null) => None,
            Self::Value(value) => value.to_f64(scale),
        }
    }
}

/// The typed batches that the rows of the current key stand in, one a relation.
pub(super) struct Reader<'a> {
    common: &'a Common,
    views: Vec<Option<View>>,
    scratch: (Vec<u8>, Vec<u8>),
}

impl<'a> Reader<'a> {
    pub(super) fn new(common: &'a Common, relations: usize) -> Self {
        Self {
            common,
            views: std::iter::repeat_with(|| None).take(relations).collect(),
            scratch: (Vec::new(), Vec::new()),
        }
    }

    /// Makes the first row of each relation readable.
    pub(super) fn prepare(&mut self, group: &Group) -> Result<(), CompareError> {
        for (relation, rows) in group.rows.iter().enumerate() {
            if let Some(row) = rows.first() {
                self.view(relation, row)?;
            }
        }
        Ok(())
    }

    /// The batch of a row, typed.
    pub(super) fn view(&mut self, relation: usize, row: &RowRef) -> Result<&View, CompareError> {
        let slot = &mut self.views[relation];
        match slot.take() {
            Some(view) if view.is_of(row) => Ok(slot.insert(view)),
            _ => Ok(slot.insert(View::new(relation, &row.batch, self.common)?)),
        }
    }

    /// The customer of a key, and whether a part of the key is null.
    pub(super) fn owner(
        &self,
        group: &Group,
        relation: usize,
    ) -> Result<(Option<Cow<'_, str>>, bool), CompareError> {
        match (group.rows[relation].first(), &self.views[relation]) {
            (Some(row), Some(view)) => Ok((view.customer(row.row)?, view.has_null_key(row.row))),
            _ => Ok((None, false)),
        }
    }

    /// The value of a measure.
    pub(super) fn cell(&self, group: &Group, relation: usize, column: usize) -> Cell {
        match (group.rows[relation].as_slice(), &self.views[relation]) {
            ([row], Some(view)) => Cell::Value(view.number(column, row.row)),
            ([], _) => Cell::Absent,
            _ => Cell::Unknown,
        }
    }

    /// What the cells of a column are to each other in two relations, and the kind of the difference of an attribute.
    pub(super) fn agreement(
        &mut self,
        group: &Group,
        column: usize,
        scale: i8,
        (a, b): (usize, usize),
    ) -> Result<(Agreement, Option<&'static str>), CompareError> {
        let (left, right) = (&group.rows[a], &group.rows[b]);
        if left.len() > 1 || right.len() > 1 {
            return Ok((Agreement::Unknown, None));
        }
        if a == b {
            return Ok((Agreement::Equal, None));
        }
        let (Some(x), Some(y)) = (left.first(), right.first()) else {
            let alike = left.is_empty() && right.is_empty();
            return Ok(if alike { (Agreement::Equal, None) } else { (Agreement::Differs, Some("presence")) });
        };
        let (Some(left), Some(right)) = (&self.views[a], &self.views[b]) else {
            return Ok((Agreement::Unknown, None));
        };
        if let CompareKind::Measure { tolerance, .. } = self.common.spec.columns[column].kind {
            let (l, n) = (left.number(column, x.row), right.number(column, y.row));
            return Ok((agreement(l, n, scale, tolerance), None));
        }
        let (Some((_, l)), Some((_, n))) = (left.attribute(column), right.attribute(column)) else {
            return Ok((Agreement::Unknown, None));
        };
        Ok(match attribute_difference((l, x.row), (n, y.row), &mut self.scratch)? {
            None => (Agreement::Equal, None),
            kind => (Agreement::Differs, kind),
        })
    }

    /// The text of an attribute; none for null and where the relation has no single row.
    pub(super) fn attribute_text(
        &self,
        group: &Group,
        relation: usize,
        column: usize,
    ) -> Result<Option<String>, CompareError> {
        match (group.single(relation), &self.views[relation]) {
            (Some(row), Some(view)) => match view.attribute(column) {
                Some((array, _)) => Ok(value_text(array, row.row)?),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }
}
