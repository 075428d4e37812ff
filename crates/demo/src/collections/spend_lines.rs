//! `spendLines`: accounts payable lines of a month, as the customers' ERP exports them.

use bson::{Bson, Document, doc};
use jiff::civil::Date;
use rand::{Rng, RngExt};

use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// Amounts and dates in the forms of four ERP releases, currencies by sign and by code, VAT in and out.
#[derive(Debug, Clone, Copy)]
pub struct SpendLines;

struct Vendor {
    name: &'static str,
    country: &'static str,
    category: &'static str,
    naics: i32,
    gl: &'static str,
}

const fn vendor(
    name: &'static str,
    country: &'static str,
    category: &'static str,
    naics: i32,
    gl: &'static str,
) -> Vendor {
    Vendor { name, country, category, naics, gl }
}

const VENDORS: &[Vendor] = &[
    vendor("Contoso Cloud Ltd.", "GB", "SaaS – hosting", 518_210, "6132000"),
    vendor("Wingtip Hébergement SAS", "FR", "SaaS – hosting", 518_210, "6132000"),
    vendor("Fabrikam Software GmbH", "DE", "SaaS – licences", 511_210, "6135000"),
    vendor("Northwind Apps Inc.", "US", "SaaS – licences", 511_210, "6135000"),
    vendor("Litware Search Inc.", "US", "Online services", 519_130, "6136000"),
    vendor("Proseware Conseil SARL", "FR", "IT services", 541_512, "6226000"),
    vendor("Tailspin Mobile SA", "FR", "Telecom", 517_312, "6262000"),
    vendor("Adatum Rechenzentrum AG", "CH", "SaaS – hosting", 518_210, "6132000"),
];

impl Collection for SpendLines {
    fn name(&self) -> &'static str {
        "spendLines"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Monthly
    }

    fn customer_field(&self) -> &'static str {
        "customer"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Month(month) = partition else { return Vec::new() };
        let mut documents = Vec::new();
        for (n, customer) in world.customers.iter().enumerate() {
            let mut rng = world.rng(&["spendLines", &month.to_string(), &customer.id]);
            let lines = 8 + (customer.size * 10.0) as usize;
            for line in 0..lines {
                let id = format!("AP-{}-{:02}{n:02}{line:04}/{}", month.year(), month.month(), line % 4 + 1);
                let document = spend_line(&mut rng, customer, month, id);
                let again = rng.random_bool(0.03).then(|| imported_again(&mut rng, &document));
                documents.push(document);
                documents.extend(again);
            }
        }
        documents
    }
}

fn spend_line(rng: &mut impl Rng, customer: &Customer, month: Date, id: String) -> Document {
    let vendor = &VENDORS[rng.random_range(0..VENDORS.len())];
    let offset = rng.random_range(0..month.days_in_month());
    // Many invoices are dated the first: midnight in Paris is the day, and the month, before in UTC.
    let offset = if rng.random_bool(0.15) { 0 } else { offset };
    let day = month.saturating_add(jiff::Span::new().days(offset));
    let taxed = vendor.country != "US" && rng.random_bool(0.6);
    let mut document = doc! {
        "_id": id,
        "customer": &customer.id,
        "vendor": { "name": spelled(rng, vendor.name), "id": Bson::Null, "country": country(rng, vendor.country) },
        "gl": vendor.gl,
        "category": if rng.random_bool(0.1) { vendor.category.replace('–', "-") } else { vendor.category.to_owned() },
        "naics": naics(rng, vendor.naics),
        "invoice_date": invoice_date(rng, day),
        "amount": amount(rng, customer.size),
        "currency": currency(rng, vendor.country),
    };
    if taxed || rng.random_bool(0.7) {
        document.insert("vat_included", taxed);
    }
    if taxed {
        document.insert("vat_rate", vat_rate(rng, vendor.country));
    } else if rng.random_bool(0.2) {
        document.insert("vat_rate", Bson::Null);
    }
    let item = doc! { "desc": "Annual plan", "qty": 1 };
    match rng.random_range(0..20) {
        // schema 1: an object instead of an array
        0 | 1 => _ = document.insert("lines", item),
        2 => _ = document.insert("lines", Vec::<Bson>::new()),
        3 => {}
        4..8 => _ = document.insert("lines", vec![item.clone(), doc! { "desc": "Support", "qty": 2.5 }]),
        _ => _ = document.insert("lines", vec![item]),
    }
    match rng.random_range(0..30) {
        0 => _ = document.insert("reversed_by", vec![format!("JE-{}", rng.random_range(1000..9999_i32))]),
        1 => _ = document.insert("reversed_by", Bson::Null),
        2 => {}
        _ => _ = document.insert("reversed_by", Vec::<Bson>::new()),
    }
    document
}

