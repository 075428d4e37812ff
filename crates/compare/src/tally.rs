//! Counts and sums of one customer.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use dualrun_core::{
    Verdict, VerdictCounts,
    run::{ColumnKind, ColumnReport, CustomerReport, CustomerVerdict, PerSide, RowCounts, figures::Figure},
};

use crate::{
    error::CompareError,
    measure::{Class, Num, Sum, agreement, relative, scale_of},
    schema::Common,
    spec::{CompareColumn, CompareKind},
    verdict::Agreement,
};

/// A net difference hides offsetting errors where it is at most this share of the gross difference.
const OFFSETTING_SHARE: f64 = 0.01;

/// The accumulators of one customer, or of the run.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) rows: RowCounts,
    pub(crate) columns: Vec<Stats>,
    /// The worst that was said of a row.
    pub(crate) verdict: CustomerVerdict,
}

/// The accumulators of one column.
#[derive(Debug, Clone)]
pub(crate) struct Stats {
    pub(crate) verdicts: VerdictCounts,
    /// None for an attribute.
    pub(crate) figures: Option<Figures>,
}

/// The sums of a measure.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    legacy: Sum,
    new: Sum,
    gross: Sum,
    unexplained: Sum,
    max_relative: f64,
    not_finite: u64,
    /// Some cell lies beyond tolerance.
    beyond: bool,
    scale: i8,
}

impl Tally {
    pub(crate) fn new(common: &Common) -> Self {
        let stats = |column: &CompareColumn| Stats {
            verdicts: VerdictCounts::default(),
            figures: match column.kind {
                CompareKind::Measure { .. } => {
                    common.schema.field_with_name(&column.name).ok().map(|f| Figures::new(f.data_type()))
                }
                CompareKind::Attribute => None,
            },
        };
        Self {
            rows: RowCounts::default(),
            columns: common.spec.columns.iter().map(stats).collect(),
            verdict: CustomerVerdict::Equal,
        }
    }

    pub(crate) fn worsen(&mut self, verdict: CustomerVerdict) {
        self.verdict = self.verdict.max(verdict);
    }

    /// Adds the counts and sums of another.
    pub(crate) fn merge(&mut self, other: &Self, common: &Common) -> Result<(), CompareError> {
        add_rows(&mut self.rows, &other.rows);
        self.worsen(other.verdict);
        for ((mine, theirs), column) in self.columns.iter_mut().zip(&other.columns).zip(&common.spec.columns)
        {
            mine.verdicts += theirs.verdicts;
            if let (Some(mine), Some(theirs)) = (&mut mine.figures, &theirs.figures) {
                mine.merge(theirs).ok_or_else(|| CompareError::Overflow { column: column.name.clone() })?;
            }
        }
        Ok(())
    }

