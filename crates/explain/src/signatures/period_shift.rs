//! Amounts that went to a neighbouring period.

use std::collections::BTreeMap;

use dualrun_core::Period;

use super::{Detector, Facts, Group, Match};
use crate::cells::CellKind;

/// A figure of the neighbouring period, or amounts that one period lacks and the next one has: a day that begins
/// in another time zone, or at another hour.
pub(super) struct PeriodShift;

/// One figure of a series; the row where it is a cell of the group.
#[derive(Debug, Clone, Copy)]
struct Point {
    period: Period,
    legacy: f64,
    new: f64,
    row: Option<usize>,
}

/// Series of at least this many periods, and at least [`SERIES`] of them, show a shift by their sums alone.
const LONG: usize = 5;
const SERIES: usize = 8;

/// How many standard deviations the sums must lie below those of differences of random sign.
const SURE: f64 = 3.0;

/// What the two edges of a series leave of its gross sum, as a multiple of 1/n: 1 on average.
const EDGES: f64 = 2.5;

impl Detector for PeriodShift {
    fn name(&self) -> &'static str {
        "period_shift"
    }

    fn detect(&self, group: &Group<'_>, facts: &Facts<'_>) -> Option<Match> {
        let series = series(group, facts)?;
        let mut best: Option<Match> = None;
        for (detail, mut matched) in [
            ("new holds the figure of the period before", moved(group, facts, &series, 1)),
            ("new holds the figure of the period after", moved(group, facts, &series, -1)),
            ("what one period lacks, the next ones have", cancelling(group, facts, &series)),
            (
                "differences of following periods cancel but for the first and the last one, as where a day begins \
                 at another hour",
                telescoping(&series),
            ),
        ] {
            matched.sort_unstable();
            matched.dedup();
            if matched.len() > best.as_ref().map_or(0, |b| b.matched.len()) {
                best = Match::some(detail, matched);
            }
        }
        best
    }
}

/// Runs of periods that follow each other without a gap, of each series (the key without the period).
fn series(group: &Group<'_>, facts: &Facts<'_>) -> Option<Vec<Vec<Point>>> {
    let name = facts.context.period.as_deref()?;
    let position = group.cells.key_columns.iter().position(|column| column == name)?;
    let mut by_key: BTreeMap<Vec<&Option<String>>, BTreeMap<Period, Point>> = BTreeMap::new();
    let cells = group
        .iter()
        .filter(|(_, cell)| cell.kind == CellKind::Measure)
        .map(|(row, cell)| (&cell.key, cell.with_fixes, cell.without_changes, Some(row)));
    let neighbours = facts.context.neighbours.iter().filter(|n| n.column == group.column);
    for (key, legacy, new, row) in neighbours.map(|n| (&n.key, n.legacy, n.new, None)).chain(cells) {
        let (legacy, new) = (legacy.unwrap_or(0.0), new.unwrap_or(0.0));
        let Some(period) = key.get(position).and_then(|text| period(text.as_deref()?)) else { continue };
        if legacy.is_finite() && new.is_finite() {
            let rest = key.iter().enumerate().filter(|(i, _)| *i != position).map(|(_, part)| part).collect();
            // A cell of the group comes after a neighbour of the same key and takes its place.
            by_key.entry(rest).or_default().insert(period, Point { period, legacy, new, row });
        }
    }
    let mut runs: Vec<Vec<Point>> = Vec::new();
    // Series that differ in other periods only tell of another group.
    for points in by_key.into_values().filter(|points| points.values().any(|p| p.row.is_some())) {
        let mut last: Option<Period> = None;
        for point in points.into_values() {
            let follows = last.and_then(|l| l.next().ok()) == Some(point.period);
            match runs.last_mut() {
                Some(run) if follows => run.push(point),
                _ => runs.push(vec![point]),
            }
            last = Some(point.period);
        }
    }
    Some(runs)
}

/// A day or month, also where it is written as a timestamp.
fn period(text: &str) -> Option<Period> {
    text.parse().ok().or_else(|| text.get(..10)?.parse().ok())
}

/// Cells whose new figure is the legacy figure `by` periods before.
fn moved(group: &Group<'_>, facts: &Facts<'_>, series: &[Vec<Point>], by: isize) -> Vec<usize> {
    let mut matched = Vec::new();
    for run in series {
        for (i, point) in run.iter().enumerate() {
            let source = i.checked_add_signed(-by).and_then(|i| run.get(i));
            let (Some(row), Some(source)) = (point.row, source) else { continue };
            let slack = facts.slack(group.column, point.legacy, point.new);
            if point.new != 0.0 && point.new != point.legacy && (point.new - source.legacy).abs() <= slack {
                matched.push(row);
            }
        }
    }
    matched
}

/// Cells in the shortest stretches whose differences sum to nothing.
fn cancelling(group: &Group<'_>, facts: &Facts<'_>, series: &[Vec<Point>]) -> Vec<usize> {
    let mut matched = Vec::new();
    for run in series {
        let mut start = 0;
        while start < run.len() {
            match stretch(group, facts, &run[start..]) {
                Some(length) => {
                    matched.extend(run[start..start + length].iter().filter_map(|p| p.row));
                    start += length;
                }
                None => start += 1,
            }
        }
    }
    matched
}

fn stretch(group: &Group<'_>, facts: &Facts<'_>, run: &[Point]) -> Option<usize> {
    let (mut net, mut gross, mut slack) = (0.0f64, 0.0f64, 0.0f64);
    for (i, point) in run.iter().enumerate() {
        let difference = point.new - point.legacy;
        if difference == 0.0 {
            return None;
        }
        net += difference;
        gross += difference.abs();
        slack = slack.max(facts.slack(group.column, point.legacy, point.new).min(1e-3 * difference.abs()));
        if i > 0 && net.abs() <= slack.max(1e-9 * gross) {
            return Some(i + 1);
        }
    }
    None
}

