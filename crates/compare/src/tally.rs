//! Counts and sums of one customer, or of the run.

use std::sync::Arc;

use arrow::datatypes::DataType;
use dualrun_core::{
    Verdict, VerdictCounts,
    run::{ColumnKind, ColumnReport, CustomerReport, CustomerVerdict, LargestDifference, PerSide, RowCounts},
};

use crate::{
    customers::{Line, Shown},
    measure::{Sum, scale_of},
    order::Order,
    schema::Common,
    segment::{Segment, SegmentFigures},
    spec::{CompareColumn, CompareKind},
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
    figures: Option<Figures>,
    largest: Option<Arc<Largest>>,
}

/// The cell that differs most.
#[derive(Debug)]
pub(crate) struct Largest {
    /// |new − legacy|; none of an attribute and where a side is not finite.
    pub(crate) magnitude: Option<f64>,
    /// The key in Arrow's row format: of equal cells the one with the smallest key is kept, in whatever order they come.
    /// Empty where they come in the order of their keys.
    pub(crate) order: Vec<u8>,
    pub(crate) report: LargestDifference,
}

/// The sums of a measure; new is Σ legacy + Σ delta. Without changes |U| is the gross difference and is not added up.
#[derive(Debug, Clone)]
struct Figures {
    legacy: Sum,
    delta: Sum,
    gross: Sum,
    unexplained: Sum,
    max_relative: f64,
    not_finite: i64,
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
            largest: None,
        };
        Self {
            rows: RowCounts::default(),
            columns: common.spec.columns.iter().map(stats).collect(),
            verdict: CustomerVerdict::Equal,
        }
    }

    /// Back to nothing, keeping the room.
    pub(crate) fn clear(&mut self) {
        self.rows = RowCounts::default();
        self.verdict = CustomerVerdict::Equal;
        for stats in &mut self.columns {
            stats.verdicts = VerdictCounts::default();
            stats.largest = None;
            if let Some(figures) = &mut stats.figures {
                figures.clear();
            }
        }
    }

    pub(crate) fn worsen(&mut self, verdict: CustomerVerdict) {
        self.verdict = self.verdict.max(verdict);
    }

    /// Adds what a part of the rows says of a column.
    pub(crate) fn absorb(&mut self, column: usize, segment: &Segment) {
        let stats = &mut self.columns[column];
        stats.verdicts += segment.verdicts;
        if let (Some(figures), Some(part)) = (&mut stats.figures, &segment.figures) {
            figures.absorb(part);
        }
    }

    /// Whether a cell with this |new − legacy| might become the largest of its column. Where rows come in the order of
    /// their keys the first of equal ones stays.
    pub(crate) fn would_lead(&self, column: usize, magnitude: Option<f64>, order: Order) -> bool {
        self.columns[column].largest.as_ref().is_none_or(|known| {
            magnitude > known.magnitude || (order != Order::Key && magnitude == known.magnitude)
        })
    }

    pub(crate) fn lead(&mut self, column: usize, largest: &Arc<Largest>) {
        self.columns[column].lead(largest);
    }

    /// Adds the counts and sums of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        add_rows(&mut self.rows, &other.rows);
        self.worsen(other.verdict);
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.verdicts += theirs.verdicts;
            if let Some(largest) = &theirs.largest {
                mine.lead(largest);
            }
            if let (Some(mine), Some(theirs)) = (&mut mine.figures, &theirs.figures) {
                mine.merge(theirs);
            }
        }
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

    /// Gross unexplained and gross difference, each summed over the measures: the rank among the customers of one
    /// verdict.
    pub(crate) fn size(&self, plain: bool) -> (f64, f64) {
        let figures = || self.columns.iter().filter_map(|stats| stats.figures.as_ref());
        let gross = figures().map(|f| f.gross.to_f64(f.scale)).sum();
        let unexplained = if plain { gross } else { figures().map(|f| f.unexplained.to_f64(f.scale)).sum() };
        (unexplained, gross)
    }

    pub(crate) fn column_reports(&self, common: &Common, plain: bool) -> Vec<ColumnReport> {
        let columns = self.columns.iter().zip(&common.spec.columns);
        columns.map(|(stats, column)| stats.report(column, plain)).collect()
    }

    /// One line a column.
    pub(crate) fn lines<'a>(&'a self, common: &'a Common, plain: bool) -> impl Iterator<Item = Line<'a>> {
        let columns = self.columns.iter().zip(&common.spec.columns);
        columns.map(move |(stats, column)| stats.line(column, plain))
    }
}

impl Stats {
    fn lead(&mut self, largest: &Arc<Largest>) {
        let leads = self.largest.as_ref().is_none_or(|known| {
            largest.magnitude > known.magnitude
                || (largest.magnitude == known.magnitude && largest.order < known.order)
        });
        if leads {
            self.largest = Some(Arc::clone(largest));
        }
    }

