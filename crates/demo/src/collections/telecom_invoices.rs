//! Invoices of mobile and fixed lines: the monthly `telecomInvoices`.

use bson::{Bson, Document, doc};
use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::world::{Collection, Customer, Partition, Partitioning, World};

const CARRIERS: [&str; 3] = ["Orange", "SFR", "Bouygues Telecom"];

/// The collection `telecomInvoices`.
///
/// Its traps: phone numbers written in five ways, one phone listed twice, volumes as text with a comma, a unit and
/// a narrow no-break space or as a number of MB, `data: null` (unlimited) against no `data` (closed), an object
/// instead of an array, month keys without the leading zero, invoices sent twice.
#[derive(Debug, Clone, Copy, Default)]
pub struct TelecomInvoices;

impl Collection for TelecomInvoices {
    fn name(&self) -> &'static str {
        "telecomInvoices"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Monthly
    }

    fn customer_field(&self) -> &'static str {
        "customer"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Month(month) = partition else { return Vec::new() };
        world.customers.iter().flat_map(|customer| invoices(world, customer, month)).collect()
    }
}

/// One invoice for each carrier of the customer, and again where it was sent twice.
fn invoices(world: &World, customer: &Customer, month: Date) -> Vec<Document> {
    let carriers = if customer.size > 1.0 { 2 } else { 1 };
    let mut documents = Vec::new();
    for (number, carrier) in CARRIERS.into_iter().take(carriers).enumerate() {
        let mut rng = world.rng(&["telecomInvoices", &month.to_string(), &customer.id, carrier]);
        let invoice = doc! {
            "_id": bson::oid::ObjectId::from_bytes(id(&mut rng)),
            "customer": customer.id.as_str(),
            "carrier": carrier,
            "month": month_key(month, &mut rng),
            "lines": lines(world, customer, number, month, &mut rng),
        };
        if rng.random_bool(0.08) {
            let mut again = invoice.clone();
            again.insert("_id", bson::oid::ObjectId::from_bytes(id(&mut rng)));
            documents.push(again);
        }
        documents.push(invoice);
    }
    documents
}

fn lines(world: &World, customer: &Customer, carrier: usize, month: Date, rng: &mut ChaCha8Rng) -> Bson {
    let mobile = ((customer.size * 5.0) as usize).clamp(2, 90);
    let fixed = ((customer.size * 2.0) as usize).clamp(2, 40);
    let mut lines = Vec::new();
    for index in 0..mobile + fixed {
        // Number and life of a line do not depend on the month.
        let mut line = world.rng(&["line", &customer.id, &carrier.to_string(), &index.to_string()]);
        let digits: u32 = line.random_range(10_000_000..99_999_999);
        let closed_in = line.random_bool(0.12).then(|| line.random_range(1..5_i8));
        let closed = closed_in.is_some_and(|m| month >= jiff::civil::date(2025, m, 1));
        if index < mobile {
            lines.extend(mobile_line(digits, closed, rng));
        } else {
            lines.push(fixed_line(digits, closed || index + 1 == mobile + fixed, rng));
        }
    }
    if customer.size < 0.7 && carrier == 0 && lines.len() > 4 && rng.random_bool(0.2) {
        // Schema 1: a single line is an object.
        lines.truncate(1);
    }
    match lines.len() {
        1 => lines.pop().map_or(Bson::Null, Bson::Document),
        _ => Bson::Array(lines.into_iter().map(Bson::Document).collect()),
    }
}

