//! `webStats`: page views of a host and day, as web analytics tools deliver them.

use bson::{Bson, Document, doc};
use jiff::civil::Date;
use rand::{Rng, RngExt};

use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// Documents whose `_id` is itself a document, with the keys in either order; counts as numbers and as text.
#[derive(Debug, Clone, Copy)]
pub struct WebStats;

const PREFIXES: &[&str] = &["www", "shop", "blog", "docs", "app", "jobs"];
const PATHS: &[(&str, f64)] = &[
    ("/", 1.0),
    ("/index.html", 0.5),
    ("/products/overview", 0.4),
    ("/Products/Detail?id=17", 0.3),
    ("/pricing", 0.2),
    ("/blog/2025/hello", 0.25),
    ("/Blog/archive", 0.1),
    ("/docs/start?utm_source=mail", 0.2),
    ("/support/", 0.1),
];
const TOOLS: &[&str] = &["matomo", "ga4", "cdn"];
const ABROAD: &[&str] = &["FR", "DE", "GB", "US", "ES", "PL", "IN", "SE"];
/// Seven weights from Monday on: offices read on weekdays.
const WEEK: [f64; 7] = [1.0, 1.05, 1.05, 1.0, 0.9, 0.45, 0.4];

impl Collection for WebStats {
    fn name(&self) -> &'static str {
        "webStats"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Daily
    }

    fn customer_field(&self) -> &'static str {
        "customer"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Day(day) = partition else { return Vec::new() };
        let mut documents = Vec::new();
        for customer in &world.customers {
            let mut rng = world.rng(&["webStats", &day.to_string(), &customer.id]);
            let sites = 1 + (customer.size / 3.0).min(5.0) as usize;
            for prefix in PREFIXES.iter().take(sites) {
                let host = format!("{prefix}.{}", domain(&customer.id));
                let mut chance = world.rng(&["webStats", "green", &host]);
                let green = green_host(&mut chance);
                let document = host_day(&mut rng, customer, &host, day, green);
                let again = rng.random_bool(0.04).then(|| delivered_again(&document));
                documents.push(document);
                documents.extend(again);
            }
        }
        documents
    }
}

/// `acme-fr` owns `acme.fr`, `acme-group` owns `acme-group.com`.
fn domain(customer: &str) -> String {
    match customer.rsplit_once('-') {
        Some((name, country)) if country.len() == 2 => format!("{name}.{country}"),
        _ => format!("{customer}.com"),
    }
}

fn host_day(rng: &mut impl Rng, customer: &Customer, host: &str, day: Date, green: Option<Bson>) -> Document {
    let id_day = match rng.random_range(0..20) {
        0 => midnight(day),
        _ => Bson::String(day.to_string()),
    };
    let weight = WEEK[day.weekday().to_monday_zero_offset() as usize % WEEK.len()];
    let pages: Vec<Bson> = PATHS
        .iter()
        .filter_map(|(path, share)| {
            let chosen = *path == "/" || rng.random_bool(0.6);
            let views = 900.0 * customer.size * weight * share * rng.random_range(0.6..1.6);
            chosen.then(|| page(rng, path, views as i64 + 1))
        })
        .collect();
    let pages = match pages.as_slice() {
        // schema 1 of the collector: one page is an object, not an array
        [single] => single.clone(),
        // a day on which the collector of a side site was blocked
        _ if !host.starts_with("www.") && rng.random_bool(0.03) => Bson::Array(Vec::new()),
        _ => Bson::Array(pages),
    };
    let mut document = doc! {
        "_id": { "d": id_day, "host": spelled(rng, host) },
        "customer": &customer.id,
        "tool": TOOLS[rng.random_range(0..TOOLS.len())],
        "pages": pages,
        "countries": countries(rng, customer.country),
    };
    if let Some(green) = green {
        document.insert("green_host", green);
    }
    document
}

