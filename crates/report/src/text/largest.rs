//! The cells that differ most, and whether all differences were stored.

use std::fmt::Write;

use dualrun_core::run::{ColumnKind, ColumnReport, KeyPart, LargestDifference, RunReport, figures::Figure};

use super::{
    numbers::{aligned, counted, exact, figure, percent, plus},
    parts,
    run::{differing, worst},
    table::{Align, Table},
    wrap::{WIDTH, cut, paragraph, plain, visible},
};
use crate::style::Style;

/// How many lines a terminal shows.
const LINES: usize = 10;
/// How much of a value that is text, of a part of a key, and of a whole key is shown.
const TEXT: usize = 60;
const KEY: usize = 240;
/// Numbers up to this width are shown with all their digits.
const SHORT: usize = 14;
/// The longest number of 256 bits with its sign and its point.
const DIGITS: usize = 79;

/// The largest difference of each of the worst customers; without customers, of each column.
pub(super) fn largest(text: &mut String, report: &RunReport, style: Style) {
    let entries = if report.customers.is_empty() {
        report.columns.iter().filter_map(|column| Entry::new(None, column, None)).collect()
    } else {
        of_customers(report)
    };
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold("largest differences"));
    text.push_str(&table(&entries).unwrap_or_else(|| list(&entries)));
}

/// Says that more rows differ than were stored.
pub(super) fn truncated(text: &mut String, report: &RunReport, style: Style) {
    if !report.differences.truncated {
        return;
    }
    let rows = &report.rows;
    let judged = rows.verdicts.explained + rows.verdicts.pending + rows.verdicts.unexplained;
    let differ = judged + rows.only_legacy + rows.only_new;
    let verb = if differ == 1 { "differs" } else { "differ" };
    let ambiguous = match rows.ambiguous_key.legacy + rows.ambiguous_key.new {
        0 => String::new(),
        1 => ", and 1 row has a key that occurs more than once".to_owned(),
        n => format!(", and {} have a key that occurs more than once", counted(n, "row")),
    };
    let line = format!(
        "{} {} of differences stored, then the cap was reached; in all {} {verb}{ambiguous}",
        style.warn("truncated:"),
        counted(report.differences.rows, "row"),
        counted(differ, "row")
    );
    let _ = write!(text, "\n{}", paragraph(&line, 0, 2));
}

fn of_customers(report: &RunReport) -> Vec<Entry> {
    let shown: Vec<_> = differing(report).filter_map(|c| Some((c, worst(c)?))).collect();
    let parts: Vec<_> = shown
        .iter()
        .filter_map(|(customer, column)| {
            Some((customer.customer.as_deref(), column.largest.as_ref()?.key.as_slice()))
        })
        .collect();
    let role = customer_column(&parts);
    let entries = shown.iter().filter_map(|(customer, column)| {
        let name = customer.customer.as_deref().map_or_else(|| "(null)".to_owned(), parts::name);
        Entry::new(Some(name), column, role)
    });
    entries.take(LINES).collect()
}

/// The key column that names the customer: the one that does so in every key. `None` where several do, since it is not
/// known which of them may be left out.
fn customer_column<'a>(keys: &[(Option<&str>, &'a [KeyPart])]) -> Option<&'a str> {
    let names = |column: &str| {
        keys.iter().all(|(customer, key)| {
            key.iter().any(|part| part.column == column && part.value.as_deref() == *customer)
        })
    };
    let mut found = keys.first()?.1.iter().map(|part| part.column.as_str()).filter(|column| names(column));
    found.next().filter(|_| found.next().is_none())
}

/// One cell as it is shown.
struct Entry {
    customer: Option<String>,
    column: String,
    legacy: String,
    new: String,
    difference: String,
    relative: String,
    key: String,
}

impl Entry {
    fn new(customer: Option<String>, column: &ColumnReport, without: Option<&str>) -> Option<Self> {
        let largest = column.largest.as_ref()?;
        let [legacy, new, difference] = values(largest, column.kind);
        Some(Self {
            customer,
            column: cut(&plain(&column.name), TEXT),
            legacy,
            new,
            difference,
            relative: largest.relative.as_ref().map(|f| percent(f.to_f64())).unwrap_or_default(),
            key: key(&largest.key, without),
        })
    }
}

