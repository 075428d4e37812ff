//! Ranges that were compared apart, made one result.

use std::collections::HashMap;

use dualrun_core::{
    VerdictCounts,
    run::{ColumnKind, ColumnReport, PerSide},
};

use super::{
    Comparison, Options, Scope,
    books::{Closed, Entry, Partial, leads},
};
use crate::{
    differences::BatchSink,
    error::CompareError,
    schema::Common,
    spec::Parts,
    tally::{Tally, not_comparable},
};

/// Takes the partial results of ranges, in the order of their keys, and gives the whole.
pub struct Fold<'a> {
    common: &'a Common,
    options: &'a Options,
    plain: bool,
    total: Tally,
    open: Vec<Entry>,
    positions: HashMap<Option<String>, usize>,
    closed: Closed,
    excluded_rows: PerSide,
    differences: u64,
    truncated: bool,
    last_key: Option<Vec<u8>>,
}

impl std::fmt::Debug for Fold<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fold").field("rows", &self.total.rows).finish_non_exhaustive()
    }
}

impl<'a> Fold<'a> {
    /// Nothing yet.
    pub fn new(common: &'a Common, parts: Parts, options: &'a Options) -> Self {
        Self {
            common,
            options,
            plain: parts.is_plain(),
            total: Tally::new(common),
            open: Vec::new(),
            positions: HashMap::new(),
            closed: Closed::default(),
            excluded_rows: PerSide::default(),
            differences: 0,
            truncated: false,
            last_key: None,
        }
    }

    /// Adds a part of the rows. Ranges are added in the order of their keys, which is checked; parts that were split by
    /// customer or by key in any order. Customers that turn out to be complete go to the sink.
    ///
    /// # Errors
    /// A range that does not follow the one before: the relations are not sorted; otherwise as
    /// [`super::compare_range`].
    pub fn add(
        &mut self,
        partial: Partial,
        mut customers: Option<&mut dyn BatchSink>,
    ) -> Result<(), CompareError> {
        if self.options.scope == Scope::Ranges
            && let Some((first, last)) = &partial.keys
        {
            if self.last_key.as_ref().is_some_and(|before| before >= first) {
                return Err(CompareError::RangesOverlap);
            }
            self.last_key = Some(last.clone());
        }
        self.total.merge(&partial.total);
        self.closed.merge(partial.closed, self.options.worst_customers);
        self.excluded_rows.legacy += partial.excluded_rows.legacy;
        self.excluded_rows.new += partial.excluded_rows.new;
        self.differences += partial.differences;
        self.truncated |= partial.truncated;
        for (name, tally) in partial.open {
            self.enter(name, tally, &mut customers)?;
        }
        self.closed.flush(&mut customers)
    }

    /// The whole result.
    ///
    /// # Errors
    /// A sink that refuses, and counts that do not add up.
    pub fn finish(mut self, mut customers: Option<&mut dyn BatchSink>) -> Result<Comparison, CompareError> {
        for (name, tally) in std::mem::take(&mut self.open) {
            self.close(name, &tally, &mut customers)?;
        }
        if self.common.spec.customer.is_some() {
            for name in &self.options.excluded {
                let report = not_comparable(name.clone(), self.common);
                self.closed.add_report(report, self.options.worst_customers, &mut customers)?;
            }
        }
        self.closed.flush(&mut customers)?;
        self.total.check(self.common).map_err(|what| CompareError::NotConserved { customer: None, what })?;
        let mut columns = self.total.column_reports(self.common, self.plain);
        let one_sided = [
            (&self.common.legacy_only, ColumnKind::LegacyOnly),
            (&self.common.new_only, ColumnKind::NewOnly),
        ];
        for (names, kind) in one_sided {
            columns.extend(names.iter().map(|name| listed(name, kind)));
        }
        Ok(Comparison {
            rows: self.total.rows,
            columns,
            customers_total: self.closed.count,
            customers: self.closed.into_worst(self.options.worst_customers),
            differences: self.differences,
            truncated: self.truncated,
            excluded_rows: self.excluded_rows,
        })
    }

    fn enter(
        &mut self,
        name: Option<String>,
        tally: Tally,
        sink: &mut Option<&mut dyn BatchSink>,
    ) -> Result<(), CompareError> {
        if !leads(self.common) || self.options.scope != Scope::Ranges {
            if let Some(position) = self.positions.get(&name) {
                self.open[*position].1.merge(&tally);
                return Ok(());
            }
            self.positions.insert(name.clone(), self.open.len());
            self.open.push((name, tally));
            return Ok(());
        }
        match self.open.last_mut() {
            Some((before, known)) if *before == name => known.merge(&tally),
            _ => {
                if let Some((before, known)) = self.open.pop() {
                    self.close(before, &known, sink)?;
                }
                self.open.push((name, tally));
            }
        }
        Ok(())
    }

    fn close(
        &mut self,
        name: Option<String>,
        tally: &Tally,
        sink: &mut Option<&mut dyn BatchSink>,
    ) -> Result<(), CompareError> {
        self.closed.add(name, tally, self.common, self.plain, self.options.worst_customers, sink)
    }
}

/// A column on one side only.
fn listed(name: &str, kind: ColumnKind) -> ColumnReport {
    ColumnReport {
        name: name.to_owned(),
        kind,
        unit: None,
        verdicts: VerdictCounts::default(),
        legacy_total: None,
        new_total: None,
        net_difference: None,
        gross_difference: None,
        gross_unexplained: None,
        max_relative: None,
        not_finite: 0,
        offsetting: false,
        largest: None,
    }
}