/// A mobile line, and for some the same phone again in another spelling.
fn mobile_line(digits: u32, closed: bool, rng: &mut ChaCha8Rng) -> Vec<Document> {
    let kind = ["mobile", "Mobile", "MOBILE "][rng.random_range(0..3)];
    let number = format!("6{digits:08}");
    let mut line = doc! {"msisdn": spelled(&number, rng.random_range(0..5)), "type": kind};
    if closed {
        return vec![line];
    }
    let tenths: i32 = rng.random_range(1..400);
    let megabytes = f64::from(tenths) / 10.0 * 1024.0;
    if rng.random_bool(0.7) {
        line.insert("data", format!("{},{} Go", tenths / 10, tenths % 10));
    } else if rng.random_bool(0.3) {
        line.insert("data", format!("{}\u{202f}Mo", rng.random_range(1..1000)));
        return vec![line];
    } else {
        line.insert("data_mb", megabytes);
    }
    if rng.random_bool(0.1) {
        let again = doc! {"msisdn": spelled(&number, 1), "type": "Mobile", "data_mb": megabytes};
        return vec![line, again];
    }
    vec![line]
}

fn fixed_line(digits: u32, closed: bool, rng: &mut ChaCha8Rng) -> Document {
    let number = format!("1{digits:08}");
    let mut line = doc! {"ndi": spelled(&number, rng.random_range(0..3)), "type": "fixed"};
    if closed {
        return line;
    }
    match rng.random_range(0..10) {
        0..5 => drop(line.insert("data", Bson::Null)),
        5..7 => drop(line.insert("data", format!("1\u{202f}{:03} Go", rng.random_range(0..600)))),
        _ => drop(line.insert("data", format!("{} Go", rng.random_range(20..900)))),
    }
    line
}

/// Nine national digits in one of the five spellings.
fn spelled(number: &str, form: usize) -> String {
    let pairs = |separator: &str| {
        let mut text = number[..1].to_owned();
        for pair in 0..4 {
            text.push_str(separator);
            text.push_str(&number[1 + 2 * pair..3 + 2 * pair]);
        }
        text
    };
    match form {
        0 => format!("+33 {}", pairs(" ")),
        1 => format!("0{number}"),
        2 => format!("0{}", pairs("\u{a0}")),
        3 => format!("0033{number}"),
        _ => format!("0{}", pairs(".")),
    }
}

/// `2025-3` as the invoices of most carriers have it, sometimes `2025-03`.
fn month_key(month: Date, rng: &mut ChaCha8Rng) -> String {
    if rng.random_bool(0.8) {
        format!("{}-{}", month.year(), month.month())
    } else {
        month.strftime("%Y-%m").to_string()
    }
}

fn id(rng: &mut ChaCha8Rng) -> [u8; 12] {
    let mut bytes = rng.random::<[u8; 12]>();
    bytes[..4].copy_from_slice(&[0x67, 0xc9, 0xaa, 0x00]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn spellings_keep_the_nine_digits() {
        assert_eq!(spelled("612345678", 0), "+33 6 12 34 56 78");
        assert_eq!(spelled("612345678", 4), "06.12.34.56.78");
        for form in 0..5 {
            let digits: String = spelled("612345678", form).chars().filter(char::is_ascii_digit).collect();
            assert!(digits.ends_with("612345678"));
        }
    }

    #[test]
    fn a_month_holds_every_customer_and_every_trap() {
        let world = World::new(42);
        let documents = TelecomInvoices.documents(&world, Partition::Month(date(2025, 3, 1)));
        assert_eq!(documents, TelecomInvoices.documents(&world, Partition::Month(date(2025, 3, 1))));
        for customer in &world.customers {
            assert!(documents.iter().any(|d| d.get("customer") == Some(&Bson::from(customer.id.as_str()))));
        }
        let lines: Vec<&Document> = documents
            .iter()
            .flat_map(|d| match d.get("lines") {
                Some(Bson::Array(lines)) => lines.iter().filter_map(Bson::as_document).collect(),
                Some(Bson::Document(line)) => vec![line],
                _ => Vec::new(),
            })
            .collect();
        assert!(lines.len() < 3_000, "{}", lines.len());
        assert!(lines.iter().filter(|l| l.get("data") == Some(&Bson::Null)).count() > 50);
        assert!(lines.iter().filter(|l| !l.contains_key("data") && !l.contains_key("data_mb")).count() > 40);
        assert!(documents.iter().any(|d| d.get_document("lines").is_ok()));
    }
}
