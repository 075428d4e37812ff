//! `customers`: the slug behind each customer's ObjectId.

use bson::{Document, doc, oid::ObjectId};

use crate::world::{Collection, Partition, Partitioning, World};

/// The collection `customers`. Countries come in upper and lower case, with spaces, and Britain as `UK`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Customers;

/// The id of the customer at this place of the list: `5f0000000000000000000a01` for the first.
pub(crate) fn customer_id(place: usize) -> ObjectId {
    let mut bytes = [0_u8; 12];
    bytes[0] = 0x5f;
    bytes[10] = 0x0a;
    bytes[11] = u8::try_from(place + 1).unwrap_or(u8::MAX);
    ObjectId::from_bytes(bytes)
}

impl Collection for Customers {
    fn name(&self) -> &'static str {
        "customers"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Once
    }

    fn customer_field(&self) -> &'static str {
        "slug"
    }

    fn documents(&self, world: &World, partition: Partition) -> Vec<Document> {
        if partition != Partition::All {
            return Vec::new();
        }
        let customers = world.customers.iter().enumerate();
        customers
            .map(|(place, customer)| {
                let country = match (place % 7, customer.country) {
                    (_, "GB") => "UK".to_owned(),
                    (3, country) => country.to_lowercase(),
                    (5, country) => format!("{country} "),
                    (_, country) => country.to_owned(),
                };
                doc! { "_id": customer_id(place), "slug": &customer.id, "country": country }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_catalogue() {
        let documents = Customers.documents(&World::new(7), Partition::All);
        assert_eq!(documents.len(), 40);
        assert_eq!(documents[0].get_str("slug").unwrap(), "acme-fr");
        assert_eq!(documents[0].get_object_id("_id").unwrap().to_hex(), "5f0000000000000000000a01");
    }
}
