//! End-user devices as the inventory tools report them: the monthly snapshot of `assets`.

use bson::{Bson, Document, doc};
use jiff::{ToSpan, civil::Date};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::forms::{self, DateForm};
use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// Devices for each unit of a customer's size.
const DEVICES_PER_SIZE: f64 = 13.0;
const FIRST_PURCHASE: Date = jiff::civil::date(2018, 1, 8);
/// The import of that day brought no `deleted_at`.
const DELETED_AT_SINCE: Date = jiff::civil::date(2021, 1, 1);

/// The collection `assets`.
///
/// Its traps: ids of two types, names with no-break spaces and mixed case, four forms of dates (the day in Paris
/// is not the day in UTC), `lifetime_months` as text, absent (default) or null (leased), `deleted_at` null or absent
/// (live both), one machine reported by two tools, `sources` as an object in schema 1, country codes UK and EL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Assets;

impl Collection for Assets {
    fn name(&self) -> &'static str {
        "assets"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Monthly
    }

    fn customer_field(&self) -> &'static str {
        "customer_id"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Month(month) = partition else { return Vec::new() };
        let last_day = month.last_of_month();
        let mut documents = Vec::new();
        for customer in &world.customers {
            let count = ((customer.size * DEVICES_PER_SIZE).round() as usize).max(8);
            for index in 0..count {
                documents.extend(Device::new(world, customer, index).snapshot(last_day));
            }
        }
        documents
    }
}

/// What is true of a device for all months.
struct Device<'a> {
    customer: &'a Customer,
    index: usize,
    kind: &'static Kind,
    variant: usize,
    country: &'static str,
    purchased: Date,
    retired: Option<Date>,
    rng: ChaCha8Rng,
}

/// A category with the ways in which tools write it.
struct Kind {
    types: &'static [&'static str],
    /// Manufacturer and model; the first is written in many ways.
    models: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 5] = [
    Kind {
        types: &["Laptop", "laptop ", "LAPTOP", "Notebook"],
        models: &[
            ("DELL ", "Latitude 5490\u{a0}"),
            ("Dell", "LATITUDE 5490"),
            (" dell", "latitude  5490"),
            ("HP", "EliteBook 840 G8"),
            ("Lenovo", "ThinkPad T14"),
            ("Apple", "MacBook Air M2"),
        ],
    },
    Kind {
        types: &["Monitor", " monitor", "Display"],
        models: &[("Dell", "P2319H"), ("DELL", "p2319h\u{a0}"), ("HP", "E24 G4"), ("LG", "24MP400")],
    },
    Kind {
        types: &["Smartphone", "SMARTPHONE", "Phone"],
        models: &[("Apple", "iPhone 13"), ("Samsung", "Galaxy A54")],
    },
    Kind { types: &["Desktop", "Tower"], models: &[("Dell", "OptiPlex 7090"), ("HP", "ProDesk 600 G6")] },
    Kind { types: &["Tablet", "tablet"], models: &[("Apple", "iPad 10"), ("Samsung", "Galaxy Tab S8")] },
];

impl<'a> Device<'a> {
    fn new(world: &World, customer: &'a Customer, index: usize) -> Self {
        let mut rng = world.rng(&["assets", &customer.id, &index.to_string()]);
        // The first five devices of every customer are one of each category, so that no factor goes unused.
        let kind = match index {
            0..=4 => index,
            _ => match rng.random_range(0..100) {
                0..50 => 0,
                50..72 => 1,
                72..86 => 2,
                86..95 => 3,
                _ => 4,
            },
        };
        let kind = &KINDS[kind];
        let variant = if index < 5 { 0 } else { rng.random_range(0..kind.models.len()) };
        let country = match rng.random_range(0..100) {
            0..88 => customer.country,
            88..92 => "FR",
            92..95 => "EL",
            95..98 => "GB",
            _ => "DE",
        };
        let span = rng.random_range(0..2640_i64);
        let purchased = if index < 5 { FIRST_PURCHASE } else { FIRST_PURCHASE + span.days() };
        let retired = (index >= 5 && rng.random_bool(0.1))
            .then(|| jiff::civil::date(2024, 9, 1) + rng.random_range(0..220_i64).days())
            .filter(|retired| *retired > purchased);
        Self { customer, index, kind, variant, country, purchased, retired, rng }
    }

    /// The documents of the device in the snapshot that ends with a day: none before its purchase, two where
    /// two tools report it without knowing of each other.
    fn snapshot(mut self, last_day: Date) -> Vec<Document> {
        if self.purchased > last_day {
            return Vec::new();
        }
        let twin = self.rng.random_bool(0.04);
        let mut documents = vec![self.document(last_day, false)];
        if twin {
            documents.push(self.document(last_day, true));
        }
        documents
    }

