//! `cloudUsage.aws`: lines of the AWS cost and usage report, nested by customer, account and day.

use bson::{Bson, DateTime, Document, doc};
use jiff::{civil::Date, tz::TimeZone};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::numbers;
use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// The collection `cloudUsage.aws`.
///
/// Its traps: lines delivered twice, accounts as text and as number (which loses leading zeros), vCPU as text and
/// number, regions in either case with spaces, `cpuAvg` null (no metric) against no `cpuAvg` (no instance), savings
/// plan lines that negate a cost and not a use, storage lines, tags that differ by case only.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloudUsageAws;

/// Instance types with their vCPUs.
const INSTANCES: [(&str, i64); 14] = [
    ("m5.xlarge", 4),
    ("m5.large", 2),
    ("c5.2xlarge", 8),
    ("r5.4xlarge", 16),
    ("m6i.large", 2),
    ("m6i.xlarge", 4),
    ("t3.medium", 2),
    ("c6g.large", 2),
    ("m6g.4xlarge", 16),
    ("m4.xlarge", 4),
    ("c4.2xlarge", 8),
    ("c3.2xlarge", 8),
    ("m5a.2xlarge", 8),
    ("g4dn.12xlarge", 48),
];

fn regions(country: &str) -> [&'static str; 3] {
    match country {
        "FR" => ["eu-west-3", "eu-central-1", "eu-west-1"],
        "GB" => ["eu-west-2", "eu-west-1", "eu-central-1"],
        "US" => ["us-east-1", "us-west-2", "eu-central-1"],
        "IN" => ["ap-south-1", "ap-southeast-1", "eu-west-1"],
        "NO" | "SE" | "FI" => ["eu-north-1", "eu-central-1", "eu-west-1"],
        "IT" => ["eu-south-1", "eu-central-1", "eu-west-1"],
        _ => ["eu-central-1", "eu-west-1", "eu-west-3"],
    }
}

impl Collection for CloudUsageAws {
    fn name(&self) -> &'static str {
        "cloudUsage.aws"
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
            let accounts = 1 + (customer.size / 5.0).min(3.0) as usize;
            documents.extend((0..accounts).map(|number| account_day(world, customer, number, day)));
        }
        documents
    }
}

fn account_day(world: &World, customer: &Customer, number: usize, day: Date) -> Document {
    // What stays from day to day: the account and its instances.
    let mut fixed = world.rng(&["cloudUsage.aws", &customer.id, &number.to_string()]);
    let mut rng = world.rng(&["cloudUsage.aws", &day.to_string(), &customer.id, &number.to_string()]);
    let account: i64 = if fixed.random_bool(0.2) {
        fixed.random_range(1_000_000_000..9_999_999_999)
    } else {
        fixed.random_range(100_000_000_000..999_999_999_999)
    };
    let text = format!("{account:012}");
    let fleet = 2 + (customer.size / 2.0).min(8.0) as usize;
    let home = regions(customer.country);
    let mut lines: Vec<Document> = Vec::new();
    for n in 0..fleet {
        let (instance_type, vcpu) = INSTANCES[fixed.random_range(0..INSTANCES.len())];
        let region = home[fixed.random_range(0..home.len())];
        instance_lines(&mut rng, &mut lines, n, instance_type, vcpu, region);
    }
    lines.push(storage_line(&mut rng, fleet, home[0]));
    let usage_date = if rng.random_bool(0.1) { midnight(day) } else { Bson::String(day.to_string()) };
    let mut document = doc! {
        "_id": format!("{}|{text}|{day}", customer.id),
        "customer": &customer.id,
        "payer": &text,
        "account": if rng.random_bool(0.4) { Bson::Int64(account) } else { Bson::String(text.clone()) },
        "usageDate": usage_date,
        "ingestedAt": midnight(day.tomorrow().unwrap_or(day)),
        "snapshot": format!("cur-{day}T26"),
        "lineItems": lines,
    };
    match rng.random_range(0..4) {
        0 => {}
        1 => _ = document.insert("tags", Bson::Null),
        _ => _ = document.insert("tags", doc! { "Env": "prod", "env": "PROD", "cost-centre": "4711 " }),
    }
    document
}