/// In cents: heavy-tailed, with credits and a few lines of zero.
fn amount(rng: &mut impl Rng, size: f64) -> Bson {
    let cents = (40_000.0 * (1.0 + size) * rng.random_range(0.3..3.0)) as i64;
    let cents = match rng.random_range(0..50) {
        0..3 => -(cents / 4),
        3 => 0,
        _ => cents,
    };
    let (units, rest) = (cents / 100, (cents % 100).abs());
    let sign = if cents < 0 && units == 0 { "-" } else { "" };
    match rng.random_range(0..10) {
        0 => Bson::Int64(units),
        1 => Bson::Double(units as f64 + 0.25),
        2..6 => match format!("{sign}{units}.{rest:02}").parse() {
            Ok(decimal) => Bson::Decimal128(decimal),
            Err(_) => Bson::Int64(units),
        },
        // a no-break space between the thousands, narrow or not
        n => Bson::String(format!(
            "{sign}{},{rest:02}",
            spaced(units, if n == 6 { '\u{a0}' } else { '\u{202f}' })
        )),
    }
}

fn invoice_date(rng: &mut impl Rng, day: Date) -> Bson {
    let Ok(midnight) = day.in_tz("Europe/Paris") else { return Bson::String(day.to_string()) };
    match rng.random_range(0..10) {
        0 | 1 => Bson::DateTime(bson::DateTime::from_millis(midnight.timestamp().as_millisecond())),
        2 => Bson::String(day.strftime("%d/%m/%Y").to_string()),
        3 => Bson::String(day.to_string()),
        _ => Bson::String(midnight.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()),
    }
}

fn naics(rng: &mut impl Rng, code: i32) -> Bson {
    match rng.random_range(0..20) {
        0 | 1 => Bson::String(code.to_string()),
        2 => Bson::Double(f64::from(code)),
        // hosting is what a line without a code counts as
        3 if code == 518_210 => Bson::Null,
        _ => Bson::Int32(code),
    }
}

fn currency(rng: &mut impl Rng, country: &str) -> &'static str {
    let forms: &[&str] = match country {
        "GB" => &["GBP", "£", "gbp"],
        "US" => &["USD", "$", "US$"],
        "CH" => &["CHF", "CHF "],
        _ => &["EUR", "€", "eur ", "Euro"],
    };
    forms[rng.random_range(0..forms.len())]
}

fn vat_rate(rng: &mut impl Rng, country: &str) -> Bson {
    let (text, share) = match country {
        "DE" => ("19", 0.19),
        "CH" => ("8,1", 0.081),
        _ => ("20", 0.2),
    };
    match rng.random_range(0..10) {
        0 | 1 => Bson::Double(share),
        2 => Bson::String(format!("{text}\u{a0}%")),
        _ => Bson::String(format!("{text}%")),
    }
}

fn country(rng: &mut impl Rng, country: &'static str) -> &'static str {
    match country {
        "GB" if rng.random_bool(0.5) => "UK",
        "FR" if rng.random_bool(0.1) => "fr",
        other => other,
    }
}

fn spelled(rng: &mut impl Rng, name: &str) -> String {
    match rng.random_range(0..12) {
        0 => name.to_uppercase(),
        1 => format!("{name}\u{a0}"),
        2 => name.replacen(' ', "  ", 1),
        3 => name.replacen(' ', "\u{a0}", 1),
        _ => name.to_owned(),
    }
}

/// The same line from a second import, its id in another spelling.
fn imported_again(rng: &mut impl Rng, document: &Document) -> Document {
    let mut again = document.clone();
    if let Ok(id) = document.get_str("_id") {
        again.insert("_id", if rng.random_bool(0.5) { id.to_lowercase() } else { format!("{id} ") });
    }
    again
}

fn spaced(number: i64, space: char) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(space);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn month(month: i8) -> Vec<Document> {
        SpendLines.documents(&World::new(7), Partition::Month(Date::constant(2025, month, 1)))
    }

    #[test]
    fn a_month_has_every_customer_and_unique_ids() {
        let documents = month(3);
        let customers: BTreeSet<_> = documents.iter().map(|d| d.get_str("customer").unwrap()).collect();
        let ids: BTreeSet<_> = documents.iter().map(|d| d.get_str("_id").unwrap()).collect();
        assert_eq!(customers.len(), 40);
        assert_eq!(ids.len(), documents.len());
        assert!((500..1600).contains(&documents.len()), "{}", documents.len());
    }

    #[test]
    fn amounts_come_in_four_types_and_some_are_credits() {
        let documents = month(2);
        let amounts: Vec<_> = documents.iter().filter_map(|d| d.get("amount")).collect();
        assert!(amounts.iter().any(|a| matches!(a, Bson::String(text) if text.contains('\u{202f}'))));
        assert!(amounts.iter().any(|a| matches!(a, Bson::Decimal128(_))));
        assert!(amounts.iter().any(|a| matches!(a, Bson::Double(_))));
        assert!(amounts.iter().any(|a| matches!(a, Bson::Int64(_))));
        assert!(amounts.iter().any(|a| matches!(a, Bson::String(text) if text.starts_with('-'))));
    }

    #[test]
    fn the_first_of_a_month_in_paris_is_the_month_before_in_utc() {
        assert!(
            month(3)
                .iter()
                .any(|d| d.get_str("invoice_date").is_ok_and(|at| at == "2025-03-01T00:00:00+01:00"))
        );
        assert!(
            month(4)
                .iter()
                .any(|d| d.get_str("invoice_date").is_ok_and(|at| at == "2025-04-01T00:00:00+02:00"))
        );
    }

    #[test]
    fn negative_amounts_keep_their_sign() {
        assert_eq!(spaced(-1_234, ' '), "-1 234");
        assert_eq!(spaced(0, ' '), "0");
    }
}
