//! `focusLines`: the published FOCUS sample as documents, one a billing line, at its true dates.

use std::sync::LazyLock;

use bson::{Bson, Document};
use jiff::civil::Date;

use crate::world::{Collection, Partition, Partitioning, World};

/// Real billing lines of AWS, Microsoft and Oracle, September 2024. FinOps Foundation, FOCUS-Sample-Data, CC BY 4.0.
const SAMPLE: &str = include_str!("../../../../golden/focus/focus_sample_1000.csv");

/// The sample as a loader wrote it to the legacy database: "NULL" stays text, costs are exact decimals, account
/// numbers are integers where they look like one.
#[derive(Debug, Clone, Copy)]
pub struct FocusLines;

/// The first and the last day of the sample.
const DAYS: (Date, Date) = (Date::constant(2024, 9, 1), Date::constant(2024, 9, 30));

impl Collection for FocusLines {
    fn name(&self) -> &'static str {
        "focusLines"
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Daily
    }

    fn customer_field(&self) -> &'static str {
        "SubAccountName"
    }

    fn days(&self) -> Option<(Date, Date)> {
        Some(DAYS)
    }

    /// The lines whose charge period starts on the day (UTC).
    fn documents(&self, _world: &World, partition: Partition) -> Vec<Document> {
        let Partition::Day(day) = partition else { return Vec::new() };
        let day = day.to_string();
        LINES
            .iter()
            .filter(|line| line.get_str("ChargePeriodStart").is_ok_and(|start| start.starts_with(&day)))
            .cloned()
            .collect()
    }
}

static LINES: LazyLock<Vec<Document>> = LazyLock::new(|| lines().collect());

/// The sample is embedded and well-formed: a test counts that none of its lines is lost here.
fn lines() -> impl Iterator<Item = Document> {
    let mut reader = csv::Reader::from_reader(SAMPLE.as_bytes());
    let names = reader.headers().cloned().unwrap_or_default();
    reader.into_records().flatten().map(move |record| {
        let id = names.iter().position(|name| name == "Id").and_then(|n| record.get(n)).unwrap_or_default();
        let mut document = Document::new();
        document.insert("_id", typed("Id", id));
        document.extend(
            names
                .iter()
                .zip(&record)
                .filter(|(name, _)| *name != "Id")
                .map(|(name, text)| (name.to_owned(), typed(name, text))),
        );
        document
    })
}

fn typed(name: &str, text: &str) -> Bson {
    let typed = match name {
        "Id" | "BillingAccountId" => text.parse().ok().map(Bson::Int64),
        "BilledCost" | "EffectiveCost" | "ListCost" => text.parse().ok().map(Bson::Decimal128),
        "ConsumedQuantity" | "PricingQuantity" => text.parse().ok().map(Bson::Double),
        _ => None,
    };
    typed.unwrap_or_else(|| Bson::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn day(day: i8) -> Vec<Document> {
        FocusLines.documents(&World::new(7), Partition::Day(Date::constant(2024, 9, day)))
    }

    #[test]
    fn all_thousand_lines_fall_on_a_day_of_september() {
        let lines: Vec<Document> = (1..=30).flat_map(day).collect();
        let ids: BTreeSet<i64> = lines.iter().map(|line| line.get_i64("_id").unwrap()).collect();
        assert_eq!((lines.len(), ids.len()), (1000, 1000));
        assert!(lines.iter().all(|line| line.len() == 44));
        assert!(FocusLines.documents(&World::new(7), Partition::Day(Date::constant(2024, 10, 1))).is_empty());
    }

    #[test]
    fn costs_are_exact_and_null_stays_text() {
        let lines = day(24);
        assert_eq!(lines.len(), 47);
        let credit = lines.iter().find(|line| line.get_str("ChargeCategory").unwrap() == "Credit").unwrap();
        assert_eq!(credit.get("BilledCost").unwrap().to_string(), "-2.61370000000");
        assert_eq!(credit.get_str("ChargeClass").unwrap(), "NULL");
    }

    #[test]
    fn account_numbers_are_integers_or_text() {
        let accounts: BTreeSet<_> = (1..=30)
            .flat_map(day)
            .map(|line| line.get("BillingAccountId").unwrap().element_type() as u8)
            .collect();
        assert_eq!(accounts.len(), 2);
    }
}
