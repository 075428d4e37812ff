//! The comparison: one pass over sorted relations, every cell judged, every row accounted for.

use std::collections::BTreeSet;

use dualrun_core::{
    Verdict, VerdictCounts,
    run::{ColumnKind, ColumnReport, CustomerReport, PerSide, RowCounts},
};

pub use crate::differences::{DifferenceSink, differences_schema};
use crate::{
    differences::Writer,
    error::CompareError,
    merge::{Group, KeyedMerge},
    schema::Common,
    spec::{Parts, Relation},
    tally::{Tallies, Tally, not_comparable},
};

mod cells;
mod rows;

use cells::Reader;

/// How a comparison is carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Customers that are not comparable: their rows leave all counts.
    pub excluded: BTreeSet<Option<String>>,
    /// Store no more differences than this; counts and sums are complete all the same.
    pub max_differences: Option<u64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Rows of the run, without those of excluded customers.
    pub rows: RowCounts,
    /// Compared columns in order, then those on one side only.
    pub columns: Vec<ColumnReport>,
    /// All customers, worst first: by verdict, gross unexplained, gross difference (sums over the measures), name.
    /// Empty where no customer column is named.
    pub customers: Vec<CustomerReport>,
    /// Differences that were given to the sink.
    pub differences: u64,
    /// Whether the cap on differences left some out.
    pub truncated: bool,
    /// Rows of excluded customers.
    pub excluded_rows: PerSide,
}

/// Compares relations that have `common.schema` and are sorted by the key, ascending, nulls first. Differences go
/// to the sink in the order of the key. One batch of each relation is held at a time.
///
/// # Errors
/// A relation that cannot be read, is out of order or has another schema; a sink that refuses; a sum beyond 256 bits;
/// counts that do not add up, which would be a mistake in this crate.
pub fn compare<E>(
    common: &Common,
    parts: Parts,
    relations: Vec<Relation<E>>,
    options: &Options,
    sink: &mut dyn DifferenceSink,
) -> Result<Comparison, CompareError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check_parts(&parts, relations.len())?;
    let mut run = Run {
        reader: Reader::new(common, relations.len()),
        common,
        parts,
        tallies: Tallies::default(),
        writer: Writer::new(common, options.max_differences, sink),
        excluded_rows: PerSide::default(),
        last: None,
    };
    let mut merge = KeyedMerge::new(relations, &common.spec.key);
    let mut group = Group::default();
    while merge.next_into(&mut group)? {
        run.key(&group, options)?;
    }
    run.writer.flush()?;
    run.finish(options)
}

/// The state of one comparison.
struct Run<'a> {
    reader: Reader<'a>,
    common: &'a Common,
    parts: Parts,
    tallies: Tallies,
    writer: Writer<'a>,
    excluded_rows: PerSide,
    /// The customer of the last key, and whether it is excluded.
    last: Option<(Option<String>, bool)>,
}