fn instance_lines(
    rng: &mut ChaCha8Rng,
    lines: &mut Vec<Document>,
    number: usize,
    instance_type: &str,
    vcpu: i64,
    region: &str,
) {
    let covered = rng.random_bool(0.2);
    let hours = if rng.random_bool(0.6) { 24.0 } else { f64::from(rng.random_range(1..96_i32)) / 4.0 };
    let id = format!("a{}", number + 1);
    let mut line = doc! {
        "id": &id,
        "type": if covered { "SavingsPlanCoveredUsage" } else { "Usage" },
        "instanceType": instance_type,
        "vcpu": if rng.random_bool(0.4) { Bson::String(vcpu.to_string()) } else { Bson::Int64(vcpu) },
        "region": spelled(rng, region),
        "hours": if hours.fract() == 0.0 && rng.random_bool(0.3) { Bson::Int32(hours as i32) } else { Bson::Double(hours) },
        "cpuAvg": cpu(rng),
        "cost": numbers::decimal(&format!("{:.10}", hours * vcpu as f64 * 0.0575)),
    };
    // Lines of a savings plan come without the service.
    if !covered {
        line.insert("service", "AmazonEC2");
        line.insert("usageType", format!("BoxUsage:{instance_type}"));
    }
    lines.push(line.clone());
    if covered {
        lines.push(doc! {
            "id": format!("n{}", number + 1),
            "type": "SavingsPlanNegation",
            "instanceType": instance_type,
            "hours": -hours,
            "cost": numbers::decimal(&format!("{:.10}", hours * vcpu as f64 * -0.0575)),
        });
    }
    if rng.random_bool(0.12) {
        line.insert("region", spelled(rng, region));
        if rng.random_bool(0.3) {
            line.remove("cpuAvg");
        }
        lines.push(line);
    }
}

fn storage_line(rng: &mut ChaCha8Rng, number: usize, region: &str) -> Document {
    doc! {
        "id": format!("a{}", number + 1),
        "type": "Usage",
        "service": "AmazonS3",
        "usageType": "TimedStorage-ByteHrs",
        "usageAmount": rng.random_range(1.0e12..4.0e13),
        "unit": "ByteHrs",
        "region": region,
    }
}

/// Average load in percent; null where there is no metric.
fn cpu(rng: &mut ChaCha8Rng) -> Bson {
    if rng.random_bool(0.3) {
        Bson::Null
    } else {
        Bson::Double(f64::from(rng.random_range(8..190_i32)) / 2.0)
    }
}

fn spelled(rng: &mut ChaCha8Rng, region: &str) -> String {
    match rng.random_range(0..10) {
        0 => format!("{region} "),
        1 => region.to_uppercase(),
        2 => format!(" {}", region.replace("eu-", "EU-")),
        _ => region.to_owned(),
    }
}

fn midnight(day: Date) -> Bson {
    let instant = day.to_zoned(TimeZone::UTC).map_or(0, |start| start.timestamp().as_millisecond());
    Bson::DateTime(DateTime::from_millis(instant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customer_uses_instances_and_all_traps_occur() {
        let world = World::new(7);
        let day = Partition::Day(jiff::civil::date(2025, 3, 1));
        let documents = CloudUsageAws.documents(&world, day);
        assert!((40..=600).contains(&documents.len()), "{}", documents.len());
        assert!(
            world.customers.iter().all(|c| documents.iter().any(|d| d.get_str("customer").unwrap() == c.id))
        );
        let lines: Vec<&Document> = documents
            .iter()
            .flat_map(|d| d.get_array("lineItems").unwrap().iter().filter_map(Bson::as_document))
            .collect();
        assert!(lines.iter().any(|l| l.get_str("type").unwrap() == "SavingsPlanNegation"));
        assert!(lines.iter().any(|l| l.get("cpuAvg") == Some(&Bson::Null)));
        assert!(
            lines
                .iter()
                .any(|l| l.get("service") == Some(&Bson::from("AmazonS3")) && !l.contains_key("cpuAvg"))
        );
        assert!(documents.iter().any(|d| d.get_i64("account").is_ok_and(|a| a < 100_000_000_000)));
        assert_eq!(documents, CloudUsageAws.documents(&world, day));
    }
}
