//! `dcSites`: the sites that the DCIM knows, with their measured PUE by month.

use bson::{Bson, Document, doc};
use rand::RngExt;

use super::{numbers, power_readings::site_code};
use crate::world::{Collection, Partition, Partitioning, World};

/// The collection `dcSites`. PUE comes as number and as text with a decimal comma; some sites are not in the DCIM.
#[derive(Debug, Clone, Copy, Default)]
pub struct DcSites;

const MONTHS: [&str; 6] = ["2024-12", "2025-01", "2025-02", "2025-03", "2025-04", "2025-05"];

impl Collection for DcSites {
    fn name(&self) -> &'static str {
        "dcSites"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Once
    }

    fn customer_field(&self) -> &'static str {
        "customer"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        if partition != Partition::All {
            return Vec::new();
        }
        let mut documents = Vec::new();
        for customer in &world.customers {
            let mut rng = world.rng(&["dcSites", &customer.id]);
            if rng.random_bool(0.1) {
                continue;
            }
            let level: i64 = rng.random_range(118..165);
            let months: Vec<Bson> = MONTHS
                .iter()
                .map(|month| {
                    let hundredths = level + rng.random_range(0..8);
                    let value = if rng.random_bool(0.3) {
                        Bson::String(format!("{},{:02}", hundredths / 100, hundredths % 100))
                    } else {
                        Bson::Double(hundredths as f64 / 100.0)
                    };
                    Bson::Document(doc! { "month": *month, "value": value })
                })
                .collect();
            documents.push(doc! {
                "_id": numbers::object_id(&mut rng),
                "customer": &customer.id,
                "site": site_code(customer),
                "country": customer.country,
                "pue": months,
            });
        }
        documents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_customers_have_a_site_with_every_month() {
        let documents = DcSites.documents(&World::new(7), Partition::All);
        assert!((30..40).contains(&documents.len()), "{}", documents.len());
        assert!(documents.iter().all(|site| site.get_array("pue").unwrap().len() == MONTHS.len()));
    }
}
