//! The tallies of one range: of the run, of the customers whose rows all stand in the range, and of those at its edges.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use dualrun_core::run::{CustomerReport, CustomerVerdict, PerSide, RowCounts};

use super::{Options, Scope, walk::KeyRange};
use crate::{
    customers::{CustomerLines, customers_batch},
    differences::BatchSink,
    error::CompareError,
    order::Order,
    schema::Common,
    segment::Segment,
    spec::Parts,
    tally::{Largest, Tally, add_rows},
};

/// Lines of customers of one batch that is given to the sink.
const BATCH_LINES: usize = 8192;

/// A customer and what was counted of it.
pub(super) type Entry = (Option<String>, Tally);

/// What was found in one range of the key.
#[derive(Debug)]
pub struct Partial {
    pub(super) keys: KeyRange,
    pub(super) total: Tally,
    /// Customers that may have rows in other ranges, in the order of their first row.
    pub(super) open: Vec<Entry>,
    pub(super) closed: Closed,
    pub(super) excluded_rows: PerSide,
    pub(super) differences: u64,
    pub(super) truncated: bool,
}

pub(super) struct Books<'a> {
    common: &'a Common,
    options: &'a Options,
    plain: bool,
    /// Rows are sorted by customer, so that a customer is complete when the next one begins.
    leading: bool,
    /// Rows are sorted by a hash of the customer, so that customers are complete when the next hash begins.
    grouped: bool,
    group: Option<i64>,
    /// Room of a customer that is complete, for the next.
    spare: Option<Tally>,
    entries: Vec<Entry>,
    /// Where customers stand in `entries`, unless they lead the key.
    positions: HashMap<Option<String>, usize>,
    current: Option<usize>,
    total: Tally,
    closed: Closed,
    sink: Option<&'a mut dyn BatchSink>,
    excluded_rows: PerSide,
    /// The customer that was entered last and is excluded.
    excluded: Option<Option<String>>,
}

impl<'a> Books<'a> {
    pub(super) fn new(
        common: &'a Common,
        parts: Parts,
        options: &'a Options,
        sink: Option<&'a mut dyn BatchSink>,
    ) -> Self {
        Self {
            common,
            options,
            plain: parts.is_plain(),
            leading: options.order == Order::Key && leads(common),
            grouped: options.order == Order::Hash && options.scope == Scope::Customers,
            group: None,
            spare: None,
            entries: Vec::new(),
            positions: HashMap::new(),
            current: None,
            total: Tally::new(common),
            closed: Closed::default(),
            sink,
            excluded_rows: PerSide::default(),
            excluded: None,
        }
    }

    /// Turns to a customer, with what all its rows share of their order values. `false` where it is excluded.
    pub(super) fn enter(&mut self, customer: Option<&str>, group: Option<i64>) -> Result<bool, CompareError> {
        if let Some(current) = self.current
            && self.entries[current].0.as_deref() == customer
        {
            return Ok(true);
        }
        if !self.options.excluded.is_empty() {
            if self.excluded.as_ref().is_some_and(|name| name.as_deref() == customer) {
                return Ok(false);
            }
            let name = customer.map(str::to_owned);
            if self.options.excluded.contains(&name) {
                self.excluded = Some(name);
                return Ok(false);
            }
        }
        let name = customer.map(str::to_owned);
        self.current = Some(if self.leading {
            self.next(name)?
        } else if self.grouped {
            self.find_in_group(name, group)?
        } else {
            self.find(name)
        });
        Ok(true)
    }

    /// Counts rows of the excluded customer that was entered.
    pub(super) fn exclude(&mut self, legacy: u64, new: u64) {
        self.excluded_rows.legacy += legacy;
        self.excluded_rows.new += new;
    }

    /// Adds rows of the customer that was entered.
    pub(super) fn absorb(&mut self, rows: &RowCounts, verdict: CustomerVerdict, segments: &[Segment]) {
        for tally in self.tallies() {
            add_rows(&mut tally.rows, rows);
            tally.worsen(verdict);
            for (column, segment) in segments.iter().enumerate() {
                tally.absorb(column, segment);
            }
        }
    }

    /// Whether cells come, and parts are put together, in the order of their keys: of equal ones the first is the one with
    /// the smallest key then.
    pub(super) fn in_order(&self) -> bool {
        self.options.order == Order::Key && self.options.scope == Scope::Ranges
    }

    pub(super) fn would_lead(&mut self, column: usize, magnitude: Option<f64>) -> bool {
        let order = self.options.order;
        self.tallies().any(|tally| tally.would_lead(column, magnitude, order))
    }

    pub(super) fn lead(&mut self, column: usize, largest: &Arc<Largest>) {
        self.tallies().for_each(|tally| tally.lead(column, largest));
    }

    pub(super) fn finish(
        mut self,
        keys: KeyRange,
        differences: u64,
        truncated: bool,
    ) -> Result<Partial, CompareError> {
        if self.options.scope == Scope::Customers {
            for (name, tally) in std::mem::take(&mut self.entries) {
                self.close(name, &tally)?;
            }
        }
        self.closed.flush(&mut self.sink)?;
        Ok(Partial {
            keys,
            total: self.total,
            open: self.entries,
            closed: self.closed,
            excluded_rows: self.excluded_rows,
            differences,
            truncated,
        })
    }

    /// The tallies of the customer and of the run.
    fn tallies(&mut self) -> impl Iterator<Item = &mut Tally> {
        let entry = self.current.and_then(|current| self.entries.get_mut(current));
        entry.map(|entry| &mut entry.1).into_iter().chain([&mut self.total])
    }

