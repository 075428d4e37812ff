//! `energyInvoices`: electricity invoices; the dump of a month holds those whose billing period touches it.

use bson::{Bson, Document, doc};
use jiff::{ToSpan, civil::Date};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    forms::{DateForm, date},
    numbers,
};
use crate::world::{Collection, Customer, Partition, Partitioning, World};

/// The collection `energyInvoices`.
///
/// Its traps: consumption as text with narrow no-break spaces, as number and exact decimal, in kWh, Wh and MWh, days
/// in four forms (midnight in Paris is the evening before in UTC), credit notes, and gas among the electricity.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnergyInvoices;

impl Collection for EnergyInvoices {
    fn name(&self) -> &'static str {
        "energyInvoices"
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
        for customer in &world.customers {
            let meters = 2 + (customer.size / 2.0).min(6.0) as usize;
            for number in 0..meters {
                let meter = Meter::new(world, customer, number);
                for (from, to) in meter.billing_periods(month) {
                    documents.extend(meter.invoices(world, from, to));
                }
            }
        }
        documents
    }
}

struct Meter<'a> {
    customer: &'a Customer,
    number: String,
    supplier: &'static str,
    unit: Unit,
    /// Day of the month on which a billing period begins.
    first_day: i8,
    /// Length of a billing period in months: 1 or 2.
    months: i8,
    kwh_per_day: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    KilowattHour,
    WattHour,
    MegawattHour,
    CubicMetre,
}

impl<'a> Meter<'a> {
    fn new(world: &World, customer: &'a Customer, number: usize) -> Self {
        let mut rng = world.rng(&["energyInvoices", &customer.id, &number.to_string()]);
        // The first meter of a customer is an ordinary one, so that nobody is left without a result.
        let (supplier, unit) = match if number == 0 { 9 } else { rng.random_range(0..10) } {
            0 | 1 => ("Enedis", Unit::WattHour),
            2 => ("Statkraft", Unit::MegawattHour),
            3 => ("Engie Gaz", Unit::CubicMetre),
            4..7 => ("Engie", Unit::KilowattHour),
            _ => ("EDF", Unit::KilowattHour),
        };
        Self {
            customer,
            number: format!("{}", rng.random_range(30_000_000_000_000_i64..39_999_999_999_999)),
            supplier,
            unit,
            first_day: rng.random_range(1..=28),
            months: rng.random_range(1..=2),
            kwh_per_day: customer.size * rng.random_range(40.0..600.0),
        }
    }

    /// The billing periods that touch a month, first day and end (excluded).
    fn billing_periods(&self, month: Date) -> Vec<(Date, Date)> {
        let Ok(next) = month.checked_add(1.month()) else { return Vec::new() };
        let starts = (-2_i32..=0).filter_map(|back| month.checked_add(back.months()).ok());
        starts
            .filter(|start| self.months == 1 || start.month() % 2 == self.first_day % 2)
            .filter_map(|start| {
                let from = start.checked_add((i32::from(self.first_day) - 1).days()).ok()?;
                let to = from.checked_add(i32::from(self.months).months()).ok()?;
                (from < next && to > month).then_some((from, to))
            })
            .collect()
    }

    /// The invoice of a period, and its credit note where there is one.
    fn invoices(&self, world: &World, from: Date, to: Date) -> Vec<Document> {
        let mut rng = world.rng(&["energyInvoices", &self.customer.id, &self.number, &from.to_string()]);
        let days = from.until(to).map_or(30, |span| span.get_days().max(1));
        let kwh = (self.kwh_per_day * f64::from(days) * rng.random_range(0.85..1.15)) as i64 + 1;
        let id = numbers::object_id(&mut rng);
        let mut documents = vec![self.invoice(&mut rng, from, to, kwh, Bson::ObjectId(id), Bson::Null)];
        if rng.random_bool(0.08) {
            let of = if rng.random_bool(0.5) { Bson::ObjectId(id) } else { Bson::String(id.to_hex()) };
            let own = Bson::ObjectId(numbers::object_id(&mut rng));
            documents.push(self.invoice(&mut rng, from, to, -kwh / 12 - 1, own, of));
        }
        documents
    }

