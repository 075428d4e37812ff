//! `powerReadings`: power of servers in buckets of four hours, a reading every half hour.

use bson::{Bson, DateTime, Document, doc};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use rand::RngExt;

use super::{customers::customer_id, numbers};
use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// The collection `powerReadings`.
///
/// Its traps: buckets overlap by one reading, readings are sent again with another figure (`retry`), watts come as
/// float, integer, text and exact decimal, instants as BSON dates, text and milliseconds, server names in either
/// case, `pue_site` as number, text, null (ask the DCIM) or not at all (the default), and buckets are missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PowerReadings;

const BUCKET_HOURS: i64 = 4;
const HALF_HOUR: SignedDuration = SignedDuration::from_mins(30);

/// The site of a customer in server names: the first letters of the city that names its time zone.
pub(crate) fn site_code(customer: &Customer) -> String {
    let city = customer.time_zone.rsplit('/').next().unwrap_or_default();
    city.chars().take(3).collect::<String>().to_lowercase()
}

impl Collection for PowerReadings {
    fn name(&self) -> &'static str {
        "powerReadings"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Daily
    }

    fn customer_field(&self) -> &'static str {
        "customerId"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Day(day) = partition else { return Vec::new() };
        let Ok(midnight) = day.to_zoned(TimeZone::UTC) else { return Vec::new() };
        let mut documents = Vec::new();
        for (place, customer) in world.customers.iter().enumerate() {
            let servers = 1 + (customer.size / 4.0).min(4.0) as u32;
            for number in 0..servers {
                let server = Server::new(world, customer, 40 + 2 * number);
                for bucket in 0..24 / BUCKET_HOURS {
                    let start = midnight.timestamp() + SignedDuration::from_hours(bucket * BUCKET_HOURS);
                    documents.extend(server.bucket(world, place, start, day));
                }
            }
        }
        documents
    }
}

struct Server<'a> {
    customer: &'a Customer,
    name: String,
    idle_watts: i64,
    pue: Option<Bson>,
}

impl<'a> Server<'a> {
    fn new(world: &World, customer: &'a Customer, number: u32) -> Self {
        let name = format!("srv-{}-{number:04}", site_code(customer));
        let mut rng = world.rng(&["powerReadings", &customer.id, &name]);
        let idle_watts = rng.random_range(120..420);
        let hundredths: i64 = rng.random_range(115..180);
        let pue = match rng.random_range(0..10) {
            0 | 1 => None,
            2..6 => Some(Bson::Null),
            6 => Some(Bson::String(format!("{},{:02}", hundredths / 100, hundredths % 100))),
            _ => Some(Bson::Double(hundredths as f64 / 100.0)),
        };
        Self { customer, name, idle_watts, pue }
    }

    /// One bucket, or none where the collector was down.
    fn bucket(&self, world: &World, place: usize, start: Timestamp, day: Date) -> Option<Document> {
        let key = ["powerReadings", &self.customer.id, &self.name, &start.to_string()];
        let mut rng = world.rng(&key);
        if rng.random_bool(0.01) {
            return None;
        }
        let mut readings = Vec::new();
        // The last reading is the first of the next bucket too.
        for step in 0..=2 * BUCKET_HOURS {
            let at = start + HALF_HOUR * i32::try_from(step).unwrap_or_default();
            let watts = self.watts(world, at, day);
            readings.push(doc! { "t": instant(&mut rng, at), "w": numbers::whole(&mut rng, watts) });
            if rng.random_bool(0.01) {
                let again = watts + rng.random_range(0..30);
                readings.push(doc! { "t": instant(&mut rng, at), "w": again as f64, "retry": true });
            }
        }
        let server = match rng.random_range(0..12) {
            0 => self.name.to_uppercase(),
            1 => format!("{} ", self.name),
            _ => self.name.clone(),
        };
        let mut bucket = doc! {
            "_id": numbers::object_id(&mut rng),
            "customerId": customer_id(place),
            "server": server,
            "tz": self.customer.time_zone,
            "hour": DateTime::from_millis(start.as_millisecond()),
            "n": i32::try_from(readings.len()).unwrap_or(i32::MAX),
            "readings": readings,
        };
        if let Some(pue) = &self.pue {
            bucket.insert("pue_site", pue.clone());
        }
        Some(bucket)
    }

    /// Power at an instant: the same in both buckets that hold it.
    fn watts(&self, world: &World, at: Timestamp, day: Date) -> i64 {
        let mut rng = world.rng(&["watts", &self.customer.id, &self.name, &at.to_string()]);
        let local_hour =
            TimeZone::get(self.customer.time_zone).map_or(12, |zone| i64::from(at.to_zoned(zone).hour()));
        let office = (8..19).contains(&local_hour) && day.weekday().to_monday_one_offset() < 6;
        let load = if office { self.idle_watts / 2 } else { self.idle_watts / 8 };
        self.idle_watts + load + rng.random_range(0..25)
    }
}

fn instant(rng: &mut impl RngExt, at: Timestamp) -> Bson {
    match rng.random_range(0..12) {
        0 => Bson::String(at.to_string()),
        1 => Bson::Int64(at.as_millisecond()),
        _ => Bson::DateTime(DateTime::from_millis(at.as_millisecond())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Partition {
        Partition::Day(jiff::civil::date(2025, 3, 1))
    }

    #[test]
    fn every_customer_has_readings_and_all_traps_occur() {
        let world = World::new(7);
        let documents = PowerReadings.documents(&world, day());
        assert!((200..=600).contains(&documents.len()), "{}", documents.len());
        let has =
            |place| documents.iter().any(|d| d.get_object_id("customerId").unwrap() == customer_id(place));
        assert!((0..world.customers.len()).all(has));
        assert!(documents.iter().any(|d| !d.contains_key("pue_site")));
        assert!(documents.iter().any(|d| d.get("pue_site") == Some(&Bson::Null)));
        let retried = |d: &Document| {
            let readings = d.get_array("readings").unwrap();
            readings.iter().any(|r| r.as_document().unwrap().contains_key("retry"))
        };
        assert!(documents.iter().any(retried));
        assert_eq!(documents, PowerReadings.documents(&world, day()));
    }

    #[test]
    fn sites_are_named_after_their_city() {
        let world = World::new(7);
        assert_eq!(site_code(&world.customers[0]), "par");
    }
}
