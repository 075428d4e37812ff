//! The invented customers of the reference project and their sources of chance.

use jiff::civil::Date;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// One invented customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Its id in every document, for example `acme-fr`.
    pub id: String,
    /// ISO 3166-1 alpha-2 code of its main country.
    pub country: &'static str,
    /// The IANA time zone of its main site.
    pub time_zone: &'static str,
    /// Its size relative to the median customer: from 0.1 to about 40, heavy-tailed.
    pub size: f64,
    /// The loader batch that brings it into the lake: 0 to 3. Batch 3 holds one customer only, so that one late
    /// file means one late customer.
    pub batch: u8,
}

/// All customers and the seed.
#[derive(Debug, Clone)]
pub struct World {
    /// The customers, in the order of their ids.
    pub customers: Vec<Customer>,
    seed: u64,
}

/// The part of a collection that is generated at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The facts of one UTC day.
    Day(Date),
    /// The inventory of one month, named by its first day.
    Month(Date),
    /// What never changes.
    All,
}

/// How a collection is cut into partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// `data/mongo/<day>/core/<collection>.bson.gz`, `data/lake/bronze/<collection>/day=<day>/`
    Daily,
    /// `data/mongo/<month>/core/<collection>.bson.gz`, `data/lake/bronze/<collection>/month=<month>/`
    Monthly,
    /// `data/mongo/all/core/<collection>.bson.gz`, `data/lake/bronze/<collection>/`
    Once,
}

/// A collection of the legacy database that the demo can generate.
pub trait Collection: Send + Sync {
    /// Its name, for example `webStats`.
    fn name(&self) -> &'static str;
    /// How it is cut.
    fn partitioning(&self) -> Partitioning;
    /// The field that names the customer, for example `customer` or `customerId`.
    fn customer_field(&self) -> &'static str;
    /// The first and the last day of a collection that stands at dates of its own, whatever range is laid out.
    fn days(&self) -> Option<(Date, Date)> {
        None
    }
    /// The documents of a partition for all customers, in a fixed order. The same seed gives the same documents.
    fn documents(&self, world: &World, partition: Partition) -> Vec<bson::Document>;
}

const SHAPES: &[(&str, &str, &str)] = &[
    ("acme", "FR", "Europe/Paris"),
    ("borealis", "FI", "Europe/Helsinki"),
    ("cascade", "US", "America/Los_Angeles"),
    ("delphin", "DE", "Europe/Berlin"),
    ("estrella", "ES", "Europe/Madrid"),
    ("fjord", "NO", "Europe/Oslo"),
    ("granit", "SE", "Europe/Stockholm"),
    ("harbour", "GB", "Europe/London"),
    ("indigo", "IN", "Asia/Kolkata"),
    ("jasmin", "FR", "Europe/Paris"),
    ("kestrel", "GB", "Europe/London"),
    ("lusitania", "PT", "Europe/Lisbon"),
    ("meridian", "FR", "Europe/Paris"),
    ("nordlicht", "DE", "Europe/Berlin"),
    ("orchard", "US", "America/New_York"),
    ("polaris", "PL", "Europe/Warsaw"),
    ("quercus", "ES", "Europe/Madrid"),
    ("rivage", "FR", "Europe/Paris"),
    ("solstice", "IT", "Europe/Rome"),
    ("tulip", "NL", "Europe/Amsterdam"),
];

impl World {
    /// Forty customers. Sizes follow 1/rank, so that a few hold most of the volume.
    pub fn new(seed: u64) -> Self {
        let mut customers: Vec<Customer> = (0..2 * SHAPES.len())
            .map(|n| {
                let (name, country, time_zone) = SHAPES[n % SHAPES.len()];
                let id = if n < SHAPES.len() {
                    format!("{name}-{}", country.to_lowercase())
                } else {
                    format!("{name}-group")
                };
                // Ranks are spread over the list with a step that is coprime to its length.
                let rank = (n * 7) % (2 * SHAPES.len()) + 1;
                Customer { id, country, time_zone, size: 20.0 / rank as f64, batch: (n % 3) as u8 }
            })
            .collect();
        customers.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(late) = customers.iter_mut().find(|c| c.id == "nordlicht-de") {
            late.batch = 3;
        }
        Self { customers, seed }
    }

    /// A source of chance for one purpose: the same parts give the same numbers, whatever was drawn before.
    pub fn rng(&self, parts: &[&str]) -> ChaCha8Rng {
        // FNV-1a, 64 bit: stable over releases, which the standard library's hasher does not promise.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ self.seed;
        for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        ChaCha8Rng::seed_from_u64(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn forty_customers_of_very_different_size() {
        let world = World::new(7);
        assert_eq!(world.customers.len(), 40);
        let sizes: Vec<f64> = world.customers.iter().map(|c| c.size).collect();
        assert!(
            sizes.iter().cloned().fold(0.0, f64::max) / sizes.iter().cloned().fold(f64::MAX, f64::min)
                >= 40.0
        );
        assert_eq!(world.customers.iter().filter(|c| c.batch == 3).count(), 1);
        assert!(world.customers.windows(2).all(|w| w[0].id < w[1].id));
    }

    #[test]
    fn chance_depends_on_its_purpose_only() {
        let world = World::new(7);
        let mut a = world.rng(&["webStats", "2025-03-01"]);
        let mut b = world.rng(&["webStats", "2025-03-01"]);
        assert_eq!(a.next_u64(), b.next_u64());
        assert_ne!(world.rng(&["ab", "c"]).next_u64(), world.rng(&["a", "bc"]).next_u64());
    }
}
