//! `cloudUsage.gcp`: lines of the Google Cloud billing export.

use bson::{Bson, DateTime, Document, doc};
use jiff::{civil::Date, tz::TimeZone};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::numbers;
use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// The collection `cloudUsage.gcp`.
///
/// Its traps: byte-seconds as float, integer and text, lines in gibibyte hours, regions in either case, labels that
/// occur twice, credits absent, empty or given, lines of cores among those of memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloudUsageGcp;

const PROJECTS: [&str; 4] = ["data-prod", "web-prod", "ml-lab", "backup"];
/// SKU and description of memory lines.
const MEMORY: [(&str, &str); 3] = [
    ("CF4E-A0C7-E3BF", "N2 Instance Ram running in Belgium"),
    ("B3A2-1F0C-77D1", "E2 Instance Ram running in EMEA"),
    ("90AE-44C2-0B6E", "Custom Instance Ram running in Americas"),
];
const BYTE_SECONDS_PER_GIB_HOUR: f64 = 1_073_741_824.0 * 3600.0;

fn region(country: &str) -> &'static str {
    match country {
        "US" => "us-east1",
        "IN" => "asia-south1",
        "NO" | "SE" | "FI" => "europe-north1",
        "GB" => "europe-west2",
        "DE" | "PL" => "europe-west3",
        "NL" => "europe-west4",
        _ => "europe-west1",
    }
}

impl Collection for CloudUsageGcp {
    fn name(&self) -> &'static str {
        "cloudUsage.gcp"
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
            let mut rng = world.rng(&["cloudUsage.gcp", &day.to_string(), &customer.id]);
            let projects = 1 + (customer.size / 4.0).min(3.0) as usize;
            for project in PROJECTS.iter().take(projects) {
                for (sku, description) in MEMORY.iter().take(rng.random_range(1..=MEMORY.len())) {
                    let lines = rng.random_range(1..3);
                    for _ in 0..lines {
                        documents.push(line(&mut rng, customer, project, sku, description, day));
                    }
                }
                let core = ("2E27-4F75-95CD", "N2 Instance Core running in Belgium");
                documents.push(line(&mut rng, customer, project, core.0, core.1, day));
            }
        }
        documents
    }
}

fn line(
    rng: &mut ChaCha8Rng,
    customer: &Customer,
    project: &str,
    sku: &str,
    description: &str,
    day: Date,
) -> Document {
    let gib_hours = f64::from(rng.random_range(1..1600_i32)) / 8.0 * customer.size.max(0.5);
    let place = region(customer.country);
    let usage = match rng.random_range(0..12) {
        0 => doc! { "amount": gib_hours, "unit": "gibibyte hour" },
        1 => {
            doc! { "amount": (gib_hours * BYTE_SECONDS_PER_GIB_HOUR).floor() as i64, "unit": "byte-seconds" }
        }
        2 => {
            let amount = (gib_hours * BYTE_SECONDS_PER_GIB_HOUR).floor() as i64;
            doc! { "amount": amount.to_string(), "unit": "byte-seconds" }
        }
        _ => doc! { "amount": (gib_hours * BYTE_SECONDS_PER_GIB_HOUR).floor(), "unit": "byte-seconds" },
    };
    let mut document = doc! {
        "_id": numbers::object_id(rng),
        "customer": &customer.id,
        "project": { "id": project, "number": rng.random_range(100_000_000_000..999_999_999_999_i64) },
        "service": "Compute Engine",
        "sku": { "id": sku, "description": description },
        "usage_start_time": midnight(day),
        "usage_end_time": midnight(day.tomorrow().unwrap_or(day)),
        "location": {
            "region": if rng.random_bool(0.1) { place.to_uppercase() } else { place.to_owned() },
            "zone": Bson::Null,
        },
        "usage": usage,
        "labels": [{ "key": "team", "value": "ml" }, { "key": "team", "value": "ML" }],
    };
    match rng.random_range(0..4) {
        0 => {}
        1 => _ = document.insert("credits", Bson::Array(Vec::new())),
        _ => _ = document.insert("credits", vec![doc! { "name": "CUD", "amount": -3.1 }]),
    }
    document
}

fn midnight(day: Date) -> Bson {
    let instant = day.to_zoned(TimeZone::UTC).map_or(0, |start| start.timestamp().as_millisecond());
    Bson::DateTime(DateTime::from_millis(instant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customer_has_memory_in_several_forms() {
        let world = World::new(7);
        let day = Partition::Day(jiff::civil::date(2025, 3, 1));
        let documents = CloudUsageGcp.documents(&world, day);
        assert!((80..=600).contains(&documents.len()), "{}", documents.len());
        assert!(
            world.customers.iter().all(|c| documents.iter().any(|d| d.get_str("customer").unwrap() == c.id))
        );
        let usage = |d: &Document| d.get_document("usage").unwrap().clone();
        assert!(documents.iter().any(|d| usage(d).get_str("amount").is_ok()));
        assert!(documents.iter().any(|d| usage(d).get_str("unit").unwrap() == "gibibyte hour"));
        assert_eq!(documents, CloudUsageGcp.documents(&world, day));
    }
}
