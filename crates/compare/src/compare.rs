//! The comparison: one pass over sorted relations, every cell judged, every row accounted for.
//!
//! Rows whose keys line up in all relations are compared whole stretches at a time, column by column; the others key by
//! key. Ranges of the key can be compared apart, on several threads: each gives a [`Partial`], and a [`Fold`] makes one
//! [`Comparison`] of them. Neither changes a verdict, a count or a sum.

use std::collections::BTreeSet;

use dualrun_core::run::{ColumnReport, CustomerReport, PerSide, RowCounts};

pub use crate::differences::{BatchSink, differences_schema};
use crate::{
    differences::Writer,
    error::CompareError,
    order::Order,
    schema::Common,
    spec::{Parts, Relation},
};

mod books;
mod cells;
mod chunk;
mod floats;
mod fold;
mod group;
mod judge;
mod marks;
mod stretch;
mod walk;

pub use books::Partial;
pub use fold::Fold;

use books::Books;
use judge::Judge;
use walk::Walk;

/// How a comparison is carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Customers that are not comparable: their rows leave all counts.
    pub excluded: BTreeSet<Option<String>>,
    /// Store no more differences than this; counts and sums are complete all the same.
    pub max_differences: Option<u64>,
    /// Report no more customers than this, the worst; all where none.
    pub worst_customers: Option<usize>,
    /// Where else the customers of some rows may have rows.
    pub scope: Scope,
    /// How the rows are ordered. What is found does not depend on it.
    pub order: Order,
}

/// How the rows of a comparison that is done in parts are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// By ranges of the key: where it begins with the customer, only the first and the last customer of a range have rows
    /// in another one.
    #[default]
    Ranges,
    /// By customer: none has rows in another part.
    Customers,
    /// By key: any customer may have rows in any part.
    Keys,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Rows of the run, without those of excluded customers.
    pub rows: RowCounts,
    /// Compared columns in order, then those on one side only.
    pub columns: Vec<ColumnReport>,
    /// The worst customers, or all, worst first: by verdict, gross unexplained, gross difference (sums over the
    /// measures), name. Empty where no customer column is named.
    pub customers: Vec<CustomerReport>,
    /// How many customers there are.
    pub customers_total: u64,
    /// Rows that were given to the sink of the differences.
    pub differences: u64,
    /// Whether the cap on differences left some out.
    pub truncated: bool,
    /// Rows of excluded customers.
    pub excluded_rows: PerSide,
}

/// Compares relations that have `common.schema`, texts also as views, and are sorted by the key, ascending, nulls first.
/// Differences go to the sink in the order of the key. One batch of each relation is held at a time.
///
/// # Errors
/// A relation that cannot be read, is out of order or has another schema; a sink that refuses; counts that do not add up, which would be a mistake in this crate.
pub fn compare<E>(
    common: &Common,
    parts: Parts,
    relations: Vec<Relation<E>>,
    options: &Options,
    sink: &mut dyn BatchSink,
) -> Result<Comparison, CompareError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut fold = Fold::new(common, parts, options);
    fold.add(compare_range(common, parts, relations, options, sink, None)?, None)?;
    fold.finish(None)
}

/// Compares one range of the key, as [`compare()`] does. Customers that are complete go to their sink as
/// [`crate::customers_batch`] gives them; those at the edges of the range stay in the partial result.
///
/// # Errors
/// As [`compare()`].
pub fn compare_range<'a, E>(
    common: &'a Common,
    parts: Parts,
    relations: Vec<Relation<E>>,
    options: &'a Options,
    differences: &'a mut dyn BatchSink,
    customers: Option<&'a mut dyn BatchSink>,
) -> Result<Partial, CompareError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check_parts(&parts, relations.len())?;
    let books = Books::new(common, parts, options, customers);
    let writer = Writer::new(common, &parts, options.max_differences, differences);
    let mut judge = Judge::new(common, parts, relations.len(), options.order, books, writer);
    let mut walk = Walk::new(common, options.order, relations)?;
    walk.run(&mut judge)?;
    judge.finish(walk.last_key()?)
}

fn check_parts(parts: &Parts, relations: usize) -> Result<(), CompareError> {
    match parts.all().into_iter().find(|part| *part >= relations) {
        Some(part) => Err(CompareError::UnknownPart { part, relations }),
        None => Ok(()),
    }
}
