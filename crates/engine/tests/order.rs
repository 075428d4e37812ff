//! The order of documents and the size of batches change nothing.

use std::sync::atomic::Ordering;

use bson::Document;
use dualrun_core::run::{RunReport, figures::Figure};
use proptest::prelude::*;

use crate::common::{DAY, GOLD_FILE, LEGACY_FILE, SILVER_FILE, Setup, World, meter};

/// A report without what is of one run only.
fn timeless(mut report: RunReport) -> RunReport {
    report.run_id.clear();
    report.customers_path = None;
    report.differences.path = None;
    report
}

/// A change and a bug over the documents, in this order and in batches of so many rows. All factors are binary
/// fractions, so that no sum of a model is rounded where the readings are such too.
fn report(documents: &[Document], batch_rows: usize) -> RunReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bug = "case when kwh > 800 then kwh * 1.5 else kwh end as kwh from";
        let setup = Setup::with_factor_change()
            .edit(SILVER_FILE, "kwh from", bug)
            .edit(LEGACY_FILE, "/ 1000", "/ 1024")
            .edit(GOLD_FILE, "/ 1000", "/ 1024");
        let world = World::new(setup);
        world.both("meters/2025-03-10", documents.to_vec());
        world.reader.batch_rows.store(batch_rows, Ordering::Relaxed);
        timeless(world.report().await)
    })
}

/// Up to 39 readings of four customers, and the same in another order.
fn twice(kwh: impl Strategy<Value = f64>) -> impl Strategy<Value = (Vec<Document>, Vec<Document>)> {
    let rows = prop::collection::vec((0..4_u8, 0..2_usize, kwh), 1..40);
    let documents = rows.prop_map(|rows| {
        let document = |(n, (customer, country, kwh)): (usize, (u8, usize, f64))| {
            meter(&format!("m{n}"), &format!("c{customer}"), DAY, ["FR", "DE"][country], kwh)
        };
        rows.into_iter().enumerate().map(document).collect::<Vec<_>>()
    });
    documents.prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle()))
}

/// Figures that are equal but for the rounding of the models' own sums.
fn same_figure(a: Option<&Figure>, b: Option<&Figure>) -> bool {
    a.zip(b).map_or(a.is_none() && b.is_none(), |(a, b)| (a.to_f64() - b.to_f64()).abs() < 1e-6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shuffled_documents_in_other_batches_give_the_same_report(
        (sorted, shuffled) in twice((0..4000_u16).prop_map(|quarters| f64::from(quarters) / 4.0)),
        batch_rows in 1..9_usize,
    ) {
        prop_assert_eq!(report(&sorted, 0), report(&shuffled, batch_rows));
    }

    #[test]
    fn readings_of_any_size_give_the_same_verdicts_in_any_order(
        (sorted, shuffled) in twice(0.0..1000.0_f64),
        batch_rows in 1..9_usize,
    ) {
        let (one, other) = (report(&sorted, 0), report(&shuffled, batch_rows));
        prop_assert_eq!(&one.run_key, &other.run_key, "the fingerprints of the inputs");
        prop_assert_eq!(&one.inputs, &other.inputs);
        prop_assert_eq!((one.outcome, one.rows), (other.outcome, other.rows));
        prop_assert_eq!(one.columns.len(), other.columns.len());
        for (a, b) in one.columns.iter().zip(&other.columns) {
            prop_assert_eq!((&a.name, a.verdicts), (&b.name, b.verdicts));
            prop_assert!(same_figure(a.new_total.as_ref(), b.new_total.as_ref()));
            prop_assert!(same_figure(a.gross_unexplained.as_ref(), b.gross_unexplained.as_ref()));
        }
    }
}
