//! Nights as charts: one bar a night for the project, one strip a pipeline, all over the same dates.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_tracker::model::{NightAnswer, PipelineStatus};
use jiff::civil::Date;
use serde::Serialize;

/// The height of the project's chart in units of its view box.
const HEIGHT: f64 = 100.0;

/// What the templates draw.
#[derive(Debug, Serialize)]
pub(super) struct Nights {
    /// How many nights there are; 0 where none is on record.
    count: usize,
    /// The first, the middle and the last night.
    ticks: Vec<Date>,
    /// The most pipelines of one night.
    most: u32,
    /// The project, night by night.
    bars: Vec<Bar>,
    /// Each pipeline, in the order of the status.
    strips: Vec<Vec<Mark>>,
}

#[derive(Debug, Serialize)]
struct Bar {
    date: Date,
    x: usize,
    parts: Vec<Part>,
    title: String,
}

#[derive(Debug, Serialize)]
struct Part {
    answer: NightAnswer,
    y: f64,
    height: f64,
}

#[derive(Debug, Serialize)]
struct Mark {
    x: usize,
    answer: NightAnswer,
    title: String,
}

impl Nights {
    pub(super) fn of(pipelines: &[PipelineStatus]) -> Self {
        let dates: BTreeSet<Date> = pipelines.iter().flat_map(|p| &p.history).map(|mark| mark.date).collect();
        let dates: Vec<Date> = dates.into_iter().collect();
        let place: BTreeMap<Date, usize> = dates.iter().copied().zip(0..).collect();
        let at = |date: Date| place.get(&date).copied().unwrap_or_default();
        let strips: Vec<Vec<Mark>> = pipelines
            .iter()
            .map(|pipeline| {
                let marks = pipeline.history.iter().map(|mark| Mark {
                    x: at(mark.date),
                    answer: mark.answer,
                    title: format!("{}: {}, {}", mark.date, mark.answer, mark.reason),
                });
                marks.collect()
            })
            .collect();
        let mut counts = vec![BTreeMap::<NightAnswer, u32>::new(); dates.len()];
        for mark in strips.iter().flatten() {
            if let Some(night) = counts.get_mut(mark.x) {
                *night.entry(mark.answer).or_default() += 1;
            }
        }
        let most = counts.iter().map(|night| night.values().sum()).max().unwrap_or(0);
        let ticks = match dates.as_slice() {
            [] => Vec::new(),
            [one] => vec![*one],
            [first, .., last] if dates.len() < 5 => vec![*first, *last],
            [first, .., last] => vec![*first, dates[dates.len() / 2], *last],
        };
        let bars = dates
            .iter()
            .zip(&counts)
            .enumerate()
            .map(|(x, (date, night))| bar(x, *date, night, most))
            .collect();
        Self { count: dates.len(), ticks, most, bars, strips }
    }
}

fn bar(x: usize, date: Date, night: &BTreeMap<NightAnswer, u32>, most: u32) -> Bar {
    let mut top = HEIGHT;
    let parts = night
        .iter()
        .map(|(answer, n)| {
            let height = HEIGHT * f64::from(*n) / f64::from(most.max(1));
            top -= height;
            Part { answer: *answer, y: top, height }
        })
        .collect();
    let said: Vec<String> = night.iter().map(|(answer, n)| format!("{n} {answer}")).collect();
    Bar { date, x, parts, title: format!("{date}: {}", said.join(", ")) }
}