impl Run<'_> {
    /// Judges all rows of one key.
    fn key(&mut self, group: &Group, options: &Options) -> Result<(), CompareError> {
        let (legacy, new) = (group.rows[self.parts.legacy].len(), group.rows[self.parts.new].len());
        if legacy + new == 0 {
            return Ok(());
        }
        self.reader.prepare(group)?;
        let owner = if legacy > 0 { self.parts.legacy } else { self.parts.new };
        let (customer, null_key) = self.reader.owner(group, owner)?;
        if is_excluded(&mut self.last, customer.as_deref(), options) {
            self.excluded_rows.legacy += legacy as u64;
            self.excluded_rows.new += new as u64;
            return Ok(());
        }
        let position = self.tallies.position(customer.as_deref(), self.common);
        let tally = &mut self.tallies.tallies[position];
        tally.rows.legacy += legacy as u64;
        tally.rows.new += new as u64;
        if null_key {
            tally.rows.null_keys += (legacy + new) as u64;
        }
        let mut row = rows::Row {
            reader: &mut self.reader,
            common: self.common,
            parts: &self.parts,
            tally,
            writer: &mut self.writer,
            group,
        };
        match (legacy, new) {
            (1, 1) => row.paired(),
            (1, 0) => row.one_sided(true),
            (0, 1) => row.one_sided(false),
            _ => row.ambiguous(),
        }
    }

    fn finish(self, options: &Options) -> Result<Comparison, CompareError> {
        let mut total = Tally::new(self.common);
        for (name, tally) in self.tallies.iter() {
            tally
                .check(self.common)
                .map_err(|what| CompareError::NotConserved { customer: name.clone(), what })?;
            total.merge(tally, self.common)?;
        }
        total.check(self.common).map_err(|what| CompareError::NotConserved { customer: None, what })?;
        let mut columns = total.column_reports(self.common)?;
        let one_sided = [
            (&self.common.legacy_only, ColumnKind::LegacyOnly),
            (&self.common.new_only, ColumnKind::NewOnly),
        ];
        for (names, kind) in one_sided {
            columns.extend(names.iter().map(|name| listed(name, kind)));
        }
        Ok(Comparison {
            rows: total.rows,
            columns,
            customers: self.customers(options)?,
            differences: self.writer.written,
            truncated: self.writer.truncated,
            excluded_rows: self.excluded_rows,
        })
    }

    fn customers(&self, options: &Options) -> Result<Vec<CustomerReport>, CompareError> {
        if self.common.spec.customer.is_none() {
            return Ok(Vec::new());
        }
        let mut customers = Vec::with_capacity(self.tallies.tallies.len() + options.excluded.len());
        for (name, tally) in self.tallies.iter() {
            customers.push(CustomerReport {
                customer: name.clone(),
                verdict: tally.verdict,
                rows: tally.rows,
                columns: tally.column_reports(self.common)?,
            });
        }
        for name in &options.excluded {
            customers.push(not_comparable(name.clone(), self.common)?);
        }
        let size = |customer: &CustomerReport| {
            let sum = |of: fn(&ColumnReport) -> &Option<dualrun_core::run::figures::Figure>| -> f64 {
                customer.columns.iter().filter_map(|c| of(c).as_ref()).map(|f| f.to_f64()).sum()
            };
            (sum(|c| &c.gross_unexplained), sum(|c| &c.gross_difference))
        };
        let mut ranked: Vec<_> = customers.into_iter().map(|c| (size(&c), c)).collect();
        ranked.sort_by(|(a, x), (b, y)| {
            (y.verdict.cmp(&x.verdict))
                .then_with(|| b.0.total_cmp(&a.0))
                .then_with(|| b.1.total_cmp(&a.1))
                .then_with(|| x.customer.cmp(&y.customer))
        });
        Ok(ranked.into_iter().map(|(_, customer)| customer).collect())
    }
}

/// Rows sorted by customer ask the set once a customer.
fn is_excluded(last: &mut Option<(Option<String>, bool)>, customer: Option<&str>, options: &Options) -> bool {
    if options.excluded.is_empty() {
        return false;
    }
    match last {
        Some((name, excluded)) if name.as_deref() == customer => *excluded,
        _ => {
            let name = customer.map(str::to_owned);
            let excluded = options.excluded.contains(&name);
            *last = Some((name, excluded));
            excluded
        }
    }
}

fn check_parts(parts: &Parts, relations: usize) -> Result<(), CompareError> {
    let all = [
        parts.legacy,
        parts.new,
        parts.new_without,
        parts.legacy_with,
        parts.new_approved,
        parts.legacy_approved,
        parts.new_accepted,
        parts.legacy_accepted,
    ];
    match all.into_iter().find(|part| *part >= relations) {
        Some(part) => Err(CompareError::UnknownPart { part, relations }),
        None => Ok(()),
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
    }
}

/// Whether a difference of this verdict is stored.
fn is_stored(verdict: Verdict) -> bool {
    verdict > Verdict::WithinTolerance
}