/// All cells, where many long series sum to what is left at their two edges. Differences of random sign would
/// leave about 1/√n of their gross sum; a shift leaves about 1/n.
fn telescoping(series: &[Vec<Point>]) -> Vec<usize> {
    let long = || series.iter().filter(|run| run.len() >= LONG);
    let (mut rests, mut points, mut count) = (0.0, 0usize, 0usize);
    for run in long() {
        let gross: f64 = run.iter().map(|p| (p.new - p.legacy).abs()).sum();
        if gross > 0.0 {
            rests += run.iter().map(|p| p.new - p.legacy).sum::<f64>().abs() / gross;
            points += run.len();
            count += 1;
        }
    }
    if count < SERIES {
        return Vec::new();
    }
    let length = points as f64 / count as f64;
    let random = 1.0 / length.sqrt();
    // Of |Σ| of random signs the standard deviation is three quarters of the mean.
    let sure = random * (1.0 - 0.75 * SURE / (count as f64).sqrt());
    if rests / count as f64 > sure.min(EDGES / length) {
        return Vec::new();
    }
    long().flatten().filter_map(|p| p.row).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{
        cells::Cells,
        context::{Context, Neighbour},
    };

    fn days(figures: &[(f64, f64)]) -> Cells {
        let mut cells = empty();
        for (i, (legacy, new)) in figures.iter().enumerate() {
            let day = format!("2025-03-{:02}", i + 1);
            cells.cells.push(cell("kwh", ["a", "FR", &day], Some(*legacy), Some(*new)));
        }
        cells
    }

    fn context() -> Context {
        Context { period: Some("day".into()), ..Context::default() }
    }

    #[test]
    fn opposite_differences_of_adjacent_days_fit() {
        let found = detect_in(&PeriodShift, &days(&[(10.0, 12.0), (20.0, 18.0)]), &context()).unwrap();
        assert_eq!(found.detail, "what one period lacks, the next ones have");
        assert_eq!(found.matched, [0, 1]);
        assert_eq!(detect_in(&PeriodShift, &days(&[(10.0, 12.0), (20.0, 18.1)]), &context()), None);
        assert_eq!(detect(&PeriodShift, &days(&[(10.0, 12.0), (20.0, 18.0)])), None);
    }

    #[test]
    fn days_with_a_gap_between_them_are_no_neighbours() {
        let mut cells = days(&[(10.0, 12.0), (20.0, 18.0)]);
        cells.cells[1].key[2] = Some("2025-03-09".into());
        assert_eq!(detect_in(&PeriodShift, &cells, &context()), None);
    }

    #[test]
    fn the_figure_of_yesterday_is_found_with_the_help_of_neighbours() {
        let cells = days(&[(10.0, 7.0)]);
        let mut context = context();
        let key = ["a", "FR", "2025-02-28"].map(|part| Some(part.to_owned())).to_vec();
        context.neighbours = vec![Neighbour { column: "kwh".into(), key, legacy: Some(7.0), new: Some(7.0) }];
        let found = detect_in(&PeriodShift, &cells, &context).unwrap();
        assert_eq!(found.detail, "new holds the figure of the period before");
        context.neighbours[0].legacy = Some(7.5);
        assert_eq!(detect_in(&PeriodShift, &cells, &context), None);
    }

    #[test]
    fn a_working_week_of_many_series_is_enough_and_one_of_few_is_not() {
        let cells = |customers: usize, shifted: bool| {
            let amount = |customer: usize, day: usize| ((customer * 31 + day * 17) % 23) as f64 + 0.5;
            let mut cells = empty();
            for customer in 0..customers {
                for day in 1..=6 {
                    let gained =
                        if shifted { amount(customer, day + 1) } else { 2.0 * amount(customer + 7, day * 5) };
                    let key = [format!("c{customer}"), format!("2025-03-{day:02}")];
                    let new = 100.0 - amount(customer, day) + gained;
                    cells.cells.push(cell("kwh", [&key[0], "FR", &key[1]], Some(100.0), Some(new)));
                }
            }
            cells
        };
        assert_eq!(detect_in(&PeriodShift, &cells(60, true), &context()).unwrap().matched.len(), 360);
        let few = detect_in(&PeriodShift, &cells(7, true), &context());
        assert!(few.is_none_or(|found| found.matched.len() < 21));
        let other = detect_in(&PeriodShift, &cells(60, false), &context());
        assert!(other.is_none_or(|found| found.matched.len() < 180));
    }

    #[test]
    fn many_series_whose_sums_differ_only_at_the_edges_fit() {
        // A pseudo-random amount of each day belongs to the day before.
        let amount = |customer: usize, day: usize| ((customer * 31 + day * 17) % 23) as f64 + 0.5;
        let cells = |shifted: bool| {
            let mut cells = empty();
            for customer in 0..10 {
                for day in 1..=20 {
                    let lost = amount(customer, day);
                    let gained = if shifted { amount(customer, day + 1) } else { 0.0 };
                    let key = [format!("c{customer}"), format!("2025-03-{day:02}")];
                    cells.cells.push(cell(
                        "kwh",
                        [&key[0], "FR", &key[1]],
                        Some(100.0),
                        Some(100.0 - lost + gained),
                    ));
                }
            }
            cells
        };
        let found = detect_in(&PeriodShift, &cells(true), &context()).unwrap();
        assert!(found.matched.len() >= 190, "{}", found.matched.len());
        assert_eq!(detect_in(&PeriodShift, &cells(false), &context()), None);
    }
}