/// Legacy value, new value and difference: exact where that is short, else with common decimals, so many that the
/// difference shows, else as they are.
fn values(largest: &LargestDifference, kind: ColumnKind) -> [String; 3] {
    let sides = [&largest.legacy, &largest.new].map(Option::as_deref);
    if kind != ColumnKind::Measure {
        let quoted = |text: &str| format!("'{}'", cut(&plain(text), TEXT));
        let [legacy, new] = sides.map(|side| side.map_or_else(none, quoted));
        return [legacy, new, String::new()];
    }
    let figures = [sides[0], sides[1], largest.difference.as_ref().map(Figure::as_str)];
    let given = || figures.iter().copied().flatten();
    let short = || given().map(|text| exact(text, SHORT)).collect::<Option<Vec<_>>>();
    let common = || {
        let numbers: Vec<f64> = given().map(|text| text.parse().unwrap_or(f64::NAN)).collect();
        aligned(&numbers).map(without_common_zeros)
    };
    let long = || {
        let rounded = |text: &str| figure(&Figure(text.to_owned()));
        let side = |text: &str| if text.len() <= DIGITS { plain(text) } else { rounded(text) };
        let sides = sides.into_iter().flatten().map(side);
        sides.chain(figures[2].map(rounded)).collect()
    };
    let shown = short().or_else(common).unwrap_or_else(long);
    let mut shown = shown.into_iter();
    let [legacy, new, difference] = figures.map(|text| text.and_then(|_| shown.next()));
    let difference = difference.zip(largest.difference.as_ref());
    [
        legacy.unwrap_or_else(none),
        new.unwrap_or_else(none),
        difference.map(|(text, figure)| plus(figure.to_f64(), text)).unwrap_or_default(),
    ]
}

fn none() -> String {
    "none".to_owned()
}

/// Numbers with the same decimals, without the zeros in which all of them end.
fn without_common_zeros(mut texts: Vec<String>) -> Vec<String> {
    while texts.iter().all(|text| text.contains('.') && text.ends_with(['0', '.'])) {
        let point = texts.iter().all(|text| text.ends_with('.'));
        texts.iter_mut().for_each(|text| text.truncate(text.len() - 1));
        if point {
            break;
        }
    }
    texts
}

fn key(key: &[KeyPart], without: Option<&str>) -> String {
    let parts: Vec<String> = key
        .iter()
        .filter(|part| Some(part.column.as_str()) != without)
        .map(|part| match &part.value {
            Some(value) => format!("{}={}", plain(&part.column), cut(&plain(value), TEXT)),
            None => format!("{} is null", plain(&part.column)),
        })
        .collect();
    cut(&parts.join(", "), KEY)
}

/// The entries side by side, where they fit.
fn table(entries: &[Entry]) -> Option<String> {
    let mut table = Table::new(&[
        ("customer", Align::Left),
        ("column", Align::Left),
        ("legacy", Align::Right),
        ("new", Align::Right),
        ("difference", Align::Right),
        ("relative", Align::Right),
        ("row", Align::Left),
    ]);
    for entry in entries {
        table.row([
            entry.customer.as_deref().unwrap_or_default(),
            &entry.column,
            &entry.legacy,
            &entry.new,
            &entry.difference,
            &entry.relative,
            &entry.key,
        ]);
    }
    let text = table.render();
    // A header, and keys that are wrapped once at most: beyond that a list is easier to read.
    let short = text.lines().count() <= 1 + 2 * entries.len();
    (short && text.lines().all(|line| visible(line) <= WIDTH)).then_some(text)
}

/// The entries one below the other, a few lines each.
fn list(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let customer = entry.customer.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let place = if entry.key.is_empty() { String::new() } else { format!(" of {}", entry.key) };
        text.push_str(&paragraph(&format!("{customer}{}{place}", entry.column), 2, 4));
        let mut values = format!("legacy {}, new {}", entry.legacy, entry.new);
        if !entry.difference.is_empty() {
            let _ = write!(values, ", difference {}", entry.difference);
        }
        if !entry.relative.is_empty() {
            let _ = write!(values, " ({})", entry.relative);
        }
        text.push_str(&paragraph(&values, 4, 6));
    }
    text
}

#[cfg(test)]
mod tests;