    /// The laws of conservation: of rows, and cells = sum of the verdicts.
    pub(crate) fn check(&self, common: &Common) -> Result<(), String> {
        self.rows.conserved()?;
        for (stats, column) in self.columns.iter().zip(&common.spec.columns) {
            if stats.verdicts.total() != self.rows.paired {
                return Err(format!(
                    "{} paired rows, but {} cells of {:?}",
                    self.rows.paired,
                    stats.verdicts.total(),
                    column.name
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn column_reports(&self, common: &Common) -> Result<Vec<ColumnReport>, CompareError> {
        self.columns.iter().zip(&common.spec.columns).map(|(stats, column)| stats.report(column)).collect()
    }
}

impl Stats {
    fn report(&self, column: &CompareColumn) -> Result<ColumnReport, CompareError> {
        let mut report = ColumnReport {
            name: column.name.clone(),
            kind: ColumnKind::Attribute,
            unit: None,
            verdicts: self.verdicts,
            legacy_total: None,
            new_total: None,
            net_difference: None,
            gross_difference: None,
            gross_unexplained: None,
            max_relative: None,
            not_finite: 0,
            offsetting: false,
        };
        if let CompareKind::Measure { unit, .. } = &column.kind {
            report.kind = ColumnKind::Measure;
            report.unit = unit.as_ref().map(|u| u.as_str().to_owned());
        }
        if let Some(figures) = &self.figures {
            let mut net = figures.new.clone();
            net.merge(&figures.legacy, true)
                .ok_or_else(|| CompareError::Overflow { column: column.name.clone() })?;
            let scale = figures.scale;
            let gross = figures.gross.to_f64(scale);
            report.legacy_total = Some(figures.legacy.figure(scale));
            report.new_total = Some(figures.new.figure(scale));
            report.offsetting =
                figures.beyond && gross > 0.0 && net.to_f64(scale).abs() <= OFFSETTING_SHARE * gross;
            report.net_difference = Some(net.figure(scale));
            report.gross_difference = Some(figures.gross.figure(scale));
            report.gross_unexplained = Some(figures.unexplained.figure(scale));
            report.max_relative = Some(Figure::from_f64(figures.max_relative));
            report.not_finite = figures.not_finite;
        }
        Ok(report)
    }
}

impl Figures {
    fn new(data_type: &DataType) -> Self {
        let zero = Sum::zero(data_type);
        Self {
            legacy: zero.clone(),
            new: zero.clone(),
            gross: zero.clone(),
            unexplained: zero,
            max_relative: 0.0,
            not_finite: 0,
            beyond: false,
            scale: scale_of(data_type),
        }
    }

    /// Adds a value to the total of a side. `None` on overflow, as below.
    pub(crate) fn total(&mut self, is_new: bool, value: Num) -> Option<()> {
        if matches!(value.class(), Class::NotANumber | Class::Infinite { .. }) {
            self.not_finite += 1;
        }
        if is_new { self.new.add(value, false) } else { self.legacy.add(value, false) }
    }

    /// Adds what a cell differs by; a side that lacks the row counts as null, which counts 0.
    pub(crate) fn gap(&mut self, legacy: Num, new: Num) -> Option<()> {
        if legacy == new { Some(()) } else { self.gross.add_gap(legacy, new) }
    }

    /// Adds |U|, between w(all) and v(∅).
    pub(crate) fn unexplained(&mut self, with: Num, without: Num) -> Option<()> {
        if with == without { Some(()) } else { self.unexplained.add_gap(with, without) }
    }

    /// Takes note of the relative difference of a paired cell, and of whether it lies beyond tolerance.
    pub(crate) fn paired(&mut self, legacy: Num, new: Num, agreement: Agreement) {
        if agreement != Agreement::Equal
            && let Some(relative) = relative(legacy, new, self.scale)
        {
            self.max_relative = self.max_relative.max(relative);
        }
        self.beyond |= agreement == Agreement::Differs;
    }

    /// Takes note of whether a row on one side only lies beyond tolerance; the other side counts 0.
    pub(crate) fn one_sided(&mut self, column: &CompareColumn, legacy: Num, new: Num) {
        if let CompareKind::Measure { tolerance, .. } = column.kind {
            let zero = |v: Num, other: Num| match (v, other) {
                (Num::Null, Num::Whole(_)) => Num::Whole(arrow::datatypes::i256::ZERO),
                (Num::Null, Num::Float(_)) => Num::Float(0.0),
                (Num::Null, Num::Exact(..)) => Num::Exact(0.0, 0.0),
                (v, _) => v,
            };
            let (l, n) = (zero(legacy, new), zero(new, legacy));
            self.beyond |= agreement(l, n, self.scale, tolerance) == Agreement::Differs;
        }
    }

    /// Adds the sums of an ambiguous key: its gross difference is |Σn − Σl|, its U likewise.
    pub(crate) fn ambiguous(&mut self, legacy: &Sum, new: &Sum, with: &Sum, without: &Sum) -> Option<()> {
        let gap = |a: &Sum, b: &Sum| {
            let mut gap = b.clone();
            gap.merge(a, true).map(|()| gap)
        };
        let gross = gap(legacy, new)?;
        self.beyond |= gross.to_f64(self.scale) != 0.0;
        self.gross.merge_magnitude(&gross)?;
        self.unexplained.merge_magnitude(&gap(with, without)?)
    }

    pub(crate) fn scale(&self) -> i8 {
        self.scale
    }

    fn merge(&mut self, other: &Self) -> Option<()> {
        self.legacy.merge(&other.legacy, false)?;
        self.new.merge(&other.new, false)?;
        self.gross.merge(&other.gross, false)?;
        self.unexplained.merge(&other.unexplained, false)?;
        self.max_relative = self.max_relative.max(other.max_relative);
        self.not_finite += other.not_finite;
        self.beyond |= other.beyond;
        Some(())
    }
}

fn add_rows(rows: &mut RowCounts, other: &RowCounts) {
    rows.legacy += other.legacy;
    rows.new += other.new;
    rows.paired += other.paired;
    rows.verdicts += other.verdicts;
    rows.only_legacy += other.only_legacy;
    rows.only_new += other.only_new;
    rows.ambiguous_key.legacy += other.ambiguous_key.legacy;
    rows.ambiguous_key.new += other.ambiguous_key.new;
    rows.null_keys += other.null_keys;
    rows.one_sided.explained += other.one_sided.explained;
    rows.one_sided.pending += other.one_sided.pending;
    rows.one_sided.unexplained += other.one_sided.unexplained;
}

/// The tallies of all customers; of one nameless customer where none is declared.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    positions: HashMap<String, usize>,
    null: Option<usize>,
    names: Vec<Option<String>>,
    pub(crate) tallies: Vec<Tally>,
    last: Option<usize>,
}

impl Tallies {
    /// The position of a customer's tally. Rows sorted by customer find it without a look-up.
    pub(crate) fn position(&mut self, customer: Option<&str>, common: &Common) -> usize {
        if let Some(last) = self.last
            && self.names[last].as_deref() == customer
        {
            return last;
        }
        let known = match customer {
            Some(name) => self.positions.get(name).copied(),
            None => self.null,
        };
        let position = known.unwrap_or_else(|| {
            let position = self.names.len();
            self.names.push(customer.map(str::to_owned));
            self.tallies.push(Tally::new(common));
            match customer {
                Some(name) => {
                    self.positions.insert(name.to_owned(), position);
                }
                None => self.null = Some(position),
            }
            position
        });
        self.last = Some(position);
        position
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Option<String>, &Tally)> {
        self.names.iter().zip(&self.tallies)
    }
}

/// A customer whose cells were not compared.
pub(crate) fn not_comparable(
    customer: Option<String>,
    common: &Common,
) -> Result<CustomerReport, CompareError> {
    let empty = Tally::new(common);
    Ok(CustomerReport {
        customer,
        verdict: CustomerVerdict::NotComparable,
        rows: empty.rows,
        columns: empty.column_reports(common)?,
    })
}

/// Counts a row on one side only.
pub(crate) fn count_one_sided(rows: &mut RowCounts, verdict: Verdict) {
    match verdict {
        Verdict::Explained => rows.one_sided.explained += 1,
        Verdict::Pending => rows.one_sided.pending += 1,
        _ => rows.one_sided.unexplained += 1,
    }
}

/// Counts rows whose key occurs more than once.
pub(crate) fn count_ambiguous(counts: &mut PerSide, legacy: u64, new: u64) {
    counts.legacy += legacy;
    counts.new += new;
}