    fn report(&self, column: &CompareColumn, plain: bool) -> ColumnReport {
        let line = self.line(column, plain);
        let [legacy_total, new_total, net, gross, unexplained, max_relative] = match line.figures {
            Some(figures) => figures.map(|figure| Some(figure.into_figure())),
            None => [const { None }; 6],
        };
        ColumnReport {
            name: line.name.to_owned(),
            kind: line.kind,
            unit: line.unit.map(str::to_owned),
            verdicts: line.verdicts,
            legacy_total,
            new_total,
            net_difference: net,
            gross_difference: gross,
            gross_unexplained: unexplained,
            max_relative,
            not_finite: line.not_finite,
            offsetting: line.offsetting,
            largest: self.largest.as_ref().map(|largest| largest.report.clone()),
        }
    }

    fn line<'a>(&'a self, column: &'a CompareColumn, plain: bool) -> Line<'a> {
        let mut line = Line {
            name: &column.name,
            kind: ColumnKind::Attribute,
            unit: None,
            verdicts: self.verdicts,
            figures: None,
            not_finite: 0,
            offsetting: false,
        };
        if let CompareKind::Measure { unit, .. } = &column.kind {
            line.kind = ColumnKind::Measure;
            line.unit = unit.as_ref().map(|u| u.as_str());
        }
        if let Some(figures) = &self.figures {
            let scale = figures.scale;
            let text = |sum: &Sum| sum.shown(scale);
            let legacy = text(&figures.legacy);
            let new = if figures.delta.is_zero() {
                legacy.clone()
            } else {
                let mut new = figures.legacy.clone();
                new.merge(&figures.delta, false);
                text(&new)
            };
            let gross = text(&figures.gross);
            let unexplained = if plain { gross.clone() } else { text(&figures.unexplained) };
            let relative = Shown::Float(figures.max_relative);
            if figures.beyond {
                let size = figures.gross.to_f64(scale);
                line.offsetting = size > 0.0 && figures.delta.to_f64(scale).abs() <= OFFSETTING_SHARE * size;
            }
            line.figures = Some([legacy, new, text(&figures.delta), gross, unexplained, relative]);
            line.not_finite = figures.not_finite.unsigned_abs();
        }
        line
    }
}

impl Figures {
    fn new(data_type: &DataType) -> Self {
        let zero = Sum::zero(data_type);
        Self {
            legacy: zero.clone(),
            delta: zero.clone(),
            gross: zero.clone(),
            unexplained: zero,
            max_relative: 0.0,
            not_finite: 0,
            beyond: false,
            scale: scale_of(data_type),
        }
    }

    fn clear(&mut self) {
        for sum in [&mut self.legacy, &mut self.delta, &mut self.gross, &mut self.unexplained] {
            sum.clear();
        }
        self.max_relative = 0.0;
        self.not_finite = 0;
        self.beyond = false;
    }

    fn absorb(&mut self, part: &SegmentFigures) {
        self.legacy.absorb(&part.legacy);
        self.delta.absorb(&part.delta);
        self.gross.absorb(&part.gross);
        self.unexplained.absorb(&part.unexplained);
        self.note(part.max_relative, part.not_finite, part.beyond);
    }

    fn merge(&mut self, other: &Self) {
        self.legacy.merge(&other.legacy, false);
        self.delta.merge(&other.delta, false);
        self.gross.merge(&other.gross, false);
        self.unexplained.merge(&other.unexplained, false);
        self.note(other.max_relative, other.not_finite, other.beyond);
    }

    fn note(&mut self, max_relative: f64, not_finite: i64, beyond: bool) {
        self.max_relative = self.max_relative.max(max_relative);
        self.not_finite += not_finite;
        self.beyond |= beyond;
    }
}

/// A customer whose cells were not compared.
pub(crate) fn not_comparable(customer: Option<String>, common: &Common) -> CustomerReport {
    let empty = Tally::new(common);
    CustomerReport {
        customer,
        verdict: CustomerVerdict::NotComparable,
        rows: empty.rows,
        columns: empty.column_reports(common, true),
    }
}

/// Counts a row on one side only.
pub(crate) fn count_one_sided(rows: &mut RowCounts, verdict: Verdict) {
    match verdict {
        Verdict::Explained => rows.one_sided.explained += 1,
        Verdict::Pending => rows.one_sided.pending += 1,
        _ => rows.one_sided.unexplained += 1,
    }
}

pub(crate) fn add_rows(rows: &mut RowCounts, other: &RowCounts) {
    let add = |mine: &mut PerSide, theirs: &PerSide| {
        mine.legacy += theirs.legacy;
        mine.new += theirs.new;
    };
    rows.legacy += other.legacy;
    rows.new += other.new;
    rows.paired += other.paired;
    rows.verdicts += other.verdicts;
    rows.only_legacy += other.only_legacy;
    rows.only_new += other.only_new;
    add(&mut rows.ambiguous_key, &other.ambiguous_key);
    rows.null_keys += other.null_keys;
    rows.one_sided.explained += other.one_sided.explained;
    rows.one_sided.pending += other.one_sided.pending;
    rows.one_sided.unexplained += other.one_sided.unexplained;
}