    fn document(&mut self, last_day: Date, twin: bool) -> Document {
        let rng = &mut self.rng;
        let (manufacturer, model) = self.kind.models[self.variant];
        let serial = format!("5CG{:04}{:05}", self.index % 10_000, rng_hash(&self.customer.id) % 100_000);
        let (schema, seen) = if twin { (1, -6_i64) } else { (2, -1_i64) };
        let last_seen = last_day + seen.days();

        let mut document = doc! {
            "_id": id(&self.customer.id, self.index, twin),
            "customer_id": self.customer.id.as_str(),
            "schema": schema,
            "serial": if twin { serial.to_lowercase() } else { format!(" {serial} ") },
            "manufacturer": manufacturer,
            "model": model,
            "type": self.kind.types[rng.random_range(0..self.kind.types.len())],
            "os": if rng.random_bool(0.6) { "Windows 11" } else { "macOS 14" },
            "site": {
                "code": format!("{}-{:02}", self.country, 1 + self.index % 3),
                "name": if self.country == "FR" { "Île-de-France" } else { "HQ" },
                "country": country_code(self.country, rng),
            },
            "purchase_date": forms::date(self.purchased, DateForm::any(rng)),
            "currency": "EUR",
            "owner": Bson::Null,
            "specs": { "ram_gb": 16, "ssd_gb": if rng.random_bool(0.5) { Bson::from("512") } else { Bson::from(512) } },
        };
        if let Ok(price) = format!("{}.90", rng.random_range(150..2400)).parse() {
            document.insert("purchase_price", Bson::Decimal128(price));
        }
        if let Some(months) = lifetime(rng) {
            document.insert("lifetime_months", months);
        }
        document.insert("sources", sources(schema, last_seen, rng));
        if let Some(events) = self.events(last_day) {
            document.insert("events", events);
        }
        match self.retired.filter(|retired| *retired <= last_day) {
            Some(retired) => drop(document.insert("deleted_at", forms::date(retired, DateForm::Instant))),
            None if self.purchased < DELETED_AT_SINCE => {}
            None => drop(document.insert("deleted_at", Bson::Null)),
        }
        document
    }

    /// Purchase and, for some, a swap: an array, an empty array, or nothing.
    fn events(&mut self, last_day: Date) -> Option<Vec<Document>> {
        let mut events = Vec::new();
        if self.rng.random_bool(0.7) {
            events.push(doc! {"type": "purchase", "at": forms::date(self.purchased, DateForm::Instant)});
            if self.rng.random_bool(0.2) {
                let at = forms::date(last_day, DateForm::EpochMilliseconds);
                events.push(doc! {"type": "swap", "at": at, "from_user": "u-221", "to_user": "u-804"});
            }
        }
        (!events.is_empty() || self.rng.random_bool(0.3)).then_some(events)
    }
}

/// ObjectIds, and for one device in twenty the text id of the first inventory tool.
fn id(customer: &str, index: usize, twin: bool) -> Bson {
    let hash = rng_hash(customer);
    if index % 20 == 13 && !twin {
        return Bson::from(format!("glpi-{:04x}-{index}", hash & 0xffff));
    }
    let mut bytes = [0x64, 0xf1, 0xc0, u8::from(twin), 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..8].copy_from_slice(&(hash as u32).to_be_bytes());
    bytes[8..].copy_from_slice(&(index as u32).to_be_bytes());
    Bson::ObjectId(bson::oid::ObjectId::from_bytes(bytes))
}

fn country_code(country: &'static str, rng: &mut ChaCha8Rng) -> String {
    match country {
        // Two tools of three write the United Kingdom as UK.
        "GB" if rng.random_bool(0.66) => "UK".to_owned(),
        _ if rng.random_bool(0.05) => format!(" {}", country.to_lowercase()),
        _ => country.to_owned(),
    }
}

/// Text, integer or float; null for leased devices; `None` where the default of the category applies.
fn lifetime(rng: &mut ChaCha8Rng) -> Option<Bson> {
    let months = [36, 48, 60][rng.random_range(0..3)];
    match rng.random_range(0..100) {
        0..35 => Some(Bson::from(months.to_string())),
        35..55 => Some(Bson::Int32(months)),
        55..62 => Some(Bson::Double(f64::from(months))),
        62..70 => Some(Bson::Null),
        _ => None,
    }
}

fn sources(schema: i32, last_seen: Date, rng: &mut ChaCha8Rng) -> Bson {
    let tool = doc! {"name": "intune", "last_seen": forms::date(last_seen, DateForm::Instant)};
    if schema == 1 {
        return Bson::Document(tool);
    }
    let mut tools = vec![Bson::Document(tool)];
    if rng.random_bool(0.5) {
        let seen = forms::date(last_seen, DateForm::French);
        tools.push(Bson::Document(doc! {"name": "glpi", "last_seen": seen}));
    }
    Bson::Array(tools)
}

/// FNV-1a of a customer's id: numbers that look arbitrary and never change.
fn rng_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_snapshot_holds_every_customer_and_every_trap() {
        let world = World::new(42);
        let documents = Assets.documents(&world, Partition::Month(date(2025, 3, 1)));
        assert!((800..2_000).contains(&documents.len()), "{}", documents.len());
        for customer in &world.customers {
            assert!(
                documents.iter().any(|d| d.get("customer_id") == Some(&Bson::from(customer.id.as_str())))
            );
        }
        let count = |test: &dyn Fn(&Document) -> bool| documents.iter().filter(|d| test(d)).count();
        assert!(count(&|d| !d.contains_key("deleted_at")) > 50);
        assert!(count(&|d| d.get("deleted_at") == Some(&Bson::Null)) > 50);
        assert!(count(&|d| matches!(d.get("deleted_at"), Some(Bson::DateTime(_)))) > 10);
        assert!(count(&|d| d.get("lifetime_months") == Some(&Bson::Null)) > 20);
        assert!(count(&|d| !d.contains_key("lifetime_months")) > 100);
        assert!(count(&|d| d.get_document("sources").is_ok()) > 10);
        assert!(count(&|d| d.get_str("_id").is_ok()) > 10);
        assert!(
            count(&|d| d.get_document("site").is_ok_and(|s| s.get("country") == Some(&Bson::from("UK"))))
                > 10
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_documents_and_ids_are_unique() {
        let month = Partition::Month(date(2025, 2, 1));
        let documents = Assets.documents(&World::new(42), month);
        assert_eq!(documents, Assets.documents(&World::new(42), month));
        let ids: std::collections::BTreeSet<String> =
            documents.iter().filter_map(|d| d.get("_id")).map(ToString::to_string).collect();
        assert_eq!(ids.len(), documents.len());
    }
}