fn page(rng: &mut impl Rng, path: &str, views: i64) -> Bson {
    let bytes = rng.random_range(180_000..3_200_000_i64);
    let mut page = doc! { "path": path };
    page.insert(
        "views",
        match rng.random_range(0..10) {
            0 => Bson::String(spaced(views)),
            1 | 2 => Bson::Int64(views),
            3 => Bson::Double(views as f64),
            _ => Bson::Int32(i32::try_from(views).unwrap_or(i32::MAX)),
        },
    );
    match rng.random_range(0..20) {
        0 => {}
        1 => _ = page.insert("bytes_avg", Bson::Null),
        2 => _ = page.insert("bytes_avg", format!("{},5", spaced(bytes))),
        3..6 => _ = page.insert("bytes_avg", bytes.to_string()),
        6 => _ = page.insert("bytes_avg", bytes as f64 + 0.25),
        _ => _ = page.insert("bytes_avg", bytes),
    }
    if rng.random_bool(0.5) {
        page.insert("returning", f64::from(rng.random_range(10..50_i32)) / 100.0);
    }
    Bson::Document(page)
}

/// Shares of the readers' countries; `??` where the tool does not know.
fn countries(rng: &mut impl Rng, home: &str) -> Bson {
    if rng.random_bool(0.02) {
        return Bson::Null;
    }
    let mut shares = Document::new();
    let mut left = 100_i32;
    let main = rng.random_range(55..88);
    // Britain under the code that it gives itself
    let home = if home == "GB" && rng.random_bool(0.3) { "UK" } else { home };
    shares.insert(home, f64::from(main) / 100.0);
    left -= main;
    let other = ABROAD[rng.random_range(0..ABROAD.len())];
    if !shares.contains_key(other) {
        let share = rng.random_range(1..left);
        shares.insert(other, f64::from(share) / 100.0);
        left -= share;
    }
    shares.insert("??", f64::from(left) / 100.0);
    Bson::Document(shares)
}

/// Whether a host is green is said in four ways, or not at all.
fn green_host(rng: &mut impl Rng) -> Option<Bson> {
    match rng.random_range(0..8) {
        0 | 1 => Some(Bson::String("yes".to_owned())),
        2 => Some(Bson::Boolean(true)),
        3 | 4 => Some(Bson::String("no".to_owned())),
        5 => Some(Bson::Boolean(false)),
        6 => Some(Bson::Null),
        _ => None,
    }
}

fn spelled(rng: &mut impl Rng, host: &str) -> String {
    match rng.random_range(0..10) {
        0 | 1 => match host.split_once('.') {
            Some((prefix, rest)) => format!("{}.{rest}", prefix.to_uppercase()),
            None => host.to_owned(),
        },
        2 => host.to_uppercase(),
        3 => format!("{host} "),
        _ => host.to_owned(),
    }
}

/// The same day once more: `_id` has its keys in the other order, which makes it another document.
fn delivered_again(document: &Document) -> Document {
    let mut again = document.clone();
    if let Ok(id) = document.get_document("_id") {
        let mut keys: Vec<(String, Bson)> = id.clone().into_iter().collect();
        keys.reverse();
        again.insert("_id", keys.into_iter().collect::<Document>());
    }
    again
}

/// Thousands apart by narrow no-break spaces.
fn spaced(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn midnight(day: Date) -> Bson {
    match day.to_zoned(jiff::tz::TimeZone::UTC) {
        Ok(zoned) => Bson::DateTime(bson::DateTime::from_millis(zoned.timestamp().as_millisecond())),
        Err(_) => Bson::String(day.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i8) -> Vec<Document> {
        WebStats.documents(&World::new(7), Partition::Day(Date::constant(2025, 3, day)))
    }

    #[test]
    fn every_customer_is_there_every_day() {
        let world = World::new(7);
        for n in 1..=31 {
            let documents = day(n);
            assert!(documents.len() <= 200);
            for customer in &world.customers {
                assert!(documents.iter().any(|d| d.get_str("customer").unwrap() == customer.id));
            }
        }
    }

    #[test]
    fn the_same_day_has_the_same_documents() {
        assert_eq!(day(3), day(3));
        assert_ne!(day(3), day(4));
    }

    #[test]
    fn some_days_are_delivered_twice_with_the_keys_turned() {
        let first_key = |d: &Document| d.get_document("_id").unwrap().keys().next().unwrap().clone();
        assert!((1..=31).flat_map(day).any(|d| first_key(&d) == "host"));
        assert!((1..=31).flat_map(day).any(|d| first_key(&d) == "d"));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(spaced(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(spaced(120), "120");
    }
}