    fn invoice(
        &self,
        rng: &mut ChaCha8Rng,
        from: Date,
        to: Date,
        kwh: i64,
        id: Bson,
        credit_of: Bson,
    ) -> Document {
        let (value, unit) = self.consumption(rng, kwh);
        let cents = kwh * 15 + rng.random_range(0..100);
        let (whole, rest) = (cents / 100, (cents % 100).abs());
        let amount = if rng.random_bool(0.2) {
            Bson::String(format!("{},{rest:02}", numbers::grouped(whole)))
        } else {
            numbers::decimal(&format!("{whole}.{rest:02}"))
        };
        doc! {
            "_id": id,
            "customer": &self.customer.id,
            "site": format!("DC-{}", self.customer.country),
            "meter": if rng.random_bool(0.1) { format!("{} ", self.number) } else { self.number.clone() },
            "supplier": self.supplier,
            "period": { "from": date(from, DateForm::any(rng)), "to": date(to, DateForm::any(rng)) },
            "consumption": { "value": value, "unit": unit },
            "amount": amount,
            "vat": 0.2,
            "contract": { "green": true, "go": [{ "vintage": 2024, "mwh": 120 }, { "vintage": "2025", "mwh": 20.0, "country": "NO" }] },
            "lines": [{ "label": "HPH", "kwh": kwh - kwh / 3 }, { "label": "HCH", "kwh": numbers::grouped(kwh / 3) }],
            "credit_of": credit_of,
        }
    }

    fn consumption(&self, rng: &mut ChaCha8Rng, kwh: i64) -> (Bson, &'static str) {
        match self.unit {
            Unit::WattHour => (numbers::whole(rng, kwh * 1000), "Wh"),
            Unit::MegawattHour => {
                let sign = if kwh < 0 { "-" } else { "" };
                let kwh = kwh.abs();
                (Bson::String(format!("{sign}{},{:03}", kwh / 1000, kwh % 1000)), "MWh")
            }
            Unit::CubicMetre => (numbers::whole(rng, kwh / 11), "m3"),
            Unit::KilowattHour => {
                let unit = if rng.random_bool(0.1) { "KWH " } else { "kWh" };
                if rng.random_bool(0.5) {
                    (Bson::String(numbers::grouped(kwh)), unit)
                } else {
                    (numbers::whole(rng, kwh), unit)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn march() -> Vec<Document> {
        EnergyInvoices.documents(&World::new(7), Partition::Month(jiff::civil::date(2025, 3, 1)))
    }

    #[test]
    fn every_day_of_a_meter_is_billed_once() {
        let world = World::new(7);
        let meter = Meter::new(&world, &world.customers[0], 1);
        let month = jiff::civil::date(2025, 3, 1);
        let periods = meter.billing_periods(month);
        for offset in 0..31 {
            let day = month.checked_add(offset.days()).unwrap();
            assert_eq!(periods.iter().filter(|(from, to)| *from <= day && day < *to).count(), 1, "{day}");
        }
    }

    #[test]
    fn every_customer_is_billed_and_all_traps_occur() {
        let documents = march();
        assert!((100..=1500).contains(&documents.len()), "{}", documents.len());
        let world = World::new(7);
        assert!(
            world.customers.iter().all(|c| documents.iter().any(|d| d.get_str("customer").unwrap() == c.id))
        );
        for unit in ["kWh", "KWH ", "Wh", "MWh", "m3"] {
            let used = |d: &Document| d.get_document("consumption").unwrap().get_str("unit").unwrap() == unit;
            assert!(documents.iter().any(used), "{unit}");
        }
        assert!(documents.iter().any(|d| d.get("credit_of") != Some(&Bson::Null)));
        assert_eq!(documents, march());
    }
}