    /// A customer behind the one before, which is complete unless it is the first of the range.
    fn next(&mut self, name: Option<String>) -> Result<usize, CompareError> {
        let kept = match self.options.scope {
            Scope::Ranges => 1,
            Scope::Customers => 0,
            Scope::Keys => usize::MAX,
        };
        let done = if self.entries.len() > kept { self.entries.pop() } else { None };
        let tally = match done {
            Some((done, mut counted)) => {
                self.close(done, &counted)?;
                counted.clear();
                counted
            }
            None => Tally::new(self.common),
        };
        self.entries.push((name, tally));
        Ok(self.entries.len() - 1)
    }

    /// A customer among those that share a hash, hardly ever more than one.
    fn find_in_group(&mut self, name: Option<String>, group: Option<i64>) -> Result<usize, CompareError> {
        if self.group != group {
            self.group = group;
            for (done, counted) in std::mem::take(&mut self.entries) {
                self.close(done, &counted)?;
                self.spare = Some(counted);
            }
        }
        if let Some(known) = self.entries.iter().position(|(known, _)| *known == name) {
            return Ok(known);
        }
        let tally = match self.spare.take() {
            Some(mut tally) => {
                tally.clear();
                tally
            }
            None => Tally::new(self.common),
        };
        self.entries.push((name, tally));
        Ok(self.entries.len() - 1)
    }

    fn find(&mut self, name: Option<String>) -> usize {
        *self.positions.entry(name).or_insert_with_key(|name| {
            self.entries.push((name.clone(), Tally::new(self.common)));
            self.entries.len() - 1
        })
    }

    fn close(&mut self, name: Option<String>, tally: &Tally) -> Result<(), CompareError> {
        self.closed.add(name, tally, self.common, self.plain, self.options.worst_customers, &mut self.sink)
    }
}

/// Whether rows that are sorted by the key are sorted by customer.
pub(super) fn leads(common: &Common) -> bool {
    common.spec.customer.as_ref().is_none_or(|customer| common.spec.key.first() == Some(customer))
}

/// Customers that are complete.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) count: u64,
    worst: Vec<Ranked>,
    /// The last of the worst, once there are as many as are wanted.
    bar: Option<Rank>,
    waiting: CustomerLines,
}

type Ranked = (Rank, CustomerReport);

/// The verdict, gross unexplained and gross difference of a customer.
type Rank = (CustomerVerdict, f64, f64);

impl Closed {
    pub(super) fn add(
        &mut self,
        name: Option<String>,
        tally: &Tally,
        common: &Common,
        plain: bool,
        limit: Option<usize>,
        sink: &mut Option<&mut dyn BatchSink>,
    ) -> Result<(), CompareError> {
        if common.spec.customer.is_none() {
            return Ok(());
        }
        tally.check(common).map_err(|what| CompareError::NotConserved { customer: name.clone(), what })?;
        self.count += 1;
        let (unexplained, gross) = tally.size(plain);
        let rank = (tally.verdict, unexplained, gross);
        if sink.is_some() {
            self.waiting.customer(name.as_deref(), tally.verdict, &tally.rows, tally.lines(common, plain));
        }
        if self.bar.is_none_or(|bar| !by_rank(&rank, &bar).is_gt()) {
            let columns = tally.column_reports(common, plain);
            let report = CustomerReport { customer: name, verdict: tally.verdict, rows: tally.rows, columns };
            self.list((rank, report), limit);
        }
        self.flush_full(sink)
    }

    /// A customer that was not compared.
    pub(super) fn add_report(
        &mut self,
        report: CustomerReport,
        limit: Option<usize>,
        sink: &mut Option<&mut dyn BatchSink>,
    ) -> Result<(), CompareError> {
        self.count += 1;
        if let Some(sink) = sink {
            sink.write(customers_batch(std::slice::from_ref(&report))?).map_err(CompareError::Sink)?;
        }
        self.list(((report.verdict, 0.0, 0.0), report), limit);
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self, limit: Option<usize>) {
        self.count += other.count;
        other.worst.into_iter().for_each(|ranked| self.list(ranked, limit));
    }

    pub(super) fn flush(&mut self, sink: &mut Option<&mut dyn BatchSink>) -> Result<(), CompareError> {
        if let Some(sink) = sink
            && self.waiting.lines > 0
        {
            sink.write(self.waiting.finish(sink.takes_codes())?).map_err(CompareError::Sink)?;
        }
        Ok(())
    }

    /// The worst first.
    pub(super) fn into_worst(mut self, limit: Option<usize>) -> Vec<CustomerReport> {
        self.shorten(limit);
        self.worst.into_iter().map(|(_, report)| report).collect()
    }

    fn flush_full(&mut self, sink: &mut Option<&mut dyn BatchSink>) -> Result<(), CompareError> {
        if self.waiting.lines >= BATCH_LINES { self.flush(sink) } else { Ok(()) }
    }

    fn list(&mut self, ranked: Ranked, limit: Option<usize>) {
        self.worst.push(ranked);
        if limit.is_some_and(|limit| self.worst.len() >= 2 * limit.max(1)) {
            self.shorten(limit);
        }
    }

    fn shorten(&mut self, limit: Option<usize>) {
        self.worst.sort_by(|(a, x), (b, y)| by_rank(a, b).then_with(|| x.customer.cmp(&y.customer)));
        if let Some(limit) = limit
            && self.worst.len() >= limit
        {
            self.worst.truncate(limit);
            self.bar = self.worst.last().map(|(rank, _)| *rank);
        }
    }
}

/// Worst first.
fn by_rank(a: &Rank, b: &Rank) -> Ordering {
    b.0.cmp(&a.0).then_with(|| b.1.total_cmp(&a.1)).then_with(|| b.2.total_cmp(&a.2))
}
